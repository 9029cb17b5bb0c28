"""Contracts of payers and the deductions under them, scheduled ones and education."""

from __future__ import annotations

import documented
import pytest
import sandboxes
from scenes import APP, Shop
from shops import serving

from wechatpay import APIError, Builder, ConfigurationError, catalogue
from wechatpay.sandbox import Sandbox

APPLY = "v3/papay/pay/transactions/apply"
BY_CODE = "v3/papay/sign/contracts/plan-id/{plan_id}/out-contract-code/{out_contract_code}"
SCHEDULE = "v3/papay/pay/schedules/contract-id/{contract_id}"


@pytest.fixture(scope="module")
def shop():
    """Give a shop with a running sandbox."""
    with Sandbox(identity=sandboxes.identity()) as sandbox, Builder(**sandbox.settings()) as instance:
        yield Shop(sandbox, instance)


def query(shop, contract):
    """Query a contract."""
    given = {"plan_id": contract.plan_id, "out_contract_code": contract.code}
    return shop.instance.chain(BY_CODE).get(**given).json()


def apply(shop, contract, number=None, **changes):
    """Apply for a deduction of one fen, and return its number."""
    number = number or documented.number()
    body = {
        "appid": APP,
        "out_trade_no": number,
        "description": "month",
        "transaction_notify_url": "https://shop.example.com/notify",
        "contract_id": contract.contract_id,
        "amount": {"total": 1},
        **changes,
    }
    shop.instance.chain(APPLY).post(json=body)
    return number


def order(shop, number):
    """Query an order."""
    path = "v3/pay/transactions/out-trade-no/{out_trade_no}"
    return shop.instance.chain(path).get(out_trade_no=number, query={"mchid": documented.MCHID}).json()


def test_contract_is_signed_and_ended(shop):
    """It is unknown before it is signed, and says afterwards who ended it."""
    contract = shop.contract()
    assert "SIGNED" == query(shop, contract)["contract_state"]

    path = f"{BY_CODE}/terminate"
    body = {"contract_termination_remark": "moved"}
    given = {"plan_id": contract.plan_id, "out_contract_code": contract.code, "json": body}
    ended = shop.instance.chain(path).post(**given).json()

    assert "TERMINATED" == ended["contract_state"]
    assert "MCH_API_TERMINATE" == ended["contract_terminate_info"]["contract_termination_mode"]
    with pytest.raises(APIError, match="INVALID_REQUEST"):
        shop.instance.chain(path).post(**given)


def test_signing_and_the_end_are_announced(shop):
    """The URL of the contract gets both events, with the documented members."""
    with serving() as server:
        contract = shop.contract(contract_notify_url=server.url)
        shop.sandbox.contracts.terminate(contract.code)
        events = [shop.sandbox.expect_callback(name) for name in ("ENTRUST.SIGN", "ENTRUST.TERMINATE")]

    assert all(event.is_acknowledged for event in events)
    assert contract.code == events[0].resource["out_contract_code"]
    documented.check_members(catalogue.events()["ENTRUST.TERMINATE"].resource, events[1].resource)


@pytest.mark.parametrize("number", ["unknown", "signed"])
def test_only_a_prepared_contract_is_signed(shop, number):
    """The error says in which state it is."""
    code = shop.contract().code if number == "signed" else "unknown"
    with pytest.raises(ConfigurationError, match="prepare a contract first"):
        shop.sandbox.contracts.sign(code)


def test_only_a_signed_contract_is_ended(shop):
    """The error says in which state it is."""
    with pytest.raises(ConfigurationError, match="unknown, not SIGNED"):
        shop.sandbox.contracts.terminate("unknown")


def test_unknown_payers_sign_nothing(shop):
    """Neither in the merchant's request nor in the payer's place."""
    path = "v3/papay/scheduled-deduct-sign/contracts/pre-entrust-sign/jsapi"
    given = documented.arguments(catalogue.find("POST", path))
    with pytest.raises(APIError, match="无效的openid"):
        shop.instance.chain(path).post(**documented.merge(given, {"json": {"openid": "nobody"}}))
    shop.instance.chain(path).post(**given)
    with pytest.raises(ConfigurationError, match="nobody"):
        shop.sandbox.contracts.sign(given["json"]["out_contract_code"], openid="nobody")


def test_signed_number_is_not_prepared_again(shop):
    """Another contract has another number."""
    code = shop.contract().code
    path = "v3/papay/scheduled-deduct-sign/contracts/pre-entrust-sign/jsapi"
    given = documented.arguments(catalogue.find("POST", path))
    with pytest.raises(APIError, match="INVALID_REQUEST"):
        shop.instance.chain(path).post(**documented.merge(given, {"json": {"out_contract_code": code}}))


def test_scheduled_deduction_is_paid(shop):
    """The order is paid, and the schedule says so; the same request again pays nothing more."""
    contract = shop.scheduled()
    number = apply(shop, contract)
    apply(shop, contract, number)
    found = order(shop, number)
    schedule = shop.instance.chain(SCHEDULE).get(contract_id=contract.contract_id).json()

    assert ("SUCCESS", "PAP", 1) == (found["trade_state"], found["trade_type"], found["amount"]["total"])
    assert ("PAID", 1) == (schedule["schedule_state"], schedule["deduct_amount"]["total"])


def test_deduction_from_a_poor_payer_fails(shop):
    """Both outcomes are announced; a failed number cannot be used again."""
    with serving() as server:
        contract = shop.scheduled(openid=f"{documented.PAYER}_poor")
        number = apply(shop, contract, transaction_notify_url=server.url)
        event = shop.sandbox.expect_callback("TRANSACTION.FAIL")

    assert ("PAY_FAIL", number) == (event.resource["trade_state"], event.resource["out_trade_no"])
    assert "PAY_FAIL" == order(shop, number)["trade_state"]
    with pytest.raises(APIError, match="ORDER_CLOSED"):
        apply(shop, contract, number, description="other")


@pytest.mark.parametrize("case", ["no schedule", "too early", "other amount", "too late", "ended"])
def test_deduction_outside_the_schedule_is_refused(shop, case):
    """The amount and the period are those of the schedule, and the contract is alive."""
    if case == "no schedule":
        contract = shop.contract()
    elif case == "too early":
        contract = shop.contract()
        body = {"appid": APP, "schedule_amount": {"total": 1}}
        shop.instance.chain(f"{SCHEDULE}/schedule").post(contract_id=contract.contract_id, json=body)
    else:
        contract = shop.scheduled()
    if case == "too late":
        shop.sandbox.advance(8 * 86400)
    if case == "ended":
        shop.sandbox.contracts.terminate(contract.code)
    total = 2 if case == "other amount" else 1
    with pytest.raises(APIError, match="INVALID_REQUEST"):
        apply(shop, contract, amount={"total": total})


def test_schedule_is_not_changed(shop):
    """The same amount again is the same schedule, another one is refused, and it expires."""
    contract = shop.scheduled()
    node = shop.instance.chain(f"{SCHEDULE}/schedule")
    body = {"appid": APP, "schedule_amount": {"total": 1}}
    again = node.post(contract_id=contract.contract_id, json=body).json()
    assert "SCHEDULED" == again["schedule_state"]
    with pytest.raises(APIError, match="INVALID_REQUEST"):
        node.post(contract_id=contract.contract_id, json={**body, "schedule_amount": {"total": 2}})
    shop.sandbox.advance(8 * 86400)
    found = shop.instance.chain(SCHEDULE).get(contract_id=contract.contract_id).json()

    assert "EXPIRED" == found["schedule_state"]


def test_unknown_contracts_are_not_found(shop):
    """404, whatever is asked of them."""
    body = {"appid": APP, "schedule_amount": {"total": 1}}
    calls = [
        lambda: shop.instance.chain(BY_CODE).get(plan_id="1", out_contract_code="x"),
        lambda: shop.instance.chain(f"{BY_CODE}/terminate").post(
            plan_id="1", out_contract_code="x", json={"contract_termination_remark": "x"}
        ),
        lambda: shop.instance.chain(SCHEDULE).get(contract_id="x"),
        lambda: shop.instance.chain(f"{SCHEDULE}/schedule").post(contract_id="x", json=body),
        lambda: shop.instance.chain("v3/edu-papay/contracts/id/x").get(query={"appid": APP}),
        lambda: shop.instance.chain("v3/edu-papay/contracts/x").delete(),
        lambda: shop.instance.chain("v3/edu-papay/user-notifications/x/send").post(json={"appid": APP}),
        lambda: shop.instance.chain("v3/edu-papay/transactions/out-trade-no/x").get(),
    ]
    for call in calls:
        with pytest.raises(APIError) as caught:
            call()

        assert 404 == caught.value.status_code


def test_education_contract_is_listed_until_it_ends(shop):
    """By its payer and plan, newest first."""
    contract = shop.enrolled()
    path = f"v3/edu-papay/user/{documented.PAYER}/contracts"
    query = {"appid": APP, "plan_id": "12535"}
    listed = shop.instance.chain(path).get(query=query).json()["data"]
    shop.instance.chain("v3/edu-papay/contracts/{contract_id}").delete(contract_id=contract.contract_id)
    ended = shop.instance.chain(path).get(query={**query, "contract_status": "DELETE"}).json()["data"]

    assert contract.contract_id == listed[0]["contract_information"]["contract_id"]
    assert contract.contract_id == ended[0]["contract_information"]["contract_id"]


@pytest.mark.parametrize("total", [0, -5])
def test_no_deduction_costs_less_than_a_fen(shop, total):
    """Nor is one scheduled."""
    contracts = {
        "v3/edu-papay/transactions": shop.enrolled(),
        "v3/papay/insurance-pay/transactions/apply": shop.insured(),
        f"{SCHEDULE}/schedule": shop.contract(),
    }
    count = len(shop.sandbox.orders)
    for path, contract in contracts.items():
        name = "schedule_amount" if path.endswith("schedule") else "amount"
        given = documented.arguments(catalogue.find("POST", path))
        given = documented.merge(given, {"json": {name: {"total": total}}})
        if "contract_id" in given:
            given["contract_id"] = contract.contract_id
        else:
            given["json"]["contract_id"] = contract.contract_id
        with pytest.raises(APIError) as caught:
            shop.instance.chain(path).post(**given)
        assert ("PARAM_ERROR", f"/{name}/total") == (caught.value.code, caught.value.detail["field"])

    assert count == len(shop.sandbox.orders)


def test_education_deduction_of_another_party_is_not_found(shop):
    """It is queried by the sub-merchant of its contract."""
    number = shop.tuition()["out_trade_no"]
    node = shop.instance.chain("v3/edu-papay/transactions/out-trade-no/{out_trade_no}")
    with pytest.raises(APIError, match="NOT_FOUND"):
        node.get(out_trade_no=number, query={"sub_mchid": "1900000888"})

    assert number == node.get(out_trade_no=number).json()["out_trade_no"]


def test_education_deduction_wants_a_notice(shop):
    """The payer is told first; a number is used once."""
    operation = catalogue.find("POST", "v3/edu-papay/transactions")
    contract = shop.enrolled(is_announced=False)
    changes = {"json": {"contract_id": contract.contract_id}}
    given = documented.merge(documented.arguments(operation), changes)
    with pytest.raises(APIError, match="INVALID_REQUEST"):
        shop.instance.chain(operation.template).post(**given)
    path = "v3/edu-papay/user-notifications/{contract_id}/send"
    shop.instance.chain(path).post(contract_id=contract.contract_id, json={"appid": APP})
    shop.instance.chain(operation.template).post(**given)
    with pytest.raises(APIError, match="ALREADY_EXISTS"):
        shop.instance.chain(operation.template).post(**given)
    with pytest.raises(APIError, match="NOT_FOUND"):
        shop.instance.chain(operation.template).post(
            **documented.merge(given, {"json": {"contract_id": "x", "out_trade_no": "N1x"}})
        )


def test_unknown_payer_does_not_enrol(shop):
    """The openid is checked."""
    body = {
        "appid": APP,
        "openid": "nobody",
        "plan_id": "1",
        "user_id": "1",
        "period_start_date": "1",
        "trade_scene": "EDUCATION_PERIOD",
    }
    with pytest.raises(APIError, match="无效的openid"):
        shop.instance.v3.eduPapay.contracts.presign.post(json=body)


INSURANCE = "v3/papay/insurance-sign/contracts/plan-id/{plan_id}/out-contract-code/{out_contract_code}"


def test_insurance_contract_is_signed_announced_and_ended(shop):
    """With events of its own, which have the documented members."""
    with serving() as server:
        contract = shop.insured(contract_notify_url=server.url)
        given = {"plan_id": contract.plan_id, "out_contract_code": contract.code}
        found = shop.instance.chain(INSURANCE).get(**given).json()
        body = {"contract_termination_remark": "moved"}
        ended = shop.instance.chain(f"{INSURANCE}/terminate").post(**given, json=body).json()
        names = ("INSURANCE_ENTRUST.SIGN", "INSURANCE_ENTRUST.TERMINATE")
        events = [shop.sandbox.expect_callback(name) for name in names]

    assert ("SIGNED", "TERMINATED") == (found["contract_state"], ended["contract_state"])
    assert found["insured_display_name"]
    # The documents want to know who ended it even when it is signed.
    documented.check_members(catalogue.events()[events[1].event].resource, events[1].resource)
    assert contract.code == events[0].resource["out_contract_code"]


def test_insurance_premium_is_deducted(shop):
    """Under a signed contract; it is an order like any other."""
    contract = shop.insured()
    operation = catalogue.find("POST", "v3/papay/insurance-pay/transactions/apply")
    given = documented.merge(documented.arguments(operation), {"json": {"contract_id": contract.contract_id}})
    shop.instance.chain(operation.template).post(**given)
    number = given["json"]["out_trade_no"]
    shop.sandbox.contracts.settle()

    assert ("SUCCESS", "PAP") == tuple(order(shop, number)[name] for name in ("trade_state", "trade_type"))
    shop.sandbox.contracts.terminate(contract.code)
    with pytest.raises(APIError, match="INVALID_REQUEST"):
        shop.instance.chain(operation.template).post(
            **documented.merge(given, {"json": {"out_trade_no": "OTHER1"}})
        )


def test_contract_is_signed_by_paying(shop):
    """The order names it; its callback is APIv2's."""
    info = {"plan_id": "77", "contract_code": documented.number(), "request_serial": "9"}
    with serving() as server:
        info |= {"contract_display_account": "me", "contract_notify_url": server.url}
        number = documented.number()
        body = {
            "appid": APP,
            "mchid": documented.MCHID,
            "description": "month",
            "out_trade_no": number,
            "notify_url": "https://shop.example.com/notify",
            "amount": {"total": 100},
            "payer": {"openid": documented.PAYER},
            "contract_info": info,
        }
        shop.instance.chain("v3/pay/transactions/jsapi-with-contract").post(json=body)
        assert shop.sandbox.contracts.find(code=info["contract_code"]) is None
        shop.sandbox.pay(number)
        event = shop.sandbox.expect_callback("v2/contract-signed")

    assert ("77", documented.PAYER, "9") == tuple(
        event.resource[name] for name in ("plan_id", "openid", "request_serial")
    )
    with pytest.raises(APIError, match="ORDER_PAID"):
        shop.instance.chain("v3/pay/transactions/jsapi-with-contract").post(json=body)
