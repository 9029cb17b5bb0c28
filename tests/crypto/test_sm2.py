"""SM2: keys in every form, and signatures that other implementations take and make."""

from __future__ import annotations

import base64
import contextlib
import copy
import pickle
import re
import shutil
import subprocess
import sys

import keys
import pytest
import smkeys
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from wechatpay.crypto import encoding, sm2, suites
from wechatpay.errors import CryptoError

ORDER = 0xFFFFFFFE_FFFFFFFF_FFFFFFFF_FFFFFFFF_7203DF6B_21C6052B_53BBF409_39D54123


@pytest.fixture(autouse=True)
def _extra():
    """Skip where the extra's library is not available."""
    smkeys.gmssl()


def openssl(*arguments):
    """Run OpenSSL, which has an SM2 of its own; skip where it is not installed."""
    if shutil.which("openssl") is None:  # pragma: no cover  it is almost everywhere
        pytest.skip("there is no openssl here")
    return subprocess.run(["openssl", *map(str, arguments)], check=False, capture_output=True)


@pytest.fixture
def made(tmp_path):
    """Give the directory of a key pair, and a certificate, made by OpenSSL."""
    key = tmp_path / "key.pem"
    if openssl("genpkey", "-algorithm", "SM2", "-out", key).returncode:  # pragma: no cover  LibreSSL
        pytest.skip("this openssl has no SM2")
    openssl("pkey", "-in", key, "-pubout", "-out", tmp_path / "public.pem")
    subject = (
        "-subj",
        "/CN=Tenpay.com",
        "-set_serial",
        f"0x{smkeys.SERIAL:X}",
        "-out",
        tmp_path / "cert.pem",
    )
    openssl("req", "-x509", "-new", "-key", key, "-sm3", *subject)
    return tmp_path


ID = ("-rawin", "-digest", "sm3", "-pkeyopt", "distid:1234567812345678")


def test_openssl_verifies_what_is_signed_here(made):
    """An independent implementation takes our signatures, in DER under the default user id."""
    (made / "text").write_bytes(b"GET\n/v3/certificates\n1\nN\n\n")
    signature = sm2.sign((made / "text").read_bytes(), made / "key.pem")
    (made / "signature").write_bytes(base64.b64decode(signature))
    given = ("-inkey", made / "public.pem", "-in", made / "text", "-sigfile", made / "signature")
    checked = openssl("pkeyutl", "-verify", "-pubin", *given, *ID)

    assert (0, b"Signature Verified Successfully") == (checked.returncode, checked.stdout.strip())


@pytest.mark.parametrize("public", ["public.pem", "cert.pem"])
def test_what_openssl_signs_verifies_here(made, public):
    """And we take its signatures, with its public key and with its certificate."""
    (made / "text").write_bytes('1\nN\n{"名":1}\n'.encode())
    openssl("pkeyutl", "-sign", "-inkey", made / "key.pem", "-in", made / "text", "-out", made / "s", *ID)
    signature = base64.b64encode((made / "s").read_bytes()).decode()

    assert sm2.verify((made / "text").read_text(), signature, made / public)
    assert not sm2.verify((made / "text").read_text() + " ", signature, made / public)


def test_example_of_the_standard_verifies():
    """GB/T 32918.5, annex A.2: message digest, signed with the default user id."""
    point = bytes.fromhex(
        "09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020"
        "CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"
    )
    r = 0xF5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3
    s = 0xB1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA
    key = sm2.SM2PublicKey(point)
    signature = base64.b64encode(encode_dss_signature(r, s)).decode()

    assert "b2e14c5c79c6df5b85f4fe7ed8db7a262b9da7e07ccb0ea9f4747b8ccda8a4f3" == key.prefix.hex()
    assert sm2.verify("message digest", signature, key)
    assert not sm2.verify("message digesT", signature, key)


def test_public_half_is_that_of_the_standard():
    """The private key of the same annex belongs to the same point."""
    number = 0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8

    key = sm2.load_private_key(smkeys.pkcs8(number=number.to_bytes(32), point=b""))

    assert "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020" == key.public.point[:32].hex()


@pytest.mark.parametrize(
    "source",
    [
        smkeys.private_pem,
        lambda: smkeys.private_pem().replace("\n", "\r\n").encode(),
        smkeys.pkcs8,
        smkeys.sec1,
        lambda: smkeys.pkcs8(point=b""),
        lambda: smkeys.pem("SM2 PARAMETERS", smkeys.SM2) + smkeys.pem("EC PRIVATE KEY", smkeys.sec1()),
    ],
    ids=["PEM", "CRLF", "DER", "SEC 1", "without its public half", "behind parameters"],
)
def test_private_key_loads_in_every_form(source):
    """PKCS#8 and SEC 1, with the public half and without it."""
    point, number = smkeys.pair()
    key = sm2.load_private_key(source())

    assert (number, point) == (key.secret, key.public_key().point)
    assert sm2.load_private_key(key) is key
    assert smkeys.is_signed(b"text", sm2.sign("text", key))


def test_number_without_leading_zeros_loads():
    """As Java's BigInteger may leave it."""
    number = (5).to_bytes(32)
    key = sm2.load_private_key(smkeys.pkcs8(number=b"\5", point=b""))

    assert number == key.secret


@pytest.mark.parametrize(
    "source",
    [
        smkeys.public_pem,
        smkeys.spki,
        smkeys.certificate,
        smkeys.certificate_pem,
        lambda: x509.load_der_x509_certificate(smkeys.certificate()),
    ],
    ids=["PEM", "DER", "certificate in DER", "certificate in PEM", "certificate"],
)
def test_public_key_loads_in_every_form(source):
    """Bare, and in a certificate."""
    key = sm2.load_public_key(source())

    assert smkeys.pair("platform")[0] == key.point
    assert sm2.load_public_key(key) is key
    assert sm2.verify(b"text", smkeys.sign(b"text"), key)


def test_certificate_without_a_version_loads():
    """Version 1 is left out where it is meant (RFC 5280, section 4.1)."""
    (whole,) = encoding.der_contents(smkeys.certificate(), encoding.SEQUENCE)
    (body,) = encoding.der_contents(whole, encoding.SEQUENCE)
    fields = b"".join(smkeys.tlv(tag, content) for tag, content in encoding.der_members(body) if tag != 0xA0)
    old = smkeys.tlv(0x30, smkeys.tlv(0x30, fields), smkeys.tlv(0x30), smkeys.tlv(0x03))

    assert smkeys.pair("platform")[0] == sm2.load_public_key(old).point


@pytest.mark.parametrize(
    "key",
    [
        lambda: smkeys.pkcs8(point=smkeys.pair("other")[0]),
        lambda: smkeys.pkcs8(point=bytes(64)),
        lambda: smkeys.pkcs8(number=bytes(32)),
        lambda: smkeys.pkcs8(number=bytes(32), point=b""),
        lambda: smkeys.pkcs8(number=ORDER.to_bytes(32)),
        lambda: smkeys.pkcs8(number=ORDER.to_bytes(32), point=b""),
        lambda: smkeys.pkcs8(number=b"\1" + bytes(32)),
        lambda: smkeys.pkcs8()[:-9],
        lambda: smkeys.pkcs8().replace(smkeys.ALGORITHM[4:13], bytes.fromhex("06072a8648ce3d0202")),
        lambda: smkeys.tlv(0x30, smkeys.tlv(0x02, b"\0"), smkeys.SM2),
    ],
    ids=[
        "another's point", "no point", "zero", "zero alone", "order", "order alone", "33 bytes", "cut short",
        "another algorithm", "nothing in it",
    ],
)  # fmt: skip
def test_damaged_private_key_is_refused_where_it_enters(key):
    """Not in the middle of a payment; and the error shows nothing of it."""
    with pytest.raises(CryptoError, match=r"^private key: is damaged, or has a form"):
        sm2.load_private_key(key())


@pytest.mark.parametrize(
    "key",
    [
        lambda: smkeys.spki()[:-1],
        lambda: smkeys.spki().replace(smkeys.pair("platform")[0], b"\1" * 64),
        lambda: smkeys.tlv(0x30, smkeys.ALGORITHM, smkeys.tlv(0x03)),
        lambda: smkeys.certificate()[:-200],
    ],
    ids=["cut short", "not on the curve", "empty", "half a certificate"],
)
def test_damaged_public_key_is_refused(key):
    """A point that is not on the curve would verify what nobody signed."""
    with pytest.raises(CryptoError, match=r"^public key: "):
        sm2.load_public_key(key())


@pytest.mark.parametrize(
    "source",
    [lambda: "no key", keys.pem, lambda: 5, keys.private_key],
    ids=["text", "RSA", "int", "object"],
)
def test_other_keys_are_refused(source):
    """By either loader, with what to do."""
    with pytest.raises(CryptoError, match="not a readable SM2 key"):
        sm2.load_private_key(source())
    with pytest.raises(CryptoError, match="not a readable SM2 key"):
        sm2.load_public_key(source())


def test_loaders_of_both_suites_distinguish_keys():
    """The suite follows from the kind of a key, and loaded keys stay as they are."""
    ours, theirs = (
        suites.load_private_key(smkeys.private_pem()),
        suites.load_public_key(smkeys.certificate_pem()),
    )

    assert ["SM2", "SM2"] == [suites.suite_of(key).name for key in (ours, theirs)]
    assert (ours, theirs) == (suites.load_private_key(ours), suites.load_public_key(theirs))
    assert suites.RSA is suites.suite_of(suites.load_private_key(keys.pem()))
    assert suites.RSA is suites.suite_of(suites.load_public_key(keys.public_pem()))
    assert ("<Suite RSA>", "<Suite SM2>") == (repr(suites.RSA), repr(suites.suite_of(ours)))


@pytest.mark.parametrize("load", [suites.load_private_key, suites.load_public_key])
def test_loaders_of_both_suites_report_what_rsa_loaders_do(load):
    """What is neither is told in the words for most."""
    with pytest.raises(CryptoError, match="a text of 6 characters that is neither PEM"):
        load("no key")


@pytest.mark.parametrize(
    "signature",
    [
        lambda der: "",
        lambda der: "no base64!",
        lambda der: base64.b64encode(der[:-1]).decode(),
        lambda der: base64.b64encode(der + b"\0").decode(),
        lambda der: base64.b64encode(encode_dss_signature(0, decode_dss_signature(der)[1])).decode(),
        lambda der: base64.b64encode(encode_dss_signature(1 << 300, 1)).decode(),
        lambda der: base64.b64encode(encode_dss_signature(*reversed(decode_dss_signature(der)))).decode(),
    ],
    ids=["empty", "no base64", "cut short", "longer", "zero", "huge", "exchanged"],
)
def test_what_is_not_a_signature_verifies_nothing(signature):
    """Whoever sends garbage learns nothing and breaks nothing."""
    genuine = smkeys.sign(b"text")

    assert sm2.verify("text", genuine, smkeys.spki())
    assert not sm2.verify("text", signature(base64.b64decode(genuine)), smkeys.spki())


def test_digest_verifies_in_place_of_its_message():
    """So that a file need not be in memory; its beginning is the key's own."""
    key = sm2.load_public_key(smkeys.spki())
    digest = sm2.Sm3(key.prefix)
    digest.update(b"te")
    halfway = digest.copy()
    digest.update(b"xt")

    assert sm2.verify_digest(digest.digest(), smkeys.sign(b"text"), key)
    assert not sm2.verify_digest(halfway.digest(), smkeys.sign(b"text"), key)
    with pytest.raises(CryptoError, match="SM3 has 32 bytes, got 3"):
        sm2.verify_digest(b"abc", smkeys.sign(b"text"), key)


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=200))
def test_any_text_round_trips_with_gmssl(text):
    """What is signed here GmSSL verifies with its own user id, and the other way round."""
    key = sm2.load_private_key(smkeys.private_pem())

    assert smkeys.is_signed(text, sm2.sign(text, key))
    assert sm2.verify(text, smkeys.sign(text, "merchant"), key.public)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 200), st.booleans())
def test_only_our_errors_come_out_of_keys(noise, place, is_private):
    """Whatever was done to a key: it loads, or is refused as damaged."""
    whole = smkeys.pkcs8() if is_private else smkeys.spki()
    damaged = whole[:place] + noise + whole[place + len(noise) :]
    with contextlib.suppress(CryptoError):
        (sm2.load_private_key if is_private else sm2.load_public_key)(damaged)


@pytest.mark.parametrize("show", [repr, str, lambda key: repr([key])])
def test_private_key_shows_nothing_and_stays_here(show):
    """Neither text nor pickle nor copy carries it away."""
    key = sm2.load_private_key(smkeys.private_pem())

    assert key.secret.hex() not in show(key)
    assert str(key.secret) not in show(key)
    for take in (pickle.dumps, copy.deepcopy):
        with pytest.raises(CryptoError, match="never pickled"):
            take(key)


@pytest.mark.parametrize("load", [suites.load_private_key, suites.load_public_key])
def test_error_for_a_missing_library_says_how_to_install_it(load, monkeypatch):
    """With an SM2 key and without the extra."""
    source = smkeys.private_pem() if load is suites.load_private_key else smkeys.public_pem()
    monkeypatch.setitem(sys.modules, "gmssl_pyx", None)
    sm2.load_gmssl.cache_clear()

    with pytest.raises(CryptoError, match=re.escape("pip install 'wechatpay-chainable[sm]'")):
        load(source)


def test_rsa_loads_nothing_of_the_sm_suite():
    """RSA users do not pay for SM2."""
    script = (
        "import sys; from wechatpay import Builder;"
        "Builder(mchid='1', serial='2', private_key=sys.argv[1], certs={'PUB_KEY_ID_1': sys.argv[2]});"
        "print([name for name in sys.modules if 'sm2' in name or 'sm4' in name or 'gmssl' in name])"
    )
    command = [sys.executable, "-c", script, keys.pem(), keys.public_pem("platform")]

    assert "[]\n" == subprocess.run(command, capture_output=True, text=True, check=True).stdout
