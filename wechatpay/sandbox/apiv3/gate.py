"""The check of APIv3's requests, as strict as WeChat Pay's, over the bytes that came.

https://pay.weixin.qq.com/doc/v3/merchant/4012365342
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections import deque
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from wechatpay.sandbox.apiv3 import refusals
from wechatpay.sandbox.apiv3.forms import signed_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.answer import Answer, Received
    from wechatpay.sandbox.keys.identity import Identity
    from wechatpay.sandbox.keys.signers import Signers

__all__ = ["Gate", "fields"]

#: Seconds that the clocks may differ.
TOLERANCE = 300

_AUTHORIZATION = re.compile(r'WECHATPAY2-SHA256-RSA2048 ((?:[a-z_]+="[^"]*"(?:,(?=[a-z])|\Z))+)')
_FIELD = re.compile(r'([a-z_]+)="([^"]*)"')
_NAMES = ("mchid", "nonce_str", "serial_no", "signature", "timestamp")
_TIMESTAMP = re.compile(r"[0-9]{1,20}")


def fields(authorization: str) -> dict[str, str] | None:
    """Read an ``Authorization`` header; ``None`` unless it has the scheme and its five fields, each once."""
    whole = _AUTHORIZATION.fullmatch(authorization)
    pairs = _FIELD.findall(whole[1]) if whole else []
    return dict(pairs) if sorted(name for name, _ in pairs) == list(_NAMES) else None


class Gate:
    """Lets only requests pass that the merchant signed just now, each once."""

    def __init__(self, identity: Identity, clock: Callable[[], float], signers: Signers) -> None:
        self._identity = identity
        self._signers = signers
        self._public_key = identity.private_key.public_key()
        self._clock = clock
        self._nonces = Nonces()

    def refusal(self, received: Received) -> Answer | None:
        """Return the error answer to a request that must not pass, or ``None``."""
        return self._bad_header(received) or self._bad_authorization(received)

    def _bad_header(self, received: Received) -> Answer | None:
        for name in ("User-Agent", "Accept"):
            if not received.headers.get(name):
                return refusals.bad_header("Http头缺少Accept或User-Agent", name, None)
        serial = received.headers.get("Wechatpay-Serial")
        if serial is not None and not self._signers.had(serial):
            words = "Http头Wechatpay-Serial不是有效的微信支付公钥ID或平台证书序列号"
            return refusals.bad_header(words, "Wechatpay-Serial", serial)
        return None

    def _bad_authorization(self, received: Received) -> Answer | None:
        given = fields(received.headers.get("Authorization", ""))
        if given is None:
            words = "Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》"
            return refusals.bad_authorization(words, "authorization", "malformed")
        if given["mchid"] != self._identity.mchid:
            return refusals.bad_authorization(
                "商户号有误，请使用签名私钥所属的商户号", "mchid", "mchid not match"
            )
        if given["serial_no"] != self._identity.serial:
            words = "商户证书序列号有误。请使用签名私钥匹配的证书序列号"
            return refusals.bad_authorization(words, "serial_no", "serial_no not match")
        return self._untimely(given["timestamp"]) or self._unsigned(received, given)

    def _untimely(self, timestamp: str) -> Answer | None:
        if not _TIMESTAMP.fullmatch(timestamp):
            words = "Http头Authorization中的timestamp应为十进制的秒级Unix时间戳"
            return refusals.bad_authorization(words, "timestamp", "timestamp malformed")
        if abs(int(self._clock()) - int(timestamp)) > TOLERANCE:
            words = "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟"
            return refusals.bad_authorization(words, "timestamp", "timestamp expired")
        return None

    def _unsigned(self, received: Received, given: dict[str, str]) -> Answer | None:
        target, body = received.target.encode("utf-8", "surrogateescape"), signed_body(received)
        text = b"\n".join(
            (
                received.method.encode(),
                target,
                given["timestamp"].encode(),
                given["nonce_str"].encode("utf-8", "surrogateescape"),
                body,
                b"",
            )
        )
        if not self._verifies(text, given["signature"]):
            return refusals.bad_signature(received, text, body)
        # Only now: a nonce that anybody could burn would let strangers refuse the merchant's requests.
        if not given["nonce_str"] or not self._nonces.is_new(given["nonce_str"], self._clock()):
            words = "Http头Authorization中的nonce_str为空或已被使用"
            return refusals.bad_authorization(words, "nonce_str", "nonce_str repeated")
        return None

    def _verifies(self, text: bytes, signature: str) -> bool:
        try:
            self._public_key.verify(b64decode(signature, validate=True), text, PKCS1v15(), SHA256())
        except (InvalidSignature, ValueError):
            return False
        return True


class Nonces:
    """Remembers nonces for as long as a request that carries one could be sent again."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._ages: deque[tuple[float, str]] = deque()

    def is_new(self, nonce: str, now: float) -> bool:
        """Tell whether ``nonce`` has not been seen lately, and remember it."""
        # A timestamp may be as far ahead as behind: its request keeps for twice the tolerance.
        while self._ages and self._ages[0][0] < now - 2 * TOLERANCE:
            self._seen.discard(self._ages.popleft()[1])
        if nonce in self._seen:
            return False
        self._seen.add(nonce)
        self._ages.append((now, nonce))
        return True

    def __len__(self) -> int:
        return len(self._seen)
