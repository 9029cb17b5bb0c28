"""APIv2 over mutual TLS: who presents the merchant certificate, and to whom."""

from __future__ import annotations

import asyncio
import ssl

import authority
import keys
import pytest
import requests
import responses
import urllib3
from authority import CERT, KEY, LEAF, LOCKED, MIDDLE, p12
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from digests import SECRET, digest, received, response_body
from merchants import MCHID
from wire.gateway import Gateway, reply

from wechatpay import Builder, ConfigurationError, NoResponseError, Request, TransportError
from wechatpay.transports.network import transport_error

FIELDS = {"mch_id": MCHID, "out_refund_no": "1"}


@pytest.fixture(scope="module")
def vault(tmp_path_factory):
    """Give a gateway over TLS that wants a certificate of the merchants' authority."""
    gateway = Gateway(authority.server_context(tmp_path_factory.mktemp("vault"), clients="authority"))
    gateway.respond(reply(response_body()))
    yield gateway
    gateway.close()


@pytest.fixture
def shop(vault, build, tmp_path):
    """Give a function that makes Builders for APIv2 that trust the vault."""
    vault.seen.clear()

    def shop(merchant, **changes):
        settings = {"base_uri": vault.url, "verify": authority.bundle(tmp_path), "secret": SECRET}
        return build(merchant=merchant, **settings | changes)

    return shop


FORMS = {
    "paths": lambda folder: {"cert": str(folder / "cert.pem"), "key": folder / "key.pem"},
    "urls": lambda folder: {"cert": f"file://{folder}/cert.pem", "key": f"file://{folder}/key.pem"},
    "text": lambda _: {"cert": CERT, "key": KEY},
    "bytes": lambda _: {"cert": CERT.encode(), "key": KEY.encode()},
    "der": lambda _: {
        "cert": authority.certificate("merchant").public_bytes(Encoding.DER),
        "key": keys.private_key().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
    },
    "locked-key": lambda _: {"cert": CERT, "key": [LOCKED, "pass"]},
    "guzzle-pairs": lambda folder: {"cert": [str(folder / "cert.pem"), None], "key": [LOCKED, "pass"]},
    "one-pem": lambda _: {"cert": KEY + CERT},
    "p12": lambda folder: folder / "apiclient_cert.p12",
    "p12-as-text-path": lambda folder: str(folder / "apiclient_cert.p12"),
    "p12-as-cert": lambda folder: {"cert": folder / "apiclient_cert.p12"},
    "p12-as-both": lambda folder: {
        "cert": folder / "apiclient_cert.p12",
        "key": folder / "apiclient_cert.p12",
    },
    "p12-with-passphrase": lambda _: (p12("another"), "another"),
    "chain": lambda _: {"cert": LEAF + MIDDLE, "key": KEY},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_certificate_in_any_form_opens_the_vault(form, shop, vault, tmp_path, looped):
    """What merchants have in their hands, WeChat Pay's own PKCS#12 file included, is presented."""
    (tmp_path / "cert.pem").write_text(CERT)
    (tmp_path / "key.pem").write_text(KEY)
    (tmp_path / "apiclient_cert.p12").write_bytes(p12(MCHID))
    instance = shop(form(tmp_path))
    instance.v2.secapi.pay.refund.post(xml=FIELDS, security=True)
    looped.call(instance.v2.secapi.pay.refund, "post", xml=FIELDS, security=True)

    assert 2 == len(vault.seen)
    assert all(digest(received(seen)) == received(seen)["sign"] for seen in vault.seen)


def test_without_security_nothing_is_presented(client, shop, vault):
    """A call that does not ask for ``security`` never carries the certificate, and is refused."""
    instance = shop({"cert": CERT, "key": KEY})
    with pytest.raises(TransportError):
        client.call(instance.v2.secapi.pay.refund, "post", xml=FIELDS)
    client.call(instance.v2.secapi.pay.refund, "post", xml=FIELDS, security=True)
    with pytest.raises(TransportError):
        client.call(instance.v2.secapi.pay.refund, "post", xml=FIELDS, security=False)

    assert 1 == len(vault.seen)


def test_strange_certificate_is_refused_by_the_server(client, shop, vault):
    """A certificate of another authority opens nothing, and no response is taken for one."""
    instance = shop({"cert": authority.pem("merchant", "elsewhere"), "key": KEY})
    with pytest.raises(TransportError):
        client.call(instance.v2.secapi.pay.refund, "post", xml=FIELDS, security=True)

    assert [] == vault.seen


def test_server_is_verified_before_the_certificate_is_shown(client, shop, vault):
    """A server that the CA bundle does not know gets nothing."""
    instance = shop({"cert": CERT, "key": KEY}, verify=True)
    with pytest.raises(TransportError, match="nothing was sent"):
        client.call(instance.v2.secapi.pay.refund, "post", xml=FIELDS, security=True)

    assert [] == vault.seen


def test_what_tls_said_is_reported():
    """The reason inside urllib3's own error reaches the message: it says which certificate is missing."""
    cause = requests.exceptions.SSLError(urllib3.exceptions.SSLError(ssl.SSLError(1, "certificate required")))
    error = transport_error(NoResponseError, Request("POST", "https://127.0.0.1/secapi/pay/refund"), cause)

    assert "certificate required" in str(error)


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_unverified_tls_still_presents_the_certificate(client, shop, vault):
    """``verify=False`` and ``security`` go together."""
    client.call(
        shop((KEY + CERT, None), verify=False).v2.secapi.pay.refund, "post", xml=FIELDS, security=True
    )

    assert 1 == len(vault.seen)


@pytest.fixture
def counter(tmp_path):
    """Give a gateway over TLS that takes certificates, and tells which connection had one."""
    context = authority.server_context(tmp_path, clients="authority")
    context.verify_mode = ssl.CERT_OPTIONAL
    gateway = Gateway(context)
    gateway.respond(reply(response_body()))
    yield gateway
    gateway.close()


def alternate(instance):
    """Make three calls, the middle one without ``security``, one after the other."""
    node = instance.v2.secapi.pay.refund
    for security in (True, False, True):
        node.post(xml=FIELDS, security=security)


async def alternate_async(instance):
    """Make the same calls on one loop."""
    node = instance.v2.secapi.pay.refund
    for security in (True, False, True):
        await node.postAsync(xml=FIELDS, security=security)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_connections_with_the_certificate_are_a_pool_of_their_own(mode, build, counter, tmp_path):
    """A connection that carries the certificate serves ``security`` alone, again and again."""
    instance = build(
        base_uri=counter.url, verify=authority.bundle(tmp_path), secret=SECRET, merchant=KEY + CERT
    )
    if mode == "sync":
        alternate(instance)
    else:
        asyncio.run(alternate_async(instance))
    first, second, third = (seen.connection for seen in counter.seen)

    assert first == third
    assert first != second


def test_session_of_the_callers_stays_out_of_security(shop, vault, tmp_path, monkeypatch):
    """A ``requests.Session`` cannot carry the certificate: ``security`` goes beside it."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle(tmp_path)))
    with requests.Session() as session:
        session.adapters.clear()
        shop(KEY + CERT, session=session, verify=None).v2.secapi.pay.refund.post(xml=FIELDS, security=True)

    assert 1 == len(vault.seen)


def test_responses_intercepts_calls_with_security():
    """Tests with ``responses`` need no TLS."""
    instance = Builder(mchid=MCHID, secret=SECRET, merchant=KEY + CERT)
    with responses.RequestsMock() as mock:
        mock.post("https://api.mch.weixin.qq.com/secapi/pay/refund", body=response_body())

        assert response_body() == instance.v2.secapi.pay.refund.post(xml=FIELDS, security=True).content


@pytest.mark.parametrize("merchant", [None, {}, {"cert": None, "key": None}], ids=repr)
def test_security_needs_the_setting(merchant, client, build, gateway):
    """Without a certificate ``security`` is an error that says what to configure; nothing is sent."""
    instance = build(secret=SECRET, merchant=merchant)
    with pytest.raises(ConfigurationError, match="merchant"):
        client.call(instance.v2.secapi.pay.refund, "post", xml=FIELDS, security=True)

    assert 0 == gateway.connections
