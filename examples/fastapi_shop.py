"""A shop on FastAPI: JSAPI and Native orders, callbacks, query, partial refund, close.

    uvicorn fastapi_shop:app --port 8000

README.md beside this file says how to run it without a merchant account.
"""

import logging
import os
import secrets
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from wechatpay import APIError, Builder, Notification, WeChatPayError, payment
from wechatpay.notification import views

APPID, MCHID = os.environ["WECHATPAY_APPID"], os.environ["WECHATPAY_MCHID"]
PRIVATE_KEY = os.environ["WECHATPAY_PRIVATE_KEY"]  # a path, a file:// URL or PEM text
NOTIFY_URL = os.environ["SHOP_NOTIFY_URL"]  # where WeChat Pay reaches /wechatpay/notify: https, no query

wechatpay = Builder(
    mchid=MCHID,
    serial=os.environ["WECHATPAY_SERIAL"],
    private_key=PRIVATE_KEY,
    certs={os.environ["WECHATPAY_PUBLIC_KEY_ID"]: os.environ["WECHATPAY_PUBLIC_KEY"]},
    apiv3_key=os.environ["WECHATPAY_APIV3_KEY"],
    base_uri=os.environ.get("WECHATPAY_BASE_URI", "https://api.mch.weixin.qq.com/"),
)
log = logging.getLogger("shop")
PRICES = {"tea": 101}  # in fen
orders = {}  # stands for your database: save an order before you call WeChat Pay
# States only move forward in these lists: a callback may come late, or after one that was sent later.
STATES = ["NOTPAY", "CLOSED", "SUCCESS", "REFUND"]
REFUND_STATES = ["REQUESTED", "PROCESSING", "ABNORMAL", "CLOSED", "SUCCESS"]


@asynccontextmanager
async def lifespan(_):
    """Close the connections when the server stops."""
    async with wechatpay:
        yield


app = FastAPI(lifespan=lifespan)


@app.exception_handler(WeChatPayError)
async def fail(_: Request, error: WeChatPayError):
    """Report WeChat Pay's refusal; after any other error the outcome is unknown: query the order."""
    status = 409 if isinstance(error, APIError) and error.status_code < 500 else 502
    return JSONResponse({"error": str(error)}, status)


@app.post("/orders/jsapi")
async def order_in_wechat(item: str, openid: str):
    """Order for a payer in WeChat; the page gives ``payment`` to ``WeixinJSBridge.invoke``."""
    number = save_order(item)
    response = await wechatpay.v3.pay.transactions.jsapi.postAsync(
        json={
            "appid": APPID,
            "mchid": MCHID,
            "description": item,
            "out_trade_no": number,
            "notify_url": NOTIFY_URL,
            "amount": {"total": PRICES[item]},
            "payer": {"openid": openid},
        }
    )
    return {"number": number, "payment": payment.jsapi(APPID, response.json()["prepay_id"], PRIVATE_KEY)}


@app.post("/orders/native")
async def order_by_qr_code(item: str):
    """Order for a payer in front of a screen, which shows ``code_url`` as a QR code."""
    number = save_order(item)
    response = await wechatpay.v3.pay.transactions.native.postAsync(
        json={
            "appid": APPID,
            "mchid": MCHID,
            "description": item,
            "out_trade_no": number,
            "notify_url": NOTIFY_URL,
            "amount": {"total": PRICES[item]},
        }
    )
    return {"number": number, "code_url": response.json()["code_url"]}


@app.get("/orders/{number}")
async def show_order(number: str):
    """Query the order, in case its callback is late."""
    response = await wechatpay.v3.pay.transactions.outTradeNo._out_trade_no_.getAsync(
        out_trade_no=number, query={"mchid": MCHID}
    )
    book(number, response.json())
    return orders[number]


@app.post("/orders/{number}/refunds/{part}")
async def refund(number: str, part: str, amount: int):
    """Refund a part, numbered by the client: after a lost response, the same request refunds once."""
    order = orders[number]
    refund_number = f"{number}R{part}"
    order["refunds"].setdefault(refund_number, "REQUESTED")  # its callback brings the outcome
    await wechatpay.v3.refund.domestic.refunds.postAsync(
        json={
            "out_trade_no": number,
            "out_refund_no": refund_number,
            "notify_url": NOTIFY_URL,
            "amount": {"refund": amount, "total": order["total"], "currency": "CNY"},
        }
    )
    return {"refund": refund_number}


@app.post("/orders/{number}/close")
async def close(number: str):
    """Close an order that nobody paid."""
    await wechatpay.v3.pay.transactions.outTradeNo._out_trade_no_.close.postAsync(
        out_trade_no=number, json={"mchid": MCHID}
    )
    orders[number]["state"] = "CLOSED"
    return orders[number]


@app.post("/wechatpay/notify")
@views.starlette(wechatpay.getDriver().notifications())
async def notified(notification: Notification):
    """Book what WeChat Pay reports: it was verified and decrypted, and comes here once."""
    event = notification.resource
    number = event["out_trade_no"]
    if notification.event_type == "TRANSACTION.SUCCESS" and not book(number, event):
        return notification.reject("another amount was paid")  # and comes again, until somebody looks into it
    if notification.event_type.startswith("REFUND."):
        refunds, refund_number = orders[number]["refunds"], event["out_refund_no"]
        known = refunds.get(refund_number, "REQUESTED")
        refunds[refund_number] = max(known, event["refund_status"], key=REFUND_STATES.index)
    return notification.acknowledge()


def save_order(item):
    number = secrets.token_hex(12)
    orders[number] = {"total": PRICES[item], "state": "NOTPAY", "refunds": {}}
    return number


def book(number, transaction):
    """Take over the state of a payment, if the payer paid what the order costs."""
    order, paid = orders[number], transaction.get("amount", {}).get("total")
    if transaction["trade_state"] == "SUCCESS" and paid != order["total"]:
        log.error("order %s: %s fen were paid instead of %s", number, paid, order["total"])
        return False
    order["state"] = max(order["state"], transaction["trade_state"], key=STATES.index)
    return True
