"""What is known of single paths, whatever their spelling."""

from __future__ import annotations

import pytest

from wechatpay.apiv2 import rules
from wechatpay.apiv3 import rules as apiv3_rules


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ("v3/billdownload/file", True),
        ("V3/BillDownload/FILE", True),
        ("v3/bill/downloadurl", True),
        ("v3/bill/tradebill", False),
        ("hk/v3/billdownload/file", True),
        ("Global/V3/billdownload/file", True),
        ("v3/merchant-service/images/AbC", True),
        ("v3/Merchant-Service/images/Upload", False),
        ("v3/billdownload/files", False),
        ("x/v3/billdownload/file", False),
        ("pay/downloadbill", False),
    ],
)
def test_unsigned_paths_are_known_in_any_case(route, expected):
    """Paths that come without a signature are compared without regard to case, and as a whole."""
    assert expected == apiv3_rules.is_unsigned(route)


@pytest.mark.parametrize(
    "route", ["v3/statements", "V3/Statements", "hk/v3/statements", "v3/global/statements"]
)
def test_statements_are_known_in_any_case(route):
    """So are paths that are signed over a digest."""
    assert apiv3_rules.is_digest_signed(route)
    assert not apiv3_rules.is_digest_signed(f"{route}/x")


def test_next_step_names_the_query_of_the_operation():
    """What may have moved money is queried by its own number; a query is sent again."""
    assert "pay/refundquery by out_refund_no" in rules.next_step("Secapi/pay/refund")
    assert "mmpaymkttransfers/gethbinfo by mch_billno" in rules.next_step("mmpaymkttransfers/sendredpack")
    assert "same number only" in rules.next_step("x/y")
    for route in ("pay/orderquery", "mmpaymkttransfers/gethbinfo", "pay/downloadbill"):
        assert "send it again" in rules.next_step(route)


@pytest.mark.parametrize(
    ("rule", "route"),
    [
        (rules.is_unsigned, "v3/billdownload/file"),
        (rules.is_unsigned, "v2/pay/downloadbill"),
        (rules.returns_file, "pay/downloadbills"),
        (rules.needs_certificate, "pay/orderquery"),
        (rules.carries_no_merchant_id, "applyment/micro/submit"),
        (rules.needs_query_after_error, "secapi/pay/refund"),
        (rules.returns_json, "appauth/getaccesstokens"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_rules_of_apiv2_are_for_whole_paths(rule, route):
    """A rule holds for the paths it names, and for none that looks like one."""
    assert not rule(route)
