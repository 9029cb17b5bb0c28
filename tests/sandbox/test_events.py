"""The sandbox's examples of events: realistic, documented, and changed at will."""

from __future__ import annotations

import json
from pathlib import Path

import documented
import pytest
import sandboxes
from cases import each
from sandboxes import NOW

from wechatpay import Builder, catalogue
from wechatpay.sandbox.events import known
from wechatpay.testing import Platform

V3 = [name for name in known() if not name.startswith("v2/")]

#: What the table of documented events calls those of APIv2.
DOCUMENTED = {
    "v2/combined-payment": "combined-transactions-success",
    "v2/risk": "transactions-risk-occurred",
    "v2/vehicle": "vehicle-state-changed-for-parking",
    "v2/payment": "transaction-success",
    "v2/refund": "refund-processed",
    "v2/contract-signed": "pap-contract-state-changed",
    "v2/contract-ended": "pap-contract-state-changed",
}

#: Fields that WeChat Pay's pages have, though not that table.
ALSO = {"mchid", "trade_type", "trade_state_desc", "cash_fee", "result_code", "return_code"}


#: Events whose examples are of a direct merchant, while the documents show a partner's or institution's.
OTHERS = {"PAYSCORE.USER_CONFIRM", "PAYSCORE.USER_PAID", "VEHICLE.ENTRANCE_STATE_CHANGE"}


@pytest.fixture
def read():
    """Give a function that has a callback made and read."""
    platform = Platform(identity=sandboxes.identity(), clock=lambda: NOW)
    handler = Builder(**platform.settings()).getDriver().notifications()

    def read(*event, **details):
        callback = platform.notification(*event, **details)
        return handler.parse(callback.headers, callback.body)

    return read


@each("name", catalogue.events())
def test_every_documented_event_is_read(read, name):
    """All 112 callbacks can be sent; their resources have the documented members."""
    event, found = catalogue.events()[name], read(name)

    assert event.version == found.version
    assert found.event_type in {"", name.removesuffix("@v2")}
    if event.resource and not event.variants and name not in OTHERS:
        documented.check_members(event.resource, found.resource, is_v2=event.version == "v2")


@each("event", V3)
def test_every_example_of_apiv3_is_read(read, event):
    """The most used events come with their summaries, and as of now."""
    found = read(event)

    assert (event, "v3", NOW) == (found.event_type, found.version, found.create_time.timestamp())
    assert found.id.startswith("EV-20231115")
    assert found.summary


@pytest.mark.parametrize(
    ("event", "original"),
    [
        ("v2/payment", "transaction"),
        ("v2/refund", "refund"),
        ("v2/contract-signed", ""),
        ("v2/contract-ended", ""),
    ],
)
def test_every_example_of_apiv2_is_read(read, event, original):
    """APIv2's come in XML, on the same URL."""
    found = read(event)

    assert ("v2", original) == (found.version, found.original_type)


@each("event", known())
def test_examples_are_of_this_merchant_and_moment(read, event):
    """No place is left open: the merchant, the app and the time stand where they belong."""
    said = json.dumps(read(event).resource)
    example = json.dumps(known()[event].resource)

    assert ("{mchid}" in example) == (sandboxes.identity().mchid in said)
    assert ("{appid}" in example) == ("wx8888888888888888" in said)
    assert not any(place in said for place in ("{mchid}", "{appid}", "{now}", "{local}", "{digits}"))
    assert ("{now}" in example) == ("2023-11-15T06:13:20+08:00" in said)
    assert ("{local}" in example) == ("2023-11-15 06:13:20" in said)
    assert ("{digits}" in example) == ("20231115061320" in said)


@each("event", known())
def test_examples_have_documented_fields(event):
    """No field of an example is made up."""
    kind = ["v2", DOCUMENTED[event]] if event in DOCUMENTED else ["v3", event]
    table = (Path(__file__).parents[1] / "notification" / "events.tsv").read_text().splitlines()
    lines = [cells for cells in (line.split("\t") for line in table) if cells[:2] == kind]
    documented = {field.rstrip("#[].") for cells in lines for field in ",".join(cells[4:]).split(",")}

    assert lines
    assert set() == known()[event].resource.keys() - documented - ALSO


def test_fields_can_be_changed_added_and_left_out(read):
    """Only what matters to a test has to be said, within objects, too."""
    given = {"out_trade_no": "N1", "attach": None, "amount": {"total": 7, "payer_total": None}, "extra": [1]}
    found = read("TRANSACTION.SUCCESS", given).resource

    assert ("N1", [1], "SUCCESS") == (found["out_trade_no"], found["extra"], found["trade_state"])
    assert {"total": 7, "currency": "CNY", "payer_currency": "CNY"} == found["amount"]
    assert "attach" not in found


def test_examples_stay_as_they_are(read):
    """What one test changes does not reach the next one."""
    read("REFUND.SUCCESS", {"amount": {"refund": 1}})

    assert 100 == read("REFUND.SUCCESS").resource["amount"]["refund"]


def test_envelope_can_be_worded(read):
    """What stands around the resource can be said, too."""
    found = read(
        id="E1",
        create_time="2020-01-01T00:00:00+08:00",
        summary="words",
        original_type="x",
        resource={"a": 1},
    )

    assert ("E1", 2020, "words", "x") == (
        found.id,
        found.create_time.year,
        found.summary,
        found.original_type,
    )
