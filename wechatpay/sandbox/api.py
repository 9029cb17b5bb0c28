"""WeChat Pay's side of a request, without sockets: verify it, execute it, sign the response."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wechatpay.errors import ConfigurationError
from wechatpay.sandbox.messages import Delivery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wechatpay.sandbox.faults import Fault
    from wechatpay.sandbox.faults.injections import Injections
    from wechatpay.sandbox.messages import HttpRequest, HttpResponse
    from wechatpay.sandbox.signing import Signer

__all__ = ["Api", "Gateway", "Outcome"]

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
    def concerns(self, request: HttpRequest) -> bool:
        """Return whether a request names this merchant, or its app."""

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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request.

    Attributes:
        delivery: How the response is sent.
        protocol: The protocol of the request.
        code: The error code in the response; ``""`` without one.
        is_verified: Whether the merchant had signed the request.
        fault: The fault that it met; ``""`` for none.
    """

    delivery: Delivery
    protocol: str
    code: str
    is_verified: bool
    fault: str = ""


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

    def concerns(self, request: HttpRequest) -> bool:
        """Return whether a request names this merchant, or its app."""
        return self._find(request).concerns(request)

    def respond(self, request: HttpRequest) -> Outcome:
        """Respond to one request."""
        api = self._find(request)
        signer, fault = api.signer(request), None
        if error := api.verify(request):
            delivery = Delivery(signer.sign(error))
        else:
            fault, delivery = self._execute(api, request, signer)
        code = api.error_code(delivery.response) if delivery.response else ""
        outcome = f"{delivery.response.status} {code}".rstrip() if delivery.response else "connection reset"
        _log.info("%s %s → %s", request.method, request.path, outcome)
        return Outcome(delivery, api.protocol, code, error is None, repr(fault) if fault else "")

    def _find(self, request: HttpRequest) -> Api:
        return next(api for api in self._apis if api.accepts(request))

    def _execute(self, api: Api, request: HttpRequest, signer: Signer) -> tuple[Fault | None, Delivery]:
        try:
            fault = self._injections.take(request, api.protocol)
        except ConfigurationError as error:
            return None, Delivery(signer.sign(signer.error(400, "PARAM_ERROR", str(error))))
        if fault:
            return fault, fault.deliver(lambda: api.execute(request), signer)
        return None, Delivery(signer.sign(api.execute(request)))
