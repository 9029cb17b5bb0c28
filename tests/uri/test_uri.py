"""Templates, expanded for sending."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cases import each
from hypothesis import example, given
from hypothesis import strategies as st

from wechatpay import uri
from wechatpay.errors import InvalidRequestError
from wechatpay.uri.target import tidy
from wechatpay.uri.template import compiled, quote

WIRE = Path(__file__).parents[1] / "vectors" / "wire.jsonl"
CALLS = [json.loads(line) for line in WIRE.read_text("utf-8").splitlines()]


def sent(template, variables):
    """Expand a template for sending, and write the place as one text."""
    place = uri.plan(template).expand(variables)
    query = f"?{place.query}" if place.query else ""
    return f"{place.origin and place.origin + '/'}{place.path}{query}"


@each("call", CALLS, ids=lambda call: f"{call['verb']} {call['uri']}")
def test_paths_are_those_of_the_php_sdk(call):
    """Every recorded call has the same path, however its URI is spelled."""
    chained = ""
    for name in call["attr"]:
        chained = uri.join(chained, uri.attribute(name, chained))
    templates = {chained, uri.literal(call["uri"], ""), uri.literal(uri.show(call["uri"]), "")}
    assert {call["uri"]} == templates

    # PHP writes an empty map as an empty list. The prefix that chooses the protocol is not sent.
    options = dict(call["options"])
    path = sent(chained, options).removeprefix("v2/")
    base_uri = options.get("base_uri", "https://api.mch.weixin.qq.com/")
    host, target = call["request"]["host"], call["request"]["target"].partition("?")[0]

    assert f"https://{host}{target}" == uri.folder(base_uri) + path


@each(
    ("template", "variables", "path"),
    [
        ("v3/certificates", {}, "v3/certificates"),
        ("/v3/certificates", {}, "v3/certificates"),
        ("", {}, ""),
        ("v3/{a}/x", {"a": "o-x_Y.z~1"}, "v3/o-x_Y.z~1/x"),
        ("v3/{a}/x", {"a": "50%off/é|\\"}, "v3/50%25off%2F%C3%A9%7C%5C/x"),
        ("v3/{a}/x", {"a": "%2e%2e"}, "v3/%252e%252e/x"),
        ("v3/{a}/{b}/{a}", {"a": 0, "b": True}, "v3/0/true/0"),
        ("v3/100%/{a}", {"a": "1"}, "v3/100%25/1"),
        ("v3/aab/{a}ab{b}", {"a": "1", "b": "2"}, "v3/aab/1ab2"),
        ("v3/a%2fb%zz", {}, "v3/a%2Fb%25zz"),
        ("v3/applyments/{empty}", {}, "v3/applyments/"),
        ("v3/x?a={a}{&b}", {"a": "1", "b": ""}, "v3/x?a=1&b="),
        ("v3/applyments/{empty}", {"empty": ""}, "v3/applyments/"),
        ("v3/applyments/{empty}", {"empty": "x"}, "v3/applyments/x"),
        ("v3/applyments/", {}, "v3/applyments/"),
        ("v3/x{?a,b}", {"b": "x y"}, "v3/x?b=x%20y"),
        ("v3/x{?a,b}", {"a": None, "b": []}, "v3/x"),
        ("v3/x{?a}", {"a": "x\ny"}, "v3/x?a=x%0Ay"),
        ("v3/x{?empty}", {}, "v3/x"),
        ("v3/x{?a}{&b}", {"b": 1}, "v3/x?b=1"),
        ("v3/x{?a}{&b}", {"a": 1, "b": 2}, "v3/x?a=1&b=2"),
        ("v3/x{&b}", {"b": 1}, "v3/x?b=1"),
        ("v3/x{?a}&c=1", {}, "v3/x?c=1"),
        ("v3/x?a=//../%2e&b=%0a", {}, "v3/x?a=//../%2E&b=%0A"),
        ("v3/x?", {}, "v3/x"),
        ("v3/x??", {}, "v3/x??"),
        ("{+p}", {"p": "/v3/a/%E4%B8%AD"}, "v3/a/%E4%B8%AD"),
        ("v3/{+p}{?a}", {"p": "x?y=1", "a": 2}, "v3/x?y=1&a=2"),
        ("v3{/a*}", {"a": ["x", "y z"]}, "v3/x/y%20z"),
        ("v3/{a}", {"a": ("x", "y")}, "v3/x,y"),
        ("v3/{a:2}", {"a": "xyz"}, "v3/xy"),
        ("v3:x/y", {}, "v3:x/y"),
        ("https://h.example:8/v3/{a}?t=%2f|", {"a": "x"}, "https://h.example:8/v3/x?t=%2F%7C"),
        ("http://[::1]:8/v3", {}, "http://[::1]:8/v3"),
        ("https://h.example", {}, "https://h.example/"),
        ("https://h.example?a=1", {}, "https://h.example/?a=1"),
        ("{+u}", {"u": "https://h.example/v3?a=1"}, "https://h.example/v3?a=1"),
        ("{a}://h.example/v3", {"a": "https"}, "https://h.example/v3"),
        ("https://{host}:8/v3/{a}", {"host": "localhost", "a": "x"}, "https://localhost:8/v3/x"),
        ("https://localhost:{port}/v3", {"port": "8"}, "https://localhost:8/v3"),
    ],
)
def test_templates_become_targets(template, variables, path):
    """Path and query come out normalised, the leading ``/`` dropped, the query's separators right."""
    assert path == sent(template, variables)
    assert path == sent(template, variables), "from the cache, too"


@each("value", [None, [], {}, (), [None], ["x", None], {"k": None}], ids=repr)
@each(
    "template",
    ["v3/{openid}/x", "v3/{openid}", "v3/{+openid}", "v3{/openid*}", "v3/x?a={openid}", "v3/x{.openid}"],
)
def test_undefined_variable_of_a_path_is_an_error(template, value):
    """The error names variable and template and says how to give it: the path may not lose a segment."""
    expected = f"variable 'openid' of {quote(template)} is None or empty"
    with pytest.raises(InvalidRequestError, match=re.escape(expected)) as caught:
        sent(template, {"openid": value})

    assert "pass openid=..." in str(caught.value)


def test_missing_variable_is_an_error_that_says_how_to_give_it():
    """Names that are no keywords go into the mapping."""
    with pytest.raises(
        InvalidRequestError, match=r"'openid' of 'v3/<openid>' is missing: pass openid=\.\.\. to the verb"
    ):
        sent("v3/{openid}", {})
    with pytest.raises(InvalidRequestError, match=r"pass \{'open\.id': \.\.\.\} to the verb"):
        sent("v3/{open.id}", {})
    with pytest.raises(InvalidRequestError, match="'empty'"):
        sent("v3/{empty}", {"empty": None})


@each(
    "template",
    [
        "v3/{a}/x",
        "v3/{a}",
        "v3/{+a}",
        "v3/{a}?b",
        "v3/{a}{?b}",
        "https://h.example/{a}",
        "v3/{a}{b}",
        "v3/{b}{a}",
        "v3/x{a}",
        "v3/{a}.json",
        "v3/{a}.json/{a}",
        "v3/{a,b}",
        "v3{/a,b}",
        "{a}/x",
        "v3/{a}/",
    ],
)
def test_empty_variable_of_a_path_is_an_error(template):
    """``""`` would name another resource, wherever it stands."""
    with pytest.raises(InvalidRequestError, match=r"variable 'a' of .* is ''"):
        sent(template, {"a": "", "b": "x"})


@each(
    ("template", "variables", "why"),
    [
        ("v3/../x", {}, "dot segment"),
        ("v3/%2e%2E/x", {}, "dot segment"),
        ("v3/{a}/x", {"a": ".."}, "dot segment"),
        ("v3/{a}", {"a": "."}, "dot segment"),
        ("v3/{a}{b}", {"a": ".", "b": "."}, "dot segment"),
        ("v3/.{a}", {"a": "."}, "dot segment"),
        ("v3/{.a}", {"a": "."}, "dot segment"),
        ("v3/{+a}", {"a": "x/../y"}, "dot segment"),
        ("v3/{+a}", {"a": "%2e%2e/y"}, "dot segment"),
        ("v3{/a*}", {"a": ["x", ".."]}, "dot segment"),
        ("https://h.example/../x", {}, "dot segment"),
        ("v3/{a}", {"a": "x\ny"}, "CR, LF or NUL"),
        ("v3/{a}", {"a": "\r"}, "CR, LF or NUL"),
        ("v3/{a}", {"a": "\0"}, "CR, LF or NUL"),
        ("v3/{+a}", {"a": "%0a"}, "CR, LF or NUL"),
        ("v3/x%0D", {}, "CR, LF or NUL"),
        ("v3/x\n", {}, "CR, LF or NUL"),
        ("v3/x?a=\n", {}, "CR, LF or NUL"),
        ("v3//x", {}, "empty segment"),
        ("v3/{/a}", {"a": "x"}, "empty segment"),
        ("{+a}", {"a": "//evil.example/x"}, "empty segment"),
        ("v3/{+a}", {"a": "/x"}, "empty segment"),
        ("https://h.example//x", {}, "empty segment"),
        ("{a}://h.example/v3", {"a": "9"}, "empty segment"),
        ("v3/x#y", {}, "fragment"),
        ("v3/x{#y}", {"y": "z"}, "fragment"),
        ("v3/x?a=1#y", {}, "fragment"),
        ("v3/{+a}", {"a": "x#y"}, "fragment"),
        ("v3/a\\b", {}, "backslash"),
        ("v3/{+a}", {"a": "x\\y"}, "backslash"),
        ("v3/{+a}", {"a": "x%5cy"}, "backslash"),
        ("v3/{a", {}, "malformed"),
        ("v3/\ud800", {}, "lone surrogate"),
        ("v3/{a}", {"a": "\ud800"}, "lone surrogate"),
        ("v3/{a}", {"a": b"x"}, "not bytes"),
    ],
)
def test_paths_that_must_not_be_sent_are_errors(template, variables, why):
    """Dot segments, however they arise, and all that parsers disagree on, fail first of all."""
    with pytest.raises(InvalidRequestError, match=why):
        sent(template, variables)


def test_errors_show_neither_values_nor_queries():
    """The message of a failed call can be logged."""
    with pytest.raises(InvalidRequestError) as caught:
        sent("v3/{a}?access_token=SECRET", {"a": "SECRET/\n"})

    assert "SECRET" not in str(caught.value)


TEXT = st.text(st.one_of(st.sampled_from("./%2eE\\?#"), st.characters()), max_size=8)


@given(TEXT, TEXT)
@example("..", "x")
@example("x", "ab")
def test_sent_paths_are_plain_expansions_and_safe(first, second):
    """What is sent is what RFC 6570 gives, quickly or carefully alike, and names what it says."""
    template = "v3/{first}/ab{second}"
    values = {"first": first, "second": second}
    try:
        result = sent(template, values)
    except InvalidRequestError:
        return

    assert uri.expand(template, values) == result == tidy(result)
    assert 2 == result.count("/")
    assert not {"", ".", ".."} & set(result.split("/"))


@given(st.text(st.sampled_from("{}<>ab,.:*3%2ef+#/;?&é \\\ud800\n"), max_size=14), TEXT)
def test_whatever_is_sent_is_a_fixed_point(template, value):
    """Any template and value give our error, or a target that normalising does not change."""
    try:
        _, path, query = uri.split(sent(template, {"a": value, "b": [value, "x"]}))
    except InvalidRequestError:
        return

    assert path == tidy(path)
    assert query == tidy(query)
    assert "//" not in path
    assert not {".", ".."} & set(path.lower().replace("%2e", ".").split("/"))


def test_caches_are_bounded():
    """A server that formats values into strings for years does not grow."""
    long = f"https://pay.example/{'x' * 600}"

    assert uri.plan("v3/x") is uri.plan("v3/x")
    assert uri.plan("v3/x{?token}") is uri.plan("v3/x{?token}")
    assert uri.plan(long) is not uri.plan(long)


def test_caches_keep_no_download_url():
    """Its query holds a token, and it is used once."""
    url = "https://pay.example/v3/billdownload/file?token=x"

    assert uri.plan(url) is not uri.plan(url)
    assert compiled(url) is not compiled(url)


def test_import_is_light():
    """URIs need nothing but the standard library."""
    heavy = {"requests", "aiohttp", "cryptography", "urllib3", "yarl"}
    code = f"import sys, wechatpay.uri; print({heavy} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "set()\n" == done.stdout
