"""No key stands in the local variables of a frame that an error passes: error trackers send them."""

from __future__ import annotations

import enum
import hashlib
import pickle

import digests
import pytest
from notification.callbacks import APIV3_KEY, closed, envelope, event, handler, payment, refund, signed

from wechatpay import ConfigurationError, IncompleteHeadersError, NotificationError
from wechatpay.apiv3.verification import RESPONSE, SignatureHeaders
from wechatpay.messages import Headers, Request
from wechatpay.notification import NotificationHandler

KEYS = {
    "apiv3_key": APIV3_KEY,
    "wrong key": "0" * 32,
    "secret": digests.SECRET,
    "digest": hashlib.md5(digests.SECRET.encode()).hexdigest(),
}


def frames(error, seen=()):
    """Give the package's frames of an error, and of those that led to it."""
    trace = error.__traceback__
    while trace:
        if "/wechatpay/" in trace.tb_frame.f_code.co_filename:
            yield trace.tb_frame
        trace = trace.tb_next
    for other in (error.__cause__, error.__context__):
        if other is not None and other not in seen:
            yield from frames(other, (*seen, error))


def shown(error):
    """Give the keys that the local variables show."""
    text = "\n".join(repr(frame.f_locals) for frame in frames(error))
    assert text
    return [name for name, key in KEYS.items() if key in text]


@pytest.mark.parametrize(
    ("body", "settings"),
    [
        (envelope(), {"apiv3_key": "0" * 32}),
        (envelope(b"text"), {}),
        (event(event_nonce="fdasflkja485"), {}),
        (payment().replace(b">1<", b">2<"), {}),
        (refund(req_info=closed(b"text")), {}),
        (refund(secret="another0secret0of032characters0x"), {}),
    ],
    ids=["key", "content", "event", "sign", "refund", "secret"],
)
def test_refused_callback_shows_no_key(body, settings):
    """Above all one that does not decrypt."""
    with pytest.raises(NotificationError) as caught:
        handler(**settings).parse(signed(body), body)

    assert [] == shown(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"ttl": 0},
        {"certs": {"S": "no key"}},
        {"apiv3_key": APIV3_KEY + "!"},
        {"secret": digests.SECRET.encode()},
    ],
    ids=["ttl", "certs", "apiv3_key", "secret"],
)
def test_wrong_setting_shows_no_key(settings):
    """A constructor that fails has all the keys."""
    with pytest.raises(ConfigurationError) as caught:
        handler(**settings)

    assert [] == shown(caught.value)


def test_settings_are_exact_strings():
    """A member of an enumeration is the text that it stands for."""

    class Shop(str, enum.Enum):  # noqa: UP042  what many services have
        KEY = digests.SECRET
        MAIN = "1900000109"

    service = NotificationHandler(secret=Shop.KEY, mchid=Shop.MAIN)

    assert str is type(service._xml.secret.reveal()) is type(service._xml.mchid)
    with pytest.raises(ConfigurationError, match="mchid: give text, not int"):
        NotificationHandler(secret=digests.SECRET, mchid=1900000109)


def test_control_characters_of_a_callback_forge_no_log_line(caplog):
    """They are logged escaped."""
    body = envelope(id="EV\n2026 callback paid\x1b[2J")
    service = handler()
    with caplog.at_level("INFO", "wechatpay"):
        for _ in range(2):
            service.handle(signed(body), body, lambda _: None)

    assert "callback EV\\n2026 callback paid\\x1b[2J was delivered again" in caplog.text
    assert "\\n2026" in repr(service.parse(signed(body), body))


def test_callback_without_signature_headers_says_why_that_may_be():
    """A proxy, a stranger, or a test."""
    with pytest.raises(
        NotificationError, match=r"proxy.*removed its Wechatpay-\* headers.*wechatpay\.testing"
    ):
        handler().parse({}, envelope())


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("api.mch.weixin.qq.com", "a proxy between here and WeChat Pay removed its Wechatpay-"),
        ("127.0.0.1:8080", "127.0.0.1:8080 is not a host of WeChat Pay; for tests, wechatpay.testing"),
    ],
    ids=["wechat-pay", "other"],
)
def test_response_without_signature_headers_is_explained_by_its_host(host, expected):
    """A proxy where WeChat Pay was called, a test double elsewhere."""
    with pytest.raises(IncompleteHeadersError, match=expected):
        SignatureHeaders.read(Headers(), 0, RESPONSE, Request("GET", f"https://{host}/"))


def test_secret_shows_and_pickles_nothing():
    """Neither its repr nor a copy of its state holds the key."""
    secret = handler()._apiv3_key

    assert "<Secret>" == repr(secret) == str(secret)
    with pytest.raises(TypeError, match="does not pickle"):
        pickle.dumps(secret)
