"""Each event is dealt with once, however often it comes, and never lost; in both colours."""

from __future__ import annotations

import asyncio
import json
import logging
import threading

import pytest
from notification.callbacks import ID, ORDER, envelope, handler, payment, refund, signed

from wechatpay import ConfigurationError, RequestError
from wechatpay.notification import MemoryStore, Reply

BODY = envelope()


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

    async def claim(self, event, seconds):
        """Claim."""
        await asyncio.sleep(0)
        return self._store.claim(event, seconds)

    async def complete(self, event, reply):
        """Complete."""
        return self._store.complete(event, reply)

    async def reply(self, event):
        """Return the reply."""
        return self._store.reply(event)

    async def release(self, event):
        """Release."""
        return self._store.release(event)


class Broken(MemoryStore):
    """A store that fails where it is told to."""

    def __init__(self, *fails):
        super().__init__()
        self._fails = fails

    def __getattribute__(self, name):
        if name in object.__getattribute__(self, "__dict__").get("_fails", ()):
            raise ConnectionError(f"{name} failed")
        return super().__getattribute__(name)


@pytest.fixture(params=[Sync, Async, Coroutine], ids=["sync", "async", "coroutine"])
def colour(request):
    """Give one way of handling after the other."""
    return request.param()


def test_event_is_dealt_with_and_acknowledged(colour):
    """The process gets the notification, and WeChat Pay a success."""
    seen = []
    reply = colour.handle(handler(), BODY, seen.append)

    assert (200, {"code": "SUCCESS", "message": "OK"}) == (reply.status, json.loads(reply.body))
    assert [ORDER] == [notification.resource for notification in seen]


@pytest.mark.parametrize("make", [envelope, payment, refund], ids=["v3", "payment", "refund"])
def test_event_that_comes_again_is_acknowledged_and_not_dealt_with(colour, make):
    """A replay, and a delivery with a signature of its own, are the same event."""
    service, seen, body = handler(), [], make()
    first = colour.handle(service, body, seen.append)
    replayed = colour.handle(service, body, seen.append)
    delivered = colour.handle(service, body, seen.append, signed(body, nonce="ANOTHER"))

    assert first == replayed == delivered
    assert 1 == len(seen)


def test_reply_with_data_is_repeated_with_its_data(colour):
    """A few events are questions: the answer was lost if they come again."""
    service, answers = handler(), iter([{"total_amount": 1500}])
    replies = [colour.handle(service, BODY, lambda _: next(answers)) for _ in range(2)]

    assert replies[0] == replies[1]
    assert {"code": "SUCCESS", "message": "OK", "total_amount": 1500} == json.loads(replies[1].body)


def test_process_may_reply_for_itself(colour):
    """Whatever it makes is sent, and kept if it is a success."""
    service, own = handler(), Reply(204, {"X-Own": "1"}, b"")

    assert own == colour.handle(service, BODY, lambda _: own)
    assert own == colour.handle(service, BODY, lambda _: None)


def test_failed_event_is_dealt_with_at_its_next_delivery(colour):
    """What the process raises goes to the framework, and nothing is remembered."""
    service, seen = handler(), []

    def fail(_):
        raise LookupError("no such order")

    with pytest.raises(LookupError, match="no such order"):
        colour.handle(service, BODY, fail)
    colour.handle(service, BODY, seen.append)

    assert 1 == len(seen)


def test_rejected_event_is_dealt_with_at_its_next_delivery(colour):
    """A process may turn an event away without raising."""
    service, seen = handler(), []
    rejected = colour.handle(service, BODY, lambda notification: notification.reject("not yet", 503))
    colour.handle(service, BODY, seen.append)

    assert (503, {"code": "FAIL", "message": "not yet"}) == (rejected.status, json.loads(rejected.body))
    assert 1 == len(seen)


@pytest.mark.parametrize("outcome", [True, "OK", 200, ["list"], {"amount": 1.5j}], ids=repr)
def test_outcome_that_is_none_is_a_mistake_that_shows(colour, outcome):
    """A process returns nothing, fields, or a reply; the event comes again until it does."""
    service = handler()
    with pytest.raises(RequestError, match=r"^data"):
        colour.handle(service, BODY, lambda _: outcome)

    assert 200 == colour.handle(service, BODY, lambda _: None).status


def test_event_is_turned_away_while_it_is_dealt_with(colour):
    """Two deliveries at once: the second comes back later, as the first may yet fail."""
    service, inside, done = handler(), threading.Event(), threading.Event()
    replies = []

    def process(_):
        inside.set()
        assert done.wait(5)

    thread = threading.Thread(target=lambda: replies.append(service.handle(signed(BODY), BODY, process)))
    thread.start()
    assert inside.wait(5)
    second = colour.handle(service, BODY, process)
    done.set()
    thread.join(5)

    assert (503, False) == (second.status, second.is_success)
    assert [200] == [reply.status for reply in replies]


def test_event_of_a_process_that_died_is_dealt_with_after_its_lease(colour):
    """Death is no failure that anybody could report."""
    service, seen = handler(store=MemoryStore(clock=lambda: now), lease=60), []
    now = 0.0

    def die(_):
        raise SystemExit

    with pytest.raises(SystemExit):
        Sync().handle(service, BODY, die)
    now = 59.0
    early = colour.handle(service, BODY, seen.append)
    now = 60.0
    late = colour.handle(service, BODY, seen.append)

    assert [503, 200] == [early.status, late.status]
    assert 1 == len(seen)


def test_cancelled_event_is_left_to_its_lease():
    """A thread goes on although nobody waits for it any more: nobody else may begin."""
    service, inside, done = handler(), threading.Event(), threading.Event()

    def process(_):
        inside.set()
        done.wait(5)

    async def cancelled():
        task = asyncio.create_task(service.ahandle(signed(BODY), BODY, process))
        await asyncio.to_thread(inside.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        done.set()

    asyncio.run(cancelled())

    assert 503 == service.handle(signed(BODY), BODY, process).status


def test_late_failure_does_not_end_the_claim_of_another(colour):
    """After its lease an event may be somebody else's."""
    service, released = handler(lease=1e-9), []

    def fail(_):
        raise LookupError

    service.store.release = released.append
    with pytest.raises(LookupError):
        colour.handle(service, BODY, fail)

    assert [] == released


def test_event_that_the_store_does_not_take_is_acknowledged_all_the_same(colour, caplog):
    """It was dealt with: delivered again, it would be dealt with twice."""
    reply = colour.handle(handler(store=Broken("complete")), BODY, lambda _: None)

    assert 200 == reply.status
    assert f"callback {ID} was dealt with, but the store did not take it" in caplog.text


def test_event_is_not_dealt_with_when_the_store_is_away(colour):
    """Without a claim nobody knows whether it was dealt with before."""
    seen = []
    with pytest.raises(ConnectionError, match="claim failed"):
        colour.handle(handler(store=Broken("claim")), BODY, seen.append)

    assert [] == seen


def test_failure_of_the_store_does_not_hide_that_of_the_process(colour, caplog):
    """What went wrong first is what is raised."""

    def fail(_):
        raise LookupError("first")

    with pytest.raises(LookupError, match="first"):
        colour.handle(handler(store=Broken("release")), BODY, fail)

    assert "the store did not release it" in caplog.text


def test_refused_callback_is_replied_to_and_logged(colour, caplog):
    """Nothing is dealt with, the reply says no more than it must, the log says why."""
    seen = []
    with caplog.at_level(logging.WARNING, "wechatpay"):
        reply = colour.handle(handler(), BODY, seen.append, signed(BODY, key="stranger"))

    assert (401, b'{"code":"FAIL","message":"the signature does not match"}') == (reply.status, reply.body)
    assert [] == seen
    assert "callback refused: the signature does not belong to the callback" in caplog.text


def test_probe_is_refused_without_an_alarm(colour, caplog):
    """WeChat Pay tests whether signatures are checked: that they are is nothing to warn of."""
    headers = signed(BODY) | {"Wechatpay-Signature": "WECHATPAY/SIGNTEST/x"}
    with caplog.at_level(logging.INFO, "wechatpay"):
        reply = colour.handle(handler(), BODY, print, headers)

    assert 401 == reply.status
    assert [("wechatpay", logging.INFO, "callback refused: a probe: a wrong signature, sent on purpose")] == (
        caplog.record_tuples
    )


def test_plain_function_may_block_without_holding_the_loop_up():
    """Async, what is no coroutine function runs on a thread."""
    threads = []

    async def main():
        await handler().ahandle(signed(BODY), BODY, lambda _: threads.append(threading.get_ident()))

    asyncio.run(main())

    assert [threading.get_ident()] != threads
    assert 1 == len(threads)


class Callable:
    """An object with an asynchronous call."""

    async def __call__(self, notification):
        """Say what was seen."""
        await asyncio.sleep(0)
        return {"seen": notification.id}


def awaitable(notification):
    """Return a coroutine from a plain function."""
    return Callable()(notification)


@pytest.mark.parametrize("process", [Callable(), awaitable], ids=["object", "function"])
def test_whatever_can_be_awaited_is(process):
    """Coroutines come from functions, objects and lambdas alike."""
    reply = asyncio.run(handler().ahandle(signed(BODY), BODY, process))

    assert ID == json.loads(reply.body)["seen"]


def test_asynchronous_process_in_the_blocking_entry_says_what_to_do():
    """It would never run; and the event is not lost by the mistake."""
    service = handler()
    with pytest.raises(ConfigurationError, match=r"awaitable is asynchronous: handle with ahandle\(\)"):
        service.handle(signed(BODY), BODY, awaitable)

    assert 200 == service.handle(signed(BODY), BODY, lambda _: None).status


def test_awaitable_that_is_no_coroutine_says_the_same():
    """Futures need a loop, too."""
    future = asyncio.new_event_loop()
    try:
        with pytest.raises(ConfigurationError, match="asynchronous"):
            handler().handle(signed(BODY), BODY, lambda _: future.create_future())
    finally:
        future.close()


def test_mistakes_of_the_caller_are_not_replied_to(colour):
    """A body that was decoded is a bug of this service, and raises."""
    with pytest.raises(RequestError, match=r"^body"):
        colour.handle(handler(), BODY.decode(), print, signed(BODY))


def test_parse_reads_without_a_loop_or_a_store_and_aparse_from_one():
    """Both give the same notification, and remember nothing."""
    service = handler()
    found = service.parse(signed(BODY), BODY)

    assert found == asyncio.run(service.aparse(signed(BODY), BODY))
    assert 0 == len(service.store)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"certs": None, "secret": None}, "give certs and apiv3_key"),
        ({"apiv3_key": None}, "apiv3_key: missing"),
        ({"apiv3_key": "short"}, "apiv3_key: is 32 bytes, got 5 bytes"),
        ({"apiv3_key": 7}, "apiv3_key: is 32 bytes, got int"),
        ({"secret": ""}, "secret: give the APIv2 key as text"),
        ({"secret": b"bytes"}, "secret: give the APIv2 key as text"),
        ({"certs": {}}, "certs: "),
        ({"certs": {"S": "no key"}}, "certs"),
        ({"lease": 0}, "lease: "),
    ],
    ids=str,
)
def test_settings_are_checked_at_construction(settings, said):
    """A service that could not take callbacks does not start."""
    with pytest.raises(ConfigurationError, match=f"^{said}"):
        handler(**settings)
