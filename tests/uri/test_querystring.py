"""The ``query`` option."""

from __future__ import annotations

import enum
import json
from collections import OrderedDict
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from cases import each
from hypothesis import given
from hypothesis import strategies as st
from labels import stable_repr

from wechatpay.errors import InvalidRequestError
from wechatpay.uri.querystring import query
from wechatpay.uri.target import tidy

WIRE = Path(__file__).parents[1] / "vectors" / "wire.jsonl"
CALLS = [json.loads(line) for line in WIRE.read_text("utf-8").splitlines()]
ASKED = [call for call in CALLS if "query" in call["options"] and call["uri"].startswith("v3/")]


@each("call", ASKED, ids=lambda call: call["uri"])
def test_queries_are_those_of_the_php_sdk(call):
    """Every recorded v3 query is encoded byte for byte as PHP's ``http_build_query`` does by RFC 3986."""
    assert call["request"]["target"].partition("?")[2] == query(call["options"]["query"])


class Level(int, enum.Enum):
    """An enumeration whose ``str()`` is not its value."""

    HIGH = 7


@each(
    ("given", "encoded"),
    [
        ({"a": "b c"}, "a=b%20c"),
        ({"a b&": "=?/#+%2F"}, "a%20b%26=%3D%3F%2F%23%2B%252F"),
        ({"-._~": "-._~!*'()"}, "-._~=-._~%21%2A%27%28%29"),
        ({"t": True, "f": False, "n": None, "i": 5}, "t=1&f=0&i=5"),
        (
            {"x": Decimal("1.50"), "y": Decimal("1e25"), "z": Decimal("-0.25")},
            f"x=1.50&y=1{'0' * 25}&z=-0.25",
        ),
        ({"a": ""}, "a="),
        ({"a": [1, "2", None, True]}, "a=1&a=2&a=1"),
        ({"a": (1, 2)}, "a=1&a=2"),
        ({"a": [], "b": [None]}, ""),
        ({"level": Level.HIGH}, "level=7"),
        ({"a": "x\ny"}, "a=x%0Ay"),
        ([("a", 1), ("b", 2), ("a", 3)], "a=1&b=2&a=3"),
        ([["a", [1, 2]]], "a=1&a=2"),
        ((("a", 1),), "a=1"),
        (OrderedDict(b=1, a=2), "b=1&a=2"),
        ("a=b%2fc&d=é |", "a=b%2Fc&d=%C3%A9%20%7C"),
        ("?a=1", "a=1"),
        ("a=1?", "a=1?"),
        ("a=\\", "a=%5C"),
        ("", ""),
        ("?", ""),
        ({}, ""),
        ([], ""),
        (None, ""),
    ],
    ids=repr,
)
def test_query_is_encoded_as_rfc_3986_says(given, encoded):
    """Scalars as in PHP, lists by repeating the name, ready strings only normalised."""
    assert encoded == query(given)


@pytest.mark.parametrize(
    ("given", "existing", "merged"),
    [
        ({"b": 2}, "a=1", "a=1&b=2"),
        ({"b": 2}, "?a=1", "a=1&b=2"),
        ("b=2", "a=|", "a=%7C&b=2"),
        (None, "a=1", "a=1"),
        ({}, "a=1", "a=1"),
        ({"b": 2}, "", "b=2"),
        ({"a": 2}, "a=1", "a=1&a=2"),
    ],
)
def test_query_goes_behind_the_one_of_the_uri(given, existing, merged):
    """What ``{?a}`` or the URI brought stays, in front."""
    assert merged == query(given, existing)


@pytest.mark.parametrize(
    "value",
    [
        {"b": "c"},
        [["b"]],
        [{"b": 1}],
        b"b",
        Decimal("NaN"),
        19.99 * 100,
        float("nan"),
        [float("inf")],
        {1},
        object(),
        "\ud800",
        10**5000,
    ],
    ids=lambda value: type(value).__name__,
)
def test_value_that_cannot_be_written_is_an_error_that_names_it(value):
    """The error names the parameter, and not its value."""
    with pytest.raises(InvalidRequestError, match="query parameter 'limit'"):
        query({"limit": value})


@each(
    ("given", "why"),
    [
        (b"a=1", "query is a bytes"),
        (5, "query is a int"),
        ({"a"}, "query is a set"),
        (iter([("a", 1)]), "query is a list_iterator"),
        ({1: "a"}, "names, which are str"),
        ({None: "a"}, "names, which are str"),
        (["ab"], "names, which are str"),
        ([("a",)], "names, which are str"),
        ([("a", 1, 2)], "names, which are str"),
        ([b"ab"], "names, which are str"),
        ("a=1#b", "ready string"),
        ("a=1\r\nb", "ready string"),
        ("a=\0", "ready string"),
        ("a=\ud800", "lone surrogate"),
        ({"\ud800": 1}, "lone surrogates"),
    ],
    ids=stable_repr,
)
def test_query_of_another_shape_is_refused(given, why):
    """A fragment, a line break or something that has no names is a mistake."""
    with pytest.raises(InvalidRequestError, match=why):
        query(given)


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(st.tuples(TEXT, TEXT), max_size=4))
def test_any_text_reaches_the_server(pairs):
    """Decoding the query gives the pairs back, in order; it is normal as it is."""
    encoded = query(pairs)

    assert encoded == tidy(encoded)
    assert pairs == parse_qsl(encoded, keep_blank_values=True, separator="&")
