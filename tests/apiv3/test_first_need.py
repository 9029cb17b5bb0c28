"""Without keys of WeChat Pay's, the first call gets them; without any to be had, nothing is sent."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
import time

import keys
import merchants
import pytest
import rotation
from rotation import SERIALS, refused
from wire.gateway import reply

from wechatpay import Builder
from wechatpay.errors import APIError, ConfigurationError, ConnectError, InvalidRequestError

OLD, NEW = SERIALS["old"], SERIALS["new"]


def test_constructor_downloads_nothing(downloading, gateway):
    """Making a Builder costs no request."""
    assert 0 == gateway.connections
    assert () == downloading.getDriver().platform.serials


def test_first_call_downloads_first_and_names_the_key(client, downloading, wechat, gateway):
    """The key is there before the call leaves, so that the header names it."""
    client.call(downloading.v3.x, "get")
    client.call(downloading.v3.x, "get")

    assert ["/v3/certificates", "/v3/x", "/v3/x"] == [seen.target for seen in gateway.seen]
    assert [(OLD, None)] * 2 == wechat.pairs


def test_given_keys_are_used_as_they_are(client, build, wechat, gateway):
    """With `certs`, an APIv3 key does not cause a download."""
    wechat.signer = "platform"
    wechat.serial = "PUB_KEY_ID_1"
    instance = build(certs={"PUB_KEY_ID_1": keys.public_key("platform")}, apiv3_key=rotation.APIV3_KEY)
    client.call(instance.v3.x, "get")

    assert ["/v3/x"] == [seen.target for seen in gateway.seen]
    assert [("PUB_KEY_ID_1", None)] == wechat.pairs


def test_given_certificates_that_have_all_ended_are_replaced(client, build, wechat):
    """No usable key is as good as none."""
    instance = build(**rotation.settings(certs={NEW: rotation.certificate("new", (-30, -1))}))
    client.call(instance.v3.x, "get")

    assert [(OLD, None)] == wechat.pairs


def test_given_certificates_that_have_ended_send_nothing_without_apiv3_key(client, build, gateway):
    """No request is sent whose response could not be verified."""
    instance = build(certs={NEW: rotation.certificate("new", (-30, -1))})
    with pytest.raises(ConfigurationError, match=f"of {NEW} none is valid now"):
        client.call(instance.v3.x, "get")

    assert [] == gateway.seen


@pytest.mark.parametrize("status", [403, 404, 500])
def test_merchant_in_public_key_mode_learns_what_to_configure(client, downloading, wechat, gateway, status):
    """The error says which setting, with which value, from where."""
    wechat.download = refused(status, "RESOURCE_NOT_EXISTS")
    with pytest.raises(ConfigurationError) as caught:
        client.call(downloading.v3.x, "get")

    assert "certs={'PUB_KEY_ID_…': 'file:///path/to/pub_key.pem'}" in str(caught.value)
    assert "merchant console" in str(caught.value)
    assert status == caught.value.response.status_code
    assert ["/v3/certificates"] == [seen.target for seen in gateway.seen]


def test_merchant_that_moves_to_public_keys_learns_which_to_add(client, downloading, wechat, gateway):
    """WeChat Pay offers certificates and signs with the public key: only a setting helps, not another try."""
    wechat.serial = "PUB_KEY_ID_1"
    with pytest.raises(ConfigurationError) as caught:
        client.call(downloading.v3.x, "get")

    assert "signs with the public key 'PUB_KEY_ID_1'" in str(caught.value)
    assert "certs={'PUB_KEY_ID_1': 'file:///path/to/pub_key.pem'}" in str(caught.value)
    assert ["/v3/certificates"] == [seen.target for seen in gateway.seen]


def test_refusal_reaches_the_caller_as_it_is(client, downloading, wechat):
    """A wrong signature of ours is the same error as for any call."""
    wechat.download = refused(401, "SIGN_ERROR", "错误的签名")
    with pytest.raises(APIError, match="SIGN_ERROR: 错误的签名") as caught:
        client.call(downloading.v3.x, "get")

    assert 401 == caught.value.status_code


@pytest.mark.parametrize(
    "download",
    [
        pytest.param(lambda peer: peer.close(), id="closed"),
        pytest.param(refused(503), id="503"),
        pytest.param(refused(429, "FREQUENCY_LIMITED"), id="429"),
        pytest.param(lambda peer: peer.send(reply(b"{}")), id="unsigned"),
        pytest.param(lambda peer: peer.send(reply(b"", "302 Found", ("Location", "/"))), id="redirect"),
    ],
)
def test_failed_download_says_that_nothing_was_sent(client, downloading, wechat, gateway, download):
    """The outcome is never unknown: the caller's request did not leave."""
    wechat.download = download
    with pytest.raises(ConnectError, match="nothing was sent"):
        client.call(downloading.v3.x, "post", json={"amount": 1})

    assert {"/v3/certificates"} == {seen.target for seen in gateway.seen}


def test_download_without_signature_headers_is_explained_by_its_host(client, downloading, wechat):
    """It is a response, not a callback: the host was wrong, or a proxy on the way removed them."""
    wechat.download = lambda peer: peer.send(reply(b"{}"))
    with pytest.raises(ConnectError, match=r"127\.0\.0\.1:\d+ is not a host of WeChat Pay"):
        client.call(downloading.v3.x, "get")


def test_wrong_apiv3_key_is_named(client, build, wechat):
    """The error for an APIv3 key that differs from the console's names the setting."""
    instance = build(**rotation.settings(apiv3_key=b"another0apiv3key0of0032characters"[:32]))
    with pytest.raises(ConfigurationError, match="apiv3_key: does not decrypt") as caught:
        client.call(instance.v3.x, "get")

    assert "/v3/certificates" == caught.value.request.path
    assert 200 == caught.value.response.status_code


def test_certificates_of_no_use_are_not_asked_for_again_at_once(client, downloading, wechat):
    """When no offered certificate can be used, nothing is sent, and the pause between two tries is kept."""
    client.call(downloading.v3.x, "get")
    downloading.getDriver().platform.retire(OLD)
    wechat.offered, wechat.signer = ["old", "new"], "new"
    # It ended 86 s ago, after it signed the list.
    content = rotation.body(rotation.item("old"), rotation.item("new", (-1, -0.001)))
    wechat.download = lambda peer: peer.send(wechat.signed(content, at=int(time.time()) - 200))
    for _ in range(5):
        with pytest.raises(ConfigurationError, match="is the clock right"):
            client.call(downloading.v3.x, "get")

    assert 2 == wechat.downloads


def test_calls_do_not_hammer_at_an_outage(client, downloading, wechat, clock):
    """Within the pause the last failure is raised again; after it, the download is tried again."""
    wechat.download = refused(503)
    for _ in range(10):
        with pytest.raises(ConnectError):
            client.call(downloading.v3.x, "get")
    assert 1 == wechat.downloads
    wechat.download = None
    clock.ahead = 1.1
    client.call(downloading.v3.x, "get")

    assert 2 == wechat.downloads


def test_error_that_is_raised_again_is_a_copy(downloading, wechat):
    """Each caller gets an error of its own, whose traceback does not grow."""
    wechat.download = refused(404)
    caught = []
    for _ in range(2):
        with pytest.raises(ConfigurationError) as error:
            downloading.v3.x.get()
        caught.append(error.value)

    assert caught[0] is not caught[1]
    assert caught[0].args == caught[1].args


def test_caller_may_name_a_key_that_is_yet_to_be_downloaded(client, downloading, wechat):
    """Whether it is trusted is seen once there are keys."""
    client.call(downloading.v3.x, "get", headers={"Wechatpay-Serial": OLD})
    with pytest.raises(InvalidRequestError, match="Wechatpay-Serial must name a key"):
        client.call(downloading.v3.x, "get", headers={"Wechatpay-Serial": NEW})

    assert [(OLD, None)] == wechat.pairs


def test_caller_cannot_name_a_key_that_is_not_offered(client, downloading, wechat, gateway):
    """A first call that names a stranger's key is not sent."""
    with pytest.raises(InvalidRequestError, match="Wechatpay-Serial must name a key"):
        client.call(downloading.v3.x, "get", headers={"wechatpay-serial": NEW})

    assert ["/v3/certificates"] == [seen.target for seen in gateway.seen]


def test_wrong_call_fails_before_anything_is_downloaded(client, downloading, gateway):
    """A call that could not be sent anyway costs no request."""
    with pytest.raises(InvalidRequestError):
        client.call(downloading.v3.x, "post", json={"a": float("nan")})

    assert [] == gateway.seen


def test_many_first_tasks_make_one_download(downloading, wechat):
    """All wait for the first one's download, and the loop turns meanwhile."""
    wechat.pause = 0.2

    async def main():
        turns = 0
        calls = asyncio.gather(*(downloading.v3.x.getAsync() for _ in range(80)))
        while not calls.done():
            turns += 1
            await asyncio.sleep(0.005)
        return turns, await calls

    turns, responses = asyncio.run(main())

    assert 1 == wechat.downloads
    assert 80 == len(responses)
    assert turns > 10


def test_first_calls_of_all_kinds_make_one_download(downloading, wechat):
    """Threads, tasks of several loops and promises wait for the same download."""
    wechat.pause = 0.3

    async def tasks():
        await asyncio.gather(*(downloading.v3.x.getAsync() for _ in range(10)))

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        made = [pool.submit(downloading.v3.x.get) for _ in range(8)]
        made += [pool.submit(asyncio.run, tasks()) for _ in range(4)]
        made += [pool.submit(downloading.v3.x.getAsync().wait) for _ in range(4)]
        for future in made:
            future.result(30)

    assert 1 == wechat.downloads
    assert 52 == len(wechat.pairs)


def test_task_that_is_cancelled_hands_the_download_on(downloading, wechat):
    """When the one that downloads is given up, another takes over."""
    wechat.pause = 0.2

    async def main():
        first = asyncio.ensure_future(_awaited(downloading.v3.x.getAsync()))
        await asyncio.sleep(0.05)
        second = asyncio.ensure_future(_awaited(downloading.v3.x.getAsync()))
        await asyncio.sleep(0.05)
        first.cancel()
        return await second

    assert 200 == asyncio.run(main()).status_code
    assert 2 == wechat.downloads


async def _awaited(promise):
    return await promise


def test_blocking_call_inside_the_loop_that_downloads_goes_on(downloading, wechat):
    """A blocking verb on the very loop whose task downloads would wait for itself: it downloads, too."""
    wechat.pause = 0.2

    async def main():
        first = downloading.v3.x.getAsync()
        await asyncio.sleep(0.05)
        inside = downloading.v3.x.get()
        return inside.status_code, (await first).status_code

    assert (200, 200) == asyncio.run(main())
    assert 2 == wechat.downloads


def test_download_is_signed_by_a_signer_of_the_callers(client, downloading, wechat):
    """A remote signer in the signer's place signs the download, too; other middlewares do not see it."""
    stack, seen = downloading.getDriver().select("v3").stack, []
    signer = dict(stack._layers)["signer"]

    def remote(asked, onwards):
        seen.append(("remote", asked.path))
        return (yield from signer(asked, onwards))

    def trace(asked, onwards):
        seen.append(("trace", asked.path))
        return (yield from onwards(asked))

    stack.replace("signer", remote)
    stack.push(trace)
    client.call(downloading.v3.x, "get")

    assert [("remote", "/v3/certificates"), ("trace", "/v3/x"), ("remote", "/v3/x")] == seen


def test_download_is_verified_without_the_verifier(client, downloading, wechat):
    """Removing the verifier from the stack does not make any certificate trusted."""
    downloading.getDriver().select("v3").stack.remove("verifier")
    wechat.download = lambda peer: peer.send(wechat.signed(rotation.body(rotation.item("old")), key="new"))
    with pytest.raises(ConnectError, match="does not belong"):
        client.call(downloading.v3.x, "get")


def test_signer_that_fails_with_an_error_of_its_own_shows_nothing_of_it(downloading):
    """Another's error may say what must not be shown."""

    def broken(asked, onwards):
        raise RuntimeError("secret0of0the0signer")
        yield

    downloading.getDriver().select("v3").stack.replace("signer", broken)
    with pytest.raises(ConnectError) as caught:
        downloading.v3.x.get()

    assert "RuntimeError" in str(caught.value)
    assert "secret0of0the0signer" not in str(caught.value)


@pytest.mark.parametrize(
    ("base_uri", "url"),
    [
        ("https://api.mch.weixin.qq.com/", "https://api.mch.weixin.qq.com/v3/certificates"),
        ("https://api.mch.weixin.qq.com/hk/", "https://api.mch.weixin.qq.com/hk/v3/certificates"),
        ("https://apihk.mch.weixin.qq.com/", "https://apihk.mch.weixin.qq.com/v3/global/certificates"),
        ("https://apius.mch.weixin.qq.com/", "https://apius.mch.weixin.qq.com/v3/global/certificates"),
        ("https://apihk.mch.weixin.qq.com/global/", "https://apihk.mch.weixin.qq.com/global/v3/certificates"),
    ],
)
def test_certificates_come_from_where_calls_go(base_uri, url):
    """Overseas gateways have certificates of their own."""
    instance = Builder(**merchants.settings(**rotation.settings(base_uri=base_uri)))
    request, _ = instance.getDriver().select("v3")._begin_download()

    assert url == request.url
    assert (5.0, 10.0) == request.timeout


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_child_of_a_fork_downloads_for_itself(downloading, wechat):
    """A download that stayed behind in the parent is not waited for."""
    wechat.pause = 0.5
    thread = threading.Thread(target=downloading.v3.x.get)
    thread.start()
    while not wechat.downloads:
        time.sleep(0.001)
    child = os.fork()
    if not child:
        try:
            os._exit(0 if downloading.v3.x.get().status_code == 200 else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    thread.join(10)

    assert 0 == status
    assert 2 == wechat.downloads
