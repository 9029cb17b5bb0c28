"""XML as WeChat Pay reads and writes it: one root ``xml``, fields below, texts in CDATA."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["element", "read", "write"]

_DOCTYPE = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


def read(body: bytes) -> dict[str, str]:
    """Read the fields of a document.

    Raises:
        ValueError: It is none, in WeChat Pay's words.
    """
    if not body:
        raise ValueError("post数据为空")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise ValueError("编码格式错误") from None
    try:
        root = None if _DOCTYPE.search(text) else ET.fromstring(text)  # noqa: S314  without entities no bombs
    except (ET.ParseError, ValueError):
        root = None
    fields = {} if root is None else {child.tag: child.text or "" for child in root}
    if root is None or root.tag != "xml" or len(fields) < len(root) or any(map(len, root)):
        raise ValueError("XML格式错误")
    return fields


def write(fields: Mapping[str, str | int]) -> bytes:
    """Write fields, each on a line of its own."""
    lines = "\n".join(element(name, value) for name, value in fields.items())
    return f"<xml>{lines}\n</xml>".encode()


def element(name: str, value: str | int) -> str:
    """Write one field; numbers go without CDATA."""
    if isinstance(value, int):
        return f"<{name}>{value}</{name}>"
    # A parser reads a bare CR as LF, and CDATA has no other way to write one.
    text = value.replace("]]>", "]]]]><![CDATA[>").replace("\r", "]]>&#13;<![CDATA[")
    return f"<{name}><![CDATA[{text}]]></{name}>"
