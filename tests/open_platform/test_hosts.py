"""Where requests to the open platform go, and that nothing of WeChat Pay's goes there."""

from __future__ import annotations

import pytest
from open_platform.accounts import APP, OPENID, SESSION, UNIONID

from wechatpay import Builder, ConfigurationError, InvalidRequestError
from wechatpay.media import Media

CREDENTIALS = ("authorization", "wechatpay-serial", "x-wechatpay", "cookie")


def spellings(instance):
    """Spell the same call in three ways."""
    return (
        instance.wxa.getpaidunionid,
        instance.chain("wxa/getpaidunionid"),
        instance["https://api.weixin.qq.com/wxa/getpaidunionid"],
    )


@pytest.mark.parametrize("spelling", range(3), ids=["attributes", "chain", "url"])
def test_payers_unionid_is_reported(tunnel, build, client, spelling):
    """By default the call reaches ``https://api.weixin.qq.com/``, with a token that was fetched for it."""
    settings, tls, proxy = tunnel
    instance = build(**settings, app=APP)
    response = client.call(
        spellings(instance)[spelling], "get", query={"openid": OPENID, "transaction_id": "4200001"}
    )

    assert {"unionid": UNIONID, "errcode": 0, "errmsg": "ok"} == response.json()
    assert {"api.weixin.qq.com:443"} == set(proxy.asked)
    assert ["POST /cgi-bin/stable_token", "GET /wxa/getpaidunionid"] == [
        seen.line.split("?")[0].removesuffix(" HTTP/1.1") for seen in tls.seen
    ]


def test_no_payment_credential_reaches_the_platform(tunnel, build, client, platform):
    """What arrives at the host, byte for byte, has no signature, serial, merchant id or key of ours in it."""
    settings, tls, _ = tunnel
    instance = build(
        **settings,
        app=APP,
        secret="v2secret0of032characters00000000",
        headers={"X-Ours": "1", "Wechatpay-Serial": "PUB_KEY_ID_0114232134912410000000000000"},
    )
    query = {"openid": OPENID, "transaction_id": "4200001"}
    client.call(instance.wxa.getpaidunionid, "get", query=query, headers={"wechatpay-nonce": "x"})
    client.call(instance.cgiBin.message.template.send, "post", json={"touser": OPENID})
    client.call(
        instance.cgiBin.media.upload, "post", media=Media(b"..", filename="a"), query={"type": "image"}
    )

    assert [] == platform.leaks
    assert 4 == len(tls.seen)
    for seen in tls.seen:
        everything = (seen.head + seen.body).lower()
        assert seen.headers.keys().isdisjoint(CREDENTIALS)
        assert b"x-ours: 1" in everything
        for secret in (b"wechatpay2", b"pub_key_id", b"1900000109", b"3775b6a4", b"v2secret", b"signature"):
            assert secret not in everything


def sign(request, proceed):
    """Do what a misplaced middleware may do."""
    return (yield from proceed(request.with_(headers={"Authorization": "WECHATPAY2-SHA256-RSA2048 x"})))


def mutual(request, proceed):
    """Ask for the merchant certificate."""
    return (yield from proceed(request.with_(mutual=True)))


def sealed(request, proceed):
    """Send what was signed for WeChat Pay to the platform."""
    return (yield from proceed(request.with_(url="https://api.weixin.qq.com/v3/certificates")))


def direct(request, proceed):
    """Go around the rest of the stack."""
    signed = request.with_(headers={"Authorization": "WECHATPAY2-SHA256-RSA2048 x"})
    return (yield signed)


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("middleware", [sign, mutual, direct])
def test_no_middleware_can_send_a_credential(tunnel, build, client, middleware, place):
    """Whatever a middleware adds, at whatever place, a request with a payment credential does not leave."""
    settings, tls, _ = tunnel
    instance = build(**settings)
    getattr(instance.getDriver().select("mp").stack, place)("token", middleware)
    with pytest.raises(
        InvalidRequestError, match="no signature, no Authorization and no merchant certificate"
    ):
        client.call(instance.wxa.x, "get", query={"access_token": "T"})

    assert [] == tls.seen


@pytest.mark.parametrize("middleware", [sign, mutual])
def test_no_middleware_can_send_a_credential_to_a_gateway(instance, gateway, client, middleware):
    """The same where the Builder's base URI, which payments go to, stands for the platform."""
    instance.getDriver().select("mp").stack.push(middleware)
    with pytest.raises(InvalidRequestError, match="merchant certificate"):
        client.call(instance.wxa.x, "get", query={"access_token": "T"})

    assert [] == gateway.seen


@pytest.mark.parametrize("place", [("before", "signer"), ("after", "signer")], ids=["outside", "inside"])
def test_signed_requests_cannot_be_led_astray(tunnel, build, client, place):
    """A middleware of APIv3 that names the platform's host sends nothing, inside the signer or outside."""
    settings, tls, _ = tunnel
    instance = build(**settings)
    where, neighbour = place
    getattr(instance.getDriver().select().stack, where)(neighbour, sealed)
    with pytest.raises(InvalidRequestError):
        client.call(instance.v3.certificates, "get")

    assert [] == tls.seen


@pytest.mark.parametrize(
    "path",
    [
        "https://api.mch.weixin.qq.com/wxa/getpaidunionid",
        "http://api.weixin.qq.com/wxa/x",
        "https://api.weixin.qq.com:8443/wxa/x",
        "https://evil.example/wxa/x",
    ],
)
def test_other_hosts_are_refused(build, client, path):
    """A path of the platform goes to the platform: to no payment host, no other port, not in plain text."""
    instance = build(base_uri="https://api.mch.weixin.qq.com/")
    with pytest.raises(InvalidRequestError, match="nothing is sent there"):
        client.call(instance[path], "get", query={"access_token": "T"})


@pytest.mark.parametrize("path", ["v3/certificates", "v2/pay/orderquery"])
def test_payment_paths_never_go_to_the_platform(build, client, path):
    """A base URI of the platform on a payment call is refused."""
    instance = build(base_uri="https://api.mch.weixin.qq.com/", secret="s" * 32)
    with pytest.raises(InvalidRequestError, match="neither WeChat Pay's"):
        client.call(instance[path], "get", base_uri="https://api.weixin.qq.com/")


@pytest.mark.parametrize("base_uri", ["https://api.weixin.qq.com/", "https://API.weixin.qq.com:443/x/"])
def test_platform_is_not_a_place_for_payments(base_uri):
    """A Builder whose base URI is the open platform would sign requests to it: it is refused."""
    with pytest.raises(ConfigurationError, match=r"base_uri: .* is the open platform"):
        Builder(base_uri=base_uri)


@pytest.mark.parametrize("base_uri", ["https://apihk.mch.weixin.qq.com/", "https://api2.wechatpay.cn/hk/"])
def test_other_payment_hosts_leave_the_platform_where_it_is(tunnel, build, client, base_uri):
    """A Builder for an overseas or backup host still finds the open platform."""
    settings, tls, proxy = tunnel
    instance = build(**settings | {"base_uri": base_uri})
    client.call(instance.sns.jscode2session, "get", query=SESSION | APP)

    assert ["api.weixin.qq.com:443"] == proxy.asked
    assert ["/sns/jscode2session"] == [seen.target.partition("?")[0] for seen in tls.seen]
