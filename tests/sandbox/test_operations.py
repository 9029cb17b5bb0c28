"""What the sandbox knows: the documented operations, and the payers."""

from __future__ import annotations

import re
from datetime import datetime

import pytest

from wechatpay import catalogue
from wechatpay.sandbox import test_users

PAYER = "oUpF8uMuAJOM2pxb1Q"
CONTRACTS = f"/v3/edu-papay/user/{PAYER}/contracts"
PLAN = "appid=wx1&plan_id=12535"
AGREEMENTS = [
    catalogue.find("GET", template)
    for template in (
        "v3/edu-papay/user/{openid}/contracts",
        "v3/businesscircle/user-authorizations/{openid}",
        "v3/payscore/acquiringbank/permissions/authorization-code/{authorization_code}",
        "v3/palmservice/authorization/openid/{openid}",
    )
]
SCORE = "service_id=1&channel_id=2&sub_mchid=3"


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("contract_id", [18, 18, 18]),
        ("contract_status", ["ADD", "ADD", "DELETE"]),
    ],
)
def test_payer_has_two_contracts_and_an_ended_one(ask, field, values):
    """A tester finds both states with one payer."""
    _, body = ask(f"{CONTRACTS}?{PLAN}")
    found = [contract["contract_information"][field] for contract in body["data"]]

    assert values == [len(value) if field == "contract_id" else value for value in found]


@pytest.mark.parametrize(("status", "count"), [("ADD", 2), ("DELETE", 1)])
def test_contracts_are_filtered_by_status(ask, status, count):
    """Only the contracts asked for are listed and counted."""
    _, body = ask(f"{CONTRACTS}?{PLAN}&contract_status={status}")

    assert count == body["total_count"] == len(body["data"])
    assert {status} == {contract["contract_information"]["contract_status"] for contract in body["data"]}


@pytest.mark.parametrize(
    ("page", "indexes"),
    [
        ("", [0, 1, 2]),
        ("&limit=2", [0, 1]),
        ("&offset=2&limit=2", [2]),
        ("&offset=3", []),
        ("&offset=1", [1, 2]),
    ],
)
def test_contracts_come_in_pages(ask, page, indexes):
    """``offset`` and ``limit`` cut the list, ``total_count`` counts all of it."""
    everything = ask(f"{CONTRACTS}?{PLAN}")[1]["data"]
    _, body = ask(f"{CONTRACTS}?{PLAN}{page}")

    assert [everything[index] for index in indexes] == body["data"]
    assert 3 == body["total_count"]


def test_page_is_echoed(ask):
    """The response says which page it is."""
    _, body = ask(f"{CONTRACTS}?{PLAN}&offset=1&limit=1")

    assert (1, 1) == (body["offset"], body["limit"])


def test_contract_names_whom_it_concerns(ask):
    """What was asked for comes back in each contract."""
    _, body = ask(f"{CONTRACTS}?{PLAN}&sub_mchid=1900000108&sub_appid=wx2&sub_openid=o2")
    contract = body["data"][0]
    told = {name: contract[name] for name in contract if name != "contract_information"}

    assert {
        "sp_mchid": "1900000109",
        "appid": "wx1",
        "plan_id": "12535",
        "sub_mchid": "1900000108",
        "sub_appid": "wx2",
        "sub_openid": "o2",
        "openid": PAYER,
    } == told


@pytest.mark.parametrize(
    ("suffix", "contracts", "circle", "score", "palm"),
    [
        pytest.param("", 3, "AUTHORIZED", "AVAILABLE", "AUTHORIZATION_STATE_ON", id="customer"),
        pytest.param("_ended", 1, "DEAUTHORIZED", "UNAVAILABLE", "AUTHORIZATION_STATE_OFF", id="ended"),
        pytest.param("_never", 0, "UNAUTHORIZED", "UNBINDUSER", "AUTHORIZATION_STATE_NONE", id="never"),
    ],
)
def test_openid_tells_the_state(ask, suffix, contracts, circle, score, palm):
    """A tester reaches every state by what the openid, or the code, ends in."""
    openid = f"{PAYER}{suffix}"
    code = "v3/payscore/acquiringbank/permissions/authorization-code"

    assert contracts == ask(f"/v3/edu-papay/user/{openid}/contracts?{PLAN}")[1]["total_count"]
    assert circle == ask(f"/v3/businesscircle/user-authorizations/{openid}?appid=wx1")[1]["authorize_state"]
    assert score == ask(f"/{code}/12753421{suffix}?{SCORE}")[1]["authorization_state"]
    assert palm == ask(f"/v3/palmservice/authorization/openid/{openid}?organization_id=1")[1]["state"]


@pytest.mark.parametrize("suffix", ["", "_ended", "_never"])
def test_times_fit_the_state(ask, suffix):
    """Who never authorised has no times; who cancelled did so later."""
    _, body = ask(f"/v3/businesscircle/user-authorizations/{PAYER}{suffix}?appid=wx1")
    times = [body[name] for name in ("authorize_time", "deauthorize_time") if name in body]

    assert {"": 1, "_ended": 2, "_never": 0}[suffix] == len(times)
    assert sorted(times, key=datetime.fromisoformat) == times
    assert all(re.fullmatch(r"2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\+08:00", time) for time in times)


@pytest.mark.parametrize(
    "target",
    [
        f"/v3/edu-papay/user/nobody/contracts?{PLAN}",
        "/v3/businesscircle/user-authorizations/o%2F1234567890123456?appid=wx1",
        f"/v3/payscore/acquiringbank/permissions/authorization-code/1%202?{SCORE}",
        "/v3/palmservice/authorization/openid/o1?organization_id=1",
    ],
    ids=["contracts", "business circle", "pay score", "palm"],
)
def test_unknown_payer_is_an_error(ask, target):
    """What looks like no openid or code is nobody's: 404 RESOURCE_NOT_EXISTS."""
    status, body = ask(target)

    assert (404, "RESOURCE_NOT_EXISTS") == (status, body["code"])


def test_payers_are_the_same_in_every_sandbox(ask):
    """What a test wrote down yesterday holds today; and payers differ."""
    contract = ask(f"{CONTRACTS}?{PLAN}")[1]["data"][0]["contract_information"]

    assert {
        "contract_id": "954112794021668673",
        "contract_status": "ADD",
        "create_time": "2024-10-18T00:37:16+08:00",
    } == contract
    assert test_users.number("a", 10) != test_users.number("b", 10)


@pytest.mark.parametrize("operation", AGREEMENTS, ids=lambda operation: operation.template.split("/")[1])
@pytest.mark.parametrize("suffix", ["", "_ended", "_never"])
def test_responses_hold_to_the_documents(ask, operation, suffix):
    """Responses have every required field and no unknown one, each of the documented type."""
    path = operation.template.format(openid=f"{PAYER}{suffix}", authorization_code=f"12753421{suffix}")
    needed = [field for field in operation.query.values() if field.required]
    query = "&".join(f"{parameter.name}=1" for parameter in needed)
    status, body = ask(f"/{path}?{query}")

    assert 200 == status
    check(operation.response, body)


def check(known, body):
    """Hold a JSON object to its documented fields."""
    assert body.keys() <= known.keys()
    assert {name for name, field in known.items() if field.required} <= body.keys()
    for name, value in body.items():
        field = known[name]
        for item in value if field.type.endswith("[]") else [value]:
            expected = {"object": dict, "integer": int}.get(field.type.removesuffix("[]"), str)
            assert expected is type(item)
            assert not field.enum or item in field.enum
            if isinstance(item, dict):
                check(field.fields, item)
