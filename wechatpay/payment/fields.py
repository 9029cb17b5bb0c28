"""The fields of payment parameters: checked, written as text, signed or digested."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

from wechatpay import formatter
from wechatpay.crypto import hashing, rsa
from wechatpay.errors import CryptoError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wechatpay.crypto.keys import PrivateKeySource

__all__ = [
    "Clock",
    "Nonce",
    "Signer",
    "digest",
    "format_fields",
    "format_time",
    "query_string",
    "require",
    "sign",
    "validate_identifier",
    "validate_secret",
]

Clock: TypeAlias = Callable[[], float]
Nonce: TypeAlias = Callable[[], str]
Signer: TypeAlias = "PrivateKeySource | Callable[[str], str]"


def validate_identifier(value: object, name: str) -> str:
    """Return an identifier as it was issued.

    Raises:
        InvalidRequestError: It is missing, not text, or not printable ASCII without spaces.
    """
    if value is None or value == "":
        raise InvalidRequestError(f"{name}: is missing; it cannot be left out here")
    if not isinstance(value, str):
        raise InvalidRequestError(f"{name}: give it as text, not {type(value).__name__}")
    if not _is_identifier(value):
        raise InvalidRequestError(f"{name}: give it as it was issued, in ASCII and without white space")
    return formatter.text(value)


def format_fields(parameters: Mapping[str, Any], where: str = "parameters") -> dict[str, str]:
    """Write parameters as the text that is digested and sent; empty ones are left out.

    Raises:
        InvalidRequestError: ``parameters`` is not a mapping of names to scalars, or has text that is not
            Unicode.
    """
    if not isinstance(parameters, Mapping):
        raise InvalidRequestError(f"{where}: give a mapping, not {type(parameters).__name__}")
    written: dict[str, str] = {}
    for name, value in parameters.items():
        written[validate_identifier(name, f"{where}: a name")] = text = formatter.text(value, name)
        if not _is_unicode(text):
            raise InvalidRequestError(f"{name}: holds lone surrogates, which UTF-8 cannot hold")
    return {name: text for name, text in written.items() if text}


def require(names: Iterable[str], parameters: Mapping[str, str], where: str = "parameters") -> None:
    """Refuse parameters that are not complete.

    Raises:
        InvalidRequestError: One of ``names`` is missing or empty.
    """
    if missing := [name for name in names if not parameters.get(name)]:
        raise InvalidRequestError(f"{where}: {', '.join(missing)} must be given")


def format_time(clock: Clock) -> str:
    """Read the clock, in whole Unix seconds."""
    return str(int(clock()))


def sign(pieces: Iterable[str], private_key: Signer) -> str:
    """Sign pieces, each on a line of its own, with RSA.

    Raises:
        CryptoError: The key cannot be used.
    """
    text = formatter.joined_by_line_feed(*pieces)
    return private_key(text) if callable(private_key) else rsa.sign(text, private_key)


def digest(parameters: Mapping[str, str], secret: str, sign_type: str) -> str:
    """Digest parameters as APIv2 does, for a text that the payer gets to see.

    The digest does not mark where a field ends, and callbacks of APIv2 are signed with the same key. A value
    with ``&`` and a later ``=`` could be cut into further fields, and the text be posted as a callback.

    Raises:
        InvalidRequestError: A parameter could be read as several fields.
        CryptoError: ``secret`` is missing, or ``sign_type`` not known.
    """
    for name, value in parameters.items():
        # The name of a field cannot hold & or =, so that a lone & begins none, not even with what follows.
        if "&" in name or "=" in name or "=" in value.partition("&")[2]:
            raise InvalidRequestError(
                f"{name}: holds `&` and then `=`, so what is signed could be read as other fields; "
                "refuse the value, or replace one of the two characters"
            )
    text = formatter.query_string_like(formatter.ksort(parameters))
    return hashing.sign(sign_type, text, validate_secret(secret))


def validate_secret(secret: str) -> str:
    """Return a secret that digests can be keyed with.

    Raises:
        CryptoError: It is missing, or not printable ASCII without spaces.
    """
    # The digests of the PHP SDK, and so ours, append nothing for "" and "0": anybody could compute them.
    if not isinstance(secret, str) or secret in ("", "0") or not _is_identifier(secret):
        raise CryptoError("secret: give it as text, whole, in ASCII and without white space")
    return secret


def query_string(parameters: Mapping[str, Any]) -> str:
    """Write parameters as the query of a URL, each name and value encoded.

    ``wx.invoke("openBusinessView", …)`` takes it as ``queryString``, the SDK for apps as ``query``.

    Args:
        parameters: Such as `payscore_use` or `entrust_web` return; empty ones are left out.

    Raises:
        InvalidRequestError: ``parameters`` is not a mapping of names to scalars, or has text that is not
            Unicode.
    """
    return "&".join(
        f"{quote(name, '')}={quote(text, '')}" for name, text in format_fields(parameters).items()
    )


def _is_identifier(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
