"""APIv3: JSON, signed with RSA in headers.

Operations with a state are handled by :mod:`wechatpay.sandbox.payments` and its neighbours; all others get a
generated response.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from wechatpay.messages import Headers
from wechatpay.sandbox import error_responses, operations, uploads
from wechatpay.sandbox.api import Api
from wechatpay.sandbox.messages import HttpResponse
from wechatpay.sandbox.parameters import Violation, check, check_body
from wechatpay.sandbox.signing import HeaderSigner
from wechatpay.sandbox.verification import RequestVerifier, parse_authorization

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wechatpay.catalogue import Operation
    from wechatpay.sandbox.keys import Identity, Signers
    from wechatpay.sandbox.messages import HttpRequest
    from wechatpay.sandbox.responses import ResponseGenerator
    from wechatpay.sandbox.signing import Signer
    from wechatpay.sandbox.uploads import Upload

__all__ = ["ApiV3", "Call", "Handler"]

#: The smallest pictures and documents of their kinds.
_FILES = {
    "csv": ("text/plain; charset=utf-8", "\ufeff\r\n".encode()),
    "image": ("image/png", b"\x89PNG\r\n\x1a\n"),
    "pdf": ("application/pdf", b"%PDF-1.4\n%%EOF\n"),
}


@dataclass(frozen=True, slots=True)
class Call:
    """A verified request with valid parameters.

    Attributes:
        operation: The operation.
        request: The request.
        mchid: The merchant who signed it.
        variables: The variables of the path, decoded.
        query: The parameters of the query, decoded.
        body: The members of the JSON body; ``{}`` without one.
        upload: The uploaded file; or ``None``.
    """

    operation: Operation
    request: HttpRequest
    mchid: str
    variables: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any] = field(default_factory=dict)
    upload: Upload | None = None

    def echo(self, *names: str) -> dict[str, str]:
        """Return those of the query's parameters that were given."""
        return {name: self.query[name] for name in names if name in self.query}

    @property
    def parameters(self) -> dict[str, Any]:
        """All parameters: those of the body over those of the query over those of the path."""
        return {**self.variables, **self.query, **self.body}


#: Responds to a call.
Handler: TypeAlias = "Callable[[Call], HttpResponse]"


class ApiV3(Api):
    """Handles the requests that are signed in their ``Authorization``, and those of ``v3/``.

    Attributes:
        handlers: The handlers of the operations that have a state, by method and template.
    """

    protocol = "v3"

    def __init__(
        self,
        identity: Identity,
        clock: Callable[[], float],
        signers: Signers,
        handlers: Mapping[tuple[str, str], Callable[[Call], HttpResponse]],
        generator: ResponseGenerator,
    ) -> None:
        """Prepare.

        Args:
            identity: The merchant.
            clock: Returns the Unix seconds of signatures.
            signers: WeChat Pay's keys.
            handlers: The handlers of the operations that have a state, by method and template.
            generator: Generates all other responses.
        """
        self._identity = identity
        self._clock = clock
        self._signers = signers
        self._verifier = RequestVerifier(identity, clock, signers)
        self._generator = generator
        self.handlers = handlers

    def accepts(self, request: HttpRequest) -> bool:
        """Accept ``v3/`` and whatever carries an ``Authorization``."""
        return request.segments[:1] == ("v3",) or "Authorization" in request.headers

    def concerns(self, request: HttpRequest) -> bool:
        """Return whether the merchant signed it, as it says."""
        given = parse_authorization(request.headers.get("Authorization", "")) or {}
        return given.get("mchid") == self._identity.mchid

    def signer(self, request: HttpRequest) -> Signer:
        """Sign with the key that the request names while it is in use, else with the newest."""
        key = self._signers.signer(request.headers.get("Wechatpay-Serial"))
        return HeaderSigner(key, self._clock, self._signers.rotate)

    def verify(self, request: HttpRequest) -> HttpResponse | None:
        """Refuse requests that the merchant did not sign within the last five minutes."""
        return self._verifier.check(request)

    def execute(self, request: HttpRequest) -> HttpResponse:
        """Find the operation, check the parameters, and respond."""
        found = operations.find(request)
        if found is None and (allowed := operations.methods(request)):
            return error_responses.not_allowed(request.method, allowed)
        if found is None:
            nearest = operations.nearest("/".join(request.segments))
            hint = f"，最接近的接口是 {nearest}" if nearest else ""
            return error_responses.no_resource(f"沙箱没有这个接口，请检查请求的路径{hint}")
        call = self._call(found.operation, found.variables, request)
        if isinstance(call, Violation):
            return error_responses.bad_parameter(call)
        handler = self.handlers.get((call.operation.verb, call.operation.template), self._generate)
        return handler(call)

    def _call(
        self, operation: Operation, variables: Mapping[str, str], request: HttpRequest
    ) -> Call | Violation:
        query: dict[str, list[str]] = {}
        for name, value in request.query:
            query.setdefault(name, []).append(value)
        path = {name: [value] for name, value in variables.items()}
        serial = request.headers.get("Wechatpay-Serial", "")

        def decrypt(text: str) -> str:
            return self._decrypt(text, serial)

        if violation := check(operation, {"path": path, "query": query}, decrypt):
            return violation
        call = Call(operation, request, self._identity.mchid, variables, dict(request.query))
        if operation.body_kind == "multipart":
            upload = uploads.read(operation, request, decrypt)
            return upload if isinstance(upload, Violation) else replace(call, upload=upload)
        return _with_body(call, decrypt) if operation.body_kind == "json" or request.body else call

    def _decrypt(self, text: str, serial: str) -> str:
        """Decrypt a member of the body.

        Raises:
            ValueError: It was not encrypted with a key of WeChat Pay's.
        """
        if not self._signers.had(serial):
            raise ValueError("Wechatpay-Serial names no key")
        return self._signers.decrypt(text, serial)

    def _generate(self, call: Call) -> HttpResponse:
        operation = call.operation
        if operation.response_kind == "none":
            return HttpResponse(operation.response_status)
        if operation.response_kind in _FILES:
            kind, content = _FILES[operation.response_kind]
            return HttpResponse(200, content, Headers({"Content-Type": kind}), is_signed=False)
        name = f"{operation.verb} {call.request.path}"
        members = self._generator.generate(operation.response, call.parameters, name)
        return HttpResponse.json(members, operation.response_status)

    def error_code(self, response: HttpResponse) -> str:
        """Return the code of a JSON error."""
        if response.status < 400:  # noqa: PLR2004  HTTP's errors
            return ""
        try:
            return str(json.loads(response.body)["code"])
        except (ValueError, KeyError, TypeError):
            return ""


def _with_body(call: Call, decrypt: Callable[[str], str]) -> Call | Violation:
    """Read and check the JSON body of a call."""
    try:
        body = json.loads(call.request.body or b"{}")
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return Violation("body", "", None, "", "请求体不是合法的JSON对象")
    violation = check_body(call.operation.body, body, decrypt, call.operation.one_of)
    return violation or replace(call, body=body)
