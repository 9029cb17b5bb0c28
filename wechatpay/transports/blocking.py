"""The blocking transport: every call is one ``Session.send`` of requests."""

from __future__ import annotations

import logging
import zlib
from typing import TYPE_CHECKING, Any

import requests
import urllib3
from requests.cookies import RequestsCookieJar
from requests.structures import CaseInsensitiveDict
from requests.utils import default_headers
from urllib3.exceptions import (
    ConnectTimeoutError,
    EmptyPoolError,
    HTTPError,
)

from wechatpay.errors import (
    ConfigurationError,
    ConnectError,
    NoResponseError,
    PoolTimeoutError,
    ReadTimeoutError,
    WeChatPayError,
)
from wechatpay.logs import URLLIB3_LOG, redact_urllib3_log
from wechatpay.messages import Headers, Response
from wechatpay.transports.connections import LIMITS, MOST_DIGITS, Adapter, Limits, Places, Ticket
from wechatpay.transports.network import (
    CHUNK,
    RESERVED_HEADERS,
    Unpacker,
    hide_frames,
    is_raised_elsewhere,
    packing,
    select_sink,
    too_large,
    transport_error,
    wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from wechatpay.messages import Request
    from wechatpay.transports.network import Network

__all__ = ["BlockingTransport", "refuse_retries"]


class BlockingTransport:
    """Sends requests untouched, through the caller's session or sessions of its own.

    Args:
        network: Proxies, TLS and limits.
        session: The caller's session, or ``None``. Requests with the merchant certificate do not use it.
    """

    def __init__(self, network: Network, session: requests.Session | None) -> None:
        self._network = network
        self._session = session
        self._own = {mutual: _make_session(Adapter(network, mutual=mutual)) for mutual in (False, True)}
        self._routes: dict[tuple[str, bool], _Route] = {}

    def send(self, request: Request) -> Response:
        """Send ``request`` and read the response.

        Raises:
            ConnectError: Nothing was sent.
            NoResponseError: The request left; no complete response came.
            ConfigurationError: The caller's session retries by itself, or TLS cannot be set up.
        """
        is_own = self._session is None or request.mutual
        send = self._send if is_own else self._send_with_session
        try:
            if not URLLIB3_LOG.isEnabledFor(logging.DEBUG):
                return send(request)
            with redact_urllib3_log():
                return send(request)
        except (requests.RequestException, HTTPError) as error:
            if isinstance(error, requests.HTTPError) or is_raised_elsewhere(error, "requests", "urllib3"):
                raise
            # Not in a variable: the URL of a proxy may hold a password.
            raise _map(
                error, request, self._network.proxies.select(request.url) if is_own else None
            ) from None
        except BaseException as error:
            hide_frames(error, request)
            raise

    def _send(self, request: Request) -> Response:
        key = (request.origin, request.mutual)
        route = self._routes.get(key) or self._routes.setdefault(key, _Route(self._network, request.url))
        connect, read = request.timeout
        limits = Limits(read)
        before = LIMITS.set(limits)
        ticket = Ticket()
        try:
            waited = route.places.take(ticket, connect)
            if waited is None:
                raise transport_error(PoolTimeoutError, request, TimeoutError())
            if waited and connect is not None:
                connect = max(connect - waited, 0.001)
            response = self._own[request.mutual].send(
                _prepare(request),
                stream=True,
                timeout=(connect, read),
                allow_redirects=False,
                proxies=route.proxies,
            )
            try:
                return self._receive(response, request, limits)
            finally:
                if response.raw is not None:
                    response.close()
        finally:
            route.places.leave(ticket)
            LIMITS.reset(before)

    def _send_with_session(self, request: Request) -> Response:
        session: Any = self._session
        refuse_retries(session)
        prepared = _prepare(request)
        for name, value in session.headers.items():
            if (
                name.lower() not in RESERVED_HEADERS
                and name not in prepared.headers
                and value != _DEFAULTS.get(name)
            ):
                prepared.headers[name] = value
        hooks: Any = session.hooks.get("response") or []
        received: list[requests.Response] = []
        hooks = [hooks] if callable(hooks) else hooks
        prepared.hooks["response"][:0] = [lambda response, **_: received.append(response), *hooks]
        how = session.merge_environment_settings(request.url, {}, True, None, None)  # noqa: FBT003  its `stream`
        try:
            response = session.send(prepared, timeout=request.timeout, allow_redirects=False, **how)
            received.append(response)
            return self._receive(response, request, Limits(None))
        finally:
            # A hook that raises would leave its connection open, and its place in the session's pool taken.
            for response in received:
                if response.raw is not None:
                    response.close()

    def _receive(self, response: requests.Response, request: Request, limits: Limits) -> Response:
        headers = Headers.received(response.headers)
        if location := getattr(response, "hidden_location", None):
            headers = headers.with_({"Location": location})
        sink = request.sink and select_sink(request, response.status_code)
        limit, length = self._network.max_response_size, response.headers.get("Content-Length", "")
        if (
            sink is None
            and response.raw is not None
            and length.isdecimal()
            and len(length) <= MOST_DIGITS
            and int(length) <= limit
            and "Content-Encoding" not in response.headers
            and "Transfer-Encoding" not in response.headers
        ):
            # It stays there, for whoever recorded the response.
            return Response(response.status_code, headers, response.content)
        size = 0
        if sink is None:
            pieces = []
            for chunk in _read(response, request):
                pieces.append(chunk)
                size += len(chunk)
                if size > limit:
                    raise too_large(request, "max_response_size", limit)
            return Response(response.status_code, headers, b"".join(pieces))
        # A long download may take long: each read has its own timeout.
        limits.deadline = None
        sink.begin(headers)
        for chunk in _read(response, request):
            size += len(chunk)
            if size > self._network.max_download_size:
                raise too_large(request, "max_download_size", self._network.max_download_size)
            sink.write(chunk)
        return Response(response.status_code, headers)

    def close(self) -> None:
        """Close all idle connections of our own."""
        for session in self._own.values():
            session.close()


def _read(response: requests.Response, request: Request) -> Iterator[bytes]:
    if response.raw is None:
        # A mock's: there is only its content.
        yield response.content or b""
        return
    encoding = packing(response.headers, response.status_code, request)
    try:
        if encoding:
            unpacker = Unpacker(encoding)
            for chunk in response.raw.stream(CHUNK, decode_content=False):
                yield from unpacker.feed(chunk)
            unpacker.end()
        else:
            yield from response.iter_content(CHUNK)
    except (ValueError, OverflowError, MemoryError, zlib.error) as error:
        # urllib3 takes any number for the size of a chunk.
        raise requests.exceptions.ChunkedEncodingError(error) from error


class _Route:
    """What requests to one host share: its places and its proxy."""

    def __init__(self, network: Network, url: str) -> None:
        self.places = Places(network.pool_size)
        proxy = network.proxies.select(url)
        self.proxies = {url.partition(":")[0].lower(): proxy} if proxy else {}


class _NoCookies(RequestsCookieJar):
    """A jar that stays empty."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Leave a response's cookies alone."""


def _make_session(adapter: Adapter) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.cookies = _NoCookies()
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _prepare(request: Request) -> requests.PreparedRequest:
    """Fill in a prepared request: preparing would re-quote the URL, and the signature covers the original."""
    prepared = requests.PreparedRequest()
    prepared.method = request.method
    prepared.url = request.url
    prepared.headers = CaseInsensitiveDict(request.headers.pairs())
    prepared.body = request.content or None
    prepared.hooks = {"response": [_hide_location]}
    return prepared


def _hide_location(response: Any, **_: Any) -> None:
    """Hide where a redirect leads: requests would prepare to follow it, and fail on an odd one."""
    if (location := response.headers.pop("Location", None)) is not None:
        response.hidden_location = location


_DEFAULTS = default_headers()


def refuse_retries(session: requests.Session) -> None:
    """Check that no adapter of ``session`` sends a request more than once.

    Raises:
        ConfigurationError: One does.
    """
    for prefix, adapter in session.adapters.items():
        # A Retry, or what urllib3 makes one of: for None, one of three.
        retries = getattr(adapter, "max_retries", 0)
        if getattr(retries, "total", retries) not in (0, False):
            raise ConfigurationError(
                f"session: the adapter for {prefix} has max_retries, which could send a payment twice. "
                "Mount one without; for retries that are safe, add wechatpay.retry() to `middlewares`"
            )


def _map(error: Exception, request: Request, proxy: str | None) -> Exception:
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, WeChatPayError):
            # An error of our TLS settings is a ValueError, which requests takes for one of the URL.
            return cause
    if any(isinstance(cause, EmptyPoolError) for cause in causes):
        return transport_error(PoolTimeoutError, request, causes[-1])
    if any(isinstance(cause, _UNCONNECTED) or _is_in_connect(cause.__traceback__) for cause in causes):
        return transport_error(ConnectError, request, causes[-1], proxy)
    if any(isinstance(cause, _TIMED_OUT) for cause in causes):
        return transport_error(ReadTimeoutError, request, causes[-1])
    return transport_error(NoResponseError, request, causes[-1])


def _causes(error: object) -> Iterator[Exception]:
    """Go from an error to its cause: urllib3 wraps any error in the proxy's, and requests urllib3's."""
    while isinstance(error, Exception):
        yield error
        error = getattr(error, "original_error", None) or getattr(error, "reason", None) or wrapped(error)


def _is_in_connect(trace: TracebackType | None) -> bool:
    """Return whether an error was raised while urllib3 was connecting, TLS and tunnel included."""
    while trace is not None:
        code, module = trace.tb_frame.f_code, trace.tb_frame.f_globals.get("__name__")
        if code.co_name == "connect" and module == "urllib3.connection":
            return True
        trace = trace.tb_next
    return False


_UNCONNECTED = (requests.ConnectTimeout, ConnectTimeoutError)
_TIMED_OUT = (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError, TimeoutError)
