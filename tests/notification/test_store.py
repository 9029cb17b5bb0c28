"""What the store in memory has for itself: a clock that can be set, a bound, many threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from wechatpay import ConfigurationError
from wechatpay.notification import MemoryStore


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self):
        """Say what time it is."""
        return self.now


@pytest.fixture
def clock():
    """Give a clock that stands still."""
    return Clock()


@pytest.fixture
def store(clock):
    """Give a store for three events."""
    return MemoryStore(size=3, ttl=100, clock=clock)


@pytest.mark.parametrize(("now", "expected"), [(9.9, False), (10, True)])
def test_claim_ends_by_itself(store, clock, now, expected):
    """A process that died does not block an event for ever."""
    store.claim("a", 10)
    clock.now = now

    assert expected == store.claim("a", 10)


@pytest.mark.parametrize(("now", "expected"), [(99, b"reply"), (100, None)])
def test_completed_event_is_forgotten_in_the_end(store, clock, now, expected):
    """Memory is for as long as deliveries go on."""
    store.complete("a", b"reply")
    clock.now = now

    assert expected == store.reply("a")


def test_store_is_bounded(store):
    """The oldest goes first; what was set last counts as young."""
    for event in "abc":
        store.claim(event, 10)
    store.complete("a", b"reply")
    store.claim("d", 10)

    assert 3 == len(store)
    assert b"reply" == store.reply("a")
    assert store.claim("b", 10)


def test_store_drops_what_has_ended(store, clock):
    """Events that ended take no room, without anybody asking for them."""
    store.complete("a", b"reply")
    store.claim("b", 10)
    clock.now = 200
    store.claim("c", 10)

    assert 1 == len(store)


def test_store_that_keeps_nothing_is_empty(clock):
    """An event kept for no time is gone at once."""
    store = MemoryStore(ttl=0, clock=clock)
    store.complete("a", b"reply")

    assert 0 == len(store)


def test_size_is_checked():
    """A store without room would deal with everything twice."""
    with pytest.raises(ConfigurationError, match=r"^size"):
        MemoryStore(size=0)


def test_repr_names_no_event(store):
    """What is shown is how full it is."""
    store.claim("a", 10)

    assert "<MemoryStore 1 of 3>" == repr(store)


def test_of_many_threads_one_gets_the_claim():
    """Claiming is one atomic step."""
    store, start = MemoryStore(), threading.Barrier(8)

    def claim(event):
        start.wait(5)
        return store.claim(event, 10)

    with ThreadPoolExecutor(8) as pool:
        for event in map(str, range(50)):
            assert 1 == sum(pool.map(claim, [event] * 8))
