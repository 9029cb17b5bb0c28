"""APIv2: XML, signed with a digest under the secret.

Operations with a state are handled by :mod:`wechatpay.sandbox.payments_v2` and its neighbours; all others get
a generated response. Missing fields are ``LACK_PARAMS``, wrong ones ``PARAM_ERROR``.

Wrong signatures, unknown merchants and malformed XML get a ``return_code`` of ``FAIL`` without signature; so
do failing downloads. An operation that requires the merchant certificate responds to a connection without one
with a page and status 400; over plain HTTP the error says which settings to use.

https://pay.weixin.qq.com/wiki/doc/api/jsapi.php?chapter=4_1
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, TypeAlias

from wechatpay.sandbox import operations, uploads, xml_messages
from wechatpay.sandbox.api import Api
from wechatpay.sandbox.messages import HttpResponse
from wechatpay.sandbox.parameters import check
from wechatpay.sandbox.signing import SIGN_TYPES, FieldSigner, digest
from wechatpay.sandbox.xml_messages import failure, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wechatpay.catalogue import Operation
    from wechatpay.sandbox.keys import Identity
    from wechatpay.sandbox.messages import HttpRequest
    from wechatpay.sandbox.parameters import Violation
    from wechatpay.sandbox.responses import ResponseGenerator
    from wechatpay.sandbox.signing import Signer

__all__ = ["ApiV2", "HandlerV2"]

_MERCHANT = ("mch_id", "mchid", "combine_mch_id")

#: The longest ``nonce_str``; the operations of papay have none.
_NONCE_LENGTH = 32

#: Responds to the fields of a request.
HandlerV2: TypeAlias = "Callable[[Mapping[str, str]], HttpResponse]"


class ApiV2(Api):
    """Handles requests that carry their signature among their fields; accepts every request.

    Attributes:
        handlers: The handlers of the operations that have a state, by template.
    """

    protocol = "v2"

    def __init__(
        self, identity: Identity, handlers: Mapping[str, HandlerV2], generator: ResponseGenerator
    ) -> None:
        """Prepare.

        Args:
            identity: The merchant.
            handlers: The handlers of the operations that have a state, by template.
            generator: Generates all other responses.
        """
        self._identity = identity
        self._generator = generator
        self.handlers = handlers

    def accepts(self, request: HttpRequest) -> bool:  # noqa: ARG002  it is the last one
        """Accept every request: APIv2's paths have nothing in common."""
        return True

    def concerns(self, request: HttpRequest) -> bool:
        """Return whether it names the merchant."""
        try:
            sent = _fields(request)
        except ValueError:
            return False
        return self._identity.mchid in {sent.get(name) for name in _MERCHANT}

    def signer(self, request: HttpRequest) -> Signer:
        """Sign as the request is signed."""
        try:
            sent = _fields(request)
        except ValueError:
            sent = {}
        wants_hmac = sent.get("sign_type") == SIGN_TYPES[1]
        found = operations.find(request, "v2")
        has_sign = (
            found is None or found.operation.response_kind != "xml" or "sign" in found.operation.response
        )
        return FieldSigner(self._identity.secret, SIGN_TYPES[wants_hmac], sent, has_sign)

    def verify(self, request: HttpRequest) -> HttpResponse | None:
        """Refuse requests that the merchant did not sign, or sent without a required certificate."""
        return self._check_channel(request) or self._check_sign(request) or self._check_certificate(request)

    def _check_channel(self, request: HttpRequest) -> HttpResponse | None:
        if not self._requires_certificate(request) or request.channel.certificate:
            return None
        return xml_messages.no_certificate() if request.channel.is_encrypted else xml_messages.no_encryption()

    def _check_sign(self, request: HttpRequest) -> HttpResponse | None:
        try:
            sent = _fields(request)
        except ValueError as error:
            return refuse(str(error))
        named = {sent[name] for name in _MERCHANT if sent.get(name)}
        if named != {self._identity.mchid} and (named or _names_merchant(request)):
            return refuse("商户号mch_id或sub_mch_id不存在")
        sign_type = sent.get("sign_type") or SIGN_TYPES[0]
        if sign_type not in SIGN_TYPES:
            return refuse("sign_type参数格式错误")
        expected = digest(sent, self._identity.secret, sign_type)
        if not hmac.compare_digest(expected.encode(), sent.get("sign", "").encode()):
            return refuse("签名错误")
        return None

    def _check_certificate(self, request: HttpRequest) -> HttpResponse | None:
        is_ours = request.channel.certificate == self._identity.serial
        if is_ours or not self._requires_certificate(request):
            return None
        return failure(_fields(request), "CERT_ERROR", "证书校验错误")

    def _requires_certificate(self, request: HttpRequest) -> bool:
        found = operations.find(request, "v2")
        return found is not None and found.operation.security

    def execute(self, request: HttpRequest) -> HttpResponse:
        """Find the operation, check the parameters, and execute it."""
        found = operations.find(request, "v2")
        if found is None and operations.methods(request, "v2"):
            return refuse("请使用post方法")
        if found is None:
            nearest = operations.nearest(f"v2{request.path}")
            hint = f"，最接近的接口是 {nearest}" if nearest else ""
            return refuse(f"沙箱没有这个接口，请检查请求的路径{hint}", status=404)
        operation = found.operation
        sent = {name: value for name, value in _fields(request).items() if value}
        location = "body" if operation.body else "query"
        given = {name: [value] for name, value in sent.items()}
        if operation.body_kind == "multipart":
            given["media"] = ["media"]
        if violation := check(operation, {location: given}):
            if operations.is_download(operation):
                return _download_violation(violation)
            return xml_messages.violation_response(sent, violation)
        handler = self.handlers.get(operation.template)
        has_nonce = not operation.template.startswith("v2/papay/")
        if handler and has_nonce and not 1 <= len(sent.get("nonce_str", "")) <= _NONCE_LENGTH:
            return failure(sent, "PARAM_ERROR", "nonce_str参数长度有误")
        return handler(sent) if handler else self._generate(operation, sent)

    def _generate(self, operation: Operation, sent: Mapping[str, str]) -> HttpResponse:
        echoed = xml_messages.lasting(sent)
        members = self._generator.generate(operation.response, echoed, operation.template)
        if operation.response_kind == "json":
            return HttpResponse.json(members)
        fixed = {"return_code": "SUCCESS", "result_code": "SUCCESS", "nonce_str": secrets.token_hex(8)}
        members |= {name: value for name, value in fixed.items() if name in members}
        members.pop("sign", None)
        if "sign_type" in members:
            members["sign_type"] = sent.get("sign_type") or SIGN_TYPES[0]
        return xml_messages.documented({"return_code": "SUCCESS", **members})

    def error_code(self, response: HttpResponse) -> str:
        """Return ``err_code``, or ``FAIL`` for a request that is not verified."""
        try:
            fields = xml_messages.read(response.body)
        except ValueError:
            return ""
        has_failed = fields.get("return_code") == "FAIL"
        return fields.get("err_code") or fields.get("error_code") or ("FAIL" if has_failed else "")


def _download_violation(violation: Violation) -> HttpResponse:
    """Refuse a field that violates a rule, as downloads do."""
    message = "missing parameter" if violation.value is None else f"invalid {violation.name}"
    return refuse(message, error_code="20001")


def _fields(request: HttpRequest) -> dict[str, str]:
    """Read the fields of the query of a GET, else of the body.

    Raises:
        ValueError: They cannot be read; the text is WeChat Pay's.
    """
    if request.method == "GET":
        return dict(request.query)
    if (form := uploads.parts(request)) is not None:
        return {name: part.decode() for name, part in form.items() if name != "media"}
    return xml_messages.read(request.body)


def _names_merchant(request: HttpRequest) -> bool:
    """Return whether the parameters of an operation name the merchant; one operation's do not."""
    found = operations.find(request, "v2")
    return found is None or any(
        name in {**found.operation.body, **found.operation.query} for name in _MERCHANT
    )
