"""What ``transformer.to_dict`` reads with: expat, refusing all that a payment answer never holds.

Entities, internal and external, can only be declared in a document type, so a document type is refused
on sight and expat never expands, loads or fetches anything. What is left of a bomb is its size and its
depth: both are bounded. Expat comes with Python and is patched with it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn
from xml.parsers import expat

from wechatpay.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Real answers hold a few KiB; 1 MiB of the worst mark-up becomes less than 64 MiB of objects in a second.
MAX_SIZE = 1 << 20
# Real answers are four deep. Below Python's recursion limit by far, so that what was read can be walked.
MAX_DEPTH = 100

# https://www.w3.org/TR/xml/#charsets
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")

_SPACE = " \t\r\n"
_RAW = "look at the raw body: it may be cut off, or not come from WeChat Pay"


def read(text: str) -> dict[str, Any]:
    """Parse a document and return what its root holds.

    Args:
        text: The document: at most ``MAX_SIZE`` characters, only such as XML allows.

    Raises:
        DecodeError: It does not parse, or holds what is refused here.
    """
    tree = _Tree()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.XmlDeclHandler = _declaration
    parser.StartDoctypeDeclHandler = _doctype
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.text
    parser.CommentHandler = tree.comment
    parser.ProcessingInstructionHandler = tree.instruction
    try:
        parser.Parse(text, True)  # noqa: FBT003 - expat takes no keywords; this says "the last chunk"
    except expat.ExpatError as error:
        raise DecodeError(f"xml does not parse ({error}); {_RAW}") from None
    return tree.root


def names_element(name: str) -> bool:
    """Say whether an element of this name, free of mark-up, is read again."""
    seen: list[str] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda found, _: seen.append(found)
    try:
        parser.Parse(f"<{name}/>", True)  # noqa: FBT003 - as above
    except expat.ExpatError:
        return False
    return seen == [name]


def _declaration(_version: str, encoding: str | None, _standalone: int) -> None:
    if encoding is not None and encoding.lower() not in {"utf-8", "utf8"}:
        raise DecodeError("xml declares an encoding that is not UTF-8, the only one WeChat Pay uses")


def _doctype(*_: object) -> NoReturn:
    raise DecodeError(
        "xml holds a document type (<!DOCTYPE …>), where entity attacks live; WeChat Pay sends none"
    )


class _Element:
    """An element that is still open."""

    __slots__ = ("attributes", "chunks", "fields", "nested")

    def __init__(self, attributes: Mapping[str, str]) -> None:
        self.attributes = attributes
        self.chunks: list[str] = []
        self.fields: dict[str, Any] = {}
        self.nested = False

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
        if self.content().strip(_SPACE):
            raise DecodeError(f"xml holds text that belongs to no field; {_RAW}")
        return {"@attributes": self.attributes, **self.fields} if self.attributes else self.fields


class _Tree:
    """The open elements, innermost last, and the root once it is closed."""

    def __init__(self) -> None:
        self.open: list[_Element] = []
        self.root: dict[str, Any] = {}

    def start(self, _name: str, attributes: dict[str, str]) -> None:
        if len(self.open) == MAX_DEPTH:
            raise DecodeError(f"xml is nested deeper than {MAX_DEPTH} elements; {_RAW}")
        if any(name.startswith("xmlns:") for name in attributes):
            raise DecodeError(f"xml declares a name space prefix; {_RAW}")
        if self.open:
            self.open[-1].nested = True
        kept = {k: v for k, v in attributes.items() if k != "xmlns" and not k.startswith("xml:")}
        self.open.append(_Element(kept))

    def end(self, name: str) -> None:
        element = self.open.pop()
        if not self.open:
            self.root = element.record()
        else:
            self.open[-1].add(name, element.record() if element.nested else element.content())

    def text(self, chunk: str) -> None:
        self.open[-1].chunks.append(chunk)

    def comment(self, text: str) -> None:
        # The PHP SDK's own reading. A signed answer fails its check by it: nobody signs comments.
        if self.open:
            self.open[-1].add("comment", text)

    def instruction(self, _target: str, _data: str) -> None:
        if self.open:
            raise DecodeError(f"xml holds a processing instruction; {_RAW}")
