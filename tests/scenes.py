"""What operations with a state ask for: orders, refunds, shares, contracts, made through the library."""

from __future__ import annotations

import json
from datetime import date, datetime
from functools import partial
from urllib.parse import parse_qs, urlsplit

import documented

from wechatpay import Sensitive, catalogue
from wechatpay.sandbox.clock import CHINA

__all__ = ["APP", "EXISTING", "Shop"]

APP = "wx8888888888888888"
PARTNER = {"sp_mchid": documented.MCHID, "sub_mchid": "1900000110"}
RECEIVER = "1900000111"


class Shop:
    """Places the orders, refunds and transfers that some operations need."""

    def __init__(self, sandbox, instance):
        """Give a sandbox and a Builder that calls it."""
        self.sandbox = sandbox
        self.instance = instance

    def order(self, **changes):
        """Place an order, and return its number."""
        number = documented.number()
        parties = (
            {"sp_appid": APP, **PARTNER}
            if "sub_mchid" in changes
            else {"appid": APP, "mchid": documented.MCHID}
        )
        path = (
            "v3/pay/partner/transactions/native" if "sub_mchid" in changes else "v3/pay/transactions/native"
        )
        body = {
            **parties,
            "description": "tea",
            "out_trade_no": number,
            "notify_url": "https://shop.example.com/notify",
            "amount": {"total": 100},
            **changes,
        }
        self.instance.chain(path).post(json=body)
        return number

    def paid(self, **changes):
        """Place and pay an order, and return it."""
        return self.sandbox.pay(self.order(**changes))

    def v2_order(self, **changes):
        """Place an order of APIv2, and return its number."""
        number = documented.number()
        order = {
            "appid": APP,
            "mch_id": documented.MCHID,
            "body": "tea",
            "total_fee": 1,
            "trade_type": "NATIVE",
        }
        more = {"spbill_create_ip": "127.0.0.1", "notify_url": "https://shop.example.com/notify"}
        self.instance.v2.pay.unifiedorder.post(xml={**order, **more, "out_trade_no": number, **changes})
        return number

    def v2_paid(self):
        """Place and pay an order of APIv2, and return it."""
        return self.sandbox.pay(self.v2_order())

    def by_code(self, **parties):
        """Pay by payment code, and return the order's number."""
        path = (
            "v3/pay/partner/transactions/codepay" if "sub_mchid" in parties else "v3/pay/transactions/codepay"
        )
        operation = catalogue.find("POST", path)
        given = documented.merge(documented.arguments(operation), {"json": parties})
        self.instance.chain(path).post(**given)
        return given["json"]["out_trade_no"]

    def combined(self):
        """Place a combined order, and return its numbers."""
        operation = catalogue.find("POST", "v3/combine-transactions/native")
        given = documented.merge(documented.arguments(operation), _combined("native"))
        self.instance.chain(operation.template).post(**given)
        return given["json"]

    def paid_combined(self):
        """Place and pay a combined order, and return its number."""
        number = self.combined()["combine_out_trade_no"]
        self.sandbox.pay(number)
        return number

    def refund(self, status="SUCCESS"):
        """Refund an order, and return the refund."""
        number, order = documented.number(), self.paid()
        body = {
            "out_trade_no": order.out_trade_no,
            "out_refund_no": number,
            "amount": {"refund": 1, "total": 100, "currency": "CNY"},
        }
        self.instance.v3.refund.domestic.refunds.post(json=body)
        return self.sandbox.settle_refund(number, status)

    def transfer(self):
        """Make a transfer, and return WeChat Pay's response."""
        operation = catalogue.find("POST", TRANSFERS)
        given = documented.merge(documented.arguments(operation), REPORTED)
        return self.instance.chain(operation.template).post(**given).json()

    def shared(self, **changes):
        """Share an order with a merchant, and return the parameters of the request."""
        shop = self.instance.v3.profitsharing
        order = self.paid(amount={"total": 1000}, settle_info={"profit_sharing": True})
        self.sandbox.advance(60)
        receiver = {"type": "MERCHANT_ID", "account": RECEIVER}
        name = {"name": Sensitive("张三"), "relation_type": "PARTNER"}
        shop.receivers.add.post(json={"appid": APP, **receiver, **name})
        body = {
            "appid": APP,
            "transaction_id": order.payment.transaction_id,
            "out_order_no": documented.number(),
            "receivers": [{**receiver, "amount": 100, "description": "share"}],
            "unfreeze_unsplit": False,
            **changes,
        }
        if changes.get("is_open"):
            return {name: value for name, value in body.items() if name != "is_open"}
        shop.orders.post(json=body)
        return body

    def returned(self):
        """Return a share, and return the parameters of the request."""
        share = self.shared()
        body = {
            "out_order_no": share["out_order_no"],
            "out_return_no": documented.number(),
            "return_mchid": RECEIVER,
            "amount": 40,
            "description": "return",
        }
        self.instance.chain("v3/profitsharing/return-orders").post(json=body)
        return body

    def contract(self, partner="", **changes):
        """Sign a contract for scheduled deductions, and return it."""
        path = f"v3/papay/scheduled-deduct-sign/{partner}contracts/pre-entrust-sign/jsapi"
        return self._sign(path, **changes)

    def insured(self, **changes):
        """Sign a contract for insurance premiums, and return it."""
        return self._sign("v3/papay/insurance-sign/contracts/pre-entrust-sign/jsapi", **changes)

    def _sign(self, path, **changes):
        operation = catalogue.find("POST", path)
        given = documented.merge(documented.arguments(operation), {"json": changes})
        self.instance.chain(path).post(**given)
        return self.sandbox.contracts.sign(given["json"]["out_contract_code"])

    def scheduled(self, partner="", **changes):
        """Sign a contract, schedule a deduction of one fen, possible by now, and return the contract."""
        contract = self.contract(partner, **changes)
        path = f"v3/papay/pay/{partner}schedules/contract-id/{{contract_id}}/schedule"
        sub = {name: value for name, value in changes.items() if name == "sub_mchid"}
        given = documented.merge(documented.arguments(catalogue.find("POST", path)), {"json": sub})
        self.instance.chain(path).post(**{**given, "contract_id": contract.contract_id})
        self.sandbox.advance(86400)
        return contract

    def paid_id(self, number):
        """Return WeChat Pay's number of a deduction, which is carried out by now."""
        self.sandbox.contracts.settle()
        return self.sandbox.orders[number].payment.transaction_id

    def v2_contract(self, openid="", **changes):
        """Sign a contract of APIv2, and return it; each for a plan of its own."""
        operation = catalogue.find("POST", "v2/papay/preentrustweb")
        given = documented.merge(
            documented.arguments(operation), {"xml": {"plan_id": documented.number()[1:].lstrip("0")}}
        )
        given = documented.merge(given, {"xml": changes})
        self.instance.chain(operation.template).post(**given)
        return self.sandbox.contracts.sign(given["xml"]["contract_code"], openid=openid)

    def v2_deducted(self, **changes):
        """Deduct one fen under a contract of APIv2, and return the order's number."""
        operation = catalogue.find("POST", "v2/pay/pappayapply")
        more = {"contract_id": self.v2_contract().contract_id, **changes}
        given = documented.merge(documented.arguments(operation), {"xml": more})
        self.instance.chain(operation.template).post(**given)
        return given["xml"]["out_trade_no"]

    def v2_shared(self, *, is_open=False):
        """Share an order of APIv2 with a merchant, and return the parameters of the request."""
        order = self.sandbox.pay(self.v2_order(total_fee=1000, profit_sharing="Y"))
        self.sandbox.advance(60)
        receiver = {"type": "MERCHANT_ID", "account": RECEIVER}
        named = json.dumps({**receiver, "name": "张三", "relation_type": "PARTNER"})
        ours = {"appid": APP, "mch_id": documented.MCHID, "sign_type": "HMAC-SHA256"}
        self.instance.v2.pay.profitsharingaddreceiver.post(xml={**ours, "receiver": named})
        part = {**receiver, "amount": 100, "description": "share"}
        body = {
            **ours,
            "transaction_id": order.payment.transaction_id,
            "out_order_no": documented.number(),
            "receivers": json.dumps([part]),
        }
        if not is_open:
            self.instance.v2.secapi.pay.multiprofitsharing.post(xml=body, security=True)
        return body

    def v2_returned(self):
        """Return a share of APIv2, and return the parameters of the request."""
        share = self.v2_shared()
        names = ("appid", "mch_id", "sign_type", "out_order_no")
        body = {
            **{name: share[name] for name in names},
            "out_return_no": documented.number(),
            "return_account_type": "MERCHANT_ID",
            "return_account": RECEIVER,
            "return_amount": 40,
            "description": "return",
        }
        self.instance.v2.secapi.pay.profitsharingreturn.post(xml=body, security=True)
        return body

    def enrolled(self, *, is_announced=True):
        """Sign a contract for education deductions, and return it."""
        edu = self.instance.v3.eduPapay
        body = {
            "appid": APP,
            "openid": documented.PAYER,
            "plan_id": "12535",
            "user_id": documented.number(),
            "period_start_date": "1",
            "trade_scene": "EDUCATION_PERIOD",
        }
        token = edu.contracts.presign.post(json=body).json()["presign_token"]
        contract = self.sandbox.contracts.sign(token)
        if is_announced:
            path = "v3/edu-papay/user-notifications/{contract_id}/send"
            self.instance.chain(path).post(contract_id=contract.contract_id, json={"appid": APP})
        return contract

    def tuition(self):
        """Deduct one fen under an education contract, and return the order."""
        operation = catalogue.find("POST", "v3/edu-papay/transactions")
        changes = {"json": {"contract_id": self.enrolled().contract_id}}
        given = documented.merge(documented.arguments(operation), changes)
        self.instance.chain(operation.template).post(**given)
        number = given["json"]["out_trade_no"]
        path = "v3/edu-papay/transactions/out-trade-no/{out_trade_no}"
        return self.instance.chain(path).get(out_trade_no=number).json()

    def score(self, partner="", state="CREATED", openid="", **changes):
        """Create a service order of 100 fen and bring it into a state; return its number.

        By default each payer has one, and no money.
        """
        number = changes.setdefault("out_order_no", documented.number())
        openid = f"{documented.PAYER}{number}_poor" if openid == "" else openid
        path = f"v3/payscore/{partner}serviceorder"
        fund = {"name": "ESTIMATE_ORDER_COST", "amount": 100}
        more = {"json": {"risk_fund": fund, "openid": openid, "service_id": "1", **changes}}
        given = documented.merge(documented.arguments(catalogue.find("POST", path)), more)
        self.instance.chain(path).post(**given)
        del changes["out_order_no"]
        if state != "CREATED":
            self.sandbox.score_orders.confirm(number)
        if state == "MCH_COMPLETE":
            body = {
                "service_id": "1",
                "total_amount": 100,
                "post_payments": [{"name": "hire", "amount": 100}],
            }
            app = {} if partner else {"appid": APP}
            chain = self.instance.chain(f"{path}/{{out_order_no}}/complete")
            chain.post(out_order_no=number, json={**body, **app, **changes})
        return number

    def bill(self):
        """Return the token of a bill."""
        day = self.day()
        url = self.instance.v3.bill.tradebill.get(query={"bill_date": day}).json()["download_url"]
        return {name: value for name, (value,) in parse_qs(urlsplit(url).query).items()}

    def day(self, **parties):
        """Return a day on which there was a payment, and whose bill exists."""
        return self._bill_day(self.paid(**parties).payment.at)

    def given_day(self, template):
        """Give a bill of a kind whose columns are not documented, and return its day."""
        day = self.day()
        self.sandbox.bills.put(template, date.fromisoformat(day), b"text")
        return {"query": {"bill_date": day}}

    def sharing_day(self):
        """Return a day on which money was shared, and whose bill exists."""
        self.shared()
        return self._bill_day(self.sandbox.now)

    def returned_day(self):
        """Return a day on which a share was returned, and whose bill exists."""
        self.returned()
        return self._bill_day(self.sandbox.now)

    def _bill_day(self, at):
        self.sandbox.advance(2 * 86400)
        return f"{datetime.fromtimestamp(at, CHINA):%Y-%m-%d}"


def _by_number(shop, **parties):
    """Return the arguments that name an unpaid order."""
    return {"out_trade_no": shop.order(**parties)}


def _reversible(shop, **parties):
    """Return the arguments that name a payment by code, which can be reversed by now."""
    number = shop.by_code(**parties)
    shop.sandbox.advance(15)
    return {"out_trade_no": number}


def _combined(scene):
    """Return the arguments of a combined order, which has two parts, and names the payer if need be."""
    operation = catalogue.find("POST", f"v3/combine-transactions/{scene}")
    parts = [part for _ in range(2) for part in documented.arguments(operation)["json"]["sub_orders"]]
    payer = {"combine_payer_info": {"openid": documented.PAYER}} if scene in {"jsapi", "miniprogram"} else {}
    return {"json": {"sub_orders": parts, **payer}}


def _closing(shop):
    """Return the arguments that close a combined order."""
    combined = shop.combined()
    parts = [
        {name: part[name] for name in ("mchid", "out_trade_no", "sub_mchid") if name in part}
        for part in combined["sub_orders"]
    ]
    return {"combine_out_trade_no": combined["combine_out_trade_no"], "json": {"sub_orders": parts}}


#: Bills that exist only if a test gives them.
GIVEN = (
    "v3/payscore/merchant-bill",
    "v3/merchant/fund/withdraw/bill-type/{bill_type}",
    "v3/funds-to-oversea/bill-download-url",
)

SUB = {"sub_mchid": PARTNER["sub_mchid"]}
V3 = "v3/pay/transactions"
PARTNERS = "v3/pay/partner/transactions"
TRANSFERS = "v3/fund-app/mch-transfer/transfer-bills"
REPORTED = {
    "json": {
        "transfer_scene_report_infos": [
            {"info_type": name, "info_content": "tea"} for name in ("活动名称", "奖励说明")
        ]
    }
}
CONTRACTS = "v3/papay/sign/contracts/plan-id/{plan_id}/out-contract-code/{out_contract_code}"
PARTNER_CONTRACTS = "v3/papay/sign/partner/contracts/plan-id/{plan_id}/out-contract-code/{out_contract_code}"
INSURANCE = "v3/papay/insurance-sign/contracts/plan-id/{plan_id}/out-contract-code/{out_contract_code}"
SCHEDULES = "v3/papay/pay/schedules/contract-id/{contract_id}"
PARTNER_SCHEDULES = "v3/papay/pay/partner/schedules/contract-id/{contract_id}"
REFUNDS = "v3/refund/domestic/refunds"
COMBINED = "v3/combine-transactions/out-trade-no/{combine_out_trade_no}"


def _score_orders(partner, more):
    """Return the arguments of operations on service orders, by operation."""
    one = f"v3/payscore/{partner}serviceorder/{{out_order_no}}"
    service = {"service_id": "1", **more}

    def existing(state, **json):
        return lambda s: {"out_order_no": s.score(partner, state, **more), "json": {**service, **json}}

    fund = {"name": "DEPOSIT", "amount": 100}
    created = {"json": {"risk_fund": fund, "time_range": {"start_time": "OnAccept"}}}
    yield f"POST v3/payscore/{partner}serviceorder", lambda _: created
    hire = {"post_payments": [{"name": "hire", "amount": 90}], "total_amount": 90}
    yield (
        f"GET v3/payscore/{partner}serviceorder",
        lambda s: {"query": {**service, "out_order_no": s.score(partner, "MCH_COMPLETE", **more)}},
    )
    yield f"POST {one}/complete", existing("USER_CONFIRM", **hire)
    yield f"POST {one}/cancel", existing("CREATED")
    yield f"POST {one}/modify", existing("MCH_COMPLETE", **hire)
    yield f"POST {one}/sync", existing("MCH_COMPLETE")
    yield f"POST {one}/pay", existing("MCH_COMPLETE")


def _v2_contracts():
    """Return the arguments of operations on contracts of APIv2, by operation."""
    for partner, parties in (("", {}), ("partner/", {"sub_mch_id": SUB["sub_mchid"]})):

        def existing(shop, parties=parties):
            return {"xml": {"contract_id": shop.v2_contract(**parties).contract_id, **parties}}

        yield f"POST v2/papay/{partner}preentrustweb", lambda _, parties=parties: {"xml": parties}
        yield f"POST v2/papay/{partner}querycontract", existing
        yield f"POST v2/papay/{partner}deletecontract", existing
        yield f"POST v2/pay/{partner}pappayapply", existing
        yield (
            f"POST v2/pay/{partner}paporderquery",
            lambda s: {
                "xml": {"out_trade_no": (number := s.v2_deducted()), "transaction_id": s.paid_id(number)}
            },
        )


def _v2_sharing():
    """Return the arguments of operations of APIv2's profit sharing, by operation."""
    one = {"type": "MERCHANT_ID", "account": RECEIVER}
    added = {"xml": {"receiver": json.dumps({**one, "name": "张三", "relation_type": "PARTNER"})}}

    def opened(shop):
        return {"xml": shop.v2_shared(is_open=True)}

    def existing(shop, *names, **more):
        share = shop.v2_shared()
        return {"xml": {**{name: share[name] for name in names}, **more}}

    yield "POST v2/pay/profitsharingaddreceiver", lambda _: added
    yield "POST v2/secapi/pay/profitsharing", opened
    yield "POST v2/secapi/pay/multiprofitsharing", opened
    yield "POST v2/secapi/pay/profitsharingfinish", lambda s: existing(s, "transaction_id")
    yield "POST v2/pay/profitsharingquery", lambda s: existing(s, "transaction_id", "out_order_no")
    yield "POST v2/pay/profitsharingorderamountquery", lambda s: existing(s, "transaction_id")
    yield (
        "POST v2/secapi/pay/profitsharingreturn",
        lambda s: existing(s, "out_order_no", return_account=RECEIVER),
    )
    yield (
        "POST v2/pay/profitsharingreturnquery",
        lambda s: {
            "xml": {
                name: value
                for name, value in s.v2_returned().items()
                if name in {"out_order_no", "out_return_no"}
            }
        },
    )


def _completed(_):
    """Return the arguments of an order that is completed when it is created."""
    hire = {"total_amount": 1, "post_payments": [{"name": "hire", "amount": 1}]}
    openid = f"{documented.PAYER}{documented.number()}"
    return {"json": {"openid": openid, "service_introduction": "hire", **hire}}


def _later(**parties):
    """Return the arguments of an order that is paid after its delivery."""
    link = {"jump_link_type": "JUMP_LINK_MINI_PROGRAM", "appid": APP, "path": "pages/index"}
    goods = {"name": "tea", "picture": "https://shop.example.com/tea.png", "amount": 1, "count": 1}
    shopping = {"jump_link": link, "goods": [{**goods, "category_id": ["1"]}]}
    return lambda _: {"json": {"shopping_info": shopping, **parties}}


def _authorised(**given):
    """Return arguments for a payer who has authorised the pay score."""

    def build(shop):
        shop.sandbox.agreements.authorize("payscore", documented.PAYER)
        return given

    return build


#: The arguments of operations that ask for something that exists.
EXISTING = {
    f"GET {V3}/id/{{transaction_id}}": lambda s: {"transaction_id": s.paid().payment.transaction_id},
    f"GET {V3}/out-trade-no/{{out_trade_no}}": lambda s: {"out_trade_no": s.paid().out_trade_no},
    f"POST {V3}/out-trade-no/{{out_trade_no}}/close": _by_number,
    f"POST {V3}/out-trade-no/{{out_trade_no}}/reverse": _reversible,
    f"GET {PARTNERS}/id/{{transaction_id}}": lambda s: {
        "transaction_id": s.paid(**SUB).payment.transaction_id,
        "query": SUB,
    },
    f"GET {PARTNERS}/out-trade-no/{{out_trade_no}}": lambda s: {
        "out_trade_no": s.paid(**SUB).out_trade_no,
        "query": SUB,
    },
    f"POST {PARTNERS}/out-trade-no/{{out_trade_no}}/close": lambda s: {**_by_number(s, **SUB), "json": SUB},
    f"POST {PARTNERS}/out-trade-no/{{out_trade_no}}/reverse": lambda s: {
        **_reversible(s, **SUB),
        "json": SUB,
    },
    f"POST {TRANSFERS}": lambda _: REPORTED,
    **{
        f"POST v3/combine-transactions/{scene}": lambda _, scene=scene: _combined(scene)
        for scene in ("app", "h5", "jsapi", "miniprogram", "native")
    },
    f"POST {PARTNERS}/jsapi": lambda _: {"json": {"payer": {"sp_openid": documented.PAYER}}},
    f"POST {PARTNERS}/jsapi-with-contract": lambda _: {"json": {"payer": {"sp_openid": documented.PAYER}}},
    f"POST {PARTNERS}/miniprogram": lambda _: {"json": {"payer": {"sp_openid": documented.PAYER}}},
    f"GET {COMBINED}": lambda s: {"combine_out_trade_no": s.paid_combined()},
    f"POST {COMBINED}/close": _closing,
    f"POST {REFUNDS}": lambda s: {
        "json": {"out_trade_no": s.paid().out_trade_no, "transaction_id": None, "amount": {"total": 100}}
    },
    f"GET {REFUNDS}/{{out_refund_no}}": lambda s: {"out_refund_no": s.refund().out_refund_no},
    f"POST {REFUNDS}/{{refund_id}}/apply-abnormal-refund": lambda s: {
        "refund_id": (refund := s.refund("ABNORMAL")).refund_id,
        "json": {"out_refund_no": refund.out_refund_no},
    },
    f"GET {TRANSFERS}/out-bill-no/{{out_bill_no}}": lambda s: {"out_bill_no": s.transfer()["out_bill_no"]},
    f"POST {TRANSFERS}/out-bill-no/{{out_bill_no}}/cancel": lambda s: {
        "out_bill_no": s.transfer()["out_bill_no"]
    },
    f"GET {TRANSFERS}/transfer-bill-no/{{transfer_bill_no}}": lambda s: {
        "transfer_bill_no": s.transfer()["transfer_bill_no"]
    },
    "POST v3/profitsharing/orders": lambda s: {"json": s.shared(is_open=True)},
    "GET v3/profitsharing/orders/{out_order_no}": lambda s: {
        "out_order_no": (share := s.shared())["out_order_no"],
        "query": {"transaction_id": share["transaction_id"]},
    },
    "POST v3/profitsharing/orders/unfreeze": lambda s: {
        "json": {"transaction_id": s.shared()["transaction_id"]}
    },
    "POST v3/profitsharing/return-orders": lambda s: {
        "json": {"out_order_no": s.shared()["out_order_no"], "return_mchid": RECEIVER}
    },
    "GET v3/profitsharing/return-orders/{out_return_no}": lambda s: {
        "out_return_no": (made := s.returned())["out_return_no"],
        "query": {"out_order_no": made["out_order_no"]},
    },
    "GET v3/profitsharing/transactions/{transaction_id}/amounts": lambda s: {
        "transaction_id": s.shared()["transaction_id"]
    },
    "POST v3/profitsharing/receivers/add": lambda _: {"json": {"name": Sensitive("张三")}},
    f"GET {CONTRACTS}": lambda s: {"plan_id": "1", "out_contract_code": s.contract().code},
    f"POST {CONTRACTS}/terminate": lambda s: {"plan_id": "1", "out_contract_code": s.contract().code},
    f"GET {INSURANCE}": lambda s: {"plan_id": "1", "out_contract_code": s.insured().code},
    f"POST {INSURANCE}/terminate": lambda s: {"plan_id": "1", "out_contract_code": s.insured().code},
    "POST v3/papay/insurance-pay/transactions/apply": lambda s: {
        "json": {"contract_id": s.insured().contract_id}
    },
    "GET v3/papay/sign/contracts/harmony-plan-id/{plan_id}/out-contract-code/{out_contract_code}": lambda s: {
        "plan_id": "1",
        "out_contract_code": s.contract().code,
    },
    f"GET {PARTNER_CONTRACTS}": lambda s: {
        "plan_id": "1",
        "out_contract_code": s.contract("partner/", **SUB).code,
        "query": SUB,
    },
    f"POST {PARTNER_CONTRACTS}/terminate": lambda s: {
        "plan_id": "1",
        "out_contract_code": s.contract("partner/", **SUB).code,
        "json": SUB,
    },
    f"GET {SCHEDULES}": lambda s: {"contract_id": s.scheduled().contract_id},
    f"POST {SCHEDULES}/schedule": lambda s: {"contract_id": s.contract().contract_id},
    f"GET {PARTNER_SCHEDULES}": lambda s: {
        "contract_id": s.scheduled("partner/", **SUB).contract_id,
        "query": SUB,
    },
    f"POST {PARTNER_SCHEDULES}/schedule": lambda s: {
        "contract_id": s.contract("partner/", **SUB).contract_id,
        "json": SUB,
    },
    "POST v3/papay/pay/transactions/apply": lambda s: {"json": {"contract_id": s.scheduled().contract_id}},
    "POST v3/papay/pay/harmony/transactions/apply": lambda s: {
        "json": {"contract_id": s.contract().contract_id}
    },
    "POST v3/papay/pay/partner/transactions/apply": lambda s: {
        "json": {"contract_id": s.scheduled("partner/", **SUB).contract_id, **SUB}
    },
    "GET v3/edu-papay/contracts/id/{contract_id}": lambda s: {"contract_id": s.enrolled().contract_id},
    "DELETE v3/edu-papay/contracts/{contract_id}": lambda s: {"contract_id": s.enrolled().contract_id},
    "POST v3/edu-papay/user-notifications/{contract_id}/send": lambda s: {
        "contract_id": s.enrolled(is_announced=False).contract_id
    },
    "POST v3/edu-papay/transactions": lambda s: {"json": {"contract_id": s.enrolled().contract_id}},
    "GET v3/edu-papay/transactions/id/{transaction_id}": lambda s: {
        "transaction_id": s.tuition()["transaction_id"]
    },
    "GET v3/edu-papay/transactions/out-trade-no/{out_trade_no}": lambda s: {
        "out_trade_no": s.tuition()["out_trade_no"]
    },
    **dict(_v2_contracts()),
    **dict(_v2_sharing()),
    **dict(_score_orders("", {})),
    **dict(_score_orders("partner/", SUB)),
    **dict(_score_orders("acquiringbank/", {**SUB, "channel_id": "1"})),
    **dict(_score_orders("oversea/partner/", SUB)),
    "POST v3/payscore/serviceorder/direct-complete": _completed,
    "POST v3/payscore/partner/serviceorder/direct-complete": _completed,
    "POST v3/payscore/servicepayondeliveryorder": _later(),
    "POST v3/payscore/partner/servicepayondeliveryorder": _later(),
    "POST v3/payscore/acquiringbank/servicepayondeliveryorder": _later(**SUB),
    "GET v3/payscore/partner/permissions/search": _authorised(query={"openid": documented.PAYER}),
    "POST v3/payscore/permissions/openid/{openid}/terminate": _authorised(),
    "POST v3/payscore/partner/permissions/terminate": _authorised(json={"openid": documented.PAYER}),
    "POST v3/payscore/users/{openid}/permissions/{service_id}/terminate": _authorised(),
    "GET v3/bill/tradebill": lambda s: {"query": {"bill_date": s.day()}},
    "GET v3/bill/fundflowbill": lambda s: {"query": {"bill_date": s.day()}},
    "GET v3/bill/sub-merchant-fundflowbill": lambda s: {
        "query": {"bill_date": s.day(**PARTNER), "account_type": "BASIC", **SUB}
    },
    "GET v3/ecommerce/bill/fundflowbill": lambda s: {"query": {"bill_date": s.day(**PARTNER)}},
    **{f"GET {template}": partial(Shop.given_day, template=template) for template in GIVEN},
    "GET v3/global/profit-sharing/refunds/bill-download-url": lambda s: {
        "query": {"bill_date": s.returned_day(), "sub_mchid": None}
    },
    "GET v3/profitsharing/bills": lambda s: {"query": {"bill_date": s.sharing_day(), "sub_mchid": None}},
    "GET v3/global/profit-sharing/bill-download-url": lambda s: {
        "query": {"bill_date": s.sharing_day(), "sub_mchid": None}
    },
    "GET v3/global/statements": lambda s: {"query": {"date": s.day().replace("-", "")}},
    "GET v3/statements": lambda s: {"query": {"date": s.day().replace("-", "")}},
    "GET v3/billdownload/file": lambda s: {"query": s.bill()},
    "POST v2/pay/closeorder": lambda s: {"xml": {"out_trade_no": s.v2_order()}},
    "POST v2/pay/downloadbill": lambda s: {"xml": {"bill_date": s.day().replace("-", "")}},
    "POST v2/pay/downloadfundflow": lambda s: {"xml": {"bill_date": s.day().replace("-", "")}},
    "POST v2/pay/orderquery": lambda s: {"xml": {"transaction_id": s.v2_paid().payment.transaction_id}},
    "POST v2/pay/refundquery": lambda s: {
        "xml": {"transaction_id": None, "out_refund_no": s.refund().out_refund_no}
    },
    "POST v2/secapi/pay/refund": lambda s: {"xml": {"transaction_id": s.v2_paid().payment.transaction_id}},
    "POST v2/secapi/pay/reverse": lambda s: {"xml": {"transaction_id": None, **_reversible(s)}},
}
