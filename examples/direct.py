"""One payment of a merchant of its own: order, query, refund, and the same calls async.

    python direct.py

README.md beside this file says how to run it without a merchant account.
"""

import asyncio
import os
import secrets

from wechatpay import APIError, Builder

MCHID = os.environ["WECHATPAY_MCHID"]
number = secrets.token_hex(12)

wechatpay = Builder(
    mchid=MCHID,
    serial=os.environ["WECHATPAY_SERIAL"],  # of the merchant's API certificate
    private_key=os.environ["WECHATPAY_PRIVATE_KEY"],  # a path, a file:// URL or PEM text
    certs={os.environ["WECHATPAY_PUBLIC_KEY_ID"]: os.environ["WECHATPAY_PUBLIC_KEY"]},
    apiv3_key=os.environ["WECHATPAY_APIV3_KEY"],
    base_uri=os.environ.get("WECHATPAY_BASE_URI", "https://api.mch.weixin.qq.com/"),
)

response = wechatpay.v3.pay.transactions.native.post(
    json={
        "appid": os.environ["WECHATPAY_APPID"],
        "mchid": MCHID,
        "description": "tea",
        "out_trade_no": number,
        "notify_url": "https://shop.example.com/wechatpay/notify",
        "amount": {"total": 101},  # in fen
    }
)
print("Show this as a QR code:", response.json()["code_url"])


async def main() -> None:
    """Query the order, and try to refund it: nobody has paid."""
    found = await wechatpay.v3.pay.transactions.outTradeNo._out_trade_no_.getAsync(
        out_trade_no=number, query={"mchid": MCHID}
    )
    print("State:", found.json()["trade_state"])
    try:
        await wechatpay.v3.refund.domestic.refunds.postAsync(
            json={
                "out_trade_no": number,
                "out_refund_no": f"{number}R1",
                "amount": {"refund": 40, "total": 101, "currency": "CNY"},
            }
        )
    except APIError as error:
        print("Refund:", error.code, error.message)
    await wechatpay.v3.pay.transactions.outTradeNo._out_trade_no_.close.postAsync(
        out_trade_no=number, json={"mchid": MCHID}
    )
    print("Closed")


asyncio.run(main())
