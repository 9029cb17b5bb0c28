"""Whatever is put in, only our own errors come out, soon, and without a heap of memory."""

from __future__ import annotations

import tracemalloc

import keys
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from wechatpay.crypto import aes_ecb, aes_gcm, hashing, pem, rsa
from wechatpay.crypto.encoding import base64_decode, base64_encode
from wechatpay.errors import CryptoError

KEY, CERTIFICATE = keys.private_key(), keys.certificate()
SEEDS = [
    KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
    KEY.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
    KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"x")),
    KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    KEY.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1),
    CERTIFICATE.public_bytes(Encoding.DER),
    CERTIFICATE.public_bytes(Encoding.PEM),
    pkcs12.serialize_key_and_certificates(b"x", KEY, CERTIFICATE, None, NoEncryption()),
]
LOADERS = [rsa.load_private_key, rsa.load_public_key, pem.load_certificate]


@st.composite
def damaged(draw):
    """Take a key or certificate and overwrite, cut out or insert some bytes."""
    data = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.sampled_from([start, start + 1, start + 4, len(data)]))
        data = data[:start] + draw(st.binary(max_size=6)) + data[stop:]
    return data


def harmless(function, *args):
    """Call, and take any error of ours for a response."""
    try:
        function(*args)
    except CryptoError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("load", LOADERS)
@given(source=st.text() | st.binary() | damaged(), passphrase=st.none() | st.just("x"))
@settings(max_examples=100, deadline=1000)
def test_loaders_take_anything(load, source, passphrase):
    """Damaged keys, random text and random bytes are keys or our errors."""
    harmless(load, source, passphrase)


@pytest.mark.no_cover
@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize(
    "source",
    [
        pytest.param(b"-----BEGIN A-----" * 60_000, id="a thousand beginnings"),
        pytest.param(b"-----BEGIN A-----\n-----END A-----\n" * 30_000, id="a thousand empty blocks"),
        pytest.param(b"\x30\x83\x0f\xff\xfa" + b"\x30\x80" * 500_000, id="nesting"),
        pytest.param(b"\x30\x88" + b"\xff" * 8 + b"\x02" * 1000, id="more than memory holds"),
        pytest.param("private.pkcs1://" + "A" * 1_000_000, id="a million letters"),
    ],
)
def test_bombs_do_not_go_off(load, source):
    """A source of the size that is still read costs a few times its size, and little time."""
    tracemalloc.start()
    try:
        said = harmless(load, source)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert said
    assert peak < 32 << 20


@given(
    args=st.tuples(
        st.text() | st.binary().map(base64_encode),
        st.binary(min_size=32, max_size=32) | st.text(),
        st.binary(max_size=150) | st.text(),
        st.none() | st.text() | st.binary(),
    )
)
def test_ciphers_take_anything(args):
    """Random cipher texts, keys, nonces and associated data decrypt, or are our errors."""
    harmless(aes_gcm.decrypt, *args)
    harmless(aes_gcm.encrypt, *args)
    harmless(aes_ecb.decrypt, *args[:2])
    harmless(aes_ecb.encrypt, *args[:2])


@given(args=st.tuples(st.text(), st.text() | st.binary(), st.text() | st.binary()))
def test_digests_take_anything(args):
    """Random types, data and secrets give a digest, or are our errors."""
    harmless(hashing.sign, *args)
    harmless(hashing.hmac, *args[1:], args[0])
    harmless(hashing.equals, *args[1:])


@given(data=st.binary())
def test_base64_comes_back(data):
    """Any bytes come back from base64."""
    assert data == base64_decode(base64_encode(data), "data")


@given(text=st.text("ABab01+/=-_\n é", max_size=12))
def test_base64_has_one_spelling(text):
    """What is read as base64 is what would be written, letter for letter."""
    try:
        data = base64_decode(text, "text")
    except CryptoError:
        return

    assert text == base64_encode(data)
