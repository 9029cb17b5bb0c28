"""What may be passed with a verb, and what is said of everything else, before anything is sent."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from cases import each

from wechatpay import InvalidRequestError


@pytest.fixture
def refused(gateway, instance, client):
    """Give a function that makes a call which must not leave, and returns what was said."""

    def refused(template, *args, verb="get", **options):
        with pytest.raises(InvalidRequestError) as caught:
            client.call(instance.chain(template), verb, *args, **options)
        assert [] == gateway.seen
        return str(caught.value)

    return refused


class TestNames:
    """Names of options and variables."""

    def test_variables_and_options_come_by_mapping_and_keyword(self, gateway, instance, client):
        """PHP's one array and Python's keywords may be mixed."""
        node = instance.chain("v3/users/<openid>/cards/<card>")
        client.call(node, "get", {"openid": "o1", "query": {"a": "1"}}, card="c1", timeout=5)

        assert "/v3/users/o1/cards/c1?a=1" == gateway.seen[0].target

    def test_name_given_twice_is_refused(self, refused):
        """One of the two would be lost."""
        assert "openid: given in the mapping and as a keyword" in refused(
            "v3/<openid>", {"openid": "a"}, openid="b"
        )

    def test_misspelt_name_is_refused_with_the_nearest(self, refused):
        """A typo says what was meant."""
        assert "did you mean query?" in refused("v3/x", qeury={})
        assert "did you mean openid?" in refused("v3/<openid>", openId="a")

    def test_member_in_an_options_place_is_refused_with_its_own(self, refused):
        """A newcomer's first call: the body itself, or its members as keywords."""
        order = {"appid": "wx8888888888888888", "out_trade_no": "1"}
        said = "appid is neither an option nor a variable of .*; did you mean json={'appid': ...}"

        assert re.match(said, refused("v3/pay/transactions/jsapi", order, verb="post"))
        assert re.match(said, refused("v3/pay/transactions/jsapi", verb="post", **order))
        assert "did you mean query={'mchid': ...}" in refused(
            "v3/pay/transactions/id/{id}", id="1", mchid="1"
        )
        assert "use `query`" in refused("v3/x", params={})
        assert "use `json`" in refused("v3/x", data={}, verb="post")

    def test_unlike_name_is_refused_with_all_options(self, refused):
        """What resembles nothing gets the list."""
        assert "options are base_uri, body, check, debug" in refused("v3/x", zzz=1)

    def test_name_that_is_not_text_is_refused(self, refused):
        """A mapping may hold any key; options have names."""
        assert "is text, not int" in refused("v3/x", {1: 2})

    def test_positional_that_is_not_a_mapping_is_refused(self, refused):
        """The one positional is PHP's array."""
        assert "not str" in refused("v3/<openid>", "o1")

    def test_variable_with_an_options_name_is_refused(self, refused):
        """Nobody could say which of the two was meant."""
        assert "the variable query has the name of an option" in refused("v3/{query}", query="a")

    @each(
        ("option", "advice"),
        [
            ("http_errors", "APIError"),
            ("verify", "constructor"),
            ("proxy", "constructor"),
            ("cert", "merchant"),
            ("handler", "stack"),
            ("form_params", "body"),
            ("multipart", "media"),
        ],
    )
    def test_guzzles_option_is_refused_with_what_to_do_here(self, option, advice, refused):
        """Ported code reads what takes the place of each."""
        assert advice in refused("v3/x", **{option: False})

    @pytest.mark.parametrize("value", ["false", "true", 0, 1, None, [0]], ids=repr)
    @pytest.mark.parametrize("option", ["security", "nonceless", "debug", "check", "encrypt_sensitive"])
    def test_switch_is_a_bool(self, option, value, refused):
        """``"false"`` would switch it on: the merchant certificate would go on the connection."""
        said = f"{option}: give True or False, not {type(value).__name__}"

        assert said == refused("v2/secapi/pay/refund", verb="post", xml={}, **{option: value})

    def test_redirects_that_are_not_to_be_followed_are_not(self, gateway, instance, client):
        """Ported code may say what is the case anyway; following them is refused."""
        client.call(instance.v3.x, "get", allow_redirects=False)

        assert 1 == len(gateway.seen)
        with pytest.raises(InvalidRequestError, match="RedirectError"):
            client.call(instance.v3.x, "get", allow_redirects=True)


class TestBodies:
    """The one body of a request."""

    def test_two_bodies_are_refused(self, refused):
        """Neither could be chosen."""
        assert "json and body: a request has one body" in refused(
            "v3/x", verb="post", json={"a": 1}, body=b"{}"
        )

    def test_no_json_is_not_a_body(self, gateway, instance, client):
        """``None`` stands for nothing, as in PHP."""
        client.call(instance.v3.x, "post", json=None, body='{"a":1}')

        assert b'{"a":1}' == gateway.seen[0].body

    @pytest.mark.parametrize("body", ["中".encode(), "中"], ids=["bytes", "text"])
    def test_ready_body_is_sent_as_it_is(self, body, gateway, instance, client):
        """Text goes as UTF-8, and as JSON unless a header says otherwise."""
        client.call(instance.v3.x, "put", body=body)

        assert "中".encode() == gateway.seen[0].body
        assert "application/json" == gateway.seen[0].headers["content-type"]

    def test_decimal_is_sent_exactly(self, client, instance, gateway):
        """A documented fraction, such as a longitude, arrives digit for digit, and never as an exponent."""
        place = {
            "longitude": Decimal("113.10"),
            "latitude": [Decimal("1E+2"), Decimal("-0.0000001")],
            "名": "a",
        }
        client.call(instance.v3.x, "post", json=place)

        assert '{"longitude":113.10,"latitude":[100,-0.0000001],"名":"a"}'.encode() == gateway.seen[0].body

    @each(
        ("options", "said"),
        [
            ({"body": 1}, "body: give bytes or text, not int"),
            ({"body": "\ud800"}, "body: holds a lone surrogate"),
            ({"json": {"a": float("nan")}}, "json.a: a float"),
            ({"json": {"a": [Decimal("NaN")]}}, "json.a[0]: NaN is not a finite number"),
            (
                {"json": {"amount": {"total": 19.99 * 100}}},
                "json.amount.total: a float",
            ),
            ({"json": {"a": [{"b": b""}]}}, r"json.a[0].b: bytes"),
            ({"json": {1: "a"}}, "json: the key 1 must be text"),
            ({"json": {"a": [10**5000]}}, "json: holds an int of more than 4300 digits"),
            ({"json": {10**5000: "a"}}, "json: holds an int of more than 4300 digits"),
            ({"json": {"a": 10**5000, "b": Decimal(1)}}, "json: holds an int of more than 4300 digits"),
            ({"json": {"a": "\udc00"}}, "json: holds a lone surrogate"),
            ({"xml": {"a": "b"}}, "xml: APIv2's"),
            ({"security": True}, "security: APIv2's"),
            ({"nonceless": True}, "nonceless: APIv2's"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_body_that_has_no_exact_bytes_is_refused(self, options, said, refused):
        """The error names the place."""
        assert said in refused("v3/x", verb="post", **options)

    def test_json_within_itself_is_refused(self, refused):
        """A circle has no end."""
        circle = {}
        circle["self"] = circle

        assert "within itself" in refused("v3/x", verb="post", json=circle)


class TestTimeout:
    """Seconds to wait."""

    @each("timeout", [0, -1, float("nan"), float("inf"), True, "5", (1, 2, 3), (0, 5)])
    def test_timeout_that_is_not_a_time_is_refused(self, timeout, refused):
        """``0`` waits for ever in PHP, and not at all elsewhere: here ``None`` does."""
        assert "timeout: " in refused("v3/x", timeout=timeout)

    @pytest.mark.parametrize("timeout", [5, 0.5, (1, 2), [1, None], None])
    def test_timeout_in_each_form_is_taken(self, timeout, gateway, instance, client):
        """One number, a pair, ``None`` for ever."""
        client.call(instance.v3.x, "get", timeout=timeout)

        assert 1 == len(gateway.seen)


class TestHeaders:
    """Headers of a call, the Builder and the core."""

    def test_call_goes_over_builder_over_default(self, gateway, build, client):
        """Names compare in any case; ``None`` removes."""
        instance = build(headers={"X-Shop": "1", "accept": "text/plain"})
        client.call(instance.v3.x, "get", headers={"x-shop": "2", "ACCEPT": None})

        assert "2" == gateway.seen[0].headers["x-shop"]
        assert "accept" not in gateway.seen[0].headers

    @pytest.mark.parametrize(
        "name", ["Authorization", "host", "Content-Length", "transfer-encoding", "Connection"]
    )
    def test_headers_of_the_core_are_refused(self, name, refused):
        """They follow from the request; PHP replaces them in silence."""
        assert f"{name} is written by the core" in refused("v3/x", headers={name: "x"})

    @pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\0b", "中", " a", 5, b"a"])
    def test_value_that_would_not_survive_is_refused(self, value, refused):
        """What cannot be sent as it stands could smuggle, or be lost."""
        assert "the value of X-Shop" in refused("v3/x", headers={"X-Shop": value})

    @pytest.mark.parametrize("name", ["", "a b", "a:b", "中", 5])
    def test_name_that_is_none_is_refused(self, name, refused):
        """Header names are tokens."""
        assert "is not a header name" in refused("v3/x", headers={name: "x"})

    @pytest.mark.parametrize("value", [None, ""])
    def test_user_agent_stays(self, value, refused):
        """WeChat Pay refuses requests without one."""
        assert "User-Agent" in refused("v3/x", headers={"User-Agent": value})

    def test_headers_that_are_no_mapping_are_refused(self, refused):
        """In PHP ``null`` drops every default; here it is an error."""
        assert "headers: give a mapping" in refused("v3/x", headers=None)

    def test_wechatpay_serial_must_be_a_trusted_one(self, refused):
        """The response could not be verified by another."""
        assert "Wechatpay-Serial must" in refused("v3/x", headers={"Wechatpay-Serial": "ABC"})


class TestHosts:
    """Where a request may go."""

    @pytest.mark.parametrize(
        "url",
        [
            "https://evil.example/v3/x",
            "http://api.mch.weixin.qq.com/v3/x",
            "https://api.mch.weixin.qq.com:8443/v3/x",
            "https://api.mch.weixin.qq.com.evil.example/v3/x",
            "https://user@api.mch.weixin.qq.com/v3/x",
            "https://api.mch.weixin.qq.com\\@evil.example/v3/x",
            "ftp://api.mch.weixin.qq.com/v3/x",
        ],
    )
    def test_absolute_url_elsewhere_is_refused(self, url, refused):
        """``Authorization`` leaves for WeChat Pay's hosts and the configured one only."""
        assert refused(url)

    @pytest.mark.parametrize(
        "base_uri", ["https://evil.example/", "http://127.0.0.1:1/", "//evil.example/", "evil", 5, ""]
    )
    def test_base_uri_elsewhere_is_refused(self, base_uri, refused):
        """A call may choose among WeChat Pay's gateways, not any host."""
        assert refused("v3/x", base_uri=base_uri)

    def test_configured_host_may_be_named_by_a_call(self, gateway, instance, client):
        """A prefix of its own, on the host that the constructor trusts."""
        client.call(instance.v3.x, "get", base_uri=f"{gateway.url}global/")
        client.call(instance.chain(f"{gateway.url}v3/y?token=a%2fb"), "get")

        assert ["/global/v3/x", "/v3/y?token=a%2Fb"] == [seen.target for seen in gateway.seen]


@each(
    ("path", "options", "verb", "expected"),
    [
        ("pay/unifiedorder", {"xml": {"a": "1"}}, "post", "did you mean `v2/pay/unifiedorder`"),
        ("secapi/pay/refund", {"security": True}, "post", "did you mean `v2/secapi/pay/refund`"),
        ("pay/unifiedorder", {"check": True}, "post", "did you mean `v2/pay/unifiedorder`"),
        ("v3/profitsharing/receivers", {"check": True}, "delete", r"did you mean `\.delete\.post"),
        (
            "v3/x",
            {"json": {"at": datetime(2026, 1, 1, tzinfo=UTC)}},
            "post",
            "datetime has no JSON; give text",
        ),
        ("v3/x", {"query": {"day": date(2026, 1, 1)}}, "get", r"not date \(a date: \.isoformat"),
    ],
)
def test_error_says_what_was_meant(instance, path, options, verb, expected):
    """APIv2's prefix, a verb that is a segment, dates."""
    with pytest.raises(InvalidRequestError, match=expected):
        getattr(instance.chain(path), verb)(**options)
