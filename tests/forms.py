"""Multipart bodies as a server sees them, taken apart without the package."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace

import merchants

CONTENT = bytes(range(256)) * 1500
SHA256 = hashlib.sha256(CONTENT).hexdigest()


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


def stack(instance):
    """Give the stack that uploads run through."""
    return instance.getDriver().select().stack


def check(seen, content=CONTENT):
    """Check that an upload arrived whole, and that its signature is over ``meta``."""
    meta, signed_json, file = arrived(seen)
    assert {"filename": "门头.jpg", "sha256": hashlib.sha256(content).hexdigest()} == meta
    assert {"name": "file", "filename": "门头.jpg"} == file.disposition
    assert content == file.content
    assert str(len(seen.body)) == seen.headers["content-length"]
    assert "/v3/merchant/media/video_upload" == seen.target
    assert merchants.signed_text(replace(seen, body=signed_json)).endswith(b"\n" + signed_json + b"\n")
