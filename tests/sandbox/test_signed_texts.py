"""What a request signs, and what was signed instead when the signature is wrong."""

from __future__ import annotations

import json
import time
from base64 import b64encode

import pytest
import sandboxes
from cases import each
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from sandboxes import identity

from wechatpay import Builder
from wechatpay.messages import Headers
from wechatpay.sandbox import HttpRequest, Identity, Sandbox
from wechatpay.sandbox.exchanges import Exchange
from wechatpay.sandbox.signed_texts import explain
from wechatpay.sandbox.signing import digest_text
from wechatpay.sandbox.xml_messages import write

TARGET = "/v3/pay/transactions/out-trade-no/N%201?mchid=1900000109&b=1&a=2"
BODY = '{"b":"文/","a":1}'
OTHER = Identity.generate("1900000110", identity().authority)


def exchange(request, protocol="v3"):
    """Return the exchange of a request."""
    return Exchange(
        at=0.0,
        mchid=identity().mchid,
        protocol=protocol,
        request=request,
        response=None,
        code="",
        is_verified=False,
        fault="",
        seconds=0.0,
    )


def ask(text, method="POST", target=TARGET, body=BODY, key=None, padding=None, hashing=None, signature=None):
    """Explain a request whose signature is over ``text``; ``{t}`` and ``{n}`` are its time and nonce."""
    stamp = str(int(time.time()))
    text = text.replace("{t}", stamp).replace("{n}", "nonce").encode()
    made = (key or identity()).private_key.sign(text, padding or PKCS1v15(), hashing or SHA256())
    value = b64encode(made).decode() if signature is None else signature
    fields = (
        f'mchid="{identity().mchid}",nonce_str="nonce",signature="{value}",timestamp="{stamp}",'
        f'serial_no="{identity().serial}"'
    )
    headers = Headers({"Authorization": f"WECHATPAY2-SHA256-RSA2048 {fields}", "Host": "127.0.0.1:1"})
    identities = {identity().mchid: identity(), OTHER.mchid: OTHER}
    return explain(exchange(HttpRequest(method, target, headers, body.encode())), identities)


RIGHT = f"POST\n{TARGET}\n{{t}}\n{{n}}\n{BODY}\n"


def test_right_signature_has_no_mistake():
    """Each line is named; the text is what is signed."""
    found = ask(RIGHT)

    assert ["method", "target", "timestamp", "nonce_str", "body"] == [line["name"] for line in found["lines"]]
    assert found["text"].startswith(f"POST\n{TARGET}\n")
    assert "mistake" not in found


@each(
    ("text", "mistake"),
    [
        (RIGHT[:-1], "end"),
        (RIGHT.replace("\n", "\r\n"), "lines"),
        (RIGHT.replace("{t}\n{n}", "{n}\n{t}"), "order"),
        (RIGHT.replace("POST", "post"), "method"),
        (RIGHT.replace("POST", "GET"), "method"),
        (RIGHT.replace(TARGET, TARGET.partition("?")[0]), "target"),
        (RIGHT.replace("%20", " "), "target"),
        (RIGHT.replace(TARGET, TARGET[1:]), "target"),
        (RIGHT.replace(TARGET, TARGET[3:]), "target"),
        (RIGHT.replace(TARGET, f"https://api.mch.weixin.qq.com{TARGET}"), "target"),
        (RIGHT.replace(TARGET, f"http://127.0.0.1:1{TARGET}"), "target"),
        (RIGHT.replace("mchid=1900000109&b=1&a=2", "a=2&b=1&mchid=1900000109"), "target"),
        (RIGHT.replace(BODY, ""), "body"),
        (RIGHT.replace(BODY, json.dumps(json.loads(BODY))), "body"),
        (RIGHT.replace(BODY, json.dumps(json.loads(BODY), sort_keys=True, ensure_ascii=False)), "body"),
        (RIGHT.replace(BODY, BODY.replace("/", "\\/")), "body"),
        ("something else", "unknown"),
    ],
)
def test_usual_mistake_is_found(text, mistake):
    """The text that was signed is shown with the place where it parts from the right one."""
    found = ask(text)

    assert mistake == found["mistake"]
    assert found["reason"]
    if mistake != "unknown":
        index = found["parts"]
        assert found["text"][:index] == found["signed"][:index]
        assert found["text"][index : index + 1] != found["signed"][index : index + 1]


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        ({"padding": PSS(MGF1(SHA256()), 32)}, "hash"),
        ({"hashing": SHA1()}, "hash"),
        ({"key": OTHER}, "key"),
        ({"signature": "no base64!"}, "encoding"),
    ],
)
def test_wrong_kind_of_signature_is_named(changes, mistake):
    """The text is right, but not its signature."""
    assert mistake == ask(RIGHT, **changes)["mistake"]


def test_request_without_a_body_that_is_json_is_explained():
    """Not every body can be serialised again."""
    assert "unknown" == ask("x", body="a=1")["mistake"]


@pytest.mark.parametrize("protocol", ["v3", "v2", "mp"])
def test_request_without_a_signature_is_not_explained(protocol):
    """There is nothing to compare."""
    request = HttpRequest("GET", "/x?a=1", Headers(), b"")

    assert explain(exchange(request, protocol), {identity().mchid: identity()}) is None


FIELDS = {"appid": "wx1", "mch_id": "1", "nonce_str": "n", "body": "茶", "attach": ""}
TEXT = "appid=wx1&body=茶&mch_id=1&nonce_str=n"


def sign(text, **changes):
    """Explain an APIv2 request that was signed over ``text``."""
    made = digest_text(text.encode(), identity().secret, "MD5")
    fields = {**FIELDS, **changes, "sign": changes.get("sign", made)}
    request = HttpRequest("POST", "/pay/unifiedorder", Headers(), write(fields))
    return explain(exchange(request, "v2"), {identity().mchid: identity()})


def test_right_digest_has_no_mistake():
    """Fields are sorted, empty ones left out; the key is not shown."""
    found = sign(f"{TEXT}&key={identity().secret}")

    assert f"{TEXT}&key=<APIv2 key>" == found["text"]
    assert identity().secret not in json.dumps(found)
    assert "mistake" not in found


@pytest.mark.parametrize(
    ("text", "changes", "mistake"),
    [
        (TEXT, {}, "secret"),
        ("appid=wx1&mch_id=1&nonce_str=n&body=茶&key={key}", {}, "sort"),
        ("appid=wx1&attach=&body=茶&mch_id=1&nonce_str=n&key={key}", {}, "fields"),
        ("appid=wx1&body=茶&mch_id=1&key={key}", {}, "fields"),
        (f"{TEXT}&sign_type=HMAC-SHA256&key={{key}}", {"sign_type": "HMAC-SHA256"}, "sign_type"),
        (f"{TEXT}&key={{key}}", {"sign_type": "RSA"}, "sign_type"),
        ("something else", {}, "unknown"),
    ],
)
def test_usual_mistake_of_a_digest_is_found(text, changes, mistake):
    """Each is named."""
    assert mistake == sign(text.replace("{key}", identity().secret), **changes)["mistake"]


def test_lower_case_digest_is_named():
    """It is right but for the case."""
    text = f"{TEXT}&key={identity().secret}".encode()
    found = sign("", sign=digest_text(text, identity().secret, "MD5").lower())

    assert "case" == found["mistake"]


def test_malformed_document_is_not_explained():
    """Nothing can be said about it."""
    request = HttpRequest("POST", "/pay/unifiedorder", Headers(), b"<xml")

    assert explain(exchange(request, "v2"), {identity().mchid: identity()}) is None


def test_client_of_this_package_makes_no_mistake():
    """Neither in APIv3 nor in APIv2."""
    with Sandbox(identity=sandboxes.identity()) as sandbox, Builder(**sandbox.settings()) as instance:
        instance.v3.certificates.get()
        fields = {"appid": "wx8888888888888888", "mch_id": identity().mchid, "long_url": "weixin://x"}
        instance.v2.tools.shorturl.post(xml=fields)
        found = [explain(made, {identity().mchid: identity()}) for made in sandbox.exchanges]

    assert [True, True] == ["mistake" not in explained for explained in found]
