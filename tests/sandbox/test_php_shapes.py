"""Requests as the PHP SDK sends them, byte for byte, over raw sockets: headers in order, JSON, XML, forms."""

from __future__ import annotations

import hashlib
import json
import secrets
import socket
import time
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest
import sandboxes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from wechatpay import catalogue
from wechatpay.sandbox import Sandbox, xml_messages

VECTORS = Path(__file__).parents[1] / "vectors"

#: The key of APIv2 that the recorded requests are signed with.
SECRET = "oracle0secret0of032characters0ab"

USER_AGENT = "wechatpay-php/1.4.12 GuzzleHttp/7 curl/7.88.1 (Linux/6.1.0) PHP/8.2.20"
ACCEPT = "application/json, text/plain, application/x-gzip, application/pdf, image/png, image/*;q=0.5"
ACCEPT_XML = "text/xml, text/plain, application/x-gzip"
OURS = {"appid": "wx8888888888888888", "mchid": "1900000109"}


@pytest.fixture(scope="module")
def sandbox():
    """Give a running sandbox with the key of the recorded requests."""
    with Sandbox(identity=replace(sandboxes.identity(), secret=SECRET)) as running:
        yield running


def send(sandbox, method, target, headers, body=b""):
    """Send a request, and return status, headers and body of the response."""
    port = int(sandbox.base_uri.split(":")[2].strip("/"))
    head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": f"127.0.0.1:{port}", **headers}.items())
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode())
        stream = connection.makefile("rb")
        if "Expect" in headers:
            assert b"HTTP/1.1 100 Continue\r\n" == stream.readline()
            assert b"\r\n" == stream.readline()
        connection.sendall(body)
        status = int(stream.readline().split()[1])
        lines = iter(lambda: stream.readline().strip().decode(), "")
        received = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        return status, received, stream.read(int(received.get("content-length", "0")))


def authorization(method, target, body):
    """Sign a request as ``Formatter::authorization`` lays it out."""
    timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
    text = f"{method}\n{target}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"
    key = sandboxes.identity().private_key
    signature = b64encode(key.sign(text, PKCS1v15(), SHA256())).decode()
    values = ("1900000109", sandboxes.identity().serial, timestamp, nonce, signature)
    names = ("mchid", "serial_no", "timestamp", "nonce_str", "signature")
    pairs = ",".join(f'{name}="{value}"' for name, value in zip(names, values, strict=True))
    return f"WECHATPAY2-SHA256-RSA2048 {pairs}"


def call(sandbox, method, target, given=None, **more):
    """Call APIv3 as Guzzle does."""
    body = b"" if given is None else encode(given)
    kind = "application/json; charset=utf-8" if given is None else "application/json"
    headers = {"User-Agent": USER_AGENT, "Accept": ACCEPT, "Content-Type": kind, **more}
    headers["Authorization"] = authorization(method, target, body)
    if method == "POST" or body:
        headers["Content-Length"] = str(len(body))
    return send(sandbox, method, target, headers, body)


def encode(given):
    """Encode as PHP's ``json_encode``: slashes and all but ASCII are escaped."""
    return json.dumps(given, separators=(",", ":")).replace("/", r"\/").encode()


def order(number):
    """Return the parameters of an order with a text that PHP escapes."""
    return {
        **OURS,
        "description": "Image形象店-深圳腾大-QQ公仔",
        "out_trade_no": number,
        "notify_url": "https://weixin.qq.com/",
        "amount": {"total": 1, "currency": "CNY"},
    }


def test_order_of_php_is_placed_queried_and_closed(sandbox):
    """JSON with escapes, a query without a body, and a response without one."""
    path = "/v3/pay/transactions"
    status, headers, body = call(sandbox, "POST", f"{path}/native", order("native12177525012014"))
    assert 200 == status, body
    assert headers["wechatpay-signature"]
    assert json.loads(body)["code_url"].startswith("weixin://")
    one = f"{path}/out-trade-no/native12177525012014"
    status, _, body = call(sandbox, "GET", f"{one}?mchid=1900000109")
    assert (200, "NOTPAY") == (status, json.loads(body)["trade_state"])

    assert 204 == call(sandbox, "POST", f"{one}/close", {"mchid": "1900000109"})[0]
    assert "Image形象店-深圳腾大-QQ公仔" == sandbox.orders["native12177525012014"].description


def test_post_of_php_without_a_body_is_accepted(sandbox):
    """Its media type is JSON all the same, its length 0."""
    number = f"B{secrets.token_hex(8)}"
    transfer = {
        "appid": OURS["appid"],
        "out_bill_no": number,
        "transfer_scene_id": "1000",
        "openid": "oUpF8uMuAJOM2pxb1Q",
        "transfer_amount": 100,
        "transfer_remark": "谢谢",
        "transfer_scene_report_infos": [
            {"info_type": name, "info_content": "抽奖"} for name in ("活动名称", "奖励说明")
        ],
    }
    path = "/v3/fund-app/mch-transfer/transfer-bills"
    assert 200 == call(sandbox, "POST", path, transfer)[0]

    status, _, body = call(sandbox, "POST", f"{path}/out-bill-no/{number}/cancel")
    assert (200, "CANCELLED") == (status, json.loads(body)["state"])


@pytest.mark.parametrize("size", [1000, 1_500_000], ids=["small", "after a question"])
def test_form_of_php_is_accepted(sandbox, size):
    """Guzzle's parts with their lengths; it asks with ``Expect`` before it sends more than a megabyte."""
    file, boundary = b"\x89PNG" + bytes(size), secrets.token_hex(20)
    meta = encode({"filename": "logo.png", "sha256": hashlib.sha256(file).hexdigest()})
    parts = (
        f"--{boundary}\r\nContent-Type: application/json\r\n"
        f'Content-Disposition: form-data; name="meta"\r\nContent-Length: {len(meta)}\r\n\r\n'.encode(),
        meta,
        f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="logo.png"\r\n'
        f"Content-Length: {len(file)}\r\nContent-Type: image/png\r\n\r\n".encode(),
        file,
        f"\r\n--{boundary}--\r\n".encode(),
    )
    body, target = b"".join(parts), "/v3/merchant/media/upload"
    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "User-Agent": USER_AGENT,
        "Accept": ACCEPT,
        "Authorization": authorization("POST", target, meta),
        "Content-Length": str(len(body)),
        **({"Expect": "100-Continue"} if size > 2**20 else {}),
    }
    status, _, responded = send(sandbox, "POST", target, headers, body)

    assert 200 == status, responded
    assert json.loads(responded)["media_id"]


def recorded():
    """Return the recorded requests of APIv2 that are signed, and need no certificate."""
    lines = (VECTORS / "wire.jsonl").read_text("utf-8").splitlines()
    wire = [(f"wire {index}", json.loads(line)["request"]) for index, line in enumerate(lines)]
    units = json.loads((VECTORS / "units.json").read_text("utf-8"))["vectors"]["Request"]
    requests = [(unit["name"], unit["result"]) for unit in units if isinstance(unit.get("result"), dict)]
    for name, request in (*wire, *requests):
        body, target = request["body"] or "", request["target"]
        is_signed = "<mch_id>1900000109</mch_id>" in body and "<sign></sign>" not in body
        found = catalogue.find(request["method"], f"v2{target.partition('?')[0]}")
        if found is not None and found.security:
            continue
        # PHP signs these values in another form than it writes them, which WeChat Pay refuses, too.
        if (is_signed or "mch_id=1900000109" in target) and name != "v2 scalars":
            yield pytest.param(request["method"], target, body.encode(), id=name)


@pytest.mark.parametrize(("method", "target", "body"), list(recorded()))
def test_recorded_xml_of_php_is_verified(sandbox, method, target, body):
    """The signature is right, whatever the sandbox thinks of the parameters, which were made up."""
    headers = {"User-Agent": USER_AGENT, "Accept": ACCEPT_XML, "Content-Type": "text/xml; charset=utf-8"}
    if body:
        headers["Content-Length"] = str(len(body))
    _, _, received = send(sandbox, method, target, headers, body)

    assert xml_messages.read(received).get("return_msg") not in {"签名错误", "XML格式错误"}
    assert sandbox.exchanges[-1].is_verified
