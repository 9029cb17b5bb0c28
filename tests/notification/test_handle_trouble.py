"""No event is lost or dealt with twice when processes, stores or deliveries go wrong."""

from __future__ import annotations

import json
import threading
import time

import pytest
from notification.callbacks import ID, envelope, handler, signed

from wechatpay.notification import MemoryStore

BODY = envelope()


class Broken(MemoryStore):
    """A store that fails where it is told to."""

    def __init__(self, *fails):
        super().__init__()
        self._fails = fails

    def __getattribute__(self, name):
        if name in object.__getattribute__(self, "__dict__").get("_fails", ()):
            raise ConnectionError(f"{name} failed")
        return super().__getattribute__(name)


def test_failed_event_is_dealt_with_at_its_next_delivery(entry):
    """What the process raises goes to the framework, and nothing is remembered."""
    service, seen = handler(), []

    def fail(_):
        raise LookupError("no such order")

    with pytest.raises(LookupError, match="no such order"):
        entry.handle(service, BODY, fail)
    entry.handle(service, BODY, seen.append)

    assert 1 == len(seen)


def test_rejected_event_is_dealt_with_at_its_next_delivery(entry):
    """A process may turn an event away without raising."""
    service, seen = handler(), []
    rejected = entry.handle(service, BODY, lambda notification: notification.reject("not yet", 503))
    entry.handle(service, BODY, seen.append)

    assert (503, {"code": "FAIL", "message": "not yet"}) == (rejected.status, json.loads(rejected.body))
    assert 1 == len(seen)


def test_event_is_turned_away_while_it_is_dealt_with(entry):
    """Two deliveries at once: the second comes back later, as the first may yet fail."""
    service, inside, done = handler(), threading.Event(), threading.Event()
    replies = []

    def process(_):
        inside.set()
        assert done.wait(5)

    thread = threading.Thread(target=lambda: replies.append(service.handle(signed(BODY), BODY, process)))
    thread.start()
    assert inside.wait(5)
    second = entry.handle(service, BODY, process)
    done.set()
    thread.join(5)

    assert (503, False) == (second.status, second.is_success)
    assert [200] == [reply.status for reply in replies]


def test_claim_that_expired_while_the_store_was_slow_is_left_to_another():
    """Another process may hold it by then: the event is neither handled nor released."""
    service, released, seen = handler(ttl=0.02), [], []
    claim, service.store.release = service.store.claim, released.append

    def claim_slowly(event, ttl):
        is_ours = claim(event, ttl)
        time.sleep(0.03)
        return is_ours

    service.store.claim = claim_slowly

    assert 503 == service.handle(signed(BODY), BODY, seen.append).status
    assert [] == seen == released


def test_event_of_a_process_that_died_is_dealt_with_after_its_ttl(entry):
    """Death is not a failure that anybody could report."""
    service, seen = handler(store=MemoryStore(clock=lambda: now), ttl=60), []
    now = 0.0

    def die(_):
        raise SystemExit

    with pytest.raises(SystemExit):
        service.handle(signed(BODY), BODY, die)
    now = 59.0
    early = entry.handle(service, BODY, seen.append)
    now = 60.0
    late = entry.handle(service, BODY, seen.append)

    assert [503, 200] == [early.status, late.status]
    assert 1 == len(seen)


def test_late_failure_does_not_end_the_claim_of_another(entry):
    """After its lease an event may be somebody else's."""
    service, released = handler(ttl=0.1), []

    def fail(_):
        time.sleep(0.1)
        raise LookupError

    service.store.release = released.append
    with pytest.raises(LookupError):
        entry.handle(service, BODY, fail)

    assert [] == released


def test_event_that_the_store_does_not_take_is_acknowledged_all_the_same(entry, caplog):
    """It was dealt with: delivered again, it would be dealt with twice."""
    reply = entry.handle(handler(store=Broken("complete")), BODY, lambda _: None)

    assert 200 == reply.status
    assert f"callback {ID} was handled, but the store did not complete it" in caplog.text


def test_event_is_completed_when_the_store_fails_once(entry, caplog):
    """Its next delivery gets the same reply, and nothing is logged as a fault."""
    failures = [ConnectionError()]

    class Flaky(MemoryStore):
        def complete(self, event, reply, /):
            if failures:
                raise failures.pop()
            super().complete(event, reply)

    service, seen = handler(store=Flaky()), []
    replies = [entry.handle(service, BODY, seen.append).status for _ in "12"]

    assert [200, 200] == replies
    assert 1 == len(seen)
    assert "did not complete" not in caplog.text


def test_event_is_not_dealt_with_when_the_store_is_away(entry):
    """Without a claim nobody knows whether it was dealt with before."""
    seen = []
    with pytest.raises(ConnectionError, match="claim failed"):
        entry.handle(handler(store=Broken("claim")), BODY, seen.append)

    assert [] == seen


def test_failure_of_the_store_does_not_hide_that_of_the_process(entry, caplog):
    """What went wrong first is what is raised."""

    def fail(_):
        raise LookupError("first")

    with pytest.raises(LookupError, match="first"):
        entry.handle(handler(store=Broken("release")), BODY, fail)

    assert "the store did not release it" in caplog.text
