"""The ways into a handler: blocking, from a loop, and with coroutine functions alone."""

from __future__ import annotations

import asyncio

from notification.callbacks import signed


class Sync:
    """The blocking entry."""

    def handle(self, handler, body, process, headers=None):
        """Handle one delivery."""
        return handler.handle(signed(body) if headers is None else headers, body, process)


class Async:
    """The asynchronous entry, with a plain function as process."""

    def handle(self, handler, body, process, headers=None):
        """Handle one delivery."""
        return asyncio.run(handler.ahandle(signed(body) if headers is None else headers, body, process))


class Coroutine(Async):
    """The asynchronous entry, with a coroutine function as process and as methods of the store."""

    def handle(self, handler, body, process, headers=None):
        """Handle one delivery."""

        async def asynchronous(notification):
            return process(notification)

        if not isinstance(handler.store, AsyncStore):
            handler.store = AsyncStore(handler.store)
        return super().handle(handler, body, asynchronous, headers)


class AsyncStore:
    """A store whose methods are coroutine functions, over one whose are not."""

    def __init__(self, store):
        self._store = store

    async def claim(self, event, ttl):
        """Claim."""
        await asyncio.sleep(0)
        return self._store.claim(event, ttl)

    async def complete(self, event, reply):
        """Complete."""
        return self._store.complete(event, reply)

    async def reply(self, event):
        """Return the reply."""
        return self._store.reply(event)

    async def release(self, event):
        """Release."""
        return self._store.release(event)


ENTRIES = {"sync": Sync, "async": Async, "coroutine": Coroutine}
