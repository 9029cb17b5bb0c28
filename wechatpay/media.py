"""Files to upload: images, videos and any other, with the JSON that WeChat Pay wants beside them."""

from __future__ import annotations

import hashlib
import json
import mimetypes
import re
import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from wechatpay import jsontext
from wechatpay.errors import InvalidRequestError
from wechatpay.multipart import File, Part, Upload
from wechatpay.sources import open_source

if TYPE_CHECKING:
    import os
    from typing import BinaryIO

__all__ = ["Media"]

_DIGESTS = ("sha256", "sha1", "sm3", "md5")

#: Members by which a ``meta`` carries the digest itself, and is complete.
_CARRIERS = frozenset({"sha256", "sha1", "sm3", "md5", "digest", "file_digest"})

_MIME_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:; ?[\w-]+=[\w.-]+)*", re.ASCII)


class Media:
    r"""A file to upload, with what describes it.

    ::

        instance.v3.merchant.media.video_upload.post(media=Media("/path/to/video.mp4"))
        Media(image, filename="shop.jpg")                                 # bytes, or a stream
        Media(path, {"bank_type": "CMB"})                                 # members beside the usual two
        Media(path, lambda filename, digest: {"file_name": filename, "file_digest": digest})

    The file is hashed when the call begins and read again for each attempt, a piece at a time; what
    leaves is what was hashed. One ``Media`` may be used for many calls.
    https://pay.weixin.qq.com/doc/v3/partner/4012760432
    """

    __slots__ = ("_boundary", "_digest", "_filename", "_meta", "_mime_type", "_part", "_progress", "_source")

    def __init__(  # noqa: PLR0913  keywords, each with a default
        self,
        source: str | os.PathLike[str] | bytes | BinaryIO,
        meta: Mapping[str, Any] | Callable[[str, str], Mapping[str, Any]] | str | None = None,
        *,
        filename: str | None = None,
        digest: str | None = None,
        mime_type: str | None = None,
        part: str | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> None:
        """Check what can be checked without reading the file.

        Args:
            source: A path; bytes; or a seekable binary stream, taken from its beginning.
            meta: The JSON of the part ``meta``. By default ``{"filename": …, "sha256": …}``. A mapping
                adds to these members, or replaces them, unless it brings a digest of its own (``sha256``,
                ``sha1``, ``sm3``, ``md5``, ``digest`` or ``file_digest``): then it is the whole. A
                function of file name and digest makes the whole. Text is sent as it is. In APIv2: fields
                beside the file.
            filename: What the file is called on the way; by default the source's own name.
            digest: ``sha256`` (the default in APIv3), ``sha1``, ``sm3`` or ``md5`` (the default in APIv2).
            mime_type: ``Content-Type`` of the file; by default what the file name tells.
            part: Name of the file's part; ``file`` by default, ``media`` in APIv2.
            progress: Called with the bytes sent so far and all there are, from the thread that reads the
                file; begins anew when the file is sent again.

        Raises:
            InvalidRequestError: An argument cannot be used, or the file cannot be read.
        """
        self._source = open_source(source)
        self._meta = _checked_meta(meta)
        self._filename = _checked_name(self._source.name if filename is None else filename)
        self._digest = None if digest is None else _checked_digest(digest)
        self._mime_type = _checked_mime_type(mime_type, self._filename)
        self._part = part
        self._progress = progress
        self._boundary = f"wechatpay-{secrets.token_hex(16)}"

    @property
    def filename(self) -> str:
        """What the file is called on the way."""
        return self._filename

    @property
    def content_type(self) -> str:
        """What ``Content-Type`` of the request says: the media type and the boundary."""
        return f"multipart/form-data; boundary={self._boundary}"

    @property
    def meta(self) -> str:
        """The JSON of the part ``meta``; each time, the file is read and hashed.

        Raises:
            InvalidRequestError: The file cannot be read, or ``meta`` has no JSON.
        """
        return self.described(self.hashed())

    def hashed(self, algorithm: str = "sha256", part: str = "file") -> File:
        """Read and hash the file.

        Args:
            algorithm: The digest, if the constructor was not given one.
            part: The name of the file's part, if the constructor was not given one.

        Raises:
            InvalidRequestError: The file cannot be read.
        """
        chosen = self._digest or algorithm
        total, size = hashlib.new(chosen, usedforsecurity=False), 0
        for piece in self._source.pieces():
            total.update(piece)
            size += len(piece)
        name, kind = self._part or part, self._mime_type
        return File(name, self._filename, kind, self._source, size, chosen, total.hexdigest())

    def described(self, file: File, encrypt: Callable[[Any], Any] | None = None) -> str:
        """Write the JSON of the part ``meta``.

        Args:
            file: What `hashed` gave.
            encrypt: Encrypts what is sensitive among the members.

        Raises:
            InvalidRequestError: ``meta`` has no JSON.
        """
        members = self._meta if isinstance(self._meta, str) else self._members(file)
        if encrypt is not None:
            members = encrypt(members)
        return members if isinstance(members, str) else jsontext.encode(members, "meta").decode()

    def fields(self) -> Mapping[str, Any]:
        """Return the fields that go beside the file in APIv2.

        Raises:
            InvalidRequestError: ``meta`` is no mapping.
        """
        if self._meta is None or isinstance(self._meta, Mapping):
            return self._meta or {}
        raise InvalidRequestError("meta: APIv2 has no such part; give a mapping of fields, or leave it out")

    def upload(self, file: File, *parts: Part) -> Upload:
        """Lay out a body of ``parts`` and the file."""
        return Upload(self._boundary, parts, file, self._progress)

    def _members(self, file: File) -> Mapping[str, Any]:
        if callable(self._meta):
            return dict(self._meta(file.filename, file.digest))
        given = {} if self._meta is None else dict(self._meta)
        if _CARRIERS.isdisjoint(given):
            return {"filename": file.filename, file.algorithm: file.digest} | given
        return given

    def __repr__(self) -> str:
        return f"<Media {self._filename}>"


def _checked_meta(meta: Any) -> Any:
    if isinstance(meta, str):
        try:
            json.loads(meta)
            meta.encode()
        except (ValueError, RecursionError):
            raise InvalidRequestError("meta: the text is no JSON; give a mapping") from None
    elif meta is not None and not isinstance(meta, Mapping) and not callable(meta):
        raise InvalidRequestError(
            f"meta: give a mapping, a function of file name and digest, or JSON, not {type(meta).__name__}"
        )
    return meta


def _checked_name(filename: Any) -> str:
    if not isinstance(filename, str) or not filename:
        raise InvalidRequestError("filename: the source has no name of its own; give one, such as 'shop.jpg'")
    try:
        filename.encode()
    except UnicodeEncodeError:
        raise InvalidRequestError("filename: is no text that UTF-8 can carry; give another") from None
    return filename


def _checked_digest(digest: Any) -> str:
    name = digest.lower().replace("-", "") if isinstance(digest, str) else None
    if name not in _DIGESTS:
        raise InvalidRequestError(f"digest: {digest!r} is unknown; it is one of {', '.join(_DIGESTS)}")
    if name not in hashlib.algorithms_available:
        raise InvalidRequestError(
            f"digest: this Python's OpenSSL has no {name}; compute it elsewhere and give `meta` as JSON text"
        )
    return name


def _checked_mime_type(mime_type: Any, filename: str) -> str:
    if mime_type is None:
        return mimetypes.guess_type(filename)[0] or "application/octet-stream"
    if isinstance(mime_type, str) and _MIME_TYPE.fullmatch(mime_type):
        return mime_type
    raise InvalidRequestError(f"mime_type: {mime_type!r} is no media type, such as image/jpeg")
