"""Settings are checked once, at construction, and each error names its setting."""

from __future__ import annotations

import authority
import digests
import interrupts
import keys
import merchants
import pytest
import requests
from cases import each
from wire.gateway import SERIAL

from wechatpay import Builder, ConfigurationError


def refused(**changes):
    """Make a Builder that must not be made; give what was said."""
    with pytest.raises(ConfigurationError) as caught:
        Builder(**merchants.settings(**changes))
    return str(caught.value)


@each(
    ("changes", "said"),
    [
        ({"mch_id": "1"}, "unknown setting 'mch_id'; did you mean mchid?"),
        ({"zzz": 1}, "unknown setting 'zzz'"),
        ({"proxy": "x"}, "proxy is not a setting: give `proxies`"),
        ({"handler": 1}, "handler is not a setting: give `middlewares`"),
        ({"serial": ""}, "serial: "),
        ({"serial": 'a"b'}, "serial: "),
        ({"serial": 5}, "serial: give it as text, not int"),
        (
            {"base_uri": "http://api.mch.weixin.qq.com/"},
            "base_uri: http://api.mch.weixin.qq.com is not encrypted",
        ),
        ({"base_uri": "api.mch.weixin.qq.com"}, "base_uri: "),
        ({"base_uri": 5}, "base_uri: give an https URL as text"),
        ({"base_uri": "https://localhost/?a=1"}, "base_uri: must be an absolute URL without query"),
        ({"base_uri": "https://localhost/a/../b/"}, "base_uri: has a path with a dot segment"),
        ({"base_uri": "https://localhost/a%00b/"}, "base_uri: has a path with CR, LF or NUL"),
        ({"base_uri": "https://api.weixin.qq.com/"}, "base_uri: api.weixin.qq.com is the open platform"),
        ({"timeout": 0}, "timeout: "),
        ({"headers": {"Authorization": "x"}}, "headers: Authorization is written by the core"),
        ({"user_agent": ""}, "User-Agent"),
        ({"pool_size": 0}, "pool_size: "),
        ({"pool_size": True}, "pool_size: "),
        ({"proxies": "http://proxy"}, "proxies: "),
        ({"verify": 5}, "verify: "),
        ({"verify": "/nowhere/ca.pem"}, "verify: there is no CA bundle"),
        ({"session": object()}, "session: give a requests.Session"),
        ({"middlewares": "x"}, "middlewares: "),
        ({"middlewares": [print]}, "a middleware is a generator function"),
        ({"check": "false"}, "check: give True or False, not str"),
        ({"clock": 5}, "clock: a function"),
        ({"nonce": "x"}, "nonce: a function"),
        ({"certs": {"": keys.public_pem("platform")}}, "certs: "),
        ({"certs": {"AB": keys.certificate_pem("platform")}}, "certs['AB']: "),
    ],
    ids=lambda value: str(next(iter(value))) if isinstance(value, dict) else "",
)
def test_wrong_setting_is_refused_by_name(changes, said):
    """The person who configures reads which setting, and what it takes."""
    assert said in refused(**changes)


@pytest.mark.parametrize("missing", ["mchid", "serial", "private_key", "certs"])
def test_group_that_is_begun_must_be_complete(missing):
    """A merchant without one of the four could only fail later."""
    given = merchants.settings()
    del given[missing]
    with pytest.raises(ConfigurationError, match=missing):
        Builder(**given)


@pytest.mark.parametrize("begun", [{}, {"secret": "0" * 32}], ids=["v3", "v3 and v2"])
def test_merchant_certificate_is_loaded_at_once(begun):
    """A file that does not exist is an error now, not when APIv2's secret is added."""
    pair = {"cert": "/nowhere/apiclient_cert.pem", "key": "/nowhere/apiclient_key.pem"}
    with pytest.raises(ConfigurationError, match=r"merchant.*no such file: '/nowhere/apiclient_cert.pem'"):
        Builder(**{**merchants.settings(), **begun, "merchant": pair})


def test_php_spelling_and_ours_are_one_setting():
    """``privateKey`` is ``private_key``; both at once is one too many."""
    given = merchants.settings()
    key = given.pop("private_key")

    assert Builder.factory({**given, "privateKey": key}).v3
    with pytest.raises(ConfigurationError, match="private_key: given twice"):
        Builder.factory({**given, "privateKey": key, "private_key": key})


def test_error_shows_no_key():
    """A key that does not load is not quoted, neither in the message nor in the traceback."""
    text = keys.pem("merchant").replace("A", "B")
    with pytest.raises(ConfigurationError) as caught:
        Builder(**merchants.settings(private_key=text))

    assert text[60:90] not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_call_without_its_group_says_what_it_needs():
    """Transport settings alone make a Builder; its calls say what they lack."""
    with pytest.raises(ConfigurationError, match="mchid, serial, private_key, and certs"):
        Builder().v3.certificates.get()


def test_settings_reach_the_wire(gateway, build, client):
    """Clock, nonce, user agent and middlewares are the caller's."""
    passed = []

    def watch(request, proceed):
        passed.append(request.path)
        return (yield from proceed(request))

    with requests.Session() as session:
        instance = build(
            session=session, user_agent="shop/1", nonce=lambda: "N" * 32, middlewares={"watch": watch}
        )
        client.call(instance.v3.x, "get")

    assert "shop/1" == gateway.seen[0].headers["user-agent"]
    assert "N" * 32 == merchants.nonce(gateway.seen[0])
    assert ["/v3/x"] == passed
    assert ["watch", "signer", "verifier"] == list(instance.getDriver().select().stack)


@pytest.mark.parametrize(
    "form",
    ["key", "text", "bytes", "path", "file URL", "str path"],
)
def test_private_key_in_each_form(form, tmp_path, gateway, build):
    """A key may be what a merchant has at hand."""
    path = tmp_path / "apiclient_key.pem"
    path.write_text(keys.pem("merchant"))
    forms = {
        "key": keys.private_key("merchant"),
        "text": keys.pem("merchant"),
        "bytes": keys.pem("merchant").encode(),
        "path": path,
        "file URL": f"file://{path}",
        "str path": str(path),
    }
    build(private_key=forms[form]).v3.certificates.get()

    assert merchants.signed_text(gateway.seen[0])


def test_builders_headers_are_merged_by_name(gateway, build, client):
    """One header has one value, however it is spelt, and ``None`` removes a default one."""
    instance = build(headers={"user-agent": "shop/1", "Accept": None}, user_agent="shop/2")
    client.call(instance.v3.x, "get")

    assert "shop/2" == gateway.seen[0].headers["user-agent"]
    assert "accept" not in gateway.seen[0].headers


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("connect_timeout", "connect_timeout is not a setting: give `timeout`: (connect, read) in seconds"),
        ("cert", "cert is not a setting: give `merchant`: {'cert': …, 'key': …}"),
        ("version", "unknown setting 'version'"),
        ("cookies", "cookies is not a setting: cookies are never sent; leave it out"),
        ("debug", "debug is not a setting: give debug=True to a call, or log `wechatpay` at DEBUG"),
    ],
)
def test_hint_for_an_unknown_setting_does_not_mislead(name, hint):
    """A setting of another library names what to do here, and only close names are suggested."""
    with pytest.raises(ConfigurationError) as caught:
        Builder(**{name: 1})

    assert hint == str(caught.value)


MERCHANT_CERTIFICATE = keys.certificate("merchant", keys.MERCHANT_SERIAL)


@pytest.mark.parametrize("serial", [SERIAL, merchants.MERCHANT_SERIAL, "AB"], ids=["id", "own", "wrong"])
@pytest.mark.parametrize("source", [MERCHANT_CERTIFICATE, keys.public_key("merchant")], ids=["cert", "key"])
@pytest.mark.parametrize("own", [merchants.MERCHANT_SERIAL, "AB12"], ids=["serial", "wrong serial"])
def test_merchant_certificate_in_place_of_wechat_pays_is_refused(serial, source, own):
    """The most usual mistake: one error, at construction, says which file is the right one."""
    said = refused(certs={serial: source}, serial=own)

    assert f"certs['{serial}']: this is the merchant's own certificate or key; give WeChat Pay's" in said


@pytest.mark.parametrize(
    ("source", "is_dummy"),
    [
        ("any", True),
        ("nop", True),
        ("", True),
        ("/nowhere/apiclient_key.pem", False),
        ("apiclient_key.pem", False),
        (keys.pem()[:300], False),
        (keys.public_pem("platform"), False),
        (b"any", False),
    ],
    ids=["any", "nop", "empty", "path", "name", "cut", "public", "bytes"],
)
def test_only_a_dummy_key_is_advised_to_be_left_out(source, is_dummy):
    """PHP code for APIv2 alone passes dummies; whoever gives a key wants APIv3."""
    assert is_dummy == (
        "for APIv2 alone leave serial, private_key and certs out" in refused(private_key=source)
    )


@pytest.mark.parametrize("changes", [{}, {"certs": {"any": None}}], ids=["key", "all"])
def test_dummies_of_the_php_readme_are_explained(changes):
    """The text of PHP's README_APIv2, as it stands."""
    said = refused(serial="nop", private_key="any", secret="exposed_your_key_here_have_risks", **changes)

    assert "for APIv2 alone leave serial, private_key and certs out" in said


def test_redirects_may_be_refused_as_in_guzzle():
    """They are never followed: ``False`` asks for what happens anyway, ``True`` cannot be had."""
    assert Builder(**merchants.settings(allow_redirects=False)).v3
    assert "allow_redirects is not a setting: redirects are never followed" in refused(allow_redirects=True)


def test_names_of_settings_are_text():
    """A mapping with other names is refused."""
    with pytest.raises(ConfigurationError, match="unknown setting 5: names are text"):
        Builder.factory({5: 1})


LOCKED = authority.LOCKED
PASSWORD = "secret-proxy"
APIV3_KEY = "secret0apiv3key0of032characters0"
GIVEN = {
    "apiv3_key": APIV3_KEY,
    "secret": digests.SECRET,
    "private_key": keys.pem("merchant"),
    "merchant": {"cert": authority.CERT, "key": (LOCKED, "pass")},
    "app": {"appid": "wx8888888888888888", "secret": "secret-of-the-app"},
    "proxies": {"https": f"http://user:{PASSWORD}@127.0.0.1:1"},
}


@each(
    "wrong",
    [
        {"mch_id": "1"},
        {"mchid": "a b"},
        {"serial": "nop"},
        {"private_key": keys.pem("merchant")[:900]},
        {"private_key": (LOCKED, "wrong-secret")},
        {"apiv3_key": APIV3_KEY + "x"},
        {"secret": digests.SECRET[:31]},
        {"merchant": {"cert": authority.CERT, "key": (LOCKED, "wrong-secret")}},
        {"merchant": {"cert": authority.CERT, "key": authority.KEY, "x": 1}},
        {"app": {"appid": "", "secret": "secret-of-the-app"}},
        {"app": {"appid": "wx", "secret": "secret of the app"}},
        {"certs": {SERIAL: "nothing"}},
        {"timeout": 0},
        {"base_uri": "ftp://x/"},
        {"tokens": 1},
        {"proxies": f"http://user:{PASSWORD}@127.0.0.1:1"},
        {"proxies": {"https": f"socks5://user:{PASSWORD}@127.0.0.1:1"}},
        {"middlewares": [print]},
        {"verify": "/nowhere/ca.pem"},
        {"privateKey": keys.pem("merchant")},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
@each("make", [lambda given: Builder(**given), Builder.factory], ids=["Builder", "factory"])
def test_failing_constructor_leaves_no_key_in_its_frames(make, wrong):
    """Error trackers send the local variables of every frame that an error passes."""
    given = merchants.settings(**GIVEN) | wrong
    with pytest.raises(ConfigurationError) as caught:
        make(given)

    shown = interrupts.local_variables(caught.value)
    secrets = [
        APIV3_KEY,
        digests.SECRET[:31],
        "secret-of-the-app",
        "secret of the app",
        PASSWORD,
        "wrong-secret",
    ]
    secrets += [
        line for text in (keys.pem("merchant"), LOCKED, authority.KEY) for line in text.splitlines()[5:7]
    ]
    assert "parse" in shown or "factory" in shown or "__init__" in shown
    assert [] == [secret for secret in secrets if secret in shown]
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert given == merchants.settings(**GIVEN) | wrong


@pytest.mark.parametrize(
    "call",
    [
        lambda: Builder.factory(keys.pem("merchant")),
        lambda: Builder.factory({"private_key": keys.pem("merchant")}, private_key=keys.pem("merchant")),
    ],
    ids=["text", "twice"],
)
def test_factory_that_refuses_its_arguments_leaves_no_key_in_its_frame(call):
    """Also where no setting is looked at."""
    with pytest.raises(ConfigurationError) as caught:
        call()

    assert keys.pem("merchant").splitlines()[3] not in interrupts.local_variables(caught.value)
