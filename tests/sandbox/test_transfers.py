"""Transfers to users: created, confirmed by the payee, queried, cancelled, overdue."""

from __future__ import annotations

from decimal import Decimal

import documented
import pytest
import sandboxes
from shops import serving

from wechatpay import APIError, Builder, ConfigurationError, Sensitive
from wechatpay.sandbox import Sandbox

SCENE, REPORTS, PERCEPTION = "transfer_scene_id", "transfer_scene_report_infos", "user_recv_perception"


@pytest.fixture(scope="module")
def sandbox():
    """Give a running sandbox."""
    with Sandbox(identity=sandboxes.identity()) as running:
        yield running


@pytest.fixture
def bills(instance):
    """Give the node of transfers."""
    return instance.chain("v3/fund-app/mch-transfer/transfer-bills")


def transfer(sandbox, number, **changes):
    """Give the parameters of a transfer of one yuan."""
    usual = {
        "appid": sandbox.identity.app["appid"],
        "out_bill_no": number,
        "openid": "oUpF8uMuAJOM2pxb1Q",
        "transfer_amount": 100,
        "transfer_remark": "thanks",
        "transfer_scene_id": "1000",
        "transfer_scene_report_infos": infos("活动名称", "奖励说明"),
    }
    return {**usual, **changes}


def infos(*types, content="抽奖"):
    """Give the reports of a scene."""
    return [{"info_type": name, "info_content": content} for name in types]


def query(instance, number):
    """Query a transfer."""
    path = "v3/fund-app/mch-transfer/transfer-bills/out-bill-no/{out_bill_no}"
    return instance.chain(path).get(out_bill_no=number).json()


def cancel(instance, number):
    """Cancel a transfer."""
    path = "v3/fund-app/mch-transfer/transfer-bills/out-bill-no/{out_bill_no}/cancel"
    return instance.chain(path).post(out_bill_no=number).json()


def refused(call, *given, **named):
    """Return status and code of an error."""
    with pytest.raises(APIError) as caught:
        call(*given, **named)
    return caught.value.status_code, caught.value.code


def test_transfer_waits_for_the_payee(sandbox, instance, bills):
    """It has what the payee's page needs; confirmed, it is ``SUCCESS``."""
    created = bills.post(json=transfer(sandbox, "WAIT1")).json()
    waiting = query(instance, "WAIT1")
    confirmed = sandbox.confirm_transfer("WAIT1")

    assert created["package_info"]
    assert ["WAIT_USER_CONFIRM"] * 2 == [created["state"], waiting["state"]]
    assert "SUCCESS" == confirmed == query(instance, "WAIT1")["state"]


def test_both_numbers_find_a_transfer(sandbox, instance, bills):
    """The merchant's and WeChat Pay's give the same."""
    number = bills.post(json=transfer(sandbox, "BOTH1")).json()["transfer_bill_no"]
    path = "v3/fund-app/mch-transfer/transfer-bills/transfer-bill-no/{transfer_bill_no}"
    found = instance.chain(path).get(transfer_bill_no=number).json()

    assert query(instance, "BOTH1") == found
    assert (100, "BOTH1") == (found["transfer_amount"], found["out_bill_no"])
    wrong = {"transfer_bill_no": "1330000000000000000000000000000"}
    assert (404, "NOT_FOUND") == refused(instance.chain(path).get, **wrong)


def test_repeated_transfer_is_the_same(sandbox, bills):
    """The money moves once; the number with other parameters is refused."""
    first, again = (bills.post(json=transfer(sandbox, "AGAIN1")).json() for _ in range(2))

    assert first == again
    other = transfer(sandbox, "AGAIN1", transfer_amount=101)
    assert (400, "INVALID_REQUEST") == refused(bills.post, json=other)


def test_repeated_transfer_after_confirmation_needs_no_page(sandbox, bills):
    """It says ``SUCCESS``, and has nothing to confirm."""
    bills.post(json=transfer(sandbox, "AGAIN2"))
    sandbox.confirm_transfer("AGAIN2")
    again = bills.post(json=transfer(sandbox, "AGAIN2")).json()

    assert "SUCCESS" == again["state"]
    assert "package_info" not in again


def test_cancelled_transfer_is_final(sandbox, instance, bills):
    """Cancelling again changes nothing, and the payee cannot confirm."""
    bills.post(json=transfer(sandbox, "CANCEL1"))
    states = [cancel(instance, "CANCEL1")["state"] for _ in range(2)]

    assert ["CANCELLED"] * 2 == states
    assert "CANCELLED" == query(instance, "CANCEL1")["state"]
    with pytest.raises(ConfigurationError, match="CANCELLED"):
        sandbox.confirm_transfer("CANCEL1")


def test_confirmed_transfer_is_not_cancelled(sandbox, instance, bills):
    """The money has gone."""
    bills.post(json=transfer(sandbox, "GONE1"))
    sandbox.confirm_transfer("GONE1")

    assert (400, "INVALID_REQUEST") == refused(cancel, instance, "GONE1")
    with pytest.raises(ConfigurationError, match="SUCCESS"):
        sandbox.confirm_transfer("GONE1")


def test_unknown_transfer_is_not_found(sandbox, instance):
    """404 for the merchant; an error that says so for the payee."""
    assert (404, "NOT_FOUND") == refused(query, instance, "NOWHERE1")
    assert (404, "NOT_FOUND") == refused(cancel, instance, "NOWHERE1")
    with pytest.raises(ConfigurationError, match="unknown"):
        sandbox.confirm_transfer("NOWHERE1")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"out_bill_no": "WITH-DASH"}, "PARAM_ERROR"),
        ({"out_bill_no": "1" * 33}, "PARAM_ERROR"),
        ({"openid": "nobody"}, "INVALID_REQUEST"),
        ({"transfer_amount": 9}, "INVALID_REQUEST"),
        ({"transfer_amount": "100"}, "PARAM_ERROR"),
        ({"transfer_amount": Decimal("100.5")}, "PARAM_ERROR"),
        ({"transfer_scene_id": "1"}, "PARAM_ERROR"),
        ({"transfer_scene_report_infos": {}}, "PARAM_ERROR"),
        ({"transfer_scene_report_infos": [{"info_type": "活动名称"}]}, "PARAM_ERROR"),
        ({"user_name": "张三"}, "PARAM_ERROR"),
        pytest.param({"transfer_amount": 200_000}, "PARAM_ERROR", id="2,000 yuan without a name"),
        pytest.param({"transfer_remark": "谢" * 33}, "PARAM_ERROR", id="long remark"),
        pytest.param({REPORTS: []}, "PARAM_ERROR", id="no report"),
        pytest.param({REPORTS: infos("活动名称")}, "PARAM_ERROR", id="half a report"),
        pytest.param({REPORTS: infos("活动名称", "岗位类型")}, "PARAM_ERROR", id="other report"),
        pytest.param({REPORTS: infos("活动名称", "奖励说明", "奖励说明")}, "PARAM_ERROR", id="report twice"),
        pytest.param({SCENE: "1009", REPORTS: infos("类" * 16)}, "PARAM_ERROR", id="long type"),
        pytest.param(
            {SCENE: "1009", REPORTS: infos("类", content="抽" * 33)}, "PARAM_ERROR", id="long report"
        ),
        pytest.param({PERCEPTION: "退款"}, "INVALID_REQUEST", id="perception of another scene"),
        pytest.param(
            {SCENE: "1005", REPORTS: infos("岗位类型", "报酬说明"), PERCEPTION: "现金奖励"},
            "INVALID_REQUEST",
            id="perception of a scene that has none",
        ),
    ],
    ids=str,
)
def test_wrong_parameter_is_refused(sandbox, bills, changes, code):
    """Nothing is created."""
    given = transfer(sandbox, "WRONG1", **changes)

    assert (400, code) == refused(bills.post, json=given, check=False)
    with pytest.raises(ConfigurationError, match="unknown"):
        sandbox.confirm_transfer(given["out_bill_no"])


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({REPORTS: infos("奖励说明", "活动名称"), PERCEPTION: "现金奖励"}, id="prize"),
        pytest.param({SCENE: "1005", REPORTS: infos("岗位类型", "报酬说明")}, id="commission"),
        pytest.param({SCENE: "1011", REPORTS: infos("赔付原因"), PERCEPTION: "退款"}, id="compensation"),
        pytest.param({SCENE: "1009", REPORTS: infos("类" * 15, content="抽" * 32)}, id="undocumented scene"),
        pytest.param({"transfer_amount": 200_000, "user_name": Sensitive("张三")}, id="with a name"),
        pytest.param({"transfer_amount": 199_999, "transfer_remark": "谢" * 32}, id="without a name"),
    ],
)
def test_transfer_within_the_rules_is_accepted(sandbox, bills, changes):
    """Of the scene and of the amount."""
    given = transfer(sandbox, documented.number(), **changes)

    assert "WAIT_USER_CONFIRM" == bills.post(json=given).json()["state"]


def test_transfer_is_found_for_30_days(sandbox, instance, bills):
    """The tester sees it longer."""
    bills.post(json=transfer(sandbox, "OLD1"))
    sandbox.advance(30 * 86400 - 60)
    query(instance, "OLD1")
    sandbox.advance(61)

    assert (404, "NOT_FOUND") == refused(query, instance, "OLD1")
    assert "OLD1" in [found["out_bill_no"] for found in sandbox.transfers]


def test_end_of_a_transfer_is_told(sandbox, bills):
    """The callback has the state and the amount."""
    with serving() as shop:
        bills.post(json=transfer(sandbox, "TOLD1", notify_url=shop.url))
        sandbox.confirm_transfer("TOLD1")
        sandbox.expect_callback("MCHTRANSFER.BILL.FINISHED")
        ((_, headers, body),) = shop.received
    found = Builder(**sandbox.settings()).getDriver().notifications().parse(headers, body).resource

    assert ("TOLD1", "SUCCESS", 100) == (found["out_bill_no"], found["state"], found["transfer_amount"])


def test_transfer_fails_after_a_day(sandbox, instance, bills):
    """Who did not confirm in time, gets nothing."""
    bills.post(json=transfer(sandbox, "LATE1"))
    sandbox.advance(86401)
    found = query(instance, "LATE1")

    assert ("FAIL", "OVERDUE_CLOSE") == (found["state"], found["fail_reason"])
