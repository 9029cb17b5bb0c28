"""WeChat Pay on loopback: try the client, and test against it, without a merchant account.

::

    from wechatpay import Builder
    from wechatpay.sandbox import Sandbox, faults

    with Sandbox() as sandbox:
        instance = Builder(**sandbox.settings())
        sandbox.inject(faults.WrongSignature())
        ...

It verifies the signature of every request of APIv3 and APIv2, checks the parameters of every documented
operation, and signs its responses. Orders, refunds, transfers and bills share one ledger; all other
operations get a generated response. :mod:`wechatpay.sandbox.test_users` lists the payers that it knows.
"""

from __future__ import annotations

from wechatpay.sandbox import faults
from wechatpay.sandbox.exchanges import Exchange
from wechatpay.sandbox.keys import Identity
from wechatpay.sandbox.messages import HttpRequest, HttpResponse
from wechatpay.sandbox.orders import Order
from wechatpay.sandbox.posting import Callback, Delivered
from wechatpay.sandbox.rules import Rules
from wechatpay.sandbox.sandbox import Sandbox

__all__ = [
    "Callback",
    "Delivered",
    "Exchange",
    "HttpRequest",
    "HttpResponse",
    "Identity",
    "Order",
    "Rules",
    "Sandbox",
    "faults",
]
