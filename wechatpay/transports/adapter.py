"""requests' adapter as the blocking transport uses it, and the answers that it gives."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection

from wechatpay.messages import Headers
from wechatpay.transports.pools import POOLS
from wechatpay.transports.received import Received

if TYPE_CHECKING:
    from wechatpay.transports.network import Network

__all__ = ["Adapter", "fields"]


class Adapter(HTTPAdapter):
    """requests' adapter with one TLS context, and connections that know their age."""

    def __init__(self, network: Network, *, mutual: bool = False) -> None:
        self._network = network
        self._is_mutual = mutual
        self._pools: dict[str, Any] = {}
        # More pools than there are trusted hosts: none is ever closed to make room for another.
        super().__init__(pool_connections=64, pool_maxsize=network.pool_size, pool_block=True)

    @cached_property
    def _tls(self) -> dict[str, Any]:
        unverified = self._network.verify is False
        context = self._network.mutual_tls if self._is_mutual else self._network.tls
        return {"ssl_context": context} | ({"cert_reqs": "CERT_NONE"} if unverified else {})

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Use pools of ageing connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Use pools of ageing connections through a proxy, too."""
        # urllib3 would hold a body back behind a proxy until the headers are acknowledged: 40 ms.
        kwargs["socket_options"] = HTTPConnection.default_socket_options
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = POOLS
        return manager

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """Look for the pool of an origin once: neither its TLS nor its proxy ever changes."""
        origin, _ = _cut(request)
        if (pool := self._pools.get(origin)) is None:
            pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
            self._pools[origin] = pool
        return pool

    def close(self) -> None:
        """Close all connections; later ones come from new pools."""
        self._pools.clear()
        super().close()

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        """Keep the target as it was signed: requests drops a final ``;`` from what a proxy gets."""
        if proxies and not super().request_url(request, proxies).startswith("/"):
            return str(request.url)
        return _cut(request)[1]

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Make requests' response; of what was received here look for no charset and no cookies."""
        return _Answer(self, req, resp) if isinstance(resp, Received) else super().build_response(req, resp)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        """Put the one TLS context in the place of requests' own."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, self._tls if host["scheme"] == "https" else {}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave the connection's TLS alone: the context is complete."""


class _Answer(requests.Response):
    """requests' response, but read at once, and with requests' form of the headers only for who asks."""

    raw: Received

    def __init__(self, adapter: Adapter, request: requests.PreparedRequest, raw: Received) -> None:
        # requests' own would make a cookie jar each time.
        self.__dict__.update(_BLANK)
        self._headers: Any = None
        self._whole: bytes | None = None
        self.connection = adapter
        self.request = request
        self.url = str(request.url)
        self.raw = raw
        self.status_code = raw.status
        self.reason = raw.reason or ""

    @cached_property
    def cookies(self) -> Any:  # type: ignore[override]  # it can be written as any cached property can
        return RequestsCookieJar()

    @cached_property
    def history(self) -> Any:  # type: ignore[override]  # the same
        return []

    @property
    def headers(self) -> Any:
        if self._headers is None:
            self._headers = CaseInsensitiveDict(self.raw.fields.pairs())
        return self._headers

    @headers.setter
    def headers(self, headers: Any) -> None:
        self._headers = headers

    @property
    def content(self) -> bytes:
        if self._whole is None:
            self._whole = self.raw.read(decode_content=True)
        return self._whole


_BLANK = {
    name: value for name, value in vars(requests.Response()).items() if name not in ("cookies", "history")
}


def fields(answer: requests.Response) -> Headers:
    """Return the headers of an answer."""
    return answer.raw.fields if isinstance(answer, _Answer) else Headers(answer.headers)


def _cut(request: requests.PreparedRequest) -> tuple[str, str]:
    """Cut a URL into origin and target."""
    url = str(request.url)
    slash = url.index("/", len("https://"))
    return url[:slash], url[slash:]
