"""Where keys and certificates come from: PEM text, bytes, files, bare base64 behind a scheme."""

from __future__ import annotations

import os
import re
from typing import TypeAlias
from urllib.parse import unquote

from wechatpay.crypto.encoding import base64_decode, utf8
from wechatpay.errors import CryptoError

__all__ = ["Source", "read"]

Source: TypeAlias = "str | bytes | bytearray | memoryview | os.PathLike[str]"

_SCHEMES = ("private.pkcs1://", "private.pkcs8://", "public.pkcs1://", "public.spki://")
_FILE = "file://"
# Far above any key or chain; keeps a path to a video, or to /dev/zero, out of memory.
_LIMIT = 1 << 20
# No longer text is shown: what was meant to be a path could be a key.
_SHOWN = 255
# Base64 has no dot: text that ends so cannot be a key.
_LOOKS_LIKE_A_PATH = re.compile(r"[^\n]{1,250}\.(?:pem|p12|pfx|key|crt|cer|der)", re.IGNORECASE)


def read(source: object, name: str) -> bytes:
    """Fetch the PEM or DER bytes that ``source`` holds or names.

    Args:
        source: PEM text; a ``file://`` URL, a path object or the path of an existing file; bytes; or
            bare base64 behind ``private.pkcs1://``, ``private.pkcs8://``, ``public.pkcs1://`` or ``public.spki://``.
        name: What to call the source in an error.

    Raises:
        CryptoError: ``source`` is none of these, the file cannot be read, or it is larger than 1 MiB.
    """
    if isinstance(source, str):
        return _from_text(str.__str__(source), name)
    if isinstance(source, os.PathLike):
        return _from_file(os.fspath(source), name)
    if isinstance(source, bytes | bytearray | memoryview):
        return _limited(bytes(source[: _LIMIT + 1]), name)
    raise CryptoError(
        f"{name}: an object of the type {type(source).__name__} was given;"
        " give PEM text, bytes, a path or a cryptography object of the kind"
    )


def _from_text(source: str, name: str) -> bytes:
    if len(source) > _LIMIT:
        raise CryptoError(f"{name}: a text of {len(source)} characters, which no key or certificate has")
    if "-----BEGIN" in source:
        return utf8(source, name)
    if source.startswith(_SCHEMES):
        return base64_decode("".join(source.partition("://")[2].split()), name)
    if source.startswith(_FILE):
        # file:///C:/key.pem: the drive follows the third slash.
        path = re.sub(r"^/(?=[A-Za-z]:[/\\])", "", source.removeprefix(_FILE))
        decoded = unquote(path)
        # "file://" is often put before a plain path, which may hold a % of its own.
        is_plain = not os.path.exists(decoded) and os.path.exists(path)  # noqa: PTH110 - Path raises for what is too long or odd to be a path
        return _from_file(path if is_plain else decoded, name)
    if os.path.exists(source):  # noqa: PTH110 - Path raises for what is too long or odd to be a path
        return _from_file(source, name)
    if _LOOKS_LIKE_A_PATH.fullmatch(source):
        raise CryptoError(f"{name}: no such file: {source!r}")
    raise CryptoError(
        f"{name}: a text of {len(source)} characters that is neither PEM (no -----BEGIN), a file:// URL"
        " nor the path of an existing file; bare base64 needs its scheme in front, like private.pkcs8://"
    )


def _from_file(path: str | bytes, name: str) -> bytes:
    shown = repr(path) if len(path) <= _SHOWN else f"a path of {len(path)} characters"
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - Path refuses the paths in bytes that a PathLike may give
            data = file.read(_LIMIT + 1)
    except FileNotFoundError:
        raise CryptoError(f"{name}: no such file: {shown}") from None
    except OSError as error:
        raise CryptoError(f"{name}: {shown} cannot be read: {error.strerror}") from None
    except ValueError:
        raise CryptoError(f"{name}: {shown} is not a valid path") from None
    return _limited(data, name)


def _limited(data: bytes, name: str) -> bytes:
    if len(data) > _LIMIT:
        raise CryptoError(f"{name}: more than {_LIMIT} bytes, which no key or certificate has")
    return data
