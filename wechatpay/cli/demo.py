"""``wechatpay demo``: a shop sells on the sandbox, from the order to the bill, in a minute of reading."""

from __future__ import annotations

import asyncio
import textwrap
import threading
import time
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import typer

from wechatpay import bills
from wechatpay.builder import Builder
from wechatpay.errors import SignatureError, WeChatPayError
from wechatpay.sandbox import Sandbox, faults

if TYPE_CHECKING:
    from wechatpay.notification import Notification

__all__ = ["run"]

_WIDTH = 80
_PRICE, _REFUND = 101, 40


class Shop(ThreadingHTTPServer):
    """The merchant's server: WeChat Pay calls its one URL, and it keeps the books."""

    daemon_threads = True

    def __init__(self, instance: Builder) -> None:
        super().__init__(("127.0.0.1", 0), _Visit)
        self.handler = instance.getDriver().notifications()
        self.url = f"http://127.0.0.1:{self.server_port}/notify"
        self.paid: dict[str, Notification] = {}
        self.refunded: dict[str, Notification] = {}
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def book(self, notification: Notification) -> None:
        """Handle an event, which was verified and decrypted, and comes once."""
        books = self.paid if notification.event_type == "TRANSACTION.SUCCESS" else self.refunded
        books[notification.resource["out_trade_no"]] = notification


class _Visit(BaseHTTPRequestHandler):
    server: Shop

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        reply = self.server.handler.handle(self.headers.items(), body, self.server.book)
        self.send_response(reply.status)
        for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, *_: Any) -> None:
        """Keep the output for the demo."""


def run() -> bool:
    """Sell on a sandbox, print each step, and return whether all was as it should be."""
    started = time.perf_counter()
    with Sandbox() as sandbox:
        instance = Builder(**sandbox.settings(check=True))
        with instance.getDriver(), Shop(instance) as shop:
            try:
                is_right = _sell(sandbox, instance, shop)
            except WeChatPayError as error:
                _show(type(error).__name__, str(error))
                is_right = False
            shop.shutdown()
        calls, callbacks = len(sandbox.requests), len(shop.paid) + len(shop.refunded)
    seconds = time.perf_counter() - started
    if is_right:
        typer.echo(f"\n{calls} calls and {callbacks} callbacks, all verified, in {seconds:.1f} s.")
        typer.echo("To try your own code: wechatpay sandbox")
    else:
        typer.echo("\nSomething is not as it should be; see above.")
    return is_right


def _sell(sandbox: Sandbox, instance: Builder, shop: Shop) -> bool:
    typer.echo("A shop and a sandbox of WeChat Pay on this machine.\n")
    _show("Sandbox", sandbox.base_uri)
    _show("Shop", shop.url)

    _begin("1. Order", "instance.v3.pay.transactions.native.post(json={...})")
    transactions, mchid = instance.v3.pay.transactions, sandbox.identity.mchid
    response = transactions.native.post(json=_order("DEMO-1", shop))
    _show("Response", f"{response.status_code}, signature verified")
    _show("code_url", response.json()["code_url"])

    _begin("2. The payer scans the QR code; WeChat Pay calls the shop")
    sandbox.pay("DEMO-1")
    _show_callback(shop.paid["DEMO-1"], "transaction_id")

    _begin("3. Query", "instance.v3.pay.transactions.outTradeNo._out_trade_no_.get(...)")
    found = transactions.outTradeNo._out_trade_no_.get(out_trade_no="DEMO-1", query={"mchid": mchid}).json()
    _show("trade_state", found["trade_state"])

    _begin("4. Refund a part", "instance.v3.refund.domestic.refunds.post(json={...})")
    instance.v3.refund.domestic.refunds.post(json=_refund("DEMO-1", shop))
    sandbox.expect_callback("REFUND.SUCCESS")
    _show_callback(shop.refunded["DEMO-1"], "refund_id")

    _begin(
        "5. The same, async: two orders at once",
        "await instance.v3.pay.transactions.native.postAsync(json={...})",
    )
    asyncio.run(_sell_async(sandbox, instance, shop))

    _begin("6. A response that was changed on its way")
    sandbox.inject(faults.TamperedBody())
    is_refused = False
    try:
        transactions.outTradeNo._out_trade_no_.get(out_trade_no="DEMO-1", query={"mchid": mchid})
    except SignatureError as error:
        is_refused = True
        _show("SignatureError", str(error))

    return _compare_bill(sandbox, instance, shop) and found["trade_state"] == "SUCCESS" and is_refused


async def _sell_async(sandbox: Sandbox, instance: Builder, shop: Shop) -> None:
    async def sell(number: str) -> None:
        transactions, mchid = instance.v3.pay.transactions, sandbox.identity.mchid
        await transactions.native.postAsync(json=_order(number, shop))
        await sandbox.apay(number)
        found = await transactions.outTradeNo._out_trade_no_.getAsync(
            out_trade_no=number, query={"mchid": mchid}
        )
        await instance.v3.refund.domestic.refunds.postAsync(json=_refund(number, shop))
        await asyncio.to_thread(sandbox.expect_callback, "REFUND.SUCCESS")
        _show(number, f"{found.json()['trade_state']}, {_REFUND} fen refunded")

    await asyncio.gather(sell("DEMO-2"), sell("DEMO-3"))


def _compare_bill(sandbox: Sandbox, instance: Builder, shop: Shop) -> bool:
    day = shop.paid["DEMO-1"].resource["success_time"][:10]
    _begin("7. The next day: the bill", f'wechatpay.bills.fetch(instance, "trade", "{day}")')
    sandbox.advance(36 * 3600)
    with bills.fetch(instance, "trade", day) as bill:
        rows = list(bill.rows())  # compared with the digest and the summary of the bill
    billed = (sum(row.total for row in rows), sum(row.refund_total for row in rows))
    paid = sum(made.resource["amount"]["total"] for made in shop.paid.values())
    refunded = sum(made.resource["amount"]["refund"] for made in shop.refunded.values())
    booked = (Decimal(paid) / 100, Decimal(refunded) / 100)
    _show("Bill", "{} yuan paid, {} yuan refunded".format(*billed))
    _show("Shop's books", "{:.2f} yuan paid, {:.2f} yuan refunded".format(*booked))
    return billed == booked


def _order(number: str, shop: Shop) -> Any:
    ids = {"appid": "wx8888888888888888", "mchid": "1900000109"}
    order = {"description": "tea", "out_trade_no": number, "notify_url": shop.url}
    return {**ids, **order, "amount": {"total": _PRICE}}


def _refund(number: str, shop: Shop) -> Any:
    amount = {"refund": _REFUND, "total": _PRICE, "currency": "CNY"}
    refund = {"out_trade_no": number, "out_refund_no": f"{number}-R1", "notify_url": shop.url}
    return {**refund, "amount": amount}


def _begin(title: str, code: str = "") -> None:
    typer.echo(f"\n{title}")
    if code:
        typer.echo(f"  {code}")


def _show(name: str, value: str) -> None:
    indent = " " * 18
    wrapped = textwrap.wrap(value, _WIDTH - 18, break_long_words=False, break_on_hyphens=False)
    typer.echo(f"  {name:<16}" + f"\n{indent}".join(wrapped))


def _show_callback(notification: Notification, name: str) -> None:
    _show("Callback", f"{notification.event_type}, verified and decrypted")
    _show(name, notification.resource[name])
