"""The blocking transport, on requests: one adapter, whose pools all threads share."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import requests
import urllib3
from requests.hooks import default_hooks
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import ClosedPoolError, ConnectTimeoutError, HTTPError

from wechatpay.errors import ConnectError, NoResponseError, ReadTimeoutError, WeChatPayError
from wechatpay.messages import Response
from wechatpay.transports.adapter import Adapter, fields
from wechatpay.transports.network import no_answer, receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

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
            NoResponseError: The request left; no whole answer came.
        """
        try:
            with self._open(request) as answer:
                headers = fields(answer)
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
        prepared.headers = CaseInsensitiveDict(request.headers.pairs())
        body: Any = request.upload or request.content or None
        prepared.body = body
        prepared.hooks = default_hooks()
        if self._session is not None and not request.mutual:
            return _through(self._session, prepared, request.timeout)
        proxy = self._network.proxies.towards(request.url)
        proxies = {request.url.partition(":")[0]: proxy} if proxy else None
        adapter = self._mutual if request.mutual else self._adapter
        return adapter.send(prepared, stream=True, timeout=_limits(*request.timeout), proxies=proxies)

    def close(self) -> None:
        """Close all idle connections."""
        self._adapter.close()
        self._mutual.close()


@functools.lru_cache(16)
def _limits(connect: float | None, read: float | None) -> Any:
    return urllib3.Timeout(connect=connect, read=read)


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


def _mapped(error: Exception, request: Request) -> WeChatPayError:
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, WeChatPayError):
            # What is wrong with the TLS settings comes up within requests, which takes it for its own.
            return cause
    for kind, signs in _SIGNS.items():
        if any(isinstance(cause, signs) for cause in causes):
            return no_answer(kind, request, causes[-1])
    return no_answer(NoResponseError, request, causes[-1])


def _causes(error: object) -> Iterator[Exception]:
    """Go from an error to what it is about: urllib3 blames the proxy, and requests urllib3, for anything."""
    while isinstance(error, Exception):
        yield error
        inner = error.args[0] if error.args else None
        error = getattr(error, "original_error", None) or getattr(error, "reason", None) or inner


#: What tells each of our errors.
_SIGNS = {
    ConnectError: (requests.ConnectTimeout, ConnectTimeoutError, ClosedPoolError),
    ReadTimeoutError: (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError, TimeoutError),
}
