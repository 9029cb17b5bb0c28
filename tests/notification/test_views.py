"""The frameworks, under their own servers, take real callbacks over real sockets."""

from __future__ import annotations

import json

import pytest
from notification import servers
from notification.callbacks import ORDER, REFUND, envelope, handler, refund, signed

from wechatpay import ConfigurationError
from wechatpay.notification import views

BODY = envelope()


BLOCKING = ("flask", "django")
ASYNCHRONOUS = ("asynchronous_django", "fastapi", "starlette", "aiohttp")


def settle(notification):
    """Settle an order."""
    settle.seen.append(notification.resource)


async def settle_later(notification):
    """Settle an order."""
    settle(notification)


@pytest.fixture(
    params=[
        *((name, settle) for name in BLOCKING + ASYNCHRONOUS),
        *((name, settle_later) for name in ASYNCHRONOUS),
    ],
    ids=lambda param: f"{param[0]}-{param[1].__name__}",
)
def framework(request):
    """Give one framework after the other, with a function and with a coroutine function that it calls."""
    settle.seen = []
    return request.param


@pytest.fixture
def port(framework):
    """Give the port of a server that takes callbacks."""
    name, process = framework
    with getattr(servers, name)(handler(), process) as port:
        yield port


def test_callback_is_dealt_with_once_and_acknowledged(port):
    """The raw body and the headers arrive, and WeChat Pay hears of success, also the second time."""
    replies = [servers.post(port, signed(BODY), BODY) for _ in range(2)]

    assert [ORDER] == settle.seen
    assert [(200, "application/json", b'{"code":"SUCCESS","message":"OK"}')] * 2 == replies


def test_refund_of_apiv2_is_acknowledged_in_xml(port):
    """One URL serves both protocols."""
    status, kind, body = servers.post(port, {"Content-Type": "text/xml"}, refund())

    assert [REFUND] == settle.seen
    assert (200, "text/xml") == (status, kind.partition(";")[0])
    assert b"<xml><return_code>SUCCESS</return_code><return_msg>OK</return_msg></xml>" == body


def test_forged_callback_is_turned_away(port):
    """Nothing is dealt with, and the reply says FAIL."""
    status, _, body = servers.post(port, signed(BODY, key="stranger"), BODY)

    assert [] == settle.seen
    assert (401, "FAIL") == (status, json.loads(body)["code"])


def test_callback_without_a_body_is_turned_away(port):
    """An empty request is not an accident that a framework has to handle."""
    status, _, _ = servers.post(port, {}, b"")

    assert (401, []) == (status, settle.seen)


def test_only_posts_are_taken(port):
    """A person who opens the URL in a browser sees no failure of a callback."""
    status, _, _ = servers.post(port, {}, None, "GET")

    assert 405 == status


def test_view_is_named_after_its_process(framework):
    """Frameworks tell views apart by their names, and show their docstrings."""
    name, process = framework
    decorate = getattr(views, {"asynchronous_django": "django", "fastapi": "starlette"}.get(name, name))
    view = decorate(handler())(process)

    assert (process.__name__, "Settle an order.") == (view.__name__, view.__doc__)


def test_flask_takes_no_coroutine_function():
    """It would never run: the mistake shows before the first callback."""
    with pytest.raises(ConfigurationError, match="Flask's views block"):
        views.flask(handler())(settle_later)


@pytest.mark.parametrize("name", ["flask", "django", "fastapi", "starlette", "aiohttp"])
def test_failure_of_the_process_is_the_frameworks_to_report(name, caplog):
    """It responds with 500, so that the event comes again, and is dealt with then."""
    outcomes = iter([LookupError("no such order"), None])

    def process(_):
        if error := next(outcomes):
            raise error

    with getattr(servers, name)(handler(), process) as port:
        statuses = [servers.post(port, signed(BODY), BODY)[0] for _ in range(2)]

    assert [500, 200] == statuses
    assert "no such order" in caplog.text
