"""Keys in every form that people hold them in."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cases import each
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, pkcs12
from keyforms import (
    CERTIFICATE,
    KEY,
    LOCK,
    LOCKED,
    P12,
    PASSPHRASE,
    PKCS1,
    PKCS1_DER,
    PKCS8,
    PKCS8_DER,
    PUBLIC,
    PUBLIC_PKCS1,
    PUBLIC_PKCS1_DER,
    SPKI,
    SPKI_DER,
    X509,
    X509_DER,
    base64,
    private,
)

from wechatpay.crypto import rsa, suites
from wechatpay.errors import CryptoError

PRIVATE_FORMS = {
    "PKCS#8": PKCS8,
    "PKCS#1": PKCS1,
    "PKCS#8 in DER": PKCS8_DER,
    "PKCS#1 in DER": PKCS1_DER,
    "bare PKCS#8": "private.pkcs8://" + base64(PKCS8_DER),
    "bare PKCS#1": "private.pkcs1://" + base64(PKCS1_DER),
    "loaded": KEY,
    "behind its certificate": X509 + PKCS8,
    "behind bag attributes": b"Bag Attributes\n    friendlyName: Tenpay Certificate\n" + PKCS8,
}
PUBLIC_FORMS = {
    "SPKI": SPKI,
    "PKCS#1": PUBLIC_PKCS1,
    "certificate": X509,
    "SPKI in DER": SPKI_DER,
    "PKCS#1 in DER": PUBLIC_PKCS1_DER,
    "certificate in DER": X509_DER,
    "bare SPKI": "public.spki://" + base64(SPKI_DER),
    "bare PKCS#1": "public.pkcs1://" + base64(PUBLIC_PKCS1_DER),
    "loaded": PUBLIC,
    "loaded certificate": CERTIFICATE,
    "behind its private key": PKCS8 + X509,
}
PEM_FORMS = {
    "text": lambda pem: pem.decode(),
    "bytes": lambda pem: pem,
    "bytearray": bytearray,
    "CRLF": lambda pem: pem.replace(b"\n", b"\r\n"),
    "no final newline": lambda pem: pem.strip(),
    "byte order mark": lambda pem: b"\xef\xbb\xbf" + pem,
    "indented": lambda pem: pem.replace(b"\n", b"\n    "),
    "body on one line": lambda pem: pem.replace(b"\n", b"").replace(b"KEY----------", b"KEY-----\n"),
    "spaces for newlines": lambda pem: pem.strip().replace(b"\n", b" "),
}
FILES = {
    "URL": lambda path: f"file://{path}",
    "path object": lambda path: path,
    "path": str,
}


@pytest.mark.parametrize("source", PRIVATE_FORMS.values(), ids=PRIVATE_FORMS)
def test_private_key_is_loaded_from_every_form(source):
    """All forms give one key."""
    assert KEY.private_numbers() == rsa.load_private_key(source).private_numbers()


@pytest.mark.parametrize("source", PUBLIC_FORMS.values(), ids=PUBLIC_FORMS)
def test_public_key_is_loaded_from_every_form(source):
    """All forms give one key."""
    assert PUBLIC.public_numbers() == rsa.load_public_key(source).public_numbers()


@pytest.mark.parametrize("write", PEM_FORMS.values(), ids=PEM_FORMS)
def test_pem_is_read_however_it_was_copied(write):
    """Line ends, margins and a lost newline do not damage a key."""
    assert KEY.private_numbers() == rsa.load_private_key(write(PKCS1)).private_numbers()
    assert PUBLIC.public_numbers() == rsa.load_public_key(write(SPKI)).public_numbers()


@pytest.mark.parametrize("name", FILES.values(), ids=FILES)
@pytest.mark.parametrize("content", [PKCS8, PKCS1_DER], ids=["PEM", "DER"])
def test_key_is_loaded_from_a_file(tmp_path, name, content):
    """A file may be named in three ways, blanks and Chinese in its name included, and holds PEM or DER."""
    path = tmp_path / "商户 %20 key.pem"
    path.write_bytes(content)

    assert KEY.private_numbers() == rsa.load_private_key(name(path)).private_numbers()


@pytest.mark.parametrize("passphrase", [PASSPHRASE, PASSPHRASE.encode()], ids=["text", "bytes"])
@pytest.mark.parametrize(
    "source",
    [
        private(lock=LOCK),
        private(encoding=Encoding.DER, lock=LOCK),
        LOCKED,
        LOCKED.replace(b"\n", b"\r\n").strip(),
        LOCKED.strip().replace(b"\n", b" "),
        P12,
    ],
    ids=["PKCS#8", "PKCS#8 in DER", "PKCS#1", "PKCS#1 with CRLF", "PKCS#1 on one line", "PKCS#12"],
)
class TestEncrypted:
    """What is encrypted opens with its passphrase, and only with it."""

    def test_passphrase_opens(self, source, passphrase):
        """The passphrase may be text or bytes."""
        assert KEY.private_numbers() == rsa.load_private_key(source, passphrase).private_numbers()

    def test_wrong_passphrase_is_an_error(self, source, passphrase):
        """The error says so, and shows neither passphrase nor key."""
        with pytest.raises(CryptoError, match="does not open: the passphrase is wrong") as caught:
            rsa.load_private_key(source, passphrase * 2)

        assert PASSPHRASE not in str(caught.value)

    @each("missing", [None, "", b""], ids=repr)
    def test_missing_passphrase_is_an_error(self, source, passphrase, missing):
        """The error asks for it."""
        with pytest.raises(CryptoError, match="passphrase"):
            rsa.load_private_key(source, missing)


def test_passphrase_of_a_plain_key_is_not_used():
    """One setting may go with keys of both kinds, as in PHP."""
    assert KEY.private_numbers() == rsa.load_private_key(PKCS8, PASSPHRASE).private_numbers()


def test_pkcs12_file_gives_its_public_key(tmp_path):
    """The certificate in ``apiclient_cert.p12`` will do for verifying."""
    path = tmp_path / "apiclient_cert.p12"
    path.write_bytes(P12)

    assert PUBLIC.public_numbers() == rsa.load_public_key(path, PASSPHRASE).public_numbers()


def test_pkcs12_file_without_a_key_is_an_error():
    """The error says what is missing."""
    bundle = pkcs12.serialize_key_and_certificates(None, None, None, [CERTIFICATE], NoEncryption())
    with pytest.raises(CryptoError, match="a file without a key"):
        rsa.load_private_key(bundle)
    with pytest.raises(CryptoError, match="holds none"):
        rsa.load_public_key(bundle)


def test_pkcs12_file_that_does_not_open_says_how_to_convert_it():
    """Files under retired ciphers are common, and one command helps."""
    with pytest.raises(
        CryptoError, match=r"merchant id.*openssl pkcs12 -legacy -in old.p12 -nodes -out new.pem"
    ):
        rsa.load_private_key(P12[:-20], PASSPHRASE)


def test_legacy_pkcs12_file_opens_or_says_how_to_convert_it(tmp_path):
    """RC2-40 files of old consoles load where OpenSSL still has the cipher."""
    pem, p12 = tmp_path / "both.pem", tmp_path / "legacy.p12"
    pem.write_bytes(PKCS8 + X509)
    command = [
        "openssl",
        "pkcs12",
        "-export",
        "-legacy",
        "-in",
        pem,
        "-out",
        p12,
        "-passout",
        f"pass:{PASSPHRASE}",
    ]
    subprocess.run(command, check=True)
    try:
        loaded = rsa.load_private_key(p12, PASSPHRASE)
    except CryptoError as error:
        assert "openssl pkcs12 -legacy" in str(error)  # noqa: PT017 - which of both depends on the OpenSSL built in
    else:
        assert KEY.private_numbers() == loaded.private_numbers()


class TestBareBase64:
    """PHP's ``fromPkcs1``, ``fromPkcs8`` and ``fromSpki``."""

    def test_private_keys(self):
        """Bare base64 of either form gives the private key."""
        assert KEY.private_numbers() == rsa.from_pkcs8(base64(PKCS8_DER)).private_numbers()
        assert KEY.private_numbers() == rsa.from_pkcs1(base64(PKCS1_DER)).private_numbers()

    def test_public_keys(self):
        """Bare base64 of either form gives the public key."""
        assert PUBLIC.public_numbers() == rsa.from_spki(base64(SPKI_DER)).public_numbers()
        loaded = rsa.from_pkcs1(base64(PUBLIC_PKCS1_DER), rsa.KEY_TYPE_PUBLIC)

        assert PUBLIC.public_numbers() == loaded.public_numbers()

    def test_line_breaks_do_not_matter(self):
        """The body of a PEM block will do as it is."""
        body = b"".join(PKCS8.splitlines(keepends=True)[1:-1]).decode()

        assert KEY.private_numbers() == rsa.from_pkcs8(body).private_numbers()

    def test_wrapped_public_key_loads(self):
        """What `pkcs1_to_spki` gives is an SPKI key."""
        assert base64(SPKI_DER) == rsa.pkcs1_to_spki(base64(PUBLIC_PKCS1_DER))

    def test_unknown_kind_is_an_error(self):
        """Only two kinds exist."""
        with pytest.raises(CryptoError, match="'secret' is neither 'private' nor 'public'"):
            rsa.from_pkcs1("", "secret")


@pytest.mark.parametrize("quoted", [False, True], ids=["raw", "quoted"])
def test_file_url_with_spaces_and_chinese_characters_is_read(tmp_path, quoted):
    """Percent-encoded, as `Path.as_uri` writes it, or plain."""
    path = tmp_path / "证书 目录 100%" / "key.pem"
    path.parent.mkdir()
    path.write_bytes(PKCS8)

    assert rsa.load_private_key(path.as_uri() if quoted else f"file://{path}").key_size


def test_pair_of_source_and_passphrase_is_loaded():
    """The setting ``private_key`` takes an encrypted key so."""
    assert suites.load_private_key((private(lock=LOCK), PASSPHRASE)).key_size


def test_encrypted_key_without_passphrase_says_how_to_give_it():
    """A pair, or a loaded key."""
    with pytest.raises(
        CryptoError, match=r'give \(source, "passphrase"\) .* rsa.load_private_key\(source, pass'
    ):
        rsa.load_private_key(private(lock=LOCK))


@pytest.mark.parametrize("form", [str, Path, "file://{}".format], ids=["text", "path", "URL"])
def test_path_may_begin_at_home(tmp_path, monkeypatch, form):
    """As in a shell; a file of that very name goes first."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "key.pem").write_bytes(PKCS8)
    assert private() == private(key=rsa.load_private_key(form("~/key.pem")))

    (tmp_path / "~").mkdir()
    (tmp_path / "~" / "key.pem").write_bytes(X509)
    with pytest.raises(CryptoError, match="a certificate was given"):
        rsa.load_private_key(form("~/key.pem"))


@pytest.mark.parametrize("form", [str, Path], ids=["text", "path"])
def test_path_that_is_not_at_home_is_named_as_given(tmp_path, monkeypatch, form):
    """The error shows what the caller wrote."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(CryptoError, match=r"no such file: '~/key\.pem'"):
        rsa.load_private_key(form("~/key.pem"))
