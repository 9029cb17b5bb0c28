"""What both transports share: proxies, TLS, limits, and how their errors become ours."""

from __future__ import annotations

import base64
import errno
import logging
import os
import ssl
import urllib.request
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import certifi

from wechatpay.errors import (
    ConfigurationError,
    ConnectError,
    NoResponseError,
    PoolTimeoutError,
    ReadTimeoutError,
    ResponseTooLargeError,
    TransportError,
    shorten,
)
from wechatpay.options import WRITTEN_HEADERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wechatpay.apiv2.certificate import Identity
    from wechatpay.messages import Request
    from wechatpay.settings import Transport
    from wechatpay.transports.sink import Sink

__all__ = [
    "CHUNK",
    "IDLE_SECONDS",
    "RESERVED_HEADERS",
    "Network",
    "Proxies",
    "Unpacker",
    "basic_auth",
    "hide_frames",
    "is_raised_elsewhere",
    "packing",
    "select_sink",
    "too_large",
    "transport_error",
    "wrapped",
]

_log = logging.getLogger("wechatpay")

#: WeChat Pay's servers close a connection that was idle for 8 s.
IDLE_SECONDS = 7.0

#: Bytes that are read or written at once.
CHUNK = 64 * 1024


@dataclass(frozen=True)
class Proxies:
    """HTTP proxies by scheme or host. SOCKS is refused: aiohttp does not support it.

    The setting has the keys of requests: ``http``, ``https``, ``all``, ``https://host``, and ``no_proxy``.
    """

    _urls: Mapping[str, str] = field(repr=False)
    _setting: str
    _known: dict[tuple[str, str], str | None] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, given: Mapping[Any, Any] | None) -> Proxies:
        """Read the setting, or the environment when it was left out.

        Raises:
            ConfigurationError: A key or a value of the setting cannot be used.
        """
        if given is None:
            # Checked when one is used: the environment may name proxies for other programs.
            return cls(urllib.request.getproxies_environment(), "the environment's {}_proxy")
        urls = {}
        for name, url in given.items():
            if not isinstance(name, str) or not (name in _SCHEMES or "://" in name):
                raise ConfigurationError(
                    f"proxies: {shorten(repr(name))} is not a known key: "
                    "use http, https, all, https://host or no_proxy"
                )
            if url:
                urls["no" if name == "no_proxy" else name] = url
                if name != "no_proxy":
                    _check_proxy(url, repr(name))
        return cls(urls, "{!r}")

    def select(self, url: str) -> str | None:
        """Return the URL of the proxy for ``url``, or ``None``.

        Raises:
            ConfigurationError: The environment names one that is not an HTTP proxy.
        """
        scheme, _, host = url.split("/", 3)[:3]
        key = (scheme[:-1].lower(), host.lower())
        if key not in self._known:
            self._known[key] = self._find(*key)
        return self._known[key]

    def _find(self, scheme: str, host: str) -> str | None:
        if _bypass(host, dict(self._urls)):
            return None
        for key in (f"{scheme}://{host}", scheme, f"all://{host}", "all"):
            if proxy := self._urls.get(key):
                return _check_proxy(proxy, self._setting.format(key))
        return None


_SCHEMES = ("http", "https", "all", "no_proxy")

# typeshed omits it; the documented proxy_bypass() would read the environment at every call.
_bypass = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]


def _check_proxy(url: Any, what: str) -> str:
    """Return the URL of an HTTP proxy; the error does not show it: there may be a password in it."""
    if isinstance(url, str):
        whole = url if "://" in url else f"http://{url}"
        try:
            parts = urlsplit(whole)
            host = parts.hostname
            if parts.scheme in ("http", "https") and host and " " not in host and parts.port != 0:
                return whole
        except ValueError:
            pass
    raise ConfigurationError(
        f"proxies: {what} is not the URL of an HTTP proxy, such as http://host:3128 (SOCKS is not "
        "supported); proxies={} uses none"
    )


def basic_auth(proxy: str) -> dict[str, str]:
    """Return the header that logs in to a proxy with the user and password of its URL, as UTF-8."""
    parts = urlsplit(proxy)
    if not parts.username:
        return {}
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(login).decode()}"}


@dataclass(frozen=True)
class Network:
    """How requests reach their hosts.

    Attributes:
        pool_size: Connections at most, per host.
        verify: Whether to verify TLS certificates, or the path of a CA bundle.
        identity: The merchant's certificate, or ``None``.
        proxies: The proxies.
        max_response_size: Bytes that a response may have in memory, decoded.
        max_download_size: Bytes that a download may have in its sink, decoded.
    """

    pool_size: int
    verify: bool | str
    identity: Identity | None
    proxies: Proxies
    max_response_size: int
    max_download_size: int

    @classmethod
    def read(cls, transport: Transport, identity: Identity | None = None) -> Network:
        """Read the settings, and the environment for those left out.

        Raises:
            ConfigurationError: ``verify`` is not a file or directory, or ``proxies`` cannot be used.
        """
        verify = transport.verify
        if verify is None:
            bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
            verify = bundle or True
        if isinstance(verify, str) and ("\0" in verify or not os.path.exists(verify)):  # noqa: PTH110
            raise ConfigurationError(f"verify: there is no CA bundle at {verify!r}")
        if verify is False:
            _log.warning("verify=False: anyone on the network path can read requests and forge responses")
        return cls(
            transport.pool_size,
            verify,
            identity,
            transport.proxies.pass_to(Proxies.read),
            transport.max_response_size,
            transport.max_download_size,
        )

    def context(self, *, mutual: bool) -> ssl.SSLContext:
        """Make the TLS settings of connections: Mozilla's authorities, or the configured bundle.

        Args:
            mutual: Whether to present the merchant's certificate.

        Raises:
            ConfigurationError: The bundle cannot be read, or TLS does not accept the certificate.
            ConnectError: The process has no file descriptors left.
        """
        context = self._context()
        if mutual and self.identity is not None:
            self.identity.enter(context)
        return context

    def _context(self) -> ssl.SSLContext:
        if self.verify is False:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        place = certifi.where() if self.verify is True else self.verify
        try:
            if os.path.isdir(place):  # noqa: PTH112  only asked, never opened
                return ssl.create_default_context(capath=place)
            return ssl.create_default_context(cafile=place)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise ConnectError(
                    f"nothing was sent: {place!r} cannot be opened ({error.strerror})"
                ) from None
            raise ConfigurationError(
                f"verify: {place!r} is not a readable CA bundle ({error.strerror or 'unreadable'}): "
                "give a file of certificates in PEM"
            ) from None


class Unpacker:
    """Unpacks a body that came packed although nobody asked for it, no more than `CHUNK` bytes at once.

    Args:
        encoding: What `packing` returned.

    Raises:
        zlib.error: `feed` and `end` raise it for a malformed body.
    """

    def __init__(self, encoding: str) -> None:
        self._is_deflate = encoding == "deflate"
        self._unpacker: Any = None

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Unpack the next piece."""
        if self._unpacker is None and chunk:
            # Some servers leave the header of zlib out.
            is_bare = self._is_deflate and chunk[0] & 0x0F != zlib.DEFLATED
            self._unpacker = zlib.decompressobj(-zlib.MAX_WBITS if is_bare else zlib.MAX_WBITS | 32)
        piece = b""
        while chunk or (len(piece) == CHUNK and not self._unpacker.eof):
            if self._unpacker.eof:
                self._unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
            piece = self._unpacker.decompress(chunk, CHUNK)
            chunk = self._unpacker.unconsumed_tail or self._unpacker.unused_data
            yield piece

    def end(self) -> None:
        """Check that the body was complete."""
        if self._unpacker is not None and not self._unpacker.eof:
            raise zlib.error("an incomplete body")


def packing(headers: Mapping[str, str], status: int, request: Request) -> str:
    """Return how a body is packed, in lower case, or ``""``.

    Raises:
        NoResponseError: It is packed in a way that is not known here.
    """
    encoding = (headers.get("Content-Encoding") or "identity").lower()
    if encoding not in ("identity", "gzip", "x-gzip", "deflate"):
        raise NoResponseError(
            f"{request.method} {request.path}: outcome unknown: the response, with status {status}, is "
            f"encoded with {encoding[:40]!r}, which was not asked for (by a proxy?)",
            request=request,
        )
    return "" if encoding == "identity" else encoding


def select_sink(request: Request, status: int) -> Sink | None:
    """Return the sink that receives the body, or ``None`` for memory: errors and redirects go there."""
    if request.sink is None or 200 <= status < 300:  # noqa: PLR2004  HTTP's successes
        return request.sink
    # An earlier attempt may have written to it.
    request.sink.discard()
    return None


def hide_frames(error: BaseException, request: Request) -> None:
    """Take the frames of the libraries off an error that came from outside, such as Ctrl-C or a cancellation.

    A request to the open platform holds a secret, and so do those frames. Others hold a signature, which
    expires.
    """
    if request.parameters is None and "Authorization" not in request.headers:
        error.__traceback__ = None


def too_large(request: Request, setting: str, limit: int) -> ResponseTooLargeError:
    """Make the error for a response with more than ``limit`` bytes."""
    return ResponseTooLargeError(
        f"{request.method} {request.path}: outcome unknown: the response has more than {limit} bytes; "
        f"the setting {setting} permits more",
        request=request,
    )


def transport_error(
    kind: type[TransportError], request: Request, cause: BaseException, proxy: str | None = None
) -> TransportError:
    """Make the error for ``cause`` without the cause's own text, which may quote the query."""
    deeper: BaseException | None = cause
    # The cancellation that ends a timeout is none of its reasons.
    while isinstance(deeper, Exception):
        cause, deeper = deeper, deeper.__cause__ or deeper.__context__ or wrapped(deeper)
    why = getattr(cause, "strerror", None)
    host = request.url.split("/", 3)[2]
    if proxy:
        host += f" through the proxy {urlsplit(proxy).netloc.rpartition('@')[2]}"
    what = f"{type(cause).__name__}: {why}" if why else type(cause).__name__
    if kind is PoolTimeoutError:
        what = "the setting pool_size permits more"
    elif isinstance(cause, zlib.error):
        what = "its compressed body is malformed"
    return kind(f"{request.method} {request.path}: {_WORDS[kind]} {host} ({what})", request=request)


def wrapped(error: BaseException) -> BaseException | None:
    """Return the exception that ``error`` was made of; urllib3 passes TLS errors on as arguments."""
    return next((argument for argument in error.args if isinstance(argument, BaseException)), None)


#: Headers of a caller's session that are never sent: they are ours, or would change what is signed.
RESERVED_HEADERS: Final = WRITTEN_HEADERS | {"cookie"}

_WORDS = {
    ConnectError: "nothing was sent: no connection to",
    PoolTimeoutError: "nothing was sent: no free connection within the connect timeout to",
    NoResponseError: "outcome unknown: no complete response from",
    ReadTimeoutError: "outcome unknown: no response in time from",
}


def is_raised_elsewhere(error: BaseException, *libraries: str) -> bool:
    """Return whether a hook or a mock raised ``error`` with a text of its own, and none of ``libraries``."""
    if type(error).__module__.partition(".")[0] not in libraries:
        return True
    if not (error.args and isinstance(error.args[0], str)) or "Timeout" in type(error).__name__:
        return False
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    module = trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""
    return str(module).partition(".")[0] not in libraries
