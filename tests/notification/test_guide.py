"""The store and the transaction that the guide shows keep what stores promise."""

from __future__ import annotations

import asyncio

import pages
import pytest
from notification.callbacks import ORDER, envelope, handler, signed

BODY = envelope()


class Redis:
    """As much of a Redis client as the guide's store uses."""

    def __init__(self):
        self._values = {}

    def set(self, name, value, *, ex, nx=False):
        """Set a value; None if there is one and there may be none."""
        assert isinstance(ex, int)
        if nx and name in self._values:
            return None
        self._values[name] = value
        return True

    def get(self, name):
        """Get a value, or None."""
        return self._values.get(name)

    def delete(self, name):
        """Delete a value."""
        self._values.pop(name, None)


def paste(text, names):
    """Run the one block of the guide that holds ``text``, but for its last statement, which uses it."""
    (block,) = (
        block for block in pages.blocks(pages.ROOT / "docs" / "notifications.md") if text in block.text
    )
    source = block.text.rstrip().rpartition("\n\n\n")[0]
    exec(compile(source, "notifications.md", "exec"), names)
    return names


def test_guides_store_makes_handling_idempotent():
    """What is offered for several processes claims, completes, replies and releases."""
    pytest.importorskip("redis")
    store = paste("class RedisStore", {})["RedisStore"](Redis())
    seen, outcomes = [], iter([LookupError(), None])

    def process(notification):
        seen.append(notification.id)
        if error := next(outcomes):
            raise error

    service = handler(store=store)
    with pytest.raises(LookupError):
        service.handle(signed(BODY), BODY, process)
    first, second = (asyncio.run(service.ahandle(signed(BODY), BODY, process)) for _ in range(2))

    assert first == second
    assert 2 == len(seen)
    assert not store.claim(seen[0], 60)


def test_guides_transaction_handles_an_event_once():
    """Even when nothing else remembers: the event and its effect are one."""
    settled = []
    names = paste("def paid_once", {"settle": lambda *what: settled.append(what)})
    found = handler().parse(signed(BODY), BODY)
    for _ in range(2):
        names["paid_once"](found)
    names["database"].close()

    assert [(ORDER["out_trade_no"], 100)] == settled
