"""What attributes and strings add to a chain."""

from __future__ import annotations

import copy
import json
import keyword
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from cases import each
from hypothesis import given
from hypothesis import strategies as st

from wechatpay.errors import InvalidRequestError
from wechatpay.uri.naming import attribute, join, literal
from wechatpay.uri.template import compiled, show

VECTORS = Path(__file__).parents[1] / "vectors"
PATHNAMES = json.loads((VECTORS / "units.json").read_text("utf-8"))["vectors"]["Builder.pathname"]
CHAINS = [line.split("\t") for line in (VECTORS / "chains.tsv").read_text("utf-8").splitlines()]

# Where the PHP SDK does otherwise, on purpose: what we give, and why.
DIFFERENCES = {
    "attr:v3 attr:pay attr:transactions attr:out_trade_no attr:_outTradeNo_": (
        "v3/pay/transactions/out_trade_no/{outTradeNo}",
        "a variable keeps the case in which the caller passes it",
    ),
    "attr:v3 attr:_a": (AttributeError, "names that begin with '_' are probes"),
    "attr:v3 attr:a\n attr:_a\n_": (AttributeError, "a line feed is in no variable's name"),
    "attr:v3 attr:_a_\n": (AttributeError, "a variable ends in '_', not in a line feed"),
    "chain:v3 chain: attr:pay": (InvalidRequestError, "empty segments in the middle are an error"),
    "chain:v3 chain:/ attr:pay": (InvalidRequestError, "empty segments in the middle are an error"),
    "attr:v3 item:MerchantFund chain:_x_": ("v3/MerchantFund/{x}", "a capital at the start is a value"),
    "chain: attr:v3 attr:x": ("v3/x", "a leading '/' is dropped"),
    "attr:v3 item:0": ("v3/0", "PHP takes the string for a number, and fails"),
    "attr:v3 item:123": (TypeError, "a segment is a str, in PHP as here"),
    "item:0": ("0", "PHP fails on the number; here it is the string '0'"),
}


def walk(steps):
    """Go down a chain as nodes do."""
    template = ""
    for kind, text in steps:
        child = attribute(text, template) if kind == "attr" else literal(text, template)
        template = join(template, child)
    return template


def attributes(*names):
    """Go down a chain of attributes."""
    return walk(("attr", name) for name in names)


def identify(vector):
    """Write the steps of a recorded chain in a line."""
    return " ".join(f"{kind}:{text}" for kind, text in vector["steps"]) or "root"


@each("vector", PATHNAMES, ids=identify)
def test_chains_read_as_in_php_or_differ_on_purpose(vector):
    """Every recorded chain gives the PHP SDK's path, or the one `DIFFERENCES` explains."""
    expected = vector.get("result")
    if any(not isinstance(text, str) for _, text in vector["steps"]):
        expected = TypeError
    elif identify(vector) in DIFFERENCES:
        expected, _ = DIFFERENCES[identify(vector)]

    if isinstance(expected, str):
        assert expected == walk(vector["steps"])
    else:
        with pytest.raises(expected):
            walk(vector["steps"])


def test_every_documented_operation_reads_the_same_in_all_spellings():
    """Attributes, ``{}``, ``<>``, ``_x_`` in a string and a leading ``/`` give one and the same template."""
    assert len(CHAINS) == 1060
    for chain, uri in CHAINS:
        dotted = chain.split(".")
        spellings = {
            attributes(*dotted),
            literal(uri, ""),
            literal(show(uri), ""),
            literal("/" + uri, ""),
            # "h5Presign" is not a word but a value in a string.
            literal("/".join(attribute(s, "") if s.startswith("h5") else s for s in dotted), ""),
            walk([("chain", segment) for segment in uri.split("/")]),
        }

        assert {uri} == spellings


@pytest.mark.parametrize(
    ("name", "segment"),
    [
        ("eduPapay", "edu-papay"),
        ("userAuthorizations", "user-authorizations"),
        ("complaintsV2", "complaints-v2"),
        ("EduPapay", "edu-papay"),
        ("h5Presign", "h5-presign"),
        ("V3", "v3"),
        ("JSAPI", "j-s-a-p-i"),
        ("N123123", "n123123"),
        ("video_upload", "video_upload"),
        ("pay_bank", "pay_bank"),
        ("Ａ中É", "Ａ中É"),
    ],
)
def test_attribute_follows_the_php_rule(name, segment):
    """ASCII capitals become ``-x``, the first without the dash; nothing else changes."""
    assert segment == attribute(name, "v3")


@pytest.mark.parametrize("name", ["global", "return", "import", "try", "delete", "for", "class"])
def test_one_trailing_underscore_is_dropped_from_attributes(name):
    """Segments that are Python keywords, or names of nodes, can be written as attributes."""
    assert name == attribute(f"{name}_", "v3")
    assert f"{name}_" == attribute(f"{name}__", "v3")
    assert f"{name}_" == literal(f"{name}_", "v3")


@pytest.mark.parametrize(
    ("name", "template"),
    [
        ("_openid_", "v3/{openid}"),
        ("_outTradeNo_", "v3/{outTradeNo}"),
        ("_out_trade_no_", "v3/{out_trade_no}"),
        ("_x__", "v3/{x_}"),
        ("_repr_", "v3/{repr}"),
        ("_+path_", "v3/{+path}"),
        ("_foo*_", "v3/{foo*}"),
        ("_foo:3_", "v3/{foo:3}"),
        ("_?a,b_", "v3{?a,b}"),
        ("_/path*_", "v3{/path*}"),
        ("{outTradeNo}", "v3/{outTradeNo}"),
        ("<outTradeNo>", "v3/{outTradeNo}"),
        ("pay/outTradeNo", "v3/pay/out-trade-no"),
    ],
)
def test_attribute_between_underscores_is_a_variable(name, template):
    """The variable's case is kept; operators and modifiers work through ``getattr``."""
    assert template == attributes("v3", name)


PROBES = [
    "_x",
    "_",
    "__",
    "___",
    "_a\n_",
    "_a b_",
    "_é_",
    "__len__",
    "__iter__",
    "__a_",
    "_repr_html_",
    "_repr_mimebundle_",
    "_ipython_display_",
    "_ipython_canary_method_should_not_exist_",
]


@pytest.mark.parametrize("name", PROBES)
def test_probes_find_nothing_as_attributes_and_are_text_in_strings(name):
    """``hasattr`` is false for what copy, mock and IPython look for; ``["_x"]`` is still a segment."""
    with pytest.raises(AttributeError, match="use \\["):
        attribute(name, "v3")

    assert name == literal(name, "v3")


def test_empty_attribute_does_not_exist():
    """``getattr(node, "")`` names nothing."""
    with pytest.raises(AttributeError):
        attribute("", "v3")


def test_copy_and_mock_probes_pass_over_a_chain():
    """An object that makes `attribute`s is copied and mocked as any other."""

    class Probed(SimpleNamespace):
        def __getattr__(self, name):
            return attribute(name, "")

    probed = Probed(template="v3")

    assert copy.copy(probed) == probed
    assert copy.deepcopy(probed) == probed
    assert mock.Mock(spec=probed).template


@each(
    "text",
    [
        "EduPapay",
        "MerchantFund",
        "h5Presign",
        "V3",
        "N123123",
        "oUpF8uMuAJOM2pxb1Q",
        "Order2026A",
        "JSAPI",
        "eduPAPAY",
        "eduP",
        "edu-Papay",
        "complaintsV2x",
        "complaintsV٢",
        "global_",
        "video_upload",
        "Ａb",
        "éduPapay",
        "userAuthorizations.json",
        "eduPapay\n",
        "_x_.json",
    ],
)
def test_values_in_strings_are_verbatim(text):
    """Only a whole camelCase word is turned into dashes: an order number never is."""
    assert f"v3/{text}/x" == literal(f"v3/{text}/x", "")


@pytest.mark.parametrize("text", ["eduPapay", "userAuthorizations", "complaintsV2", "oUpFuMuAjOm", "v3"])
def test_camel_case_words_in_strings_are_attributes(text):
    """One camelCase word reads the same in a string and as an attribute."""
    assert attribute(text, "") == literal(text, "")


@each(
    ("text", "template"),
    [
        ("v3/<openid>", "v3/{openid}"),
        ("v3/_openid_/eduPapay", "v3/{openid}/edu-papay"),
        ("v3/<id>.json", "v3/{id}.json"),
        ("v3/{+path}", "v3/{+path}"),
        ("v3/eduPapay{?aB,b}", "v3/edu-papay{?aB,b}"),
        ("v3/eduPapay{/aB*}/eduPapay", "v3/edu-papay{/aB*}/edu-papay"),
        ("v3/eduPapay{&a}", "v3/edu-papay{&a}"),
        ("v3/eduPapay?a=eduPapay/_x_&b=<b>", "v3/edu-papay?a=eduPapay/_x_&b={b}"),
        ("v3/eduPapay#eduPapay", "v3/edu-papay#eduPapay"),
        ("v3/{?a}&b=eduPapay", "v3/{?a}&b=eduPapay"),
        ("?a=eduPapay", "?a=eduPapay"),
        ("/v3/pay", "v3/pay"),
        ("v3/applyments/", "v3/applyments/"),
        ("v3:eduPapay/x", "v3:eduPapay/x"),
        ("", ""),
        ("/", ""),
        (
            "https://api.mch.weixin.qq.com/v3//eduPapay/_x_?token=<t>",
            "https://api.mch.weixin.qq.com/v3//eduPapay/_x_?token={t}",
        ),
        ("HTTPS://HOST/eduPapay", "HTTPS://HOST/eduPapay"),
    ],
)
def test_strings_are_read_by_segments(text, template):
    """Expressions, queries and absolute URLs stay as they are; words between slashes follow the rule."""
    assert template == literal(text, "")


@pytest.mark.parametrize("name", ["addInstitutionsub", "modifyInstitutionsub", "queryInstitutionsub"])
@pytest.mark.parametrize("parent", ["v2/secapi/mch", "V2/secapi/mch", "https://a.example/v2/secapi/mch"])
def test_names_with_a_real_capital_are_kept(name, parent):
    """The three documented segments with a capital keep it, where they are documented and nowhere else."""
    assert name == attribute(name, parent)
    assert name == literal(name, parent)
    assert "query-institutionsub" == attribute("queryInstitutionsub", "v3/secapi/mch")
    assert "query-institutionsub" == literal("queryInstitutionsub", "")


def test_names_with_a_real_capital_are_kept_within_one_string():
    """The path so far includes what stands before the segment in the same string."""
    assert "v2/secapi/mch/addInstitutionsub" == literal("/v2/secapi/mch/addInstitutionsub", "")
    assert "mch/addInstitutionsub" == literal("mch/addInstitutionsub", "v2/secapi")
    assert "{addinstitutionsub}" == attribute("_addinstitutionsub_", "v2/secapi/mch")


@pytest.mark.parametrize(
    "text",
    [
        "v3//pay",
        "//v3",
        "//a.example/v3",
        "v3/{openid",
        "v3/openid}",
        "v3/{open id}",
        "v3/<open-id>",
        "v3/<>",
        "v3/{}",
        "v3/<+a>",
    ],
)
def test_broken_strings_are_refused_at_once(text):
    """Empty segments and malformed expressions do not wait for the verb."""
    with pytest.raises(InvalidRequestError):
        literal(text, "")


@pytest.mark.parametrize(
    ("parent", "child", "template"),
    [
        ("", "v3", "v3"),
        ("v3", "pay", "v3/pay"),
        ("v3", "", "v3/"),
        ("v3", "?a=1", "v3?a=1"),
        ("v3", "{?a}", "v3{?a}"),
        ("v3", "{&a}", "v3{&a}"),
        ("v3", "{/a}", "v3{/a}"),
        ("v3?a=1", "&b=2", "v3?a=1&b=2"),
        ("v3{?a}", "{&b}", "v3{?a}{&b}"),
        ("v3", "x?u=https://a.example/", "v3/x?u=https://a.example/"),
        ("https://a.example", "v3", "https://a.example/v3"),
        ("https://a.example/global/", "v3", "https://a.example/global/v3"),
    ],
)
def test_parts_are_joined_by_one_slash_or_none(parent, child, template):
    """A query has no slash before it, nor has an expression that brings its own."""
    assert template == join(parent, child)


@pytest.mark.parametrize(
    ("parent", "child", "why"),
    [
        ("v3/", "pay", "empty segment"),
        ("v3", "https://a.example/v3", "only begin a chain"),
        ("v3?a=1", "pay", "cannot follow the query"),
        ("v3?a=1", "?b=2", "cannot follow the query"),
        ("v3{&a}", "pay", "cannot follow the query"),
        ("v3#a", "pay", "cannot follow the query"),
    ],
)
def test_parts_that_do_not_fit_are_refused(parent, child, why):
    """A path after a query, a host after a path and an empty segment are mistakes."""
    with pytest.raises(InvalidRequestError, match=why):
        join(parent, child)


def test_errors_do_not_repeat_tokens():
    """What stands in a query stays out of messages: it may be an ``access_token``."""
    with pytest.raises(InvalidRequestError) as caught:
        join("wxa/x?access_token=SECRET", "y?access_token=SECRET")

    assert "SECRET" not in str(caught.value)


LOWER = "abcdefghijklmnopqrstuvwxyz"
WORDS = st.lists(st.text(LOWER, min_size=1, max_size=6), min_size=1, max_size=4)
NAMES = st.from_regex(r"[A-Za-z0-9_]{1,8}", fullmatch=True)


@given(
    first=st.text(LOWER, min_size=1, max_size=6),
    rest=st.lists(st.text(LOWER, min_size=2, max_size=6), max_size=4),
)
def test_dashed_segments_can_be_written_in_camel_case(first, rest):
    """Any kebab-case segment is reached by its camelCase word, as an attribute and in a string."""
    camel = first + "".join(map(str.capitalize, rest))
    kebab = "-".join([first, *rest])

    assert kebab == attribute(camel, "v3") == literal(camel, "v3") == literal(kebab, "v3")


@given(st.from_regex(r"[A-Za-z]*[A-Z][A-Za-z]*[0-9][A-Za-z0-9]*|[A-Z0-9][A-Za-z0-9]*", fullmatch=True))
def test_values_with_digits_or_a_leading_capital_are_verbatim(value):
    """What cannot be a camelCase word is a value; the one word with digits ends in ``V`` and a number."""
    versioned = value.rstrip("0123456789").endswith("V") and value[0].islower()

    assert versioned or value == literal(value, "v3")


@given(st.lists(st.one_of(WORDS.map("-".join), NAMES.map("{{{}}}".format)), min_size=1, max_size=6))
def test_what_is_shown_can_be_chained(segments):
    """``literal(show(template))`` is the template: what ``repr`` prints can be pasted."""
    template = "/".join(segments)

    assert template == literal(show(template), "")
    assert literal(template, "") == literal(literal(template, ""), "")


@given(NAMES.filter(lambda name: not name.startswith("_")))
def test_any_variable_can_be_written_between_underscores(name):
    """``_name_`` is ``{name}``, but for the names that IPython asks for."""
    assert f"{{{name}}}" == attribute(f"_{name}_", "v3") or name.startswith(("repr_", "ipython_"))


@given(st.text(alphabet=st.one_of(st.sampled_from("_{}<>/?#:&aZ9.\\"), st.characters()), max_size=12))
def test_any_name_gives_a_sound_template_or_a_plain_error(text):
    """Whatever is asked for, only our errors come out, and what comes out is well formed."""
    try:
        compiled(attribute(text, "v3"))
    except (AttributeError, InvalidRequestError):
        assert keyword.iskeyword(text) is False
    try:
        compiled(join("v3", literal(text, "v3")))
    except InvalidRequestError:
        assert text
