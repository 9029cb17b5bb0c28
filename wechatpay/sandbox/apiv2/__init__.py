"""APIv2's side of the sandbox: XML, signed with a digest under the secret.

::

    with Sandbox() as sandbox:
        instance = Builder(**sandbox.settings(tls=True))
        ours = {"appid": "wx8888888888888888", "mch_id": sandbox.identity.mchid}
        order = {"out_trade_no": "N1", "body": "tea", "total_fee": 101, "trade_type": "NATIVE"}
        more = {"spbill_create_ip": "127.0.0.1", "notify_url": "https://example.com/notify"}
        instance.v2.pay.unifiedorder.post(xml={**ours, **order, **more})
        sandbox.pay("N1")  # in the payer's place
        refund = {"out_trade_no": "N1", "out_refund_no": "R1", "total_fee": 101, "refund_fee": 40}
        instance.v2.secapi.pay.refund.post(xml={**ours, **refund}, security=True)

``pay/unifiedorder``, ``pay/orderquery``, ``secapi/pay/refund`` and ``pay/downloadbill`` are answered from one
ledger; ``sandbox.orders`` shows it. Amounts are in fen, days are China's, and today's bill is there at once.

A number stands for one order: the same request again gets the same ``prepay_id``, another one
``INVALID_REQUEST``, one with another ``appid`` ``OUT_TRADE_NO_USED``, any for a paid order ``ORDERPAID``. So
it is with refunds: the same again moves nothing, another amount or total is ``REFUND_FEE_MISMATCH``, more
than is left ``INVALID_REQUEST``, an order given back whole ``ERROR``, an unpaid or unknown one
``ORDERNOTEXIST``, an unknown ``transaction_id`` ``INVALID_TRANSACTIONID``, an order paid more than a year ago
``TRADE_OVERDUE``. Missing fields are ``LACK_PARAMS``, wrong ones ``PARAM_ERROR``.

Wrong signatures, unknown merchants and bad XML have a ``return_code`` of ``FAIL`` and no signature; so have
failing downloads. A path that wants the merchant certificate answers a connection without one with a page and
status 400; TLS itself refuses certificates of other authorities; over plain HTTP, which WeChat Pay does not
speak at all, the refusal says which settings to take.

All of it is laid out a second time, on purpose: a sandbox that asked the client's own code how to read, write
and sign XML would agree with its mistakes.
"""

from __future__ import annotations
