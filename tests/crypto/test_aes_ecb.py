"""The cipher of APIv2 refund callbacks."""

from __future__ import annotations

from hashlib import md5

import pytest
import recorded
from hypothesis import given
from hypothesis import strategies as st

from wechatpay.crypto import aes_ecb
from wechatpay.errors import CryptoError

KEY = md5(b"secret").hexdigest()


def padded_key(_, key):
    """Return whether PHP fills the key up with zeros."""
    return len(key) != 32


@pytest.mark.parametrize(("args", "expected"), recorded.of("AesEcb.encrypt", padded_key))
def test_encryption_is_that_of_php(args, expected):
    """The same arguments, in PHP's order, give the same cipher text."""
    assert expected == aes_ecb.encrypt(*args)


@pytest.mark.parametrize(("args", "expected"), recorded.of("AesEcb.decrypt"))
def test_decryption_is_that_of_php(args, expected):
    """The same arguments, in PHP's order, give the same text, or an error."""
    assert expected == recorded.outcome(aes_ecb.decrypt, *args)


@pytest.mark.parametrize("args", recorded.but("AesEcb.encrypt", padded_key))
def test_short_key_is_an_error_where_php_pads_it(args):
    """A key that is not 32 bytes is a wrong key."""
    with pytest.raises(CryptoError, match="exactly 32 bytes, got 0"):
        aes_ecb.encrypt(*args)


@given(data=st.binary())
def test_what_is_encrypted_is_decrypted(data):
    """Any bytes come back."""
    assert data == aes_ecb.decrypt_bytes(aes_ecb.encrypt(data, KEY), KEY)


def test_bytes_have_a_name_of_their_own():
    """`decrypt` gives text or an error, never bytes."""
    with pytest.raises(CryptoError, match="decrypt_bytes"):
        aes_ecb.decrypt(aes_ecb.encrypt(b"\xff", KEY), KEY)


@pytest.mark.parametrize("text", ["", "AAAA", "A" * 43 + "="], ids=["nothing", "half a block", "two blocks"])
def test_what_was_not_made_with_the_key_is_an_error(text):
    """Cut and foreign cipher texts fail; their padding shows it."""
    with pytest.raises(CryptoError, match=r"^ciphertext: is cut short"):
        aes_ecb.decrypt(text, KEY)


def test_base64_is_strict():
    """A line break inside means that something else is damaged as well."""
    with pytest.raises(CryptoError, match="not strict base64"):
        aes_ecb.decrypt(aes_ecb.encrypt("x", KEY) + "\n", KEY)


def test_third_argument_of_php_may_be_empty_and_nothing_else():
    """Ported calls pass ``""`` as the initialization vector; ECB has none."""
    sealed = aes_ecb.encrypt("text", "k" * 32, "")

    assert "text" == aes_ecb.decrypt(sealed, "k" * 32, "")
    with pytest.raises(CryptoError, match=r"^iv: ECB has no initialization vector"):
        aes_ecb.encrypt("text", "k" * 32, "iv")
