"""A private key that stays elsewhere: a function in its place signs, and the process never sees the key."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
import traceback
from base64 import b64encode

import keys
import merchants
import pytest
import rotation
import sandboxes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from rotation import Rotation

from wechatpay import Builder, ConfigurationError, CryptoError, InvalidRequestError, payment
from wechatpay.media import Media
from wechatpay.sandbox import Sandbox

PATH = "v3/pay/transactions"


class Signature:
    """Signs as the merchant, far away; remembers what, where and for whom."""

    def __init__(self, key=None):
        self._key = key or keys.private_key("merchant")
        self.texts = []
        self.threads = set()
        self.tenants = set()
        self.pause = 0.0

    def __call__(self, text):
        """Sign a text."""
        self.texts.append(text)
        self.threads.add(threading.current_thread())
        self.tenants.add(TENANT.get())
        time.sleep(self.pause)
        return b64encode(self._key.sign(text.encode(), PKCS1v15(), SHA256())).decode()


TENANT = contextvars.ContextVar("tenant", default="nobody")


@pytest.fixture
def signature():
    """Give a remote signature."""
    return Signature()


def test_function_signs_the_very_bytes_that_are_sent(gateway, build, client, signature):
    """It gets the text of the documents, and its base64 goes into `Authorization`."""
    client.call(build(private_key=signature)[PATH], "post", json={"名": "值"})

    assert [merchants.signed_text(gateway.seen[0]).decode()] == signature.texts


def test_sandbox_takes_what_a_function_signed(client):
    """As strictly as ever."""
    identity = sandboxes.identity()
    with Sandbox(identity=identity) as sandbox:
        instance = Builder(**sandbox.settings(private_key=Signature(identity.private_key)))
        palm = instance.v3.palmservice.authorization.openid._openid_
        response = client.call(palm, "get", openid="oUpF8uMuAJOM2pxb1Q", query={"organization_id": "1"})
        instance.getDriver().close()

    assert "AUTHORIZATION_STATE_ON" == response.json()["state"]


def test_function_blocks_no_event_loop(build, client, signature):
    """Async it runs on a thread, with the caller's context variables."""
    TENANT.set("blue")
    client.call(build(private_key=signature)[PATH], "get")

    assert (type(client).__name__ == "Sync") is (signature.threads == {threading.current_thread()})
    assert {"blue"} == signature.tenants


def test_slow_function_blocks_no_other_call(build, signature):
    """Twenty calls whose signatures take 0.3 s each are over long before 6 s."""
    signature.pause = 0.3
    instance = build(private_key=signature)

    async def main():
        await asyncio.gather(*(instance[PATH].getAsync() for _ in range(20)))
        await instance.getDriver().aclose()

    begun = time.monotonic()
    asyncio.run(main())

    assert time.monotonic() - begun < 5
    assert 20 == len(signature.texts)


def test_error_of_the_function_reaches_the_caller(gateway, build, client):
    """Nothing is sent; and our frames keep neither body nor text where trackers look."""

    def refuse(_):
        raise TimeoutError("the key server is away")

    with pytest.raises(TimeoutError, match="the key server is away") as caught:
        client.call(build(private_key=refuse)[PATH], "post", json={"name": "secret-body"})
    frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    kept = [
        repr(value)
        for frame in frames
        if "/wechatpay/" in frame.f_code.co_filename
        for name, value in frame.f_locals.items()
        if name not in ("options", "kw", "given", "keywords", "call")
    ]

    assert 0 == gateway.connections
    assert [] == [shown for shown in kept if "secret-body" in shown]


@pytest.mark.parametrize(
    "result",
    [None, b"QUJD", "", "no base64", "QUJD\r\nX-Evil: 1"],
    ids=["None", "bytes", "empty", "words", "lines"],
)
def test_function_returns_base64_or_nothing_is_sent(gateway, build, client, result):
    """A header is not built of whatever a function returned; what it was is not shown."""
    with pytest.raises(CryptoError, match="private_key: the function returned") as caught:
        client.call(build(private_key=lambda _: result)[PATH], "get")

    assert 0 == gateway.connections
    assert "Evil" not in str(caught.value)


def test_body_that_is_not_text_cannot_be_signed_by_a_function(gateway, build, client, signature):
    """Rather than some other text."""
    with pytest.raises(InvalidRequestError, match="body: is not UTF-8, but private_key is a function"):
        client.call(build(private_key=signature)[PATH], "post", body=b"\xff")
    assert ([], 0) == (signature.texts, gateway.connections)


def test_coroutine_function_is_refused():
    """Its coroutine would not be awaited; the error says what will do."""

    async def sign(text):
        return text

    with pytest.raises(ConfigurationError, match="private_key: a plain function, which async calls run on a"):
        Builder(**merchants.settings(private_key=sign))


def test_downloads_of_certificates_are_signed_too(gateway, build, client, signature):
    """Whatever is signed, the function signs."""
    gateway.behaviour = Rotation("old")
    client.call(build(**rotation.settings(private_key=signature))[PATH], "get")

    assert [f"/{path}" for path in ("v3/certificates", PATH)] == [t.split("\n")[1] for t in signature.texts]


def test_uploads_are_signed_too(gateway, build, client, signature):
    """Over the JSON that goes with the file."""
    media = Media(b"\xff\xd8", filename="shop.jpg")
    client.call(build(private_key=signature).v3.merchant.media.upload, "post", media=media)

    assert '"filename":"shop.jpg"' in signature.texts[0]
    assert b"\xff\xd8" in gateway.seen[0].body


def test_same_function_serves_payment(signature):
    """`wechatpay.payment` takes it in the same place."""
    parameters = payment.jsapi("wx1", "wx201410272009395522657a690389285100", signature)

    assert signature.texts[0].endswith("prepay_id=wx201410272009395522657a690389285100\n")
    assert parameters["paySign"]


def test_function_cannot_decrypt(build, signature):
    """Encrypted fields of responses are decrypted where the key is."""
    with pytest.raises(ConfigurationError, match="private_key: the function signs, but cannot decrypt"):
        build(private_key=signature).getDriver().decrypt("text")
