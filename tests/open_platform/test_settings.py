"""The settings ``app``, ``tokens`` and ``cloud``; and WeChat's cloud hosting."""

from __future__ import annotations

import pytest
from open_platform.accounts import APP, OPENID, SESSION, UNIONID
from wire.gateway import reply

from wechatpay import APIError, Builder, ConfigurationError, InvalidRequestError
from wechatpay.open_platform import MemoryTokens

QUERY = {"openid": OPENID, "transaction_id": "4200001"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"app": "wx1"}, 'app: give {"appid": …, "secret": …}'),
        ({"app": {"appid": "wx1"}}, "both of them and nothing else"),
        ({"app": APP | {"token": "x"}}, "both of them and nothing else"),
        ({"app": {"appid": "wx 1", "secret": "s"}}, "app: appid: give one word"),
        ({"app": {"appid": "wx1", "secret": ""}}, "app: secret: give one word"),
        ({"app": {"appid": "wx1", "secret": None}}, "app: secret: give it as text, not NoneType"),
        ({"app": {"appid": "wx1", "secret": "密"}}, "app: secret: give one word"),
        ({"app": APP, "tokens": {}}, "tokens: give a store such as FileTokens or RedisTokens, .* not dict"),
        ({"tokens": MemoryTokens()}, "tokens: keeps the access tokens of app, which was left out"),
        ({"cloud": "yes"}, "cloud: give True in WeChat's cloud hosting"),
        ({"cloud": True, "app": APP}, "cloud: .* leave app out there"),
    ],
)
def test_wrong_settings_are_refused(settings, words):
    """Each is checked at construction, by an error that names it and shows no secret."""
    with pytest.raises(ConfigurationError, match=words) as caught:
        Builder(**settings)

    assert APP["secret"] not in str(caught.value)


def test_app_stands_alone_and_shows_no_secret():
    """No other setting is needed; nothing that has the secret shows it."""
    driver = Builder(app=APP).getDriver()

    assert "<Stack token>" == repr(driver.select("mp").stack)
    assert APP["secret"] not in f"{driver!r}{driver._settings!r}{driver.select('mp')!r}"


def test_cloud_hosting_is_called_in_plain_and_without_token(build, gateway, client, platform):
    """With ``cloud`` the call goes to ``http://api.weixin.qq.com/`` with no token: the hosting adds it."""
    instance = build(cloud=True, base_uri="https://api.mch.weixin.qq.com/", proxies={"http": gateway.url})
    gateway.respond(reply(b'{"unionid":"U","errcode":0}'))
    response = client.call(instance.wxa.getpaidunionid, "get", query=QUERY)

    assert "U" == response.json()["unionid"]
    assert (
        f"GET http://api.weixin.qq.com/wxa/getpaidunionid?openid={OPENID}&transaction_id=4200001 HTTP/1.1"
        == gateway.seen[0].line
    )
    assert "api.weixin.qq.com" == gateway.seen[0].headers["host"]
    assert "authorization" not in gateway.seen[0].headers


def test_code_outside_the_hosting_is_reported(build, gateway, client, platform):
    """Elsewhere the platform misses a token, and the error says where the code has to run."""
    instance = build(cloud=True)
    with pytest.raises(APIError, match=r"41001: .* must run in WeChat's cloud hosting"):
        client.call(instance.cgiBin.message.template.send, "post", json={})


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("wxa/x", {"query": {"access_token": "T"}}),
        ("sns/jscode2session", {"query": SESSION | APP}),
        ("cgi-bin/stable_token", {"json": APP}),
    ],
    ids=["token", "secret", "body"],
)
def test_secrets_do_not_leave_in_plain(build, gateway, client, path, options):
    """What the hosting adds itself, or what is secret, is refused on the plain address."""
    instance = build(cloud=True, base_uri="https://api.mch.weixin.qq.com/", proxies={"http": gateway.url})
    with pytest.raises(InvalidRequestError, match="would be sent unencrypted"):
        client.call(instance[path], "post", **options)

    assert [] == gateway.seen


def test_plain_address_needs_cloud(build, gateway, client):
    """Without ``cloud`` no middleware can bring a request to the plain address."""
    instance = build(base_uri="https://api.mch.weixin.qq.com/", proxies={"http": gateway.url})

    def downgrade(request, proceed):
        return (yield from proceed(request.with_(url=request.url.replace("https:", "http:"))))

    instance.getDriver().select("mp").stack.after("token", downgrade)
    for query in ({"access_token": "T"}, {"component_access_token": "T"}):
        with pytest.raises(InvalidRequestError, match="would be sent unencrypted"):
            client.call(instance.wxa.x, "get", query=query)
    with pytest.raises(InvalidRequestError, match="neither the open platform's"):
        client.call(instance.sns.x, "get")

    assert [] == gateway.seen


def test_gateway_can_stand_for_the_hosting(build, gateway, client, platform):
    """On a laptop, ``cloud`` with a base URI of one's own calls that, without a token."""
    instance = build(cloud=True)
    gateway.respond(reply(b"{}"))
    client.call(instance.wxa.getpaidunionid, "get", query=QUERY)
    client.call(instance.wxa.x, "get", query={"access_token": "mine"})

    assert [f"/wxa/getpaidunionid?openid={OPENID}&transaction_id=4200001", "/wxa/x?access_token=mine"] == [
        seen.target for seen in gateway.seen
    ]


def test_settings_of_php_work(platform, gateway, client):
    """``Builder.factory`` takes the same names."""
    with Builder.factory({"app": APP, "base_uri": gateway.url, "tokens": MemoryTokens()}) as instance:
        assert UNIONID == client.call(instance.wxa.getpaidunionid, "get", query=QUERY).json()["unionid"]
