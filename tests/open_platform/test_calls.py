"""The open platform's JSON API through the chain: tokens, secrets, bodies, files, errors."""

from __future__ import annotations

import json

import pytest
from cases import each
from open_platform.accounts import APP, OPENID, SESSION
from open_platform.gateway import JPEG

from wechatpay import APIError, ConfigurationError, InvalidRequestError
from wechatpay.media import Media


@each(
    ("option", "words"),
    [
        ({"xml": {"a": 1}}, "xml: APIv2's"),
        ({"security": True}, "security: APIv2's; the merchant certificate is never sent"),
        ({"nonceless": True}, "nonceless: APIv2's"),
        ({"body": 1}, "body: give bytes or text, not int"),
        ({"body": "\ud800"}, "body: holds a lone surrogate"),
        ({"json": float("nan")}, "json: a float"),
        ({"headers": {"Authorization": "x"}}, "headers: Authorization is written by the core"),
        ({"media": Media(b"", "1", filename="a")}, "meta: "),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_foreign_options_are_refused(instance, gateway, client, option, words):
    """Options of other protocols, and bodies that cannot be sent, are errors before anything leaves."""
    with pytest.raises(InvalidRequestError, match=words):
        client.call(instance.wxa.x, "post", query={"access_token": "T"}, **option)

    assert [] == gateway.seen


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ({"json": {"name": "微信", "a": [1]}}, '{"name":"微信","a":[1]}'.encode()),
        ({"body": '{"name":"微信"}'}, '{"name":"微信"}'.encode()),
        ({"body": b"{}"}, b"{}"),
        ({"body": bytearray(b"{}")}, b"{}"),
    ],
    ids=["json", "text", "bytes", "bytearray"],
)
def test_bodies_leave_as_they_are_given(instance, gateway, client, option, expected):
    """JSON goes as compact UTF-8, which the platform wants; a ready body as it is."""
    client.call(instance.cgiBin.message.template.send, "post", **option)

    assert expected == gateway.seen[-1].body
    assert "application/json" == gateway.seen[-1].headers["content-type"]


def test_paths_beyond_the_three_prefixes_are_reached_by_url(tunnel, build, client):
    """An absolute URL names any of the platform's interfaces, and gets the app's token as well."""
    settings, _, _ = tunnel
    instance = build(**settings, app=APP)
    url = "https://api.weixin.qq.com/datacube/getweanalysisappidvisittrend"
    response = client.call(instance[url], "post", json={"begin_date": "20251101"})

    assert APP["appid"] == response.json()["appid"]


def test_sessions_are_fetched_with_the_secret(instance, gateway, client):
    """``sns/jscode2session`` gets the app's id and secret, and no token, unless the caller brings them."""
    query = SESSION
    found = client.call(instance.sns.jscode2session, "get", query=query).json()
    mine = client.call(instance.sns.jscode2session, "get", query={**APP, **query}).json()
    half = client.call(instance.sns.jscode2session, "get", query={"appid": APP["appid"], **query}).json()

    assert found == mine == half == {"openid": f"openid of {APP['appid']}", "session_key": "key"}
    assert 3 == len(gateway.seen)
    assert all("access_token" not in seen.target for seen in gateway.seen)


def test_secret_goes_to_no_other_app(instance, gateway, client):
    """A call in the name of another app does not get this one's secret."""
    query = {"appid": "wx0", **SESSION}
    with pytest.raises(APIError, match="41004"):
        client.call(instance.sns.jscode2session, "get", query=query)

    assert APP["secret"] not in gateway.seen[-1].target


def test_image_or_error_whichever_comes(instance, client, tmp_path):
    """A picture is the response, in memory or in a sink; an ``errcode`` in its place is an error."""
    node = instance.wxa.getwxacode
    assert JPEG == client.call(node, "post", json={"path": "pages/index"}).content

    file = tmp_path / "code.jpg"
    response = client.call(node, "post", json={"path": "pages/index"}, sink=file)
    assert (b"", JPEG) == (response.content, file.read_bytes())

    with pytest.raises(APIError, match="40159: invalid length for path") as caught:
        client.call(node, "post", json={"path": ""}, sink=tmp_path / "none.jpg")
    assert 40159 == json.loads(caught.value.response.content)["errcode"]
    assert [file] == list(tmp_path.iterdir())


def test_files_are_uploaded(instance, client):
    """A file goes as the part ``media``, behind the fields that the interface wants."""
    media = Media(b"\x89PNG" * 1000, {"description": {"title": "t"}, "x": "y"}, filename="shop.png")
    response = client.call(instance.cgiBin.media.upload, "post", media=media, query={"type": "image"})

    assert {"type": "image", "media_id": "M", "size": 4000, "fields": 2} == response.json()


def test_call_without_app_or_token_says_what_it_needs(build, platform, client):
    """No settings are needed for a caller's own token; without one, the error names the ways."""
    instance = build()
    with pytest.raises(ConfigurationError, match="/wxa/getpaidunionid needs an access_token: pass it"):
        client.call(instance.wxa.getpaidunionid, "get", query={"openid": OPENID, "transaction_id": "4200001"})

    assert [] == platform.calls


@pytest.mark.parametrize("name", ["access_token", "component_access_token"])
def test_own_token_is_left_alone(instance, gateway, client, name):
    """A token in the query, in whatever form, is the one that is used; none is fetched."""
    gateway.behaviour = lambda _, peer: peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    client.call(instance.wxa.x, "get", query={name: "mine"})
    client.call(instance.chain("wxa/x{?access_token}"), "get", access_token="mine")

    assert [f"/wxa/x?{name}=mine", "/wxa/x?access_token=mine"] == [seen.target for seen in gateway.seen]


def test_other_ways_to_tokens_get_none(instance, gateway, client):
    """Interfaces that give tokens need none; where the query takes the app's secret, they get it."""
    client.call(instance.cgiBin.token, "get", query={"grant_type": "client_credential"})
    body = {**APP, "grant_type": "client_credential"}
    client.call(instance["cgi-bin/stable_token"], "post", json=body)

    assert ["/cgi-bin/token", "/cgi-bin/stable_token"] == [s.target.split("?")[0] for s in gateway.seen]
    assert all("access_token" not in seen.target for seen in gateway.seen)


def test_middlewares_stand_outside_the_token(build, gateway, platform, client):
    """``push``, and the Builder's middlewares, see requests before the token is added; ``after`` sees it."""
    seen = []

    def watch(request, proceed):
        seen.append("access_token" in request.target)
        return (yield from proceed(request))

    instance = build(app=APP, middlewares={"mine": watch})
    stack = instance.getDriver().select("mp").stack
    stack.push(watch, "pushed")
    stack.after("token", watch, "inner")
    client.call(instance.cgiBin.message.template.send, "post", json={})

    assert "<Stack mine → pushed → token → inner>" == repr(stack)
    # The inner one sees what fetches the token, too.
    assert [False, False, False, True] == seen


def test_token_can_come_from_elsewhere(build, platform, client):
    """The middleware ``token`` can be replaced, by one that asks a server of one's own."""
    instance = build(app=APP)

    def other(request, proceed):
        return (yield from proceed(request.with_(url=f"{request.url}?access_token=theirs")))

    instance.getDriver().select("mp").stack.replace("token", other)
    with pytest.raises(APIError, match="40014"):
        client.call(instance.cgiBin.message.template.send, "post", json={})

    assert [] == platform.fetches
