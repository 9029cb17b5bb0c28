"""Service orders of the pay score, authorizations, and the echo."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

import documented
import pytest
import sandboxes
from scenes import APP, Shop
from shops import serving

from wechatpay import APIError, Builder, ConfigurationError, Sensitive, catalogue
from wechatpay.sandbox import Sandbox

ROOT = "v3/payscore/serviceorder"
ONE = f"{ROOT}/{{out_order_no}}"
SERVICE = {"appid": APP, "service_id": "1"}
HIRE = {"post_payments": [{"name": "hire", "amount": 100}], "total_amount": 100}


@pytest.fixture(scope="module")
def shop():
    """Give a shop with a running sandbox."""
    with Sandbox(identity=sandboxes.identity()) as sandbox, Builder(**sandbox.settings()) as instance:
        yield Shop(sandbox, instance)


def query(shop, number):
    """Query an order."""
    return shop.instance.chain(ROOT).get(query={**SERVICE, "out_order_no": number}).json()


def act(shop, number, action, **body):
    """Do something with an order."""
    return shop.instance.chain(f"{ONE}/{action}").post(out_order_no=number, json={**SERVICE, **body}).json()


def states(order):
    """Return the three members that tell the state."""
    return order["state"], order.get("state_description"), order.get("collection", {}).get("state")


def test_order_is_confirmed_completed_and_paid(shop):
    """Both events arrive, and the payment is in the ledger, where it can be refunded."""
    with serving() as server:
        number = shop.score(openid=documented.PAYER, notify_url=server.url)
        assert ("CREATED", None, None) == states(query(shop, number))
        shop.sandbox.score_orders.confirm(number)
        assert ("DOING", "USER_CONFIRM", None) == states(query(shop, number))
        act(shop, number, "complete", **HIRE)
        events = [
            shop.sandbox.expect_callback(f"PAYSCORE.{name}").resource
            for name in ("USER_CONFIRM", "USER_PAID")
        ]

    paid = query(shop, number)
    assert ("DONE", None, "USER_PAID") == states(paid)
    assert [number, number] == [event["out_order_no"] for event in events]
    detail = paid["collection"]["details"][0]
    body = {
        "transaction_id": detail["transaction_id"],
        "out_refund_no": documented.number(),
        "amount": {"refund": 40, "total": 100, "currency": "CNY"},
    }
    assert 40 == shop.instance.v3.refund.domestic.refunds.post(json=body).json()["amount"]["refund"]


def test_order_without_confirmation_is_running_at_once(shop):
    """For merchants with that permission; the payer must be named."""
    number = shop.score(need_user_confirm=False)
    assert ("DOING", "USER_CONFIRM", None) == states(query(shop, number))
    with pytest.raises(APIError, match="无效的openid"):
        shop.score(need_user_confirm=False, openid=None)
    with pytest.raises(APIError, match="无效的openid"):
        shop.score(openid="nobody")


def test_payer_without_money_pays_later(shop):
    """The deduction runs until the payer pays; meanwhile the merchant may lower the amount."""
    number = shop.score(state="MCH_COMPLETE")
    assert ("DOING", "MCH_COMPLETE", "USER_PAYING") == states(query(shop, number))
    lower = {"post_payments": [{"name": "hire", "amount": 90}], "total_amount": 90, "reason": "late"}
    assert 90 == act(shop, number, "modify", **lower)["total_amount"]
    act(shop, number, "pay")
    shop.sandbox.score_orders.pay(number)

    paid = query(shop, number)["collection"]
    assert ("USER_PAID", 90, 0, "NEWTON") == (
        paid["state"],
        paid["paid_amount"],
        paid["paying_amount"],
        paid["details"][0]["paid_type"],
    )


def test_merchant_collects_elsewhere(shop):
    """After the synchronisation nothing is deducted any more."""
    number = shop.score(state="MCH_COMPLETE")
    act(shop, number, "sync", type="Order_Paid", detail={"paid_time": "20260105101010"})

    assert "MCH" == query(shop, number)["collection"]["details"][0]["paid_type"]
    with pytest.raises(ConfigurationError, match="DONE, not DOING/MCH_COMPLETE"):
        shop.sandbox.score_orders.pay(number)


def test_free_order_is_done_at_once(shop):
    """There is nothing to pay."""
    number = shop.score(state="USER_CONFIRM")
    body = {
        "post_payments": [{"name": "hire", "amount": 5}],
        "post_discounts": [{"name": "off", "amount": 5}],
    }
    act(shop, number, "complete", **body, total_amount=0)

    assert ("DONE", None, None) == states(query(shop, number))


@pytest.mark.parametrize(
    ("state", "action", "body", "message"),
    [
        pytest.param("CREATED", "complete", HIRE, "当前订单状态不合法", id="complete before it is confirmed"),
        pytest.param(
            "USER_CONFIRM", "complete", {**HIRE, "total_amount": 99}, "最终总金额计算非法", id="wrong sum"
        ),
        pytest.param(
            "USER_CONFIRM", "modify", {**HIRE, "reason": "x"}, "仅服务订单支付状态为待支付时", id="early"
        ),
        pytest.param("MCH_COMPLETE", "modify", {**HIRE, "reason": "x"}, "INVALID_REQUEST", id="not lower"),
        pytest.param(
            "MCH_COMPLETE",
            "modify",
            {**HIRE, "total_amount": 1, "reason": "x"},
            "最终总金额计算非法",
            id="wrong lower sum",
        ),
        pytest.param(
            "MCH_COMPLETE", "cancel", {"reason": "x"}, "当前订单状态不满足撤销条件", id="cancel while paying"
        ),
        pytest.param("CREATED", "pay", {}, "当前订单状态不合法", id="collect before it is complete"),
        pytest.param(
            "CREATED",
            "sync",
            {"type": "Order_Paid", "detail": {"paid_time": "20260105101010"}},
            "当前订单状态不合法",
            id="synchronise before it is complete",
        ),
        pytest.param(
            "MCH_COMPLETE",
            "complete",
            {"post_payments": [{"name": "hire", "amount": 9}], "total_amount": 9},
            "订单重入参数校验失败",
            id="complete in another way",
        ),
    ],
)
def test_wrong_step_is_refused(shop, state, action, body, message):
    """With WeChat Pay's text."""
    number = shop.score(state=state)
    with pytest.raises(APIError, match=message):
        act(shop, number, action, **body)


def test_deposit_bounds_the_amount(shop):
    """A deposit-free order costs its risk fund at most."""
    number = shop.score(state="USER_CONFIRM", risk_fund={"name": "DEPOSIT", "amount": 50})
    with pytest.raises(APIError, match="INVALID_REQUEST"):
        act(shop, number, "complete", **HIRE)


def test_deposit_order_is_not_modified(shop):
    """Its amount stays what the merchant completed it with."""
    number = shop.score(state="USER_CONFIRM", risk_fund={"name": "DEPOSIT", "amount": 100})
    act(shop, number, "complete", **HIRE)
    lower = {"post_payments": [{"name": "hire", "amount": 90}], "total_amount": 90, "reason": "x"}
    with pytest.raises(APIError, match="INVALID_REQUEST"):
        act(shop, number, "modify", **lower)

    assert 100 == query(shop, number)["total_amount"]


def amounts(payment, discount):
    """Return the parameters of a completion with one payment and one discount, and their total."""
    lists = {
        "post_payments": [{"name": "hire", "amount": payment}],
        "post_discounts": [{"name": "off", "amount": discount}],
    }
    return {**lists, "total_amount": payment - discount}


@pytest.mark.parametrize("action", ["complete", "modify", "direct-complete"])
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(amounts(100, 300), id="more discounts than payments"),
        pytest.param(amounts(-10, -20), id="negative amounts"),
        pytest.param(amounts(Decimal("10.5"), Decimal("0.5")), id="fractions of a fen"),
    ],
)
def test_no_order_costs_less_than_nothing(shop, action, body):
    """Nothing is paid, and no such order is in a bill."""
    if action == "direct-complete":
        more = {"openid": f"{documented.PAYER}{documented.number()}", "time_range": {}}
        direct = {**SERVICE, **more, **body, "out_order_no": documented.number()}
        call = partial(shop.instance.chain(f"{ROOT}/direct-complete").post, json=direct)
    else:
        number = shop.score(state="USER_CONFIRM" if action == "complete" else "MCH_COMPLETE")
        reason = {"reason": "x"} if action == "modify" else {}
        call = partial(act, shop, number, action, **body, **reason)
    with pytest.raises(APIError, match=r"最终总金额计算非法|应为整数"):
        call()
    shop.sandbox.score_orders.settle()

    assert all(order.total > 0 for order in shop.sandbox.orders.values())


@pytest.mark.parametrize(("name", "most"), [("post_payments", 100), ("post_discounts", 30)])
def test_order_has_so_many_amounts(shop, name, most):
    """100 payments and 30 discounts at most."""
    number = shop.score(state="USER_CONFIRM")
    lists = {
        "post_payments": [{"name": "hire", "amount": most + 1}],
        name: [{"name": "part", "amount": 1}] * (most + 1),
    }
    total = most + 1 if name == "post_payments" else 0
    with pytest.raises(APIError) as caught:
        act(shop, number, "complete", **lists, total_amount=total)

    assert ("PARAM_ERROR", name) == (caught.value.code, caught.value.detail["field"])


def test_order_that_is_lowered_to_nothing_is_done(shop):
    """There is nothing left to pay."""
    number = shop.score(state="MCH_COMPLETE")
    act(shop, number, "modify", **amounts(5, 5), reason="x")

    assert ("DONE", None, None) == states(query(shop, number))


def test_repeated_steps_change_nothing(shop):
    """The same number and content gives the same order; other content is refused."""
    number = shop.score(state="MCH_COMPLETE")
    assert 100 == act(shop, number, "complete", **HIRE)["total_amount"]
    cancelled = shop.score()
    act(shop, cancelled, "cancel", reason="x")
    act(shop, cancelled, "cancel", reason="x")
    assert "REVOKED" == query(shop, cancelled)["state"]
    with pytest.raises(APIError, match="订单重入参数校验失败"):
        shop.score(out_order_no=number, attach="other")
    assert cancelled == shop.score(out_order_no=cancelled)


def test_unconfirmed_order_expires(shop):
    """After 30 days."""
    number = shop.score()
    shop.sandbox.advance(30 * 86400 + 1)

    assert "EXPIRED" == query(shop, number)["state"]
    with pytest.raises(ConfigurationError, match="EXPIRED, not CREATED"):
        shop.sandbox.score_orders.confirm(number)


def test_unknown_order_is_not_found(shop):
    """Nor an order under another service."""
    number = shop.score()
    for node, given in (
        (shop.instance.chain(ROOT).get, {"query": {**SERVICE, "out_order_no": "x"}}),
        (shop.instance.chain(ROOT).get, {"query": {**SERVICE, "service_id": "2", "out_order_no": number}}),
        *(
            (shop.instance.chain(f"{ONE}/{action}").post, {"out_order_no": "x", "json": {**SERVICE, **body}})
            for action, body in (
                ("complete", HIRE),
                ("modify", {**HIRE, "reason": "x"}),
                ("cancel", {"reason": "x"}),
                ("sync", {"type": "Order_Paid", "detail": {"paid_time": "20260105101010"}}),
                ("pay", {}),
            )
        ),
    ):
        with pytest.raises(APIError) as caught:
            node(**given)

        assert (404, "订单不存在") == (caught.value.status_code, caught.value.message)


@pytest.mark.parametrize(
    ("kind", "parties"),
    [
        pytest.param("acquiringbank/", {"sub_mchid": "1900000110", "channel_id": "1"}, id="bank"),
        pytest.param("oversea/partner/", {"sub_mchid": "1900000110"}, id="overseas"),
    ],
)
def test_order_of_a_bank_or_an_overseas_partner_is_paid(shop, kind, parties):
    """Its life is that of all service orders."""
    number = shop.score(kind, "MCH_COMPLETE", openid=f"{documented.PAYER}{kind[0]}", **parties)
    shop.sandbox.score_orders.settle()
    query = {"service_id": "1", "out_order_no": number, **parties}
    found = shop.instance.chain(f"v3/payscore/{kind}serviceorder").get(query=query).json()

    assert ("DONE", "USER_PAID", 100) == (found["state"], found["collection"]["state"], found["total_amount"])


def test_order_is_created_and_completed_at_once(shop):
    """It is paid then; the same request again changes nothing, another one is refused."""
    node = shop.instance.chain(f"{ROOT}/direct-complete")
    body = {
        **SERVICE,
        **HIRE,
        "out_order_no": documented.number(),
        "openid": f"{documented.PAYER}direct",
        "time_range": {"start_time": "20260105101010", "end_time": "20260105111010"},
    }
    made = node.post(json=body).json()
    shop.sandbox.score_orders.settle()

    assert ("DOING", "MCH_COMPLETE") == (made["state"], made["state_description"])
    assert "DONE" == query(shop, body["out_order_no"])["state"] == node.post(json=body).json()["state"]
    for changes, message in (
        ({"attach": "other"}, "订单重入参数校验失败"),
        ({"out_order_no": documented.number(), "total_amount": 1}, "最终总金额计算非法"),
        ({"out_order_no": documented.number(), "openid": "nobody"}, "无效的openid"),
    ):
        with pytest.raises(APIError, match=message):
            node.post(json={**body, **changes})


def test_payer_who_owes_gets_no_completed_order(shop):
    """As no other one."""
    payer = f"{documented.PAYER}d_poor"
    shop.score(openid=payer, state="MCH_COMPLETE")
    body = {**SERVICE, "out_order_no": documented.number(), "openid": payer, "time_range": {}}
    with pytest.raises(APIError, match="存在待处理的超时未支付订单"):
        shop.instance.chain(f"{ROOT}/direct-complete").post(json=body)


def test_pay_later_order_is_created(shop):
    """It is queried as all service orders."""
    operation = catalogue.find("POST", "v3/payscore/servicepayondeliveryorder")
    given = documented.merge(documented.arguments(operation), {"json": SERVICE})
    made = shop.instance.chain(operation.template).post(**given).json()

    assert made["package"]
    assert "CREATED" == query(shop, given["json"]["out_order_no"])["state"]


def test_authorization_is_queried_and_ended_by_openid(shop):
    """Once authorised by openid or by the merchant's code, ended once."""
    openid = f"{documented.PAYER}_never"
    one = "v3/payscore/permissions/openid/{openid}"
    node, query_ = shop.instance.chain(one), {"openid": openid, "query": SERVICE}
    assert "UNBINDUSER" == node.get(**query_).json()["authorization_state"]
    shop.sandbox.agreements.authorize("payscore", openid)
    assert "AVAILABLE" == node.get(**query_).json()["authorization_state"]
    end = {"openid": openid, "json": {**SERVICE, "reason": "x"}}
    assert 204 == shop.instance.chain(f"{one}/terminate").post(**end).status_code

    assert "UNAVAILABLE" == node.get(**query_).json()["authorization_state"]
    state = shop.instance.v3.payscore.userServiceState.get(query={**SERVICE, "openid": openid}).json()
    assert "UNAVAILABLE" == state["use_service_state"]
    for payer in (openid, "nobody"):
        with pytest.raises(APIError) as caught:
            shop.instance.chain(f"{one}/terminate").post(**{**end, "openid": payer})
        assert 404 == caught.value.status_code
    with pytest.raises(APIError, match="nobody"):
        node.get(openid="nobody", query=SERVICE)


@pytest.mark.parametrize(
    ("service", "path", "member", "granted", "revoked"),
    [
        (
            "businesscircle",
            "v3/businesscircle/user-authorizations/{openid}",
            "authorize_state",
            "AUTHORIZED",
            "DEAUTHORIZED",
        ),
        (
            "palmservice",
            "v3/palmservice/authorization/openid/{openid}",
            "state",
            "AUTHORIZATION_STATE_ON",
            "AUTHORIZATION_STATE_OFF",
        ),
    ],
)
def test_payer_authorises_and_revokes(shop, service, path, member, granted, revoked):
    """In the payer's place; the query follows."""
    openid = f"{documented.PAYER}_never"
    found = []
    for change in (shop.sandbox.agreements.authorize, shop.sandbox.agreements.revoke):
        change(service, openid)
        query = {"appid": APP, "organization_id": "1"}
        found.append(shop.instance.chain(path).get(openid=openid, query=query).json()[member])

    assert [granted, revoked] == found
    with pytest.raises(ConfigurationError, match=f"has not authorised {service}"):
        shop.sandbox.agreements.revoke(service, openid)


@pytest.mark.parametrize(("service", "payer"), [("parking", documented.PAYER), ("palmservice", "nobody")])
def test_unknown_authorization_is_an_error(shop, service, payer):
    """The error names the service or the payer."""
    with pytest.raises(ConfigurationError, match="unknown"):
        shop.sandbox.agreements.authorize(service, payer)


def test_authorization_of_the_pay_score_is_announced(shop):
    """When the payer gives it, and when the merchant ends it."""
    path = "v3/payscore/permissions/authorization-code/{authorization_code}"
    code = f"{documented.number()}_never"
    with serving() as server:
        body = {**SERVICE, "authorization_code": code, "notify_url": server.url}
        shop.instance.v3.payscore.permissions.post(json=body)
        shop.sandbox.agreements.authorize("payscore", code)
        shop.instance.chain(f"{path}/terminate").post(
            authorization_code=code, json={"service_id": "1", "reason": "x"}
        )
        events = [
            shop.sandbox.expect_callback(f"PAYSCORE.USER_{name}_SERVICE").resource
            for name in ("OPEN", "CLOSE")
        ]

    assert [code, code] == [event["authorization_code"] for event in events]
    found = shop.instance.chain(path).get(authorization_code=code, query={"service_id": "1"}).json()
    assert "UNAVAILABLE" == found["authorization_state"]


def test_echo_is_returned_and_announced(shop):
    """Encrypted for the merchant, in the response and in the callback."""
    with serving() as server:
        body = {
            "echo_message": "hello",
            "encrypted_echo_message": Sensitive("张三"),
            "notify_url": server.url,
        }
        echoed = shop.instance.v3.security.echo.post(json=body).json()
        event = shop.sandbox.expect_callback("SECURITY_ECHO.SUCCESS").resource

    assert "hello" == echoed["echo_message"] == event["echo_message"]
    assert echoed["encrypted_echo_message"] == event["encrypt_echo_message"]
    assert {"echo_message": "hello"} == shop.instance.v3.security.echo.post(
        json={"echo_message": "hello"}
    ).json()


def test_unknown_authorization_is_not_ended(shop):
    """404, as for a query of it."""
    path = "v3/payscore/permissions/authorization-code/{authorization_code}/terminate"
    for code in (f"{documented.number()}_never", "x"):
        with pytest.raises(APIError, match="RESOURCE_NOT_EXISTS"):
            shop.instance.chain(path).post(authorization_code=code, json={"service_id": "1", "reason": "x"})


def test_contract_says_when_it_is_deducted(shop):
    """The query has the schedule that the merchant estimated, and what was deducted."""
    schedule = {
        "estimated_deduct_date": "2026-02-01",
        "estimated_deduct_amount": {"total": 1, "currency": "CNY"},
        "description": "month",
    }
    contract = shop.contract(deduct_schedule=schedule)
    path = "v3/papay/sign/contracts/plan-id/{plan_id}/out-contract-code/{out_contract_code}"
    given = {"plan_id": contract.plan_id, "out_contract_code": contract.code}
    found = shop.instance.chain(path).get(**given).json()["deduct_schedule"]

    assert ("2026-02-01", "NO_SCHEDULED") == (found["estimated_deduct_date"], found["schedule_state"])
