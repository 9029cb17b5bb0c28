"""Uploads of APIv3: the file's digest is computed again, and must be the one that was signed.

https://pay.weixin.qq.com/doc/v3/partner/4012760432
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wechatpay.sandbox.answer import Answer
from wechatpay.sandbox.apiv3 import forms, refusals
from wechatpay.sandbox.catalogue import Breach

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wechatpay.sandbox.answer import Received
    from wechatpay.sandbox.apiv3.question import Question
    from wechatpay.sandbox.catalogue import Operation

__all__ = ["OPERATIONS", "Upload", "read"]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file and the JSON that came with it.

    Attributes:
        meta: The members of the part ``meta``.
        file: The file's bytes.
    """

    meta: Mapping[str, str]
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

    def breach(self, upload: Upload) -> Breach | None:
        """Return the rule that an upload breaks, or ``None``."""
        name, claimed = upload.meta["filename"], upload.meta["sha256"]
        if not name.lower().endswith(self.suffixes):
            return Breach("body", "filename", name, f"文件后缀应为{'、'.join(self.suffixes)}之一")
        if len(upload.file) > self.limit:
            return Breach("body", "file", None, f"文件大小超过{self.limit >> 20}M")
        if claimed.lower() != hashlib.sha256(upload.file).hexdigest():
            return Breach("body", "sha256", claimed, "摘要校验失败，与文件内容的SHA-256不一致")
        return None


_IMAGE = _Kind((".jpg", ".jpeg", ".bmp", ".png"), 2 << 20)
_VIDEO = _Kind(
    (".avi", ".wmv", ".mpeg", ".mp4", ".mov", ".mkv", ".flv", ".f4v", ".m4v", ".rmvb"),
    5 << 20,
)


def read(operation: Operation, received: Received) -> Upload | Breach | None:
    """Read what was uploaded; ``None`` if the operation takes no file.

    Args:
        operation: Says which parts there must be, and which members in ``meta``.
        received: The request.
    """
    parameters = {parameter.name: parameter for parameter in operation.parameters["body"]}
    if "meta" not in parameters:
        return None
    found = forms.parts(received) or {}
    # A byte stands for a file, whose rules are none of text's.
    given = {name: [content[:1].hex()] for name, content in found.items()}
    if breach := operation.breach(body=given):
        return breach
    meta = _members(found["meta"])
    if meta is None:
        return Breach("body", "meta", None, "应为JSON对象，其成员为字符串")
    for member in parameters["meta"].fields:
        if breach := member.breach("body", [meta[member.name]] if member.name in meta else []):
            return breach
    return Upload(meta, found["file"])


def _members(text: bytes) -> dict[str, str] | None:
    try:
        value: Any = json.loads(text)
    except ValueError:
        return None
    is_flat = isinstance(value, dict) and all(isinstance(member, str) for member in value.values())
    return value if is_flat else None


def _media(kind: _Kind) -> Callable[[Question], Answer]:
    def media(question: Question) -> Answer:
        assert question.upload is not None  # noqa: S101  the catalogue says that there is a file
        if breach := kind.breach(question.upload):
            return refusals.bad_parameter(breach)
        name = hashlib.sha512(question.upload.file).digest()
        return Answer.json({"media_id": urlsafe_b64encode(name).decode().rstrip("=")})

    return media


#: What answers each operation of the catalogue.
OPERATIONS: Mapping[tuple[str, str], Callable[[Question], Answer]] = {
    ("POST", "v3/merchant/media/upload"): _media(_IMAGE),
    ("POST", "v3/merchant/media/video_upload"): _media(_VIDEO),
}
