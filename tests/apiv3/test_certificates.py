"""A download of certificates is believed only when it proves itself, whole."""

from __future__ import annotations

import json
import time

import pytest
import rotation
from rotation import APIV3_KEY, SERIALS, body, item
from wire.gateway import proof

from wechatpay.apiv3.certificates import verify
from wechatpay.apiv3.keys import PlatformKey, PlatformKeys
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


def answer(content, signer="new", **how):
    """Give a response with this body, signed by a platform certificate."""
    how = {"serial": SERIALS[signer], "key": signer, "at": NOW} | how
    return Response(200, Headers(proof(content, **how)), content)


def proven(response, known=None, now=NOW):
    """Prove a response, knowing nothing by default."""
    keys = known or PlatformKeys(clock=lambda: now)
    return verify(response, keys, Secret(APIV3_KEY.encode()), signed_about=now, now=now)


def knowing(*names):
    """Give a trust set with these certificates."""
    own = {
        SERIALS[name]: PlatformKey.from_certificate(SERIALS[name], rotation.certificate(name))
        for name in names
    }
    return PlatformKeys(own, clock=lambda: NOW)


def test_download_is_proved_by_a_certificate_it_carried():
    """Knowing nothing but the APIv3 key, the first download is believed, for it is encrypted and signed."""
    download = proven(answer(body(item("old"), item("new"))))

    assert [SERIALS["old"], SERIALS["new"]] == list(download.keys)
    assert NOW == download.as_of
    assert rotation.certificate("new") == download.keys[SERIALS["new"]].certificate


def test_download_is_proved_by_a_known_key():
    """An answer signed by a key that we know need not carry it."""
    assert [SERIALS["new"]] == list(proven(answer(body(item("new")), "old"), knowing("old")).keys)


def test_download_is_proved_when_every_known_certificate_is_retired():
    """A set of which nothing is offered any more locks nobody out."""
    assert [SERIALS["new"]] == list(proven(answer(body(item("new"))), knowing("old", "third")).keys)


def test_download_signed_by_a_key_that_the_caller_retired_is_refused():
    """What the caller retired proves nothing, even if it is carried."""
    known = knowing("new")
    known.retire(SERIALS["new"])

    with pytest.raises(UnknownSerialError):
        proven(answer(body(item("new"))), known)


def test_download_signed_by_a_stranger_is_refused():
    """The signature must belong to the key it names."""
    with pytest.raises(SignatureError):
        proven(answer(body(item("new")), key="stranger"))


def test_download_signed_by_an_uncarried_stranger_is_refused():
    """A key that is neither known nor carried proves nothing."""
    with pytest.raises(UnknownSerialError):
        proven(answer(body(item("new")), "odd"))


def test_tampered_download_is_refused():
    """Taking a certificate out of the list is noticed."""
    whole = answer(body(item("old"), item("new")))

    with pytest.raises(SignatureError):
        proven(Response(200, whole.headers, body(item("new"))))


@pytest.mark.parametrize("skew", [-301, 301])
def test_download_of_another_time_is_refused(skew):
    """An old list, however well signed, is not today's."""
    with pytest.raises(ClockSkewError):
        proven(answer(body(item("new")), at=NOW + skew))


def test_unsigned_download_is_refused():
    """Certificates that decrypt are not enough: the list must be signed, too."""
    with pytest.raises(IncompleteHeadersError):
        proven(Response(200, Headers(), body(item("new"))))


def test_probe_is_refused():
    """A download with a probe signature fails like any other wrong one."""
    probed = answer(body(item("new"))).headers.with_({"Wechatpay-Signature": "WECHATPAY/SIGNTEST/x"})

    with pytest.raises(SignatureError, match="probe"):
        proven(Response(200, probed, body(item("new"))))


def test_download_under_another_apiv3_key_names_the_setting():
    """The most usual mistake: an APIv3 key that is not the one set in the console."""
    content = body(item("new", apiv3_key="another0apiv3key0of0032characters"[:32]))

    with pytest.raises(ConfigurationError, match="apiv3_key: does not decrypt"):
        proven(answer(content))


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
    """Half a list is none: what is wrong with one certificate is wrong with the answer."""
    with pytest.raises(DecodeError, match=why):
        proven(answer(body(rotation.item("new"), item)))


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"data":{}}', b"not json", b'{"data":[]}'])
def test_what_is_no_list_is_refused(content):
    """An answer of another shape is an error, not an empty set."""
    with pytest.raises(DecodeError):
        proven(answer(content))


def test_two_certificates_of_one_serial_number_are_refused():
    """Which of the two to believe could only be guessed."""
    with pytest.raises(DecodeError, match="two of the serial number"):
        proven(answer(body(item("new"), item("new", days=(-2, 300)))))


def test_the_same_certificate_twice_is_one():
    """A repetition changes nothing."""
    assert [SERIALS["new"]] == list(proven(answer(body(item("new"), item("new")))).keys)


def test_certificates_of_another_suite_are_left_out():
    """The list may hold SM2 certificates beside those of RSA."""
    other = item("odd", encrypt_certificate={"algorithm": "AEAD_SM4_GCM"})

    assert [SERIALS["new"]] == list(proven(answer(body(other, item("new")))).keys)


def test_weak_certificate_is_refused():
    """A key of less than 2048 bits proves nothing."""
    weak = rotation.weak_certificate("odd")

    with pytest.raises(DecodeError, match="bits"):
        proven(answer(body(rotation.sealed(weak, SERIALS["odd"]), item("new"))))


def test_ended_certificate_is_left_out():
    """A certificate whose time is over is not taken into use."""
    assert [SERIALS["new"]] == list(proven(answer(body(item("old", (-30, -1)), item("new")))).keys)


def test_download_signed_by_an_ended_certificate_is_refused():
    """A certificate proves nothing beyond its dates, carried or known."""
    with pytest.raises(UnknownSerialError):
        proven(answer(body(item("new", (-30, -1)), item("old"))))


def test_dates_of_the_list_narrow_those_of_the_certificate():
    """Of two statements on the validity the narrower one holds."""
    early = json.loads(json.dumps(item("new")))
    early["expire_time"] = "2099-01-01T00:00:00+08:00"
    late = item("old", effective_time="2099-01-01T00:00:00+08:00")
    download = proven(answer(body(early, late)))

    assert rotation.certificate("new").not_valid_after_utc == download.keys[SERIALS["new"]].not_after
    assert not download.keys[SERIALS["old"]].is_valid(NOW)


def test_errors_show_neither_key_nor_body():
    """Messages about a download hold neither the APIv3 key nor a certificate."""
    with pytest.raises(ConfigurationError) as caught:
        proven(answer(body(item("new", apiv3_key="another0apiv3key0of0032characters"[:32]))))

    assert APIV3_KEY not in str(caught.value)
    assert "BEGIN" not in str(caught.value)
