"""One call, three ways to make it: blocking, awaited, and a promise that is waited for."""

from __future__ import annotations

import asyncio
import contextlib
import threading


class Sync:
    """The blocking verbs."""

    def call(self, node, verb, *args, **options):
        """Make a call."""
        return getattr(node, verb)(*args, **options)


class Async:
    """The Async verbs, each awaited on a loop of its own."""

    def call(self, node, verb, *args, **options):
        """Make a call."""

        async def awaited():
            return await getattr(node, f"{verb}Async")(*args, **options)

        return asyncio.run(awaited())


class Promised:
    """The Async verbs, waited for where no loop runs."""

    def call(self, node, verb, *args, **options):
        """Make a call."""
        return getattr(node, f"{verb}Async")(*args, **options).wait()


class Looped:
    """The Async verbs on one loop that lives long, for tests that make many calls."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def call(self, node, verb, *args, **options):
        """Make a call."""

        async def awaited():
            return await getattr(node, f"{verb}Async")(*args, **options)

        return self.run(awaited())

    def run(self, coroutine, within=60):
        """Run a coroutine on the loop and wait for it, so many seconds at most."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(within)

    def close(self):
        """End the loop as `asyncio.run` does."""
        self.run(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


@contextlib.contextmanager
def looped():
    """Give a client whose loop ends with the block."""
    client = Looped()
    try:
        yield client
    finally:
        client.close()
