"""The path and query that go over the wire, and the URLs around them."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes, urljoin

import pytest
from cases import each
from hypothesis import assume, example, given
from hypothesis import strategies as st
from requests import PreparedRequest
from urllib3.connectionpool import _encode_target
from urllib3.util import parse_url
from yarl import URL

from wechatpay.errors import InvalidRequestError
from wechatpay.uri.target import absolute, authority, is_normal, refuse_unsafe, split, tidy
from wechatpay.uri.target import folder as folder_of


@each(
    ("ready", "normal"),
    [
        ("v3/certificates", "v3/certificates"),
        ("v3/a%2fb%zz", "v3/a%2Fb%25zz"),
        ("v3/%7E~%41", "v3/%7E~%41"),
        ("v3/%", "v3/%25"),
        ("v3/%%41", "v3/%25%41"),
        ("v3/a b", "v3/a%20b"),
        ('v3/[a]|"<>^`{}\\', "v3/%5Ba%5D%7C%22%3C%3E%5E%60%7B%7D%5C"),
        ("v3/中😀", "v3/%E4%B8%AD%F0%9F%98%80"),
        ("v3/-._~!$&'()*+,;=:@", "v3/-._~!$&'()*+,;=:@"),
        ("v3/x?a=b/c?d", "v3/x?a=b/c?d"),
        ("v3/x?", "v3/x?"),
        ("v3/x??", "v3/x??"),
        ("v3/x?a=b?", "v3/x?a=b?"),
        ("v3/x?a#b", "v3/x?a%23b"),
        ("a\n\t\x7f", "a%0A%09%7F"),
        ("", ""),
    ],
)
def test_tidy_encodes_only_what_a_uri_may_not_hold(ready, normal):
    """Triplets are upper-cased and never decoded; all else that is legal stays, a last ``?`` included."""
    assert normal == tidy(ready)


def test_lone_surrogates_are_refused():
    """Half a character has no UTF-8 form."""
    with pytest.raises(InvalidRequestError, match="lone surrogate"):
        tidy("v3/\ud800")


def sent_by_requests(url):
    """Give the target that ``requests`` and urllib3 put on the wire for a URL set after preparing."""
    prepared = PreparedRequest()
    prepared.url = url
    return {prepared.path_url, _encode_target(prepared.path_url), parse_url(url).request_uri}


def sent_by_aiohttp(url):
    """Give the target that ``aiohttp`` puts on the wire."""
    return URL(url, encoded=True).raw_path_qs


TEXT = st.text(st.one_of(st.sampled_from("%2fF?#/&=.~ |[]\"'\\é"), st.characters(exclude_categories=["Cs"])))


@given(TEXT)
@example("x??")
@example("?a?")
@example("a?b=%2f%zz%")
@example("a;b?c;d")
def test_normal_targets_pass_both_libraries_untouched(text):
    """What is signed is what ``requests`` and ``aiohttp`` send: neither rewrites a normal target."""
    try:
        refuse_unsafe(text.partition("?")[0].removeprefix("/"), "it")
    except InvalidRequestError:
        return
    target = "/" + tidy(text.removeprefix("/"))
    assume(is_normal(target))
    url = "https://api.mch.weixin.qq.com" + target

    assert {target} == sent_by_requests(url)
    assert target == sent_by_aiohttp(url)


@given(TEXT)
def test_tidy_is_idempotent_and_loses_nothing(text):
    """Twice is once; what the server decodes is what was written."""
    normal = tidy(text)

    assert normal == tidy(normal)
    assert re.fullmatch(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-F]{2})*", normal)
    assert unquote_to_bytes(normal) == unquote_to_bytes(text)


@each(
    ("path", "why"),
    [
        ("v3//x", "empty segment"),
        ("/x", "empty segment"),
        (".", "dot segment"),
        ("..", "dot segment"),
        ("v3/../x", "dot segment"),
        ("v3/x/.", "dot segment"),
        ("v3/%2e/x", "dot segment"),
        ("v3/.%2E", "dot segment"),
        ("v3/%2e%2E/x", "dot segment"),
        ("v3/..;a/x", "dot segment"),
        ("v3/a%0d", "CR, LF or NUL"),
        ("v3/a%0Ab", "CR, LF or NUL"),
        ("v3/%00", "CR, LF or NUL"),
        ("v3/a\n", "CR, LF or NUL"),
        ("v3/a\\b", "a backslash"),
    ],
)
def test_unsafe_paths_are_refused(path, why):
    """A path that another server may read as a different one is never sent, encoded or not."""
    with pytest.raises(InvalidRequestError, match=f"it has a path with .*{why}"):
        refuse_unsafe(path, "it")


@pytest.mark.parametrize("path", ["", "v3/", "v3/...", "v3/.well", "v3/a..b", "v3/%252e", "v3/%5C", "v3/..a"])
def test_safe_paths_pass(path):
    """Dots within a segment, a trailing slash and encoded percent signs are plain text."""
    refuse_unsafe(path, "it")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://a.example/x", True),
        ("HTTP://a", True),
        ("a+b-c.1://x", True),
        ("v3:x/y", False),
        ("v3/x?u=https://a.example", False),
        ("//a.example", False),
        ("://a", False),
        ("1a://b", False),
        ("", False),
    ],
)
def test_absolute_asks_for_scheme_and_slashes(text, expected):
    """A colon in the first segment makes no scheme."""
    assert expected is absolute(text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("v3/x?a=1?", ("", "v3/x", "a=1?")),
        ("/v3/x", ("", "v3/x", "")),
        ("//x", ("", "/x", "")),
        ("v3:x/y", ("", "v3:x/y", "")),
        ("v3/x?u=https://b", ("", "v3/x", "u=https://b")),
        ("https://a:8/v3/x?b", ("https://a:8", "v3/x", "b")),
        ("https://a?b/c", ("https://a", "", "b/c")),
        ("https://a//b", ("https://a", "/b", "")),
        ("", ("", "", "")),
    ],
)
def test_split_takes_origin_path_and_query_apart(text, parts):
    """One leading ``/`` and the ``?`` go; nothing else does."""
    assert parts == split(text)


@pytest.mark.parametrize(
    ("base_uri", "path", "url"),
    [
        ("https://a.example/", "v3/x?a=1", "https://a.example/v3/x?a=1"),
        ("https://a.example", "v3/x", "https://a.example/v3/x"),
        ("https://a.example/global/", "v3/x", "https://a.example/global/v3/x"),
        ("https://a.example/global", "v3/x", "https://a.example/v3/x"),
        ("https://a.example/hk/ñ/", "v3/x", "https://a.example/hk/%C3%B1/v3/x"),
        ("https://a.example/hk/", "v3:x/y", "https://a.example/hk/v3:x/y"),
        ("https://a.example/hk/", "?a=1", "https://a.example/hk/?a=1"),
        ("https://a.example/hk/", "", "https://a.example/hk/"),
        ("http://127.0.0.1:8080", "v3/x", "http://127.0.0.1:8080/v3/x"),
    ],
)
def test_base_uri_is_joined_as_rfc_3986_says(base_uri, path, url):
    """A base keeps its folder; what follows its last ``/`` is replaced."""
    assert url == folder_of(base_uri) + path


@given(st.lists(st.sampled_from(["global", "hk", "v3"]), max_size=3).map("/".join), st.booleans())
def test_base_uri_is_joined_as_the_standard_library_does(folder, final_slash):
    """For plain bases and paths, RFC 3986 is what ``urljoin`` does."""
    base_uri = f"https://a.example/{folder}" + ("/" if folder and final_slash else "")

    assert urljoin(base_uri, "v3/x?a=1") == folder_of(base_uri) + "v3/x?a=1"


@pytest.mark.parametrize(
    "base_uri",
    [
        "a.example/",
        "//a.example/",
        "https://a.example/?a",
        "https://a.example/#a",
        "https://a.example//",
        "https://a.example/../",
        "https://a.example/a\\b/",
        "https://a.example/\n/",
    ],
)
def test_base_uri_that_is_not_a_plain_folder_is_refused(base_uri):
    """A base is absolute, and has no query, fragment or unsafe path."""
    with pytest.raises(InvalidRequestError, match="base_uri"):
        folder_of(base_uri)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.mch.weixin.qq.com/v3/x?a=1", ("https", "api.mch.weixin.qq.com", 443)),
        ("HTTPS://API.mch.weixin.QQ.com", ("https", "api.mch.weixin.qq.com", 443)),
        ("http://127.0.0.1:8080/", ("http", "127.0.0.1", 8080)),
        ("http://[::1]:80/", ("http", "[::1]", 80)),
        ("http://localhost?a", ("http", "localhost", 80)),
        ("https://a.example:65535/", ("https", "a.example", 65535)),
        ("https://a.example/@b:c//d", ("https", "a.example", 443)),
    ],
)
def test_authority_reads_scheme_host_and_port(url, expected):
    """Case does not count; the port defaults to the scheme's."""
    assert expected == authority(url)


@each(
    "url",
    [
        "",
        "v3/x",
        "//a.example/",
        "ftp://a.example/",
        "https:/a.example/",
        "https:///x",
        "https://",
        "https://user@a.example/",
        "https://user:pw@a.example/",
        "https://a.example@b.example/",
        "https://a.example\\@b.example/",
        "https://a.example\\.b.example/",
        "https://a.example/a\\b",
        "https://a.example/x#y",
        "https://a.example#y",
        "https://a.example /",
        " https://a.example/",
        "https://a.example/a b",
        "https://a.example/x\n",
        "https://a.example\n/",
        "https://a.example\t/",
        "https://api\u3002mch.weixin.qq.com/",
        "https://\uff41pi.mch.weixin.qq.com/",
        "https://api.mch.wei\u212ain.qq.com/",
        "https://a.example./",
        "https://.a.example/",
        "https://a..example/",
        "https://a%2eexample/",
        "https://a.example:/",
        "https://a.example:0/",
        "https://a.example:080/",
        "https://a.example:65536/",
        "https://a.example:-1/",
        "https://a.example:443:443/",
        "https://a.example:\u0664\u0664\u0663/",
        "https://[::1/",
        "https://[::1]x/",
        "https://[fe80::1%25eth0]/",
        "https://a.example//x",
        "https://a.example/%2f%zz",
        "https://a.example/x?a=\u00e9",
    ],
)
def test_authority_refuses_what_two_parsers_may_read_differently(url):
    """The host that is checked must be the host that is called."""
    with pytest.raises(InvalidRequestError):
        authority(url)


@given(st.text(max_size=20), st.sampled_from(["https://a.example", "https://"]))
def test_authority_agrees_with_both_libraries(text, start):
    """Whatever passes is read the same by urllib3 and yarl."""
    url = start + text
    try:
        expected = authority(url)
    except InvalidRequestError:
        return
    parsed = parse_url(url)
    other = URL(url, encoded=True)

    assert expected == (parsed.scheme, parsed.host, parsed.port or 443)
    assert expected[1].strip("[]") == other.raw_host.lower()
    assert expected[2] == other.port
