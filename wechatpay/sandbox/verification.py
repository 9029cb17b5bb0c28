"""Verification of APIv3 requests over the bytes that arrived, as strict as WeChat Pay's.

https://pay.weixin.qq.com/doc/v3/merchant/4012365342
"""

from __future__ import annotations

import re
from base64 import b64decode
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from wechatpay.sandbox import error_responses
from wechatpay.sandbox.uploads import signed_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.keys import Identity, Signers
    from wechatpay.sandbox.messages import HttpRequest, HttpResponse

__all__ = ["Nonces", "RequestVerifier", "parse_authorization"]


#: Allowed clock difference in seconds.
TOLERANCE = 300

#: Nonces kept: a load test would fill the memory with them.
_NONCES_KEPT = 20_000

_AUTHORIZATION = re.compile(r'WECHATPAY2-SHA256-RSA2048 ((?:[a-z_]+="[^"]*"(?:,(?=[a-z])|\Z))+)')
_FIELD = re.compile(r'([a-z_]+)="([^"]*)"')
_NAMES = ("mchid", "nonce_str", "serial_no", "signature", "timestamp")
_TIMESTAMP = re.compile(r"[0-9]{1,20}")


def parse_authorization(authorization: str) -> dict[str, str] | None:
    """Parse an ``Authorization`` header; ``None`` unless it has the scheme and its five fields, each once."""
    whole = _AUTHORIZATION.fullmatch(authorization)
    pairs = _FIELD.findall(whole[1]) if whole else []
    return dict(pairs) if sorted(name for name, _ in pairs) == list(_NAMES) else None


class RequestVerifier:
    """Verifies that the merchant signed a request within the last five minutes, and sent it once."""

    def __init__(self, identity: Identity, clock: Callable[[], float], signers: Signers) -> None:
        self._identity = identity
        self._signers = signers
        self._public_key = identity.private_key.public_key()
        self._clock = clock
        self._nonces = Nonces()

    def check(self, request: HttpRequest) -> HttpResponse | None:
        """Return the error response to a request that fails verification, else ``None``."""
        return self._bad_header(request) or self._bad_authorization(request)

    def _bad_header(self, request: HttpRequest) -> HttpResponse | None:
        for name in ("User-Agent", "Accept"):
            if not request.headers.get(name):
                return error_responses.bad_header("Http头缺少Accept或User-Agent", name, None)
        serial = request.headers.get("Wechatpay-Serial")
        if serial is not None and not self._signers.had(serial):
            message = "Http头Wechatpay-Serial不是有效的微信支付公钥ID或平台证书序列号"
            return error_responses.bad_header(message, "Wechatpay-Serial", serial)
        return None

    def _bad_authorization(self, request: HttpRequest) -> HttpResponse | None:
        given = parse_authorization(request.headers.get("Authorization", ""))
        if given is None:
            message = "Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》"
            return error_responses.bad_authorization(message, "authorization", "malformed")
        if given["mchid"] != self._identity.mchid:
            return error_responses.bad_authorization(
                "商户号有误，请使用签名私钥所属的商户号", "mchid", "mchid not match"
            )
        if given["serial_no"] != self._identity.serial:
            message = "商户证书序列号有误。请使用签名私钥匹配的证书序列号"
            return error_responses.bad_authorization(message, "serial_no", "serial_no not match")
        return self._untimely(given["timestamp"]) or self._unsigned(request, given)

    def _untimely(self, timestamp: str) -> HttpResponse | None:
        if not _TIMESTAMP.fullmatch(timestamp):
            message = "Http头Authorization中的timestamp应为十进制的秒级Unix时间戳"
            return error_responses.bad_authorization(message, "timestamp", "timestamp malformed")
        if abs(int(self._clock()) - int(timestamp)) > TOLERANCE:
            message = "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟"
            return error_responses.bad_authorization(message, "timestamp", "timestamp expired")
        return None

    def _unsigned(self, request: HttpRequest, given: dict[str, str]) -> HttpResponse | None:
        target, body = request.target.encode("utf-8", "surrogateescape"), signed_body(request)
        text = b"\n".join(
            (
                request.method.encode(),
                target,
                given["timestamp"].encode(),
                given["nonce_str"].encode("utf-8", "surrogateescape"),
                body,
                b"",
            )
        )
        if not self._verifies(text, given["signature"]):
            return error_responses.bad_signature(request, text, body)
        # After the signature: otherwise strangers could use up the merchant's nonces.
        if not given["nonce_str"] or not self._nonces.is_new(given["nonce_str"], self._clock()):
            message = "Http头Authorization中的nonce_str为空或已被使用"
            return error_responses.bad_authorization(message, "nonce_str", "nonce_str repeated")
        return None

    def _verifies(self, text: bytes, signature: str) -> bool:
        try:
            self._public_key.verify(b64decode(signature, validate=True), text, PKCS1v15(), SHA256())
        except (InvalidSignature, ValueError):
            return False
        return True


class Nonces:
    """Remembers the last 20,000 nonces for as long as a request that carries one could be sent again."""

    def __init__(self) -> None:
        #: When each nonce was seen, in Unix seconds, oldest first.
        self._seen: dict[str, float] = {}

    def is_new(self, nonce: str, now: float) -> bool:
        """Return whether ``nonce`` is new within the tolerance, and remember it."""
        while self._seen:
            oldest = next(iter(self._seen))
            # A timestamp may be as far ahead as behind: its request keeps for twice the tolerance.
            if self._seen[oldest] >= now - 2 * TOLERANCE and len(self._seen) < _NONCES_KEPT:
                break
            del self._seen[oldest]
        if nonce in self._seen:
            return False
        self._seen[nonce] = now
        return True

    def __len__(self) -> int:
        return len(self._seen)
