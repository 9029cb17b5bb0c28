"""APIv2's desk: the digest, the certificate, the parameters, and then the ledger."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from wechatpay.sandbox.apiv2 import answers, document, downloads, orders
from wechatpay.sandbox.apiv2.signature import SIGN_TYPES, FieldSign, digest
from wechatpay.sandbox.catalogue import operations
from wechatpay.sandbox.desk import Desk
from wechatpay.sandbox.routes import by_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wechatpay.sandbox.answer import Answer, Received
    from wechatpay.sandbox.catalogue import Operation
    from wechatpay.sandbox.desk import Sign
    from wechatpay.sandbox.keys.identity import Identity
    from wechatpay.sandbox.ledger import Ledger

__all__ = ["ApiV2"]

_MERCHANT = ("mch_id", "mchid", "combine_mch_id")


class ApiV2(Desk):
    """Answers requests that carry their signature among their fields, be it ever so wrong.

    Attributes:
        operations: What answers each operation of the catalogue.
    """

    protocol = "v2"

    def __init__(self, identity: Identity, clock: Callable[[], float], ledger: Ledger) -> None:
        """Open the desk.

        Args:
            identity: Whose requests are answered.
            clock: Returns Unix seconds.
            ledger: The merchant's orders.
        """
        self._identity = identity
        self._routes = by_path(operations(self.protocol), "v2/")
        self.operations: Mapping[str, Callable[[Mapping[str, str]], Answer]] = {
            "v2/pay/unifiedorder": lambda asked: orders.unified_order(asked, ledger),
            "v2/pay/orderquery": lambda asked: orders.query(asked, ledger),
            "v2/secapi/pay/refund": lambda asked: orders.refund(asked, ledger),
            "v2/pay/downloadbill": lambda asked: downloads.bill(asked, ledger, clock()),
        }

    def takes(self, received: Received) -> bool:  # noqa: ARG002  it is the last desk
        """Take whatever is nobody else's: APIv2's paths have nothing in common."""
        return True

    def sign(self, received: Received) -> Sign:
        """Sign as the request is signed."""
        try:
            asked = _fields(received)
        except ValueError:
            asked = {}
        hmac_wanted = asked.get("sign_type") == SIGN_TYPES[1]
        return FieldSign(self._identity.secret, SIGN_TYPES[hmac_wanted], asked)

    def refusal(self, received: Received) -> Answer | None:
        """Let only pass what the merchant signed, on a connection that shows the certificate if need be."""
        return self._uncertified(received) or self._unsigned(received) or self._strange(received)

    def _uncertified(self, received: Received) -> Answer | None:
        if not self._wants_certificate(received) or received.channel.certificate:
            return None
        return answers.no_certificate() if received.channel.is_encrypted else answers.no_encryption()

    def _unsigned(self, received: Received) -> Answer | None:
        try:
            asked = _fields(received)
        except ValueError as error:
            return answers.refused(str(error))
        named = {asked[name] for name in _MERCHANT if asked.get(name)}
        if named != {self._identity.mchid}:
            return answers.refused("商户号mch_id或sub_mch_id不存在")
        sign_type = asked.get("sign_type") or SIGN_TYPES[0]
        if sign_type not in SIGN_TYPES:
            return answers.refused("sign_type参数格式错误")
        expected = digest(asked, self._identity.secret, sign_type)
        if not hmac.compare_digest(expected.encode(), asked.get("sign", "").encode()):
            return answers.refused("签名错误")
        return None

    def _strange(self, received: Received) -> Answer | None:
        if not self._wants_certificate(received) or received.channel.certificate == self._identity.serial:
            return None
        return answers.failure(_fields(received), "CERT_ERROR", "证书校验错误")

    def _wants_certificate(self, received: Received) -> bool:
        return any(operation.security for operation in self._methods(received).values())

    def _methods(self, received: Received) -> Mapping[str, Operation]:
        found = self._routes.find(received.segments)
        return found[0] if found else {}

    def carry_out(self, received: Received) -> Answer:
        """Find the operation, check the parameters, and do it."""
        if not (methods := self._methods(received)):
            return answers.refused("沙箱没有这个接口，请检查请求的路径", status=404)
        if (operation := methods.get(received.method)) is None:
            return answers.refused("请使用post方法")
        asked = {name: value for name, value in _fields(received).items() if value}
        if breach := operation.breach(body={name: [value] for name, value in asked.items()}):
            return downloads.breached(breach) if operation.is_download else answers.breached(asked, breach)
        return self.operations[operation.uri](asked)

    def code(self, answer: Answer) -> str:
        """Return ``err_code`` or, for refusals, ``FAIL``."""
        try:
            fields = document.read(answer.body)
        except ValueError:
            return ""
        is_refused = fields.get("return_code") == "FAIL"
        return fields.get("err_code") or fields.get("error_code") or ("FAIL" if is_refused else "")


def _fields(received: Received) -> dict[str, str]:
    """Read what was asked for, in the query of a GET, else in the body.

    Raises:
        ValueError: It cannot be read, in WeChat Pay's words.
    """
    return dict(received.query) if received.method == "GET" else document.read(received.body)
