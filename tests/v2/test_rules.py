"""What is known of single paths, whatever their spelling."""

from __future__ import annotations

import pytest

from wechatpay import rules


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ("v3/billdownload/file", True),
        ("V3/BillDownload/FILE", True),
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
    assert expected == rules.is_unsigned(route)


@pytest.mark.parametrize(
    "route", ["v3/statements", "V3/Statements", "hk/v3/statements", "v3/global/statements"]
)
def test_statements_are_known_in_any_case(route):
    """So are paths that are signed over a digest."""
    assert rules.is_digest_signed(route)
    assert not rules.is_digest_signed(f"{route}/x")


@pytest.mark.parametrize(
    ("rule", "route"),
    [
        (rules.is_unsigned_v2, "v3/billdownload/file"),
        (rules.is_unsigned_v2, "v2/pay/downloadbill"),
        (rules.answers_with_a_file, "pay/downloadbills"),
        (rules.needs_certificate, "pay/orderquery"),
        (rules.names_no_merchant, "applyment/micro/submit"),
        (rules.wants_a_query, "secapi/pay/refund"),
        (rules.answers_in_json, "appauth/getaccesstokens"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_rules_of_apiv2_are_for_whole_paths(rule, route):
    """A rule holds for the paths it names, and for none that looks like one."""
    assert not rule(route)
