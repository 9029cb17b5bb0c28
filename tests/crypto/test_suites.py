"""The SM suite: a merchant with an SM2 key, against a WeChat Pay that has SM2, SM3 and SM4 alone."""

from __future__ import annotations

import json
import re
import sys

import keys
import merchants
import pytest
import smkeys
import strict
from notification.callbacks import envelope
from strict import APIV3_KEY, MERCHANT_SERIAL, SM2, Strict

from wechatpay import (
    APIError,
    Builder,
    ConfigurationError,
    ConnectError,
    InvalidRequestError,
    Sensitive,
    SignatureError,
)
from wechatpay.crypto import sm2
from wechatpay.errors import VerificationError
from wechatpay.notification import (
    ForgedNotificationError,
    NotificationHandler,
    ReencodedNotificationError,
    UndecryptableNotificationError,
)

PATH = "v3/pay/transactions"
OTHER = smkeys.SERIAL + 1


@pytest.fixture
def wechat(gateway):
    """Give a WeChat Pay of the SM suite."""
    smkeys.gmssl()
    gateway.behaviour = Strict(SM2, ("mchid", merchants.MCHID))
    return gateway.behaviour


def settings(**changes):
    """Give settings of a merchant of the SM suite."""
    return {
        "serial": MERCHANT_SERIAL,
        "private_key": smkeys.private_pem(),
        "certs": {SM2.serial: smkeys.public_pem()},
    } | changes


@pytest.fixture
def instance(wechat, build):
    """Give a Builder of the SM suite."""
    return build(**settings())


@pytest.mark.parametrize(
    ("verb", "options"),
    [
        ("get", {}),
        ("get", {"query": {"名": "值 /?"}}),
        ("post", {"json": {"description": "国密"}}),
        ("delete", {}),
    ],
    ids=["get", "query", "post", "delete"],
)
def test_requests_are_signed_with_sm2(gateway, wechat, instance, client, verb, options):
    """Over the bytes that are sent, under the suite's own scheme; the response's signature is verified."""
    wechat.responses[f"/{PATH}"] = ("200 OK", '{"名":1}'.encode())

    assert {"名": 1} == client.call(instance[PATH], verb, **options).json()
    assert SM2.serial == gateway.seen[0].headers["wechatpay-serial"]


def test_key_of_a_certificate_verifies(wechat, build, client):
    """`certs` takes platform certificates of the suite, known by their own serial number."""
    wechat.serial = f"{smkeys.SERIAL:X}"
    instance = build(**settings(certs={wechat.serial: smkeys.certificate_pem()}))

    assert {} == client.call(instance[PATH], "get").json()
    with pytest.raises(ConfigurationError, match=f"has the serial number {smkeys.SERIAL:X}"):
        build(**settings(certs={"5E12": smkeys.certificate_pem()}))


def test_forged_response_is_refused(wechat, instance, client):
    """As with RSA: a signature over another body verifies nothing."""
    wechat.forge = lambda headers: headers | {"Wechatpay-Signature": smkeys.sign(b"another")}

    with pytest.raises(SignatureError, match="does not belong to the response"):
        client.call(instance[PATH], "get")


def test_algorithm_of_a_response_is_that_of_its_key(wechat, instance, client):
    """Neither what the headers claim, nor a signature of the other suite, changes what is verified."""
    wechat.forge = lambda headers: headers | {"Wechatpay-Signature-Type": strict.RSA.scheme}
    assert {} == client.call(instance[PATH], "get").json()
    wechat.suite, wechat.refusal = strict.RSA, lambda _: None

    with pytest.raises(SignatureError):
        client.call(instance[PATH], "get")


def test_error_response_is_verified_too(wechat, instance, client):
    """`.verified` tells of SM2 signatures as of others."""
    wechat.responses[f"/{PATH}"] = ("404 Not Found", b'{"code":"NOT_FOUND"}')

    with pytest.raises(APIError) as caught:
        client.call(instance[PATH], "get")
    assert ("NOT_FOUND", True) == (caught.value.code, caught.value.verified)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            lambda: {"private_key": keys.pem()},
            f"certs['{SM2.serial}']: an SM2 key, but the other keys are RSA",
        ),
        (
            lambda: {"certs": {"PUB_KEY_ID_1": keys.public_pem()}},
            "certs['PUB_KEY_ID_1']: an RSA key, but the other keys are SM2",
        ),
        (
            lambda: {
                "private_key": print,
                "certs": settings()["certs"] | {"PUB_KEY_ID_1": keys.public_pem()},
            },
            "certs['PUB_KEY_ID_1']: an RSA key, but the other keys are SM2",
        ),
    ],
    ids=["merchant's", "WeChat Pay's", "one of WeChat Pay's"],
)
def test_mixed_suites_are_refused(wechat, changes, said):
    """At construction, saying which key is of which kind."""
    with pytest.raises(ConfigurationError) as caught:
        Builder(**merchants.settings(**settings(**changes())))

    assert str(caught.value).startswith(said)
    assert "of one suite, RSA or SM2" in str(caught.value)


def test_key_of_another_suite_cannot_be_added(instance):
    """Nor to a live Builder."""
    platform = instance.getDriver().platform
    platform.retire(SM2.serial)

    with pytest.raises(ConfigurationError, match="an RSA key, but the other keys are SM2"):
        platform.add("PUB_KEY_ID_1", keys.public_pem("platform"))
    assert SM2.serial == platform.add(SM2.serial, smkeys.public_pem()).serial


def test_certificates_are_downloaded_when_they_are_needed(gateway, wechat, build, client):
    """The suite's own are requested, encrypted with SM4, and verify the response that brings them."""
    wechat.offered.append(strict.offered(keys.certificate_pem("platform"), 1, algorithm="AEAD_AES_256_GCM"))
    wechat.offer()
    instance = build(**settings(certs=None, apiv3_key=APIV3_KEY))
    client.call(instance[PATH], "get")

    assert ["/v3/certificates?algorithm_type=SM2", f"/{PATH}"] == [seen.target for seen in gateway.seen]
    assert (f"{smkeys.SERIAL:X}",) == instance.getDriver().platform.serials


def test_rotated_certificate_is_found(wechat, build, client):
    """A response signed by a key that is new makes one download, and is accepted."""
    wechat.offer()
    instance = build(**settings(certs=None, apiv3_key=APIV3_KEY))
    client.call(instance[PATH], "get")
    wechat.refusal = lambda _: None
    wechat.offer("new", OTHER)

    assert {} == client.call(instance[PATH], "get").json()
    assert f"{OTHER:X}" in instance.getDriver().platform.serials


@pytest.mark.parametrize(
    ("offer", "said"),
    [
        (lambda: {"key": "x" * 32}, "apiv3_key: does not decrypt"),
        (lambda: {"algorithm": "AEAD_AES_256_GCM"}, "has none under AEAD_SM4_GCM"),
    ],
    ids=["another key", "another cipher"],
)
def test_certificates_of_no_use_are_reported(wechat, build, client, offer, said):
    """A download under another key, or another cipher, is none."""
    wechat.offer(**offer())
    instance = build(**settings(certs=None, apiv3_key=APIV3_KEY))

    with pytest.raises((ConfigurationError, ConnectionError), match=said):
        client.call(instance[PATH], "get")


def test_rsa_certificate_under_sm4_is_refused(wechat, build):
    """The cipher does not make it one of the suite."""
    wechat.offer()
    serial = keys.MERCHANT_SERIAL + 1
    wechat.offered = [strict.offered(keys.certificate_pem("platform", serial), serial)]
    instance = build(**settings(certs=None, apiv3_key=APIV3_KEY))

    with pytest.raises(ConnectError, match=r"data\[0\]: an RSA certificate under AEAD_SM4_GCM"):
        instance.getDriver().platform.refresh()


def test_download_to_a_file_is_verified(wechat, instance, client, tmp_path):
    """The digest is taken on the way, beginning with what belongs to the key."""
    wechat.responses[f"/{PATH}"] = ("200 OK", 100_000 * b"statement\n")
    file = tmp_path / "file.csv"

    assert b"" == client.call(instance[PATH], "get", sink=file).content
    assert 1_000_000 == file.stat().st_size
    wechat.forge = lambda headers: headers | {"Wechatpay-Signature": smkeys.sign(b"another")}
    with pytest.raises(SignatureError):
        client.call(instance[PATH], "get", sink=tmp_path / "other.csv")
    assert [file] == list(tmp_path.iterdir())


def test_file_signed_with_a_key_that_is_new_is_digested_anew(wechat, build, client, tmp_path):
    """The key was not known while it came."""
    wechat.offer()
    instance = build(**settings(certs=None, apiv3_key=APIV3_KEY))
    client.call(instance[PATH], "get")
    wechat.refusal = lambda _: None
    wechat.offer("new", OTHER)
    wechat.responses[f"/{PATH}"] = ("200 OK", 100_000 * b"statement\n")
    client.call(instance[PATH], "get", sink=tmp_path / "file.csv")

    assert 1_000_000 == (tmp_path / "file.csv").stat().st_size


def test_file_signed_with_a_key_that_is_not_to_be_had_is_refused(wechat, instance, client, tmp_path):
    """Nothing is delivered."""
    wechat.refusal, wechat.serial = lambda _: None, "5E13"

    with pytest.raises(VerificationError, match="names the key '5E13'"):
        client.call(instance[PATH], "get", sink=tmp_path / "file.csv")
    assert [] == list(tmp_path.iterdir())


def callback(*, algorithm="AEAD_SM4_GCM", aad="transaction", event=b'{"out_trade_no":"1"}'):
    """Give the body of a callback, encrypted as the suite encrypts."""
    inner = {"algorithm": algorithm, "ciphertext": strict.sealed(event, "fdasflkja484", aad)}
    return envelope(b"", aad=aad, inner=inner)


@pytest.fixture
def handler(wechat):
    """Give a handler that knows WeChat Pay's SM2 key."""
    return NotificationHandler(certs={SM2.serial: smkeys.public_pem()}, apiv3_key=APIV3_KEY)


@pytest.mark.parametrize("aad", ["transaction", ""], ids=["with associated data", "without"])
def test_callbacks_are_opened_with_sm4(wechat, handler, instance, aad):
    """Signed with SM2, encrypted under the beginning of the APIv3 key's SM3."""
    body = callback(aad=aad)

    assert {"out_trade_no": "1"} == handler.parse(wechat.signed(body), body).resource


def test_callbacks_of_a_builder_are_opened(wechat, build):
    """By its own keys, with a certificate that is downloaded when a callback names it."""
    wechat.offer()
    driver = build(**settings(certs=None, apiv3_key=APIV3_KEY)).getDriver()
    body = callback()

    assert "1" == driver.notification(wechat.signed(body), body).resource["out_trade_no"]


def test_cipher_of_the_other_suite_is_refused(wechat, handler):
    """Who signs with SM2 encrypts with SM4; and who signs with RSA does not."""
    body = callback(algorithm="AEAD_AES_256_GCM")
    with pytest.raises(UndecryptableNotificationError, match="but its key needs AEAD_SM4_GCM"):
        handler.parse(wechat.signed(body), body)
    rsa = Strict(strict.RSA, ("mchid", "1"))
    other = NotificationHandler(certs={rsa.serial: keys.public_pem("platform")}, apiv3_key=APIV3_KEY)

    with pytest.raises(UndecryptableNotificationError, match="but its key needs AEAD_AES_256_GCM"):
        other.parse(rsa.signed(callback()), callback())


def test_forged_callback_is_refused(wechat, handler):
    """Tampered with, re-encoded, or under another key: each is told as with RSA."""
    body = callback()
    headers = wechat.signed(body)

    with pytest.raises(ForgedNotificationError):
        handler.parse(headers, body.replace(b"SUCCESS", b"FAILURE"))
    with pytest.raises(ReencodedNotificationError):
        handler.parse(headers, json.dumps(json.loads(body)).encode())
    wechat.signer = "another"
    with pytest.raises(ForgedNotificationError):
        handler.parse(wechat.signed(body), body)


def test_sensitive_fields_need_rsa(wechat, instance, client):
    """What the documents do not say is not guessed: neither sent, nor decrypted."""
    with pytest.raises(InvalidRequestError, match="encrypted with RSA keys, and PUB_KEY_ID_SM2"):
        client.call(instance[PATH], "post", json={"name": Sensitive("张三")})
    with pytest.raises(ConfigurationError, match="decrypted with RSA keys only"):
        instance.getDriver().decrypt("text")


def test_key_that_stays_elsewhere_signs_by_the_suite_of_the_other_side(wechat, build, client):
    """A function's suite is that of `certs`."""

    def sign(text):
        return smkeys.sign(text.encode(), "merchant")

    assert {} == client.call(build(**settings(private_key=sign))[PATH], "get").json()


def test_key_that_stays_elsewhere_signs_with_rsa_before_there_are_others(wechat, build):
    """What is downloaded for it is RSA, so an SM2 key beside that would be a mixture."""
    platform = build(**settings(private_key=print, certs=None, apiv3_key=APIV3_KEY)).getDriver().platform

    with pytest.raises(ConfigurationError, match="an SM2 key, but the other keys are RSA"):
        platform.add(SM2.serial, smkeys.public_pem())


def test_error_for_a_missing_library_names_the_setting(wechat, monkeypatch):
    """Who has an SM2 key, and not the extra, reads what to install."""
    monkeypatch.setitem(sys.modules, "gmssl_pyx", None)
    sm2.load_gmssl.cache_clear()
    with pytest.raises(
        ConfigurationError,
        match=re.escape("private_key: SM2 needs a library of its own: pip install 'wechatpay-ch"),
    ):
        Builder(**merchants.settings(**settings()))
    with pytest.raises(ConfigurationError, match=re.escape("chainable[sm]'")):
        NotificationHandler(certs={SM2.serial: smkeys.public_pem()}, apiv3_key=APIV3_KEY)


def test_nothing_shows_the_key(instance):
    """Neither settings nor trust."""
    number = smkeys.pair()[1]
    shown = repr(instance.getDriver()._settings) + repr(instance.getDriver().platform.keys)

    assert "SM2PrivateKey" not in shown
    assert number.hex() not in shown
    assert str(number) not in shown
