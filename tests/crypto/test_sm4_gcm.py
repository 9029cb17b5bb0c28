"""AEAD_SM4_GCM and SM3, to their standards' own examples."""

from __future__ import annotations

import base64

import pytest

from wechatpay.crypto import sm4_gcm
from wechatpay.crypto.sm2 import Sm3
from wechatpay.errors import CryptoError

APIV3_KEY = "apiv3-key-of-32-characters-0000!"
KEY = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
NONCE = bytes.fromhex("00001234567800000000ABCD")
AAD = bytes.fromhex("FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2")
PLAINTEXT = b"".join(8 * bytes([byte]) for byte in bytes.fromhex("AABBCCDDEEFFEEAA"))
CIPHERTEXT = bytes.fromhex(
    "17F399F08C67D5EE19D0DC9969C4BB7D5FD46FD3756489069157B282BB200735"
    "D82710CA5C22F0CCFA7CBF93D496AC15A56834CBCF98C397B4024A2691233B8D"
    "83DE3541E4C2B58177E065A9BF7B62EC"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
        (16 * b"abcd", "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
    ],
    ids=["one block", "two blocks"],
)
def test_sm3_is_that_of_the_standard(text, expected):
    """GB/T 32905, annex A."""
    assert expected == Sm3(text).digest().hex()


def test_sm4_gcm_is_that_of_rfc_8998():
    """Appendix A.1, both ways: cipher text and 128-bit tag."""
    sealed = base64.b64encode(CIPHERTEXT).decode()

    assert sealed == sm4_gcm.encrypt(PLAINTEXT, KEY, NONCE, AAD)
    assert PLAINTEXT == sm4_gcm.decrypt_bytes(sealed, KEY, NONCE, AAD)


def test_apiv3_key_is_digested():
    """The first 16 bytes of its SM3 are the key."""
    sealed = sm4_gcm.encrypt("名", Sm3(APIV3_KEY.encode()).digest()[:16], "nonce-of-12b", None)

    assert "名" == sm4_gcm.decrypt(sealed, APIV3_KEY, "nonce-of-12b")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"key": "x" * 32}, "was not made with this key"),
        ({"iv": "nonce-of-12c"}, "was not made with this key"),
        ({"aad": "other"}, "was not made with this key"),
        ({"key": "x" * 24}, "32 bytes, or an SM4 key, 16 bytes, not 24"),
        ({"iv": "n"}, "iv: needs 8 to 128 bytes"),
        ({"ciphertext": "AAAA"}, "3 bytes are too few"),
        ({"ciphertext": "?"}, "strict base64"),
        ({"ciphertext": base64.b64encode(bytes(40)).decode()}, "was not made with this key"),
    ],
    ids=[
        "key",
        "nonce",
        "associated data",
        "size of the key",
        "short nonce",
        "no tag",
        "no base64",
        "forged",
    ],
)
def test_what_does_not_belong_together_is_refused(changes, words):
    """Nothing comes out that was not authenticated."""
    given = {"key": APIV3_KEY, "iv": "nonce-of-12b", "aad": "aad"}
    sealed = {"ciphertext": sm4_gcm.encrypt("text", **given)}

    assert "text" == sm4_gcm.decrypt(**sealed | given)
    with pytest.raises(CryptoError, match=words):
        sm4_gcm.decrypt(**sealed | given | changes)


def test_bytes_that_are_no_text_are_refused_as_text():
    """As aes_gcm does."""
    sealed = sm4_gcm.encrypt(b"\xff", KEY, NONCE)

    assert b"\xff" == sm4_gcm.decrypt_bytes(sealed, KEY, NONCE)
    with pytest.raises(CryptoError, match="does not hold UTF-8 text"):
        sm4_gcm.decrypt(sealed, KEY, NONCE)
