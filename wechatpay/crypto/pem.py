"""X.509 certificates, the merchant's and WeChat Pay's."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeGuard

from wechatpay.crypto.containers import CERTIFICATE, PKCS12, pick
from wechatpay.crypto.pkcs12 import open_pkcs12
from wechatpay.errors import CryptoError

if TYPE_CHECKING:
    from cryptography import x509

    from wechatpay.crypto.containers import Item
    from wechatpay.crypto.sources import Source

__all__ = ["is_certificate", "load_certificate", "parse_certificate_serial_no"]


def is_certificate(source: object) -> TypeGuard[x509.Certificate]:
    """Tell whether ``source`` is a certificate of `cryptography`.

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
        passphrase: What a PKCS#12 file opens with.

    Raises:
        CryptoError: ``source`` is anything else, cannot be read or opened, or is damaged.
    """
    if is_certificate(source):
        return source
    return certificate_in(pick(source, (CERTIFICATE, PKCS12), CERTIFICATE), passphrase)


def certificate_in(item: Item, passphrase: str | bytes | None) -> x509.Certificate:
    """Parse the certificate of a container's item, as `load_certificate` does."""
    if item.kind == PKCS12:
        _, certificate = open_pkcs12(item.data, passphrase, "certificate")
        if certificate is None:
            raise CryptoError("certificate: the PKCS#12 file holds none")
        return certificate
    from cryptography import x509  # noqa: PLC0415  see `is_certificate`

    try:
        return x509.load_der_x509_certificate(item.data)
    except Exception:  # noqa: BLE001 - the parser's errors are of many kinds, and all mean the same here
        raise CryptoError("certificate: is damaged, or no X.509 certificate") from None


def parse_certificate_serial_no(source: Source | x509.Certificate) -> str:
    """Read the serial number of a certificate as WeChat Pay writes it.

    See https://pay.weixin.qq.com/doc/v3/merchant/4012365342.

    Args:
        source: What `load_certificate` takes.

    Returns:
        Whole bytes in upper-case hexadecimal, leading zero included: 40 digits for WeChat Pay's certificates.

    Raises:
        CryptoError: ``source`` is no certificate, or its serial number is not positive.
    """
    serial = load_certificate(source).serial_number
    if serial <= 0:
        raise CryptoError("certificate: its serial number is not positive")
    # DER puts a zero byte in front of a set top bit; it is the sign, and no part of the number.
    return serial.to_bytes((serial.bit_length() + 7) // 8).hex().upper()
