"""Certificates and their serial numbers."""

from __future__ import annotations

import subprocess

import keys
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, pkcs12

from wechatpay.crypto import pem
from wechatpay.errors import CryptoError

CERTIFICATE = keys.certificate()
PEM = keys.certificate_pem()
P12 = pkcs12.serialize_key_and_certificates(b"x", keys.private_key(), CERTIFICATE, None, NoEncryption())


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(PEM, id="PEM"),
        pytest.param(PEM.replace("\n", "\r\n").strip(), id="PEM with CRLF"),
        pytest.param(keys.pem() + PEM, id="behind its key"),
        pytest.param(PEM + keys.certificate_pem("stranger"), id="chain"),
        pytest.param(CERTIFICATE.public_bytes(Encoding.DER), id="DER"),
        pytest.param(CERTIFICATE, id="loaded"),
        pytest.param(P12, id="PKCS#12"),
    ],
)
def test_certificate_is_loaded_from_every_form(source):
    """All forms give one certificate, and of several the first."""
    assert CERTIFICATE == pem.load_certificate(source)


def test_certificate_is_loaded_from_a_file(tmp_path):
    """A file may be named by a URL or by its path."""
    path = tmp_path / "cert.pem"
    path.write_text(PEM)

    assert [CERTIFICATE] * 3 == [pem.load_certificate(name) for name in (path, str(path), f"file://{path}")]


@pytest.mark.parametrize(
    ("serial", "expected"),
    [
        pytest.param(
            0x3775B6A45ACD588826D15E583A95F5DD00000000, "3775B6A45ACD588826D15E583A95F5DD00000000", id="usual"
        ),
        pytest.param(
            0x0775B6A45ACD588826D15E583A95F5DD0000000A, "0775B6A45ACD588826D15E583A95F5DD0000000A", id="zero"
        ),
        pytest.param(0x7F, "7F", id="one byte"),
        pytest.param(0x80, "80", id="sign byte in DER"),
        pytest.param(0xABC, "0ABC", id="odd digits"),
        pytest.param(1, "01", id="one"),
    ],
)
def test_serial_number_is_whole_bytes_in_upper_case(tmp_path, serial, expected):
    """Leading zeros are kept, the sign byte of DER is not one; ``openssl x509 -serial`` agrees."""
    path = tmp_path / "cert.pem"
    path.write_text(keys.certificate_pem(serial=serial))
    command = ["openssl", "x509", "-noout", "-serial", "-in", path]
    openssl = subprocess.run(command, capture_output=True, check=True, text=True).stdout

    assert f"serial={expected}\n" == openssl
    assert expected == pem.parse_certificate_serial_no(path)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize("digit", [b"\x00", b"\xff"], ids=["zero", "negative"])
def test_serial_number_that_is_not_positive_is_an_error(digit):
    """RFC 5280 wants a positive number; anything else could not be told apart."""
    der = (
        keys.certificate(serial=0x5A)
        .public_bytes(Encoding.DER)
        .replace(b"\x02\x01\x5a", b"\x02\x01" + digit, 1)
    )
    with pytest.raises(CryptoError, match=r"^certificate: "):
        pem.parse_certificate_serial_no(der)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        pytest.param(keys.pem(), "a private key was given where a certificate is needed", id="private key"),
        pytest.param(
            keys.public_pem(), "a public key was given where a certificate is needed", id="public key"
        ),
        pytest.param(keys.public_key(), "RSAPublicKey was given", id="loaded key"),
        pytest.param(PEM.replace("MII", "MIJ", 1), "is damaged", id="damaged"),
    ],
)
def test_what_is_not_a_certificate_is_an_error_that_says_what_it_is(source, said):
    """Keys have no serial number."""
    with pytest.raises(CryptoError, match=said):
        pem.parse_certificate_serial_no(source)
