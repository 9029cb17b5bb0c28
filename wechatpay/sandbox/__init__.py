"""WeChat Pay on loopback: try the client, and test against it, without a merchant account.

::

    from wechatpay import Builder
    from wechatpay.sandbox import Sandbox, faults

    with Sandbox() as sandbox:
        instance = Builder(**sandbox.settings())
        sandbox.inject(faults.WrongSignature())
        ...

It checks the signature of every request of APIv3 and APIv2, and answers what has a line in
``operations.jsonl``; :mod:`wechatpay.sandbox.people` tells whom it knows, :mod:`wechatpay.sandbox.apiv2` how
orders are placed, paid and refunded.
"""

from __future__ import annotations

from wechatpay.sandbox import faults
from wechatpay.sandbox.answer import Answer, Received
from wechatpay.sandbox.callbacks import Callback, Delivered
from wechatpay.sandbox.keys.identity import Identity
from wechatpay.sandbox.ledger import Order
from wechatpay.sandbox.sandbox import Sandbox

__all__ = ["Answer", "Callback", "Delivered", "Identity", "Order", "Received", "Sandbox", "faults"]
