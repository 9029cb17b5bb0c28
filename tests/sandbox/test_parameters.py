"""Paths find their operation, and parameters hold to its rules."""

from __future__ import annotations

import dataclasses

import documented
import pytest
import sandboxes

from wechatpay import APIError, catalogue
from wechatpay.catalogue import Field
from wechatpay.sandbox.parameters import check, check_texts

PAYER = "oUpF8uMuAJOM2pxb1Q"
CONTRACTS = f"/v3/edu-papay/user/{PAYER}/contracts"
PLAN = "appid=wx1&plan_id=12535"


@pytest.mark.parametrize(
    ("query", "field", "value"),
    [
        pytest.param("plan_id=1", "appid", None, id="missing"),
        pytest.param("plan_id=1&appid=", "appid", None, id="empty"),
        pytest.param(f"{PLAN}&appid=wx2", "appid", ["wx1", "wx2"], id="twice"),
        pytest.param(f"{PLAN}&contract_status=add", "contract_status", "add", id="not in the enumeration"),
        pytest.param(f"{PLAN}&limit=1.5", "limit", "1.5", id="no integer"),
        pytest.param(f"{PLAN}&limit=", "limit", "", id="empty integer"),
        pytest.param(f"{PLAN}&limit={'9' * 5000}", "limit", "9" * 5000, id="endless integer"),
        pytest.param(f"{PLAN}&limit=%EF%BC%91", "limit", "１", id="other digit"),
        pytest.param(f"{PLAN}&limit=0", "limit", "0", id="limit too small"),
        pytest.param(f"{PLAN}&offset=-1", "offset", "-1", id="offset too small"),
    ],
)
def test_wrong_parameter_is_named(ask, query, field, value):
    """A 400 PARAM_ERROR says which parameter breaks which rule."""
    status, body = ask(f"{CONTRACTS}?{query}")

    assert (400, "PARAM_ERROR") == (status, body["code"])
    assert {"field": field, "value": value, "issue": body["message"], "location": "query"} == body["detail"]
    assert f"“/query/{field}”" in body["message"]


@pytest.mark.parametrize("scene", ["jsapi", "jsapi-with-contract", "miniprogram"])
def test_payer_of_a_partners_order_is_named_by_one_of_two(instance, scene):
    """The error names the first one."""
    template = f"v3/pay/partner/transactions/{scene}"
    given = documented.arguments(catalogue.find("POST", template))
    with pytest.raises(APIError) as caught:
        instance.chain(template).post(json=given["json"] | {"payer": {}})

    assert (400, "PARAM_ERROR") == (caught.value.status_code, caught.value.code)
    assert "/payer/sp_openid" == caught.value.detail["field"]


def test_unknown_parameters_are_ignored(ask):
    """As WeChat Pay does."""
    assert 200 == ask(f"{CONTRACTS}?{PLAN}&colour=red")[0]


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        ("integer", "-1", "1e3"),
        ("number", "1.50", "1."),
        ("boolean", "true", "yes"),
        ("string", "yes", None),
        ("integer[]", "1", "x"),
    ],
)
def test_types_are_checked(type_, good, bad):
    """Every type that a query's parameter has in the catalogue is checked."""
    parameter = Field("x", type_, required=False)

    assert check_texts(parameter, "query", [good]) is None
    assert bad is None or check_texts(parameter, "query", [bad]).value == bad


def test_list_may_repeat_its_name():
    """Of a list's values each is checked."""
    parameter = Field("x", "string[]", required=True, enum=("A", "B"))

    assert check_texts(parameter, "query", ["A", "B"]) is None
    assert "C" == check_texts(parameter, "query", ["A", "C"]).value


def test_length_is_in_bytes():
    """What is too long as UTF-8 is too long."""
    parameter = Field("x", "string", required=True, max_length=6)

    assert check_texts(parameter, "body", ["微信"]) is None
    assert "6字节" in check_texts(parameter, "body", ["微信a"]).rule


def test_parameters_of_the_path_are_checked():
    """Rules hold in the path, too."""
    operation = catalogue.find("GET", CONTRACTS)
    wrong = Field("openid", "integer", required=True)
    changed = dataclasses.replace(operation, path={"openid": wrong}, query={})

    assert "path" == check(changed, {"path": {"openid": ["x"]}, "query": {}}).location


@pytest.mark.parametrize(
    "target",
    [
        "/v3",
        "/v3/nowhere",
        f"{CONTRACTS}/",
        f"/{CONTRACTS}",
        "/v3/edu-papay/user//contracts",
        "/V3/certificates",
    ],
)
def test_unknown_path_is_an_error(ask, target):
    """404 RESOURCE_NOT_EXISTS; an empty value is no value."""
    status, body = ask(target)

    assert (404, "RESOURCE_NOT_EXISTS") == (status, body["code"])


def test_other_method_is_an_error(ask):
    """A path that exists says so."""
    status, body = ask(CONTRACTS, "POST")

    assert (405, "METHOD_NOT_ALLOWED") == (status, body["code"])
    assert "POST" in body["message"]


def test_decoded_segment_is_one_value():
    """An encoded slash does not split a value."""
    assert ("v3", "a/b", "") == sandboxes.received(target="/v3/a%2Fb/?c").segments
