"""A download of certificates is accepted only as a whole, and only after it is verified."""

from __future__ import annotations

import json
import time

import pytest
import rotation
from rotation import APIV3_KEY, SERIALS, body, item
from wire.gateway import proof

from wechatpay.apiv3.certificates import verify
from wechatpay.apiv3.keyring import PlatformKey
from wechatpay.apiv3.keys import PlatformKeys
from wechatpay.errors import (
    ClockSkewError,
    ConfigurationError,
    DecodeError,
    IncompleteHeadersError,
    SignatureError,
    UnknownSerialError,
)
from wechatpay.messages import Headers, Response
from wechatpay.secret import Secret

NOW = int(time.time())


def response(content, signer="new", **how):
    """Give a response with this body, signed by a platform certificate."""
    how = {"serial": SERIALS[signer], "key": signer, "at": NOW} | how
    return Response(200, Headers(proof(content, **how)), content)


def verified(response, known=None, now=NOW):
    """Verify a response; no key is known by default."""
    keys = known or PlatformKeys(clock=lambda: now)
    return verify(response, keys, Secret(APIV3_KEY.encode()), signed_about=now, now=now)


def knowing(*names):
    """Give a trust set with these certificates."""
    own = {
        SERIALS[name]: PlatformKey.from_certificate(SERIALS[name], rotation.certificate(name))
        for name in names
    }
    return PlatformKeys(own, clock=lambda: NOW)


def test_download_is_verified_by_a_certificate_in_it():
    """The first download is encrypted under the APIv3 key, and signed by one of its certificates."""
    download = verified(response(body(item("old"), item("new"))))

    assert [SERIALS["old"], SERIALS["new"]] == list(download.keys)
    assert NOW == download.as_of
    assert rotation.certificate("new") == download.keys[SERIALS["new"]].certificate


def test_download_is_verified_by_a_known_key():
    """A response that a known key signed does not have to contain it."""
    assert [SERIALS["new"]] == list(verified(response(body(item("new")), "old"), knowing("old")).keys)


def test_download_is_verified_when_every_known_certificate_is_retired():
    """Known certificates that are no longer offered do not prevent a refresh."""
    assert [SERIALS["new"]] == list(verified(response(body(item("new"))), knowing("old", "third")).keys)


def test_download_signed_by_a_key_that_the_caller_retired_is_refused():
    """A key that the caller retired verifies nothing, even if the download contains it."""
    known = knowing("new")
    known.retire(SERIALS["new"])

    with pytest.raises(UnknownSerialError):
        verified(response(body(item("new"))), known)


def test_download_signed_by_a_stranger_is_refused():
    """The signature must belong to the key it names."""
    with pytest.raises(SignatureError):
        verified(response(body(item("new")), key="stranger"))


def test_download_signed_by_a_missing_stranger_is_refused():
    """The signing key must be known, or in the download."""
    with pytest.raises(UnknownSerialError):
        verified(response(body(item("new")), "odd"))


def test_tampered_download_is_refused():
    """Taking a certificate out of the list is noticed."""
    whole = response(body(item("old"), item("new")))

    with pytest.raises(SignatureError):
        verified(Response(200, whole.headers, body(item("new"))))


@pytest.mark.parametrize("skew", [-301, 301])
def test_download_of_another_time_is_refused(skew):
    """An old list, however well signed, is not today's."""
    with pytest.raises(ClockSkewError):
        verified(response(body(item("new")), at=NOW + skew))


def test_unsigned_download_is_refused():
    """Certificates that decrypt are not enough: the list must be signed, too."""
    with pytest.raises(IncompleteHeadersError):
        verified(Response(200, Headers(), body(item("new"))))


def test_probe_is_refused():
    """A download with a probe signature fails like any other wrong one."""
    probed = response(body(item("new"))).headers.with_({"Wechatpay-Signature": "WECHATPAY/SIGNTEST/x"})

    with pytest.raises(SignatureError, match="probe"):
        verified(Response(200, probed, body(item("new"))))


def test_download_under_another_apiv3_key_names_the_setting():
    """The most usual mistake: an APIv3 key that is not the one set in the console."""
    content = body(item("new", apiv3_key="another0apiv3key0of0032characters"[:32]))

    with pytest.raises(ConfigurationError, match="apiv3_key: does not decrypt"):
        verified(response(content))


@pytest.mark.parametrize(
    ("item", "why"),
    [
        pytest.param(item("new", serial_no=SERIALS["old"]), "has the serial number", id="serial"),
        pytest.param(item("new", effective_time="yesterday"), "not what the documents say", id="date"),
        pytest.param(item("new", expire_time="2099-01-01T00:00:00"), "names no time zone", id="zone"),
        pytest.param(item("new", expire_time=None), "not what the documents say", id="no date"),
        pytest.param({"serial_no": SERIALS["new"]}, "not what the documents say", id="no cipher"),
        pytest.param("new", "not what the documents say", id="text"),
    ],
)
def test_download_with_a_wrong_member_is_refused_as_a_whole(item, why):
    """Half a list is none: what is wrong with one certificate is wrong with the response."""
    with pytest.raises(DecodeError, match=why):
        verified(response(body(rotation.item("new"), item)))


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"data":{}}', b"not json", b'{"data":[]}'])
def test_body_without_a_list_is_refused(content):
    """A response of another shape is an error, not an empty list."""
    with pytest.raises(DecodeError):
        verified(response(content))


def test_two_certificates_of_one_serial_number_are_refused():
    """Which of the two is right could only be guessed."""
    with pytest.raises(DecodeError, match="two of the serial number"):
        verified(response(body(item("new"), item("new", days=(-2, 300)))))


def test_the_same_certificate_twice_is_one():
    """A repetition changes nothing."""
    assert [SERIALS["new"]] == list(verified(response(body(item("new"), item("new")))).keys)


def test_certificates_of_another_suite_are_left_out():
    """The list may hold SM2 certificates beside those of RSA."""
    other = item("odd", encrypt_certificate={"algorithm": "AEAD_SM4_GCM"})

    assert [SERIALS["new"]] == list(verified(response(body(other, item("new")))).keys)


def test_weak_certificate_is_refused():
    """A key of less than 2048 bits is not accepted."""
    weak = rotation.weak_certificate("odd")

    with pytest.raises(DecodeError, match="bits"):
        verified(response(body(rotation.sealed(weak, SERIALS["odd"]), item("new"))))


def test_ended_certificate_is_left_out():
    """A certificate whose time is over is not taken into use."""
    assert [SERIALS["new"]] == list(verified(response(body(item("old", (-30, -1)), item("new")))).keys)


def test_download_signed_by_an_ended_certificate_is_refused():
    """A certificate verifies nothing outside its dates."""
    with pytest.raises(UnknownSerialError):
        verified(response(body(item("new", (-30, -1)), item("old"))))


def test_dates_of_the_list_narrow_those_of_the_certificate():
    """Of two statements on the validity the narrower one holds."""
    early = json.loads(json.dumps(item("new")))
    early["expire_time"] = "2099-01-01T00:00:00+08:00"
    late = item("old", effective_time="2099-01-01T00:00:00+08:00")
    download = verified(response(body(early, late)))

    assert rotation.certificate("new").not_valid_after_utc == download.keys[SERIALS["new"]].not_after
    assert not download.keys[SERIALS["old"]].is_valid(NOW)


def test_errors_show_neither_key_nor_body():
    """Messages about a download hold neither the APIv3 key nor a certificate."""
    with pytest.raises(ConfigurationError) as caught:
        verified(response(body(item("new", apiv3_key="another0apiv3key0of0032characters"[:32]))))

    assert APIV3_KEY not in str(caught.value)
    assert "BEGIN" not in str(caught.value)
