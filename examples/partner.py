"""One payment of a service provider (partner mode), for one of its merchants: order, query, close.

    python partner.py

README.md beside this file says how to run it without a merchant account.
"""

import os
import secrets

from wechatpay import Builder

SP_MCHID = os.environ["WECHATPAY_MCHID"]  # the service provider, who signs
SUB_MCHID = os.environ.get("WECHATPAY_SUB_MCHID", "1900000209")  # the merchant who is paid
number = secrets.token_hex(12)

wechatpay = Builder(
    mchid=SP_MCHID,
    serial=os.environ["WECHATPAY_SERIAL"],
    private_key=os.environ["WECHATPAY_PRIVATE_KEY"],
    certs={os.environ["WECHATPAY_PUBLIC_KEY_ID"]: os.environ["WECHATPAY_PUBLIC_KEY"]},
    apiv3_key=os.environ["WECHATPAY_APIV3_KEY"],
    base_uri=os.environ.get("WECHATPAY_BASE_URI", "https://api.mch.weixin.qq.com/"),
)

with wechatpay:
    transactions = wechatpay.v3.pay.partner.transactions
    response = transactions.native.post(
        json={
            "sp_appid": os.environ["WECHATPAY_APPID"],
            "sp_mchid": SP_MCHID,
            "sub_mchid": SUB_MCHID,
            "description": "tea",
            "out_trade_no": number,
            "notify_url": "https://provider.example.com/wechatpay/notify",
            "amount": {"total": 101},  # in fen
        }
    )
    print("Show this as a QR code:", response.json()["code_url"])

    order = transactions.outTradeNo._out_trade_no_
    found = order.get(out_trade_no=number, query={"sp_mchid": SP_MCHID, "sub_mchid": SUB_MCHID})
    print("State:", found.json()["trade_state"])

    order.close.post(out_trade_no=number, json={"sp_mchid": SP_MCHID, "sub_mchid": SUB_MCHID})
    print("Closed")
