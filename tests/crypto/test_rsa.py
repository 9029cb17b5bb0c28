"""Signatures and sensitive fields."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

import keys
import pytest
import recorded
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from hypothesis import given
from hypothesis import strategies as st

from wechatpay.crypto import rsa
from wechatpay.crypto.encoding import base64_decode
from wechatpay.errors import CryptoError

KEY, PUBLIC = keys.private_key(), keys.public_key()
SIGNED = rsa.sign("message", KEY)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(message=st.binary() | TEXT)
def test_what_is_signed_verifies(message):
    """Any text and any bytes can be signed, and verify."""
    assert rsa.verify(message, rsa.sign(message, KEY), PUBLIC)


def test_text_is_signed_as_utf8():
    """Text and its UTF-8 have one signature."""
    assert rsa.sign("微信", KEY) == rsa.sign("微信".encode(), KEY)


@pytest.mark.parametrize(
    ("message", "public"),
    [("messagE", PUBLIC), ("message", keys.public_key("stranger"))],
    ids=["other message", "other key"],
)
def test_signature_of_something_else_is_not_genuine(message, public):
    """Neither another message nor another key goes with a signature."""
    assert not rsa.verify(message, SIGNED, public)


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param("", id="empty"),
        pytest.param("WECHATPAY/SIGNTEST/" + SIGNED, id="probe"),
        pytest.param(SIGNED + "\n", id="line break"),
        pytest.param(SIGNED.rstrip("="), id="padding left out"),
        pytest.param(SIGNED[:-6] + "==", id="short"),
        pytest.param("AAAA" + SIGNED, id="long"),
        pytest.param("é", id="not ASCII"),
        pytest.param(b"AAAA", id="bytes"),
        pytest.param(None, id="none"),
    ],
)
def test_what_is_not_a_signature_is_not_genuine(signature):
    """Anything may arrive as a signature; it is then not genuine, and no exception."""
    assert rsa.verify("message", signature, PUBLIC) is False


@given(signature=st.text() | st.binary(min_size=256, max_size=256).map(lambda raw: b64encode(raw).decode()))
def test_random_signature_is_not_genuine(signature):
    """Whatever text arrives, base64 of the right length included, the result is False."""
    assert rsa.verify("message", signature, PUBLIC) is False


def test_digest_verifies_in_place_of_its_message():
    """A streamed response is verified by its digest."""
    assert rsa.verify_digest(sha256(b"message").digest(), SIGNED, PUBLIC)
    assert not rsa.verify_digest(sha256(b"other").digest(), SIGNED, PUBLIC)


def test_digest_of_another_length_is_an_error():
    """A hexadecimal digest, or that of another hash, is a mistake and no forgery."""
    with pytest.raises(CryptoError, match="32 bytes, got 64"):
        rsa.verify_digest(sha256(b"message").hexdigest().encode(), SIGNED, PUBLIC)


def test_keys_are_whatever_the_loaders_take():
    """As in PHP, a key may be given in any form that can be loaded."""
    signature = rsa.sign("x", keys.pem())
    sealed = rsa.encrypt("x", keys.certificate())

    assert rsa.verify("x", signature, keys.certificate_pem())
    assert rsa.verify_digest(sha256(b"x").digest(), signature, keys.public_pem())
    assert rsa.decrypt(sealed, keys.pem()) == "x"


def test_loaded_key_is_used_as_it_is():
    """A key that is loaded is not parsed, copied or verified again: signing costs what RSA costs."""
    assert rsa.load_private_key(KEY) is KEY
    assert rsa.load_public_key(PUBLIC) is PUBLIC


def test_message_that_is_not_text_is_an_error():
    """Lone surrogates have no bytes that could be signed; the error does not repeat the message."""
    with pytest.raises(CryptoError, match=r"^message: holds lone surrogates") as caught:
        rsa.sign("private\ud800", KEY)

    assert "private" not in str(caught.value)


@given(plaintext=TEXT.filter(lambda text: len(text.encode()) <= 190))
def test_what_is_encrypted_is_decrypted(plaintext):
    """Any text that fits comes back."""
    assert plaintext == rsa.decrypt(rsa.encrypt(plaintext, PUBLIC), KEY)


@pytest.mark.parametrize(("bits", "limit"), [(2048, 214), (3072, 342)], ids=["2048", "3072"])
def test_longest_plaintext_fits_and_one_more_byte_is_an_error_with_the_limit(bits, limit):
    """The limit is in bytes of UTF-8 and depends on the key; the error tells both numbers."""
    public, private = keys.public_key(bits=bits), keys.private_key(bits=bits)
    with pytest.raises(CryptoError, match=f"plaintext: {limit + 1} bytes .* at most {limit}$"):
        rsa.encrypt("x" * (limit - 2) + "中", public)

    assert "x" * limit == rsa.decrypt(rsa.encrypt("x" * limit, public), private)


@pytest.mark.parametrize(
    "ciphertext",
    [
        pytest.param("AAAA", id="short"),
        pytest.param(b64encode(bytes(256)).decode(), id="not OAEP"),
        pytest.param(b64encode(b"\xff" * 256).decode(), id="larger than the modulus"),
        pytest.param(rsa.encrypt("x", keys.public_key("stranger")), id="for another key"),
    ],
)
def test_ciphertext_for_something_else_is_an_error(ciphertext):
    """What cannot be decrypted is an error, and there is one only: it is not an oracle."""
    with pytest.raises(CryptoError, match=r"^ciphertext: was not made for this private key and padding$"):
        rsa.decrypt(ciphertext, KEY)


def test_ciphertext_is_strict_base64():
    """What is not exactly base64 was damaged on the way."""
    with pytest.raises(CryptoError, match=r"^ciphertext: is not strict base64"):
        rsa.decrypt(rsa.encrypt("x", PUBLIC) + "\n", KEY)


def test_bytes_have_a_name_of_their_own():
    """`decrypt` gives text or an error; `decrypt_bytes` gives what is not text, like the key of a bill."""
    sealed = b64encode(PUBLIC.encrypt(b"\xff\xfe", rsa.OAEP)).decode()
    with pytest.raises(CryptoError, match="decrypt_bytes"):
        rsa.decrypt(sealed, KEY)

    assert rsa.decrypt_bytes(sealed, KEY) == b"\xff\xfe"


def test_pkcs1_v15_is_there_for_who_asks():
    """An overseas API that uses the old padding is served, by its name."""
    sealed = rsa.encrypt("x" * 245, PUBLIC, rsa.PKCS1_V15)

    assert "x" * 245 == rsa.decrypt(sealed, KEY, rsa.PKCS1_V15)


def test_pkcs1_v15_is_never_the_default():
    """Without being asked for, the old padding decrypts nothing."""
    with pytest.raises(CryptoError, match="and padding"):
        rsa.decrypt(rsa.encrypt("x", PUBLIC, rsa.PKCS1_V15), KEY)


@pytest.mark.parametrize("padding", [None, 4, "OAEP"], ids=repr)
def test_other_padding_is_an_error(padding):
    """PHP's numbers, and what is not a padding at all, are refused by name, either way."""
    with pytest.raises(CryptoError, match=r"^padding: give OAEP or PKCS1_V15"):
        rsa.encrypt("x", PUBLIC, padding)
    with pytest.raises(CryptoError, match=r"^padding: give OAEP or PKCS1_V15"):
        rsa.decrypt("AAAA", KEY, padding)


def test_public_key_that_cannot_encrypt_is_an_error():
    """An even modulus is found out at the first use, and is our error."""
    numbers = PUBLIC.public_numbers()
    with pytest.raises(CryptoError, match=r"^public key: is damaged"):
        rsa.encrypt("x", RSAPublicNumbers(numbers.e, numbers.n + 1).public_key())


@pytest.mark.parametrize(("args", "expected"), recorded.of("Rsa.pkcs1ToSpki"))
def test_pkcs1_to_spki_is_that_of_php(args, expected):
    """The key is wrapped as it is, whatever it is."""
    assert expected == rsa.pkcs1_to_spki(*args)


@given(der=st.binary(max_size=70_000))
def test_wrapped_key_has_the_lengths_of_der(der):
    """The outer length spans the whole; the key follows unchanged."""
    wrapped = base64_decode(rsa.pkcs1_to_spki(b64encode(der).decode()), "wrapped")

    assert wrapped.endswith(b"\0" + der)
    assert (0x30, True) == (wrapped[0], _spans(wrapped))


def _spans(der):
    if der[1] < 0x80:
        return len(der) == 2 + der[1]
    octets = der[1] & 0x7F
    return len(der) == 2 + octets + int.from_bytes(der[2 : 2 + octets])
