"""``GET v3/certificates``: the platform certificates, each encrypted under the merchant's APIv3 key.

https://pay.weixin.qq.com/doc/v3/merchant/4012551764
"""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import TYPE_CHECKING, Any

from cryptography import x509

from wechatpay.sandbox.answer import Answer
from wechatpay.sandbox.apiv3 import refusals
from wechatpay.sandbox.callbacks.envelope import sealed

if TYPE_CHECKING:
    from wechatpay.sandbox.keys.identity import PlatformSigner
    from wechatpay.sandbox.keys.signers import Signers

__all__ = ["offered"]

_CHINA = timezone(timedelta(hours=8))


def offered(signers: Signers, apiv3_key: str) -> Answer:
    """List the certificates in use; a merchant with a public key alone is told that there are none."""
    if signers.mode == "public-key":
        return refusals.no_resource(
            "无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥。"
            "可查看指引https://pay.weixin.qq.com/doc/v3/merchant/4012153196"
        )
    return Answer.json({"data": [_item(signer, apiv3_key) for signer in signers.certificates]})


def _item(signer: PlatformSigner, apiv3_key: str) -> dict[str, Any]:
    pem = signer.published.encode()
    certificate = x509.load_pem_x509_certificate(pem)
    return {
        "serial_no": signer.serial,
        "effective_time": certificate.not_valid_before_utc.astimezone(_CHINA).isoformat(),
        "expire_time": certificate.not_valid_after_utc.astimezone(_CHINA).isoformat(),
        "encrypt_certificate": sealed(apiv3_key, pem, "certificate"),
    }
