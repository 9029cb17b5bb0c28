"""Sources of keys and certificates: where they are read from, what they hold, and X.509 certificates.

What a source holds is detected from its DER structure, never from the label of a PEM block.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias, TypeGuard
from urllib.parse import unquote

from wechatpay.crypto.encoding import BIT_STRING, INTEGER, OID, SEQUENCE, base64_decode, der_header, utf8
from wechatpay.errors import CryptoError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

__all__ = [
    "CERTIFICATE",
    "OTHER",
    "PKCS12",
    "PRIVATE",
    "PUBLIC",
    "Item",
    "Source",
    "file_path",
    "find_item",
    "is_certificate",
    "load_certificate",
    "load_certificates",
    "open_pkcs12",
    "parse_certificate",
    "parse_certificate_serial_no",
]

Source: TypeAlias = "str | bytes | bytearray | memoryview | os.PathLike[str]"

PRIVATE: Final = "a private key"
PUBLIC: Final = "a public key"
CERTIFICATE: Final = "a certificate"
PKCS12: Final = "a PKCS#12 file"
OTHER: Final = "something other than an RSA key or a certificate"

_SCHEMES: Final = ("private.pkcs1://", "private.pkcs8://", "public.pkcs1://", "public.spki://")
_FILE: Final = "file://"
# Far above any key or chain; keeps a path to a video, or to /dev/zero, out of memory.
_LIMIT: Final = 1 << 20
# Longer text is never shown: what was meant to be a path could be a key.
_SHOWN: Final = 255
# Base64 has no dot: text that ends so cannot be a key.
_LOOKS_LIKE_A_PATH: Final = re.compile(r"[^\n]{1,250}\.(?:pem|p12|pfx|key|crt|cer|der)", re.IGNORECASE)

_BEGIN, _END, _DASHES = b"-----BEGIN ", b"-----END ", b"-----"
# Far above any label; bounds the search for the dashes that close a damaged one.
_LONGEST_LABEL: Final = 80
_ENCRYPTED: Final = re.compile(
    rb"\s*Proc-Type:\s*4,ENCRYPTED\s+DEK-Info:\s*"
    rb"(AES-(?:128|192|256)-CBC,[0-9A-Fa-f]{32}|DES-EDE3-CBC,[0-9A-Fa-f]{16})\s([A-Za-z0-9+/=\s]+)"
)

_CONVERT: Final = "openssl pkcs12 -legacy -in old.p12 -nodes -out new.pem"


def is_certificate(source: object) -> TypeGuard[x509.Certificate]:
    """Return whether ``source`` is a certificate of `cryptography`.

    Whoever has one has loaded x509, which takes 10 ms: those with bare public keys go without.
    """
    x509 = sys.modules.get("cryptography.x509")
    return isinstance(source, getattr(x509, "Certificate", ()))


def load_certificate(
    source: Source | x509.Certificate, passphrase: str | bytes | None = None
) -> x509.Certificate:
    """Load an X.509 certificate.

    Args:
        source: PEM text or bytes (of several certificates the first); DER or PKCS#12 bytes; a ``file://``
            URL, a path object or the path of an existing file with any of these; or a ``cryptography``
            certificate.
        passphrase: The passphrase of a PKCS#12 file.

    Returns:
        The certificate, as ``cryptography`` has it.

    Raises:
        CryptoError: ``source`` is anything else, cannot be read or opened, or is damaged.
    """
    if is_certificate(source):
        return source
    return parse_certificate(find_item(source, (CERTIFICATE, PKCS12), CERTIFICATE), passphrase)


def load_certificates(
    source: Source | x509.Certificate, passphrase: str | bytes | None = None
) -> list[x509.Certificate]:
    """Load every X.509 certificate of a source, in its order; none is not an error.

    Args:
        source: As for `load_certificate`.
        passphrase: The passphrase of a PKCS#12 file.

    Raises:
        CryptoError: ``source`` cannot be read or opened, or a certificate is damaged.
    """
    if is_certificate(source):
        return [source]
    items = _list_items(_read_source(source, "certificate"), "certificate")
    return [parse_certificate(item, passphrase) for item in items if item.kind in (CERTIFICATE, PKCS12)]


def parse_certificate_serial_no(source: Source | x509.Certificate) -> str:
    """Read the serial number of a certificate as WeChat Pay writes it.

    See https://pay.weixin.qq.com/doc/v3/merchant/4012365342.

    Args:
        source: What `load_certificate` takes.

    Returns:
        Whole bytes in upper-case hexadecimal, leading zero included: 40 digits for WeChat Pay's certificates.

    Raises:
        CryptoError: ``source`` is not a certificate, or its serial number is not positive.
    """
    serial = load_certificate(source).serial_number
    if serial <= 0:
        raise CryptoError("certificate: its serial number is not positive")
    # DER puts a zero byte in front of a set top bit; it is the sign, not a part of the number.
    return serial.to_bytes((serial.bit_length() + 7) // 8).hex().upper()


@dataclass(frozen=True, slots=True)
class Item:
    """One thing found in a source.

    Attributes:
        kind: What it is, in words.
        data: DER; or PEM, when the PEM headers say how it is encrypted.
    """

    kind: str
    data: bytes = field(repr=False)


def find_item(source: object, kinds: tuple[str, ...], wanted: str) -> Item:
    """Read a source and return the first thing in it that is of one of some kinds.

    Args:
        source: PEM text; a ``file://`` URL, a path object or the path of an existing file; bytes; or bare
            base64 behind ``private.pkcs1://``, ``private.pkcs8://``, ``public.pkcs1://`` or ``public.spki://``.
        kinds: The kinds that are accepted.
        wanted: The kind to ask for in an error.

    Raises:
        CryptoError: The source cannot be read, or holds nothing of these kinds; the error says what it holds.
    """
    name = wanted.partition(" ")[2]
    items = _list_items(_read_source(source, name), name)
    for item in items:
        if item.kind in kinds:
            return item
    given = ", ".join(dict.fromkeys(item.kind for item in items))
    raise CryptoError(f"{name}: {given} was given where {wanted} is needed")


def parse_certificate(item: Item, passphrase: str | bytes | None) -> x509.Certificate:
    """Parse the certificate of a source's item, as `load_certificate` does."""
    if item.kind == PKCS12:
        _, certificate = open_pkcs12(item.data, passphrase, "certificate")
        if certificate is None:
            raise CryptoError("certificate: the PKCS#12 file holds none")
        return certificate
    from cryptography import x509  # noqa: PLC0415  see `is_certificate`

    try:
        return x509.load_der_x509_certificate(item.data)
    except Exception:  # noqa: BLE001 - the parser's errors are of many kinds, and all mean the same here
        raise CryptoError("certificate: is damaged, or not an X.509 certificate") from None


def open_pkcs12(
    data: bytes, passphrase: str | bytes | None, name: str
) -> tuple[PrivateKeyTypes | None, x509.Certificate | None]:
    """Open a PKCS#12 file, such as the ``apiclient_cert.p12`` of WeChat Pay's merchant console.

    Args:
        data: The file's bytes.
        passphrase: Its passphrase: the merchant id, for WeChat Pay's own files.
        name: What to call the source in an error.

    Returns:
        The key and its certificate, each ``None`` if it is not there.

    Raises:
        CryptoError: The passphrase is wrong, the file damaged, or its cipher retired.
    """
    from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12  # noqa: PLC0415  loads x509

    secret = utf8(passphrase, "passphrase") if passphrase else None
    try:
        bundle = load_pkcs12(data, secret)
    except Exception:  # noqa: BLE001 - OpenSSL's errors are of many kinds, and none may carry the file along
        wrong = (
            "needs its passphrase"
            if secret is None
            else "does not open: the passphrase is wrong, or the file damaged"
        )
        raise CryptoError(
            f"{name}: the PKCS#12 file {wrong} (WeChat Pay's own files open with the merchant id);"
            f" if its cipher is one that OpenSSL has retired (RC2-40), convert it: {_CONVERT}"
        ) from None
    return bundle.key, bundle.cert.certificate if bundle.cert else None


def _read_source(source: object, name: str) -> bytes:
    """Return the PEM or DER bytes that ``source`` holds or names, at most 1 MiB."""
    if isinstance(source, str):
        return _read_text(str.__str__(source), name)
    if isinstance(source, os.PathLike):
        return _read_file(os.fspath(source), name)
    if isinstance(source, bytes | bytearray | memoryview):
        return _check_length(bytes(source[: _LIMIT + 1]), name)
    raise CryptoError(
        f"{name}: an object of the type {type(source).__name__} was given;"
        " give PEM text, bytes, a path or a cryptography object of the kind"
    )


def _read_text(source: str, name: str) -> bytes:
    if len(source) > _LIMIT:
        raise CryptoError(f"{name}: a text of {len(source)} characters, which no key or certificate has")
    if "-----BEGIN" in source:
        return utf8(source, name)
    if source.startswith(_SCHEMES):
        return base64_decode("".join(source.partition("://")[2].split()), name)
    if source.startswith(_FILE):
        return _read_file(file_path(source), name)
    if os.path.exists(_expand(source)):  # noqa: PTH110 - Path raises for what is too long or odd to be a path
        return _read_file(source, name)
    if _LOOKS_LIKE_A_PATH.fullmatch(source):
        raise CryptoError(f"{name}: no such file: {source!r}")
    raise CryptoError(
        f"{name}: a text of {len(source)} characters that is neither PEM (no -----BEGIN), a file:// URL"
        " nor the path of an existing file; bare base64 needs its scheme in front, like private.pkcs8://"
    )


def file_path(text: str) -> str:
    """Return the path that a ``file://`` URL names; any other text as it is."""
    if not text.startswith(_FILE):
        return text
    # file:///C:/key.pem: the drive follows the third slash.
    path = re.sub(r"^/(?=[A-Za-z]:[/\\])", "", text.removeprefix(_FILE))
    decoded = unquote(path)
    # "file://" is often put before a plain path, which may hold a % of its own.
    is_plain = not os.path.exists(decoded) and os.path.exists(path)  # noqa: PTH110 - Path raises for what is too long or odd to be a path
    return path if is_plain else decoded


def _expand(path: str | bytes) -> str | bytes:
    """Return the file of the home directory that ``~/`` means, if there is no file of that very name."""
    if not isinstance(path, str) or not path.startswith("~/") or os.path.exists(path):  # noqa: PTH110 - the same
        return path
    home = os.path.expanduser(path)  # noqa: PTH111 - the same
    return home if os.path.exists(home) else path  # noqa: PTH110 - the same


def _read_file(path: str | bytes, name: str) -> bytes:
    shown = repr(path) if len(path) <= _SHOWN else f"a path of {len(path)} characters"
    try:
        with open(_expand(path), "rb") as file:  # noqa: PTH123 - Path refuses the paths in bytes that a PathLike may give
            data = file.read(_LIMIT + 1)
    except FileNotFoundError:
        raise CryptoError(f"{name}: no such file: {shown}") from None
    except OSError as error:
        raise CryptoError(f"{name}: {shown} cannot be read: {error.strerror}") from None
    except ValueError:
        raise CryptoError(f"{name}: {shown} is not a valid path") from None
    return _check_length(data, name)


def _check_length(data: bytes, name: str) -> bytes:
    if len(data) > _LIMIT:
        raise CryptoError(f"{name}: more than {_LIMIT} bytes, which no key or certificate has")
    return data


def _list_items(data: bytes, name: str) -> list[Item]:
    """List what one DER structure, or text with any number of PEM blocks, holds, in its order."""
    if _BEGIN in data:
        return [Item(_detect_kind(block), block) for block in _parse_blocks(data, name)]
    if data[:1] == bytes((SEQUENCE,)):
        return [Item(_detect_kind(data), data)]
    raise CryptoError(f"{name}: {len(data)} bytes that are neither PEM (no -----BEGIN) nor DER")


def _detect_kind(der: bytes) -> str:
    """Detect what a DER structure is by its first members; what is still PEM is an encrypted key."""
    if der.startswith(_BEGIN):
        return PRIVATE
    outer, start, _ = der_header(der)
    tag, at, length = der_header(der, start)
    if outer != SEQUENCE or tag not in (INTEGER, SEQUENCE):
        return OTHER
    if tag == INTEGER:
        if length > 1:
            return PUBLIC
        return PKCS12 if der[at : at + 1] == b"\x03" else PRIVATE
    if der_header(der, at)[0] == OID:
        return PUBLIC if der_header(der, at + length)[0] == BIT_STRING else PRIVATE
    return CERTIFICATE


def _parse_blocks(data: bytes, name: str) -> list[bytes]:
    """Read every PEM block (RFC 7468); text around them does not matter.

    Returns:
        The DER of each block; or the block in PEM, where its headers say how it is encrypted.
    """
    found = []
    start = data.find(_BEGIN)
    while start >= 0:
        start += len(_BEGIN)
        label, dashes, _ = data[start : start + _LONGEST_LABEL].partition(_DASHES)
        end = data.find(_END + label + _DASHES, start)
        if not dashes or end < 0:
            raise CryptoError(f"{name}: a PEM block without its -----END line; is the text cut short?")
        found.append(_parse_block(label, data[start + len(label + dashes) : end], name))
        start = data.find(_BEGIN, end)
    return found


def _parse_block(label: bytes, content: bytes, name: str) -> bytes:
    if b"\\n" in content:
        raise CryptoError(f"{name}: the PEM text has \\n, as two characters, where line breaks belong")
    if b":" in content:
        return _rebuild_encrypted(label, content, name)
    return base64_decode(b"".join(content.split()).decode("latin-1"), f"{name}, PEM block")


def _rebuild_encrypted(label: bytes, content: bytes, name: str) -> bytes:
    """Check the headers of RFC 1421: `cryptography` panics at an initialization vector cut short."""
    match = _ENCRYPTED.fullmatch(content)
    if not match:
        raise CryptoError(
            f"{name}, PEM block: its headers are damaged, or name a cipher other than AES or 3DES in CBC"
        )
    return b"".join(
        (
            *(_BEGIN, label, _DASHES, b"\nProc-Type: 4,ENCRYPTED\nDEK-Info: ", match[1], b"\n\n"),
            *(b"".join(match[2].split()), b"\n", _END, label, _DASHES, b"\n"),
        )
    )
