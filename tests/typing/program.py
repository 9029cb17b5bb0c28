"""Calls as users write them. A line with `# wrong` has a mistake that type checkers report on it."""

# ruff: noqa: B018, F841

from collections.abc import Mapping
from typing import Any

from wechatpay import Builder, Media, Notification, Promise, Response, Sensitive, retry
from wechatpay.catalogue import resource
from wechatpay.notification import NotificationHandler, Reply

instance = Builder(mchid="1900000109")
transactions = instance.v3.pay.transactions
one = transactions.id._transaction_id_


def payments(options: dict[str, Any]) -> None:
    """Payments of APIv3."""
    order = transactions.jsapi.post(
        json={
            "appid": "wx8888888888888888",
            "mchid": "1900000109",
            "description": "tea",
            "out_trade_no": "N1",
            "notify_url": "https://shop.example/notify",
            "amount": {"total": 1, "currency": "CNY"},
            "limit_pay": ["no_credit"],
            "detail": {"goods_detail": [{"merchant_goods_id": "g", "quantity": 1, "unit_price": 1}]},
            "payer": {"openid": "o", "identity": {"type": "IDCARD", "number": Sensitive("1"), "name": "n"}},
        },
        timeout=(1, 2),
    )
    prepay_id: str = order.json()["prepay_id"]
    found = one.get(transaction_id="1", query={"mchid": "1"})
    state: str = found.json()["trade_state"]
    total: int = found.json()["amount"]["total"]
    coupons = found.json().get("promotion_detail", [])
    one.get({"transaction_id": "1", "query": {"mchid": "1"}})
    one.get(options)
    transactions.outTradeNo._out_trade_no_.close.post(out_trade_no="N1", json={"mchid": "1"})
    transactions.outTradeNo._out_trade_no_.get(out_trade_no="N1", query={"mchid": "1"}, headers={"X": None})
    refund = {"refund": 1, "total": 1, "currency": "CNY"}
    instance.v3.refund.domestic.refunds.post({"json": {"out_refund_no": "R1", "amount": refund}})
    instance.v3.refund.domestic.refunds._out_refund_no_.get(out_refund_no="R1")
    instance.v3.bill.tradebill.get(query={"bill_date": "2026-01-01"}, sink="bill.csv")
    instance.v3.certificates.get().json()["data"][0]["serial_no"]
    instance.v3.certificates.get(debug=True, check=True)
    instance.chain("v3/new/thing").post(json={"anything": 1})
    instance["v3/pay/transactions/native"].post(json={})
    instance.chain(transactions).jsapi.post(json={})
    instance.wxa.getwxacodeunlimit.post(json={"scene": "a"})


def others() -> None:
    """Verbs, uploads and spellings."""
    receivers = instance.v3.profitsharing.receivers
    receivers.add.post(json={"appid": "a", "type": "MERCHANT_ID", "account": "1", "relation_type": "STORE"})
    receivers.delete.post(json={"appid": "a", "type": "MERCHANT_ID", "account": "1"})
    receivers.delete_.post(json={"appid": "a", "type": "MERCHANT_ID", "account": "1"})
    instance.v3.eduPapay.contracts._contract_id_.delete(contract_id="1")
    instance.v3.merchant.media.upload.post(media=Media("shop.jpg"))
    instance.v3.merchant.media.video_upload.post(media=Media("shop.mp4"))
    instance.v3.global_.statements.get(query={"date": "2026-01-01", "mchid": "1"})
    instance.v3.ecommerce.fund.balance._sub_mchid_.get(sub_mchid="1")
    instance.v3.merchantService.complaintsV2._complaint_id_.get(complaint_id="1")
    instance.v3.merchantService.complaintNotifications.get()
    instance.v3.merchantService.complaintNotifications.put(json={"url": "https://shop.example"})
    instance.v3.merchantService.complaintNotifications.post(json={"url": "https://shop.example"})
    instance.v3.merchantService.complaintNotifications.delete()
    instance.v3.marketing.favor.stocks._stock_id_.get(stock_id="1", query={"stock_creator_mchid": "1"})


def v2() -> None:
    """APIv2, where numbers may be text."""
    query = instance.v2.pay.orderquery.post(xml={"appid": "a", "mch_id": "1", "out_trade_no": "N1"})
    state: str = query.xml()["trade_state"]
    instance.v2.pay.closeorder.post(xml={"appid": "a", "mch_id": "1", "out_trade_no": "N1"}, nonceless=True)
    instance.v2.secapi.pay.reverse.post({"xml": {"appid": "a", "mch_id": "1"}}, security=True)
    instance.v2.secapi.mch.addInstitutionsub.post({"xml": {}})


async def asynchronous() -> None:
    """Async twins give promises of the same responses."""
    found = await one.getAsync(transaction_id="1", query={"mchid": "1"})
    state: str = found.json()["trade_state"]
    promise = one.getAsync({"transaction_id": "1"})
    text: str = (await promise).json()["out_trade_no"]
    anything: Response[Any] = instance.chain("v3/pay").get(query={"a": 1})
    promised: Promise[Response[Any]] = instance["v3/pay"].delete.getAsync({"json": {}})
    certificates: Promise[Response[Any]] = instance.v3.certificates.getAsync()
    await instance.v3.merchantService.complaintNotifications.deleteAsync()


def callback(notification: Notification) -> None:
    """Resources are typed by the event."""
    paid = resource(notification, "TRANSACTION.SUCCESS")
    number: str = paid["out_trade_no"]
    fen: int = paid["amount"]["total"]
    payer: str = paid["payer"]["openid"]
    refunded: str = resource(notification, "REFUND.SUCCESS")["refund_status"]
    paid["out_trade_number"]  # wrong
    resource(notification, "TRANSACTION.SUCCES")  # wrong


def nothing(notification: Notification) -> None:
    """Acknowledge."""


def fields(notification: Notification) -> dict[str, int] | None:
    """Acknowledge with a field."""
    return {"total_amount": 1}


def mapping(notification: Notification) -> Mapping[str, object]:
    """Acknowledge with a field."""
    return {"total_amount": 1}


def reply(notification: Notification) -> Reply:
    """Reject."""
    return notification.reject("later")


def untyped(notification):  # type: ignore[no-untyped-def]
    """Return anything."""


def true(notification: Notification) -> bool:
    """Return what cannot be sent."""
    return True


async def anothing(notification: Notification) -> None:
    """Acknowledge."""


async def atrue(notification: Notification) -> bool:
    """Return what cannot be sent."""
    return True


class Shop:
    """Handle events by a call."""

    def __call__(self, notification: Notification) -> Reply | None:
        """Acknowledge."""
        return None


async def processes(handler: NotificationHandler, seen: list[Notification]) -> None:
    """What handles an event may return."""
    handler.handle({}, b"", nothing)
    handler.handle({}, b"", fields)
    handler.handle({}, b"", mapping)
    handler.handle({}, b"", reply)
    handler.handle({}, b"", untyped)
    handler.handle({}, b"", Shop())
    handler.handle({}, b"", print)
    handler.handle({}, b"", seen.append)
    handler.handle({}, b"", lambda notification: notification.acknowledge())
    await handler.ahandle({}, b"", nothing)
    await handler.ahandle({}, b"", anothing)

    handler.handle({}, b"", true)  # wrong
    handler.handle({}, b"", anothing)  # wrong
    await handler.ahandle({}, b"", true)  # wrong
    await handler.ahandle({}, b"", atrue)  # wrong


def mistakes() -> None:
    """One mistake a line."""
    Builder(mchid="1", secrets="2")  # wrong, but not for ty
    instance.v33  # wrong
    instance.v3.payy  # wrong
    transactions.jsapy  # wrong
    transactions.outTradeNo._out_trade_number_  # wrong
    transactions.jsapi.get()  # wrong
    transactions.jsapi.pst(json={})  # wrong
    transactions.jsapi.post(jsno={})  # wrong
    transactions.jsapi.post(json={})  # wrong
    transactions.jsapi.post()  # wrong
    transactions.jsapi({"json": {}})  # wrong
    one.get(query={"mchid": "1"})  # wrong
    one.get(transaction_id=1, query={"mchid": "1"})  # wrong
    one.get(transaction_id="1")  # wrong
    one.get(transaction_id="1", query={"mchid": 1})  # wrong
    one.get(transaction_id="1", query={"mch_id": "1"})  # wrong
    one.get(transaction_id="1", query={"mchid": "1", "a": "b"})  # wrong
    one.get(transaction_id="1", query={"mchid": "1"}, tiemout=1)  # wrong
    one.get(transaction_id="1", query={"mchid": "1"}, timeout="1")  # wrong
    one.get(transaction_id="1", query={"mchid": "1"}, security=True)  # wrong
    one.get(transaction_id="1", query={"mchid": "1"}).json()["trade_stat"]  # wrong
    instance.v3.profitsharing.receivers.delete.post(json={"appid": "a", "type": "X", "account": "1"})  # wrong
    instance.v3.merchant.media.upload.post(json={})  # wrong
    instance.v3.merchantService.complaintNotifications.put(json={"url": 1})  # wrong
    instance.v2.pay.closeorder.post(json={"appid": "a", "mch_id": "1", "out_trade_no": "N1"})  # wrong
    instance.v2.pay.orderquery.post(xml={"appid": "a", "mch_id": "1", "trade_no": "N1"})  # wrong
    instance.v2.pay.orderquery.post(xml={"appid": "a", "mch_id": "1"}).xml()["trade_stat"]  # wrong
    one.getAsync(transaction_id="1", query={"mchid": 1})  # wrong
    one.getAsync(transaction_id="1", query={"mchid": "1"}).json()  # wrong
    instance.getDriver().select("v3").stack.psh(retry())  # wrong
    instance.getDriver().platform.keys[0].serial_no  # wrong
    instance.getDriver().notification({}, b"").event  # wrong
