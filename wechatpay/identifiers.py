"""Identifiers and keys as callers give them: checked once, in one spelling, as exact texts."""

from __future__ import annotations

import re
from typing import Any

from wechatpay.errors import ConfigurationError
from wechatpay.secret import Secret

__all__ = ["exact", "load_apiv2_key", "load_apiv3_key", "normalize_serial", "validate_identifier"]

#: Characters of the APIv2 key, and bytes of the APIv3 key.
_KEY_SIZE = 32

#: Hexadecimal digits of the longest serial number: 20 bytes, RFC 5280 section 4.1.2.2.
_SERIAL_DIGITS = 40

_FORBIDDEN = frozenset('" ,\\')


def exact(value: Any) -> Any:
    """Return an exact ``str`` for one of a subclass, such as an ``Enum`` of texts; anything else as it is.

    ``str()`` and ``format()`` of a subclass can return another text than the one that was checked.
    """
    return str.__str__(value) if isinstance(value, str) else value


def validate_identifier(value: Any, name: str) -> str:
    """Check a setting that is an identifier, such as a merchant id.

    Args:
        value: The setting.
        name: Its name, for errors.

    Raises:
        ConfigurationError: It is not one word of printable ASCII text.
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"{name}: give it as text, not {type(value).__name__}")
    text: str = exact(value)
    if not text or not text.isascii() or not text.isprintable() or not _FORBIDDEN.isdisjoint(text):
        raise ConfigurationError(
            f"{name}: give one word of ASCII letters and digits, as WeChat Pay's console shows it"
        )
    return text


def normalize_serial(value: Any) -> str:
    """Return the setting ``serial`` as WeChat Pay writes it: hexadecimal, in capitals.

    Colons, spaces, small letters and ``serial=`` are what openssl and browsers print. A decimal number is
    recognised by its length: it has more digits than any hexadecimal serial number.

    Raises:
        ConfigurationError: It is not a serial number.
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"serial: give it as text, not {type(value).__name__}")
    text = re.sub(r"^\s*serial\s*=|[\s:]", "", exact(value), flags=re.IGNORECASE).upper()
    if len(text) > _SERIAL_DIGITS and re.fullmatch("[0-9]{1,49}", text):
        text = f"{int(text):0{_SERIAL_DIGITS}X}"
    if len(text) > _SERIAL_DIGITS or not re.fullmatch("[0-9A-F]+", text):
        raise ConfigurationError(
            "serial: give the serial number of the merchant's API certificate, up to 40 hexadecimal digits, "
            "as the merchant console or `openssl x509 -in apiclient_cert.pem -noout -serial` shows it"
        )
    return text


def load_apiv2_key(value: Any) -> Secret[str]:
    """Check the setting ``secret``, the APIv2 key.

    Raises:
        ConfigurationError: It is not a word of 32 characters.
    """
    text = validate_identifier(value, "secret")
    if len(text) != _KEY_SIZE:
        raise ConfigurationError(f"secret: the APIv2 key has {_KEY_SIZE} characters, got {len(text)}")
    return Secret(text)


def load_apiv3_key(value: Any) -> Secret[bytes]:
    """Check the setting ``apiv3_key``.

    Raises:
        ConfigurationError: It is not 32 bytes, or text of 32 bytes.
    """
    key = exact(value).encode("utf-8", "replace") if isinstance(value, str) else value
    if not isinstance(key, bytes) or len(key) != _KEY_SIZE:
        given = f"{len(key)} bytes" if isinstance(key, bytes) else type(key).__name__
        raise ConfigurationError(f"apiv3_key: is {_KEY_SIZE} bytes, got {given}")
    return Secret(bytes(memoryview(key)))
