"""Sensitive fields: personal data that travels encrypted, both ways.

::

    instance.v3.profitsharing.receivers.add.post(json={"name": Sensitive("张三"), ...})

https://pay.weixin.qq.com/doc/v3/merchant/4013053257
"""

from __future__ import annotations

from wechatpay.sensitive.value import Sensitive

__all__ = ["Sensitive"]
