"""The texts that WeChat Pay signs and verifies, and their parts.

The names are those of the PHP SDK's ``Formatter``, in snake_case.
"""

from __future__ import annotations

import secrets
import string
import sys
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar, overload

from wechatpay.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "authorization",
    "find_number_flaw",
    "format_number",
    "joined_by_line_feed",
    "ksort",
    "nonce",
    "query_string_like",
    "request",
    "response",
    "text",
    "timestamp",
]

_ALPHABET = (string.digits + string.ascii_letters).encode()
# Each letter stands for four bytes; the last eight of 256 would favour some, and are drawn again.
_LETTERS = bytes(_ALPHABET[byte % 62] for byte in range(256))
_SURPLUS = bytes(range(248, 256))

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def nonce(size: int = 32) -> str:
    """Draw a random string of digits and ASCII letters.

    Args:
        size: Number of characters, at least 1. WeChat Pay takes up to 32.

    Raises:
        InvalidRequestError: ``size`` is less than 1.
    """
    if size < 1:
        raise InvalidRequestError(f"size: a nonce needs at least 1 character, got {size}; 32 is usual")
    drawn = b""
    while len(drawn) < size:
        drawn += secrets.token_bytes(size).translate(_LETTERS, _SURPLUS)
    return drawn[:size].decode("ascii")


def timestamp() -> int:
    """Read the clock, in whole Unix seconds."""
    return int(time.time())


def authorization(  # noqa: PLR0913  PHP's arguments, and what it has no suites for
    mchid: str,
    nonce: str,
    signature: str,
    timestamp: str | int,
    serial: str,
    *,
    scheme: str = "WECHATPAY2-SHA256-RSA2048",
    party: str = "mchid",
) -> str:
    """Lay out the ``Authorization`` header of an APIv3 request.

    See https://pay.weixin.qq.com/doc/v3/merchant/4012365342.

    Args:
        mchid: Merchant id, or brand id.
        nonce: The nonce that was signed.
        signature: Base64 signature of the request.
        timestamp: The Unix seconds that were signed.
        serial: Serial number of the merchant's certificate, 40 upper-case hexadecimal digits.
        scheme: How it was signed.
        party: Whose id it is: ``mchid`` or ``brand_id``.
    """
    pieces = (
        *(scheme, " ", party, '="', mchid, '",serial_no="', serial, '",timestamp="', timestamp),
        *('",nonce_str="', nonce, '",signature="', signature, '"'),
    )
    try:
        return "".join(pieces)  # type: ignore[arg-type]  # nearly always text
    except TypeError:
        return "".join(map(text, pieces))


@overload
def request(method: str, uri: str, timestamp: str | int, nonce: str, body: str = "") -> str: ...
@overload
def request(method: str, uri: str, timestamp: str | int, nonce: str, body: bytes) -> bytes: ...
def request(method: str, uri: str, timestamp: str | int, nonce: str, body: str | bytes = "") -> str | bytes:
    r"""Lay out an APIv3 request for signing.

    See https://pay.weixin.qq.com/doc/v3/merchant/4012365342.

    Args:
        method: HTTP method, upper case.
        uri: Path and query exactly as sent.
        timestamp: Unix seconds.
        nonce: Random string.
        body: Body exactly as sent; empty when there is none. Bytes give bytes: a body need not be UTF-8.

    Returns:
        Five lines, each ended by ``\n``; of the type of ``body``.
    """
    head = _lines(method, uri, timestamp, nonce)
    return f"{head}{str.__str__(body)}\n" if isinstance(body, str) else b"%b%b\n" % (head.encode(), body)


@overload
def response(timestamp: str | int, nonce: str, body: str = "") -> str: ...
@overload
def response(timestamp: str | int, nonce: str, body: bytes) -> bytes: ...
def response(timestamp: str | int, nonce: str, body: str | bytes = "") -> str | bytes:
    r"""Lay out an APIv3 response, or a callback, for verifying.

    See https://pay.weixin.qq.com/doc/v3/merchant/4012365342.

    Args:
        timestamp: The header ``Wechatpay-Timestamp``.
        nonce: The header ``Wechatpay-Nonce``.
        body: Body exactly as received; empty when there is none. Bytes give bytes.

    Returns:
        Three lines, each ended by ``\n``; of the type of ``body``.
    """
    head = _lines(timestamp, nonce)
    return f"{head}{str.__str__(body)}\n" if isinstance(body, str) else b"%b%b\n" % (head.encode(), body)


def _lines(*pieces: str | int) -> str:
    try:
        return "\n".join((*pieces, ""))  # type: ignore[arg-type]  # nearly always text
    except TypeError:
        return joined_by_line_feed(*pieces)


def joined_by_line_feed(*pieces: Any) -> str:
    r"""End each piece with ``\n`` and join them, as payment parameters are laid out for signing.

    Args:
        pieces: Strings, numbers, booleans or ``None``; see `text`.

    Raises:
        InvalidRequestError: A piece is of another type.
    """
    return "".join([f"{text(piece)}\n" for piece in pieces])


def ksort(thing: Mapping[_Key, _Value]) -> dict[_Key, _Value]:
    """Sort a mapping by its names as bytes, the way APIv2 digests its parameters.

    Args:
        thing: Any mapping; names that are not strings sort as their text.
    """
    # The order of code points is the order of their UTF-8 bytes.
    return dict(sorted(thing.items(), key=lambda pair: _name(pair[0])))


def query_string_like(thing: Mapping[Any, Any]) -> str:
    """Join parameters as ``name=value`` with ``&``, unquoted, the way APIv2 digests them.

    ``sign`` is left out, and so are ``None`` and ``""``; ``0`` is a value.

    Args:
        thing: Parameters in the order they shall have; see `ksort`.

    Raises:
        InvalidRequestError: A value is neither a string, a number, a boolean nor ``None``.
    """
    return "&".join(
        [
            f"{name}={written}"
            for name, value in [(_name(name), value) for name, value in thing.items()]
            if name != "sign"
            and value is not None
            and ((written := text(value, name)) or not isinstance(value, str))
        ]
    )


def text(value: Any, name: Any = "piece") -> str:
    """Write a scalar as the PHP SDK does: what is digested and what is sent must be one text.

    Args:
        value: ``True`` is ``1``; ``False`` and ``None`` are empty; a ``Decimal`` is written exactly.
        name: What to call the value in an error.

    Raises:
        InvalidRequestError: ``value`` is a ``float``, a ``Decimal`` that is not finite, an ``int`` of more
            digits than Python writes (4300), or not a scalar.
    """
    if isinstance(value, str):
        return str.__str__(value)
    if value is None or value is False:
        return ""
    if isinstance(value, int):
        try:
            return int.__format__(value, "d")
        except ValueError:
            limit = sys.get_int_max_str_digits()
            raise InvalidRequestError(
                f"{name}: an int of more than {limit} digits; give it as text"
            ) from None
    if isinstance(value, float | Decimal):
        return format_number(value, name)
    raise InvalidRequestError(
        f"{name}: {type(value).__name__} has no text of its own here;"
        " give a string (bytes.decode(), date.isoformat(), JSON text for a nested value), an int, or a finite"
        " Decimal"
    )


def format_number(value: float | Decimal, name: Any) -> str:
    """Write a ``Decimal`` exactly, without an exponent.

    Args:
        value: A finite ``Decimal``.
        name: What to call the value in an error.

    Raises:
        InvalidRequestError: ``value`` is a ``float``, or not finite.
    """
    flaw = find_number_flaw(value, name)
    if flaw or isinstance(value, float):
        raise InvalidRequestError(flaw)
    return Decimal.__format__(value, "f")


def find_number_flaw(value: float | Decimal, name: Any) -> str:
    """Return why a number that is not whole cannot be sent, or ``""``."""
    if isinstance(value, float):
        return (
            f"{name}: a float is not exact (19.99 * 100 is not 1999):"
            " give an int of fen, or a Decimal where a fraction is documented"
        )
    return "" if Decimal.is_finite(value) else f"{name}: {Decimal.__str__(value)} is not a finite number"


def _name(name: Any) -> str:
    """Return a parameter's name as exact text, whatever its class makes of itself."""
    return str.__str__(name) if isinstance(name, str) else str(name)
