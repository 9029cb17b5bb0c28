"""What is not a key, the wrong key or a damaged key, and what is said about it."""

from __future__ import annotations

import math
import pickle
import re
import traceback
from pathlib import Path

import keys
import pytest
from cases import each
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import PrivateFormat
from keyforms import (
    CERTIFICATE,
    KEY,
    LOCK,
    LOCKED,
    PKCS1_DER,
    PKCS8,
    PKCS8_DER,
    PUBLIC,
    PUBLIC_PKCS1,
    SPKI,
    SPKI_DER,
    X509,
    X509_DER,
    base64,
    private,
    public,
)

from wechatpay.crypto import rsa
from wechatpay.errors import CryptoError

EC_KEY = ec.generate_private_key(ec.SECP256R1())


@each(
    ("load", "source", "given"),
    [
        pytest.param(rsa.load_private_key, SPKI, "a public key was given", id="public for private"),
        pytest.param(
            rsa.load_private_key, PUBLIC_PKCS1, "a public key was given", id="public PKCS#1 for private"
        ),
        pytest.param(rsa.load_private_key, X509, "a certificate was given", id="certificate for private"),
        pytest.param(rsa.load_private_key, PUBLIC, "RSAPublicKey was given", id="loaded public for private"),
        pytest.param(
            rsa.load_private_key, CERTIFICATE, "Certificate was given", id="loaded certificate for private"
        ),
        pytest.param(
            rsa.load_private_key, "public.spki://" + base64(SPKI_DER), "a public key was given", id="scheme"
        ),
        pytest.param(rsa.load_public_key, PKCS8, "a private key was given", id="private for public"),
        pytest.param(rsa.load_public_key, PKCS1_DER, "a private key was given", id="private DER for public"),
        pytest.param(
            rsa.load_public_key, private(lock=LOCK), "a private key was given", id="encrypted for public"
        ),
        pytest.param(rsa.load_public_key, KEY, "RSAPrivateKey was given", id="loaded private for public"),
        pytest.param(rsa.load_private_key, EC_KEY, "PrivateKey was given", id="loaded EC"),
        pytest.param(rsa.load_private_key, private(key=EC_KEY), "PrivateKey was given where an RSA", id="EC"),
        pytest.param(
            rsa.load_private_key,
            private(PrivateFormat.TraditionalOpenSSL, key=EC_KEY),
            "PrivateKey was given where an RSA",
            id="EC in SEC 1",
        ),
        pytest.param(
            rsa.load_public_key,
            public(key=EC_KEY.public_key()),
            "PublicKey was given where an RSA",
            id="public EC",
        ),
        pytest.param(
            rsa.load_private_key,
            private(key=ed25519.Ed25519PrivateKey.generate()),
            "Ed25519PrivateKey was given",
            id="Ed25519",
        ),
        pytest.param(
            rsa.load_private_key,
            private(PrivateFormat.OpenSSH),
            "something other than an RSA key",
            id="OpenSSH",
        ),
    ],
)
def test_wrong_kind_of_key_is_an_error_that_says_what_was_given(load, source, given):
    """Keys are never confused: the error names the kind that was given."""
    with pytest.raises(CryptoError, match=given):
        load(source)


@pytest.mark.parametrize("source", [keys.private_key(bits=1024), keys.pem(bits=1024)], ids=["loaded", "PEM"])
def test_short_private_key_is_an_error(source):
    """Less than 2048 bits is not safe, and WeChat Pay issues none."""
    with pytest.raises(CryptoError, match=r"^private key: 1024 bits were given, where 2048"):
        rsa.load_private_key(source)


@pytest.mark.parametrize(
    "source", [keys.public_key(bits=1024), keys.public_pem(bits=1024)], ids=["loaded", "PEM"]
)
def test_short_public_key_is_an_error(source):
    """A short key verifies nothing."""
    with pytest.raises(CryptoError, match=r"^public key: 1024 bits were given, where 2048"):
        rsa.load_public_key(source)


def test_short_key_is_not_used_either():
    """A loaded key is checked where it is used."""
    with pytest.raises(CryptoError, match="1024 bits"):
        rsa.sign("x", keys.private_key(bits=1024))


@each(
    ("source", "said"),
    [
        pytest.param("any", "a text of 3 characters that is neither PEM", id="PHP's dummy"),
        pytest.param("", "a text of 0 characters", id="empty"),
        pytest.param(base64(PKCS8_DER), r"characters .* needs its scheme", id="bare base64 without a scheme"),
        pytest.param("private.pkcs8://AA*A", "is not strict base64", id="scheme without base64"),
        pytest.param("file:///no/such/key.pem", "no such file: '/no/such/key.pem'", id="no file"),
        pytest.param(Path("/no/such/key.pem"), "no such file: '/no/such/key.pem'", id="no path"),
        pytest.param("/", "'/' cannot be read: Is a directory", id="directory"),
        pytest.param("file://" + "k" * 9999, "a path of 9999 characters cannot be read", id="long path"),
        pytest.param("file://a\0b", "is not a valid path", id="NUL"),
        pytest.param(Path("/dev/zero"), "more than 1048576 bytes", id="endless file"),
        pytest.param("k" * 2_000_000, "a text of 2000000 characters, which no key", id="endless text"),
        pytest.param(bytes(2_000_000), "more than 1048576 bytes", id="endless bytes"),
        pytest.param(b"", "0 bytes that are neither PEM", id="no bytes"),
        pytest.param(b"\x00key", "4 bytes that are neither PEM", id="other bytes"),
        pytest.param(b"0", "something other than an RSA key", id="one byte of DER"),
        pytest.param(PKCS8[:-30], "without its -----END", id="cut short"),
        pytest.param(PKCS8[:20], "without its -----END", id="cut in the first line"),
        pytest.param(PKCS8.replace(b"\n", b"\\n"), r"has \\n, as two characters, where", id="escaped"),
        pytest.param(PKCS8.replace(b"MII", b"M?I"), "is not strict base64", id="not base64"),
        pytest.param(
            LOCKED.replace(b"AES-", b"RC5-"), "name a cipher other than AES or 3DES", id="unknown cipher"
        ),
        pytest.param(
            re.sub(rb"CBC,..", b"CBC,", LOCKED), "headers are damaged", id="initialization vector cut short"
        ),
        pytest.param(PKCS8_DER[:-9], "is damaged", id="DER cut short"),
        pytest.param("-----BEGIN \ud800", "lone surrogates", id="surrogates"),
        pytest.param(None, "type NoneType was given", id="none"),
        pytest.param(42, "type int was given", id="number"),
    ],
)
def test_unreadable_key_is_an_error_that_says_why(source, said):
    """Every mistake has its own message."""
    with pytest.raises(CryptoError, match=said):
        rsa.load_private_key(source)


@pytest.mark.parametrize(
    "source", [SPKI_DER[:-9], X509_DER[:-9], X509_DER[:40]], ids=["key", "certificate", "start of one"]
)
def test_damaged_public_key_is_an_error(source):
    """A key or certificate cut short is damaged."""
    with pytest.raises(CryptoError, match="damaged"):
        rsa.load_public_key(source)


@pytest.mark.parametrize(
    "source",
    [
        base64(PKCS8_DER),
        "private.pkcs8://" + base64(PKCS8_DER[:-3]),
        PKCS8[:-40],
        PKCS8.replace(b"\n", b"?\n", 4),
        PKCS8_DER[:-9],
        "file://" + base64(PKCS8_DER),
    ],
    ids=["bare", "scheme", "cut", "not base64", "DER", "file"],
)
def test_error_shows_no_key(source):
    """Neither message, traceback nor pickle holds twelve letters in a row of the key."""
    with pytest.raises(CryptoError) as caught:
        rsa.load_private_key(source)
    shown = "".join(traceback.format_exception(caught.value)) + repr(pickle.dumps(caught.value))
    secret = base64(PKCS8_DER)[100:]

    assert not [secret[i : i + 12] for i in range(len(secret) - 12) if secret[i : i + 12] in shown]
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("part", ["n"])
def test_damaged_private_key_is_found_at_load(part):
    """A key whose signatures do not verify is found when it is loaded, not in the middle of a payment."""
    offset = PKCS1_DER.index(_part(part)) + 64
    damaged = bytearray(PKCS1_DER)
    damaged[offset] ^= 1
    with pytest.raises(CryptoError, match=r"^private key: (is damaged|.* bits)"):
        rsa.load_private_key(bytes(damaged))


def _part(name):
    numbers = KEY.private_numbers()
    value = {
        "n": numbers.public_numbers.n,
        "d": numbers.d,
        "p": numbers.p,
        "q": numbers.q,
        "dp": numbers.dmp1,
        "dq": numbers.dmq1,
        "qi": numbers.iqmp,
    }[name]
    return value.to_bytes((value.bit_length() + 7) // 8)


def test_consistent_key_of_composite_primes_is_found_at_load():
    """Parts that fit each other are not enough: what the key signs must verify."""
    fake = _fake_key()
    with pytest.raises(CryptoError, match="what it signs does not verify"):
        rsa.load_private_key(fake)


def _fake_key():
    """Make a key of which one prime is the product of two."""
    r, s, q = (keys.private_key(name, 1280).private_numbers() for name in ("r", "s", "q"))
    p, q = r.p * s.p, q.p * q.q
    e = 65537
    d = pow(e, -1, (p - 1) * (q - 1) // math.gcd(p - 1, q - 1))
    numbers = (0, p * q, e, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))
    return _der(b"\x30", b"".join(_der(b"\x02", n.to_bytes(n.bit_length() // 8 + 1)) for n in numbers))


def _der(tag, content):
    size = len(content)
    if size < 0x80:
        return tag + bytes([size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8)
    return tag + bytes([0x80 | len(octets)]) + octets + content
