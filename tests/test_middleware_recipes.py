"""The guide to middleware runs as it is written, and its recipes do what they say, sync and async."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import merchants
import pages
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from outage import Outage
from wire.gateway import signed

from wechatpay import APIError, Builder, ConnectError, InvalidRequestError, NoResponseError, Pause, retry
from wechatpay.sandbox import faults

SERVICE = Path(__file__).parent / "signing_service.py"
TOKEN = "only-for-tests"
PALM = "v3/palmservice/authorization/openid/oUpF8uMuAJOM2pxb1Q"
QUERY = {"organization_id": "1"}
REFUNDS = "v3/refund/domestic/refunds"
API, API2 = "api.mch.weixin.qq.com", "api2.mch.weixin.qq.com"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    """Let nothing of the environment stand between the tests and loopback."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Device:
    """A slow device that signs, and knows if it was asked to sign two texts at once."""

    def __init__(self, identity):
        self._identity = identity
        self._busy = threading.Lock()
        self.signed = 0

    def sign(self, text):
        """Sign a text."""
        assert self._busy.acquire(blocking=False)
        time.sleep(0.02)
        self.signed += 1
        self._busy.release()
        return self._identity.private_key.sign(text, PKCS1v15(), SHA256())


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Paste the page once; give the names that it defined, with a slow device in place of the page's."""
    names = {}
    with contextlib.chdir(tmp_path_factory.mktemp("page")):
        pages.play(pages.ROOT / "docs" / "middleware.md", names)
    slow = Device(names["sandbox"].identity)
    names["device"].sign = slow.sign
    yield SimpleNamespace(**names | {"device": slow}, globals=names)
    for made in names.values():
        if isinstance(made, Builder):
            made.getDriver().close()
    names["sandbox"].stop()


@pytest.fixture
def guide(page):
    """Give the page's names as they were when it ended, without what other tests left."""
    page.calls.clear()
    page.seconds.clear()
    page.device.signed = 0
    names = dict(page.globals)
    stacks = [(stack(made), set(stack(made))) for made in names.values() if isinstance(made, Builder)]
    yield page
    page.globals.update(names)
    page.sandbox.clear_faults()
    page.trace_id.set("-")
    for edited, known in stacks:
        for name in set(edited) - known:
            edited.remove(name)


@pytest.fixture
def sandbox(guide):
    """Give the page's sandbox, which has received nothing yet."""
    guide.sandbox._exchanges.clear()
    return guide.sandbox


@pytest.fixture(scope="module")
def service(page):
    """Run the signing service in a process of its own."""
    identity = page.sandbox.identity
    given = {
        "mchid": identity.mchid,
        "serial": identity.serial,
        "private_key": identity.private_key_pem,
        "token": TOKEN,
    }
    command = [sys.executable, str(SERVICE)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdin.write(json.dumps(given) + "\n")
        process.stdin.flush()
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.stdin.close()
        process.wait(10)


@pytest.fixture
def signing(guide, service):
    """Point the guide's recipes at the service."""
    guide.globals |= {"SIGNER": service, "TOKEN": TOKEN}
    return guide


def stack(instance):
    """Give the stack of APIv3."""
    return instance.getDriver().select("v3").stack


def state(client, instance):
    """Ask the sandbox something, and give what it says."""
    return client.call(instance[PALM], "get", query=QUERY).json()["state"]


def test_guides_own_stack_works_as_a_whole(guide, client):
    """All that the guide pushes, in its order, lets a call through."""
    assert "AUTHORIZATION_STATE_ON" == state(client, guide.instance)
    assert ["trace", "measured", "retry", "settled", "signer", "traced", "verifier"] == (
        list(stack(guide.instance))
    )


def test_service_signs_texts(sandbox, signing, client):
    """The function is all that stands in for the key."""
    assert "AUTHORIZATION_STATE_ON" == state(client, signing.remote)
    assert signing.sign is signing.remote.getDriver()._settings.merchant.private_key


@pytest.mark.parametrize("name", ["remote", "guarded"])
@pytest.mark.parametrize(
    "change", [{"TOKEN": "stolen"}, {"SIGNER": "http://127.0.0.1:9"}], ids=["no", "away"]
)
def test_service_that_does_not_sign_is_a_connect_error(sandbox, signing, client, name, change):
    """Nothing was sent, so it is safe to try again; and `retry` does."""
    signing.globals |= change
    attempts = []

    def counting(request, proceed):
        attempts.append(request.path)
        return (yield from proceed(request))

    instance = signing.globals[name]
    stack(instance).push(retry(2, delay=0))
    stack(instance).push(counting)

    with pytest.raises(ConnectError, match="the signing service did not sign"):
        state(client, instance)
    assert [] == sandbox.requests
    assert 2 == len(attempts)


def test_service_writes_the_whole_header(sandbox, signing, client):
    """The sandbox takes it; the process has neither the key nor its serial number to do with it."""
    assert "AUTHORIZATION_STATE_ON" == state(client, signing.guarded)


def test_service_decides_what_it_signs(sandbox, signing, client):
    """This one lets nobody post."""
    with pytest.raises(ConnectError, match="the signing service did not sign: HTTPError"):
        client.call(signing.guarded["v3/pay/transactions/jsapi"], "post", json={"amount": 1})
    assert [] == sandbox.requests


def test_nobody_signs_without_the_service(sandbox, signing, client):
    """Whoever calls the function in the key's place is told."""
    with pytest.raises(RuntimeError, match="only the signing service signs requests"):
        signing.guarded.getDriver()._settings.merchant.private_key("text")


def test_device_signs_one_text_at_a_time(guide, client):
    """And what it signs is taken."""
    assert "AUTHORIZATION_STATE_ON" == state(client, guide.sealed)
    assert 1 == guide.device.signed


def test_slow_device_holds_no_event_loop_up(guide):
    """Ten signatures take 0.2 s; the loop goes on meanwhile."""
    beats = []

    async def beat():
        while True:
            beats.append(time.monotonic())
            await asyncio.sleep(0.005)

    async def main():
        heart = asyncio.create_task(beat())
        await asyncio.gather(*(guide.sealed[PALM].getAsync(query=QUERY) for _ in range(10)))
        heart.cancel()
        await guide.sealed.getDriver().aclose()

    asyncio.run(main())

    assert 10 == guide.device.signed
    assert 10 < len(beats)


def test_trace_has_a_line_for_each_attempt(sandbox, guide, client, caplog):
    """With the caller's own id, and WeChat Pay's; and nothing of what was asked."""
    caplog.set_level(logging.INFO, "payments")
    instance = Builder(**sandbox.settings())
    stack(instance).push(retry(2, delay=0))
    stack(instance).after("signer", guide.traced)
    sandbox.inject(faults.ErrorResponse(429, "RATELIMIT_EXCEEDED"))
    guide.trace_id.set("blue-1")
    state(client, instance)
    instance.getDriver().close()
    lines = [record.getMessage() for record in caplog.records if record.name == "payments"]

    assert 2 == len(lines)
    assert re.fullmatch(rf"trace=blue-1 GET /{PALM} → APIError in \d+ ms, Request-ID 08\w+-0", lines[0])
    assert re.fullmatch(rf"trace=blue-1 GET /{PALM} → 200 in \d+ ms, Request-ID 08\w+-0", lines[1])


def test_trace_says_an_attempt_without_a_response(sandbox, guide, client, caplog):
    """There is no Request-ID then."""
    caplog.set_level(logging.INFO, "payments")
    instance = Builder(**sandbox.settings())
    stack(instance).after("signer", guide.traced)
    sandbox.inject(faults.Reset())
    with pytest.raises(NoResponseError):
        state(client, instance)
    instance.getDriver().close()

    assert re.search(r"trace=- GET .* → NoResponseError in \d+ ms, Request-ID -$", caplog.text.strip())


def test_metrics_count_outcomes(sandbox, guide, client):
    """By what was asked, without ids, and how it went."""
    what = "GET v3/palmservice/authorization/openid/{openid}"
    sandbox.inject(faults.ErrorResponse(400, "PARAM_ERROR"))
    with pytest.raises(APIError):
        state(client, guide.instance)
    sandbox.inject(faults.WrongSignature())
    with pytest.raises(Exception, match="signature"):
        state(client, guide.instance)
    state(client, guide.instance)

    assert {(what, "PARAM_ERROR"): 1, (what, "SignatureError"): 1, (what, "ok"): 1} == guide.calls
    assert guide.seconds[what] > 0


def test_metrics_count_cancelled_calls(sandbox, guide):
    """What nobody waited for is counted as such."""
    sandbox.inject(faults.Delay(5))

    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(guide.instance[PALM].getAsync(query=QUERY), 0.1)
        await guide.instance.getDriver().aclose()

    asyncio.run(main())

    assert {("GET v3/palmservice/authorization/openid/{openid}", "cancelled"): 1} == guide.calls


@pytest.fixture
def reach(sandbox, guide):
    """Give a function that makes a Builder with `failover` behind a proxy, and the proxy."""
    made, proxies = [], []

    def reach(*away, base_uri=f"https://{API}/"):
        proxy = Outage(sandbox.address.tls.rsplit(":", 1)[1].strip("/"), *away)
        # The sandbox's own certificate is for loopback.
        instance = Builder(**sandbox.settings(base_uri=base_uri, proxies={"https": proxy.url}, verify=False))
        stack(instance).push(guide.failover)
        made.append(instance)
        proxies.append(proxy)
        return instance, proxy

    yield reach
    for instance in made:
        instance.getDriver().close()
    for proxy in proxies:
        proxy.close()


unverified = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")


@unverified
def test_backup_is_asked_when_the_first_host_is_away(sandbox, reach, client):
    """After two attempts that did not leave; the sandbox takes the third, signed anew."""
    instance, proxy = reach(API)

    assert "AUTHORIZATION_STATE_ON" == state(client, instance)
    assert API2 == proxy.asked[-1]
    assert {API, API2} == set(proxy.asked)
    assert 1 == len(sandbox.requests)


@unverified
def test_backup_is_not_asked_while_the_first_host_responses(reach, client):
    """As long as it can be reached, it is the one."""
    instance, proxy = reach(API2)

    assert "AUTHORIZATION_STATE_ON" == state(client, instance)
    assert {API} == set(proxy.asked)


def test_backup_is_not_asked_when_the_outcome_is_unknown(sandbox, guide, client):
    """The request may have been carried out."""
    guide.globals["PRIMARY"] = sandbox.base_uri
    instance = Builder(**sandbox.settings())
    stack(instance).push(guide.failover)
    sandbox.inject(faults.Reset())

    with pytest.raises(NoResponseError):
        state(client, instance)
    instance.getDriver().close()
    assert 1 == len(sandbox.requests)


@unverified
def test_overseas_hosts_do_not_fail_over(reach, client):
    """Least of all to the mainland."""
    instance, proxy = reach("apihk.mch.weixin.qq.com", base_uri="https://apihk.mch.weixin.qq.com/")

    with pytest.raises(ConnectError):
        state(client, instance)
    assert {"apihk.mch.weixin.qq.com"} == set(proxy.asked)


def test_middleware_reaches_no_strangers(sandbox, guide, client):
    """`Authorization` is not handed to a host that is neither WeChat Pay's nor the configured one."""
    instance = Builder(**sandbox.settings())
    stack(instance).push(
        lambda request, proceed: (yield from proceed(request.with_(url="https://evil.example/")))
    )

    with pytest.raises(InvalidRequestError, match="nothing is sent there"):
        state(client, instance)
    instance.getDriver().close()


def test_retry_waits_out_a_rate_limit(sandbox, guide, client):
    """`retry` is what the guide pushes, too."""
    sandbox.inject(faults.ErrorResponse(429, "RATELIMIT_EXCEEDED"), times=2)
    instance = Builder(**sandbox.settings())
    stack(instance).push(guide.retry(3, delay=0.01))

    assert "AUTHORIZATION_STATE_ON" == state(client, instance)
    instance.getDriver().close()
    assert 3 == len({request.headers["Authorization"] for request in sandbox.requests})


class Refunds:
    """WeChat Pay's refunds, on a raw socket: it may lose its response, or the request.

    Attributes:
        mood: What becomes of each POST in turn: ``"done"``, ``"done, not told"`` or ``"lost"``.
    """

    def __init__(self, *mood):
        self.mood = list(mood)
        self.known = {}

    def __call__(self, seen, peer):
        """Respond to one request, which has to be signed."""
        merchants.signed_text(seen)
        if seen.method == "GET":
            number = seen.target.rsplit("/", 1)[1]
            found = self.known.get(number.replace("%7C", "|"))
            body = json.dumps(found or {"code": "RESOURCE_NOT_EXISTS"}).encode()
            peer.send(signed(body, "200 OK" if found else "404 Not Found"))
            return
        mood, refund = self.mood.pop(0), json.loads(seen.body)
        if mood != "lost":
            assert refund["out_refund_no"] not in self.known
            self.known[refund["out_refund_no"]] = {"status": "PROCESSING", "refund_id": "50"}
        if mood == "done":
            peer.send(signed(json.dumps(self.known[refund["out_refund_no"]]).encode()))
        else:
            peer.close()


@pytest.mark.parametrize(
    ("moods", "asked"),
    [
        (["done"], ["POST"]),
        (["done, not told"], ["POST", "GET"]),
        (["lost", "done"], ["POST", "GET", "POST"]),
    ],
    ids=["responded", "response lost", "request lost"],
)
def test_refund_is_settled_and_made_once(gateway, build, guide, client, moods, asked):
    """Whatever was lost: the caller learns of the one refund that there is."""
    guide.globals["Pause"] = lambda _: Pause(0)
    instance = build()
    stack(instance).push(guide.settled)
    gateway.behaviour = refunds = Refunds(*moods)
    refund = {"out_refund_no": "r|1", "amount": {"refund": 1, "total": 2, "currency": "CNY"}}
    response = client.call(instance[REFUNDS], "post", json=refund)

    assert {"status": "PROCESSING", "refund_id": "50"} == response.json()
    assert (["r|1"], asked) == (list(refunds.known), [seen.method for seen in gateway.seen])
    assert 1 == len({seen.body for seen in gateway.seen if seen.method == "POST"})


def test_what_cannot_be_settled_is_reported(gateway, build, guide, client):
    """Neither another request, nor a refund that cannot be looked up, is sent twice."""
    guide.globals["Pause"] = lambda _: Pause(0)
    instance = build()
    stack(instance).push(guide.settled)
    gateway.behaviour = lambda _, peer: peer.close()
    with pytest.raises(NoResponseError):
        client.call(instance["v3/transfer/batches"], "post", json={"out_batch_no": "b1"})

    def forbidden(seen, peer):
        if seen.method == "GET":
            peer.send(signed(b'{"code":"NO_AUTH"}', "403 Forbidden"))
        else:
            peer.close()

    gateway.behaviour = forbidden
    with pytest.raises(NoResponseError, match="outcome unknown") as caught:
        client.call(instance[REFUNDS], "post", json={"out_refund_no": "r1"})
    assert "NO_AUTH" == caught.value.__cause__.code
    assert ["POST", "POST", "GET"] == [seen.method for seen in gateway.seen]


def test_refund_whose_query_finds_no_connection_is_reported_as_unknown(gateway, build, guide, client):
    """The query was not sent; the refund was."""
    guide.globals["Pause"] = lambda _: Pause(0)
    instance = build()
    stack(instance).push(guide.settled)
    gateway.behaviour = lambda *_: gateway.close()

    with pytest.raises(NoResponseError, match="outcome unknown") as caught:
        client.call(instance[REFUNDS], "post", json={"out_refund_no": "r1"})
    assert isinstance(caught.value.__cause__, ConnectError)
