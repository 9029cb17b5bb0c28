"""The cipher of callbacks and platform certificates."""

from __future__ import annotations

import pytest
import recorded
from cases import each
from hypothesis import given
from hypothesis import strategies as st

from wechatpay.crypto import aes_gcm
from wechatpay.errors import CryptoError

KEY = "0123456789abcdefghijklmnopqrstuv"
NONCE = "0123456789ab"
SEALED = aes_gcm.encrypt("text", KEY, NONCE, "aad")


def stricter(text, key, iv="", aad=""):
    """Return whether PHP cuts the key, or takes a nonce too short to be safe."""
    return len(key) != 32 or 0 < len(iv) < 8


def binary(_, expected):
    """Return whether a vector's plain text is not UTF-8."""
    return isinstance(expected, bytes)


@each(("args", "expected"), recorded.of("AesGcm.encrypt", stricter))
def test_encryption_is_that_of_php(args, expected):
    """The same arguments, in PHP's order, give the same cipher text."""
    assert expected == recorded.outcome(aes_gcm.encrypt, *args)


@each(("args", "expected"), [pair for pair in recorded.of("AesGcm.decrypt", stricter) if not binary(*pair)])
def test_decryption_is_that_of_php(args, expected):
    """The same arguments, in PHP's order, give the same text."""
    assert expected == recorded.outcome(aes_gcm.decrypt, *args)


@pytest.mark.parametrize(
    ("args", "expected"), [pair for pair in recorded.of("AesGcm.decrypt", stricter) if binary(*pair)]
)
def test_bytes_are_decrypted_as_php_does_but_by_a_name_of_their_own(args, expected):
    """`decrypt` gives text or an error, never bytes; `decrypt_bytes` gives what is not text."""
    with pytest.raises(CryptoError, match="decrypt_bytes"):
        aes_gcm.decrypt(*args)

    assert expected == aes_gcm.decrypt_bytes(*args)


@pytest.mark.parametrize("args", recorded.but("AesGcm.decrypt", stricter))
def test_long_key_is_an_error_where_php_cuts_it(args):
    """A key that is not 32 bytes is a wrong key."""
    with pytest.raises(CryptoError, match="exactly 32 bytes, got 40"):
        aes_gcm.decrypt(*args)


@pytest.mark.parametrize("args", recorded.but("AesGcm.encrypt", stricter))
def test_short_nonce_is_an_error_where_php_takes_it(args):
    """A nonce of less than 8 bytes repeats too soon."""
    with pytest.raises(CryptoError, match=r"needs 8 to 128 bytes .*, got 5"):
        aes_gcm.encrypt(*args)


@given(
    text=st.text(st.characters(exclude_categories=["Cs"])),
    aad=st.binary(),
    iv=st.binary(min_size=8, max_size=128),
)
def test_what_is_encrypted_is_decrypted(text, aad, iv):
    """Any text comes back, under any nonce that is taken and any associated data."""
    assert text == aes_gcm.decrypt(aes_gcm.encrypt(text, KEY, iv, aad), KEY, iv, aad)


@pytest.mark.parametrize("size", [0, 7, 129])
def test_nonce_of_a_length_that_openssl_refuses_is_our_error(size):
    """The error names the argument and the lengths that will do."""
    with pytest.raises(CryptoError, match=f"^iv: .* got {size}$"):
        aes_gcm.decrypt(SEALED, KEY, "n" * size)


def test_absent_associated_data_is_empty_associated_data():
    """A callback without ``associated_data`` decrypts like one where it is empty."""
    assert aes_gcm.decrypt(aes_gcm.encrypt("x", KEY, NONCE, ""), KEY, NONCE, None) == "x"


@pytest.mark.parametrize(
    "args",
    [
        pytest.param((SEALED, KEY[::-1], NONCE, "aad"), id="key"),
        pytest.param((SEALED, KEY, NONCE[::-1], "aad"), id="nonce"),
        pytest.param((SEALED, KEY, NONCE, "other"), id="associated data"),
        pytest.param(("A" + SEALED[1:], KEY, NONCE, "aad"), id="cipher text"),
    ],
)
def test_one_part_that_does_not_belong_is_an_error(args):
    """Nothing is decrypted unless all of it is authentic."""
    with pytest.raises(CryptoError, match="check the APIv3 key"):
        aes_gcm.decrypt(*args)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(SEALED + "\n", id="line break"),
        pytest.param(" " + SEALED, id="space"),
        pytest.param(SEALED.rstrip("="), id="padding left out"),
        pytest.param(SEALED + "=", id="padding too long"),
        pytest.param(SEALED[:-3] + "-_=", id="URL alphabet"),
        pytest.param("é" + SEALED, id="not ASCII"),
        pytest.param("QR==", id="stray bits"),
        pytest.param(SEALED.encode(), id="bytes"),
        pytest.param(None, id="none"),
    ],
)
def test_base64_is_strict(text):
    """What is not exactly base64 was damaged on the way, and is not repaired."""
    with pytest.raises(CryptoError, match=r"^ciphertext: is not strict base64"):
        aes_gcm.decrypt(text, KEY, NONCE, "aad")


def test_key_error_shows_no_key():
    """The error counts the bytes of the key and shows none of them."""
    with pytest.raises(CryptoError) as caught:
        aes_gcm.encrypt("x", "hunter2", NONCE)

    assert str(caught.value) == "key: AES-256 needs exactly 32 bytes, got 7"
