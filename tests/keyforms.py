"""One key in the forms in which people hold keys."""

from __future__ import annotations

from base64 import b64encode

import keys
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)

KEY, PUBLIC, CERTIFICATE = keys.private_key(), keys.public_key(), keys.certificate()
PASSPHRASE = "1900000109"
LOCK = BestAvailableEncryption(PASSPHRASE.encode())


def private(form=PrivateFormat.PKCS8, encoding=Encoding.PEM, lock=None, key=KEY):
    """Write a private key in a form."""
    return key.private_bytes(encoding, form, lock or NoEncryption())


def public(form=PublicFormat.SubjectPublicKeyInfo, encoding=Encoding.PEM, key=PUBLIC):
    """Write a public key in a form."""
    return key.public_bytes(encoding, form)


def base64(data):
    """Write bytes as bare base64."""
    return b64encode(data).decode()


PKCS1, PKCS1_DER = (
    private(PrivateFormat.TraditionalOpenSSL),
    private(PrivateFormat.TraditionalOpenSSL, Encoding.DER),
)
PKCS8, PKCS8_DER = private(), private(encoding=Encoding.DER)
SPKI, SPKI_DER = public(), public(encoding=Encoding.DER)
PUBLIC_PKCS1, PUBLIC_PKCS1_DER = public(PublicFormat.PKCS1), public(PublicFormat.PKCS1, Encoding.DER)
X509, X509_DER = CERTIFICATE.public_bytes(Encoding.PEM), CERTIFICATE.public_bytes(Encoding.DER)
LOCKED = private(PrivateFormat.TraditionalOpenSSL, lock=LOCK)
P12 = pkcs12.serialize_key_and_certificates(b"tenpay", KEY, CERTIFICATE, None, LOCK)
