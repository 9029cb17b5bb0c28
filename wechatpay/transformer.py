"""APIv2's XML: a mapping to a document, and back.

The shapes are the PHP SDK's ``Transformer``; what it loses in silence is an error here. Any text that XML
allows comes back from ``to_dict(to_xml(…))`` as it was, white space, carriage returns and ``]]>`` included.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wechatpay import formatter
from wechatpay._xml_reader import FORBIDDEN, MAX_DEPTH, MAX_SIZE, names_element, read
from wechatpay.errors import DecodeError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["sanitize", "to_dict", "to_xml"]

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_MARKUP = re.compile('[<>&"]')
_NAME = re.compile(r"[^\W\d][\w.:-]*")


def to_dict(xml: str | bytes) -> dict[str, Any]:
    """Read a document, whatever its root is called.

    A field without children is its text, white space kept and CDATA unwrapped (``""`` if empty); one with
    children is a ``dict``; fields of one name are a ``list``. As in the PHP SDK, comments beside fields
    are under ``comment``, attributes of the root and of fields with children under ``@attributes``, and
    characters that XML does not allow are dropped. A list that ``to_xml`` wrote is under its item name.

    Args:
        xml: At most 1 MiB of UTF-8, nested at most 100 deep.

    Raises:
        DecodeError: It does not parse; holds a document type, a name space prefix, a processing
            instruction, or text beside fields; or is not UTF-8, too large or too deep.
    """
    if len(xml) > MAX_SIZE:
        raise DecodeError(f"xml is {len(xml):,} long, and at most {MAX_SIZE:,} is read")
    return read(sanitize(xml))


def sanitize(xml: str | bytes) -> str:
    """Drop the characters that XML does not allow: most controls, U+FFFE and U+FFFF.

    Args:
        xml: Text, or UTF-8.

    Raises:
        DecodeError: It is not UTF-8, or text that UTF-8 cannot hold (a lone surrogate).
    """
    try:
        text = xml.decode() if isinstance(xml, bytes) else xml.encode().decode()
    except UnicodeError:
        raise DecodeError(
            "xml is not UTF-8, the only encoding WeChat Pay uses; look at the raw body"
        ) from None
    return FORBIDDEN.sub("", text)


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
        InvalidRequestError: A name is no XML element name, or a value is none of these, or holds a
            character that XML cannot carry: the message names it.
    """
    if not isinstance(data, (Mapping, list, tuple)):
        raise InvalidRequestError(f"xml must map field names to values, and is of type {type(data).__name__}")
    writer = _Writer(_name(item, "item"), " " if indent else "", "\n" if indent else "")
    document = writer.element(_name(root, "root"), data, ())
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
        """Pair what a mapping or a list holds with element names."""
        if isinstance(value, Mapping):
            return ((_name(key, "key"), child) for key, child in value.items())
        return ((self.item, child) for child in value)


def _name(name: object, what: str) -> str:
    """Return an element name that is valid, or say which is not."""
    # Which letters beyond ASCII make a name is for the parser to say: its tables are long.
    if isinstance(name, str) and _NAME.fullmatch(name) and (name.isascii() or names_element(name)):
        return str.__str__(name)
    raise InvalidRequestError(
        f"xml: the {what} {name!r:.80} is no element name; use letters, digits and _ - . with a letter first"
    )


def _text(value: Any, path: tuple[str, ...]) -> str:
    """Write a value so that a parser reads back each character of it."""
    label = _label(path)
    text = formatter.text(value, label)
    if found := FORBIDDEN.search(text):
        raise InvalidRequestError(f"{label}: XML cannot carry U+{ord(found[0][0]):04X}; take it out")
    if not _MARKUP.search(text):
        return text.replace("\r", "&#13;")
    # A parser reads a bare CR as LF, and CDATA has no other way to write one.
    body = text.replace("]]>", "]]]]><![CDATA[>").replace("\r", "]]>&#13;<![CDATA[")
    return f"<![CDATA[{body}]]>"


def _label(path: tuple[str, ...]) -> str:
    return f"xml: {'.'.join(path)[-80:]!r}"
