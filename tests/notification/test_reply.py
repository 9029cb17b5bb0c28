"""What is sent back, in APIv3's words and in APIv2's."""

from __future__ import annotations

import json
from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest
from notification.callbacks import envelope, handler, payment, signed

from wechatpay import DecodeError, InvalidRequestError, NotificationError
from wechatpay.notification import Reply


@pytest.fixture(params=["v3", "v2"])
def notification(request):
    """Give a notification of either protocol."""
    body = envelope() if request.param == "v3" else payment()
    return handler().parse(signed(body), body)


def read(reply):
    """Read the two words of a reply, whatever its protocol calls them; and the rest."""
    if reply.headers["Content-Type"] == "text/xml":
        fields = {element.tag: element.text or "" for element in ET.fromstring(reply.body)}
        return fields.pop("return_code"), fields.pop("return_msg"), fields
    assert {"Content-Type": "application/json"} == reply.headers
    fields = json.loads(reply.body)
    return fields.pop("code"), fields.pop("message"), fields


def test_acknowledgement_says_success_in_the_protocol_of_the_callback(notification):
    """WeChat Pay stops delivering after it."""
    reply = notification.acknowledge()

    assert (200, True) == (reply.status, reply.is_success)
    assert ("SUCCESS", "OK", {}) == read(reply)
    assert ("v2" == notification.version) == reply.body.startswith(b"<xml>")


def test_acknowledgement_carries_further_fields(notification):
    """A few events ask for data."""
    assert ("SUCCESS", "", {"state": "PAID"}) == read(
        notification.acknowledge({"state": "PAID", read_name(notification): ""})
    )


def read_name(notification):
    """Name the field that holds the words."""
    return "return_msg" if notification.version == "v2" else "message"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([1], "data: give a mapping of fields or None, not list"),
        ({"total": Decimal("NaN")}, "total"),
        ({"code": "FAIL", "return_code": "FAIL"}, r"use reject\(\) for failures"),
    ],
    ids=["list", "decimal", "fail"],
)
def test_data_that_cannot_be_sent_is_refused(notification, data, said):
    """A reply never says less, or the opposite, of what was meant."""
    with pytest.raises(InvalidRequestError, match=said):
        notification.acknowledge(data)


def test_rejection_says_fail_and_why(notification):
    """WeChat Pay delivers the callback again after it."""
    reply = notification.reject("the database is away")

    assert (500, False) == (reply.status, reply.is_success)
    assert ("FAIL", "the database is away", {}) == read(reply)


@pytest.mark.parametrize("status", [200, 204, 302, 399, 600, 0])
def test_rejection_never_looks_like_a_success(notification, status):
    """A 2xx would lose the event, whatever the body said."""
    with pytest.raises(InvalidRequestError, match=r"^status"):
        notification.reject("no", status)


@pytest.mark.parametrize(
    ("reason", "sent"),
    [
        ("a" * 200, "a" * 128),
        ("one\r\ntwo\x00\ud800", "one  two  "),
        ("", ""),
        ("<&>]]>", "<&>]]>"),
        ("支付", "支付"),
    ],
    ids=["long", "controls", "empty", "markup", "chinese"],
)
def test_any_reason_can_be_sent(notification, reason, sent):
    """A reason is often an error's text, and may hold anything."""
    assert sent == read(notification.reject(reason))[1]


def test_reply_survives_a_store(notification):
    """Bytes in, the same reply out."""
    reply = Reply(201, {"X-A": "1"}, bytes(range(256)))

    assert reply == Reply.from_bytes(reply.to_bytes())
    assert notification.acknowledge() == Reply.from_bytes(notification.acknowledge().to_bytes())


@pytest.mark.parametrize(
    "text", [b"", b"x", b"\xff", b"[]", b"7", b"{}", b'{"status":1,"headers":{},"body":7}']
)
def test_what_is_not_a_stored_reply_is_refused(text):
    """A store that is shared with something else is not a reason to acknowledge."""
    with pytest.raises(DecodeError, match="the store returned something else"):
        Reply.from_bytes(text)


def test_repr_of_a_reply_shows_no_body(notification):
    """Replies may carry data of the merchant."""
    assert "state" not in repr(notification.acknowledge({"state": "PAID"}))


def test_every_refusal_can_be_replied_to():
    """Even a bare one has a reply that WeChat Pay understands, and that does not stop the deliveries."""
    reply = NotificationError("secret words").reply

    assert ("FAIL", "the callback was not accepted", {}) == read(reply)
    assert 400 == reply.status
