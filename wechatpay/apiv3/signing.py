"""Signing APIv3 requests.

https://pay.weixin.qq.com/doc/v3/merchant/4012365342
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from wechatpay import formatter
from wechatpay.crypto.encoding import base64_decode
from wechatpay.errors import CryptoError, InvalidRequestError
from wechatpay.logs import log_step
from wechatpay.messages import SignedSnapshot
from wechatpay.middleware import Blocking

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.messages import Request
    from wechatpay.middleware import Flow, Handler, Steps
    from wechatpay.settings import Merchant

__all__ = ["Signer"]

_BRAND_SCHEME = "WECHATPAY-BRAND-SHA256-RSA2048"


class Signer:
    """Signs requests; a middleware."""

    def __init__(self, merchant: Merchant, clock: Callable[[], float], nonce: Callable[[], str]) -> None:
        self._merchant = merchant
        self._suite = merchant.platform.suite
        self._scheme = _BRAND_SCHEME if merchant.is_brand else self._suite.scheme
        self._party = "brand_id" if merchant.is_brand else "mchid"
        self._clock = clock
        self._nonce = nonce

    def __call__(self, request: Request, proceed: Handler) -> Flow:
        """Add ``Authorization``, over the method, the target and the body as they will be sent."""
        # Signed in other frames: error trackers show the local variables of every one that an error passes.
        if callable(function := self._merchant.private_key):
            signed = yield from self._sign_with(function, request)
        else:
            signed = self._sign(request)
        return (yield from proceed(signed))

    def _sign(self, request: Request) -> Request:
        timestamp, nonce = str(int(self._clock())), self._nonce()
        snapshot = _take_snapshot(request, timestamp, nonce)
        signature = self._suite.sign(snapshot.text, self._merchant.private_key)
        return self._authorize(request, snapshot, timestamp, nonce, signature)

    def _sign_with(self, function: Callable[[str], str], request: Request) -> Steps[Request]:
        timestamp, nonce = str(int(self._clock())), self._nonce()
        snapshot = _take_snapshot(request, timestamp, nonce)
        signature: object = yield Blocking(function, _decode(snapshot.text))
        return self._authorize(request, snapshot, timestamp, nonce, _check(signature))

    def _authorize(
        self, request: Request, snapshot: SignedSnapshot, timestamp: str, nonce: str, signature: str
    ) -> Request:
        merchant = self._merchant
        authorization = formatter.authorization(
            merchant.id, nonce, signature, timestamp, merchant.serial, scheme=self._scheme, party=self._party
        )
        if request.logged:
            log_step(
                request, "signed %s bytes as %s, serial %s", len(snapshot.text), merchant, merchant.serial
            )
        return request.with_(headers={"Authorization": authorization}, snapshot=snapshot)


def _take_snapshot(request: Request, timestamp: str, nonce: str) -> SignedSnapshot:
    target = request.target
    text = formatter.request(request.method, target, timestamp, nonce, request.signable)
    return SignedSnapshot(request.method, target, request.content, text)


def _decode(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise InvalidRequestError(
            "body: is not UTF-8, but private_key is a function, which signs text"
        ) from None


def _check(signature: object) -> str:
    """Refuse what a function of the caller's returned, unless it can be a signature."""
    if isinstance(signature, str) and signature:
        with contextlib.suppress(CryptoError):
            base64_decode(signature, "signature")
            return signature
    raise CryptoError(
        f"private_key: the function returned {type(signature).__name__}, which is not base64 on one line"
    )
