"""The digests of APIv2."""

from __future__ import annotations

import pytest
import recorded
from cases import each

from wechatpay.crypto import hashing
from wechatpay.errors import CryptoError

# The example in WeChat Pay's own documents.
EXAMPLE = "appid=wxd930ea5d5a258f4f&body=test&device_info=1000&mch_id=10000100&nonce_str=ibuaiVcKdpRxkhJA"
SECRET = "192006250b4c09247ec02edce69f6a2d"


def unknown(sign_type, *_):
    """Return whether PHP would give null for the type."""
    return sign_type not in ("MD5", "HMAC-SHA256")


@each(("args", "expected"), recorded.of("Hash.md5"))
def test_md5_is_that_of_php(args, expected):
    """The secret is appended as ``&key=``, an agent's as ``&secret=``."""
    assert expected == hashing.md5(*args)


@each(("args", "expected"), recorded.of("Hash.hmac"))
def test_hmac_is_that_of_php(args, expected):
    """The secret keys the digest and is appended as well; an empty one is an error."""
    assert expected == recorded.outcome(hashing.hmac, *args)


@each(("args", "expected"), recorded.of("Hash.sign", unknown))
def test_sign_is_that_of_php(args, expected):
    """Each type digests in its own way, in upper case."""
    assert expected == recorded.outcome(hashing.sign, *args)


@pytest.mark.parametrize("args", recorded.but("Hash.sign", unknown))
def test_unknown_sign_type_is_an_error_where_php_sends_an_empty_sign(args):
    """A request without a signature would only fail later, and obscurely."""
    with pytest.raises(CryptoError, match="it is HMAC-SHA256 or MD5"):
        hashing.sign(*args)


@pytest.mark.parametrize(("args", "expected"), recorded.of("Hash.equals"))
def test_equals_is_that_of_php(args, expected):
    """Nothing but the same digest is equal, and ``None`` never is."""
    assert expected == hashing.equals(*args)


@pytest.mark.parametrize(
    ("sign_type", "expected"),
    [
        (hashing.ALGO_MD5, "9A0A8659F005D6984697E2CA0A9CF3B7"),
        (hashing.ALGO_HMAC_SHA256, "6A9AE1657590FD6257D693A078E1C3E4BB6BA4DC30B23E0EE2496E54170DACD6"),
    ],
    ids=["MD5", "HMAC-SHA256"],
)
def test_documented_example_gives_the_documented_sign(sign_type, expected):
    """WeChat Pay's own example holds, with either algorithm."""
    assert expected == hashing.sign(sign_type, EXAMPLE, SECRET)


@pytest.mark.parametrize("name", ["sha512/256", "SHA512-256", "sha3-256", "sha3_256"])
def test_hash_goes_by_the_name_php_gives_it(name):
    """Hashes are found in PHP's spelling and in Python's."""
    assert len(hashing.hmac("a", "k", name)) == 64


@pytest.mark.parametrize("name", ["nope", "", "shake_128", None, 256], ids=repr)
def test_unknown_hash_is_an_error(name):
    """A hash that does not exist is named in the error."""
    with pytest.raises(CryptoError, match="algorithm"):
        hashing.hmac("a", "k", name)


@pytest.mark.parametrize("value", [None, 1, "\ud800"], ids=["none", "number", "surrogate"])
def test_what_has_no_bytes_cannot_be_digested(value):
    """Only text and bytes are digested, and nothing is guessed."""
    with pytest.raises(CryptoError, match="thing"):
        hashing.md5(value)


def test_received_digest_that_is_not_text_is_unequal():
    """What was received may be anything, and is then not equal."""
    assert not hashing.equals("a", "\ud800")


def test_text_and_bytes_of_it_are_equal():
    """A digest may be compared in either form."""
    assert hashing.equals("a", b"a")
