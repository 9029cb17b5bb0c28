"""Uploads over the wire: what arrives, and what is signed."""

from __future__ import annotations

import io

import merchants
import pytest
import requests
import responses
from forms import CONTENT, check, stack
from labels import stable_repr
from wire.gateway import proof, reply, signed

from wechatpay import Builder, ConfigurationError, InvalidRequestError, Pause, retry
from wechatpay.media import Media


def test_upload_arrives_whole_and_signed(upload, gateway, path):
    """The file and its JSON arrive with a fixed length, signed over the JSON alone."""
    gateway.respond(signed(b'{"media_id":"jsgw"}'))

    assert {"media_id": "jsgw"} == upload(Media(path)).json()
    check(gateway.seen[0])


def test_content_type_is_the_uploads_own(upload, gateway, path):
    """A ``Content-Type`` without boundary, as the documents write it, does not spoil the upload."""
    upload(Media(path), headers={"content-type": "multipart/form-data", "X-Other": "1"})

    check(gateway.seen[0])
    assert "1" == gateway.seen[0].headers["x-other"]


def test_media_may_be_used_again(upload, gateway, path):
    """One ``Media`` uploads what the file holds at the time of each call."""
    media = Media(path)
    upload(media)
    path.write_bytes(b"another")
    upload(media)

    check(gateway.seen[0])
    check(gateway.seen[1], b"another")


def test_retried_upload_is_sent_whole_again(upload, instance, gateway, path):
    """Each attempt sends the whole file and is signed anew."""
    replies = [signed(b'{"code":"SYSTEM_ERROR","message":""}', "500 Internal Server Error"), signed(b"{}")]
    gateway.behaviour = lambda _, peer: peer.send(replies.pop(0))
    stack(instance).push(retry(2, delay=0.01))
    with path.open("rb") as opened:
        upload(Media(opened))
    first, second = gateway.seen

    check(first)
    check(second)
    assert merchants.nonce(first) != merchants.nonce(second)


@pytest.mark.parametrize("media", ["/tmp/a.jpg", b"a", {"file": "a"}, io.BytesIO(b"a")], ids=stable_repr)
def test_only_a_media_is_a_media(media, upload, gateway):
    """What is no ``Media`` is refused with the way to make one."""
    with pytest.raises(InvalidRequestError, match=r"Media\(path\)"):
        upload(media)

    assert [] == gateway.seen


def test_upload_has_one_body(upload, gateway, path):
    """A file and JSON cannot both be the body."""
    with pytest.raises(InvalidRequestError, match="one body"):
        upload(Media(path), json={"a": 1})

    assert [] == gateway.seen


def test_signed_upload_cannot_be_exchanged(upload, instance, gateway, path):
    """Inside the signer the upload is as fixed as any body."""

    def exchange(request, proceed):
        return (yield from proceed(request.with_(content=request.content + b"!")))

    stack(instance).after("signer", exchange)
    with pytest.raises(InvalidRequestError, match="signed"):
        upload(Media(path))

    assert [] == gateway.seen


def test_responses_intercepts_uploads(build, path):
    """The ``responses`` library sees the body as it would be sent."""
    with responses.RequestsMock() as mock:
        mock.post(
            "https://api.mch.weixin.qq.com/v3/merchant/media/upload", body=b"{}", headers=dict(proof(b"{}"))
        )
        Builder(**merchants.settings()).v3.merchant.media.upload.post(media=Media(path))
        request = mock.calls[0].request

        assert CONTENT in request.body
        assert request.headers["Content-Length"] == str(len(request.body))


def test_session_of_the_callers_sends_uploads(build, gateway, path):
    """A ``requests.Session`` of the caller's streams the body untouched."""
    with requests.Session() as session:
        build(session=session).v3.merchant.media.video_upload.post(media=Media(path))

    check(gateway.seen[0])


def test_upload_waits_where_a_middleware_waits(upload, instance, gateway, path):
    """Middlewares see an upload as any request, and may pause around it."""

    def wait(request, proceed):
        assert CONTENT in request.content
        assert request.signable.startswith(b'{"filename"')
        yield Pause(0.01)
        return (yield from proceed(request))

    stack(instance).push(wait)
    upload(Media(path))

    check(gateway.seen[0])


def test_early_response_to_an_upload_reaches_the_caller(upload, gateway, tmp_path):
    """A refusal that comes once the body is there is an ``APIError`` as any."""
    path = tmp_path / "门头.jpg"
    path.write_bytes(CONTENT)
    gateway.respond(reply(b'{"code":"PARAM_ERROR","message":"too large"}', "400 Bad Request"))
    with pytest.raises(Exception, match="PARAM_ERROR") as caught:
        upload(Media(path))

    assert 400 == caught.value.status_code


def test_uploads_need_the_protocols_settings(client, build, path):
    """A call without the settings of its protocol is refused before the file is read."""
    instance = build(serial=None, private_key=None, certs=None)
    with pytest.raises(ConfigurationError):
        client.call(instance.v3.merchant.media.upload, "post", media=Media(path))
