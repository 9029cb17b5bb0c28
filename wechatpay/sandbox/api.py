"""WeChat Pay's side of a request, without sockets: verify it, execute it, sign the response."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from wechatpay.errors import ConfigurationError
from wechatpay.sandbox.messages import Delivery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wechatpay.sandbox.faults.injections import Injections
    from wechatpay.sandbox.messages import HttpRequest, HttpResponse
    from wechatpay.sandbox.signing import Signer

__all__ = ["Api", "Gateway"]

_log = logging.getLogger("wechatpay.sandbox")


class Api(ABC):
    """Handles the requests of one protocol.

    Attributes:
        protocol: The chain's name for it: ``v3``, ``v2`` or ``mp``.
    """

    protocol: str

    @abstractmethod
    def accepts(self, request: HttpRequest) -> bool:
        """Return whether a request belongs to this protocol."""

    @abstractmethod
    def signer(self, request: HttpRequest) -> Signer:
        """Return the signer of the responses to a request."""

    @abstractmethod
    def verify(self, request: HttpRequest) -> HttpResponse | None:
        """Return the error response to a request that the merchant did not sign, else ``None``."""

    @abstractmethod
    def execute(self, request: HttpRequest) -> HttpResponse:
        """Execute a verified request and return the unsigned response."""

    @abstractmethod
    def error_code(self, response: HttpResponse) -> str:
        """Return the error code in a response, or ``""``."""


class Gateway:
    """Responds to requests as WeChat Pay does; one thread at a time."""

    def __init__(self, apis: Sequence[Api], injections: Injections) -> None:
        """Combine the protocols.

        Args:
            apis: The first one that accepts a request handles it; the last one accepts every request.
            injections: The faults that wait for a request.
        """
        self._apis = apis
        self._injections = injections

    def respond(self, request: HttpRequest) -> Delivery:
        """Respond to one request."""
        api = next(api for api in self._apis if api.accepts(request))
        signer = api.signer(request)
        if error := api.verify(request):
            delivery = Delivery(signer.sign(error))
        else:
            delivery = self._execute(api, request, signer)
        _log.info("%s %s → %s", request.method, request.path, _outcome(api, delivery))
        return delivery

    def _execute(self, api: Api, request: HttpRequest, signer: Signer) -> Delivery:
        try:
            fault = self._injections.take(request, api.protocol)
        except ConfigurationError as error:
            return Delivery(signer.sign(signer.error(400, "PARAM_ERROR", str(error))))
        if fault:
            return fault.deliver(lambda: api.execute(request), signer)
        return Delivery(signer.sign(api.execute(request)))


def _outcome(api: Api, delivery: Delivery) -> str:
    """Describe the outcome of a request without its contents."""
    if delivery.response is None:
        return "connection reset"
    return f"{delivery.response.status} {api.error_code(delivery.response)}".rstrip()
