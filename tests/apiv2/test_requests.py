"""APIv2 requests: what is digested, what is sent, what is refused before it is."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import pytest
from cases import each
from digests import NONCE, SECRET, digest, received
from hypothesis import given, settings
from hypothesis import strategies as st
from merchants import MCHID
from wire.gateway import Seen, reply

from wechatpay import Builder, InvalidRequestError
from wechatpay.crypto import hashing
from wechatpay.formatter import ksort, query_string_like
from wechatpay.options import Arguments

FIELDS = {"mch_id": MCHID, "out_trade_no": "1217752501201407033233368018"}


@pytest.mark.parametrize("mch_id", [int(MCHID), MCHID], ids=["number", "text"])
@pytest.mark.parametrize("name", ["mch_id", "mchid", "combine_mch_id"])
def test_merchant_id_is_compared_as_text(name, mch_id, sent):
    """A number is as good as its text, by each name that the documents use."""
    request = sent("post", "v2/pay/orderquery", {"xml": {name: mch_id}})

    assert f"<{name}>{MCHID}</{name}>".encode() in request.content


@each(
    "fields",
    [
        {},
        {"mch_id": None},
        {"mch_id": ""},
        {"mch_id": "1900000108"},
        {"mch_id": f" {MCHID}"},
        {"mch_id": float(MCHID) + 0.5},
        {"mch_id": [MCHID]},
        {"mch_id": MCHID, "mchid": "1900000108"},
        {"sub_mch_id": MCHID},
    ],
    ids=repr,
)
def test_other_merchants_are_refused_before_sending(fields, client, instance, gateway):
    """Nothing is signed in a name that is not the configured one."""
    with pytest.raises(InvalidRequestError, match=r"mch_?id"):
        client.call(instance.v2.pay.orderquery, "post", xml=fields)

    assert [] == gateway.seen


@pytest.mark.parametrize("fields", [None, {}, {"sign_type": "HMAC-SHA256"}], ids=repr)
def test_the_one_endpoint_without_merchant_id_needs_none(fields, sent):
    """``applyment/micro/signcontract`` carries no merchant id."""
    request = sent("post", "v2/applyment/micro/signContract", {"xml": fields})

    assert b"mch_id" not in request.content
    assert b"<sign>" in request.content


def test_the_one_endpoint_without_merchant_id_refuses_a_stranger(sent):
    """What carries a merchant id all the same must carry ours."""
    with pytest.raises(InvalidRequestError, match="1900000108"):
        sent("post", "v2/applyment/micro/signcontract", {"xml": {"mch_id": "1900000108"}})


def test_nonce_is_drawn_for_each_call(client, instance, gateway):
    """``nonce_str`` is added, fresh each time, and signed."""
    for _ in range(2):
        client.call(instance.v2.pay.orderquery, "post", xml=FIELDS)
    first, second = map(received, gateway.seen)

    assert 32 == len(first["nonce_str"])
    assert first["nonce_str"] != second["nonce_str"]
    assert digest(first) == first["sign"]
    assert {"mch_id": MCHID, "out_trade_no": FIELDS["out_trade_no"]} == FIELDS


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"xml": FIELDS | {"nonce_str": NONCE}}, NONCE),
        ({"xml": FIELDS | {"nonce_str": NONCE}, "nonceless": True}, NONCE),
        ({"xml": FIELDS, "nonceless": True}, None),
        ({"xml": FIELDS | {"nonce_str": None}, "nonceless": True}, None),
    ],
    ids=["given", "given-nonceless", "nonceless", "none-nonceless"],
)
def test_nonce_may_be_given_or_left_out(options, expected, client, instance, gateway):
    """A nonce of the caller's is kept, and ``nonceless`` adds none."""
    client.call(instance.v2.papay.querycontract, "post", options)
    fields = received(gateway.seen[0])

    assert expected == fields.get("nonce_str")
    assert digest(fields) == fields["sign"]


def test_sign_of_the_callers_is_replaced(client, instance, gateway):
    """A ``sign`` that ported code computed never leaves: ours covers what is sent."""
    client.call(instance.v2.pay.orderquery, "post", xml=FIELDS | {"sign": "0" * 32})
    client.call(instance.v2.pay.orderquery, "get", query=FIELDS | {"sign": "0" * 32})

    for seen in gateway.seen:
        fields = received(seen)
        assert digest(fields) == fields["sign"]
        assert b"00000000000" not in seen.head + seen.body


@pytest.mark.parametrize("sign_type", ["md5", "SHA256", "HMAC-SHA512", "", 1, ["MD5"]], ids=repr)
def test_unknown_sign_type_is_refused(sign_type, sent):
    """No digest that WeChat Pay would not know is ever sent."""
    with pytest.raises(InvalidRequestError, match="sign_type"):
        sent("post", "v2/pay/orderquery", {"xml": FIELDS | {"sign_type": sign_type}})


@each(
    ("options", "named"),
    [
        ({"json": FIELDS}, "xml"),
        ({"body": "<xml/>"}, "xml"),
        ({"xml": "<xml/>"}, "mapping"),
        ({"xml": [("mch_id", MCHID)]}, "mapping"),
        ({"xml": FIELDS | {"detail": {"a": 1}}}, "detail"),
        ({"xml": FIELDS | {"detail": ["a"]}}, "detail"),
        ({"xml": FIELDS | {"detail": b"a"}}, "detail"),
        ({"xml": FIELDS | {"detail": float("nan")}}, "detail"),
        ({"xml": FIELDS | {"detail": "\x00"}}, "detail"),
        ({"xml": FIELDS | {"detail": 10**5000}}, "detail"),
        ({"xml": FIELDS | {"sign_type": 10**5000}}, "sign_type"),
        ({"xml": {"mch_id": 10**5000}}, "mch_id"),
        ({"xml": FIELDS | {"detail": "\ud800"}}, "surrogate"),
        ({"xml": FIELDS | {"no name": "a"}}, "no name"),
        ({"xml": FIELDS | {1: "a"}}, "1"),
    ],
    ids=repr,
)
def test_what_cannot_be_signed_and_sent_is_refused(options, named, client, instance, gateway):
    """The error names the argument or the field, and nothing is sent."""
    with pytest.raises(InvalidRequestError, match=named):
        client.call(instance.v2.pay.orderquery, "post", options)

    assert [] == gateway.seen


@pytest.mark.parametrize("uri", ["v2", "v2/", "V2", "https://api.mch.weixin.qq.com/v2"])
def test_the_prefix_alone_is_not_a_path(uri, sent):
    """``v2`` names the protocol; something must follow."""
    with pytest.raises(InvalidRequestError, match="v2"):
        sent("post", uri, {"xml": FIELDS})


@pytest.mark.parametrize("options", [{"query": FIELDS}, {"xml": FIELDS}], ids=["query", "xml"])
def test_get_carries_the_signed_fields_in_its_query(options, client, instance, gateway):
    """A GET has no body and no ``Content-Type``; its query is what is digested."""
    client.call(instance.v2.papay.h5entrustweb, "get", options)
    seen = gateway.seen[0]
    fields = received(seen)

    assert "/papay/h5entrustweb" == seen.target.partition("?")[0]
    assert FIELDS.items() <= fields.items()
    assert digest(fields) == fields["sign"]
    assert b"" == seen.body
    assert "content-type" not in seen.headers


def test_get_gathers_what_template_query_and_xml_say(sent):
    """What the URI, ``query`` and ``xml`` bring together is signed together."""
    options = {"b": "2 +", "query": {"c": True, "d": False, "e": None}, "xml": {"mch_id": MCHID}}
    request = sent("get", "v2/appauth/x?a=1{&b}", options)
    fields = received(Seen(b"GET %b HTTP/1.1" % request.target.encode(), request.content, 1))

    assert ["a", "b", "c", "d", "mch_id", "nonce_str", "sign"] == list(fields)
    assert ["1", "2 +", "1", "0", MCHID] == list(fields.values())[:5]
    assert digest(fields) == fields["sign"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"query": "mch_id=1&mch_id=2"}, "twice"),
        ({"query": {"mch_id": MCHID, "a": [1, 2]}}, "twice"),
        ({"query": {"mch_id": MCHID}, "xml": {"mch_id": MCHID}}, "twice"),
        ({"query": f"mch_id={MCHID}&a=%FF"}, "UTF-8"),
    ],
    ids=["string", "list", "both", "bytes"],
)
def test_ambiguous_queries_of_a_get_are_refused(options, why, sent):
    """What two readers could digest differently is not signed."""
    with pytest.raises(InvalidRequestError, match=why):
        sent("get", "v2/papay/h5entrustweb", options)


def test_wecom_digest_travels_beside_ours(client, instance, gateway):
    """``workwx_sign``, under the agent's secret, is a field as any other, covered by ``sign``."""
    fields = FIELDS | {"nonce_str": NONCE, "workwx_sign": ""}
    covered = ksort({name: fields[name] for name in ("mch_id", "nonce_str")})
    fields["workwx_sign"] = hashing.md5(query_string_like(covered), "agent0secret", "1000001").upper()
    client.call(instance.v2.mmpaymkttransfers.sendworkwxredpack, "post", xml=fields)
    arrived = received(gateway.seen[0])

    assert fields["workwx_sign"] == arrived["workwx_sign"]
    assert digest(arrived) == arrived["sign"]


def test_base_uri_prefix_stays_out_of_the_rules(build, gateway, client):
    """A prefix of the base URI is sent, and unsigned endpoints are recognised behind it."""
    gateway.respond(reply(b"\xef\xbb\xbfcsv"))
    instance = build(base_uri=f"{gateway.url}prefix/", secret=SECRET)
    response = client.call(instance.v2.pay.downloadbill, "post", xml=FIELDS)

    assert "/prefix/pay/downloadbill" == gateway.seen[0].target
    assert b"\xef\xbb\xbfcsv" == response.content


@pytest.mark.parametrize("host", ["https://fraud.mch.weixin.qq.com/", "https://payapp.weixin.qq.com/"])
def test_documented_hosts_may_be_named_per_call(host, sent):
    """The endpoints that live elsewhere are called with ``base_uri``."""
    request = sent("post", "v2/face/get_wxpayface_authinfo", {"xml": FIELDS, "base_uri": host})

    assert f"{host}face/get_wxpayface_authinfo" == request.url


VALUES = st.text(
    st.characters(exclude_categories=["Cs"], min_codepoint=32, exclude_characters="\ufffe\uffff")
)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True).filter(lambda name: name != "sign_type")


@settings(max_examples=50, deadline=None)
@given(fields=st.dictionaries(NAMES, VALUES, max_size=8), verb=st.sampled_from(["GET", "POST"]))
def test_any_text_is_signed_as_it_is_sent(fields, verb):
    """Whatever the fields hold, what a server reads is what was digested."""
    root = Builder(mchid=MCHID, secret=SECRET)
    fields = fields | {"mch_id": MCHID, "mchid": MCHID, "combine_mch_id": MCHID}
    request = next(root.getDriver()._begin(verb, "v2/pay/x", Arguments(({"xml": fields}, {})))[1])
    head = f"{verb} {request.target} HTTP/1.1".encode()
    arrived = received(Seen(head, request.content, 1))

    assert digest(arrived) == arrived["sign"]
    assert {k: v for k, v in fields.items() if k not in ("sign", "nonce_str")}.items() <= arrived.items()


class Shop(str, Enum):  # noqa: UP042  the form that applications have
    """Merchants, as an application may list them."""

    MAIN = MCHID


class Sly(str):
    """Text that shows another face to those who format it."""

    __slots__ = ()

    def __format__(self, spec):
        return "sly</a><b>"

    __str__ = __repr__ = lambda self: "sly</a><b>"


class SlyNumber(int):
    """A number that does."""

    def __format__(self, spec):
        return "1</a><b>"

    __str__ = __repr__ = lambda self: "1</a><b>"


@pytest.mark.parametrize("verb", ["get", "post"])
def test_what_is_checked_is_what_is_sent(verb, sent):
    """Fields of a class derived from ``str`` or ``int`` go out as the text and the number that they are."""
    xml = {"mch_id": Shop.MAIN, Sly("attach"): Sly("plain"), "fee": SlyNumber(7), "sign_type": Sly("MD5")}
    request = sent(verb, "v2/pay/x", {"xml": xml})
    fields = received(Seen(f"{verb} {request.target} HTTP/1.1".encode(), request.content, 1))

    assert (MCHID, "plain", "7") == (fields["mch_id"], fields["attach"], fields["fee"])
    assert digest(fields) == fields["sign"]


@pytest.mark.parametrize("verb", ["get", "post"])
def test_floats_are_refused_and_decimals_sent_exactly(verb, sent):
    """An amount computed as a float is an error that says what to give; a ``Decimal`` goes out as written."""
    for wrong in (19.99 * 100, 1.0, Decimal("NaN")):
        with pytest.raises(InvalidRequestError, match="total_fee"):
            sent(verb, "v2/pay/x", {"xml": FIELDS | {"total_fee": wrong}})
    request = sent(verb, "v2/pay/x", {"xml": FIELDS | {"longitude": Decimal("113.940690")}})
    fields = received(Seen(f"{verb} {request.target} HTTP/1.1".encode(), request.content, 1))

    assert "113.940690" == fields["longitude"]
    assert digest(fields) == fields["sign"]
