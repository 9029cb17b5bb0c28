"""APIv2's signatures: a digest of the sorted fields and the secret.

https://pay.weixin.qq.com/wiki/doc/api/jsapi.php?chapter=4_3
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from wechatpay.sandbox.apiv2 import answers, document
from wechatpay.sandbox.desk import Sign

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.sandbox.answer import Answer

__all__ = ["SIGN_TYPES", "FieldSign", "digest"]

SIGN_TYPES = ("MD5", "HMAC-SHA256")


def digest(fields: Mapping[str, str], secret: str, sign_type: str) -> str:
    """Compute ``sign``, in upper-case hexadecimal.

    Args:
        fields: What is signed; ``sign`` and empty ones are not.
        secret: The key of APIv2.
        sign_type: ``MD5`` or ``HMAC-SHA256``.
    """
    pairs = sorted(
        (name.encode(), value.encode()) for name, value in fields.items() if value and name != "sign"
    )
    text = b"".join(b"%b=%b&" % pair for pair in pairs) + b"key=" + secret.encode()
    if sign_type == "MD5":
        return hashlib.md5(text, usedforsecurity=False).hexdigest().upper()
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest().upper()


@dataclass(frozen=True, slots=True)
class FieldSign(Sign):
    """Signs XML with a digest, in the field ``sign``; what is no XML, and refusals, stay as they are.

    Attributes:
        secret: The key of APIv2.
        sign_type: ``MD5`` or ``HMAC-SHA256``, as the request was signed.
        asked: The fields of the request.
    """

    secret: str = field(repr=False)
    sign_type: str = "MD5"
    asked: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __call__(self, answer: Answer, *, age: float = 0.0) -> Answer:  # noqa: ARG002  nothing tells the time
        """Add ``sign``."""
        return self._signed(answer)

    def wrongly(self, answer: Answer) -> Answer:
        """Sign another ``nonce_str``."""
        return self._signed(answer, nonce_str="other")

    def error(self, status: int, code: str, message: str) -> Answer:  # noqa: ARG002  errors come with 200
        """Make an error answer in XML."""
        return answers.failure(self.asked, code, message)

    def _signed(self, answer: Answer, **instead: str) -> Answer:
        try:
            fields = document.read(answer.body)
        except ValueError:
            return answer
        if fields.get("return_code") != "SUCCESS":
            return answer
        sign = document.element("sign", digest({**fields, **instead}, self.secret, self.sign_type))
        return replace(answer, body=answer.body.removesuffix(b"</xml>") + f"{sign}\n</xml>".encode())
