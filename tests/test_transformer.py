"""APIv2's XML, read and written."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tracemalloc
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import MappingProxyType

import pytest
from cases import each
from hypothesis import given, settings
from hypothesis import strategies as st

from wechatpay.errors import DecodeError, InvalidRequestError
from wechatpay.transformer import MAX_DEPTH, MAX_SIZE, sanitize, to_dict, to_xml

VECTORS = Path(__file__).parent / "vectors"
UNITS = json.loads((VECTORS / "units.json").read_text("utf-8"))["vectors"]
WIRE = [json.loads(line) for line in (VECTORS / "wire.jsonl").read_text("utf-8").splitlines()]

# Where the PHP SDK returns something and we refuse, by the first argument.
NOT_WRITTEN = {
    '{"a": 0, "b": -1, "c": 1.0, "d": 0.1, "e": 1e+25, "f": 1.5e-07, "g": 123456789.12345678,'
    ' "h": 9223372036854775807}': "floats are refused",
    '{"a": "\\u0001<\\u0002"}': "PHP writes a document that no parser reads",
    '{"a b": "v"}': "PHP sends `item` in place of an invalid name",
    '{"a$": "v"}': "the same",
    '{":a": "v"}': "the same",
    '{"\\u0661": "v"}': "the same",
    '{"a\'": "v"}': "the same",
    '{"a&b": "v"}': "the same",
}
NOT_READ = {
    "<xml>text</xml>": "text that belongs to no field",
    "<xml><![CDATA[text]]></xml>": "the same",
    '\n<?xml version="1.0"?><xml><a>1</a></xml>': "does not parse: PHP gives an empty array",
    "": "the same",
    " ": "the same",
    '<?xml version="1.0" encoding="nope"?><xml><a>1</a></xml>': "the same",
    "<root><comment>1</comment><0>x</0></root>": "the same",
    '<!DOCTYPE xml [<!ENTITY e "val">]><xml><a>&e;</a></xml>': "PHP expands internal entities",
    '<!DOCTYPE xml [<!ENTITY e "val">]><xml><a>&e;</a><b>2</b></xml>': "the same",
}
# Where we read a document that the PHP SDK takes for empty.
ONLY_HERE = {'<?xml version="1.0" encoding="GBK"?><xml><a>\ufffd\ufffd\ufffd\ufffd</a></xml>': {"a": "中文"}}
BREAK_OUT = {"cdata": "<a>]]><b>"}

ILLEGAL = "".join(map(chr, {*range(32)} - {*b"\t\n\r"})) + "\ufffe\uffff"
TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=ILLEGAL) | st.sampled_from("<>&\"'\r\n\t ]"),
    max_size=20,
)
NAMES = st.sampled_from(["appid", "total_fee", "coupon_id_0", "A1_-.:z", "_", "é", "中文"])


def thaw(argument):
    """Give an argument of a vector its type."""
    if isinstance(argument, dict) and argument.keys() == {"$base64"}:
        return base64.b64decode(argument["$base64"])
    return argument


def legible(argument):
    """Give an argument as text that can be a key."""
    if isinstance(argument, bytes):
        return argument.decode(errors="replace")
    return argument if isinstance(argument, str) else json.dumps(argument)


def vectors(group):
    """Give arguments and expectation of each vector of a group; ``None`` for an exception."""
    return [
        pytest.param(
            [thaw(argument) for argument in vector["args"]], vector.get("result"), id=f"{group}-{at}"
        )
        for at, vector in enumerate(UNITS[f"Transformer.{group}"])
    ]


def test_every_known_difference_is_still_a_vector():
    """The lists of what we refuse name recorded inputs only."""
    recorded = {
        legible(thaw(vector["args"][0]))
        for group in ("toXml", "toArray")
        for vector in UNITS[f"Transformer.{group}"]
    }

    assert set() == {*NOT_WRITTEN, *NOT_READ, *ONLY_HERE, legible(BREAK_OUT)} - recorded


@each(("args", "expected"), vectors("toXml"))
def test_documents_are_written_as_the_php_sdk_writes_them(args, expected):
    """Same arguments in the same order, same text; a listed input, or one PHP rejects, is an error."""
    if expected is None or legible(args[0]) in NOT_WRITTEN:
        with pytest.raises(InvalidRequestError):
            to_xml(*args)
    elif args != [BREAK_OUT]:
        assert expected == to_xml(*args)


@each(("args", "expected"), vectors("toArray"))
def test_documents_are_read_as_the_php_sdk_reads_them(args, expected):
    """Same fields in the same order; a listed input is an error, or read where PHP reads nothing."""
    if legible(args[0]) in NOT_READ:
        with pytest.raises(DecodeError):
            to_dict(*args)
    else:
        expected = ONLY_HERE.get(legible(args[0]), expected)

        assert list(dict(expected).items()) == list(to_dict(*args).items())


@pytest.mark.parametrize(("args", "expected"), vectors("sanitize"))
def test_text_is_sanitized_as_the_php_sdk_does(args, expected):
    """What XML allows stays, the rest goes."""
    assert expected == sanitize(*args)


@pytest.mark.parametrize(
    "body", [row["request"]["body"] for row in WIRE if str(row["request"]["body"]).startswith("<xml>")]
)
def test_a_recorded_body_survives_reading_and_writing(body):
    """What the PHP SDK put on the wire is, read and written again, the same text."""
    assert body == to_xml(to_dict(body))


@given(st.dictionaries(NAMES, TEXT, min_size=1, max_size=4), st.booleans(), st.booleans())
def test_any_text_that_xml_allows_comes_back(fields, headless, indent):
    """White space at the ends, CR, ``]]>``, quotes and astral characters included."""
    assert fields == to_dict(to_xml(fields, headless=headless, indent=indent).encode())


@given(st.recursive(TEXT, lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=3), max_leaves=8))
def test_nested_fields_come_back(value):
    """A mapping in a mapping keeps its shape, indented or not."""
    fields = {"data": value}

    assert fields == to_dict(to_xml(fields)) == to_dict(to_xml(fields, indent=True))


@given(st.text(st.characters(categories=["L", "Nd", "Mn", "Pc"]) | st.sampled_from("a-.: "), max_size=3))
def test_a_name_that_is_written_is_read(name):
    """Whatever its letters: a name is refused, or comes back."""
    try:
        written = to_xml({name: "v"})
    except InvalidRequestError:
        return

    assert {name: "v"} == to_dict(written)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.none() | NAMES, inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.dictionaries(NAMES, ANYTHING, min_size=1, max_size=2))
def test_any_value_is_refused_or_written_so_that_it_is_read(fields):
    """Nothing but ``InvalidRequestError`` comes out, and no document that cannot be read."""
    try:
        written = to_xml(fields)
    except InvalidRequestError:
        return

    assert fields.keys() == to_dict(written).keys()


SOUP = st.lists(
    st.sampled_from(
        [
            *(
                "<xml>",
                "</xml>",
                "<a>",
                "</a>",
                "<b x='1'>",
                "</b>",
                "<c/>",
                "text",
                " ",
                "\n",
                "\r",
                "<",
                ">",
                "&",
            ),
            *(
                "<![CDATA[",
                "]]>",
                "<!--",
                "-->",
                "<?pi x?>",
                "<?xml version='1.0' encoding='",
                "UTF-16",
                "utf-8",
            ),
            *(
                "'?>",
                "<!DOCTYPE x [",
                "<!ENTITY e 'v'>",
                "<!ENTITY % p SYSTEM 'file:///dev/zero'>",
                "]>",
                "&e;",
            ),
            *(
                "&#13;",
                "&#0;",
                "&#xD800;",
                "&lt;",
                "\x00",
                "\x0b",
                "\ufeff",
                "\ufffe",
                "\ud800",
                "<x:a xmlns:x='u'>",
            ),
        ]
    ),
    max_size=40,
).map("".join)


@given(st.text() | st.binary() | SOUP | SOUP.map(lambda soup: f"<xml>{soup}</xml>"))
@settings(max_examples=300)
def test_any_input_is_read_or_refused(xml):
    """Text, bytes and mark-up soup: fields or ``DecodeError``, never another error."""
    try:
        fields = to_dict(xml)
    except DecodeError:
        return

    assert isinstance(fields, dict)


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "xml",
    [
        pytest.param('<!DOCTYPE xml [<!ENTITY e "v">]><xml><a>&e;</a></xml>', id="internal"),
        pytest.param('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><xml>&e;</xml>', id="external"),
        pytest.param('<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1/">%p;]><xml/>', id="parameter"),
        pytest.param(
            '<!DOCTYPE xml SYSTEM "http://127.0.0.1/x.dtd"><xml><a>1</a></xml>', id="external-subset"
        ),
        pytest.param("<!DOCTYPE xml><xml><a>1</a></xml>", id="bare"),
        pytest.param("<!DOC\x00TYPE xml><xml><a>1</a></xml>", id="hidden-by-a-control"),
        pytest.param(f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]><xml><a>&l9;</a></xml>', id="billion-laughs"),
    ],
)
def test_a_document_type_is_refused(xml):
    """Entities have nowhere to be declared, so nothing expands and nothing is fetched."""
    with pytest.raises(DecodeError, match="document type"):
        to_dict(xml)


def test_what_only_looks_like_a_document_type_is_text():
    """A value may hold any mark-up."""
    value = '<!DOCTYPE x [<!ENTITY e "v">]>&e;'

    assert {"a": value} == to_dict(to_xml({"a": value}))


@pytest.mark.parametrize(
    "xml",
    [
        pytest.param("<xml><a>1</a>", id="cut-off"),
        pytest.param("<xml><a>1</b></xml>", id="crossed"),
        pytest.param("<xml/><xml/>", id="two-roots"),
        pytest.param("<xml><a>&nbsp;</a></xml>", id="undeclared-entity"),
        pytest.param("<xml><a>&#1;</a></xml>", id="reference-to-a-control"),
        pytest.param("<xml><a b='1' b='2'/></xml>", id="attribute-twice"),
        pytest.param('{"code": "SUCCESS"}', id="json"),
        pytest.param("`交易时间,`公众账号ID", id="csv"),
    ],
)
def test_a_document_that_does_not_parse_is_an_error(xml):
    """Never an empty dict, which would look like a response; the message says where."""
    with pytest.raises(DecodeError, match=r"does not parse .*line 1, column \d+"):
        to_dict(xml)


@pytest.mark.parametrize(
    "xml",
    [
        pytest.param("<xml><a>中文</a></xml>".encode("gbk"), id="gbk"),
        pytest.param("<xml><a>1</a></xml>".encode("utf-16"), id="utf-16"),
        pytest.param('<?xml version="1.0" encoding="Big5"?><xml><a>1</a></xml>', id="declared"),
        pytest.param(
            '<?xml version="1.0" encoding="GBK"?><xml><a>\xff</a></xml>'.encode("latin-1"), id="false"
        ),
        pytest.param("<xml><a>\ud800</a></xml>", id="lone-surrogate"),
    ],
)
def test_other_encodings_are_refused(xml):
    """Read as UTF-8 it would say something else."""
    with pytest.raises(DecodeError, match=r"UTF-8|GB18030"):
        to_dict(xml)


@pytest.mark.parametrize("encoding", ["GBK", "gb2312", "GB18030"])
def test_declared_encoding_of_bytes_is_followed(encoding):
    """The old encodings of Chinese are read where the document says so."""
    xml = f'<?xml version="1.0" encoding="{encoding}"?><xml><a>联通</a></xml>'

    assert {"a": "联通"} == to_dict(xml.encode(encoding)) == to_dict(xml)


@pytest.mark.parametrize("encoding", ["UTF-8", "utf-8", "utf8"])
def test_utf8_may_be_declared(encoding):
    """In any case, for text and for bytes."""
    xml = f'<?xml version="1.0" encoding="{encoding}" standalone="yes"?><xml><a>中</a></xml>'

    assert {"a": "中"} == to_dict(xml) == to_dict(xml.encode())


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        pytest.param("<xml>lost<a>1</a></xml>", {"a": "1"}, id="in the root"),
        pytest.param("<xml><b>1</b>\u3000</xml>", {"b": "1"}, id="wide space"),
        pytest.param("<xml><a><b>1</b><![CDATA[lost]]></a></xml>", {"a": {"b": "1"}}, id="behind"),
        pytest.param("<xml><a>kept<b>1</b></a></xml>", {"a": "kept"}, id="in front"),
        pytest.param("<xml><a>1<b/>2</a></xml>", {"a": "12"}, id="around"),
        pytest.param("<xml><a>  <b>1</b></a></xml>", {"a": {"b": "1"}}, id="white space"),
    ],
)
def test_text_beside_fields_is_read_as_in_php(xml, expected):
    """In front of a field's children it hides them; elsewhere it is dropped."""
    assert expected == to_dict(xml)


def test_text_without_fields_is_refused():
    """PHP gives it a number as its name, which is not a field."""
    with pytest.raises(DecodeError, match="text and no fields"):
        to_dict("<xml>text</xml>")


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        pytest.param("<xml><?php 1?><a>1</a></xml>", {"php": "1", "a": "1"}, id="in the root"),
        pytest.param("<xml><?pi x?><?pi y?></xml>", {"pi": ["x", "y"]}, id="two"),
        pytest.param("<xml><?pi?></xml>", {"pi": ""}, id="empty"),
        pytest.param("<xml><a/><?a x?></xml>", {"a": ["", "x"]}, id="of a field's name"),
        pytest.param("<xml><a>x<?pi z?>y</a></xml>", {"a": "xy"}, id="in a value"),
        pytest.param("<xml><a><b>1</b><?pi z?></a></xml>", {"a": {"b": "1", "pi": "z"}}, id="in a record"),
    ],
)
def test_processing_instructions_are_read_as_in_php(xml, expected):
    """Beside fields, each is under its target."""
    assert expected == to_dict(xml)


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        pytest.param('<xml xmlns:p="u"><p:a>1</p:a><b>2</b></xml>', {"b": "2"}, id="field"),
        pytest.param('<xml xmlns:p="u"><a><p:b>1</p:b></a></xml>', {"a": ""}, id="all of a field"),
        pytest.param('<xml xmlns:p="u"><a><p:b><c/></p:b><c>2</c></a></xml>', {"a": {"c": "2"}}, id="nested"),
        pytest.param('<p:xml xmlns:p="u"><a>1</a></p:xml>', {"a": "1"}, id="root"),
        pytest.param('<xml xmlns:p="u" p:x="1"><a p:y="2"><b/></a></xml>', {"a": {"b": ""}}, id="attribute"),
        pytest.param('<xml><a xmlns:p="u"/><p:b>1</p:b></xml>', {"a": "", "p:b": "1"}, id="out of scope"),
        pytest.param(
            '<xml xmlns:p="u"><a xmlns:p="v"/><p:b>1</p:b><c>2</c></xml>',
            {"a": "", "c": "2"},
            id="still in scope",
        ),
        pytest.param("<xml><p:a>1</p:a></xml>", {"p:a": "1"}, id="not declared"),
        pytest.param('<xml p:x="1"/>', {"@attributes": {"p:x": "1"}}, id="attribute, not declared"),
    ],
)
def test_name_space_prefixes_are_read_as_in_php(xml, expected):
    """What has a declared prefix is dropped; an undeclared prefix is a part of the name."""
    assert expected == to_dict(xml)


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        pytest.param("<root><a>1</a></root>", {"a": "1"}, id="refund-callback"),
        pytest.param("<?pi x?><!-- c --><xml><a>1</a></xml><!-- d -->", {"a": "1"}, id="around-the-root"),
        pytest.param("<xml/>", {}, id="empty"),
        pytest.param("<xml>\r\n</xml>", {}, id="blank"),
    ],
)
def test_the_root_may_be_any(xml, expected):
    """Its name is not looked at, nor what surrounds it."""
    assert expected == to_dict(xml)


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        pytest.param('<xml xmlns="u" xml:lang="zh"><a>1</a></xml>', {"a": "1"}, id="of-xml-itself"),
        pytest.param('<xml><a x="1">2</a><b x="1"/></xml>', {"a": "2", "b": ""}, id="of-a-field"),
        pytest.param(
            '<xml><a x="1"><b>2</b></a></xml>', {"a": {"@attributes": {"x": "1"}, "b": "2"}}, id="of-a-record"
        ),
    ],
)
def test_attributes_are_read_as_in_php(xml, expected):
    """Kept where there are fields to keep them with, but for name spaces and ``xml:``."""
    assert expected == to_dict(xml)


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        pytest.param("<xml><a>1<!-- c -->2</a></xml>", {"a": "12"}, id="in-a-value"),
        pytest.param("<xml><a><!-- c --></a></xml>", {"a": ""}, id="alone"),
        pytest.param("<xml><comment>1</comment><!--2--></xml>", {"comment": ["1", "2"]}, id="clash"),
    ],
)
def test_a_comment_never_shortens_a_value(xml, expected):
    """A value is all of its text; a comment beside fields shows, and so fails the check of the digest."""
    assert expected == to_dict(xml)


def test_depth_is_bounded():
    """What is as deep as we write is read; one level more is refused both ways."""
    deepest = "x"
    for _ in range(MAX_DEPTH - 1):
        deepest = {"a": deepest}

    assert deepest == to_dict(to_xml(deepest))
    with pytest.raises(InvalidRequestError, match=r"'a\.a\.a': nested over 100 deep"):
        to_xml({"a": deepest})
    with pytest.raises(DecodeError, match="deeper than 100"):
        to_dict(f"<xml>{to_xml(deepest)}</xml>")
    with pytest.raises(DecodeError, match="deeper than 100"):
        to_dict("<a>" * (MAX_SIZE // 3))


def test_a_mapping_that_contains_itself_is_refused():
    """An error, not an endless loop or a ``RecursionError``."""
    data = {}
    data["a"] = data["b"] = data

    with pytest.raises(InvalidRequestError, match="in itself"):
        to_xml(data)


@pytest.mark.parametrize("xml", ["x" * (MAX_SIZE + 1), b"x" * (MAX_SIZE + 1)], ids=["text", "bytes"])
def test_size_is_bounded(xml):
    """A document over 1 MiB is refused before it is looked at."""
    with pytest.raises(DecodeError, match="1,048,577 long"):
        to_dict(xml)


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "piece", ["<a/>", "<a><b/></a>", '<a b=""><b/></a>', "<!---->", "&amp;", "<a>" * 98 + "</a>" * 98]
)
def test_memory_is_bounded_by_size(piece):
    """Whatever the mark-up, reading takes less than 64 times its size: 64 MiB at the most."""
    xml = f"<xml><r>{piece * (MAX_SIZE // 16 // len(piece))}</r></xml>"
    tracemalloc.start()
    try:
        to_dict(xml)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 64 * len(xml)


@each(
    "key",
    ["", "1x", "a b", "a<b", "a/b", "a\n", "-x", "a>", ":a", "é<b", "中 文", "a\ud800", "١", 0, None, b"a"],
)
def test_a_key_that_is_not_an_element_name_is_refused(key):
    """PHP sends it as ``item``; here the error names it, at any depth."""
    with pytest.raises(InvalidRequestError) as caught:
        to_xml({"outer": [{key: "v"}]})

    assert f"the key {key!r} is not an element name" in str(caught.value)


@pytest.mark.parametrize("what", ["root", "item"])
def test_the_names_of_root_and_items_are_checked(what):
    """They are mark-up as much as keys are."""
    with pytest.raises(InvalidRequestError, match=rf"the {what} 'a><b' is not an element name"):
        to_xml({"a": "1"}, **{what: "a><b"})


@pytest.mark.parametrize("value", ["\x00", "a\x01<", "\x0b", "\x7f\ufffe", "\uffff", "\ud800"])
def test_a_character_that_xml_cannot_carry_is_refused(value):
    """It would be lost or break the document; the error names field and character, not the value."""
    with pytest.raises(InvalidRequestError, match=r"'scene\.note': XML cannot carry U\+[0-9A-F]{4}"):
        to_xml({"scene": {"note": value}})


@pytest.mark.parametrize("value", [19.99 * 100, 1.0, float("nan"), float("inf")])
def test_a_float_is_refused(value):
    """An amount must not change on the way; the error names the field."""
    with pytest.raises(InvalidRequestError, match=r"'total_fee': a float is not exact"):
        to_xml({"total_fee": value})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((None, ""), (False, ""), (True, "1"), (0, "0"), (-1, "-1"), (2**70, "1180591620717411303424")),
        *((Decimal("0.10"), "0.10"), (Decimal("1E+3"), "1000")),
        (Enum("Fee", {"TYPE": "CNY"}, type=str).TYPE, "CNY"),
    ],
)
def test_scalars_are_written_as_in_php(value, expected):
    """Booleans, numbers and strings of any kind become one text, which is what is signed too."""
    assert f"<xml><a>{expected}</a></xml>" == to_xml({"a": value})


@pytest.mark.parametrize("value", [Decimal("NaN"), b"bytes", {1, 2}, object(), 1j])
def test_a_value_that_has_no_one_text_is_refused(value):
    """Better no request than one that says ``b'bytes'``."""
    with pytest.raises(InvalidRequestError, match="'a'"):
        to_xml({"a": value})


@pytest.mark.parametrize("data", [None, "text", 1, {1}])
def test_only_a_mapping_or_a_list_makes_a_document(data):
    """A scalar would be text that belongs to no field."""
    with pytest.raises(InvalidRequestError, match=f"of type {type(data).__name__}"):
        to_xml(data)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("]]>", "<![CDATA[]]]]><![CDATA[>]]>", id="end"),
        pytest.param(
            "x]]></a><total_fee>1</total_fee><a>",
            "<![CDATA[x]]]]><![CDATA[></a><total_fee>1</total_fee><a>]]>",
            id="injection",
        ),
        pytest.param("]]\r>", "<![CDATA[]]]]>&#13;<![CDATA[>]]>", id="cr-inside"),
    ],
)
def test_the_end_of_cdata_cannot_break_out(value, expected):
    """The PHP SDK lets a value end its CDATA section and add fields; here it is split over two."""
    written = to_xml({"a": value})

    assert f"<xml><a>{expected}</a></xml>" == written
    assert {"a": value} == to_dict(written)


def test_a_carriage_return_beside_markup_is_kept():
    """In CDATA, as PHP writes it, a parser would turn it into a line feed, and the digest would not match."""
    assert "<xml><a><![CDATA[a&]]>&#13;<![CDATA[\nb]]></a></xml>" == to_xml({"a": "a&\r\nb"})


def test_lists_are_written_as_items():
    """Also tuples, lists in lists, and the data itself; read again they are under their item name."""
    written = to_xml({"a": ["p", ("q", "r")], "b": []}, item="row")

    assert "<xml><a><row>p</row><row><row>q</row><row>r</row></row></a><b/></xml>" == written
    assert {"a": {"row": ["p", {"row": ["q", "r"]}]}, "b": ""} == to_dict(written)
    assert "<xml><item>p</item></xml>" == to_xml(["p"])


def test_any_mapping_is_written():
    """Read-only views and the like, not ``dict`` alone."""
    assert "<xml><a><b>1</b></a></xml>" == to_xml(MappingProxyType({"a": MappingProxyType({"b": 1})}))


def test_indented_documents_look_like_php_ones():
    """One space per level, fields without children on one line, a line feed at the end."""
    expected = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        "<xml>\n <a><![CDATA[&]]></a>\n <b>\n  <item>p</item>\n </b>\n <c/>\n <d></d>\n</xml>\n"
    )

    assert expected == to_xml({"a": "&", "b": ["p"], "c": {}, "d": ""}, headless=False, indent=True)


def test_the_xml_parser_is_all_that_is_loaded():
    """Importing the module costs no SAX, no tree, no network library."""
    code = (
        "import sys, wechatpay.transformer\n"
        "print({'xml.sax', 'xml.etree', 'requests', 'aiohttp', 'cryptography'} & {*sys.modules})"
    )
    root = Path(__file__).parent.parent
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)

    assert "set()\n" == run.stdout
