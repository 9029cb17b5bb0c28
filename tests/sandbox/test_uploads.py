"""Uploads to the sandbox: signed over ``meta``, and the file's digest computed again."""

from __future__ import annotations

import hashlib
import json

import pytest
import sandboxes
from cases import each
from sandboxes import NOW
from wire.clients import Sync

from wechatpay import APIError, Builder, SignatureError
from wechatpay.media import Media
from wechatpay.sandbox import Sandbox, faults
from wechatpay.sandbox.uploads import parts

IMAGE = bytes(range(256)) * 400
META = json.dumps({"filename": "门头.jpg", "sha256": hashlib.sha256(IMAGE).hexdigest()})
UPLOAD, VIDEO = "/v3/merchant/media/upload", "/v3/merchant/media/video_upload"
KIND = "multipart/form-data; boundary=b0"


@pytest.fixture
def instance(sandbox):
    """Give a Builder that calls it."""
    with Builder(**sandbox.settings(tls=True)) as instance:
        yield instance


@pytest.fixture
def client():
    """Give one way of making a call: the sandbox cannot tell one from another."""
    return Sync()


@pytest.mark.parametrize(
    ("path", "name"), [("upload", "门头.jpg"), ("upload", "A.PNG"), ("video_upload", "店铺.mp4")]
)
def test_image_and_video_are_taken(client, instance, path, name, tmp_path):
    """What the library uploads is signed as it must be, and gets a media id."""
    (tmp_path / name).write_bytes(IMAGE)
    response = client.call(instance.chain(f"v3/merchant/media/{path}"), "post", media=Media(tmp_path / name))

    assert {"media_id"} == response.json().keys()
    assert response.json()["media_id"]


def test_media_id_tells_files_apart(client, instance):
    """The same file has the same id, another one another."""
    node = instance.v3.merchant.media.upload
    files = [Media(content, filename="a.jpg") for content in (b"1", b"1", b"2")]
    first, second, third = (client.call(node, "post", media=file).json()["media_id"] for file in files)

    assert first == second != third


@each(
    ("path", "media", "field"),
    [
        pytest.param("upload", Media(IMAGE, filename="a.gif"), "filename", id="no image"),
        pytest.param("video_upload", Media(IMAGE, filename="a.jpg"), "filename", id="no video"),
        pytest.param("upload", Media(bytes((2 << 20) + 1), filename="a.jpg"), "file", id="large image"),
        pytest.param("video_upload", Media(bytes((5 << 20) + 1), filename="a.mp4"), "file", id="large video"),
        pytest.param("upload", Media(b"", filename="a.jpg"), "file", id="empty"),
        pytest.param("upload", Media(IMAGE, filename="a.jpg", part="media"), "file", id="other part"),
        pytest.param(
            "upload", Media(IMAGE, {"filename": "a.jpg", "sha256": "0" * 64}, filename="a.jpg"), "sha256",
            id="wrong digest",
        ),
        pytest.param("upload", Media(IMAGE, filename="a.jpg", digest="md5"), "sha256", id="other digest"),
        pytest.param("upload", Media(IMAGE, "[]", filename="a.jpg"), "meta", id="meta is no object"),
        pytest.param(
            "upload", Media(IMAGE, {"filename": 1}, filename="a.jpg"), "filename", id="member is no text"
        ),
        pytest.param(
            "upload", Media(IMAGE, {"filename": ""}, filename="a.jpg"), "filename", id="empty member"
        ),
    ],
)  # fmt: skip
def test_wrong_upload_is_refused(client, instance, path, media, field):
    """A 400 PARAM_ERROR names what is wrong; the signature was in order, and the refusal is signed."""
    with pytest.raises(APIError) as caught:
        client.call(instance.chain(f"v3/merchant/media/{path}"), "post", media=media)

    assert (400, "PARAM_ERROR", field) == (
        caught.value.status_code,
        caught.value.code,
        caught.value.detail["field"],
    )
    assert caught.value.verified


def test_limits_are_inclusive(client, instance):
    """Two MiB are an image."""
    media = Media(bytes(2 << 20), filename="a.jpg")

    assert 200 == client.call(instance.v3.merchant.media.upload, "post", media=media).status_code


def test_responses_to_uploads_go_wrong_as_others_do(client, sandbox, instance):
    """Faults befall uploads, too."""
    sandbox.inject(faults.WrongSignature(), path="v3/merchant/media/upload")
    with pytest.raises(SignatureError):
        client.call(instance.v3.merchant.media.upload, "post", media=Media(b"1", filename="a.jpg"))


def form(*pieces, closing=b"--b0--\r\n"):
    """Lay a body out; pieces are pairs of headers and content."""
    return b"".join(b"--b0\r\n%b\r\n\r\n%b\r\n" % piece for piece in pieces) + closing


META_PART = (b'Content-Disposition: form-data; name="meta"\r\nContent-Type: application/json', META.encode())
FILE_PART = (b'Content-Disposition: form-data; name="file"; filename="a.jpg"', IMAGE)


@pytest.fixture
def upload():
    """Give a function that uploads a body without a socket, signed over ``text``; gives status and JSON."""
    gateway = Sandbox(identity=sandboxes.identity(), clock=lambda: NOW)

    def upload(body, text=META, kind=KIND):
        signed = sandboxes.authorization("POST", UPLOAD, text.encode(), timestamp=str(NOW))
        headers = {"Authorization": signed, "Content-Type": kind}
        response = gateway._respond(sandboxes.received("POST", UPLOAD, body, headers=headers)).response
        return response.status, json.loads(response.body)

    return upload


def test_body_is_read_as_the_standard_says(upload):
    """Names of headers in any case, a quoted boundary, no line end at the end, the file first."""
    turned = (FILE_PART[0].replace(b"Content-Disposition", b"content-disposition"), IMAGE)
    body = form(turned, META_PART, closing=b"--b0--")

    assert 200 == upload(body, kind='Multipart/Form-Data;boundary="b0"')[0]


def test_signature_is_over_meta_alone(upload):
    """A signature of the whole body, or of other JSON, is none; the response shows what is signed."""
    body = form(META_PART, FILE_PART)
    for text in (body.decode("latin-1"), META.replace(" ", ""), ""):
        status, response = upload(body, text)

        assert (401, "SIGN_ERROR") == (status, response["code"])
        shown = response["detail"]["sign_information"]["truncated_sign_message"]
        assert shown.endswith("\n" + META[:10])


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        pytest.param(form(META_PART, FILE_PART), "multipart/form-data", id="no boundary"),
        pytest.param(form(META_PART, FILE_PART), KIND.replace("b0", "b1"), id="other boundary"),
        pytest.param(form(META_PART, FILE_PART, closing=b""), KIND, id="no end"),
        pytest.param(b"x" + form(META_PART, FILE_PART), KIND, id="something in front"),
        pytest.param(form(META_PART, META_PART, FILE_PART), KIND, id="part twice"),
        pytest.param(form((b"Content-Type: text/plain", b""), META_PART), KIND, id="part without a name"),
        pytest.param(form(FILE_PART), KIND, id="no meta"),
        pytest.param(b"", KIND, id="empty"),
    ],
)
def test_what_is_no_form_has_no_meta_to_sign(upload, body, kind):
    """A body that cannot be read is refused as one that is not signed."""
    assert (401, "SIGN_ERROR") == (upload(body, kind=kind)[0], upload(body, kind=kind)[1]["code"])


@pytest.mark.parametrize("text", ["", "{", "1"], ids=["empty", "no JSON", "no object"])
def test_meta_is_json(upload, text):
    """What is signed all the same, but cannot be read, is a parameter error."""
    status, response = upload(form((META_PART[0], text.encode()), FILE_PART), text)

    assert (400, "meta") == (status, response["detail"]["field"])


def test_body_of_another_type_is_signed_as_a_whole(upload):
    """JSON where a form should be is no upload."""
    status, response = upload(META.encode(), META, "application/json")

    assert (400, "PARAM_ERROR") == (status, response["code"])
    assert parts(sandboxes.received()) is None
