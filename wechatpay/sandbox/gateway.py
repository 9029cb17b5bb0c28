"""WeChat Pay's side of a request, free of sockets: check it, carry it out, sign the answer."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from wechatpay.sandbox import agreements, refusals
from wechatpay.sandbox.agreements import Question
from wechatpay.sandbox.catalogue import operations
from wechatpay.sandbox.faults import Delivery
from wechatpay.sandbox.gate import Gate
from wechatpay.sandbox.injections import Injections
from wechatpay.sandbox.routes import Routes

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.answer import Answer, Received
    from wechatpay.sandbox.catalogue import Operation
    from wechatpay.sandbox.identity import Identity

__all__ = ["Gateway"]

_log = logging.getLogger("wechatpay.sandbox")


class Gateway:
    """Answers requests as WeChat Pay does; one thread at a time.

    Attributes:
        injections: The faults that wait for their request; any thread may add one.
    """

    def __init__(self, identity: Identity, clock: Callable[[], float]) -> None:
        self._identity = identity
        self._clock = clock
        self._gate = Gate(identity, clock)
        self._routes = _routes()
        self.injections = Injections()

    def respond(self, received: Received) -> Delivery:
        """Answer one request."""
        signer = self._identity.signer(received.headers.get("Wechatpay-Serial"))

        def sign(answer: Answer, *, age: float = 0.0) -> Answer:
            return signer.sign(answer, self._clock() - age)

        if refusal := self._gate.refusal(received):
            delivery = Delivery(sign(refusal))
        elif fault := self.injections.take(received):
            delivery = fault.deliver(lambda: self._carry_out(received), sign)
        else:
            delivery = Delivery(sign(self._carry_out(received)))
        _log.info("%s %s → %s", received.method, received.path, _outcome(delivery))
        return delivery

    def _carry_out(self, received: Received) -> Answer:
        found = self._routes.find(received.segments)
        if found is None:
            return refusals.no_resource("沙箱没有这个接口，请检查请求的路径")
        methods, variables = found
        if (operation := methods.get(received.method)) is None:
            return refusals.not_allowed(received.method)
        if refusal := operation.refusal(received, variables):
            return refusal
        question = Question(self._identity.mchid, variables, dict(received.query))
        return agreements.OPERATIONS[operation.verb, operation.uri](question)


def _routes() -> Routes[dict[str, Operation]]:
    by_uri: dict[str, dict[str, Operation]] = {}
    for operation in operations():
        by_uri.setdefault(operation.uri, {})[operation.verb] = operation
    routes: Routes[dict[str, Operation]] = Routes()
    for uri, methods in by_uri.items():
        routes.add(uri, methods)
    return routes


def _outcome(delivery: Delivery) -> str:
    """Tell what a request came to, in few words and without its contents."""
    if delivery.answer is None:
        return "connection reset"
    answer = delivery.answer
    if not answer.headers.get("Content-Type", "").startswith("application/json") or answer.status < 400:  # noqa: PLR2004  HTTP's errors
        return str(answer.status)
    return f"{answer.status} {json.loads(answer.body).get('code', '')}"
