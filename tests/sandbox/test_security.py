"""APIv2's ``security``: the merchant certificate, asked for on the connection."""

from __future__ import annotations

import pytest
import sandboxes
from cryptography.hazmat.primitives.asymmetric import ec
from digests import received
from sandboxes import NOW, asked, fields

from wechatpay import APIError, Builder, TransportError
from wechatpay.sandbox import Identity, Sandbox

REFUND = "/secapi/pay/refund"
FIELDS = {
    "appid": "wx8888888888888888",
    "mch_id": sandboxes.identity().mchid,
    "out_trade_no": "1",
    "out_refund_no": "r1",
    "total_fee": 1,
    "refund_fee": 1,
}


@pytest.fixture(scope="module")
def sandbox():
    """Give a running sandbox."""
    with Sandbox(identity=sandboxes.identity()) as sandbox:
        yield sandbox


def refund(client, settings, **options):
    """Ask for a refund of an order that there is none of: who gets so far is known by the certificate."""
    with Builder(**settings) as instance:
        client.call(instance.v2.secapi.pay.refund, "post", xml=FIELDS, **options)


def test_certificate_opens_the_door(client, sandbox):
    """With the settings for TLS, ``security`` is all it takes."""
    with pytest.raises(APIError, match="ORDERNOTEXIST") as caught:
        refund(client, sandbox.settings(tls=True), security=True)

    assert caught.value.verified
    assert sandboxes.identity().serial == sandbox.requests[-1].channel.certificate


def test_call_without_the_certificate_is_refused(client, sandbox):
    """As by the machine in front of WeChat Pay: a page with status 400; the library says what is missing."""
    with pytest.raises(APIError, match="pass security=True") as caught:
        refund(client, sandbox.settings(tls=True))

    assert 400 == caught.value.status_code
    assert "No required SSL certificate was sent" in caught.value.response.text
    assert "text/html" == caught.value.response.headers["Content-Type"]


def test_plain_http_carries_no_certificate(client, sandbox):
    """A newcomer who took the plain settings learns which ones to take."""
    with pytest.raises(APIError, match=r"sandbox\.settings\(tls=True\)") as caught:
        refund(client, sandbox.settings(), security=True)

    assert 400 == caught.value.status_code


def test_certificate_of_another_authority_is_refused(client, sandbox):
    """TLS itself ends the connection, and no request arrives."""
    stranger = Identity.generate()
    merchant = {"cert": stranger.certificate, "key": stranger.private_key_pem}
    before = len(sandbox.requests)
    with pytest.raises(TransportError):
        refund(client, sandbox.settings(tls=True, merchant=merchant), security=True)

    assert before == len(sandbox.requests)


def test_certificate_of_another_merchant_is_refused():
    """One that the authority issued, but to somebody else, opens nothing; the refusal is signed."""
    gateway = Sandbox(identity=sandboxes.identity(), clock=lambda: NOW)
    response = received(gateway._respond(asked(REFUND, fields(), certificate="5A")).response)

    assert ("CERT_ERROR", "证书校验错误") == (response["err_code"], response["err_code_des"])
    assert response["sign"]


def test_certificate_replaces_no_signature():
    """Both are checked."""
    gateway = Sandbox(identity=sandboxes.identity(), clock=lambda: NOW)
    request = asked(REFUND, fields(), certificate=sandboxes.identity().serial, sign="x")

    assert "签名错误" == received(gateway._respond(request).response)["return_msg"]


def test_authority_signs_with_its_own_key():
    """No key that signs messages signs certificates."""
    assert isinstance(sandboxes.identity().authority.certificate.public_key(), ec.EllipticCurvePublicKey)
