"""Each event is dealt with once, however often it comes; by every entry."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from aiohttp import web
from cases import each
from notification.callbacks import ID, ORDER, envelope, handler, payment, refund, signed

from wechatpay import ConfigurationError, InvalidRequestError
from wechatpay.notification import Reply

BODY = envelope()


def test_event_is_dealt_with_and_acknowledged(entry):
    """The process gets the notification, and WeChat Pay a success."""
    seen = []
    reply = entry.handle(handler(), BODY, seen.append)

    assert (200, {"code": "SUCCESS", "message": "OK"}) == (reply.status, json.loads(reply.body))
    assert [ORDER] == [notification.resource for notification in seen]


@pytest.mark.parametrize("make", [envelope, payment, refund], ids=["v3", "payment", "refund"])
def test_event_that_comes_again_is_acknowledged_and_not_dealt_with(entry, make):
    """A replay, and a delivery with a signature of its own, are the same event."""
    service, seen, body = handler(), [], make()
    first = entry.handle(service, body, seen.append)
    replayed = entry.handle(service, body, seen.append)
    delivered = entry.handle(service, body, seen.append, signed(body, nonce="ANOTHER"))

    assert first == replayed == delivered
    assert 1 == len(seen)


def test_reply_with_data_is_repeated_with_its_data(entry):
    """A few events are questions: the response was lost if they come again."""
    service, responses = handler(), iter([{"total_amount": 1500}])
    replies = [entry.handle(service, BODY, lambda _: next(responses)) for _ in range(2)]

    assert replies[0] == replies[1]
    assert {"code": "SUCCESS", "message": "OK", "total_amount": 1500} == json.loads(replies[1].body)


def test_process_may_reply_for_itself(entry):
    """Whatever it makes is sent, and kept if it is a success."""
    service, own = handler(), Reply(204, {"X-Own": "1"}, b"")

    assert own == entry.handle(service, BODY, lambda _: own)
    assert own == entry.handle(service, BODY, lambda _: None)


@each("outcome", [True, "OK", 200, ["list"], {"amount": 1.5j}], ids=repr)
def test_outcome_that_is_none_is_a_mistake_that_shows(entry, outcome):
    """A process returns nothing, fields, or a reply; the event comes again until it does."""
    service = handler()
    with pytest.raises(
        InvalidRequestError, match=r"EV-.* returned .*: return None to acknowledge.*delivers it again"
    ):
        entry.handle(service, BODY, lambda _: outcome)

    assert 200 == entry.handle(service, BODY, lambda _: None).status


def test_response_of_a_framework_is_not_taken_for_fields(entry):
    """The responses of aiohttp are mappings, too: only its view knows what they say."""
    rejected = web.json_response({"code": "FAIL"}, status=500)
    with pytest.raises(InvalidRequestError, match=r"returned Response: .* wechatpay\.notification\.views"):
        entry.handle(handler(), BODY, lambda _: rejected)


def test_contradicting_fields_are_an_error_that_says_so(entry):
    """A success with the code FAIL is a mistake."""
    with pytest.raises(InvalidRequestError, match=r"returned dict \(data: code must be SUCCESS"):
        entry.handle(handler(), BODY, lambda _: {"code": "FAIL"})


def test_refused_callback_is_replied_to_and_logged(entry, caplog):
    """Nothing is dealt with, the reply says no more than it must, the log says why."""
    seen = []
    with caplog.at_level(logging.WARNING, "wechatpay"):
        reply = entry.handle(handler(), BODY, seen.append, signed(BODY, key="stranger"))

    assert (401, b'{"code":"FAIL","message":"the signature does not match"}') == (reply.status, reply.body)
    assert [] == seen
    assert "callback refused: the signature does not belong to the callback" in caplog.text


def test_probe_is_refused_without_an_alarm(entry, caplog):
    """WeChat Pay tests whether signatures are checked: that they are is nothing to warn of."""
    headers = signed(BODY) | {"Wechatpay-Signature": "WECHATPAY/SIGNTEST/x"}
    with caplog.at_level(logging.INFO, "wechatpay"):
        reply = entry.handle(handler(), BODY, print, headers)

    assert 401 == reply.status
    assert [("wechatpay", logging.INFO, "callback refused: a probe: a wrong signature, sent on purpose")] == (
        caplog.record_tuples
    )


def test_plain_function_may_block_without_holding_the_loop_up():
    """Async, what is not a coroutine function runs on a thread."""
    threads = []

    async def main():
        await handler().ahandle(signed(BODY), BODY, lambda _: threads.append(threading.get_ident()))

    asyncio.run(main())

    assert [threading.get_ident()] != threads
    assert 1 == len(threads)


def test_slow_plain_functions_leave_the_threads_of_the_event_loop_free():
    """Stores and look-ups of host names need them: a duplicate gets its 503 at once."""
    service, done = handler(), threading.Event()

    async def main():
        loop, inside = asyncio.get_running_loop(), asyncio.Event()
        loop.set_default_executor(ThreadPoolExecutor(1))

        def block(_):
            loop.call_soon_threadsafe(inside.set)
            done.wait(5)

        slow = asyncio.create_task(service.ahandle(signed(BODY), BODY, block))
        await inside.wait()
        duplicate = await service.ahandle(signed(BODY), BODY, block)
        done.set()
        return duplicate.status, (await slow).status

    assert (503, 200) == asyncio.run(main())


def test_event_whose_claim_expires_while_it_waits_for_a_thread_is_not_handled(monkeypatch):
    """Another process may handle it by then; if none does, the next delivery is handled."""
    monkeypatch.setattr("wechatpay.notification.handler._THREADS", 1)
    service, seen = handler(ttl=0.1), []
    bodies = [envelope(id="first"), envelope(id="second")]

    def settle(notification):
        seen.append(notification.id)
        time.sleep(0.2)

    async def main():
        calls = [service.ahandle(signed(body), body, settle) for body in bodies]
        replies = await asyncio.gather(*calls)
        again = await service.ahandle(signed(bodies[1]), bodies[1], settle)
        return [reply.status for reply in (*replies, again)]

    assert [200, 503, 200] == asyncio.run(main())
    assert ["first", "second"] == seen


def test_plain_function_has_the_context_variables_of_the_caller():
    """Tracers and translations are found by them."""
    language, seen = contextvars.ContextVar("language"), []

    async def main():
        language.set("zh")
        await handler().ahandle(signed(BODY), BODY, lambda _: seen.append(language.get(None)))

    asyncio.run(main())

    assert ["zh"] == seen


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
    with pytest.raises(ConfigurationError, match=r"awaitable is asynchronous: call ahandle\(\)"):
        service.handle(signed(BODY), BODY, awaitable)

    assert 200 == service.handle(signed(BODY), BODY, lambda _: None).status


def test_awaitable_that_is_not_a_coroutine_says_the_same():
    """Futures need a loop, too."""
    future = asyncio.new_event_loop()
    try:
        with pytest.raises(ConfigurationError, match="asynchronous"):
            handler().handle(signed(BODY), BODY, lambda _: future.create_future())
    finally:
        future.close()


def test_mistakes_of_the_caller_are_not_replied_to(entry):
    """A body that was decoded is a bug of this service, and raises."""
    with pytest.raises(InvalidRequestError, match=r"^body"):
        entry.handle(handler(), BODY.decode(), print, signed(BODY))


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
        ({"secret": ""}, "secret: give one word"),
        ({"secret": "0"}, "secret: the APIv2 key has 32 characters, got 1"),
        ({"secret": b"bytes"}, "secret: give it as text, not bytes"),
        ({"certs": {}}, "certs: "),
        ({"certs": {"S": "no key"}}, "certs"),
        ({"ttl": 0}, "ttl: "),
    ],
    ids=str,
)
def test_settings_are_checked_at_construction(settings, said):
    """A service that could not take callbacks does not start."""
    with pytest.raises(ConfigurationError, match=f"^{said}"):
        handler(**settings)
