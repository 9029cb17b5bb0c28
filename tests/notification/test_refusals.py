"""APIv3's callbacks: what is refused, as what, and what the refusal says."""

from __future__ import annotations

import json
import pickle

import pytest
from cases import each
from flask import Flask, request
from notification.callbacks import NOW, envelope, handler, signed
from wire.gateway import SERIAL

from wechatpay import (
    ClockSkewError,
    CryptoError,
    DecodeError,
    IncompleteHeadersError,
    InvalidRequestError,
    NotificationError,
    SignatureError,
    UnknownSerialError,
)
from wechatpay.notification import (
    ForgedNotificationError,
    MalformedNotificationError,
    ProbeNotificationError,
    ReencodedNotificationError,
    StaleNotificationError,
    UnconfiguredNotificationError,
    UndecryptableNotificationError,
    UnknownSerialNotificationError,
    UnsignedNotificationError,
)

YEAR = 365 * 86400


@pytest.fixture
def refused():
    """Give a function that has a callback refused, and returns why."""

    def refuse(body, headers=None, **settings):
        with pytest.raises(NotificationError) as caught:
            handler(**settings).parse(signed(body) if headers is None else headers, body)
        return caught.value

    return refuse


@pytest.mark.parametrize(
    "body", [envelope().decode(), json.loads(envelope()), None], ids=["str", "json", "None"]
)
def test_body_that_is_not_bytes_is_a_mistake_of_the_caller(body):
    """Only bytes can be verified: text and parsed JSON are not what was signed."""
    with pytest.raises(
        InvalidRequestError, match=r"^body: give the raw bytes as they were received, not \w+"
    ):
        handler().parse(signed(envelope()), body)


@pytest.mark.parametrize("skew", [301, -301, YEAR])
def test_callback_of_another_time_is_refused(refused, skew):
    """A callback signed more than 300 s from our clock is never accepted."""
    error = refused(envelope(), signed(envelope(), at=NOW - skew))

    assert StaleNotificationError is type(error)
    assert isinstance(error, ClockSkewError)
    assert skew == error.skew
    assert (401, "v3") == (error.reply.status, error.version)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.replace(b"SUCCESS", b"FAILURE"),
        lambda body: body[:-1],
        lambda body: body + b"{}",
        lambda _: b"[" * 60_000,
        lambda _: b"\xff",
        lambda _: b'{"id": "\\ud800"}',
    ],
    ids=["word", "cut", "more", "deep", "bytes", "surrogate"],
)
def test_tampered_callback_is_refused(refused, change):
    """A body that is not what was signed is never accepted, whatever it is made of."""
    error = refused(change(envelope()), signed(envelope()))

    assert ForgedNotificationError is type(error)
    assert isinstance(error, SignatureError)
    assert 401 == error.reply.status


@pytest.mark.parametrize("name", ["Wechatpay-Nonce", "Wechatpay-Timestamp", "Wechatpay-Signature"])
def test_tampered_header_is_refused(refused, name):
    """The nonce and the time are signed with the body."""
    headers = signed(envelope())
    headers[name] = headers[name][:-1] + ("0" if headers[name][-1] != "0" else "1")

    assert ForgedNotificationError is type(refused(envelope(), headers))


def test_empty_body_hints_at_a_body_that_was_read_before(refused):
    """Frameworks give an empty body the second time."""
    error = refused(b"", signed(envelope()))

    assert "the body is empty: check that nothing reads it before" == str(error)


def test_signature_of_a_stranger_is_refused(refused):
    """Another key under WeChat Pay's serial number verifies nothing."""
    assert ForgedNotificationError is type(refused(envelope(), signed(envelope(), key="stranger")))


def test_unknown_serial_is_refused_by_name(refused):
    """The error names the key that is missing, and those that are there."""
    error = refused(envelope(), signed(envelope(), serial="PUB_KEY_ID_9"))

    assert UnknownSerialNotificationError is type(error)
    assert isinstance(error, UnknownSerialError)
    assert "PUB_KEY_ID_9" == error.serial
    assert "PUB_KEY_ID_9" in str(error)
    assert SERIAL in str(error)


def test_probe_is_recognised(refused):
    """WeChat Pay's wrong signature on purpose fails, and is told from a forgery."""
    headers = signed(envelope())
    headers["Wechatpay-Signature"] = "WECHATPAY/SIGNTEST/" + headers["Wechatpay-Signature"]
    error = refused(envelope(), headers)

    assert ProbeNotificationError is type(error)
    assert isinstance(error, SignatureError)
    assert 401 == error.reply.status


@pytest.mark.parametrize("name", ["Timestamp", "Nonce", "Serial", "Signature"])
@pytest.mark.parametrize("value", [None, ""], ids=["absent", "empty"])
def test_missing_header_is_named(refused, name, value):
    """Without all four headers nothing is looked at further."""
    headers = signed(envelope()) | {f"Wechatpay-{name}": value}
    error = refused(envelope(), headers)

    assert UnsignedNotificationError is type(error)
    assert isinstance(error, IncompleteHeadersError)
    assert f"Wechatpay-{name}" in str(error)


@pytest.mark.parametrize("value", ["12a", "-1", "1e9", "²", "1" * 21, "1700000000, 1700000001"])
def test_malformed_timestamp_is_refused(refused, value):
    """Timestamps are decimal digits, nothing else."""
    error = refused(envelope(), signed(envelope()) | {"Wechatpay-Timestamp": value})

    assert UnsignedNotificationError is type(error)


@each(
    ("body", "said"),
    [
        (envelope(resource=...), "has no resource"),
        (b'{"id":"1","resource":null}', "has no resource"),
        (b'{"id":"1","resource":"text"}', "has no resource"),
        (b'{"resource":{}}', "has no id"),
        (b'{"id":7,"resource":{}}', "has no id"),
        (envelope(inner={"ciphertext": ...}), "its ciphertext is missing"),
        (envelope(inner={"nonce": 7}), "its nonce is missing"),
        (envelope(inner={"algorithm": ...}), "its algorithm is missing"),
        (envelope(inner={"associated_data": ["a"]}), "its associated_data is missing"),
        ("支付".encode("gbk"), "the callback is not UTF-8"),
        (json.dumps({"id": "1"}).encode("utf-16"), "the callback is not UTF-8"),
        (b"id=1&resource=2", "the callback is not JSON"),
        (b"[" * 60_000, "the callback is not JSON"),
        (b"[]", "the callback is JSON, but not an object"),
        (envelope(b"\xff"), "the resource is not UTF-8"),
        (envelope(b"<xml/>"), "the resource is not JSON"),
        (envelope(["list"]), "the resource is JSON, but not an object"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_genuine_callback_that_is_malformed_says_what_is_wrong(refused, body, said):
    """A signature verifies who wrote it, not that it makes sense."""
    error = refused(body)

    assert MalformedNotificationError is type(error)
    assert isinstance(error, DecodeError)
    assert said in str(error)
    assert 400 == error.reply.status


@pytest.mark.parametrize("algorithm", ["AEAD_SM4_GCM", "AEAD_AES_128_GCM", "none", ""])
def test_cipher_is_the_one_of_the_signature(refused, algorithm):
    """What the body says of its cipher chooses nothing."""
    error = refused(envelope(inner={"algorithm": algorithm}))

    assert UndecryptableNotificationError is type(error)
    assert isinstance(error, CryptoError)


@pytest.mark.parametrize(
    "inner",
    [
        {"ciphertext": "?"},
        {"ciphertext": ""},
        {"nonce": "n"},
        {"nonce": "fdasflkja485"},
        {"associated_data": "x"},
    ],
    ids=str,
)
def test_resource_that_does_not_decrypt_points_at_the_key(refused, inner):
    """A genuine callback that does not open means that our key is wrong, and we say so."""
    error = refused(envelope(inner=inner))

    assert UndecryptableNotificationError is type(error)
    assert "is apiv3_key the APIv3 key" in str(error)
    assert 500 == error.reply.status


def test_other_apiv3_key_opens_nothing(refused):
    """The resource is authenticated with the key."""
    assert UndecryptableNotificationError is type(refused(envelope(), apiv3_key="0" * 32))


@pytest.mark.parametrize(
    "change",
    [
        lambda body: json.dumps(json.loads(body)).encode(),
        lambda body: json.dumps(json.loads(body), separators=(",", ":")).encode(),
        lambda body: json.dumps(json.loads(body), ensure_ascii=False).encode(),
        lambda body: json.dumps(json.loads(body), ensure_ascii=False, indent=4).encode(),
        lambda body: json.dumps(json.loads(body)).encode("utf-16"),
        lambda body: body.decode("latin-1").encode(),
        lambda body: body + b"\r\n",
    ],
    ids=["spaced-ascii", "compact-ascii", "spaced", "indented", "utf-16", "latin-1", "line-feed"],
)
def test_body_reencoded_by_a_framework_is_distinguished_from_a_forgery(refused, change):
    """Where other bytes that say the same were signed, the error says so, and what to hand over."""
    error = refused(change(envelope()), signed(envelope()))

    assert ReencodedNotificationError is type(error)
    assert isinstance(error, SignatureError)
    assert "request.get_data() in Flask" in str(error)
    assert 500 == error.reply.status


def test_body_that_the_client_of_flask_wrote_from_json_is_recognised(refused):
    """It sorts the members; the documented order is tried."""
    body, seen = envelope(), []
    app = Flask("shop")
    app.post("/")(lambda: seen.append(request.get_data()) or "")
    app.test_client().post("/", json=json.loads(body))

    assert ReencodedNotificationError is type(refused(seen[0], signed(body)))


@pytest.mark.parametrize(
    "original",
    [
        json.dumps(json.loads(envelope())).encode(),
        json.dumps(json.loads(envelope()), ensure_ascii=False).encode(),
        json.dumps(json.loads(envelope()), separators=(",", ":")).encode(),
    ],
    ids=["spaced-ascii", "spaced", "compact-ascii"],
)
def test_reencoding_is_recognised_however_the_original_was_written(refused, original):
    """No style of JSON is taken for the only one that WeChat Pay writes."""
    changed = json.dumps(json.loads(original), indent=1).encode()

    assert ReencodedNotificationError is type(refused(changed, signed(original)))


def test_json_without_settings_for_it_says_which(refused):
    """A handler for APIv2 alone turns APIv3's callbacks away by name."""
    error = refused(envelope(), certs=None, apiv3_key=None)

    assert UnconfiguredNotificationError is type(error)
    assert "give certs and apiv3_key" in str(error)
    assert (501, "v3") == (error.reply.status, error.version)


@pytest.mark.parametrize(
    ("headers", "kept"),
    [(signed(envelope(), serial="S"), {"serial": "S"}), (signed(envelope(), at=0), {"skew": NOW})],
    ids=["serial", "skew"],
)
def test_refusal_pickles(refused, headers, kept):
    """An error that crosses processes keeps its kind, its words and its reply."""
    error = refused(envelope(), headers)
    again = pickle.loads(pickle.dumps(error))

    assert (type(error), str(error), error.reply) == (type(again), str(again), again.reply)
    assert kept == {name: getattr(again, name) for name in kept}
