"""Keys in every form that people hold them in."""

from __future__ import annotations

import pickle
import re
import subprocess
import traceback
from base64 import b64encode
from pathlib import Path

import keys
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)

from wechatpay.crypto import rsa
from wechatpay.errors import CryptoError

KEY, PUBLIC, CERTIFICATE = keys.private_key(), keys.public_key(), keys.certificate()
PASSPHRASE = "1900000109"
LOCK = BestAvailableEncryption(PASSPHRASE.encode())
EC_KEY = ec.generate_private_key(ec.SECP256R1())


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

    @pytest.mark.parametrize("missing", [None, "", b""], ids=repr)
    def test_missing_passphrase_is_an_error(self, source, passphrase, missing):
        """The error asks for it."""
        with pytest.raises(CryptoError, match="its passphrase"):
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


@pytest.mark.parametrize(
    ("load", "source", "given"),
    [
        pytest.param(rsa.load_private_key, SPKI, "a public key was given", id="public for private"),
        pytest.param(
            rsa.load_private_key, PUBLIC_PKCS1, "a public key was given", id="public PKCS#1 for private"
        ),
        pytest.param(rsa.load_private_key, X509, "a certificate was given", id="certificate for private"),
        pytest.param(rsa.load_private_key, PUBLIC, "RSAPublicKey was given", id="loaded public for private"),
        pytest.param(
            rsa.load_private_key, CERTIFICATE, "Certificate was given", id="loaded certificate for private"
        ),
        pytest.param(
            rsa.load_private_key, "public.spki://" + base64(SPKI_DER), "a public key was given", id="scheme"
        ),
        pytest.param(rsa.load_public_key, PKCS8, "a private key was given", id="private for public"),
        pytest.param(rsa.load_public_key, PKCS1_DER, "a private key was given", id="private DER for public"),
        pytest.param(
            rsa.load_public_key, private(lock=LOCK), "a private key was given", id="encrypted for public"
        ),
        pytest.param(rsa.load_public_key, KEY, "RSAPrivateKey was given", id="loaded private for public"),
        pytest.param(rsa.load_private_key, EC_KEY, "PrivateKey was given", id="loaded EC"),
        pytest.param(rsa.load_private_key, private(key=EC_KEY), "PrivateKey was given where an RSA", id="EC"),
        pytest.param(
            rsa.load_private_key,
            private(PrivateFormat.TraditionalOpenSSL, key=EC_KEY),
            "PrivateKey was given where an RSA",
            id="EC in SEC 1",
        ),
        pytest.param(
            rsa.load_public_key,
            public(key=EC_KEY.public_key()),
            "PublicKey was given where an RSA",
            id="public EC",
        ),
        pytest.param(
            rsa.load_private_key,
            private(key=ed25519.Ed25519PrivateKey.generate()),
            "Ed25519PrivateKey was given",
            id="Ed25519",
        ),
        pytest.param(rsa.load_private_key, private(PrivateFormat.OpenSSH), "no RSA key", id="OpenSSH"),
    ],
)
def test_wrong_kind_of_key_is_an_error_that_says_what_was_given(load, source, given):
    """Keys are never confused: the error names the kind that was given."""
    with pytest.raises(CryptoError, match=given):
        load(source)


@pytest.mark.parametrize("source", [keys.private_key(bits=1024), keys.pem(bits=1024)], ids=["loaded", "PEM"])
def test_short_private_key_is_an_error(source):
    """Less than 2048 bits is not safe, and WeChat Pay issues none."""
    with pytest.raises(CryptoError, match=r"^private key: 1024 bits were given, where 2048"):
        rsa.load_private_key(source)


@pytest.mark.parametrize(
    "source", [keys.public_key(bits=1024), keys.public_pem(bits=1024)], ids=["loaded", "PEM"]
)
def test_short_public_key_is_an_error(source):
    """A short key proves nothing."""
    with pytest.raises(CryptoError, match=r"^public key: 1024 bits were given, where 2048"):
        rsa.load_public_key(source)


def test_short_key_is_not_used_either():
    """A loaded key is checked where it is used."""
    with pytest.raises(CryptoError, match="1024 bits"):
        rsa.sign("x", keys.private_key(bits=1024))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        pytest.param("any", "a text of 3 characters that is neither PEM", id="PHP's dummy"),
        pytest.param("", "a text of 0 characters", id="empty"),
        pytest.param(base64(PKCS8_DER), r"characters .* needs its scheme", id="bare base64 without a scheme"),
        pytest.param("private.pkcs8://AA*A", "is not strict base64", id="scheme without base64"),
        pytest.param(
            "file:///no/such/key.pem", "'/no/such/key.pem' cannot be read: No such file", id="no file"
        ),
        pytest.param(
            Path("/no/such/key.pem"), "'/no/such/key.pem' cannot be read: No such file", id="no path"
        ),
        pytest.param("/", "'/' cannot be read: Is a directory", id="directory"),
        pytest.param("file://" + "k" * 9999, "a path of 9999 characters cannot be read", id="long path"),
        pytest.param("file://a\0b", "is no path", id="NUL"),
        pytest.param(Path("/dev/zero"), "more than 1048576 bytes", id="endless file"),
        pytest.param("k" * 2_000_000, "a text of 2000000 characters, which no key", id="endless text"),
        pytest.param(bytes(2_000_000), "more than 1048576 bytes", id="endless bytes"),
        pytest.param(b"", "0 bytes that are neither PEM", id="no bytes"),
        pytest.param(b"\x00key", "4 bytes that are neither PEM", id="other bytes"),
        pytest.param(b"0", "no RSA key", id="one byte of DER"),
        pytest.param(PKCS8[:-30], "without its -----END", id="cut short"),
        pytest.param(PKCS8[:20], "without its -----END", id="cut in the first line"),
        pytest.param(PKCS8.replace(b"\n", b"\\n"), r"has \\n, as two characters, where", id="escaped"),
        pytest.param(PKCS8.replace(b"MII", b"M?I"), "is not strict base64", id="not base64"),
        pytest.param(LOCKED.replace(b"AES-", b"RC5-"), "name no cipher of AES or 3DES", id="unknown cipher"),
        pytest.param(
            re.sub(rb"CBC,..", b"CBC,", LOCKED), "headers are damaged", id="initialization vector cut short"
        ),
        pytest.param(PKCS8_DER[:-9], "is damaged", id="DER cut short"),
        pytest.param("-----BEGIN \ud800", "lone surrogates", id="surrogates"),
        pytest.param(None, "type NoneType was given", id="none"),
        pytest.param(42, "type int was given", id="number"),
    ],
)
def test_what_is_no_key_is_an_error_that_says_why(source, said):
    """Every mistake has its own words."""
    with pytest.raises(CryptoError, match=said):
        rsa.load_private_key(source)


@pytest.mark.parametrize(
    "source", [SPKI_DER[:-9], X509_DER[:-9], X509_DER[:40]], ids=["key", "certificate", "start of one"]
)
def test_damaged_public_key_is_an_error(source):
    """A key or certificate cut short is damaged."""
    with pytest.raises(CryptoError, match="damaged"):
        rsa.load_public_key(source)


@pytest.mark.parametrize(
    "source",
    [
        base64(PKCS8_DER),
        "private.pkcs8://" + base64(PKCS8_DER[:-3]),
        PKCS8[:-40],
        PKCS8.replace(b"\n", b"?\n", 4),
        PKCS8_DER[:-9],
        "file://" + base64(PKCS8_DER),
    ],
    ids=["bare", "scheme", "cut", "not base64", "DER", "file"],
)
def test_error_shows_no_key(source):
    """Neither message, traceback nor pickle holds twelve letters in a row of the key."""
    with pytest.raises(CryptoError) as caught:
        rsa.load_private_key(source)
    shown = "".join(traceback.format_exception(caught.value)) + repr(pickle.dumps(caught.value))
    secret = base64(PKCS8_DER)[100:]

    assert not [secret[i : i + 12] for i in range(len(secret) - 12) if secret[i : i + 12] in shown]
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("part", ["n", "d", "p", "q", "dp", "dq", "qi"])
def test_damaged_private_key_is_found_at_load(part):
    """One wrong bit in any part is found when the key is loaded, not in the middle of a payment."""
    offset = PKCS1_DER.index(_part(part)) + 64
    damaged = bytearray(PKCS1_DER)
    damaged[offset] ^= 1
    with pytest.raises(CryptoError, match=r"^private key: is damaged"):
        rsa.load_private_key(bytes(damaged))


def _part(name):
    numbers = KEY.private_numbers()
    value = {
        "n": numbers.public_numbers.n,
        "d": numbers.d,
        "p": numbers.p,
        "q": numbers.q,
        "dp": numbers.dmp1,
        "dq": numbers.dmq1,
        "qi": numbers.iqmp,
    }[name]
    return value.to_bytes((value.bit_length() + 7) // 8)


def test_consistent_key_of_composite_primes_is_found_at_load():
    """Parts that fit each other are not enough: what the key signs must verify."""
    fake = _fake_key()
    with pytest.raises(CryptoError, match="what it signs does not verify"):
        rsa.load_private_key(fake)


def _fake_key():
    """Make a key of which one prime is the product of two."""
    r, s, q = (keys.private_key(name, 1024).private_numbers() for name in ("r", "s", "q"))
    p, q = r.p * s.p, q.p * q.q
    e = 65537
    d = pow(e, -1, (p - 1) * (q - 1) // _gcd(p - 1, q - 1))
    numbers = (0, p * q, e, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))
    return _der(b"\x30", b"".join(_der(b"\x02", n.to_bytes(n.bit_length() // 8 + 1)) for n in numbers))


def _gcd(a, b):
    while b:
        a, b = b, a % b
    return a


def _der(tag, content):
    size = len(content)
    if size < 0x80:
        return tag + bytes([size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8)
    return tag + bytes([0x80 | len(octets)]) + octets + content


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
