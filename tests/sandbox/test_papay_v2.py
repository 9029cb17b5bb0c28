"""Contracts and deductions of APIv2: one store with APIv3, one ledger with all orders."""

from __future__ import annotations

import documented
import pytest
import sandboxes
from scenes import APP, Shop
from shops import serving

from wechatpay import APIError, Builder, ConfigurationError, catalogue
from wechatpay.sandbox import Sandbox
from wechatpay.transformer import to_dict

OURS = {"appid": APP, "mch_id": documented.MCHID}
POOR = f"{documented.PAYER}_poor"


@pytest.fixture(scope="module")
def shop():
    """Give a shop with a running sandbox, which is called over TLS."""
    with Sandbox(identity=sandboxes.identity()) as sandbox, Builder(**sandbox.settings(tls=True)) as instance:
        yield Shop(sandbox, instance)


def query(shop, contract):
    """Query a contract by the plan and the merchant's number."""
    named = {"plan_id": contract.plan_id, "contract_code": contract.code, "version": "1.0"}
    return shop.instance.v2.papay.querycontract.post(xml={**OURS, **named}, nonceless=True).xml()


def deduct(shop, contract_id, **changes):
    """Apply for a deduction, and return its number."""
    operation = catalogue.find("POST", "v2/pay/pappayapply")
    changes = {"contract_id": contract_id, "trade_type": "PAP", **changes}
    given = documented.merge(documented.arguments(operation), {"xml": changes})
    shop.instance.v2.pay.pappayapply.post(**given)
    return given["xml"]["out_trade_no"]


def order(shop, number):
    """Query a deduction."""
    return shop.instance.v2.pay.paporderquery.post(xml={**OURS, "out_trade_no": number}).xml()


def refused(call, *arguments, **changes):
    """Return the code of the error."""
    with pytest.raises(APIError) as caught:
        call(*arguments, **changes)
    return caught.value.code


def test_contract_is_signed_and_ended(shop):
    """Its state is 0, afterwards 1, with who ended it; it cannot be ended twice."""
    contract = shop.v2_contract()
    assert ("0", documented.PAYER) == tuple(query(shop, contract)[n] for n in ("contract_state", "openid"))

    end = {"contract_id": contract.contract_id, "contract_termination_remark": "moved", "version": "1.0"}
    ended = shop.instance.v2.papay.deletecontract.post(xml={**OURS, **end}).xml()
    found = query(shop, contract)

    assert contract.code == ended["contract_code"]
    assert ("1", "3", "moved") == tuple(
        found[f"contract_{name}"] for name in ("state", "termination_mode", "termination_remark")
    )
    assert "CONTRACTERROR" == refused(shop.instance.v2.papay.deletecontract.post, xml={**OURS, **end})


def test_deduction_of_another_party_does_not_exist(shop):
    """It is queried by the sub-merchant of its contract, under its own numbers."""
    sub = {"sub_mch_id": "1900000110"}
    apply, node = (
        catalogue.find("POST", f"v2/pay/partner/{name}") for name in ("pappayapply", "paporderquery")
    )
    contract, number = shop.v2_contract(**sub), documented.number()
    changes = {"contract_id": contract.contract_id, "out_trade_no": number, **sub}
    given = documented.merge(documented.arguments(apply), {"xml": changes})
    shop.instance.chain(apply.template).post(**given)
    find = shop.instance.chain(node.template).post

    for party in (
        {},
        {"sub_mch_id": "1900000888"},
        {**sub, "transaction_id": shop.paid_id(shop.v2_deducted())},
    ):
        assert "ORDERNOTEXIST" == refused(find, xml={**OURS, "out_trade_no": number, **party})
    assert "SUCCESS" == find(xml={**OURS, "out_trade_no": number, **sub}).xml()["trade_state"]


@pytest.mark.parametrize("path", ["querycontract", "deletecontract"])
def test_unknown_contract_does_not_exist(shop, path):
    """Neither by WeChat Pay's number, nor by the merchant's without the plan."""
    contract = shop.v2_contract()
    for named in ({"contract_id": "1"}, {"contract_code": contract.code}, {}):
        body = {**OURS, **named, "version": "1.0", "contract_termination_remark": "moved"}
        assert "CONTRACT_NOT_EXIST" == refused(shop.instance.v2.papay[path].post, xml=body)


def test_contract_of_apiv2_is_found_in_apiv3(shop):
    """Both protocols show one store."""
    contract = shop.v2_contract(plan_id="12535")
    path = "v3/papay/sign/contracts/plan-id/{plan_id}/out-contract-code/{out_contract_code}"
    found = shop.instance.chain(path).get(plan_id="12535", out_contract_code=contract.code).json()

    assert (contract.contract_id, "SIGNED") == (found["contract_id"], found["contract_state"])


def test_contract_is_signed_in_the_browser(shop):
    """The page leads there; the same number can be prepared again until somebody signs."""
    operation = catalogue.find("GET", "v2/papay/h5entrustweb")
    given = documented.arguments(operation)
    pages = [shop.instance.v2.papay.h5entrustweb.get(**given).xml()["redirect_url"] for _ in range(2)]
    code = given["query"]["contract_code"]
    shop.sandbox.contracts.sign(code, openid=f"{documented.PAYER}h5")

    assert pages[0] == pages[1]
    assert refused(shop.instance.v2.papay.h5entrustweb.get, **given) in {"INVALID_REQUEST", "FAIL"}


def test_payer_has_one_contract_of_a_plan(shop):
    """A second one is signed once the first one has ended."""
    contract = shop.v2_contract()
    with pytest.raises(ConfigurationError, match="has a contract"):
        shop.v2_contract(plan_id=contract.plan_id)
    shop.sandbox.contracts.terminate(contract.code)

    assert "SIGNED" == shop.v2_contract(plan_id=contract.plan_id).state


def test_signing_and_the_end_are_announced_in_xml(shop):
    """The URL of the contract gets both, with the merchant's serial number of the request."""
    with serving() as server:
        contract = shop.v2_contract(notify_url=server.url, request_serial=1695)
        shop.sandbox.contracts.terminate(contract.code)
        names = ("v2/contract-signed", "v2/contract-ended")
        events = [shop.sandbox.expect_callback(name) for name in names]
        received = [to_dict(body.decode()) for _, _, body in server.received]

    assert ["ADD", "DELETE"] == [event.resource["change_type"] for event in events]
    assert [("1695", contract.contract_id)] * 2 == [(r["request_serial"], r["contract_id"]) for r in received]
    assert "2" == received[1]["contract_termination_mode"]


@pytest.mark.parametrize("way", ["sync", "async"])
def test_deduction_is_paid_once(shop, way):
    """The same number again is paid already, whatever it asks for."""
    contract = shop.v2_contract()
    number = documented.number()
    operation = catalogue.find("POST", "v2/pay/pappayapply")
    changes = {"contract_id": contract.contract_id, "out_trade_no": number, "trade_type": "PAP"}
    given = documented.merge(documented.arguments(operation), {"xml": changes})
    node = shop.instance.v2.pay.pappayapply
    if way == "async":
        node.postAsync(**given).wait()
    else:
        node.post(**given)
    found = order(shop, number)

    assert ("SUCCESS", "PAP", "1") == (found["trade_state"], found["trade_type"], found["total_fee"])
    assert "ORDERPAID" == refused(node.post, **given)
    assert "ORDERPAID" == refused(node.post, **documented.merge(given, {"xml": {"total_fee": 2}}))


def test_deduction_from_a_poor_payer_fails(shop):
    """The callback says why; the number is closed."""
    contract = shop.v2_contract(openid=POOR)
    with serving() as server:
        number = deduct(shop, contract.contract_id, notify_url=server.url)
        event = shop.sandbox.expect_callback("v2/payment")

    assert ("FAIL", "NOTENOUGH", "PAY_FAIL") == tuple(
        event.resource[name] for name in ("result_code", "err_code", "trade_state")
    )
    assert "PAY_FAIL" == order(shop, number)["trade_state"]
    assert "ORDERCLOSED" == refused(deduct, shop, contract.contract_id, out_trade_no=number)


def test_deduction_is_announced(shop):
    """With the contract, and as the order is queried."""
    contract = shop.v2_contract()
    with serving() as server:
        server.replies = [(200, b"<xml><return_code>SUCCESS</return_code></xml>")]
        number = deduct(shop, contract.contract_id, notify_url=server.url, attach="May")
        event = shop.sandbox.expect_callback("v2/payment")
    found = order(shop, number)

    assert event.is_acknowledged
    assert (contract.contract_id, "SUCCESS") == (event.resource["contract_id"], event.resource["trade_state"])
    for name in ("transaction_id", "out_trade_no", "attach", "openid", "time_end"):
        assert found[name] == event.resource[name]


def test_deduction_needs_a_signed_contract(shop):
    """Another one's, an ended one and one for a free deduction are refused."""
    contract = shop.v2_contract()
    assert "PARAM_ERROR" == refused(deduct, shop, contract.contract_id, total_fee=0)
    shop.sandbox.contracts.terminate(contract.code)

    assert "CONTRACTERROR" == refused(deduct, shop, contract.contract_id)
    assert "CONTRACT_NOT_EXIST" == refused(deduct, shop, "1")


def test_unknown_deduction_does_not_exist(shop):
    """An ordinary order is no deduction."""
    assert "ORDERNOTEXIST" == refused(order, shop, documented.number())
    assert "ORDERNOTEXIST" == refused(order, shop, shop.v2_paid().out_trade_no)


def test_deduction_is_refunded(shop):
    """As any order is, on one ledger."""
    number = shop.v2_deducted(total_fee=100)
    shop.sandbox.contracts.settle()
    refund = {"out_trade_no": number, "out_refund_no": documented.number(), "total_fee": 100}
    shop.instance.v2.secapi.pay.refund.post(xml={**OURS, **refund, "refund_fee": 30}, security=True)

    assert "REFUND" == order(shop, number)["trade_state"]
    assert 30 == shop.sandbox.orders[number].refunded


def contract_order(shop, **changes):
    """Place an order whose payer signs a contract by paying; return its parameters and the response."""
    operation = catalogue.find("POST", "v2/pay/contractorder")
    plan = {"plan_id": int(documented.number()[1:]), "trade_type": "NATIVE"}
    given = documented.merge(documented.arguments(operation), {"xml": {**plan, **changes}})
    return given["xml"], shop.instance.v2.pay.contractorder.post(**given).xml()


def test_contract_is_signed_with_the_payment(shop):
    """It is not signed before, and the payer is the order's."""
    given, response = contract_order(shop)
    named = {"plan_id": given["plan_id"], "contract_code": given["contract_code"], "version": "1.0"}
    node = shop.instance.v2.papay.querycontract
    assert "SUCCESS" == response["contract_result_code"]
    assert response["code_url"].startswith("weixin://")
    assert "CONTRACT_NOT_EXIST" == refused(node.post, xml={**OURS, **named})

    payer = f"{documented.PAYER}x"
    shop.sandbox.pay(given["out_trade_no"], openid=payer)

    assert payer == node.post(xml={**OURS, **named}).xml()["openid"]


def test_order_is_placed_although_the_contract_is_not(shop):
    """The response says so, and the payment signs nothing."""
    contract = shop.v2_contract()
    given, response = contract_order(shop, contract_code=contract.code)
    shop.sandbox.pay(given["out_trade_no"])

    assert ("FAIL", "INVALID_REQUEST") == (response["contract_result_code"], response["contract_err_code"])
    assert contract == shop.sandbox.contracts.find(code=contract.code)


def test_wrong_order_prepares_no_contract(shop):
    """The errors are those of any order."""
    given, _ = contract_order(shop)
    shop.sandbox.pay(given["out_trade_no"])

    assert "PARAM_ERROR" == refused(contract_order, shop, total_fee=0)
    assert "ORDERPAID" == refused(contract_order, shop, out_trade_no=given["out_trade_no"])


def test_signed_number_is_not_prepared_again(shop):
    """Another contract has another number."""
    contract = shop.v2_contract()
    operation = catalogue.find("POST", "v2/papay/preentrustweb")
    given = documented.merge(documented.arguments(operation), {"xml": {"contract_code": contract.code}})

    assert "INVALID_REQUEST" == refused(shop.instance.v2.papay.preentrustweb.post, **given)


def test_contract_is_ended_in_a_documented_way(shop):
    """The error names those that there are."""
    contract = shop.v2_contract()
    with pytest.raises(ConfigurationError, match="USER_TERMINATE"):
        shop.sandbox.contracts.terminate(contract.code, "BORED")
