"""APIv3's signatures as WeChat Pay makes them: on answers, and on callbacks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wechatpay.sandbox.apiv3 import refusals
from wechatpay.sandbox.desk import Sign

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.answer import Answer
    from wechatpay.sandbox.keys.identity import PlatformSigner

__all__ = ["HeaderSign"]


@dataclass(frozen=True, slots=True)
class HeaderSign(Sign):
    """Signs with one of WeChat Pay's keys, in headers.

    Attributes:
        signer: The key.
        clock: Returns Unix seconds.
    """

    signer: PlatformSigner
    clock: Callable[[], float]

    def __call__(self, answer: Answer, *, age: float = 0.0) -> Answer:
        """Sign as of ``age`` seconds ago."""
        return self.signer.sign(answer, self.clock() - age)

    def wrongly(self, answer: Answer) -> Answer:
        """Sign another body."""
        name = "Wechatpay-Signature"
        other = self(replace(answer, body=answer.body + b" "))
        signed = self(answer)
        return replace(signed, headers=signed.headers.with_({name: other.headers[name]}))

    def error(self, status: int, code: str, message: str) -> Answer:
        """Make an error answer in JSON."""
        return refusals.error(status, code, message)
