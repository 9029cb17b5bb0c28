"""The settings that downloads of certificates need, checked once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wechatpay.errors import ConfigurationError

if TYPE_CHECKING:
    from wechatpay.platform.cache import DirectoryCache

__all__ = ["load_apiv3_key", "open_cache"]

#: Of AES-256.
_KEY_BYTES = 32


def load_apiv3_key(value: Any) -> bytes:
    """Check the setting ``apiv3_key``.

    Raises:
        ConfigurationError: It is not 32 bytes, or text of 32 bytes.
    """
    key = value.encode("utf-8", "replace") if isinstance(value, str) else value
    if not isinstance(key, bytes) or len(key) != _KEY_BYTES:
        given = f"{len(key)} bytes" if isinstance(key, bytes) else type(key).__name__
        raise ConfigurationError(f"apiv3_key: is {_KEY_BYTES} bytes, got {given}")
    return key


def open_cache(directory: Any, name: str, *, downloads: bool) -> DirectoryCache | None:
    """Check the setting ``certs_cache``; the directory is not touched yet.

    Args:
        directory: The setting, or ``None``.
        name: What tells this merchant's file from others.
        downloads: Whether there will be anything to keep.

    Raises:
        ConfigurationError: It is no path, or there is nothing to keep there.
    """
    if directory is None:
        return None
    if not isinstance(directory, str | os.PathLike) or not os.fspath(directory):
        raise ConfigurationError("certs_cache: the path of a directory")
    if not downloads:
        raise ConfigurationError("certs_cache: keeps what is downloaded, which needs apiv3_key")
    from wechatpay.platform.cache import DirectoryCache  # noqa: PLC0415  public keys are never downloaded

    return DirectoryCache(Path(directory), name)
