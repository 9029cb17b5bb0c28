"""Files to upload: images, videos and any other, with the JSON that WeChat Pay expects beside them.

The body is laid out here rather than by the HTTP libraries, so that both send the same bytes.
https://datatracker.ietf.org/doc/html/rfc7578, names quoted as browsers do.
"""

from __future__ import annotations

import hashlib
import io
import json
import mimetypes
import os
import re
import secrets
import stat
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wechatpay import jsontext
from wechatpay.errors import InvalidRequestError
from wechatpay.process import PerProcess

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["File", "Media", "Part"]

#: Bytes of a file at most. The gateway takes images of 2 MiB and videos of 5 MiB.
MAX_SIZE = 64 * 1024 * 1024

_DIGESTS = ("sha256", "sha1", "sm3", "md5")

#: Members by which a ``meta`` carries the digest itself, and is complete.
_CARRIERS = frozenset({"sha256", "sha1", "sm3", "md5", "digest", "file_digest"})

_MIME_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:; ?[\w-]+=[\w.-]+)*", re.ASCII)

#: Characters that could end a quoted name, or be read in two ways.
_UNQUOTABLE = re.compile(r'[\x00-\x1f\x7f"\\]')


@dataclass(frozen=True, slots=True)
class Part:
    """A part in front of the file.

    Attributes:
        name: Name of the part.
        text: Its content.
        content_type: ``Content-Type`` of the part, or ``""`` for none.
    """

    name: str
    text: str = field(repr=False)
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """A file that was read and hashed.

    Attributes:
        part: Name of its part.
        filename: File name as sent.
        content_type: ``Content-Type`` of its part.
        content: The file's bytes.
        algorithm: Name of the digest, as `hashlib` spells it.
        digest: The digest in lower-case hexadecimal.
        boundary: Boundary of the multipart body.
    """

    part: str
    filename: str
    content_type: str
    content: bytes = field(repr=False)
    algorithm: str
    digest: str
    boundary: str

    @property
    def media_type(self) -> str:
        """``Content-Type`` of the request."""
        return f"multipart/form-data; boundary={self.boundary}"

    def body(self, *parts: Part) -> bytes:
        """Lay out the multipart body: ``parts`` first, then the file."""
        pieces = []
        for part in parts:
            kind = f"\r\nContent-Type: {part.content_type}" if part.content_type else ""
            pieces.append(
                f"--{self.boundary}\r\nContent-Disposition: form-data; name={_quote(part.name)}{kind}"
                f"\r\n\r\n{part.text}\r\n".encode()
            )
        pieces += (
            f"--{self.boundary}\r\nContent-Disposition: form-data; name={_quote(self.part)}; "
            f"filename={_quote(self.filename)}\r\nContent-Type: {self.content_type}\r\n\r\n".encode(),
            self.content,
            f"\r\n--{self.boundary}--\r\n".encode(),
        )
        return b"".join(pieces)


class Media:
    r"""A file to upload, with the JSON that describes it.

    ::

        instance.v3.merchant.media.video_upload.post(media=Media("/path/to/video.mp4"))
        Media(image, filename="shop.jpg")                                 # bytes, or a stream
        Media(path, {"bank_type": "CMB"})                                 # members beside the usual two
        Media(path, lambda filename, digest: {"file_name": filename, "file_digest": digest})

    The file is read and hashed when the call begins. One ``Media`` may be used for many calls.
    https://pay.weixin.qq.com/doc/v3/partner/4012760432
    """

    __slots__ = ("_boundary", "_digest", "_filename", "_lock", "_meta", "_mime_type", "_part", "_source")

    def __init__(  # noqa: PLR0913  keywords, each with a default
        self,
        source: str | os.PathLike[str] | bytes | BinaryIO,
        meta: Mapping[str, Any] | Callable[[str, str], Mapping[str, Any]] | str | None = None,
        *,
        filename: str | None = None,
        digest: str | None = None,
        mime_type: str | None = None,
        part: str | None = None,
    ) -> None:
        """Check everything that can be checked without reading the file.

        Args:
            source: A path; bytes; or a seekable binary stream, read from its beginning. At most 64 MiB.
            meta: The JSON of the part ``meta``. By default ``{"filename": …, "sha256": …}``. A mapping
                adds to these members, or replaces them, unless it brings a digest of its own (``sha256``,
                ``sha1``, ``sm3``, ``md5``, ``digest`` or ``file_digest``): then it is the whole. A
                function of file name and digest makes the whole. Text is sent as it is. In APIv2: fields
                beside the file.
            filename: File name to send; by default the source's own name.
            digest: ``sha256`` (the default in APIv3), ``sha1``, ``sm3`` or ``md5`` (the default in APIv2).
            mime_type: ``Content-Type`` of the file; by default guessed from the file name.
            part: Name of the file's part; ``file`` by default, ``media`` in APIv2.

        Raises:
            InvalidRequestError: An argument cannot be used, or the file cannot be read.
        """
        self._source, own_name = _open(source)
        self._lock = PerProcess(threading.Lock)
        self._meta = _check_meta(meta)
        self._filename = _check_name(own_name if filename is None else filename)
        self._digest = None if digest is None else _check_digest(digest)
        self._mime_type = _check_mime_type(mime_type, self._filename)
        self._part = part
        self._boundary = f"wechatpay-{secrets.token_hex(16)}"

    @property
    def filename(self) -> str:
        """File name as sent."""
        return self._filename

    @property
    def content_type(self) -> str:
        """``Content-Type`` of the request: the media type and the boundary."""
        return f"multipart/form-data; boundary={self._boundary}"

    @property
    def meta(self) -> str:
        """The JSON of the part ``meta``; each access reads and hashes the file.

        Raises:
            InvalidRequestError: The file cannot be read, or ``meta`` has no JSON.
        """
        return self.describe(self.read())

    def read(self, algorithm: str = "sha256", part: str = "file") -> File:
        """Read and hash the file.

        Args:
            algorithm: The digest, if the constructor was not given one.
            part: The name of the file's part, if the constructor was not given one.

        Raises:
            InvalidRequestError: The file cannot be read, or is larger than 64 MiB.
        """
        with self._lock.get():
            content = _read(self._source)
        if len(content) > MAX_SIZE:
            raise InvalidRequestError(
                f"media: {self._filename} is larger than {MAX_SIZE >> 20} MiB; "
                "WeChat Pay takes images of 2 MiB and videos of 5 MiB"
            )
        chosen = self._digest or algorithm
        digest = hashlib.new(chosen, content, usedforsecurity=False).hexdigest()
        name = self._part or part
        return File(name, self._filename, self._mime_type, content, chosen, digest, self._boundary)

    def describe(self, file: File, encrypt: Callable[[Any], Any] | None = None) -> str:
        """Write the JSON of the part ``meta``.

        Args:
            file: The file that `read` returned.
            encrypt: Encrypts the sensitive members.

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
            InvalidRequestError: ``meta`` is not a mapping.
        """
        if self._meta is None or isinstance(self._meta, Mapping):
            return self._meta or {}
        raise InvalidRequestError("meta: APIv2 has no such part; give a mapping of fields, or leave it out")

    def _members(self, file: File) -> Mapping[str, Any]:
        if callable(self._meta):
            return dict(self._meta(file.filename, file.digest))
        given = {} if self._meta is None else dict(self._meta)
        if _CARRIERS.isdisjoint(given):
            return {"filename": file.filename, file.algorithm: file.digest} | given
        return given

    def __repr__(self) -> str:
        return f"<Media {self._filename}>"


def _open(source: Any) -> tuple[Any, str]:
    """Check a source and find its own name."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source), ""
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116  os.PathLike may give what Path does not take
        except (OSError, ValueError) as error:
            raise _unreadable(path, error) from None
        if not stat.S_ISREG(mode):
            raise InvalidRequestError(f"media: {path!r} is not a regular file")
        return path, os.path.basename(path)  # noqa: PTH119  the same
    seekable = getattr(source, "seekable", None)
    if not hasattr(source, "read"):
        raise InvalidRequestError(
            f"media: give a path, bytes or a binary stream, not {type(source).__name__}"
        )
    if isinstance(source, io.TextIOBase) or seekable is None or not seekable():
        raise InvalidRequestError(
            "media: the stream must be binary (mode 'rb') and seekable; or give its bytes, or a path"
        )
    name = getattr(source, "name", "")
    return source, os.path.basename(name) if isinstance(name, str) else ""  # noqa: PTH119  the same


def _read(source: Any) -> bytes:
    """Read a whole source, and one byte more than is allowed."""
    if isinstance(source, bytes):
        return source
    if isinstance(source, str):
        try:
            with open(source, "rb") as file:  # noqa: PTH123  os.PathLike may give what Path does not take
                return file.read(MAX_SIZE + 1)
        except OSError as error:
            raise _unreadable(source, error) from None
    try:
        source.seek(0)
        content = source.read(MAX_SIZE + 1)
    except (OSError, ValueError) as error:
        raise InvalidRequestError(
            f"media: the stream cannot be read ({type(error).__name__}): is it open?"
        ) from None
    if not isinstance(content, bytes):
        raise InvalidRequestError(
            f"media: the stream gave {type(content).__name__}, not bytes: open it with mode 'rb'"
        )
    return content


def _unreadable(path: object, error: Exception) -> InvalidRequestError:
    why = getattr(error, "strerror", None) or "not a path"
    return InvalidRequestError(f"media: {path!r} cannot be read: {why}")


def _quote(name: str) -> str:
    """Quote a name for a header: raw UTF-8, except what could end the quotes or the line."""
    return '"{}"'.format(_UNQUOTABLE.sub(lambda match: f"%{ord(match[0]):02X}", name))


def _check_meta(meta: Any) -> Any:
    if isinstance(meta, str):
        try:
            json.loads(meta)
            meta.encode()
        except (ValueError, RecursionError):
            raise InvalidRequestError("meta: the text is not JSON; give a mapping") from None
    elif meta is not None and not isinstance(meta, Mapping) and not callable(meta):
        raise InvalidRequestError(
            f"meta: give a mapping, a function of file name and digest, or JSON, not {type(meta).__name__}"
        )
    return meta


def _check_name(filename: Any) -> str:
    if not isinstance(filename, str) or not filename:
        raise InvalidRequestError("filename: the source has no name of its own; give one, such as 'shop.jpg'")
    try:
        filename.encode()
    except UnicodeEncodeError:
        raise InvalidRequestError(
            "filename: UTF-8 cannot carry a lone surrogate; give another name"
        ) from None
    return str.__str__(filename)


def _check_digest(digest: Any) -> str:
    name = digest.lower().replace("-", "") if isinstance(digest, str) else None
    if name not in _DIGESTS:
        raise InvalidRequestError(f"digest: {digest!r} is unknown; it is one of {', '.join(_DIGESTS)}")
    if name not in hashlib.algorithms_available:
        raise InvalidRequestError(
            f"digest: this Python's OpenSSL has no {name}; compute it elsewhere and give `meta` as JSON text"
        )
    return name


def _check_mime_type(mime_type: Any, filename: str) -> str:
    if mime_type is None:
        return mimetypes.guess_type(filename)[0] or "application/octet-stream"
    if isinstance(mime_type, str) and _MIME_TYPE.fullmatch(mime_type):
        return str.__str__(mime_type)
    raise InvalidRequestError(f"mime_type: {mime_type!r} is not a media type, such as image/jpeg")
