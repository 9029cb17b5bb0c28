"""APIv2's files: downloads that return CSV or XML, and the one upload."""

from __future__ import annotations

import gzip
import hashlib
import io
import json

import authority
import pytest
from digests import SECRET, digest, document, response_body
from forms import parts
from merchants import MCHID
from wire.gateway import Gateway, reply

from wechatpay import APIError, ConnectError, InvalidRequestError, SignatureError, VerificationError, retry
from wechatpay.media import Media

FIELDS = {"mch_id": MCHID, "bill_date": "20260801"}
CSV = ("\ufeff交易时间,商户号\r\n" + "`2026-08-01,`1900000109\r\n" * 20000).encode()
FAILURE = document({"return_code": "FAIL", "return_msg": "No Bill Exist", "error_code": "20002"})
DOWNLOADS = ["pay/downloadbill", "pay/downloadfundflow"]


@pytest.fixture
def download(client, instance, gateway):
    """Give a function that downloads what is returned."""

    def download(body, path="pay/downloadbill", status="200 OK", **options):
        gateway.respond(reply(body, status))
        return client.call(instance.chain(f"v2/{path}"), "post", xml=FIELDS, **options)

    return download


@pytest.mark.parametrize("path", DOWNLOADS)
@pytest.mark.parametrize("body", [CSV, gzip.compress(CSV), b""], ids=["csv", "gzip", "empty"])
def test_file_is_the_response(body, path, download):
    """A download that succeeds returns a file without signature: its bytes as they came."""
    assert body == download(body, path).content


SINKS = ["path", "file", "callable"]


@pytest.fixture(params=SINKS)
def place(request, tmp_path):
    """Give a sink, and a function that says what it got."""
    if request.param == "path":
        path = tmp_path / "bill.csv"
        return path, lambda: path.read_bytes() if path.exists() else b""
    file = io.BytesIO()
    return (file if request.param == "file" else file.write), file.getvalue


@pytest.mark.parametrize("body", [CSV, gzip.compress(CSV), b""], ids=["csv", "gzip", "empty"])
def test_file_goes_to_the_sink(body, place, download):
    """With a sink the file goes there, and not into memory."""
    sink, got = place

    assert b"" == download(body, sink=sink).content
    assert body == got()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (FAILURE, APIError),
        (b"\n " + FAILURE, APIError),
        (response_body(result_code="FAIL", err_code="20002"), APIError),
        (response_body(secret="another"), SignatureError),
        (b"<html><body>maintenance</body></html>", VerificationError),
        (b"<html><br>maintenance", VerificationError),
        (b"<" + b"a" * (2 << 20), VerificationError),
    ],
    ids=["failure", "blank-in-front", "signed", "strange-success", "html", "broken-html", "huge"],
)
def test_failure_never_reaches_the_sink(body, kind, place, download, tmp_path):
    """What is XML is not a file: it is an error, and the sink stays as it was."""
    sink, got = place
    with pytest.raises(kind) as caught:
        download(body, sink=sink)

    assert b"" == got()
    assert [] == [path for path in tmp_path.iterdir() if path.suffix == ".part"]
    assert not isinstance(caught.value, APIError) or body == caught.value.response.content


@pytest.mark.parametrize("path", DOWNLOADS)
def test_failure_says_what_wechat_pay_said(path, download):
    """The XML of a failed download is read as that of any call."""
    with pytest.raises(APIError, match="No Bill Exist") as caught:
        download(FAILURE, path)

    assert ("20002", False) == (caught.value.code, caught.value.verified)


def test_http_error_never_reaches_the_sink(place, download):
    """A 5xx is an error whatever the sink expects."""
    sink, got = place
    with pytest.raises(APIError):
        download(CSV, status="500 Internal Server Error", sink=sink)

    assert b"" == got()


def test_signed_response_may_go_to_a_sink(place, client, instance, gateway):
    """An ordinary response is verified before the sink gets it."""
    sink, got = place
    gateway.respond(reply(response_body(trade_state="SUCCESS")))
    client.call(instance.v2.pay.orderquery, "post", xml=FIELDS, sink=sink)

    assert response_body(trade_state="SUCCESS") == got()


def test_unverified_response_never_reaches_the_sink(place, client, instance, gateway):
    """What does not verify is kept from the sink, as in APIv3."""
    sink, got = place
    gateway.respond(reply(response_body(secret="another")))
    with pytest.raises(SignatureError):
        client.call(instance.v2.pay.orderquery, "post", xml=FIELDS, sink=sink)

    assert b"" == got()


@pytest.fixture
def token(client, instance, gateway):
    """Give a function that asks for the one response in JSON."""

    def token(body):
        gateway.respond(reply(body, "200 OK", ("Content-Type", "application/json")))
        query = {"mch_id": MCHID, "code": "c", "sign_type": "HMAC-SHA256"}
        return client.call(instance.v2.appauth.getaccesstoken, "get", query=query)

    return token


@pytest.mark.parametrize("retcode", [0, "0"], ids=repr)
def test_the_one_json_response_passes(retcode, token):
    """``appauth/getaccesstoken`` returns JSON, and nothing signs it."""
    assert "t" == token(json.dumps({"retcode": retcode, "access_token": "t"}).encode()).json()["access_token"]


@pytest.mark.parametrize(
    ("body", "code"),
    [(b'{"retcode":-1,"retmsg":"no"}', "-1"), (b'{"retcode":false}', "False"), (FAILURE, "20002")],
    ids=["json", "false", "xml"],
)
def test_failure_in_json_is_an_error_as_any(body, code, token):
    """A ``retcode`` that is not 0 is an ``APIError`` with its words."""
    with pytest.raises(APIError) as caught:
        token(body)

    assert (code, body) == (caught.value.code, caught.value.response.content)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"a":1}', b'{"retcode":', b"OK"], ids=repr)
def test_json_response_that_cannot_be_read_leaves_the_outcome_unknown(body, token):
    """What is neither JSON with a ``retcode`` nor XML says nothing."""
    with pytest.raises(VerificationError, match="unknown"):
        token(body)


CONTENT = bytes(range(256)) * 1000
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def vault(tmp_path):
    """Give a gateway that wants the merchant certificate."""
    gateway = Gateway(authority.server_context(tmp_path, clients="authority"))
    gateway.respond(reply(response_body(media_id="M")))
    yield gateway
    gateway.close()


@pytest.fixture
def upload(client, build, vault, tmp_path):
    """Give a function that uploads an image."""
    instance = build(
        base_uri=vault.url,
        verify=authority.bundle(tmp_path),
        secret=SECRET,
        merchant=authority.key_pem("merchant") + authority.pem("merchant"),
    )

    def upload(media, **options):
        node = instance.v2.secapi.mch.uploadmedia
        return client.call(node, "post", **{"media": media, "security": True} | options)

    upload.instance = instance
    return upload


def form(seen):
    """Give the fields and the file's part of an upload."""
    *fields, file = parts(seen.headers["content-type"], seen.body)
    assert str(len(seen.body)) == seen.headers["content-length"]
    return {field.disposition["name"]: field.content.decode() for field in fields}, file


def test_image_is_uploaded_with_a_signed_digest(upload, vault):
    """The merchant id, the file's digest and ``sign`` are made and sent, with the stack as it is."""
    response = upload(Media(CONTENT, filename="门头.jpg"))
    fields, file = form(vault.seen[0])

    assert {"mch_id": MCHID, "media_hash": MD5, "sign_type": "MD5", "sign": digest(fields)} == fields
    assert {"name": "media", "filename": "门头.jpg"} == file.disposition
    assert CONTENT == file.content
    assert "M" == response.xml()["media_id"]


def test_fields_of_the_upload_can_be_given(upload, vault):
    """``meta`` holds the fields beside the file, and the digest is a choice of the caller's."""
    vault.respond(reply(response_body("HMAC-SHA256", media_id="M")))
    meta = {"sign_type": "HMAC-SHA256", "channel_id": "1", "nonce_str": "N", "empty": None}
    upload(Media(CONTENT, meta, filename="a.jpg", digest="sha256"))
    fields, _ = form(vault.seen[0])

    assert hashlib.sha256(CONTENT).hexdigest() == fields["media_hash"]
    assert ("1", "N", "") == (fields["channel_id"], fields["nonce_str"], fields["empty"])
    assert digest(fields, "HMAC-SHA256") == fields["sign"]


def test_upload_is_sent_again_with_its_fields(upload, vault):
    """A retry sends the whole form again."""
    replies = [response_body(result_code="FAIL", err_code="SYSTEMERROR"), response_body(media_id="M")]
    vault.behaviour = lambda _, peer: peer.send(reply(replies.pop(0)))
    upload.instance.getDriver().select("v2").stack.push(retry(2, delay=0.01))
    upload(Media(CONTENT, filename="a.jpg"))

    assert form(vault.seen[0]) == form(vault.seen[1])


@pytest.mark.parametrize(
    ("meta", "named"),
    [
        ('{"a":1}', "meta"),
        (lambda *_: {}, "meta"),
        ({"mch_id": "1900000108"}, "1900000108"),
        ({"sign_type": "SHA1"}, "sign_type"),
        ({"detail": {"a": 1}}, "detail"),
    ],
    ids=["text", "function", "stranger", "sign_type", "nested"],
)
def test_fields_that_cannot_be_signed_are_refused(meta, named, upload, vault):
    """The same rules as for ``xml``, before anything is sent."""
    with pytest.raises(InvalidRequestError, match=named):
        upload(Media(CONTENT, meta, filename="a.jpg"))

    assert [] == vault.seen


def test_upload_and_xml_are_two_bodies(upload):
    """Fields beside a file go into its ``meta``."""
    with pytest.raises(InvalidRequestError, match="one body"):
        upload(Media(CONTENT, filename="a.jpg"), xml=FIELDS)


def test_unverified_response_to_an_upload_is_refused(upload, vault):
    """The response is verified as any."""
    vault.respond(reply(response_body(secret="another", media_id="M")))
    with pytest.raises(SignatureError):
        upload(Media(CONTENT, filename="a.jpg"))


def test_upload_to_a_server_that_is_not_trusted_sends_nothing(client, build, vault):
    """The file stays here when TLS does not know the server."""
    instance = build(base_uri=vault.url, secret=SECRET)
    with pytest.raises(ConnectError):
        client.call(instance.v2.secapi.mch.uploadmedia, "post", media=Media(CONTENT, filename="a.jpg"))

    assert [] == vault.seen
