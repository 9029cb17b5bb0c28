"""RFC 6570, by its official suite and beyond."""

from __future__ import annotations

import base64
import enum
import json
import re
from pathlib import Path
from urllib.parse import quote as percent_encode
from urllib.parse import unquote

import pytest
from cases import each
from hypothesis import given
from hypothesis import strategies as st

from wechatpay.errors import InvalidRequestError
from wechatpay.uri.template import compiled, expand, is_expression, quote, show

VECTORS = Path(__file__).parents[1] / "vectors"
UNITS = json.loads((VECTORS / "units.json").read_text("utf-8"))
EXPANSIONS = UNITS["vectors"]["UriTemplate.expand"]

# Where the PHP SDK does otherwise, on purpose: what we give, and why.
FLAT = "a value is text, a number, or a flat list or mapping of them"
MALFORMED = "RFC 6570 calls the template malformed"
DIFFERENCES = {
    "v3/{big}": ("v3/1e%2B25", "numbers are written as Python does"),
    "v3/{t}": ("v3/true", "booleans are words, not PHP's 1 and nothing"),
    "v3{?f,t}": ("v3?f=1.5&t=true", "booleans are words, not PHP's 1 and nothing"),
    "v3/{nlist}": ("v3/x,,false,true,3", "undefined members are left out, booleans are words"),
    "v3/{list:2}": (InvalidRequestError, "RFC 6570, section 2.4.1: a prefix is for text"),
    "v3{?nest*}": (InvalidRequestError, FLAT),
    "v3{?nest}": (InvalidRequestError, FLAT),
    "v3/{bad}": (InvalidRequestError, "bytes are no text"),
    "v3/{a}": (InvalidRequestError, FLAT),
    "v3/{}": (InvalidRequestError, MALFORMED),
    "v3/{{openid}}": (InvalidRequestError, MALFORMED),
    "v3/{openid:x}": (InvalidRequestError, MALFORMED),
    "v3/{!openid}": (InvalidRequestError, MALFORMED),
    "v3/{|openid}": (InvalidRequestError, MALFORMED),
    "v3/{%openid}": (InvalidRequestError, MALFORMED),
    "v3/{open id}": (InvalidRequestError, MALFORMED),
    "v3/{*}": (InvalidRequestError, MALFORMED),
    "v3/{openid**}": (InvalidRequestError, MALFORMED),
    "v3/{\nopenid}": (InvalidRequestError, MALFORMED),
}


def official():
    """Yield the cases of https://github.com/uri-templates/uritemplate-test."""
    for file in sorted((VECTORS / "rfc6570").glob("*.json")):
        for title, group in json.loads(file.read_text("utf-8")).items():
            for template, expected in group["testcases"]:
                case = (template, group["variables"], expected)
                yield pytest.param(*case, id=f"{file.stem}: {title}: {template}")


OFFICIAL = list(official())


def test_official_suite_is_whole():
    """No case of the suite is lost on the way here."""
    assert len(OFFICIAL) == 252


@each(("template", "variables", "expected"), OFFICIAL)
def test_official_suite(template, variables, expected):
    """Every case of the RFC's suite, positive and negative, holds."""
    if expected is False:
        with pytest.raises(InvalidRequestError):
            expand(template, variables)
    else:
        assert expand(template, variables) in (expected if isinstance(expected, list) else [expected])


def revive(value):
    """Turn the recording's stand-ins into values: bytes that are not UTF-8, and objects."""
    if isinstance(value, dict) and "$base64" in value:
        return base64.b64decode(value["$base64"])
    return object() if isinstance(value, dict) and "$object" in value else value


def given_to(vector):
    """Give the variables that a recorded expansion was made with."""
    variables = UNITS["default_variables"] if "variables_ref" in vector else vector["variables"]
    pairs = enumerate(variables) if isinstance(variables, list) else variables.items()
    return {str(name): revive(value) for name, value in pairs}


@each("vector", EXPANSIONS, ids=lambda vector: vector["template"])
def test_templates_expand_as_in_php_or_differ_on_purpose(vector):
    """Every recorded expansion is the PHP SDK's, or the one `DIFFERENCES` explains."""
    expected, _ = DIFFERENCES.get(vector["template"], (vector.get("result"), ""))

    if isinstance(expected, str):
        assert expected == expand(vector["template"], given_to(vector))
    else:
        with pytest.raises(expected):
            expand(vector["template"], given_to(vector))


@each(
    ("template", "uri"),
    [
        ("v3/<openid>", "v3/o-1"),
        ("v3/<openid>.json{?n}", "v3/o-1.json?n=1"),
        ('v3/a b"c|d\\e^`é', "v3/a%20b%22c%7Cd%5Ce%5E%60%C3%A9"),
        ("v3/a<b", "v3/a%3Cb"),
        ("v3/100%/%zz/%2f", "v3/100%25/%25zz/%2f"),
        ("v3/{+ready}", "v3/a/%E4%B8%AD%25/%25zz%7C%5C"),
        ("v3/{+doubled}", "v3/%25%41"),
        ("v3/{tuple}{?tuple*}", "v3/a,b?tuple=a&tuple=b"),
        ("v3{?partial*}", "v3?a=1"),
        ("v3{?partial}", "v3?partial=a,1"),
        ("v3{;flag,n}", "v3;flag;n=1"),
        ("v3{?flag}", "v3?flag="),
        ("v3/{word:2}", "v3/%E4%B8%AD%E6%96%87"),
        ("v3/{n}/{f}/{neg}", "v3/1/1.0/-1.5"),
        ("v3/{colour}/{level}", "v3/red/7"),
        ("v3/{nothing}", "v3/"),
        ("v3{?nothing*}", "v3"),
    ],
)
def test_expansion_goes_beyond_the_suite(template, uri):
    """``<name>``, unsafe literals, ready-made paths, undefined members and Python's own types."""

    class Colour(str, enum.Enum):  # noqa: UP042 - unlike StrEnum, str() of this one is not its value
        RED = "red"

    class Level(int, enum.Enum):
        HIGH = 7

    variables = {
        "openid": "o-1",
        "n": 1,
        "f": 1.0,
        "neg": -1.5,
        "ready": "a/%E4%B8%AD%/%zz|\\",
        "doubled": "%%41",
        "tuple": ("a", "b"),
        "partial": {"a": 1, "b": None},
        "flag": "",
        "word": "中文字",
        "colour": Colour.RED,
        "level": Level.HIGH,
        "nothing": [None],
    }

    assert uri == expand(template, variables)


@each(
    "value",
    [
        b"bytes",
        {1, 2},
        object(),
        float("nan"),
        float("inf"),
        "\ud800",
        ["\ud800"],
        [["nested"]],
        {"a": {"b": "c"}},
        {"a": ["b"]},
        {1: "a"},
        1j,
        10**5000,
    ],
    ids=lambda value: type(value).__name__,
)
@each("template", ["v3/{value}", "v3{?value*}", "v3/{+value}"])
def test_value_without_text_is_an_error_that_names_it(template, value):
    """The error names variable and template, and never shows the value."""
    with pytest.raises(InvalidRequestError, match=re.escape(f"variable 'value' of {quote(template)}")):
        expand(template, {"value": value})


@each(
    "template",
    [
        "{",
        "}",
        "{}",
        "{a",
        "a}",
        "{{a}}",
        "{a}}",
        "{a*b}",
        "{a*:3}",
        "{a:0}",
        "{a:01}",
        "{a:10000}",
        "{a:}",
        "{a,}",
        "{,a}",
        "{a,+b}",
        "{é}",
        "{'a}",
        "{.}",
        "{..a}",
        "{a..b}",
        "{a.}",
        "{a%2}",
        "{a%}",
        "{%zz}",
        "{+.a}",
        "{-a}",
        "{a|b}",
        "{o{id}",
        "<open id>",
        "<>",
        "<a:3>",
        "\ud800",
    ],
)
def test_malformed_template_is_refused(template):
    """What the grammar does not know is an error, never guessed at."""
    with pytest.raises(InvalidRequestError):
        expand(template, {"a": "1", "b": "2", "id": "3"})
    with pytest.raises(InvalidRequestError):
        compiled(template)


def test_names_lists_every_variable_once():
    """Operators, modifiers and repetition do not change a variable's name."""
    expected = {"openid", "a", "b.c", "path", "%41"}

    assert expected == compiled("v3/{openid}/<openid>{/path*}{?a:3,b.c,%41}").names
    assert set() == compiled("v3/certificates").names


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("v3/user/{openid}/contracts", "v3/user/<openid>/contracts"),
        ("v3/{+path}{?a,b}{c*}{d:3}", "v3/{+path}{?a,b}{c*}{d:3}"),
        ("v3/<openid>", "v3/<openid>"),
    ],
)
def test_show_writes_simple_variables_with_angles(template, shown):
    """People read ``<openid>``; other expressions have no such form."""
    assert shown == show(template)


def test_quote_hides_a_literal_query():
    """Errors quote templates; the values in a query stay out, its expressions may show."""
    assert "'v3/<a>?...'" == quote("v3/{a}?access_token=SECRET\nSECRET")
    assert "'v3/<a>{?b}'" == quote("v3/{a}{?b}")


@pytest.mark.parametrize("body", ["openid", "+path", "?a,b", "a*", "a:3", "a.b", "%41"])
def test_expression_bodies_are_recognised(body):
    """What may stand between braces is known by the grammar alone."""
    assert is_expression(body)
    assert not is_expression(body + "!")


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXT)
def test_simple_expansion_keeps_the_whole_value(value):
    """Decoding what was sent gives the value back; nothing in it can act as syntax."""
    expanded = expand("{a}", {"a": value})

    assert value == unquote(expanded)
    assert percent_encode(value, safe="") == expanded


@given(TEXT)
def test_reserved_expansion_of_its_own_outcome_changes_nothing(value):
    """A ready-made path is not encoded twice."""
    once = expand("{+a}", {"a": value})

    assert once == expand("{+a}", {"a": once})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.text(st.sampled_from("{}<>ab,.:*3%2f+#/;?&é \ud800"), max_size=12), VALUES)
def test_any_template_expands_or_fails_plainly(template, value):
    """Only our own error comes out, and what expands is ASCII without spaces."""
    try:
        expanded = expand(template, {"a": value, "b": value})
    except InvalidRequestError:
        return

    assert re.fullmatch(r"[!#-;=?-\[\]_a-z~]*", expanded)
