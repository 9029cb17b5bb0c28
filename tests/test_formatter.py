"""The texts that are signed, letter for letter."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from decimal import Decimal
from enum import Enum, StrEnum

import pytest
import recorded
from hypothesis import given
from hypothesis import strategies as st
from labels import stable_repr

from wechatpay import formatter
from wechatpay.errors import InvalidRequestError

LINES = st.text(st.characters(exclude_categories=["Cs"]))


def inexact(*args):
    """Whether a float is among the recorded values, which PHP rounds and we refuse."""
    values = dict(args[0]).values() if args and isinstance(args[0], list | dict) else args
    return any(isinstance(value, float) for value in values)


def nested(parameters):
    """Return whether PHP would write ``Array`` for one of the parameters, with a warning."""
    return any(isinstance(value, list | dict) for value in dict(parameters).values())


@pytest.mark.parametrize(("args", "expected"), recorded.of("Formatter.authorization"))
def test_authorization_is_that_of_php(args, expected):
    """Arguments are laid out, in PHP's order, and never taken for a format."""
    assert expected == formatter.authorization(*args)


@pytest.mark.parametrize(("args", "expected"), recorded.of("Formatter.request"))
def test_request_is_that_of_php(args, expected):
    """A request is signed as PHP lays it out."""
    assert expected == formatter.request(*args)


@pytest.mark.parametrize(("args", "expected"), recorded.of("Formatter.response"))
def test_response_is_that_of_php(args, expected):
    """A response is verified as PHP lays it out."""
    assert expected == formatter.response(*args)


@pytest.mark.parametrize(("args", "expected"), recorded.of("Formatter.joinedByLineFeed", inexact))
def test_joined_by_line_feed_is_that_of_php(args, expected):
    """Pieces become the text that PHP makes of them, each on a line of its own."""
    assert expected == formatter.joined_by_line_feed(*args)


@pytest.mark.parametrize("args", recorded.but("Formatter.joinedByLineFeed", inexact))
def test_float_is_an_error_where_php_rounds_it(args):
    """PHP cuts a float to its ``precision``; what is signed here is exact."""
    with pytest.raises(InvalidRequestError, match="a float is not exact"):
        formatter.joined_by_line_feed(*args)


@pytest.mark.parametrize(("args", "expected"), recorded.of("Formatter.ksort"))
def test_ksort_is_that_of_php(args, expected):
    """Names are sorted as bytes, numbers among them as text."""
    pairs = formatter.ksort(dict(map(tuple, args[0]))).items()

    assert expected == [list(pair) for pair in pairs]


@pytest.mark.parametrize(("args", "expected"), recorded.of("Formatter.queryStringLike", nested))
def test_query_string_like_is_that_of_php(args, expected):
    """Parameters are digested as PHP writes them; floats, which PHP rounds, are refused."""
    if inexact(*args):
        with pytest.raises(InvalidRequestError, match="a float is not exact"):
            formatter.query_string_like(dict(args[0]))
        return
    assert expected == formatter.query_string_like(dict(args[0]))


@pytest.mark.parametrize("args", recorded.but("Formatter.queryStringLike", nested))
def test_nested_parameter_is_an_error_where_php_digests_the_word_array(args):
    """PHP signs ``a=Array`` with a warning; nobody can have meant that."""
    with pytest.raises(InvalidRequestError, match=r"^a: list"):
        formatter.query_string_like(args[0])


def test_joining_nothing_gives_nothing():
    """No pieces, no lines."""
    assert formatter.joined_by_line_feed() == ""


def test_joined_none_and_booleans_are_those_of_php():
    """``None`` and ``False`` are empty lines, ``True`` is ``1``."""
    pieces = [None, True, False]

    assert formatter.joined_by_line_feed(*pieces) == "\n1\n\n"


@given(method=LINES, uri=LINES, timestamp=st.integers(), nonce=LINES, body=LINES)
def test_bytes_are_laid_out_like_text(method, uri, timestamp, nonce, body):
    """A body in bytes gives the bytes of what the same body gives as text."""
    text = formatter.request(method, uri, timestamp, nonce, body)

    assert text.encode() == formatter.request(method, uri, timestamp, nonce, body.encode())
    assert text == formatter.joined_by_line_feed(method, uri, timestamp, nonce, body)


def test_body_in_bytes_need_not_be_utf8():
    """What is verified are the bytes received, whatever they are."""
    assert formatter.response("1", "n", b"\xff") == b"1\nn\n\xff\n"


def test_nonce_has_32_digits_and_letters():
    """By default a nonce has the length that WeChat Pay takes at most."""
    nonce = formatter.nonce()

    assert (32, True, True) == (len(nonce), nonce.isascii(), nonce.isalnum())


@pytest.mark.parametrize("size", [1, 31, 33, 1000])
def test_nonce_has_the_size_asked_for(size):
    """The size is the number of characters."""
    assert size == len(formatter.nonce(size))


@pytest.mark.parametrize("size", [0, -1])
def test_nonce_of_no_size_is_an_error(size):
    """An empty nonce protects nothing."""
    with pytest.raises(InvalidRequestError, match="size"):
        formatter.nonce(size)


def test_every_character_of_a_nonce_is_equally_likely():
    """The chi-square of 124,000 characters is far below that of a draw modulo 62 (some 800)."""
    counts = Counter(formatter.nonce(124_000))

    assert len(counts) == 62
    assert sum((count - 2000) ** 2 / 2000 for count in counts.values()) < 200


def test_timestamp_is_now_in_seconds():
    """The clock is read in whole Unix seconds."""
    assert abs(time.time() - formatter.timestamp()) < 2
    assert isinstance(formatter.timestamp(), int)


class Colour(StrEnum):
    """An enumeration as applications define them."""

    RED = "red"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(Colour.RED, "red", id="string enumeration"),
        pytest.param(10**20, "100000000000000000000", id="large integer"),
        pytest.param(Decimal("1.10"), "1.10", id="decimal keeps its zeros"),
        pytest.param(Decimal("1E+3"), "1000", id="decimal without exponent"),
    ],
)
def test_scalar_has_the_text_that_php_gives_it(value, expected):
    """Numbers and strings become one text, for digest and document alike."""
    assert expected == formatter.text(value)


@pytest.mark.parametrize("value", [b"x", [], {}, object()], ids=stable_repr)
def test_value_without_a_text_of_its_own_is_an_error(value):
    """What PHP has no text for is refused by its name, and its content not shown."""
    with pytest.raises(InvalidRequestError, match=f"^total: {type(value).__name__} "):
        formatter.query_string_like({"total": value})


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_decimal_that_is_not_finite_is_refused(value):
    """It has no digits to write."""
    with pytest.raises(InvalidRequestError, match=f"^total: {value} is not a finite number$"):
        formatter.query_string_like({"total": Decimal(value)})


@pytest.mark.parametrize("value", [19.99 * 100, 1.0, float("nan"), float("inf")], ids=repr)
def test_float_is_an_error_that_says_what_to_give(value):
    """An amount computed in floats is not the amount that is meant."""
    with pytest.raises(InvalidRequestError, match=r"^total_fee: a float is not exact .* int of fen"):
        formatter.query_string_like({"total_fee": value})


class Shop(str, Enum):  # noqa: UP042  whose format() is Shop.MAIN
    """An enumeration whose ``str()`` is not its value."""

    MAIN = "1900000109"


def test_enumerations_are_written_as_their_values():
    """Identifiers, lines that are signed and parameter names are exact text."""
    assert 'mchid="1900000109"' in formatter.authorization(Shop.MAIN, "n", "s", 1, "AB")
    assert "1900000109\nn\n1900000109\n" == formatter.response(Shop.MAIN, "n", Shop.MAIN)
    assert "1900000109=1900000109" == formatter.query_string_like({Shop.MAIN: Shop.MAIN})


def test_formatter_does_not_import_cryptography():
    """Who only lays out texts does not pay for ciphers."""
    code = "import sys, wechatpay.formatter; sys.exit('cryptography' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
