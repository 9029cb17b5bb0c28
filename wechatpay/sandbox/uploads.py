"""Uploads of APIv3: ``multipart/form-data``, and the file's digest, which must be the signed one.

https://pay.weixin.qq.com/doc/v3/partner/4012760432
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wechatpay.sandbox import error_responses
from wechatpay.sandbox.messages import HttpResponse
from wechatpay.sandbox.parameters import Violation, check, check_body

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wechatpay.catalogue import Operation
    from wechatpay.sandbox.apiv3 import Call, Handler
    from wechatpay.sandbox.messages import HttpRequest

__all__ = ["HANDLERS", "Upload", "parts", "read", "signed_body"]


_TYPE = re.compile(r'multipart/form-data; ?boundary=("?)([\w\'()+,./:=?-]{1,70})\1', re.ASCII | re.IGNORECASE)
_NAME = re.compile(rb'content-disposition: form-data; name="([^"\r\n]+)"', re.IGNORECASE)


def parts(request: HttpRequest) -> Mapping[str, bytes] | None:
    """Return what each part of a form holds, by its name; ``None`` if the body is not a complete form."""
    kind = _TYPE.fullmatch(request.headers.get("Content-Type", ""))
    if kind is None:
        return None
    boundary = b"\r\n--" + kind[2].encode()
    opening, *pieces = (b"\r\n" + request.body).split(boundary)
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


def signed_body(request: HttpRequest) -> bytes:
    """Return what is signed as the body: of a form, what its part ``meta`` holds.

    https://pay.weixin.qq.com/doc/v3/partner/4012760432
    """
    if not request.headers.get("Content-Type", "").lower().startswith("multipart/"):
        return request.body
    return (parts(request) or {}).get("meta", b"")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file and the JSON that came with it.

    Attributes:
        meta: The members of the part ``meta``.
        file: The file's bytes.
    """

    meta: Mapping[str, Any]
    file: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What may be uploaded.

    Attributes:
        suffixes: What the name may end in.
        limit: Bytes that the file may have.
    """

    suffixes: tuple[str, ...]
    limit: int

    def violation(self, upload: Upload) -> Violation | None:
        """Return the rule that an upload breaks, or ``None``."""
        name, claimed = upload.meta["filename"], upload.meta["sha256"]
        if not name.lower().endswith(self.suffixes):
            return Violation("body", "filename", name, f"文件后缀应为{'、'.join(self.suffixes)}之一")
        if len(upload.file) > self.limit:
            return Violation("body", "file", None, f"文件大小超过{self.limit >> 20}M")
        if claimed.lower() != hashlib.sha256(upload.file).hexdigest():
            return Violation("body", "sha256", claimed, "摘要校验失败，与文件内容的SHA-256不一致")
        return None


_IMAGE = _Kind((".jpg", ".jpeg", ".bmp", ".png"), 2 << 20)
_VIDEO = _Kind(
    (".avi", ".wmv", ".mpeg", ".mp4", ".mov", ".mkv", ".flv", ".f4v", ".m4v", ".rmvb"),
    5 << 20,
)


def read(operation: Operation, request: HttpRequest, decrypt: Callable[[str], str]) -> Upload | Violation:
    """Read an upload.

    Args:
        operation: Names the parts, and the members of ``meta``.
        request: The request.
        decrypt: Decrypts an encrypted member; raises ValueError for plain text.
    """
    found = parts(request) or {}
    # One byte stands for a file: the rules of texts do not apply to it.
    if violation := check(operation, {"body": {name: [part[:1].hex()] for name, part in found.items()}}):
        return violation
    meta = _members(found.get("meta", b"{}"))
    if meta is None:
        return Violation("body", "meta", None, "应为JSON对象")
    members = operation.body["meta"].fields if "meta" in operation.body else {}
    if violation := check_body(members, meta, decrypt):
        return violation
    return Upload(meta, found.get("file", b""))


def _members(text: bytes) -> dict[str, Any] | None:
    try:
        value: Any = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _media(kind: _Kind) -> Callable[[Call], HttpResponse]:
    def media(call: Call) -> HttpResponse:
        assert call.upload is not None  # noqa: S101  the catalogue says that there is a file
        if violation := kind.violation(call.upload):
            return error_responses.bad_parameter(violation)
        name = hashlib.sha512(call.upload.file).digest()
        return HttpResponse.json({"media_id": urlsafe_b64encode(name).decode().rstrip("=")})

    return media


#: What handles each operation, by method and template.
HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("POST", "v3/merchant/media/upload"): _media(_IMAGE),
    ("POST", "v3/merchant/media/video_upload"): _media(_VIDEO),
}
