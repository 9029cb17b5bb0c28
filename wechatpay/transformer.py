"""APIv2's XML: a mapping to a document, and back.

The shapes are those of the PHP SDK's ``Transformer``. Any text that XML allows comes back from
``to_dict(to_xml(…))`` as it was, white space, carriage returns and ``]]>`` included.

Python's expat reads. Entities, internal and external, can only be declared in a document type: it is refused,
so that expat never expands, loads or fetches anything. Size and depth are bounded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn
from xml.parsers import expat

from wechatpay import formatter
from wechatpay.errors import DecodeError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["MAX_DEPTH", "MAX_SIZE", "sanitize", "to_dict", "to_xml"]

# Real responses hold a few KiB; 1 MiB of the worst mark-up becomes less than 64 MiB of objects in a second.
MAX_SIZE: Final = 1 << 20
# Real responses are four deep. Far below Python's recursion limit, so that what was read can be walked.
MAX_DEPTH: Final = 100

# https://www.w3.org/TR/xml/#charsets
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")
_SPACE: Final = " \t\r\n"
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_MARKUP: Final = re.compile('[<>&"]')
_NAME: Final = re.compile(r"[^\W\d][\w.:-]*")
# GB 18030 contains the older two.
_CODECS: Final = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "gb18030": "gb18030",
}
_DECLARED: Final = re.compile(rb"""\s*<\?xml\s[^>]{0,80}?encoding\s*=\s*["']([\w.-]{1,40})""")
_RAW: Final = "look at the raw body: it may be cut off, or not come from WeChat Pay"


def to_dict(xml: str | bytes) -> dict[str, Any]:
    """Read a document, whatever its root is called.

    A field without children is its text, white space kept and CDATA unwrapped (``""`` if empty); one with
    children is a ``dict``; fields of one name are a ``list``. A list that ``to_xml`` wrote is under its item
    name.

    As in the PHP SDK, comments beside fields are under ``comment``, processing instructions under their
    target, and attributes of the root and of fields with children under ``@attributes``. Elements and
    attributes with a declared name space prefix are dropped, and so are characters that XML does not allow.
    Text in front of a field's children hides them; other text beside children is dropped.

    Args:
        xml: At most 1 MiB, nested at most 100 deep. Bytes are UTF-8, unless the document declares GBK, GB2312
            or GB18030.

    Raises:
        DecodeError: It does not parse; holds a document type; has no fields but text; is in another encoding;
            or is too large or too deep.
    """
    if len(xml) > MAX_SIZE:
        raise DecodeError(f"xml is {len(xml):,} long, and at most {MAX_SIZE:,} is read")
    tree = _Tree()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.XmlDeclHandler = _check_declaration
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.text
    parser.CommentHandler = tree.comment
    parser.ProcessingInstructionHandler = tree.instruction
    try:
        # As text, which expat reads whatever encoding it declares.
        parser.Parse(sanitize(xml), True)  # noqa: FBT003 - expat takes no keywords; this says "the last chunk"
    except expat.ExpatError as error:
        raise DecodeError(f"xml does not parse ({error}); {_RAW}") from None
    return tree.root


def sanitize(xml: str | bytes) -> str:
    """Drop the characters that XML does not allow: most controls, U+FFFE and U+FFFF.

    Args:
        xml: Text; or bytes, in UTF-8 or in the encoding of the GBK family that the document declares.

    Raises:
        DecodeError: It is in another encoding, or text that UTF-8 cannot hold (a lone surrogate).
    """
    codec = "utf-8"
    if isinstance(xml, bytes) and (declared := _DECLARED.match(xml)):
        codec = _CODECS.get(declared[1].decode().lower(), codec)
    try:
        text = xml.decode(codec) if isinstance(xml, bytes) else xml.encode().decode()
    except UnicodeError:
        raise DecodeError(f"xml is not {codec.upper()}, which it should be; look at the raw body") from None
    return _FORBIDDEN.sub("", text)


def to_xml(
    data: Mapping[str, Any] | Sequence[Any],
    headless: bool = True,  # noqa: FBT001, FBT002 - the PHP SDK's order of arguments
    indent: bool = False,  # noqa: FBT001, FBT002 - the same
    root: str = "xml",
    item: str = "item",
) -> str:
    """Write a document; a value that holds ``< > & "`` goes as CDATA.

    ``None``, ``False`` and ``""`` are written as an empty element, ``True`` as ``1``. A ``float`` is
    refused; a finite ``Decimal`` is written exactly.

    Args:
        data: Field names to ``str``, ``int``, ``Decimal``, ``bool``, ``None``, or again a mapping, list or
            tuple of these, at most 100 deep.
        headless: Leave out the XML declaration.
        indent: Put each element on a line of its own, a space further in per level.
        root: The name of the outermost element.
        item: The name of the elements of a list.

    Raises:
        InvalidRequestError: A name is not an XML element name, or a value is none of these, or holds a
            character that XML cannot carry: the message names it.
    """
    if not isinstance(data, (Mapping, list, tuple)):
        raise InvalidRequestError(f"xml must map field names to values, and is of type {type(data).__name__}")
    writer = _Writer(_check_name(item, "item"), " " if indent else "", "\n" if indent else "")
    document = writer.element(_check_name(root, "root"), data, ())
    return document if headless else _HEAD + document + ("" if indent else "\n")


@dataclass(frozen=True, slots=True)
class _Writer:
    """How a document is laid out.

    Attributes:
        item: The name of the elements of a list.
        step: What one level is indented by.
        end: What ends a line.
    """

    item: str
    step: str
    end: str

    def element(self, name: str, value: Any, path: tuple[str, ...]) -> str:
        """Write an element with all it holds.

        Args:
            name: Its name, known to be valid.
            value: What it holds.
            path: The names that lead to it, without the root's.
        """
        if len(path) == MAX_DEPTH:
            raise InvalidRequestError(
                f"{_label(path[:3])}: nested over {MAX_DEPTH} deep, or in itself; flatten it"
            )
        margin = self.step * len(path)
        if not isinstance(value, (Mapping, list, tuple)):
            return f"{margin}<{name}>{_text(value, path)}</{name}>{self.end}"
        children = "".join(self.element(key, child, (*path, key)) for key, child in self.children(value))
        if not children:
            return f"{margin}<{name}/>{self.end}"
        return f"{margin}<{name}>{self.end}{children}{margin}</{name}>{self.end}"

    def children(self, value: Mapping[Any, Any] | Sequence[Any]) -> Iterator[tuple[str, Any]]:
        """Pair the members of a mapping or a list with element names."""
        if isinstance(value, Mapping):
            return ((_check_name(key, "key"), child) for key, child in value.items())
        return ((self.item, child) for child in value)


def _check_name(name: object, what: str) -> str:
    """Return an element name, or refuse it."""
    # The parser knows which letters beyond ASCII a name may have.
    if isinstance(name, str) and _NAME.fullmatch(name) and (name.isascii() or _is_element_name(name)):
        return str.__str__(name)
    raise InvalidRequestError(
        f"xml: the {what} {name!r:.80} is not an element name; use letters, digits and _ - ., a letter first"
    )


def _text(value: Any, path: tuple[str, ...]) -> str:
    """Write a value so that a parser reads back each character of it."""
    label = _label(path)
    text = formatter.text(value, label)
    if found := _FORBIDDEN.search(text):
        raise InvalidRequestError(f"{label}: XML cannot carry U+{ord(found[0][0]):04X}; take it out")
    if not _MARKUP.search(text):
        return text.replace("\r", "&#13;")
    # A parser reads a bare CR as LF, and CDATA has no other way to write one.
    body = text.replace("]]>", "]]]]><![CDATA[>").replace("\r", "]]>&#13;<![CDATA[")
    return f"<![CDATA[{body}]]>"


def _label(path: tuple[str, ...]) -> str:
    return f"xml: {'.'.join(path)[-80:]!r}"


def _is_element_name(name: str) -> bool:
    """Return whether an element of this name, free of mark-up, is read again."""
    seen: list[str] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda found, _: seen.append(found)
    try:
        parser.Parse(f"<{name}/>", True)  # noqa: FBT003 - as above
    except expat.ExpatError:
        return False
    return seen == [name]


def _check_declaration(_version: str, encoding: str | None, _standalone: int) -> None:
    if encoding is not None and encoding.lower() not in _CODECS:
        raise DecodeError("xml declares an encoding other than UTF-8, GBK, GB2312 and GB18030; " + _RAW)


def _refuse_doctype(*_: object) -> NoReturn:
    raise DecodeError(
        "xml holds a document type (<!DOCTYPE …>), which may declare entities; WeChat Pay sends none"
    )


class _Element:
    """An element that is still open.

    Attributes:
        attributes: Its attributes, name space declarations left out.
        declared: The name space prefixes that it declares.
        is_dropped: It has a declared prefix, or stands in an element that has.
        is_record: It has children that are not dropped.
        begins_with_text: Text stands in front of its first child.
    """

    __slots__ = (
        *("attributes", "begins_with_text", "chunks", "declared", "fields", "has_nodes"),
        *("is_dropped", "is_record"),
    )

    def __init__(
        self, name: str, attributes: Mapping[str, str], parent: _Element | None, prefixes: Counter[str]
    ) -> None:
        self.declared = [key.removeprefix("xmlns:") for key in attributes if key.startswith("xmlns:")]
        if self.declared:
            prefixes.update(self.declared)

        def is_prefixed(name: str) -> bool:
            prefix, colon, _ = name.partition(":")
            return bool(colon) and prefixes[prefix] > 0

        self.is_dropped: bool = parent is not None and (parent.is_dropped or is_prefixed(name))
        self.attributes = {
            key: value for key, value in attributes.items() if key != "xmlns" and not is_prefixed(key)
        }
        self.chunks: list[str] = []
        self.fields: dict[str, Any] = {}
        self.begins_with_text = self.has_nodes = self.is_record = False

    def mark_node(self) -> None:
        """Note that an element, a comment or a processing instruction stands in this one."""
        if not self.has_nodes:
            self.has_nodes = True
            self.begins_with_text = bool(self.content().strip(_SPACE))

    def add(self, name: str, value: Any) -> None:
        """Keep a child; children of one name become a list."""
        if name not in self.fields:
            self.fields[name] = value
        elif isinstance(known := self.fields[name], list):
            known.append(value)
        else:
            self.fields[name] = [known, value]

    def content(self) -> str:
        return "".join(self.chunks)

    def record(self) -> dict[str, Any]:
        """Return the children by name, and the attributes under ``@attributes``."""
        return {"@attributes": self.attributes, **self.fields} if self.attributes else self.fields

    def value(self) -> str | dict[str, Any]:
        return self.record() if self.is_record and not self.begins_with_text else self.content()


class _Tree:
    """The open elements, innermost last, their name space prefixes, and the root once it is closed."""

    def __init__(self) -> None:
        self.prefixes = Counter(("xml", "xmlns"))
        self.open: list[_Element] = []
        self.root: dict[str, Any] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self.open) == MAX_DEPTH:
            raise DecodeError(f"xml is nested deeper than {MAX_DEPTH} elements; {_RAW}")
        parent = self.open[-1] if self.open else None
        element = _Element(name, attributes, parent, self.prefixes)
        if parent:
            parent.mark_node()
            parent.is_record = parent.is_record or not element.is_dropped
        self.open.append(element)

    def end(self, name: str) -> None:
        element = self.open.pop()
        if element.declared:
            self.prefixes.subtract(element.declared)
        if not self.open:
            if not element.has_nodes and element.content().strip(_SPACE):
                raise DecodeError(f"xml holds text and no fields; {_RAW}")
            self.root = element.record()
        elif not element.is_dropped:
            self.open[-1].add(name, element.value())

    def text(self, chunk: str) -> None:
        self.open[-1].chunks.append(chunk)

    def comment(self, text: str) -> None:
        # As in PHP. A signed response with one fails its check: comments are not signed.
        self.instruction("comment", text)

    def instruction(self, target: str, data: str) -> None:
        if self.open:
            self.open[-1].mark_node()
            self.open[-1].add(target, data)
