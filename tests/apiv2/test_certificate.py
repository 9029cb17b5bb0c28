"""The setting merchant: what it takes, and where the key goes."""

from __future__ import annotations

import pickle
import ssl
import tempfile
from pathlib import Path

import authority
import keys
import pytest
from authority import CERT, KEY, LEAF, LOCKED, MIDDLE, p12
from cases import each
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from digests import SECRET
from merchants import MCHID

from wechatpay import Builder, ConfigurationError
from wechatpay.apiv2.certificate import Identity

FIELDS = {"mch_id": MCHID, "out_refund_no": "1"}
EC_KEY = ec.generate_private_key(ec.SECP256R1()).private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
)


@each(
    ("merchant", "said"),
    [
        ({"cert": CERT}, "key: missing"),
        ({"key": KEY}, "cert is missing"),
        ({"cert": KEY, "key": CERT}, "exchanged"),
        ({"cert": CERT, "key": CERT}, "key"),
        ({"cert": authority.pem("server"), "key": KEY}, "belong"),
        ({"cert": MIDDLE + LEAF, "key": KEY}, "belong"),
        ({"cert": CERT, "key": LOCKED}, "passphrase"),
        ({"cert": CERT, "key": (LOCKED, "wrong")}, "passphrase"),
        ({"cert": CERT, "key": (KEY, "a", "b")}, "pair"),
        ({"cert": CERT, "key": KEY, "pass": "x"}, "pass"),
        ({"cert": CERT, "key": EC_KEY}, "RSA"),
        ({"cert": "/nowhere/cert.pem", "key": KEY}, "cert"),
        ({"cert": CERT, "key": "/nowhere/key.pem"}, "key"),
        ({"cert": CERT[:-100], "key": KEY}, "cert"),
        ({"cert": 1, "key": KEY}, "int"),
        ("any", "cert"),
        (p12("another"), "merchant id"),
        (p12("another")[:-100], "merchant id"),
    ],
    ids=[
        "no-key", "no-cert", "exchanged", "two-certs", "strangers", "wrong-order", "locked",
        "wrong-passphrase", "triple", "unknown", "ec-key", "no-cert-file", "no-key-file", "cut-short",
        "number", "dummy", "p12-passphrase", "p12-damaged",
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_are_refused_at_construction(merchant, said):
    """The error names what is wrong, and shows nothing of the key."""
    with pytest.raises(ConfigurationError, match=f"merchant.*{said}") as caught:
        Builder(mchid=MCHID, secret=SECRET, merchant=merchant)

    assert KEY.splitlines()[1] not in str(caught.value)
    assert caught.value.__cause__ is None


def test_certificate_and_key_may_be_objects_of_cryptography():
    """Who keeps keys elsewhere has them in this form."""
    identity = Identity.load(
        {"cert": authority.certificate("merchant"), "key": keys.private_key("merchant")}, MCHID
    )

    assert authority.certificate("merchant") == identity.chain[0]


def test_the_key_touches_the_disk_encrypted_and_for_a_moment(monkeypatch, tmp_path):
    """The file that TLS loads is private, encrypted, and gone when the call is over."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    identity = Identity.load({"cert": LEAF + MIDDLE, "key": KEY}, MCHID)
    seen = []

    class Context:
        """Looks at what it is to load."""

        def load_cert_chain(self, path, password):
            """Keep the file's text and its permissions, and the folder's."""
            seen.append((Path(path).read_text(), Path(path).stat().st_mode, Path(path).parent.stat().st_mode))
            ssl.create_default_context().load_cert_chain(path, password=password)

    identity.enter(Context())
    (text, mode, folder), *_ = seen

    assert (0o600, 0o700) == (mode & 0o777, folder & 0o777)
    assert text.startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert text.endswith(LEAF + MIDDLE)
    assert [] == list(tmp_path.iterdir())


def test_certificate_that_tls_refuses_is_a_matter_of_configuration(monkeypatch):
    """What OpenSSL will not load is an error of the settings, not of the connection."""
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    identity = Identity.load(KEY + CERT, MCHID)
    with pytest.raises(ConfigurationError, match="merchant: TLS") as caught:
        identity.enter(ssl.create_default_context())

    assert caught.value.__cause__ is None


def test_nothing_shows_the_key():
    """Neither settings nor identity shows the merchant's key."""
    settings = Builder(mchid=MCHID, secret=SECRET, merchant=KEY + CERT).getDriver()._settings

    assert "RSAPrivateKey" not in repr(settings.account)
    with pytest.raises(TypeError):
        pickle.dumps(settings.account)
