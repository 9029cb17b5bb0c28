"""APIv2's callbacks, on the same entry: payments with a sign, refunds with req_info, encrypted events."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import digests
import pytest
from merchants import MCHID
from notification.callbacks import REFUND, closed, event, handler, payment, refund, sealed, signed

from wechatpay import ConfigurationError, DecodeError, NotificationError, SignatureError
from wechatpay import payment as payments
from wechatpay.notification import (
    ForeignNotificationError,
    ForgedNotificationError,
    MalformedNotificationError,
    UnconfiguredNotificationError,
    UndecryptableNotificationError,
    UnsignedNotificationError,
)

CONTRACT = {
    "appid": "wx1",
    "mch_id": MCHID,
    "plan_id": 12535,
    "contract_code": "100000",
    "request_serial": 1000,
    "contract_display_account": "Tom & Jerry",
    "notify_url": "https://shop.example.com/notify",
}


@pytest.fixture
def refused():
    """Give a function that has a callback refused, and returns why."""

    def refuse(body, **settings):
        with pytest.raises(NotificationError) as caught:
            handler(**settings).parse({}, body)
        assert "v2" == caught.value.version
        assert caught.value.reply.body.startswith(b"<xml><return_code>FAIL</return_code>")
        return caught.value

    return refuse


@pytest.mark.parametrize("algorithm", ["MD5", "HMAC-SHA256"])
def test_result_of_a_payment_is_read(algorithm):
    """Its sign verifies it, with either digest; the fields are the event."""
    body = payment(algorithm)
    found = handler().parse({}, body)

    assert "1409811653" == found.resource["out_trade_no"]
    assert "SUCCESS" == found.resource["result_code"]
    assert ("v2", "", None) == (found.version, found.event_type, found.create_time)
    assert "transaction" == found.original_type
    assert body == found.plaintext == found.raw


def test_refund_is_never_taken_for_a_payment():
    """Both name the payment: what they are is told apart."""
    found = handler().parse({}, refund(REFUND | {"transaction_id": "1"}))

    assert "refund" == found.original_type


def test_failed_payment_is_handed_over_as_such():
    """A genuine callback may say that a payment failed: that is for the caller to see."""
    assert "FAIL" == handler().parse({}, payment(result_code="FAIL")).resource["result_code"]


@pytest.mark.parametrize("name", ["sign_type", "algorithm"])
def test_named_algorithm_must_be_that_of_the_sign(refused, name):
    """What names HMAC-SHA256 is not accepted with an MD5."""
    assert handler().parse({}, payment("HMAC-SHA256", **{name: "HMAC-SHA256"})).id

    error = refused(payment("MD5", **{name: "HMAC-SHA256"}))

    assert ForgedNotificationError is type(error)
    assert isinstance(error, SignatureError)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.replace(b"<total_fee>1<", b"<total_fee>9<"),
        lambda body: body.replace(b"<xml>", b"<xml><more>1</more>"),
        lambda body: body.replace(b"<sign>", b"<sign>0"),
        lambda body: body.replace(b"<total_fee>", b"<!-- c --><total_fee>"),
    ],
    ids=["field", "more", "sign", "comment"],
)
def test_tampered_result_is_refused(refused, change):
    """What is not digested as it stands is not accepted."""
    assert ForgedNotificationError is type(refused(change(payment())))


def test_other_secret_is_refused(refused):
    """Who does not know the secret cannot sign."""
    error = refused(payment(secret="another0secret0of032characters0x"))

    assert ForgedNotificationError is type(error)
    assert 401 == error.reply.status


def test_result_without_sign_is_refused(refused):
    """No sign is not a proof."""
    error = refused(digests.document({"return_code": "SUCCESS", "mch_id": MCHID}))

    assert UnsignedNotificationError is type(error)


def test_result_with_nested_fields_is_refused(refused):
    """No digest covers fields in fields."""
    error = refused(payment().replace(b"<total_fee>1<", b"<total_fee><a>1</a><"))

    assert MalformedNotificationError is type(error)


@pytest.mark.parametrize("name", ["mch_id", "combine_mch_id", "mchid"])
def test_callback_of_another_merchant_is_refused(refused, name):
    """One secret may serve several merchants; a callback is for one."""
    error = refused(payment(**{name: "1900000110"}))

    assert ForeignNotificationError is type(error)
    assert f"{name}: the callback is for merchant '1900000110', not for '{MCHID}'" == str(error)
    assert 403 == error.reply.status


def test_any_merchant_is_taken_where_none_is_set():
    """Without mchid, the secret decides alone."""
    assert "7" == handler(mchid=None).parse({}, payment(mch_id="7")).resource["mch_id"]
    assert handler(mchid=None).parse({}, payment(mch_id="")).id


@pytest.mark.parametrize(
    "make",
    [
        lambda secret: payments.jsapi_v2("wx1", "wx2", secret),
        lambda secret: payments.app_v2("wx1", MCHID, "wx2", secret),
        lambda secret: payments.payscore_use(MCHID, "package", secret),
        lambda secret: payments.payscore_detail(MCHID, "service", "order", secret),
        lambda secret: dict(parse_qsl(urlsplit(payments.coupon_url("1", "2", MCHID, "o", secret)).query)),
        lambda secret: payments.entrust_web(CONTRACT, secret),
    ],
    ids=["jsapi_v2", "app_v2", "payscore_use", "payscore_detail", "coupon_url", "entrust_web"],
)
def test_what_the_payer_gets_signed_is_refused_as_a_callback(refused, make):
    """The same key signs it: who holds it must not be able to post it back."""
    fields = make(digests.SECRET)
    sign = fields.pop("paySign", None) or fields.pop("sign")
    error = refused(digests.document(fields | {"sign": sign}), mchid=None)

    assert MalformedNotificationError is type(error)
    assert "it was signed with secret for something else" in str(error)


@pytest.mark.parametrize(
    "fields",
    [
        {"return_code": "SUCCESS", "event_code": "1", "risk_level": "LOW", "transaction_id_list": "{}"},
        {"change_type": "ADD", "contract_code": "1", "contract_id": "1", "operate_time": "1"},
        {"plate_number": "粤B88888", "vehicle_event_createtime": "20180225112233"},
        {"openid": "o", "is_subscribe": "Y", "product_id": "1"},
    ],
    ids=["risk", "contract", "parking", "native"],
)
def test_callback_with_the_required_fields_of_its_kind_alone_is_read(fields):
    """What is optional may be left out."""
    fields = {"mch_id": MCHID, "nonce_str": "n"} | fields
    fields["sign"] = digests.digest(fields)

    assert fields == handler().parse({}, digests.document(fields)).resource


@pytest.mark.parametrize("name", ["return_code", "result_code", "nonce_str", "total_fee"])
def test_payment_that_is_not_whole_is_not_called_one(name):
    """What ``original_type`` calls a payment has what every payment has."""
    assert "" == handler().parse({}, payment(is_subscribe="Y", **{name: ""})).original_type


def test_refund_is_decrypted():
    """Refunds carry no sign: that req_info decrypts is the proof, and what it holds is the event."""
    found = handler().parse({}, refund())

    assert REFUND == found.resource
    assert found.plaintext.startswith(b"<root>")
    assert ("v2", "", "refund") == (found.version, found.event_type, found.original_type)


def test_refund_arrives_on_the_url_of_apiv3():
    """APIv2's XML comes with the headers of anything; what the body is decides."""
    body = refund()

    assert REFUND == handler().parse(signed(body), b"\xef\xbb\xbf\r\n" + body).resource


def test_unverified_fields_beside_req_info_are_not_part_of_a_refund():
    """Anybody could have written them."""
    found = handler().parse({}, refund(refund_status="CHANGE", refund_fee="1"))

    assert REFUND == found.resource


def test_req_info_may_be_folded():
    """Base64 comes with line feeds at times."""
    body = refund()
    at = body.index(b"<req_info>") + 40

    assert REFUND == handler().parse({}, body[:at] + b"\n  " + body[at:]).resource


@pytest.mark.parametrize(
    "body",
    [
        refund(secret="another0secret0of032characters0x"),
        refund(req_info="?"),
        refund(req_info=closed(b"")),
        refund(req_info=closed(b"<root>")),
        refund(req_info=closed(b"<root><a>1</a></root>")[:-8]),
        refund(root="xml"),
        refund(root="roots"),
        digests.document({"mch_id": MCHID, "req_info": "x"}).replace(b">x<", b"><a>x</a><"),
    ],
    ids=["secret", "no-base64", "empty-inside", "cut", "short", "xml", "roots", "nested"],
)
def test_req_info_that_does_not_decrypt_to_a_refund_is_refused(refused, body):
    """ECB authenticates nothing: only a document with the right root is proof of the secret."""
    error = refused(body)

    assert ForgedNotificationError is type(error)
    assert 401 == error.reply.status


def test_root_may_be_declared():
    """An XML declaration changes nothing."""
    info = closed(b'<?xml version="1.0"?>\n<root><refund_id>1</refund_id></root>')

    assert {"refund_id": "1"} == handler().parse({}, refund(req_info=info)).resource


def test_sign_of_a_refund_is_checked_if_there_is_one(refused):
    """What is there must be right."""
    assert ForgedNotificationError is type(refused(refund(sign="0" * 32)))


def test_encrypted_event_is_decrypted():
    """The pay score's APIv2 events carry XML under the APIv3 key."""
    found = handler().parse({}, event("USER_PAID"))

    assert {"state": "USER_PAID"} == found.resource
    assert b"<xml><state>USER_PAID</state></xml>" == found.plaintext
    assert "TRANSACTION.SUCCESS" == found.event_type
    assert "2018-02-25T11:22:33+08:00" == found.create_time.isoformat()


def test_encrypted_event_needs_the_apiv3_key(refused):
    """The error says what to set."""
    error = refused(event(), certs=None, apiv3_key=None)

    assert UnconfiguredNotificationError is type(error)
    assert "give apiv3_key, too" in str(error)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"event_algorithm": "AEAD_SM4_GCM"}, UndecryptableNotificationError),
        ({"event_associated_data": "other"}, UndecryptableNotificationError),
        ({"event_ciphertext": sealed(b"{}", aad="payscore")}, MalformedNotificationError),
    ],
    ids=["algorithm", "aad", "json"],
)
def test_encrypted_event_that_cannot_be_read_is_refused(refused, changes, expected):
    """Its cipher is not its own choice, and it is XML."""
    assert expected is type(refused(event(**changes)))


def test_encrypted_event_needs_no_associated_data():
    """Left out, there is none."""
    body = event(event_associated_data="", event_ciphertext=sealed(b"<xml><a>1</a></xml>", aad=""))

    assert {"a": "1"} == handler().parse({}, body).resource


@pytest.mark.parametrize(
    "body",
    [
        b"<xml>",
        b"<!DOCTYPE html><html></html>",
        b'<!DOCTYPE xml [<!ENTITY e SYSTEM "file:///etc/passwd">]><xml><a>&e;</a></xml>',
        "<xml><a>支付</a></xml>".encode("gbk"),
        b"<xml>" + b"<a>" * 10_000 + b"</xml>",
    ],
    ids=["cut", "html", "entity", "gbk", "deep"],
)
def test_xml_that_is_none_is_refused(refused, body):
    """Documents are read as strictly as responses are."""
    error = refused(body)

    assert MalformedNotificationError is type(error)
    assert isinstance(error, DecodeError)
    assert 400 == error.reply.status


def test_xml_without_secret_says_what_is_missing(refused):
    """An APIv2 callback on a service for APIv3 alone is not a riddle."""
    error = refused(refund(), secret=None)

    assert UnconfiguredNotificationError is type(error)
    assert isinstance(error, ConfigurationError)
    assert "an APIv2 callback (XML): give secret, the APIv2 key" == str(error)
    assert 501 == error.reply.status


@pytest.mark.parametrize("make", [payment, refund], ids=["payment", "refund"])
def test_id_is_the_same_for_every_delivery(make):
    """APIv2 names no event: what lasts from one delivery to the next does."""
    first, second = (handler().parse({}, make(nonce_str=nonce)).id for nonce in ("one", "two"))

    assert first == second
    assert 64 == len(first)


def test_id_of_an_encrypted_event_is_the_same_for_every_delivery():
    """Its ``event_id`` names it, even if each delivery is encrypted anew."""
    again = {
        "nonce_str": "other",
        "event_nonce": "0123456789ab",
        "event_ciphertext": sealed(
            b"<xml><state>USER_PAID</state></xml>", nonce="0123456789ab", aad="payscore"
        ),
    }
    first, second, other = (
        handler().parse({}, event(**changes)).id for changes in ({}, again, again | {"event_id": "e5c8a1d3"})
    )

    assert first == second != other


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.replace(b"<xml>", b"<xml><more/>"),
        lambda body: body.replace(b"<xml>", b"<xml><event_id/><req_info></req_info>"),
        lambda body: body.replace(b"<xml>", b"<xml><!---->"),
        lambda body: body.replace(b"<total_fee>1</total_fee>", b"").replace(
            b"SUCCESS</return_code>", b"SUCCESS&amp;total_fee=1</return_code>"
        ),
    ],
    ids=["empty", "empty-known", "comment", "boundary"],
)
def test_signed_result_is_handled_once_however_its_elements_are_changed(change):
    """What changes a callback without the secret leaves the signed text, and so the ``id``, as it was."""
    service, handled = handler(), []
    genuine = payment()
    changed = change(genuine)
    replies = [service.handle({}, body, handled.append).status for body in (genuine, changed)]

    assert changed != genuine
    assert [200, 200] == replies
    assert 1 == len(handled)


def test_signed_event_is_handled_once_without_its_event_id():
    """A field boundary that is moved hides ``event_id``; the signed text still holds it."""
    rest = {"mch_id": MCHID, "return_code": "SUCCESS"}
    fields = {"event_create_time": "20180225112233", "event_id": "e5c8a1d2"} | rest
    sign = digests.digest(fields)
    moved = {"event_create_time": "20180225112233&event_id=e5c8a1d2"} | rest
    first, second = (
        handler().parse({}, digests.document(body | {"sign": sign})).id for body in (fields, moved)
    )

    assert first == second


def test_empty_fields_of_a_signed_result_are_left_out():
    """They are not signed: anybody can add one, and they must not decide what the callback is."""
    body = payment(transaction_id="").replace(b"<xml>", b"<xml><change_type/><sub_order_list/>")
    found = handler().parse({}, body)

    assert "" == found.original_type
    assert {"change_type", "sub_order_list", "transaction_id"}.isdisjoint(found.resource)


def test_unverified_fields_beside_req_info_do_not_describe_the_refund():
    """Its ``id``, type and time do not depend on what anybody could have written."""
    outer = {"event_id": "evil", "event_type": "TRANSACTION.SUCCESS", "event_create_time": "20200101000000"}
    found = handler().parse({}, refund(**outer))

    assert handler().parse({}, refund()).id == found.id
    assert ("", None, "refund") == (found.event_type, found.create_time, found.original_type)


def test_refund_in_one_state_is_one_event():
    """Blocks of ECB can be exchanged: ``refund_id`` and the state alone identify the event."""
    ids = {
        handler().parse({}, refund(REFUND | {"refund_recv_accout": account})).id for account in ("one", "two")
    }

    assert 1 == len(ids)


def test_refund_without_refund_id_is_identified_by_its_fields():
    """The digest of what was decrypted, empty fields left out."""
    fields = {"out_refund_no": "1", "refund_status": "SUCCESS"}
    first, second, other = (
        handler().parse({}, refund(inner)).id
        for inner in (fields, fields | {"more": ""}, fields | {"out_refund_no": "2"})
    )

    assert first == second != other


def test_ids_of_two_events_differ():
    """Another state of a refund is another event."""
    ids = {
        handler().parse({}, refund(REFUND | {"refund_status": state})).id for state in ("SUCCESS", "CHANGE")
    }

    assert 2 == len(ids)


def test_repr_shows_no_field():
    """What is shown can be logged."""
    found = handler().parse({}, payment())

    assert f"<Notification v2 {found.id}>" == repr(found)
