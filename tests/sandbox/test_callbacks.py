"""Callbacks that the sandbox makes: what they say, and what the library takes them for."""

from __future__ import annotations

import json

import pytest
import sandboxes
from sandboxes import NOW

from wechatpay import Builder, ConfigurationError, InvalidRequestError
from wechatpay.notification import (
    ForgedNotificationError,
    MalformedNotificationError,
    ProbeNotificationError,
    ReencodedNotificationError,
    StaleNotificationError,
    UndecryptableNotificationError,
    UnknownSerialNotificationError,
    UnsignedNotificationError,
)
from wechatpay.sandbox import Sandbox, faults
from wechatpay.testing import Platform

YEAR = 365 * 86400


@pytest.fixture(scope="module")
def platform():
    """Give a WeChat Pay that lives in 2023."""
    return Platform(identity=sandboxes.identity(), clock=lambda: NOW)


@pytest.fixture
def handler(platform):
    """Give the handler of the merchant's Builder."""
    return Builder(**platform.settings()).getDriver().notifications()


@pytest.fixture
def read(platform, handler):
    """Give a function that has a callback made and read."""

    def read(*event, **details):
        callback = platform.notification(*event, **details)
        return handler.parse(callback.headers, callback.body)

    return read


@pytest.fixture
def refused(platform, handler):
    """Give a function that has a callback made and refused, and returns the reply's status."""

    def refused(error, *event, **details):
        callback = platform.notification(*event, **details)
        with pytest.raises(error):
            handler.parse(callback.headers, callback.body)
        return handler.handle(callback.headers, callback.body, pytest.fail).status

    return refused


@pytest.mark.parametrize("aad", [None, "", "other"])
def test_associated_data_may_be_anything(platform, read, aad):
    """WeChat Pay may leave it out, or empty."""
    body = json.loads(platform.notification(associated_data=aad).body)

    assert aad == body["resource"].get("associated_data")
    assert "SUCCESS" == read(associated_data=aad).resource["trade_state"]


def test_event_without_an_example_needs_a_resource(platform, read):
    """Any event can be sent; the error tells which need no words."""
    with pytest.raises(
        ConfigurationError, match=r"'UNHEARD.OF' is unknown; give its resource, or one of TRANSACTION"
    ):
        platform.notification("UNHEARD.OF")

    found = read("UNHEARD.OF", {"mchid": "1", "fapiao_apply_id": "2"})
    assert {"mchid": "1", "fapiao_apply_id": "2"} == found.resource


@pytest.mark.parametrize("resource", [None, {"out_trade_no": "N1"}])
@pytest.mark.parametrize(
    ("event", "meant"), [("TRANSACTION.SUCCES", "TRANSACTION.SUCCESS"), ("v2/payments", "v2/payment")]
)
def test_misspelt_event_is_refused(platform, resource, event, meant):
    """A test would try what WeChat Pay never sends."""
    with pytest.raises(ConfigurationError, match=f"'{event}' is unknown; did you mean '{meant}'"):
        platform.notification(event, resource)


def test_resource_as_bytes_is_encrypted_as_it_is(refused):
    """What is inside need not be JSON."""
    assert 400 == refused(MalformedNotificationError, "TRANSACTION.SUCCESS", "张三".encode("gb18030"))


@pytest.mark.parametrize("index", [0, 1], ids=["public key", "certificate"])
def test_key_that_signs_can_be_chosen(platform, read, index):
    """Callbacks are signed with a public key or a certificate's, as responses are."""
    serial = tuple(platform.settings()["certs"])[index]

    assert serial == platform.notification(serial=serial).headers["Wechatpay-Serial"]
    assert read(serial=serial)


@pytest.mark.parametrize("sign_type", ["MD5", "HMAC-SHA256"])
def test_both_digests_of_apiv2_are_there(read, sign_type):
    """Old merchants have the one, and some the other."""
    found = read("v2/payment", {"out_trade_no": "N1", "total_fee": 7}, sign_type=sign_type)

    assert ("N1", "7") == (found.resource["out_trade_no"], found.resource["total_fee"])
    assert {"MD5": None}.get(sign_type, sign_type) == found.resource.get("sign_type")


def test_refund_of_apiv2_is_hidden(platform, read):
    """Only whoever has the key reads which refund it is; texts are safe in XML."""
    callback = platform.notification("v2/refund", {"out_refund_no": "]]>R&1"})

    assert b"R&1" not in callback.body
    assert b"<req_info>" in callback.body
    assert "]]>R&1" == read("v2/refund", {"out_refund_no": "]]>R&1"}).resource["out_refund_no"]


@pytest.mark.parametrize(
    ("fault", "error", "status"),
    [
        pytest.param(faults.OldTimestamp(YEAR), StaleNotificationError, 401, id="a year old"),
        pytest.param(faults.OldTimestamp(-301), StaleNotificationError, 401, id="of the future"),
        pytest.param(faults.WrongSignature(), ForgedNotificationError, 401, id="wrong signature"),
        pytest.param(faults.TamperedBody(), ForgedNotificationError, 401, id="tampered"),
        pytest.param(faults.Probe(), ProbeNotificationError, 401, id="probe"),
        pytest.param(faults.UnknownSerial(), UnknownSerialNotificationError, 401, id="unknown serial"),
        pytest.param(faults.Unsigned(), UnsignedNotificationError, 401, id="unsigned"),
        pytest.param(faults.MissingHeader("Wechatpay-Nonce"), UnsignedNotificationError, 401, id="no nonce"),
        pytest.param(faults.NoResource(), MalformedNotificationError, 400, id="no resource"),
        pytest.param(faults.NotUtf8(), MalformedNotificationError, 400, id="not utf-8"),
        pytest.param(faults.OtherCipher(), UndecryptableNotificationError, 500, id="other cipher"),
        pytest.param(faults.Reencoded(), ReencodedNotificationError, 500, id="re-encoded"),
    ],
)
def test_fault_comes_out_as_its_error(refused, fault, error, status):
    """Each fault of APIv3 is told from the others, and gets the right reply."""
    assert status == refused(error, fault=fault)


@pytest.mark.parametrize(
    ("event", "fault", "error"),
    [
        ("v2/payment", faults.WrongSignature(), ForgedNotificationError),
        ("v2/payment", faults.Unsigned(), UnsignedNotificationError),
        ("v2/payment", faults.TamperedBody(lambda body: body.replace(b"100", b"1")), ForgedNotificationError),
        ("v2/refund", faults.WrongSignature(), ForgedNotificationError),
        ("v2/refund", faults.Unsigned(), UnsignedNotificationError),
    ],
)
def test_fault_of_apiv2_comes_out_as_its_error(refused, event, fault, error):
    """XML that the merchant's key does not prove is turned away."""
    assert 401 == refused(error, event, fault=fault)


def test_replayed_callback_is_dealt_with_once(platform, handler):
    """The very same callback, sent again, gets the same reply and does nothing."""
    callback, seen = platform.notification(), []
    replies = {handler.handle(callback.headers, callback.body, seen.append).status for _ in range(2)}

    assert ({200}, 1) == (replies, len(seen))


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        ("TRANSACTION.SUCCESS", faults.ErrorResponse()),
        ("TRANSACTION.SUCCESS", faults.Reset()),
        ("TRANSACTION.SUCCESS", faults.HtmlPage()),
        ("TRANSACTION.SUCCESS", faults.Delay(1)),
        ("v2/payment", faults.Probe()),
        ("v2/refund", faults.NoResource()),
    ],
)
def test_fault_of_something_else_is_refused(platform, event, fault):
    """A test that would test nothing hears of it."""
    with pytest.raises(ConfigurationError, match=r"^fault: \w+ does not apply to a v[23] callback"):
        platform.notification(event, fault=fault)


def test_fault_of_callbacks_applies_to_no_response():
    """It would wait for ever."""
    with pytest.raises(ConfigurationError, match=r"NoResource applies to callbacks; pass it to notify\(\)"):
        Sandbox(identity=sandboxes.identity()).inject(faults.NoResource())


@pytest.mark.parametrize(
    ("error", "event", "resource", "words"),
    [
        (ConfigurationError, "v2/payment", {"amount": {"total": 1}}, "resource: APIv2 has only texts"),
        (ConfigurationError, "v2/payment", b"<xml/>", "resource: APIv2 has only texts"),
        (ConfigurationError, "v2/unheard-of", None, "'v2/unheard-of' is unknown"),
        (InvalidRequestError, "TRANSACTION.SUCCESS", {"amount": float("nan")}, "resource.amount: a float"),
    ],
)
def test_what_cannot_be_told_is_refused(platform, error, event, resource, words):
    """Mistakes in a test are told as such."""
    with pytest.raises(error, match=words):
        platform.notification(event, resource)


def test_key_that_there_is_not_cannot_sign(platform):
    """The error names those there are; `UnknownSerial` is for strangers."""
    with pytest.raises(ConfigurationError, match="serial: give one of PUB_KEY_ID_"):
        platform.notification(serial="none")


def test_callback_shows_nothing_of_its_contents(platform):
    """It may stand in a log."""
    callback = platform.notification("v2/payment", {"out_trade_no": "N1"})

    assert f"<Callback text/xml, {len(callback.body)} bytes>" == repr(callback)
