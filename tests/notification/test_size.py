"""Bodies are small: what is larger is refused with 413, and what is long holds no event loop up."""

from __future__ import annotations

import asyncio
import http.client
import threading
from contextlib import closing

import pytest
from notification import servers
from notification.callbacks import NOW, envelope, handler, payment, signed

from wechatpay import ConfigurationError
from wechatpay.notification import OversizedNotificationError

LIMIT = 65_536
LARGE = envelope(summary="x" * LIMIT)


@pytest.mark.parametrize("body", [LARGE, b"<xml>" + b" " * LIMIT + b"</xml>"], ids=["v3", "v2"])
def test_body_above_the_limit_is_refused(entry, body):
    """It is neither verified nor parsed, whoever signed it."""
    seen = []
    reply = entry.handle(handler(), body, seen.append)

    assert (413, []) == (reply.status, seen)
    with pytest.raises(OversizedNotificationError, match=r"bytes, and 65536 are accepted.*max_body"):
        handler().parse(signed(body), body)


def test_limit_is_a_setting(entry):
    """A gateway in front may wrap callbacks, or a merchant may know better."""
    assert 200 == entry.handle(handler(max_body=2 * LIMIT), LARGE, lambda _: None).status
    assert 413 == entry.handle(handler(max_body=100), envelope(), lambda _: None).status
    with pytest.raises(ConfigurationError, match=r"^max_body"):
        handler(max_body=0)


def test_body_above_the_limit_for_it_is_not_searched_for_a_reencoding():
    """Each attempt costs a signature."""
    body = envelope(summary="x" * LIMIT)
    reply = handler(max_body=2 * LIMIT).handle(signed(body, at=NOW), body + b"\n", print)

    assert 401 == reply.status


@pytest.mark.parametrize(
    ("make", "is_on_loop"),
    [
        (envelope, True),
        (payment, True),
        (lambda: envelope(summary="x" * 10_000), False),
        (lambda: payment(attach="x" * 10_000), False),
    ],
    ids=["v3", "v2", "long-v3", "long-v2"],
)
def test_long_body_is_verified_off_the_event_loop(make, is_on_loop):
    """A body of the usual size costs less than a thread does; a longer one runs on a thread."""
    body = make()

    async def main():
        await handler().aparse(signed(body), body)
        return any(thread.name.startswith("asyncio_") for thread in threading.enumerate())

    assert is_on_loop == (not asyncio.run(main()))


FRAMEWORKS = ["flask", "django", "asynchronous_django", "fastapi", "starlette", "aiohttp"]


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_views_refuse_a_large_body_by_its_length(name):
    """They respond before they read it."""
    seen = []
    with getattr(servers, name)(handler(), seen.append) as port:
        status, _, body = servers.post(port, signed(LARGE), LARGE)

    assert (413, b'{"code":"FAIL","message":"too large"}', []) == (status, body, seen)


@pytest.mark.parametrize("name", [name for name in FRAMEWORKS if name != "django"])
@pytest.mark.parametrize(("body", "expected"), [(envelope(), 200), (LARGE, 413)], ids=["usual", "large"])
def test_views_bound_a_body_of_unknown_length(name, body, expected):
    """Chunked bodies have no length to look at first; Django under WSGI takes none."""
    with (
        getattr(servers, name)(handler(), lambda _: None) as port,
        closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection,
    ):
        chunks = [body[at : at + 1000] for at in range(0, len(body), 1000)]
        headers = signed(body) | {"Content-Type": "application/json"}
        connection.request("POST", servers.PATH, iter(chunks), headers, encode_chunked=True)
        assert expected == connection.getresponse().status
