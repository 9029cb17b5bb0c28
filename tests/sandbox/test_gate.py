"""Only what the merchant signed just now gets past the gate."""

from __future__ import annotations

import json

import pytest
import sandboxes
from sandboxes import NOW, PALM

from wechatpay import APIError, Builder
from wechatpay.sandbox import Sandbox
from wechatpay.sandbox.keys import Signers
from wechatpay.sandbox.verification import Nonces, RequestVerifier, parse_authorization

GENUINE = sandboxes.authorization()


@pytest.fixture
def gate():
    """Give a gate whose clock stands still."""
    signers = Signers(sandboxes.identity(), "both", lambda: NOW)
    return RequestVerifier(sandboxes.identity(), lambda: NOW + 0.9, signers)


def refused(gate, headers=None, **changes):
    """Give status and body of the response to a request that must not pass."""
    response = gate.check(sandboxes.received(headers=headers, **{"timestamp": str(NOW)} | changes))
    return response.status, json.loads(response.body)


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param(None, id="missing"),
        pytest.param("", id="empty"),
        pytest.param(
            GENUINE.replace("WECHATPAY2-SHA256-RSA2048", "WECHATPAY2-SM2-WITH-SM3"), id="other scheme"
        ),
        pytest.param(GENUINE.replace("WECHATPAY2", "wechatpay2"), id="lower-case scheme"),
        pytest.param(GENUINE.replace("mchid=", "mch_id="), id="unknown field"),
        pytest.param(GENUINE.replace("nonce_str=", "mchid="), id="field missing, another twice"),
        pytest.param(f'{GENUINE},mchid="1900000109"', id="field twice"),
        pytest.param(f"{GENUINE},", id="comma at the end"),
        pytest.param(GENUINE.replace(",", ", "), id="spaces"),
        pytest.param(GENUINE.replace('"', "'"), id="single quotes"),
        pytest.param(f"{GENUINE}, {GENUINE}", id="header twice"),
        pytest.param(f"{GENUINE}\n", id="line feed"),
    ],
)
def test_malformed_authorization_is_refused(gate, authorization):
    """The scheme and the five fields, each once, and nothing else."""
    status, body = refused(gate, {"Authorization": authorization})

    assert (401, "SIGN_ERROR") == (status, body["code"])
    assert "Authorization值格式错误" in body["message"]


def test_fields_may_stand_in_any_order(gate):
    """The order of the fields means nothing."""
    scheme, _, pairs = sandboxes.authorization(timestamp=str(NOW)).partition(" ")
    turned = ",".join(reversed(pairs.split(",")))

    assert gate.check(sandboxes.received(headers={"Authorization": f"{scheme} {turned}"})) is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        pytest.param({"mchid": "1900000108"}, "mchid", id="mchid"),
        pytest.param({"serial_no": "5" * 40}, "serial_no", id="serial"),
        pytest.param({"timestamp": str(NOW - 301)}, "timestamp", id="too old"),
        pytest.param({"timestamp": str(NOW + 301)}, "timestamp", id="too early"),
        pytest.param({"timestamp": f"{NOW}.0"}, "timestamp", id="fraction"),
        pytest.param({"timestamp": f"+{NOW}"}, "timestamp", id="sign"),
        pytest.param({"timestamp": f"{NOW}\n"}, "timestamp", id="line feed"),
        pytest.param({"timestamp": ""}, "timestamp", id="no timestamp"),
        pytest.param({"timestamp": "9" * 5000}, "timestamp", id="endless timestamp"),
        pytest.param({"timestamp": "１７００００００００"}, "timestamp", id="other digits"),
        pytest.param({"nonce_str": ""}, "nonce_str", id="empty nonce"),
        pytest.param({"signature": "AAAA"}, "signature", id="other signature"),
        pytest.param({"signature": ""}, "signature", id="empty signature"),
        pytest.param({"signature": "é"}, "signature", id="no base64"),
    ],
)
def test_wrong_field_is_named(gate, changes, field):
    """A 401 SIGN_ERROR says which field of Authorization is wrong."""
    status, body = refused(gate, **changes)

    assert (401, "SIGN_ERROR") == (status, body["code"])
    assert (field, "authorization") == (body["detail"]["field"], body["detail"]["location"])


@pytest.mark.parametrize("skew", [-300, 0, 300])
def test_clocks_may_differ_by_five_minutes(gate, skew):
    """300 seconds are allowed, in both directions."""
    assert gate.check(sandboxes.received(timestamp=str(NOW + skew))) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "PUT"},
        {"target": f"{PALM}&x=1"},
        {"target": PALM.replace("oUp", "%6FUp")},
        {"body": b"{}"},
    ],
    ids=["method", "query", "same path, other spelling", "body"],
)
def test_signature_of_another_request_is_refused(gate, changes):
    """The signature is over the method, the raw target and the raw body."""
    signed = sandboxes.authorization(timestamp=str(NOW))
    response = gate.check(sandboxes.received(**changes, headers={"Authorization": signed}))

    assert 401 == response.status


def test_wrong_signature_is_refused_in_wechat_pays_words(gate):
    """The response has WeChat Pay's shape, and shows the signed text but for most of the body."""
    body = '{"description":"微信支付"}'.encode()
    request = sandboxes.received(
        "POST", "/v3/x?y=1", body, timestamp=str(NOW), nonce_str="N", signature="AAAA"
    )

    assert {
        "code": "SIGN_ERROR",
        "message": "错误的签名，导致验签失败",
        "detail": {
            "detail": {"issue": "sign not match"},
            "field": "signature",
            "location": "authorization",
            "sign_information": {
                "method": "POST",
                "url": "/v3/x?y=1",
                "truncated_sign_message": f'POST\n/v3/x?y=1\n{NOW}\nN\n{{"descript',
                "sign_message_length": len(f"POST\n/v3/x?y=1\n{NOW}\nN\n\n") + len(body),
            },
        },
    } == json.loads(gate.check(request).body)


def test_short_signed_text_is_shown_whole(gate):
    """Without a body there is nothing to leave out."""
    information = refused(gate, nonce_str="N", signature="AAAA")[1]["detail"]["sign_information"]

    assert f"GET\n{PALM}\n{NOW}\nN\n\n" == information["truncated_sign_message"]


def test_client_shows_where_the_texts_part():
    """What the sandbox says about a wrong signature, the client understands."""

    def meddle(request, proceed):
        authorization = request.headers["Authorization"].replace('nonce_str="', 'nonce_str="x')
        return (yield from proceed(request.with_(headers={"Authorization": authorization})))

    with Sandbox(identity=sandboxes.identity()) as sandbox, Builder(**sandbox.settings()) as instance:
        instance.getDriver().select("v3").stack.after("signer", meddle)
        with pytest.raises(APIError, match=r"SIGN_ERROR.*differs in the nonce"):
            instance.v3.certificates.get()


def test_request_passes_once(gate):
    """The same request sent again is refused; it has the same nonce."""
    request = sandboxes.received(timestamp=str(NOW))

    assert gate.check(request) is None
    assert "nonce_str" == json.loads(gate.check(request).body)["detail"]["field"]


def test_nonce_of_a_refused_request_is_not_used_up(gate):
    """A stranger who saw a nonce cannot burn it."""
    refused(gate, nonce_str="N", signature="AAAA")

    assert gate.check(sandboxes.received(timestamp=str(NOW), nonce_str="N")) is None


def test_nonces_kept_are_bounded():
    """A load test does not fill the memory: of many in a moment the last 20,000 are kept."""
    nonces = Nonces()
    for number in range(20_001):
        nonces.is_new(str(number), NOW)

    assert 20_000 == len(nonces)
    assert not nonces.is_new("20000", NOW)
    assert nonces.is_new("0", NOW)


def test_nonces_are_forgotten_when_their_request_is_stale():
    """A nonce is remembered while its request could be sent again, twice 300 s at most."""
    nonces = Nonces()

    assert [True, False, False] == [nonces.is_new("N", now) for now in (0.0, 599.0, 600.0)]
    assert nonces.is_new("N", 600.1)
    assert 1 == len(nonces)


@pytest.mark.parametrize("name", ["User-Agent", "Accept"])
@pytest.mark.parametrize("value", [None, ""], ids=["missing", "empty"])
def test_required_headers_are_asked_for(gate, name, value):
    """WeChat Pay wants User-Agent and Accept."""
    status, body = refused(gate, {name: value})

    assert (400, "PARAM_ERROR", name) == (status, body["code"], body["detail"]["field"])


@pytest.mark.parametrize("serial", ["", "5" * 40, "PUB_KEY_ID_0"], ids=["empty", "certificate", "public key"])
def test_unknown_key_in_a_request_is_refused(gate, serial):
    """Wechatpay-Serial, if it is sent, names one of WeChat Pay's keys."""
    status, body = refused(gate, {"Wechatpay-Serial": serial})

    assert (400, "Wechatpay-Serial", serial) == (status, body["detail"]["field"], body["detail"]["value"])


def test_known_keys_in_a_request_pass(gate):
    """Both of WeChat Pay's keys may be named, letter by letter."""
    public_key, certificate = sandboxes.identity().certs
    for serial in (public_key, certificate):
        request = sandboxes.received(timestamp=str(NOW), headers={"Wechatpay-Serial": serial})

        assert gate.check(request) is None

    assert 400 == refused(gate, {"Wechatpay-Serial": certificate.lower()})[0]


def test_header_that_is_no_utf8_is_refused_like_any_other(gate):
    """Bytes that are no text come back as question marks."""
    _, body = refused(gate, {"Wechatpay-Serial": "\udcff"})

    assert "?" == body["detail"]["value"]


def test_fields_are_read_by_name():
    """The reader gives the five fields, or nothing."""
    assert {"mchid", "serial_no", "timestamp", "nonce_str", "signature"} == parse_authorization(
        GENUINE
    ).keys()
    assert parse_authorization("Bearer x") is None
