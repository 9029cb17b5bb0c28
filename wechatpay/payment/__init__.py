"""What a front end needs to invoke payment, and the pages and views beside it.

The functions are pure: keys and secrets go in, a dictionary (or a URL) comes out as the front end takes it,
all values text. ``clock`` and ``nonce`` may be given: those of the settings, or fixed ones in tests.
https://pay.weixin.qq.com/doc/v3/merchant/4012365342 is the signature overview.
"""

from __future__ import annotations

from wechatpay.payment.fields import query_string
from wechatpay.payment.invocation import (
    CODE_URL_LIFETIME,
    H5_URL_LIFETIME,
    PREPAY_ID_LIFETIME,
    app,
    app_v2,
    h5_url,
    jsapi,
    jsapi_v2,
)
from wechatpay.payment.views import (
    CouponPlugin,
    coupon_plugin,
    coupon_url,
    entrust_web,
    payscore_detail,
    payscore_enable,
    payscore_use,
    workwx_redpack,
    workwx_transfer,
)

__all__ = [
    "CODE_URL_LIFETIME",
    "H5_URL_LIFETIME",
    "PREPAY_ID_LIFETIME",
    "CouponPlugin",
    "app",
    "app_v2",
    "coupon_plugin",
    "coupon_url",
    "entrust_web",
    "h5_url",
    "jsapi",
    "jsapi_v2",
    "payscore_detail",
    "payscore_enable",
    "payscore_use",
    "query_string",
    "workwx_redpack",
    "workwx_transfer",
]
