"""Answers as the blocking transport receives them: status and headers, whole, and who reads the body."""

from __future__ import annotations

import http.client
import re
from typing import TYPE_CHECKING, Any

import urllib3

from wechatpay.messages import Headers

if TYPE_CHECKING:
    import io

__all__ = ["Answer", "Received"]

#: What an answer may have: bytes in a header, and headers.
_LINE, _LINES = 1 << 16, 100

_BLANK = (b"\r\n", b"\n")

#: How a line begins that goes on with the header before it.
_FOLDS = (" ", "\t")

#: What may stand around a value, and is no part of it.
_BLANKS = " \t\r\n"

_STATUS = re.compile(rb"HTTP/1\.([0-9]) +([1-9][0-9]{2})(?: ([^\r\n]*))?\r?\n")

#: The one status below 200 that no answer follows.
_SWITCHING = 101

_BODILESS = (_SWITCHING, 204, 304)

#: A length, which may come twice, if twice the same.
_LENGTH = re.compile(r"([0-9]{1,18})(?:, *\1)*")

_FRAMING = ("Content-Length", "Transfer-Encoding", "Content-Encoding")


class Answer(http.client.HTTPResponse):
    """An answer of http.client's whose headers are whole: it takes a connection that breaks for their end.

    Its parser, which is email's, takes longer over the headers than all that comes before and after.
    """

    headers: Any
    msg: Any

    def begin(self) -> None:
        """Read status and headers, past interim answers, and see where the body will end.

        Raises:
            HTTPException: There are none, or not all.
        """
        self.status = 100
        while self.status < 200 and self.status != _SWITCHING:  # noqa: PLR2004  where the final ones begin
            line = self.fp.readline(_LINE)
            if not line:
                raise http.client.RemoteDisconnected("the connection ended without an answer")
            if (match := _STATUS.fullmatch(line)) is None:
                raise http.client.BadStatusLine(line.decode("latin-1"))
            self.status, self.version = int(match[2]), 10 if match[1] == b"0" else 11
            self.reason = (match[3] or b"").decode("latin-1")
            self.headers = self.msg = Headers(_fields(self.fp))
        self._measure()

    def _measure(self) -> None:
        connection = self.headers.get("Connection", "").lower()
        coding = self.headers.get("Transfer-Encoding", "").lower()
        self.chunked = coding.endswith("chunked") and self.status not in _BODILESS
        self.chunk_left = None
        self.length = None if self.chunked else self._length()
        is_kept = "close" not in connection if self.version > 10 else "keep-alive" in connection  # noqa: PLR2004  HTTP/1.0
        is_open = self.length is None and not self.chunked
        self.will_close = not is_kept or is_open or self.status == _SWITCHING

    def _length(self) -> int | None:
        if self.status in _BODILESS:
            return 0
        length = self.headers.get("Content-Length")
        if length is None:
            return None
        if (match := _LENGTH.fullmatch(length)) is None:
            raise http.client.HTTPException("a Content-Length that is none")
        return int(match[1])

    def _safe_read(self, amt: int) -> bytes:
        try:
            whole: bytes = super()._safe_read(amt)  # type: ignore[misc]  # urllib3 asks for it, too
        except (ValueError, OverflowError, MemoryError):
            raise http.client.HTTPException("a length that nothing has") from None
        return whole


def _fields(stream: io.BufferedReader) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    while (line := stream.readline(_LINE + 1)) not in _BLANK:
        if not line:
            raise http.client.RemoteDisconnected("the connection ended within the headers")
        if len(line) > _LINE or len(fields) >= _LINES:
            raise http.client.HTTPException("more headers than an answer may have")
        text = line.decode("latin-1")
        if text.startswith(_FOLDS) and fields:
            name, value = fields.pop()
            fields.append((name, f"{value} {text.strip(_BLANKS)}"))
            continue
        name, colon, value = text.partition(":")
        if not colon:
            raise http.client.HTTPException("a header without a colon")
        fields.append((name, value.strip(_BLANKS)))
    return fields


class Received(urllib3.HTTPResponse):
    """What reads a body, and gives its connection back then.

    Attributes:
        fields: All headers; ``headers`` are those that say how to read the body.
    """

    def __init__(self, answer: Answer, method: str) -> None:
        self.fields: Headers = answer.headers
        # Of a body that cannot be, headers say nothing.
        framing = () if answer.length == 0 else _FRAMING
        super().__init__(
            answer,
            {name: self.fields[name] for name in framing if name in self.fields},
            status=answer.status,
            version=answer.version,
            reason=answer.reason,
            preload_content=False,
            decode_content=False,
            original_response=answer,
            request_method=method,
        )
