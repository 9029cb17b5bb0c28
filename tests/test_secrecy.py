"""Nothing that is shown of a call, whatever becomes of it, holds a credential, a query value or a body.

Shown are texts, logs of all libraries at DEBUG, `debug=True`, pickles and tracebacks, with the local
variables of our frames, as error trackers show them.
"""

from __future__ import annotations

import json
import logging
import pickle
import re
import traceback

import keys
import pytest
from cases import each
from sandboxes import identity
from wire import clients
from wire.gateway import reply, signed

from wechatpay import Builder, ConfigurationError, InvalidRequestError, WeChatPayError, payment
from wechatpay.crypto import aes_ecb, aes_gcm, hashing, rsa, sm4_gcm
from wechatpay.notification import NotificationHandler, RedisStore
from wechatpay.open_platform import RedisTokens
from wechatpay.sandbox import Sandbox, faults

OPENID = "oUpF8uMuAJOM2pxb1Q"
QUERY = {"organization_id": "query-value", "access_token": "secret-token", "secret": "secret-query"}
SENT = ["query-value", "secret-token", "secret-query", "secret-body", "secret-header", "secret-apiv2"]
RECEIVED = ["AUTHORIZATION_STATE", "<h1>", "secret-response", "secret-place"]

#: What became of a call, and the verbs that meet it.
FATES = [
    None,
    faults.WrongSignature(),
    faults.UnknownSerial(),
    faults.OldTimestamp(),
    faults.MissingHeader(),
    faults.Probe(),
    faults.TamperedBody(),
    faults.ErrorResponse(),
    faults.ErrorResponse(400, "PARAM_ERROR"),
    faults.HtmlPage(),
    faults.Redirect("https://pay.weixin.qq.com/?secret-place"),
    faults.Reset(),
    faults.Delay(0.2),
    faults.TruncatedBody(),
]


@pytest.fixture(params=[clients.Sync, clients.Async, clients.Promised], ids=["sync", "async", "promise"])
def client(request):
    """Give each of the three ways of making a call: their frames and logs differ."""
    return request.param()


@pytest.fixture(scope="module")
def sandbox():
    """Give a WeChat Pay on loopback."""
    with Sandbox(identity=identity()) as sandbox:
        yield sandbox


@pytest.fixture
def ears(caplog, capfd):
    """Give a function that tells all that was logged and printed so far."""
    caplog.set_level(logging.DEBUG)
    return lambda: "".join(
        [*(str(line.getMessage()) + str(line.args) for line in caplog.records), *capfd.readouterr()]
    )


def told(thing):
    """Tell all that an error, a response or a request says of itself."""
    if isinstance(thing, BaseException):
        yield from told(thing.request)
        yield from told(thing.response)
        yield from traceback.format_exception(thing)
        yield from locals_of(thing)
    yield f"{thing!s}{thing!r}"
    yield pickle.dumps(thing).decode("latin-1")


def locals_of(error):
    """List the local variables of our frames."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if "/wechatpay/" in frame.f_code.co_filename:
            yield from (f"{name}={value!r}" for name, value in frame.f_locals.items())


def attempt(client, node, verb, **options):
    """Make a call, and give its response or its error."""
    try:
        return client.call(node, verb, **options)
    except WeChatPayError as error:
        return error


@pytest.mark.parametrize("verb", ["get", "post"])
@pytest.mark.parametrize("fate", FATES, ids=lambda fate: type(fate).__name__)
def test_call_is_reported_without_its_secrets(sandbox, client, ears, fate, verb):
    """Neither success nor any failure lets out what was sent, what it was signed with, or what came back."""
    sandbox.clear_faults()
    if fate:
        sandbox.inject(fate)
    options = {"openid": OPENID, "query": QUERY, "headers": {"X-Note": "secret-header"}, "debug": True}
    if isinstance(fate, faults.Delay):
        options["timeout"] = 0.1
    if verb == "post":
        options["json"] = {"payer": "secret-body"}
    with Builder(**sandbox.settings(secret="secret-apiv2".ljust(32, "0"))) as instance:
        node = instance.v3.palmservice.authorization.openid._openid_
        outcome = attempt(client, node, verb, **options)
        said = "".join(
            [*told(outcome), ears(), repr(instance.getDriver()), repr(instance.getDriver().select().stack)]
        )

    assert f"/v3/palmservice/authorization/openid/{OPENID}" in said
    assert [] == [secret for secret in [*SENT, *RECEIVED, *signing(sandbox)] if secret in said]


def signing(sandbox):
    """List what the last request was signed with, and by."""
    authorization = sandbox.requests[-1].headers["Authorization"]
    return [
        re.search('signature="(.*?)"', authorization)[1],
        *sandbox.identity.private_key_pem.splitlines()[1:4],
    ]


@pytest.mark.parametrize("response", [signed, reply], ids=["signed", "unsigned"])
def test_body_that_is_not_json_is_not_quoted(gateway, instance, client, ears, response):
    """What does not parse may be anything."""
    gateway.respond(response(b"secret-response"))
    outcome = attempt(client, instance.v3.pay, "get")
    if not isinstance(outcome, WeChatPayError):
        with pytest.raises(WeChatPayError) as caught:
            outcome.json()
        outcome = caught.value

    assert "secret-response" not in "".join([*told(outcome), ears()])


@pytest.mark.parametrize(
    "response",
    [
        b"secret-response",
        b"<xml><return_code>FAIL</return_code><note>secret-response</note></xml>",
        b"<xml><return_code>SUCCESS</return_code><note>secret-response</note></xml>",
    ],
    ids=["no XML", "failed", "unsigned"],
)
def test_digested_call_is_reported_without_its_secrets(gateway, build, client, ears, response):
    """APIv2's key signs every field: neither the key, nor the fields, nor their digest are told."""
    gateway.respond(reply(response))
    instance = build(secret="secret-apiv2".ljust(32, "0"))
    fields = {"mch_id": "1900000109", "note": "secret-body"}
    outcome = attempt(client, instance.v2.pay.orderquery, "post", xml=fields, debug=True)
    sign = re.search(rb"<sign>(?:<!\[CDATA\[)?(\w+)", gateway.seen[0].body)[1].decode()

    said = "".join([*told(outcome), ears(), repr(instance.getDriver())])
    assert isinstance(outcome, WeChatPayError)
    assert [] == [secret for secret in [*SENT, *RECEIVED, sign] if secret in said]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_password_is_not_reported(client, ears, scheme):
    """A proxy that cannot be reached is named by what failed, not by its URL."""
    settings = identity().settings() | {"proxies": {scheme: "http://user:secret-proxy@127.0.0.1:1"}}
    with Builder(**settings, base_uri=f"{scheme}://localhost:2/") as instance:
        outcome = attempt(client, instance.v3.pay, "get", debug=True)
        said = "".join([*told(outcome), ears(), repr(instance.getDriver())])

    assert "nothing was sent: no connection to localhost:2" in said
    assert "secret-proxy" not in said


def test_refused_signature_is_reported_without_its_text(sandbox, client, ears):
    """SIGN_ERROR quotes the signed text, query and body with it: the error's own words do not."""
    with Builder(**sandbox.settings(private_key=keys.private_key("stranger"))) as instance:
        outcome = attempt(client, instance.v3.pay, "post", query=QUERY, json={"p": "secret-body"})

    assert "query-value" in json.dumps(outcome.detail)
    assert [] == [secret for secret in SENT if secret in "".join([*told(outcome), ears()])]


@each(
    "options",
    [
        {"json": {"p": "secret-body", "q": float("nan")}},
        {"json": ["secret-body", {"secret-body"}]},
        {"body": "secret-body\ud800"},
        {"json": {}, "body": "secret-body"},
        {"headers": {"X-Note": "secret-header\n"}},
        {"headers": {"Authorization": "secret-header"}},
        {"query": "secret=secret-query#"},
        {"query": {"secret": {"secret-query": 1}}},
        {"base_uri": "https://user:secret-token@api.mch.weixin.qq.com/"},
        {"base_uri": "https://evil.example/?secret-token"},
        {"acess_token": "secret-token"},
        {"id": "secret-token\r\n"},
        {"timeout": "secret-token"},
    ],
    ids=" ".join,
)
def test_wrong_call_is_reported_without_its_values(instance, client, ears, options):
    """The message names what was wrong, not what it held; nor does the cause that led to it."""
    with pytest.raises(InvalidRequestError) as caught:
        client.call(instance.v3.pay._id_, "post", **{"id": "1"} | options)

    text = "".join(traceback.TracebackException.from_exception(caught.value).format_exception_only())
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert [] == [secret for secret in SENT if secret in f"{caught.value!r}{text}{ears()}"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"private_key": keys.pem()[:500]},
        {"private_key": keys.pem().encode().replace(b"A", b"?")},
        {"secret": "secret apiv2"},
        {"headers": {"X-Note": "secret-header\n"}},
        {"base_uri": "https://user:secret-token@localhost/"},
        {"proxies": "http://user:secret-proxy@localhost"},
    ],
    ids=["cut key", "broken key", "secret", "headers", "base_uri", "proxies"],
)
def test_wrong_setting_is_reported_without_its_value(build, wrong):
    """A key that does not load is told by its length."""
    with pytest.raises(ConfigurationError) as caught:
        build(**wrong)

    said = f"{caught.value!r}{pickle.dumps(caught.value)}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert not any(secret in said for secret in ["secret ", "secret-", *keys.pem().splitlines()[1:4]])


#: The merchant's private key in the place of another setting.
MISPLACED = [
    *(
        {name: keys.pem()}
        for name in [
            *("mchid", "brand_id", "serial", "certs", "apiv3_key", "secret", "merchant", "app", "tokens"),
            *("base_uri", "timeout", "headers", "user_agent", "proxies", "verify", "session", "check"),
        ]
    ),
    {"certs": {"PUB_KEY_ID_1": keys.pem()}},
    {"certs": {"PUB_KEY_ID_1": keys.pem().encode()}},
    {"certs": {keys.pem(): "PUB_KEY_ID_1"}},
    {"certs": {1: keys.pem()}},
    {"merchant": {"cert": keys.pem(), "key": keys.pem()}},
    {"merchant": {keys.pem(): keys.pem()}},
    {"certs_cache": [keys.pem()]},
    {keys.pem(): 1},
    {"headers": {keys.pem(): "x"}},
    {"headers": {"X-Note": keys.pem()}},
    {"proxies": {keys.pem(): "http://localhost"}},
    {"proxies": {"https": keys.pem()}},
    {"middlewares": keys.pem()},
    {"middlewares": [keys.pem()]},
    {"middlewares": (keys.pem(), keys.pem())},
    {"middlewares": {"a": keys.pem()}},
    {"middlewares": {keys.pem(): "a"}},
]


@each("wrong", MISPLACED)
def test_private_key_in_the_place_of_another_setting_is_not_reported(build, wrong):
    """It is in no frame of ours, whichever setting it was given as."""
    with pytest.raises(ConfigurationError) as caught:
        build(**wrong)

    assert not quoted_lines(caught.value)


@each(
    "call",
    [
        lambda platform: platform.add("PUB_KEY_ID_1", keys.pem()),
        lambda platform: platform.add(keys.pem(), keys.public_key("platform")),
        lambda _: NotificationHandler(certs={"PUB_KEY_ID_1": keys.pem()}, apiv3_key="0" * 32),
        lambda _: NotificationHandler(secret="0" * 32, mchid=[keys.pem()]),
    ],
)
def test_private_key_in_the_place_of_another_is_not_reported(instance, call):
    """Nor is it where keys are given later."""
    with pytest.raises(ConfigurationError) as caught:
        call(instance.getDriver().platform)

    assert not quoted_lines(caught.value)


@each(
    "call",
    [
        lambda instance: instance.getDriver().select(keys.pem()),
        lambda _: Builder.factory({keys.pem().encode(): 1}),
        lambda _: Builder.factory({keys.pem(): 1}, **{keys.pem(): 1}),
        lambda instance: instance.v3.x.get({keys.pem(): 1}),
        lambda instance: instance.v3.x.get({keys.pem(): 1}, **{keys.pem(): 1}),
        lambda instance: instance.v3.x.get(headers={keys.pem(): "x"}),
    ],
)
def test_private_key_in_the_place_of_a_name_is_not_reported(instance, call):
    """Names are quoted in errors; one as long as a key is cut."""
    with pytest.raises((ConfigurationError, InvalidRequestError)) as caught:
        call(instance)

    assert not quoted_lines(caught.value)


def quoted_lines(error):
    """List the lines of the merchant's private key that an error shows."""
    said = "".join(told(error))
    return [line for line in keys.pem().splitlines()[1:-1] if line in said]


REDIS_URL = "redis://:secret-password@localhost:port/0"


@each("store", [RedisTokens, RedisStore])
def test_password_of_a_redis_server_is_not_reported(store):
    """The URL of a server may contain one."""
    pytest.importorskip("redis")
    with pytest.raises(ConfigurationError) as caught:
        store(REDIS_URL)

    assert not [text for text in told(caught.value) if "secret-password" in text]


KEY = "secret-key".ljust(32, "0")


@each(
    "call",
    [
        lambda: payment.jsapi_v2("wx1", "", KEY),
        lambda: payment.jsapi_v2("wx1", "p", KEY, "SHA1"),
        lambda: payment.app("wx1", "1", "", KEY),
        lambda: payment.workwx_redpack({}, KEY),
        lambda: hashing.sign("X", "a", KEY),
        lambda: hashing.hmac("a", KEY, "nope"),
        lambda: aes_gcm.decrypt("AAAA", KEY, "123456789012"),
        lambda: aes_gcm.encrypt("text", KEY, "1"),
        lambda: aes_ecb.decrypt("AAAA", KEY),
        lambda: sm4_gcm.decrypt("AAAA", KEY, "123456789012"),
        lambda: rsa.load_private_key(f"-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----"),
        lambda: rsa.sign("text", KEY),
        lambda: rsa.decrypt("AAAA", KEY),
    ],
)
def test_helper_reports_without_the_key_that_it_was_given(call):
    """The caller's own frames have it; ours do not."""
    with pytest.raises(WeChatPayError) as caught:
        call()

    assert not [text for text in told(caught.value) if "secret-key" in text]
