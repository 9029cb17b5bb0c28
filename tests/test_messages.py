"""Requests and responses as values: copied, pickled, shown, read."""

from __future__ import annotations

import copy
import pickle

import pytest

from wechatpay import DecodeError, Request, Response
from wechatpay.messages import Headers

REQUEST = Request(
    "POST",
    "https://api.mch.weixin.qq.com/v3/x?access_token=T0KEN",
    Headers({"Authorization": "S3CRET"}),
    b"B0DY",
)
RESPONSE = Response(200, Headers({"Request-ID": "08F7", "Set-Cookie": "S3CRET"}), '{"a":"B0DY 张"}'.encode())


@pytest.mark.parametrize("value", [REQUEST, RESPONSE], ids=["request", "response"])
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copy_is_whole(value, copied):
    """They are immutable: a copy is the same, bodies included."""
    assert value is copied(value)
    assert [value] == copied([value])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", [REQUEST, RESPONSE], ids=["request", "response"])
def test_pickle_keeps_what_may_be_shown(value, protocol):
    """Bodies, queries and credentials stay in the process."""
    data = pickle.dumps(value, protocol)

    assert repr(value) == repr(pickle.loads(data))
    assert not [secret for secret in (b"T0KEN", b"S3CRET", b"B0DY") if secret in data]


def test_representations_show_no_secret():
    """Method, path, status and request id."""
    assert "<Request POST /v3/x>" == repr(REQUEST)
    assert "<Response 200 08F7>" == repr(RESPONSE)
    assert "<Headers Request-ID, Set-Cookie>" == repr(RESPONSE.headers)


@pytest.mark.parametrize("kind", [Request, Response])
def test_values_cannot_be_changed(kind):
    """A middleware makes a new one by ``with_``."""
    value = REQUEST if kind is Request else RESPONSE
    with pytest.raises((AttributeError, TypeError)):
        value.content = b""

    assert b"" == REQUEST.with_(content=b"").content
    assert b"B0DY" == REQUEST.content


class TestHeaders:
    """Headers by name in any case."""

    def test_names_compare_in_any_case(self):
        """And keep their spelling when shown."""
        headers = Headers({"Content-Type": "a"})

        assert "a" == headers["content-type"] == headers.get("CONTENT-TYPE")
        assert "CONTENT-type" in headers
        assert ["Content-Type"] == list(headers)
        assert 1 == len(headers)
        assert {"content-TYPE": "a"} == headers
        assert hash(Headers({"CONTENT-TYPE": "a"})) == hash(headers)
        assert headers != 5

    def test_repeated_header_is_one_joined_by_commas(self):
        """As RFC 9110 says, section 5.3."""
        assert "1, 2, 3" == Headers([("a", "1"), ("A", "2"), ("a", "3")])["a"]

    def test_changes_are_merged_over(self):
        """In any case; ``None`` removes one."""
        before = Headers({"A": "1", "B": "2", "C": "3"})

        assert {"a": "x", "C": "3", "D": "4"} == before.with_({"a": "x", "b": None, "D": "4", "E": None})
        assert {"A": "1", "B": "2", "C": "3"} == before


class TestBody:
    """The body of a response, read in several ways."""

    def test_json_is_parsed(self):
        """As UTF-8."""
        assert {"a": "B0DY 张"} == RESPONSE.json()
        assert Response(204).json() is None

    @pytest.mark.parametrize(
        "body", [b"<html>", b"{", b"\xff", b"[" * 100_000, b"1" * 5000], ids=lambda body: repr(body[:6])
    )
    def test_what_is_not_json_is_reported_without_its_text(self, body):
        """The error says what came, and how much of it."""
        response = Response(502, Headers({"Content-Type": "text/html"}), body)
        with pytest.raises(DecodeError, match=rf"text/html, {len(body)} bytes") as caught:
            response.json()

        assert response is caught.value.response

    @pytest.mark.parametrize(
        ("kind", "body", "text"),
        [
            ("text/html; charset=gbk", "张".encode("gbk"), "张"),
            ('text/html; charset="UTF-8"; x=y', "张".encode(), "张"),
            ("text/html; charset=no-such", "张".encode(), "张"),
            ("text/html", b"\xff", "\ufffd"),
            (None, "张".encode(), "张"),
        ],
    )
    def test_text_is_always_readable(self, kind, body, text):
        """By the charset of ``Content-Type``, else as UTF-8; what does not decode is replaced."""
        assert text == Response(200, Headers({"Content-Type": kind} if kind else {}), body).text


@pytest.mark.parametrize("name", ["getBody", "getStatusCode", "getHeaderLine"])
def test_method_of_phps_responses_names_what_stands_for_it(name):
    """Ported code learns what to write."""
    with pytest.raises(
        AttributeError, match=rf"'Response' object has no attribute '{name}'; in place of PHP's"
    ):
        getattr(Response(200), name)
    assert not hasattr(Response(200), "other")
