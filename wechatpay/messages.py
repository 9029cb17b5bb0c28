"""Call, Request, Response: what the layers hand to one another.

A :class:`Call` is what the caller wrote, a :class:`Request` the exact bytes that leave, a
:class:`Response` the bytes that came back. None of them shows a body, a credential or a query in its
``repr``, and a pickle keeps no more than the ``repr`` shows.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Generic, NoReturn, cast

from wechatpay import uri
from wechatpay.errors import DecodeError, InvalidRequestError, ask_catalogue

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from typing_extensions import TypeVar

    from wechatpay.apiv3.fields import FieldEncryptor
    from wechatpay.catalogue.model import Operation
    from wechatpay.media import File
    from wechatpay.transports.sink import Sink
else:
    from typing import TypeVar as _TypeVar

    def TypeVar(name, *, default, **kinds):  # noqa: ANN001, ANN003, ANN202, ARG001, N802  before Python 3.13
        return _TypeVar(name, **kinds)


#: What a body parses to; a response of an untyped call is ``Response[Any]``.
Data = TypeVar("Data", covariant=True, default=Any)

__all__ = ["Call", "Headers", "Request", "Response", "SignedSnapshot", "is_word", "parse_timeout"]

#: Seconds: sockets cannot wait for longer than some 292 years, and nobody does.
_LONGEST = 1e8

_log = logging.getLogger("wechatpay")

Timeout = tuple[float | None, float | None]

#: Charsets that `Response.text` reads. Others, some of them slow to decode, are read as UTF-8.
_CHARSETS = {
    "gb18030": "gb18030",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso-8859-1": "latin-1",
    "latin-1": "latin-1",
}


_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\t"

_WORD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class Headers(Mapping[str, str]):
    """Read-only HTTP headers; names compare case-insensitively and keep their spelling.

    A header that came more than once reads as one value joined by ``", "`` (RFC 9110 §5.3).
    """

    __slots__ = ("_fields",)

    def __init__(self, items: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        fields: dict[str, tuple[str, str]] = {}
        for name, value in items.items() if isinstance(items, Mapping) else items:
            key = name.lower()
            fields[key] = (name, f"{fields[key][1]}, {value}") if key in fields else (name, value)
        self._fields = fields

    @classmethod
    def received(cls, fields: Mapping[str, str]) -> Headers:
        """Take a response's headers from an HTTP library; blanks around a value are no part of it (§5.5)."""
        return cls([(name, value.strip(" \t")) for name, value in fields.items()])

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()][1]

    if not TYPE_CHECKING:  # pragma: no branch  Mapping says the types

        def get(self, name: str, default: Any = None) -> Any:
            """Return a header, or ``default``; Mapping's own takes the way of an exception."""
            field = self._fields.get(name.lower())
            return default if field is None else field[1]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._fields.values())

    def pick(self, *names: str) -> list[str | None]:
        """Return the values of some headers, ``None`` for each that is missing.

        Args:
            names: Names in lower case.
        """
        return [found[1] if (found := self._fields.get(name)) else None for name in names]

    def pairs(self) -> Collection[tuple[str, str]]:
        """Return names and values, as they stand; ``items()`` looks each up."""
        return self._fields.values()

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return self._plain() == Headers(other)._plain()

    def __hash__(self) -> int:
        return hash(frozenset(self._plain().items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return Headers, (list(self.items()),)

    def __repr__(self) -> str:
        return f"<Headers {', '.join(self)}>"

    def with_(self, changes: Mapping[str, str | None]) -> Headers:
        """Merge ``changes`` over these headers; ``None`` removes one."""
        merged = object.__new__(Headers)
        fields = merged._fields = self._fields.copy()
        for name, value in changes.items():
            if value is None:
                fields.pop(name.lower(), None)
            else:
                fields[name.lower()] = (name, value)
        return merged

    def is_sendable(self) -> bool:
        """Return whether all values are printable ASCII text, and all names are words."""
        try:
            names, values = map("".join, zip(*self._fields.values(), strict=True))
            return not values.encode("ascii").translate(None, _PRINTABLE) and (
                all(self._fields) and is_word(names)
            )
        except (TypeError, UnicodeEncodeError):
            return False
        except ValueError:
            return not self._fields

    def _plain(self) -> dict[str, str]:
        return {key: value for key, (_, value) in self._fields.items()}


@lru_cache(256)
def is_word(name: str) -> bool:
    """Tell whether a header can have this name: RFC 9110, section 5.6.2."""
    return _WORD.fullmatch(name) is not None


@dataclass(frozen=True, slots=True, repr=False)
class Call:
    """What a caller wrote: a verb, a URI template, its variables and the options.

    Attributes:
        verb: ``GET``, ``POST``, ``PUT``, ``PATCH`` or ``DELETE``.
        plan: The RFC 6570 template.
        variables: Values of the template's variables.
        options: The options that were given, by name.
    """

    verb: str
    plan: uri.Plan
    variables: Mapping[str, Any]
    options: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"<Call {self.verb} {uri.redact(self.plan.template)}>"


def parse_timeout(value: Any) -> Timeout:
    """Read ``timeout``: seconds, or ``(connect, read)``; ``None`` means no timeout.

    Raises:
        InvalidRequestError: A part is not a positive number.
    """
    if isinstance(value, tuple | list):
        if len(value) != 2:  # noqa: PLR2004  a pair
            raise InvalidRequestError("timeout: a pair is (connect, read)")
        return _seconds(value[0]), _seconds(value[1])
    return _seconds(value), _seconds(value)


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, bool) and isinstance(value, int | float) and 0 < value <= sys.float_info.max:
        return min(float(value), _LONGEST)
    raise InvalidRequestError("timeout: seconds above 0, a pair (connect, read), or None for no timeout")


@dataclass(frozen=True, repr=False, eq=False)
class Request:
    """One HTTP request, ready for the wire.

    Attributes:
        method: Upper-case HTTP method.
        url: Absolute URL, percent-encoded; transports must send it untouched.
        headers: Headers as sent, but for ``Host``, which follows from ``url``.
        content: Body bytes exactly as sent.
        meta: The JSON that APIv3 signs in place of an upload's body; else ``None``.
        file: The file that follows APIv2's fields; else ``None``.
        timeout: Seconds to wait for a connection, and then for each read; ``None``: no timeout.
        route: Path without the base URI's prefix: what protocol rules are looked up by.
        parameters: APIv2's fields, which the signer puts into the body, or into the query of a GET; a
            ``nonce_str`` of ``None`` stands for one to be drawn. ``None`` in other protocols.
        mutual: Whether the merchant certificate goes on the connection: APIv2's ``security``.
        encryptor: The key of WeChat Pay's that ``Wechatpay-Serial`` names and sensitive fields are encrypted
            with. ``None`` in other protocols than APIv3.
        sink: Where a successful response's body goes instead of memory, or ``None``.
        debug: Whether this call's steps are printed on stderr.
        logged: Whether they are logged, or printed.
        written: The URI template that the caller wrote; see `template`.
        snapshot: Method, target and body as they were signed; ``None`` before the signer.
    """

    method: str
    url: str
    headers: Headers = field(default_factory=Headers)
    content: bytes = b""
    meta: bytes | None = None
    file: File | None = None
    timeout: Timeout = (5.0, 30.0)
    route: str = ""
    parameters: Mapping[str, Any] | None = None
    mutual: bool = False
    encryptor: FieldEncryptor | None = None
    sink: Sink | None = None
    debug: bool = False
    logged: bool = field(default_factory=partial(_log.isEnabledFor, logging.DEBUG))
    snapshot: SignedSnapshot | None = None
    written: str = ""

    @property
    def operation(self) -> Operation | None:
        """The documented operation that this request makes, or ``None``; reads the catalogue.

        ``None``, too, if the catalogue cannot be read: this is logged once.
        """
        route = self.route if self.parameters is None else f"v2/{self.route}"
        return ask_catalogue(_find_operation, self.method, self.written, route, default=None)

    @property
    def template(self) -> str:
        """The documented URI template, which holds no business number; else the one that the caller wrote."""
        return self.operation.template if self.operation else self.written

    @property
    def title(self) -> str:
        """WeChat Pay's name of the operation, in Chinese; ``""`` if the catalogue does not have it."""
        return self.operation.title if self.operation else ""

    @property
    def target(self) -> str:
        """Path and query, as they stand in the request line and in the signed text."""
        slash = self.url.find("/", self.url.find("//") + 2)
        if slash < 0:
            raise InvalidRequestError("url: a request needs a path, as in https://host/path")
        return self.url[slash:]

    @property
    def total_timeout(self) -> float | None:
        """Seconds to connect and for a response in memory together; ``None``: no limit."""
        connect, read = self.timeout
        return None if connect is None or read is None else connect + read

    @property
    def signable(self) -> bytes:
        """What APIv3 signs as the body: of an upload, the JSON of its part ``meta``."""
        return self.content if self.meta is None else self.meta

    @property
    def origin(self) -> str:
        """Scheme, host and port of the URL, in lower case."""
        return "/".join(self.url.split("/", 3)[:3]).lower()

    @property
    def host(self) -> str:
        """The host that it goes to, and its port if the URL names one."""
        return self.url.split("/", 3)[2]

    @property
    def path(self) -> str:
        """The target without its query: what may be shown and logged."""
        return self.target.partition("?")[0]

    def with_(self, **changes: Any) -> Request:
        """Copy with ``changes``.

        ``headers`` may be a mapping that is merged over the present ones; ``Content-Length`` follows
        ``content``.

        Raises:
            InvalidRequestError: ``content`` is not bytes, or ``timeout`` is not a timeout.
        """
        if "content" in changes:
            if not isinstance(changes["content"], bytes | bytearray | memoryview):
                raise InvalidRequestError(f"content: give bytes, not {type(changes['content']).__name__}")
            changes["content"] = bytes(changes["content"])
            size = {"Content-Length": str(len(changes["content"]))}
            changes["headers"] = Headers(changes.get("headers", {})).with_(size)
        if "headers" in changes:
            changes["headers"] = self.headers.with_(changes["headers"])
        if "timeout" in changes:
            changes["timeout"] = parse_timeout(changes["timeout"])
        if unknown := changes.keys() - self.__dataclass_fields__.keys():
            raise TypeError(f"a request has no {', '.join(sorted(unknown))}")
        copied = object.__new__(Request)
        copied.__dict__.update(self.__dict__, **changes)
        return copied

    def __copy__(self) -> Request:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Request:
        return self

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Request, (self.method, self.url.partition("?")[0])


def _find_operation(verb: str, template: str, route: str) -> Operation | None:
    from wechatpay.catalogue.lookup import find  # noqa: PLC0415  few requests are asked

    return find(verb, template) or find(verb, route)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class SignedSnapshot:
    """What was signed, kept to check that nothing else is sent.

    Attributes:
        method: HTTP method.
        target: Path and query.
        content: Body bytes.
        text: The signed text.
    """

    method: str
    target: str
    content: bytes
    text: bytes


#: What stands for the methods of PHP's responses.
_PSR_7 = {
    "getBody": ".content, .text, .json() and .xml()",
    "getHeader": ".headers[…]",
    "getHeaderLine": ".headers[…]",
    "getHeaders": ".headers",
    "getStatusCode": ".status_code",
}


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Response(Generic[Data]):
    """One verified response; the same for sync and async.

    Attributes:
        status_code: HTTP status.
        headers: Response headers, case-insensitive.
        content: Body bytes as they came, ``b""`` when they went to a ``sink``.
        operation: Verb and route that were asked, such as ``GET v3/certificates``, by which encrypted fields
            are found; ``""`` in other protocols than APIv3.
    """

    status_code: int
    headers: Headers = field(default_factory=Headers)
    content: bytes = b""
    operation: str = ""

    @property
    def text(self) -> str:
        """The body as text: UTF-8 unless ``Content-Type`` names GBK, GB 18030 or Latin-1."""
        charset = self.headers.get("Content-Type", "").lower().partition("charset=")[2]
        return self.content.decode(_CHARSETS.get(charset.split(";")[0].strip(' "'), "utf-8"), "replace")

    @property
    def request_id(self) -> str | None:
        """WeChat Pay's ``Request-ID``, to quote to its support."""
        return self.headers.get("Request-ID")

    def json(self) -> Data:
        """Parse the body as JSON; an empty body is ``None``.

        Raises:
            DecodeError: The body is not JSON.
        """
        if not self.content:
            return cast("Data", None)
        try:
            return cast("Data", json.loads(self.content))
        except (ValueError, RecursionError):
            kind = self.headers.get("Content-Type", "no Content-Type")
            raise DecodeError(
                f"the body is not JSON ({kind}, {len(self.content)} bytes): read .content or .text",
                response=self,
            ) from None

    def xml(self) -> Data:
        """Parse the body as APIv2's XML; see :func:`wechatpay.transformer.to_dict`.

        Raises:
            DecodeError: The body is not XML.
        """
        from wechatpay import transformer  # noqa: PLC0415  APIv3 has no use for a parser of XML

        try:
            return cast("Data", transformer.to_dict(self.content))
        except DecodeError as error:
            raise DecodeError(str(error), response=self) from None

    if not TYPE_CHECKING:  # pragma: no branch  a type checker shall say so itself

        def __getattr__(self, name: str) -> NoReturn:
            hint = f"; in place of PHP's it has {_PSR_7[name]}" if name in _PSR_7 else ""
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}")

    def __copy__(self) -> Response:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Response:
        return self

    def __repr__(self) -> str:
        suffix = f" {self.request_id}" if self.request_id else ""
        return f"<Response {self.status_code}{suffix}>"

    def __reduce__(self) -> tuple[Any, ...]:
        shown = {"Request-ID": self.request_id} if self.request_id else {}
        return Response, (self.status_code, Headers(shown))
