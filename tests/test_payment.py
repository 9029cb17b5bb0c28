"""What the front end is given is what WeChat Pay checks: the texts are written out, none is made by ours."""

from __future__ import annotations

import hashlib
import hmac
import inspect
import re
import subprocess
import sys
import time
from base64 import b64encode
from datetime import timedelta
from enum import StrEnum
from urllib.parse import parse_qs, parse_qsl, urlsplit

import keys
import pytest
from cases import each
from hypothesis import given
from hypothesis import strategies as st

from wechatpay import payment
from wechatpay.errors import CryptoError, InvalidRequestError

SECRET = "192006250b4c09247ec02edce69f6a2d"
NONCE = "5K8264ILTKCH16CQ2502SI8ZNMTM67VS"
H5_URL = "https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=wx2016121516420242444321ca0631331346&package=1405458241"
PINNED = {"clock": lambda: 1490840662.9, "nonce": lambda: NONCE}

REDPACK = {
    "act_name": "XXX",
    "mch_billno": "11111234567890",
    "mch_id": "10000098",
    "re_openid": "oxTWIuGaIt6gTKsQRLau2M0yL16E",
    "total_amount": 1000,
    "wxappid": "wx12345678",
    "wishing": "恭喜发财",
    "sender_name": None,
}
TRANSFER = {
    "amount": 100,
    "appid": "wxe062425f740c8888",
    "desc": "六月出差报销费用",
    "mch_id": "1900000109",
    "openid": "oxTWIuGaIt6gTKsQRLau2M0yL16E",
    "partner_trade_no": "100000982017072019616",
    "check_name": "FORCE_CHECK",
}
ENTRUST = {
    "appid": "wxcbda96de0b165486",
    "mch_id": "1200009811",
    "plan_id": 12535,
    "contract_code": "100000",
    "request_serial": 1000,
    "contract_display_account": "微信代扣",
    "notify_url": "https://weixin.qq.com/notify?a=1",
}
COUPON = {"stock_id": "abc123", "out_request_no": "1234567"}


def rsa_sign(text):
    """Sign as RFC 8017, section 8.2.1, says, on paper."""
    numbers = keys.private_key().private_numbers()
    digest_info = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(text).digest()
    size = (numbers.public_numbers.n.bit_length() + 7) // 8
    padded = b"\x00\x01" + b"\xff" * (size - 3 - len(digest_info)) + b"\x00" + digest_info
    signature = pow(int.from_bytes(padded), numbers.d, numbers.public_numbers.n)
    return b64encode(signature.to_bytes(size)).decode()


def md5(text):
    """Digest with MD5."""
    return hashlib.md5(text.encode()).hexdigest().upper()


def hmac_sha256(text, secret=SECRET):
    """Digest with HMAC-SHA256."""
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest().upper()


def test_jsapi_is_signed_line_by_line():
    """``paySign`` is over appId, timeStamp, nonceStr and package, in this order."""
    text = (
        b"wxd678efh567hg6787\n1490840662\n5K8264ILTKCH16CQ2502SI8ZNMTM67VS\n"
        b"prepay_id=wx2017033010242291fcfe0db70013231072\n"
    )

    expected = {
        "appId": "wxd678efh567hg6787",
        "timeStamp": "1490840662",
        "nonceStr": "5K8264ILTKCH16CQ2502SI8ZNMTM67VS",
        "package": "prepay_id=wx2017033010242291fcfe0db70013231072",
        "signType": "RSA",
        "paySign": rsa_sign(text),
    }

    assert expected == payment.jsapi(
        "wxd678efh567hg6787", "wx2017033010242291fcfe0db70013231072", keys.private_key(), **PINNED
    )


def test_app_is_signed_line_by_line():
    """``sign`` is over appid, timestamp, noncestr and prepayid: neither partnerid nor package."""
    text = (
        b"wxd678efh567hg6787\n1490840662\n5K8264ILTKCH16CQ2502SI8ZNMTM67VS\n"
        b"wx2017033010242291fcfe0db70013231072\n"
    )

    expected = {
        "appid": "wxd678efh567hg6787",
        "partnerid": "1900000109",
        "prepayid": "wx2017033010242291fcfe0db70013231072",
        "package": "Sign=WXPay",
        "noncestr": "5K8264ILTKCH16CQ2502SI8ZNMTM67VS",
        "timestamp": "1490840662",
        "sign": rsa_sign(text),
    }

    assert expected == payment.app(
        "wxd678efh567hg6787",
        "1900000109",
        "wx2017033010242291fcfe0db70013231072",
        keys.private_key(),
        **PINNED,
    )


def test_key_may_be_pem():
    """The key comes in any form that the loaders take."""
    expected = payment.jsapi("wx1", "wx2", keys.private_key(), **PINNED)

    assert expected == payment.jsapi("wx1", "wx2", keys.pem(), **PINNED)


def test_key_may_stay_elsewhere():
    """A function is given the text to sign; what it returns is the signature."""
    texts = []

    signed = payment.jsapi("wx1", "wx2", lambda text: texts.append(text) or "c2lnbmVk", **PINNED)

    assert "c2lnbmVk" == signed["paySign"]
    assert [f"wx1\n1490840662\n{NONCE}\nprepay_id=wx2\n"] == texts


def test_jsapi_v2_gives_the_digest_of_the_documentation():
    """WeChat Pay's own example, of the page on mini programs, comes out."""
    expected = {
        "appId": "wxd678efh567hg6787",
        "timeStamp": "1490840662",
        "nonceStr": "5K8264ILTKCH16CQ2502SI8ZNMTM67VS",
        "package": "prepay_id=wx2017033010242291fcfe0db70013231072",
        "signType": "MD5",
        "paySign": "22D9B4E54AB1950F51E0649E8810ACD6",
    }

    assert expected == payment.jsapi_v2(
        "wxd678efh567hg6787",
        "wx2017033010242291fcfe0db70013231072",
        "qazwsxedcrfvtgbyhnujmikolp111111",
        **PINNED,
    )


def test_jsapi_v2_is_digested_with_the_sign_type_of_the_order():
    """HMAC-SHA256 is named and used."""
    text = (
        "appId=wx1&nonceStr=5K8264ILTKCH16CQ2502SI8ZNMTM67VS&package=prepay_id=wx2"
        "&signType=HMAC-SHA256&timeStamp=1490840662&key=192006250b4c09247ec02edce69f6a2d"
    )

    signed = payment.jsapi_v2("wx1", "wx2", SECRET, "HMAC-SHA256", **PINNED)

    assert ("HMAC-SHA256", hmac_sha256(text)) == (signed["signType"], signed["paySign"])


@pytest.mark.parametrize(
    ("sign_type", "digest"), [("MD5", md5), ("HMAC-SHA256", hmac_sha256)], ids=["MD5", "HMAC-SHA256"]
)
def test_app_v2_is_digested_over_all_but_the_sign_type(sign_type, digest):
    """The app is not told how its six values were digested."""
    text = (
        "appid=wx1&noncestr=5K8264ILTKCH16CQ2502SI8ZNMTM67VS&package=Sign=WXPay&partnerid=1900000109"
        "&prepayid=wx2&timestamp=1490840662&key=192006250b4c09247ec02edce69f6a2d"
    )

    expected = {
        "appid": "wx1",
        "partnerid": "1900000109",
        "prepayid": "wx2",
        "package": "Sign=WXPay",
        "noncestr": "5K8264ILTKCH16CQ2502SI8ZNMTM67VS",
        "timestamp": "1490840662",
        "sign": digest(text),
    }

    assert expected == payment.app_v2("wx1", "1900000109", "wx2", SECRET, sign_type, **PINNED)


def test_lifetimes_are_those_of_the_gateway():
    """A prepay_id and a code_url are good for two hours, an H5 URL for five minutes."""
    expected = (timedelta(hours=2), timedelta(hours=2), timedelta(minutes=5))

    assert expected == (
        payment.PREPAY_ID_LIFETIME,
        payment.CODE_URL_LIFETIME,
        payment.H5_URL_LIFETIME,
    )


def test_redirect_url_is_encoded_as_one_value():
    """Nothing of the page's own query falls out into WeChat Pay's."""
    expected = (
        f"{H5_URL}&redirect_url=https%3A%2F%2Fwww.example.com%2Fpaid%3Fid%3D1%26n%3D%E4%B8%AD%2520%23top"
    )

    assert expected == payment.h5_url(H5_URL, "https://www.example.com/paid?id=1&n=中%20#top")


@given(tail=st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_redirect_url_comes_back_as_it_was_given(tail):
    """Whoever decodes the query has the page's URL, and the rest of the H5 URL is as it was."""
    page = f"https://www.example.com/{tail}"

    url = payment.h5_url(H5_URL, page)

    assert url.startswith(f"{H5_URL}&redirect_url=")
    assert [page] == parse_qs(urlsplit(url).query)["redirect_url"]


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("weixin://wxpay/bizpayurl?pr=p4lpSuKzz", id="code_url"),
        pytest.param(H5_URL.replace("https", "http", 1), id="without TLS"),
        pytest.param("https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb", id="without query"),
        pytest.param("https://?prepay_id=1", id="without host"),
        pytest.param("https://[wx/?prepay_id=1", id="malformed"),
        pytest.param(f"{H5_URL}#", id="with fragment"),
        pytest.param(f"{H5_URL}\n", id="with line feed"),
        pytest.param(f"{H5_URL}&redirect_url=", id="with redirect_url"),
        pytest.param("", id="empty"),
        pytest.param(None, id="None"),
        pytest.param({"h5_url": H5_URL}, id="the whole response"),
    ],
)
def test_what_is_not_a_h5_url_is_an_error(url):
    """Only an H5 URL as it was received can be opened."""
    with pytest.raises(InvalidRequestError, match=r"^url: "):
        payment.h5_url(url, "https://www.example.com/")


@pytest.mark.parametrize(
    "page",
    [
        pytest.param("https%3A%2F%2Fwww.example.com%2F", id="encoded already"),
        pytest.param("/paid", id="relative"),
        pytest.param("javascript:alert(1)", id="another scheme"),
        pytest.param("https:///paid", id="without host"),
        pytest.param("https://[www.example.com/", id="malformed"),
        pytest.param("https://www.example.com/a b", id="with space"),
        pytest.param("https://www.example.com/\ud800", id="lone surrogate"),
        pytest.param("", id="empty"),
        pytest.param(b"https://www.example.com/", id="bytes"),
        pytest.param(None, id="None"),
        pytest.param(1, id="number"),
    ],
)
def test_what_is_not_a_page_is_an_error(page):
    """WeChat would send the payer nowhere."""
    with pytest.raises(InvalidRequestError, match=r"^redirect_url: give an absolute http or https URL"):
        payment.h5_url(H5_URL, page)


def test_payscore_use_is_digested_with_the_apiv2_secret():
    """An order is confirmed by its package."""
    text = (
        "mch_id=1230000109&nonce_str=5K8264ILTKCH16CQ2502SI8ZNMTM67VS&package=DJIOSQPYWDxsjdldeuwhdodwxasd=="
        "&sign_type=HMAC-SHA256&timestamp=1490840662&key=192006250b4c09247ec02edce69f6a2d"
    )

    expected = {
        "mch_id": "1230000109",
        "package": "DJIOSQPYWDxsjdldeuwhdodwxasd==",
        "timestamp": "1490840662",
        "nonce_str": "5K8264ILTKCH16CQ2502SI8ZNMTM67VS",
        "sign_type": "HMAC-SHA256",
        "sign": hmac_sha256(text),
    }

    assert expected == payment.payscore_use("1230000109", "DJIOSQPYWDxsjdldeuwhdodwxasd==", SECRET, **PINNED)


def test_payscore_detail_is_digested_with_the_apiv2_secret():
    """An order is looked at by its service and the merchant's number."""
    text = (
        "mch_id=1230000109&nonce_str=5K8264ILTKCH16CQ2502SI8ZNMTM67VS&out_order_no=1234323JKHDFE1243252"
        "&service_id=88888888000011&sign_type=HMAC-SHA256&timestamp=1490840662"
        "&key=192006250b4c09247ec02edce69f6a2d"
    )

    expected = {
        "mch_id": "1230000109",
        "service_id": "88888888000011",
        "out_order_no": "1234323JKHDFE1243252",
        "timestamp": "1490840662",
        "nonce_str": "5K8264ILTKCH16CQ2502SI8ZNMTM67VS",
        "sign_type": "HMAC-SHA256",
        "sign": hmac_sha256(text),
    }

    assert expected == payment.payscore_detail(
        "1230000109", "88888888000011", "1234323JKHDFE1243252", SECRET, **PINNED
    )


def test_payscore_enable_is_digested_with_the_apiv2_secret():
    """A service is authorised by the merchant's number of the request."""
    text = (
        "mch_id=1230000109&nonce_str=5K8264ILTKCH16CQ2502SI8ZNMTM67VS&out_request_no=1234323JKHDFE1243252"
        "&service_id=88888888000011&sign_type=HMAC-SHA256&timestamp=1490840662"
        "&key=192006250b4c09247ec02edce69f6a2d"
    )

    expected = {
        "mch_id": "1230000109",
        "service_id": "88888888000011",
        "out_request_no": "1234323JKHDFE1243252",
        "timestamp": "1490840662",
        "nonce_str": "5K8264ILTKCH16CQ2502SI8ZNMTM67VS",
        "sign_type": "HMAC-SHA256",
        "sign": hmac_sha256(text),
    }

    assert expected == payment.payscore_enable(
        "1230000109", "88888888000011", "1234323JKHDFE1243252", SECRET, **PINNED
    )


def test_query_string_encodes_each_value():
    """Web pages and apps take the parameters of a view as a query; ``sign`` is one of them."""
    parameters = {"package": "a+b/c==", "n": 1, "left": None, "out": "", "name": "中 文", "sign": "X"}

    assert "package=a%2Bb%2Fc%3D%3D&n=1&name=%E4%B8%AD%20%E6%96%87&sign=X" == payment.query_string(parameters)


def test_coupons_of_the_plugin_are_digested_by_their_place():
    """Fields carry the coupon's index, and are sorted as bytes: the eleventh stands before the third."""
    coupons = [
        {"out_request_no": f"out{place}", "stock_id": f"stock{place}", "coupon_code": ""}
        for place in "abcdefghijk"
    ]
    coupons[1]["coupon_code"] = "75345199"
    text = (
        "coupon_code1=75345199"
        "&out_request_no0=outa&out_request_no1=outb&out_request_no10=outk&out_request_no2=outc"
        "&out_request_no3=outd&out_request_no4=oute&out_request_no5=outf&out_request_no6=outg"
        "&out_request_no7=outh&out_request_no8=outi&out_request_no9=outj&send_coupon_merchant=10016226"
        "&stock_id0=stocka&stock_id1=stockb&stock_id10=stockk&stock_id2=stockc&stock_id3=stockd"
        "&stock_id4=stocke&stock_id5=stockf&stock_id6=stockg&stock_id7=stockh&stock_id8=stocki"
        "&stock_id9=stockj&key=192006250b4c09247ec02edce69f6a2d"
    )

    handed = payment.coupon_plugin(coupons, "10016226", SECRET)

    assert {"send_coupon_params", "send_coupon_merchant", "sign"} == handed.keys()
    assert ("10016226", hmac_sha256(text)) == (handed["send_coupon_merchant"], handed["sign"])
    assert [
        {"out_request_no": "outa", "stock_id": "stocka"},
        {"out_request_no": "outb", "stock_id": "stockb", "coupon_code": "75345199"},
    ] == handed["send_coupon_params"][:2]


@pytest.mark.parametrize(
    ("coupons", "message"),
    [
        pytest.param([], "coupons: give at least one", id="none"),
        pytest.param(None, "coupons: give at least one", id="None"),
        pytest.param([COUPON, {"stock_id": "1"}], r"coupons\[1\]: out_request_no must", id="incomplete"),
        pytest.param(COUPON, r"coupons\[0\]: give a mapping, not str", id="one, not in a list"),
        pytest.param([{**COUPON, 1: "1"}], r"coupons\[0\]: a name: give it as text", id="number as name"),
    ],
)
def test_coupons_that_cannot_be_handed_out_are_an_error(coupons, message):
    """The message says which coupon it is."""
    with pytest.raises(InvalidRequestError, match=f"^{message}"):
        payment.coupon_plugin(coupons, "10016226", SECRET)


@pytest.mark.parametrize(
    ("code", "digested", "sent"),
    [
        pytest.param("75345199", "coupon_code=75345199&", "&coupon_code=75345199", id="with code"),
        pytest.param(None, "", "", id="without code"),
    ],
)
def test_coupon_url_carries_the_digest(code, digested, sent):
    """The page is that of the documentation, with the fragment that opens it in WeChat."""
    text = (
        f"{digested}open_id=oVvBvwEurkeUJpBzX90-6MfCHbec&out_request_no=20191204550002"
        "&send_coupon_merchant=10016226&stock_id=12111100000001&key=192006250b4c09247ec02edce69f6a2d"
    )

    expected = (
        "https://action.weixin.qq.com/busifavor/getcouponinfo?stock_id=12111100000001"
        "&out_request_no=20191204550002&send_coupon_merchant=10016226"
        f"&open_id=oVvBvwEurkeUJpBzX90-6MfCHbec{sent}&sign={hmac_sha256(text)}#wechat_pay&wechat_redirect"
    )

    assert expected == payment.coupon_url(
        "12111100000001",
        "20191204550002",
        "10016226",
        "oVvBvwEurkeUJpBzX90-6MfCHbec",
        SECRET,
        coupon_code=code,
    )


def test_wecom_red_pack_is_digested_over_seven_fields():
    """Other parameters are sent and not digested; the secret is WeCom's and says so."""
    text = (
        "act_name=XXX&mch_billno=11111234567890&mch_id=10000098&nonce_str=5K8264ILTKCH16CQ2502SI8ZNMTM67VS"
        "&re_openid=oxTWIuGaIt6gTKsQRLau2M0yL16E&total_amount=1000&wxappid=wx12345678"
        "&secret=192006250b4c09247ec02edce69f6a2d"
    )

    expected = {
        "act_name": "XXX",
        "mch_billno": "11111234567890",
        "mch_id": "10000098",
        "nonce_str": "5K8264ILTKCH16CQ2502SI8ZNMTM67VS",
        "re_openid": "oxTWIuGaIt6gTKsQRLau2M0yL16E",
        "total_amount": "1000",
        "wxappid": "wx12345678",
        "wishing": "恭喜发财",
        "workwx_sign": md5(text),
    }

    assert expected == payment.workwx_redpack(REDPACK, SECRET, nonce=PINNED["nonce"])


@pytest.mark.parametrize(
    ("kind", "digested"),
    [
        pytest.param({"ww_msg_type": "NORMAL_MSG"}, "&ww_msg_type=NORMAL_MSG", id="with message type"),
        pytest.param({}, "", id="without message type"),
    ],
)
def test_wecom_transfer_is_digested_over_eight_fields(kind, digested):
    """The type of the message is digested when there is one; a nonce that is given is kept."""
    text = (
        "amount=100&appid=wxe062425f740c8888&desc=六月出差报销费用&mch_id=1900000109&nonce_str=given"
        "&openid=oxTWIuGaIt6gTKsQRLau2M0yL16E&partner_trade_no=100000982017072019616"
        f"{digested}&secret=192006250b4c09247ec02edce69f6a2d"
    )

    signed = payment.workwx_transfer({**TRANSFER, **kind, "nonce_str": "given"}, SECRET)

    assert ("given", md5(text)) == (signed["nonce_str"], signed["workwx_sign"])


def test_entrust_web_is_digested_before_it_is_encoded():
    """The page's query is digested as it reads, with the version and the time."""
    text = (
        "appid=wxcbda96de0b165486&contract_code=100000&contract_display_account=微信代扣&mch_id=1200009811"
        "&notify_url=https://weixin.qq.com/notify?a=1&plan_id=12535&request_serial=1000"
        "&timestamp=1490840662&version=1.0&key=192006250b4c09247ec02edce69f6a2d"
    )

    signed = payment.entrust_web(ENTRUST, SECRET, clock=PINNED["clock"])

    assert {
        "version": "1.0",
        "timestamp": "1490840662",
        "appid": "wxcbda96de0b165486",
        "mch_id": "1200009811",
        "plan_id": "12535",
        "contract_code": "100000",
        "request_serial": "1000",
        "contract_display_account": "微信代扣",
        "notify_url": "https://weixin.qq.com/notify?a=1",
        "sign": md5(text),
    } == signed


def test_entrust_web_keeps_what_is_given():
    """A time or version of the caller's is digested instead of ours, and so is what else the page takes."""
    text = (
        "appid=wxcbda96de0b165486&contract_code=100000&contract_display_account=微信代扣&mch_id=1200009811"
        "&notify_url=https://weixin.qq.com/notify?a=1&plan_id=12535&request_serial=1000&return_web=1"
        "&sub_mch_id=1900000109&timestamp=1414488825&version=2.0&key=192006250b4c09247ec02edce69f6a2d"
    )
    extra = {"return_web": 1, "sub_mch_id": "1900000109", "timestamp": 1414488825, "version": "2.0"}

    assert md5(text) == payment.entrust_web(ENTRUST | extra, SECRET)["sign"]


HIDDEN = "x&out_trade_no=N1&result_code=SUCCESS&return_code=SUCCESS&total_fee=1&transaction_id=2&z=1"


SIGNED = {
    "package": lambda value: payment.jsapi_v2("wx1", value, SECRET),
    "partnerid": lambda value: payment.app_v2("wx1", value, "wx2", SECRET),
    "mch_id": lambda value: payment.payscore_use(value, "p", SECRET),
    "out_order_no": lambda value: payment.payscore_detail("1900000109", "s", value, SECRET),
    "service_id": lambda value: payment.payscore_enable("1900000109", value, "o", SECRET),
    "coupon_code0": lambda value: payment.coupon_plugin([COUPON | {"coupon_code": value}], "1", SECRET),
    "open_id": lambda value: payment.coupon_url("1", "2", "3", value, SECRET),
    "contract_display_account": lambda value: payment.entrust_web(
        ENTRUST | {"contract_display_account": value}, SECRET
    ),
}


@pytest.mark.parametrize(("name", "make"), SIGNED.items(), ids=SIGNED)
def test_value_that_hides_fields_is_not_signed(name, make):
    """The payer sees the signed text: cut into other fields, it would be a callback of a payment."""
    with pytest.raises(InvalidRequestError, match=f"^{name}: holds `&` and then `=`"):
        make(HIDDEN)


@pytest.mark.parametrize("name", ["a&b", "a=b"])
def test_name_that_hides_a_field_is_not_signed(name):
    """A name does not hold what ends one."""
    with pytest.raises(InvalidRequestError, match=f"^{name}: "):
        payment.entrust_web(ENTRUST | {name: "1"}, SECRET)


def test_ampersand_that_hides_no_field_is_signed():
    """Nicknames hold such characters."""
    signed = payment.entrust_web(ENTRUST | {"contract_display_account": "x=1 Tom & Jerry"}, SECRET)

    assert "x=1 Tom & Jerry" == signed["contract_display_account"]


@given(
    first=st.text("&=ab", min_size=1, max_size=12),
    second=st.text("&=ab", min_size=1, max_size=12),
    last=st.text("&=ab", min_size=1, max_size=12),
)
def test_signed_text_cannot_be_cut_into_fields_of_other_names(first, second, last):
    """Wherever a field is made to begin, its name is one of those that were given."""
    try:
        url = payment.coupon_url(last, second, "1", first, SECRET)
    except InvalidRequestError:
        return
    fields = dict(parse_qsl(urlsplit(url).query))
    text = "&".join(f"{name}={fields[name]}" for name in sorted(fields) if name != "sign")

    assert set(fields) >= set(re.findall("(?:^|&)([^&=]+)(?==)", text))


@pytest.mark.parametrize(
    ("function", "complete", "missing"),
    [
        pytest.param(payment.workwx_redpack, REDPACK, "total_amount", id="red pack"),
        pytest.param(payment.workwx_transfer, TRANSFER, "partner_trade_no", id="transfer"),
        pytest.param(payment.entrust_web, ENTRUST, "notify_url", id="entrust"),
    ],
)
@pytest.mark.parametrize("nothing", [None, ""], ids=["None", "empty"])
def test_parameter_that_is_missing_is_named(function, complete, missing, nothing):
    """A digest over too little would be refused later, without a reason."""
    with pytest.raises(InvalidRequestError, match=f"^parameters: {missing} must be given"):
        function({**complete, missing: nothing}, SECRET)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        pytest.param([("a", 1)], "parameters: give a mapping, not list", id="pairs"),
        pytest.param({"a": {"b": 1}}, "a: dict has no text", id="nested"),
        pytest.param({"a": "\ud800"}, "a: holds lone surrogates", id="lone surrogate"),
        pytest.param({"": 1}, "parameters: a name: is missing", id="no name"),
    ],
)
def test_parameters_without_a_text_are_an_error(parameters, message):
    """What cannot be digested is named."""
    with pytest.raises(InvalidRequestError, match=f"^{message}"):
        payment.query_string(parameters)


CALLS = {
    "jsapi": (payment.jsapi, {"appid": "a", "prepay_id": "b", "private_key": str.lower}),
    "app": (payment.app, {"appid": "a", "partnerid": "c", "prepay_id": "b", "private_key": str.lower}),
    "jsapi_v2": (payment.jsapi_v2, {"appid": "a", "prepay_id": "b", "secret": SECRET, "sign_type": "MD5"}),
    "app_v2": (
        payment.app_v2,
        {"appid": "a", "partnerid": "c", "prepay_id": "b", "secret": SECRET, "sign_type": "MD5"},
    ),
    "payscore_use": (payment.payscore_use, {"mch_id": "a", "package": "b", "secret": SECRET}),
    "payscore_detail": (
        payment.payscore_detail,
        {"mch_id": "a", "service_id": "b", "out_order_no": "c", "secret": SECRET},
    ),
    "payscore_enable": (
        payment.payscore_enable,
        {"mch_id": "a", "service_id": "b", "out_request_no": "c", "secret": SECRET},
    ),
    "coupon_plugin": (
        payment.coupon_plugin,
        {"coupons": [COUPON], "send_coupon_merchant": "a", "secret": SECRET},
    ),
    "coupon_url": (
        payment.coupon_url,
        {"stock_id": "a", "out_request_no": "b", "send_coupon_merchant": "c", "open_id": "d"}
        | {"secret": SECRET, "coupon_code": "e"},
    ),
    "workwx_redpack": (payment.workwx_redpack, {"parameters": REDPACK, "secret": SECRET}),
    "workwx_transfer": (payment.workwx_transfer, {"parameters": TRANSFER, "secret": SECRET}),
    "entrust_web": (payment.entrust_web, {"parameters": ENTRUST, "secret": SECRET}),
}
WORDS = [
    pytest.param(function, arguments, name, id=f"{called}-{name}")
    for called, (function, arguments) in CALLS.items()
    for name in arguments
    if name not in ("private_key", "secret", "parameters", "coupons")
]
WRONG = [
    pytest.param(1900000109, "give it as text, not int", id="number"),
    pytest.param(b"wx1", "give it as text, not bytes", id="bytes"),
    pytest.param({"prepay_id": "wx1"}, "give it as text, not dict", id="mapping"),
    pytest.param("wx1\n", "give it as it was issued", id="line feed"),
    pytest.param(" wx1", "give it as it was issued", id="space"),
    pytest.param("wx１", "give it as it was issued", id="not ASCII"),
]


@each(("function", "arguments", "name"), WORDS)
@each(("value", "message"), WRONG)
def test_identifier_that_is_not_one_word_is_an_error(function, arguments, name, value, message):
    """What would be signed in vain, or take the place of another field, is refused by its name."""
    with pytest.raises(InvalidRequestError, match=f"^{name}: {message}"):
        function(**{**arguments, name: value})


@each(("function", "arguments", "name"), [word for word in WORDS if "coupon_code" not in word.id])
@each("value", [None, ""], ids=["None", "empty"])
def test_identifier_that_is_missing_is_an_error(function, arguments, name, value):
    """An order that failed has no prepay_id; nothing is signed for it."""
    with pytest.raises(InvalidRequestError, match=f"^{name}: is missing"):
        function(**{**arguments, name: value})


@each(
    ("function", "arguments"),
    [pytest.param(*call, id=name) for name, call in CALLS.items() if "secret" in call[1]],
)
@each(
    "secret",
    [
        pytest.param("", id="empty"),
        pytest.param("0", id="zero, with which PHP digests without a secret"),
        pytest.param(None, id="None"),
        pytest.param(12345678, id="number"),
        pytest.param(f"{SECRET}\n", id="line feed of a file"),
        pytest.param("-----BEGIN PRIVATE KEY-----", id="a key for the other protocol"),
    ],
)
def test_secret_that_is_none_is_an_error(function, arguments, secret):
    """No digest is made that anybody could make; and the message shows nothing of the secret."""
    with pytest.raises(CryptoError, match=r"^secret: give it as text") as caught:
        function(**{**arguments, "secret": secret})

    assert (False, False) == (SECRET in str(caught.value), "BEGIN" in str(caught.value))


@pytest.mark.parametrize("function", ["jsapi", "app"])
@pytest.mark.parametrize("key", [None, "", SECRET, b"\x00"], ids=["None", "empty", "secret", "bytes"])
def test_key_that_does_not_load_is_an_error(function, key):
    """A secret is not a key, and the message shows neither."""
    called, arguments = CALLS[function]

    with pytest.raises(CryptoError, match="private key") as caught:
        called(**{**arguments, "private_key": key})

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("function", ["jsapi_v2", "app_v2"])
@pytest.mark.parametrize("sign_type", ["RSA", "md5", "SM3"])
def test_unknown_sign_type_is_an_error(function, sign_type):
    """PHP signs with nothing then; APIv3 has functions of its own."""
    called, arguments = CALLS[function]

    with pytest.raises(CryptoError, match=f"^sign_type: '{sign_type}' is not known"):
        called(**{**arguments, "sign_type": sign_type})


@pytest.mark.parametrize("function", ["jsapi", "app", "jsapi_v2", "app_v2"])
def test_prepay_id_with_its_prefix_is_an_error(function):
    """Who builds the package by hand, as in PHP, is told; the prefix is not doubled."""
    called, arguments = CALLS[function]

    with pytest.raises(InvalidRequestError, match=r"^prepay_id: give what follows prepay_id="):
        called(**{**arguments, "prepay_id": "prepay_id=wx2017033010242291"})


@each("function", [name for name, call in CALLS.items() if "nonce" in inspect.signature(call[0]).parameters])
@each("nonce", ["", None, "a b", 7], ids=repr)
def test_nonce_that_is_none_is_an_error(function, nonce):
    """A source of nonces that has run dry protects nothing."""
    called, arguments = CALLS[function]

    with pytest.raises(InvalidRequestError, match=r"^nonce: "):
        called(**arguments, nonce=lambda: nonce)


class App(StrEnum):
    """Identifiers as applications keep them."""

    SHOP = "wx8888888888888888"


def test_identifier_may_be_a_string_enumeration():
    """What goes out is plain text."""
    signed = payment.jsapi_v2(App.SHOP, "wx2", SECRET)

    assert ("wx8888888888888888", str) == (signed["appId"], type(signed["appId"]))


@pytest.mark.parametrize(
    ("function", "arguments"),
    [pytest.param(*CALLS[name], id=name) for name in CALLS if not name.startswith("coupon")],
)
def test_front_end_gets_text_only(function, arguments):
    """Some front ends refuse numbers, above all in the timestamp."""
    assert {str} == {type(value) for value in function(**arguments).values()}


@pytest.mark.parametrize(
    "function", ["jsapi", "app", "jsapi_v2", "app_v2", "payscore_use", "payscore_detail", "payscore_enable"]
)
def test_clock_and_nonce_are_fresh_by_default(function):
    """Two invocations share neither nonce nor signature; the time is now, in seconds."""
    called, arguments = CALLS[function]

    first, second = called(**arguments), called(**arguments)

    stamps = [value for name, value in first.items() if name.lower() == "timestamp"]
    assert abs(time.time() - int(stamps[0])) < 5
    assert 2 == len(
        [name for name in first if first[name] != second.get(name) and name.lower() != "timestamp"]
    )


def test_every_public_function_is_tried_with_wrong_arguments():
    """A function that is added is held to the same promises."""
    functions = {name for name in payment.__all__ if inspect.isfunction(getattr(payment, name))}

    assert functions == CALLS.keys() | {"h5_url", "query_string"}


def test_package_does_not_import_payment():
    """Who only sends requests does not pay for it."""
    code = "import sys, wechatpay; sys.exit('wechatpay.payment' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
