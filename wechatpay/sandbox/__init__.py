"""WeChat Pay on loopback: try the client, and test against it, without a merchant account.

::

    from wechatpay import Builder
    from wechatpay.sandbox import Sandbox, faults

    with Sandbox() as sandbox:
        instance = Builder(**sandbox.settings())
        sandbox.inject(faults.WrongSignature())
        ...
"""

from __future__ import annotations

from wechatpay.sandbox import faults
from wechatpay.sandbox.answer import Answer, Received
from wechatpay.sandbox.identity import Identity
from wechatpay.sandbox.sandbox import Sandbox

__all__ = ["Answer", "Identity", "Received", "Sandbox", "faults"]
