"""The blocking transport, on requests: one adapter, whose pools all threads share."""

from __future__ import annotations

import http.client
import io
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.hooks import default_hooks
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError

from wechatpay.errors import ConnectError, NoAnswerError, ReadTimeoutError, WeChatPayError
from wechatpay.messages import Headers, Response
from wechatpay.transports.network import IDLE_SECONDS, no_answer, receiver

if TYPE_CHECKING:
    from wechatpay.messages import Request
    from wechatpay.transports.network import Network

__all__ = ["BlockingTransport"]

_CHUNK = 64 * 1024


class BlockingTransport:
    """Sends requests untouched, through a session of the caller's or an adapter of its own."""

    def __init__(self, network: Network, session: requests.Session | None) -> None:
        self._network = network
        self._session = session
        self._adapter = Adapter(network)
        self._mutual = Adapter(network, mutual=True)

    def send(self, request: Request) -> Response:
        """Send ``request`` and read the answer.

        Raises:
            ConnectError: Nothing was sent.
            NoAnswerError: The request left; no whole answer came.
        """
        try:
            with self._open(request) as answer:
                headers = Headers(answer.headers)
                if (sink := receiver(request, answer.status_code)) is None:
                    return Response(answer.status_code, headers, answer.content)
                sink.begin(headers)
                for chunk in answer.iter_content(_CHUNK):
                    sink.write(chunk)
                return Response(answer.status_code, headers)
        except (requests.RequestException, HTTPError) as error:
            raise _mapped(error, request) from None

    def _open(self, request: Request) -> requests.Response:
        prepared = requests.PreparedRequest()
        prepared.method = request.method
        # Preparing would re-quote the URL (%7E → ~); the signature covers the original.
        prepared.url = request.url
        prepared.headers = CaseInsensitiveDict(request.headers)
        body: Any = request.upload or request.content or None
        prepared.body = body
        prepared.hooks = default_hooks()
        timeout: Any = request.timeout
        if self._session is not None and not request.mutual:
            return _through(self._session, prepared, timeout)
        proxy = self._network.proxies.towards(request.url)
        proxies = {request.url.partition(":")[0]: proxy} if proxy else None
        adapter = self._mutual if request.mutual else self._adapter
        return adapter.send(prepared, stream=True, timeout=timeout, proxies=proxies)

    def close(self) -> None:
        """Close all idle connections."""
        self._adapter.close()
        self._mutual.close()


def _through(
    session: requests.Session, prepared: requests.PreparedRequest, timeout: Any
) -> requests.Response:
    """Send through a session that does not look where a redirect leads: it would prepare to follow it."""
    hidden: list[str] = []

    def hide(answer: requests.Response, **_: Any) -> None:
        if location := answer.headers.pop("Location", None):
            hidden.append(location)

    prepared.hooks["response"].append(hide)
    answer = session.send(prepared, stream=True, timeout=timeout, allow_redirects=False)
    if hidden:
        answer.headers["Location"] = hidden[0]
    return answer


class _Lines(io.BufferedReader):
    """A stream that never passes its end off as an empty line."""

    def readline(self, size: int | None = -1, /) -> bytes:
        """Read a line.

        Raises:
            RemoteDisconnected: There is none.
        """
        if line := super().readline(size):
            return line
        raise http.client.RemoteDisconnected("the connection ended within the headers")


class _Whole(http.client.HTTPResponse):
    """An answer with all its headers: http.client would take a connection that breaks for their end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fp = _Lines(self.fp.detach())

    def begin(self) -> None:
        """Read status and headers, past interim answers, of which http.client knows but one."""
        super().begin()
        while 101 < self.status < 200:  # noqa: PLR2004  interim, but for the switch of protocols
            self.headers = None  # type: ignore[assignment]  # what it is before begin()
            super().begin()


class _Ageing(HTTPConnection):
    """A connection that is not used again once the server may have dropped it."""

    response_class = _Whole
    _used = 0.0
    _target: str | None = None

    def aim(self, target: str) -> None:
        """Note what the next request is sent to, whatever its caller says for the log."""
        self._target = target

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        """Send a request to what was aimed at."""
        target, self._target = self._target or url, None
        super().request(method, target, *args, **kwargs)

    def connect(self) -> None:
        """Connect; a failing TLS handshake or proxy tunnel counts as no connection: nothing was sent."""
        try:
            super().connect()
        except OSError as error:
            raise NewConnectionError(self, f"{error}") from error
        self._used = time.monotonic()

    def getresponse(self) -> Any:
        """Note when the server was last heard of."""
        response = super().getresponse()
        self._used = time.monotonic()
        return response

    @property
    def is_connected(self) -> bool:
        """Whether the connection may be used."""
        return time.monotonic() - self._used < IDLE_SECONDS and super().is_connected


class _AgeingTLS(_Ageing, HTTPSConnection):
    """The same over TLS."""


class _Discreet(urllib3.HTTPConnectionPool):
    """A pool whose log holds no query: that may be a credential."""

    def _make_request(self, conn: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        conn.aim(url)
        return super()._make_request(conn, method, url.partition("?")[0], *args, **kwargs)


class _Pool(_Discreet):
    ConnectionCls = _Ageing


class _PoolTLS(_Discreet, urllib3.HTTPSConnectionPool):
    ConnectionCls = _AgeingTLS


_POOLS = {"http": _Pool, "https": _PoolTLS}


class Adapter(HTTPAdapter):
    """requests' adapter with one TLS context, and connections that know their age."""

    def __init__(self, network: Network, *, mutual: bool = False) -> None:
        self._network = network
        self._is_mutual = mutual
        super().__init__(pool_maxsize=network.pool_size, pool_block=True)

    @cached_property
    def _tls(self) -> dict[str, Any]:
        unverified = self._network.verify is False
        context = self._network.mutual_tls if self._is_mutual else self._network.tls
        return {"ssl_context": context} | ({"cert_reqs": "CERT_NONE"} if unverified else {})

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Use pools of ageing connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Use pools of ageing connections through a proxy, too."""
        # urllib3 would hold a body back behind a proxy until the headers are acknowledged: 40 ms.
        kwargs["socket_options"] = HTTPConnection.default_socket_options
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        """Keep the target as it was signed: requests drops a final ``;`` from what a proxy gets."""
        url = super().request_url(request, proxies)
        return url if url.startswith("/") else str(request.url)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        """Put the one TLS context in the place of requests' own."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, self._tls if host["scheme"] == "https" else {}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave the connection's TLS alone: the context is complete."""


def _mapped(error: Exception, request: Request) -> WeChatPayError:
    inner = error.args[0] if error.args else None
    if isinstance(inner, WeChatPayError):
        # What is wrong with the TLS settings comes up within requests, which takes it for its own.
        return inner
    reason = inner.reason if isinstance(inner, MaxRetryError) else inner
    cause = reason if isinstance(reason, Exception) else error
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.ProxyError):
        return no_answer(ConnectError, request, cause)
    if isinstance(reason, NewConnectionError):
        return no_answer(ConnectError, request, cause)
    if isinstance(error, requests.ReadTimeout) or isinstance(reason, urllib3.exceptions.ReadTimeoutError):
        return no_answer(ReadTimeoutError, request, cause)
    return no_answer(NoAnswerError, request, cause)
