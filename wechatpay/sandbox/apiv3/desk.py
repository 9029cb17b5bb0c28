"""APIv3's desk: JSON, signed with RSA."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from wechatpay.sandbox.apiv3 import agreements, certificates, refusals, uploads
from wechatpay.sandbox.apiv3.gate import Gate
from wechatpay.sandbox.apiv3.question import Question
from wechatpay.sandbox.apiv3.signature import HeaderSign
from wechatpay.sandbox.catalogue import Breach, operations
from wechatpay.sandbox.desk import Desk
from wechatpay.sandbox.routes import by_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wechatpay.sandbox.answer import Answer, Received
    from wechatpay.sandbox.catalogue import Operation
    from wechatpay.sandbox.desk import Sign
    from wechatpay.sandbox.keys.identity import Identity
    from wechatpay.sandbox.keys.signers import Signers

__all__ = ["ApiV3"]

#: What answers those operations that need nothing but the question.
_OPERATIONS: Mapping[tuple[str, str], Callable[[Question], Answer]] = {
    **agreements.OPERATIONS,
    **uploads.OPERATIONS,
}


class ApiV3(Desk):
    """Answers the requests that are signed in their ``Authorization``, and those of ``v3/``.

    Attributes:
        operations: What answers each operation of the catalogue.
    """

    protocol = "v3"

    def __init__(self, identity: Identity, clock: Callable[[], float], signers: Signers) -> None:
        self._identity = identity
        self._clock = clock
        self._signers = signers
        self._gate = Gate(identity, clock, signers)
        self.operations: Mapping[tuple[str, str], Callable[[Question], Answer]] = {
            **_OPERATIONS,
            ("GET", "v3/certificates"): self._certificates,
        }
        self._routes = by_path(operations(self.protocol))

    def takes(self, received: Received) -> bool:
        """Tell whether a request is of APIv3, be its signature ever so wrong."""
        return received.segments[:1] == ("v3",) or "Authorization" in received.headers

    def sign(self, received: Received) -> Sign:
        """Sign with the key that the request names while it is in use, else with the newest."""
        return HeaderSign(self._signers.signer(received.headers.get("Wechatpay-Serial")), self._clock)

    def refusal(self, received: Received) -> Answer | None:
        """Let only pass what the merchant signed just now."""
        return self._gate.refusal(received)

    def carry_out(self, received: Received) -> Answer:
        """Find the operation, check the parameters, and ask."""
        found = self._routes.find(received.segments)
        if found is None:
            return refusals.no_resource("沙箱没有这个接口，请检查请求的路径")
        methods, variables = found
        if (operation := methods.get(received.method)) is None:
            return refusals.not_allowed(received.method)
        question = self._question(operation, received, variables)
        if isinstance(question, Breach):
            return refusals.bad_parameter(question)
        return self.operations[operation.verb, operation.uri](question)

    def _certificates(self, _: Question) -> Answer:
        return certificates.offered(self._signers, self._identity.apiv3_key)

    def _question(
        self, operation: Operation, received: Received, variables: Mapping[str, str]
    ) -> Question | Breach:
        query: dict[str, list[str]] = {}
        for name, value in received.query:
            query.setdefault(name, []).append(value)
        path = {name: [value] for name, value in variables.items()}
        if breach := operation.breach(path=path, query=query):
            return breach
        upload = uploads.read(operation, received)
        if isinstance(upload, Breach):
            return upload
        return Question(self._identity.mchid, variables, dict(received.query), upload)

    def code(self, answer: Answer) -> str:
        """Return the code of a JSON error."""
        if answer.status < 400:  # noqa: PLR2004  HTTP's errors
            return ""
        try:
            return str(json.loads(answer.body)["code"])
        except (ValueError, KeyError, TypeError):
            return ""
