"""What both transports ask of the environment, read once: proxies and CA bundles."""

from __future__ import annotations

import logging
import os
import ssl
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import certifi

from wechatpay.errors import (
    ConfigurationError,
    ConnectError,
    NoResponseError,
    ReadTimeoutError,
    TransportError,
)
from wechatpay.transports.proxies import Proxies

if TYPE_CHECKING:
    from wechatpay.apiv2.certificate import Identity
    from wechatpay.messages import Request
    from wechatpay.settings import Transport
    from wechatpay.sink import Sink

__all__ = ["IDLE_SECONDS", "Network", "no_answer", "receiver"]

_log = logging.getLogger("wechatpay")

#: WeChat Pay's servers drop a connection that was idle for 8 s.
IDLE_SECONDS = 7.0


@dataclass(frozen=True)
class Network:
    """How to get out.

    Attributes:
        pool_size: Connections at most, per host.
        verify: Whether to verify TLS certificates, or the path of a CA bundle.
        identity: The merchant's certificate, or ``None``.
        proxies: The proxies on the way.
    """

    pool_size: int
    verify: bool | str
    identity: Identity | None
    proxies: Proxies

    @classmethod
    def read(cls, transport: Transport, identity: Identity | None = None) -> Network:
        """Read the settings, and the environment for those left out.

        Raises:
            ConfigurationError: ``verify`` names no file or directory, or ``proxies`` no HTTP proxy.
        """
        verify = transport.verify
        if verify is None:
            bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
            verify = bundle or True
        if isinstance(verify, str) and not os.path.exists(verify):  # noqa: PTH110  only asked, never opened
            raise ConfigurationError(f"verify: there is no CA bundle at {verify!r}")
        if verify is False:
            _log.warning("verify=False: whoever is on the way can read requests, and answer unsigned ones")
        return cls(transport.pool_size, verify, identity, Proxies.read(transport.proxies))

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """The TLS settings of most connections: Mozilla's authorities, or the configured bundle."""
        return self._context()

    @cached_property
    def mutual_tls(self) -> ssl.SSLContext:
        """The same with the merchant's certificate.

        Raises:
            ConfigurationError: TLS does not take the certificate.
        """
        context = self._context()
        if self.identity is not None:
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
            raise ConfigurationError(
                f"verify: {place!r} is no CA bundle that can be read ({error.strerror or 'unreadable'}): "
                "give a file of certificates in PEM"
            ) from None


def receiver(request: Request, status: int) -> Sink | None:
    """Return what takes an answer's body in place of the memory: a sink gets no error and no redirect."""
    if request.sink is None or 200 <= status < 300:  # noqa: PLR2004  HTTP's successes
        return request.sink
    # An earlier attempt may have begun there: this answer has no part in it.
    request.sink.discard()
    return None


def no_answer(kind: type[TransportError], request: Request, cause: BaseException) -> TransportError:
    """Make the error for ``cause``, and leave the cause's own text behind: it may quote the query."""
    while (deeper := cause.__cause__ or cause.__context__ or _wrapped(cause)) is not None:
        cause = deeper
    why = getattr(cause, "strerror", None)
    host = request.url.split("/", 3)[2]
    what = f"{type(cause).__name__}: {why}" if why else type(cause).__name__
    return kind(f"{request.method} {request.path}: {_WORDS[kind]} {host} ({what})", request=request)


def _wrapped(error: BaseException) -> BaseException | None:
    """Return what ``error`` was made of; urllib3 passes TLS errors on as arguments."""
    return next((argument for argument in error.args if isinstance(argument, BaseException)), None)


_WORDS = {
    ConnectError: "nothing was sent: no connection to",
    NoResponseError: "outcome unknown: no whole answer from",
    ReadTimeoutError: "outcome unknown: no answer in time from",
}
