"""The guide to notifications runs as it is written, and its stores keep what stores promise."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import keys
import pytest
from notification.callbacks import APIV3_KEY, ORDER, envelope, handler, signed

GUIDE = Path(__file__).parents[2] / "docs" / "notifications.md"
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


def snippets():
    """Compile the Python blocks, blank lines before each so that tracebacks name the guide's line."""
    text = GUIDE.read_text("utf-8")
    for match in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield compile("\n" * text.count("\n", 0, match.start(1)) + match[1], GUIDE.name, "exec")


@pytest.fixture
def guide(build, tmp_path, monkeypatch):
    """Run every snippet in order, and give the names that they left."""
    monkeypatch.chdir(tmp_path)
    Path("pub_key.pem").write_text(keys.public_pem("platform"))
    settled = []

    async def asettle(*what):
        settled.append(what)

    headers = signed(BODY, at=int(time.time()))
    with closing(sqlite3.connect(":memory:")) as database:
        names = {
            "asettle": asettle,
            "body": BODY,
            "database": database,
            "headers": headers,
            "instance": build(apiv3_key=APIV3_KEY),
            "redis": Redis(),
            "request": SimpleNamespace(headers=headers, get_data=lambda: BODY),
            "settle": lambda *what: settled.append(what),
            "settled": settled,
        }
        for snippet in snippets():
            exec(snippet, names)
        names["server"].server_close()
        yield names


def test_guide_runs_in_order(guide):
    """The first snippet and the last prove a callback, and settle its order."""
    number = ORDER["out_trade_no"]

    assert [(number, 100), (number,)] == guide["settled"]
    assert 200 == guide["reply"].status


def test_guides_store_makes_handling_idempotent(guide):
    """What is offered for several processes claims, completes, replies and releases."""
    seen, outcomes = [], iter([LookupError(), None])

    def process(notification):
        seen.append(notification.id)
        if error := next(outcomes):
            raise error

    service = handler(store=guide["RedisStore"](guide["redis"]))
    with pytest.raises(LookupError):
        service.handle(signed(BODY), BODY, process)
    first, second = (asyncio.run(service.ahandle(signed(BODY), BODY, process)) for _ in range(2))

    assert first == second
    assert 2 == len(seen)
    assert not service.store.claim(seen[0], 60)


def test_guides_transaction_deals_with_an_event_once(guide):
    """Even when nothing else remembers: the event and its effect are one."""
    paid, settled = guide["paid_once"], guide["settled"]
    settled.clear()
    found = handler().parse(signed(BODY), BODY)
    for _ in range(2):
        paid(found)

    assert [(ORDER["out_trade_no"],)] == settled
