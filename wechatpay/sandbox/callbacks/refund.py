"""APIv2's callbacks of refunds: encrypted in ``req_info``, which alone proves them.

https://pay.weixin.qq.com/doc/v2/merchant/4011935223
"""

from __future__ import annotations

import hashlib
import secrets
from base64 import b64encode
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.padding import PKCS7

from wechatpay.sandbox.apiv2 import document
from wechatpay.sandbox.desk import Sign

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.sandbox.answer import Answer
    from wechatpay.sandbox.keys.identity import Identity

__all__ = ["RefundSign", "shown"]


def shown(identity: Identity) -> dict[str, str]:
    """Return what is told of a refund in plain sight."""
    return {
        "return_code": "SUCCESS",
        "appid": identity.app["appid"],
        "mch_id": identity.mchid,
        "nonce_str": secrets.token_hex(16),
    }


@dataclass(frozen=True, slots=True)
class RefundSign(Sign):
    """Adds what is hidden, and can only be made with the merchant's key.

    Attributes:
        hidden: The refund.
        secret: The key of APIv2.
    """

    hidden: Mapping[str, str | int]
    secret: str = field(repr=False)

    def __call__(self, answer: Answer, *, age: float = 0.0) -> Answer:  # noqa: ARG002  nothing tells the time
        """Add ``req_info``."""
        return self._with(answer, self.secret)

    def wrongly(self, answer: Answer) -> Answer:
        """Encrypt with another key."""
        return self._with(answer, self.secret[::-1] + "0")

    def error(self, status: int, code: str, message: str) -> Answer:
        """Make an error answer, which no callback is."""
        raise NotImplementedError  # pragma: no cover  error answers befall no callback

    def _with(self, answer: Answer, secret: str) -> Answer:
        told = document.element("req_info", _closed(self.hidden, secret))
        return replace(answer, body=answer.body.removesuffix(b"</xml>") + f"{told}\n</xml>".encode())


def _closed(fields: Mapping[str, str | int], secret: str) -> str:
    """Encrypt fields: AES-256-ECB under the hexadecimal MD5 of the key, in base64."""
    lines = "\n".join(document.element(name, value) for name, value in fields.items())
    padder = PKCS7(AES256.block_size).padder()
    padded = padder.update(f"<root>\n{lines}\n</root>".encode()) + padder.finalize()
    key = hashlib.md5(secret.encode(), usedforsecurity=False).hexdigest()
    encryptor = Cipher(AES256(key.encode()), ECB()).encryptor()  # noqa: S305  WeChat Pay's choice
    return b64encode(encryptor.update(padded) + encryptor.finalize()).decode()
