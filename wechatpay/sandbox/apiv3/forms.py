"""``multipart/form-data`` as WeChat Pay reads it; laid out by nobody's code but the client's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.sandbox.answer import Received

__all__ = ["parts", "signed_body"]

_TYPE = re.compile(r'multipart/form-data; ?boundary=("?)([\w\'()+,./:=?-]{1,70})\1', re.ASCII | re.IGNORECASE)
_NAME = re.compile(rb'content-disposition: form-data; name="([^"\r\n]+)"', re.IGNORECASE)


def parts(received: Received) -> Mapping[str, bytes] | None:
    """Return what each part of a form holds, by its name; ``None`` if the body is no whole form."""
    kind = _TYPE.fullmatch(received.headers.get("Content-Type", ""))
    if kind is None:
        return None
    boundary = b"\r\n--" + kind[2].encode()
    opening, *pieces = (b"\r\n" + received.body).split(boundary)
    if opening or not pieces or pieces.pop().strip(b"\r\n") != b"--":
        return None
    found: dict[str, bytes] = {}
    for piece in pieces:
        head, _, content = piece.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if name is None or (text := name[1].decode("utf-8", "replace")) in found:
            return None
        found[text] = content
    return found


def signed_body(received: Received) -> bytes:
    """Return what is signed as the body: of a form, what its part ``meta`` holds.

    https://pay.weixin.qq.com/doc/v3/partner/4012760432
    """
    if not received.headers.get("Content-Type", "").lower().startswith("multipart/"):
        return received.body
    return (parts(received) or {}).get("meta", b"")
