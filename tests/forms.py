"""Multipart bodies as a server sees them, taken apart without the package."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class FormPart:
    """One part of a body: its header lines and what it holds."""

    lines: list
    content: bytes

    @property
    def headers(self):
        """Headers by lower-case name."""
        return {name.lower(): value for name, value in (line.split(": ", 1) for line in self.lines)}

    @property
    def disposition(self):
        """What ``Content-Disposition`` says, quotes taken off."""
        return dict(re.findall(r'; (\w+)="([^"]*)"', self.headers["content-disposition"]))


def parts(content_type, body):
    """Take a body apart, as its ``Content-Type`` says."""
    match = re.fullmatch(r"multipart/form-data; boundary=([\w-]{1,70})", content_type)
    assert match, content_type
    boundary = match[1].encode()
    opening, *pieces, closing = (b"\r\n" + body).split(b"\r\n--" + boundary)
    assert (b"", b"--\r\n") == (opening, closing)
    return [_part(piece) for piece in pieces]


def _part(piece):
    assert piece.startswith(b"\r\n")
    head, _, content = piece[2:].partition(b"\r\n\r\n")
    return FormPart(head.decode().split("\r\n"), content)


def arrived(seen):
    """Give the parsed ``meta``, its bytes, and the file's part of a request."""
    meta, file = parts(seen.headers["content-type"], seen.body)
    assert ['Content-Disposition: form-data; name="meta"', "Content-Type: application/json"] == meta.lines
    return json.loads(meta.content), meta.content, file
