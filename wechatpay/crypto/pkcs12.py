"""PKCS#12 files, such as the ``apiclient_cert.p12`` of WeChat Pay's merchant console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wechatpay.crypto.encoding import utf8
from wechatpay.errors import CryptoError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate

__all__ = ["open_pkcs12"]

_CONVERT = "openssl pkcs12 -legacy -in old.p12 -nodes -out new.pem"


def open_pkcs12(
    data: bytes, passphrase: str | bytes | None, name: str
) -> tuple[PrivateKeyTypes | None, Certificate | None]:
    """Open a PKCS#12 file.

    Args:
        data: The file's bytes.
        passphrase: What it opens with: the merchant id, for WeChat Pay's own files.
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
