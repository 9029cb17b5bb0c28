"""Whatever comes, it is a notification or a refusal: nothing else ever gets out."""

from __future__ import annotations

import json

import digests
from hypothesis import given
from hypothesis import strategies as st
from merchants import MCHID
from notification.callbacks import closed, envelope, handler, refund, signed

from wechatpay import NotificationError
from wechatpay.notification import Notification

SERVICE = handler()
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["Timestamp", "Nonce", "Serial", "Signature"]).map("Wechatpay-{}".format)


def outcome(headers, body):
    """Parse; give the notification, or None for a refusal that can be replied to."""
    try:
        return SERVICE.parse(headers, body)
    except NotificationError as error:
        reply = error.reply
    assert 400 <= reply.status < 600
    assert reply.body
    return None


@given(st.dictionaries(NAMES | st.text(), st.text() | st.binary()), st.binary())
def test_noise_is_refused(headers, body):
    """Random headers and bodies never pass, and never fail otherwise."""
    assert outcome(headers, body) is None


@given(st.binary() | JSON.map(json.dumps).map(str.encode))
def test_signed_noise_is_refused(body):
    """A signature over no envelope is one of WeChat Pay's mistakes, not of ours."""
    assert outcome(signed(body), body) is None


@given(st.dictionaries(st.sampled_from(["id", "create_time", "event_type", "summary", "resource"]), JSON))
def test_signed_envelope_of_any_values_is_read_or_refused(changes):
    """Fields of other types lose no event that can be read, and break nothing."""
    body = envelope(**changes)
    found = outcome(signed(body), body)

    assert found is None or isinstance(found, Notification)


@given(st.dictionaries(TEXT, JSON))
def test_any_resource_arrives_as_it_was(resource):
    """What was encrypted is what is handed over."""
    body = envelope(resource)

    assert resource == outcome(signed(body), body).resource


@given(st.dictionaries(st.from_regex("[a-z_]{1,8}", fullmatch=True), TEXT, max_size=5))
def test_any_fields_of_apiv2_arrive_as_they_were(fields):
    """Names and values of XML are no exception; empty ones are not signed, and left out."""
    fields = fields | {"mch_id": MCHID, "return_code": "SUCCESS"}
    for name in ("sign", "sign_type", "algorithm", "mchid", "req_info"):
        fields.pop(name, None)
    fields["sign"] = digests.digest(fields)

    arrived = outcome({}, digests.document(fields)).resource

    assert {name: value for name, value in fields.items() if value} == arrived


@given(st.binary())
def test_noise_under_the_secret_is_not_a_refund(noise):
    """Only a document with the right root is one."""
    assert outcome({}, refund(req_info=closed(noise))) is None


@given(st.binary().map(b"<".__add__))
def test_noise_that_begins_as_xml_is_refused(body):
    """Documents are read strictly."""
    assert outcome({}, body) is None
