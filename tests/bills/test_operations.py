"""Every documented operation that offers a file is covered: bills are kinds, other files are downloads."""

from __future__ import annotations

import hashlib

import pytest

from wechatpay import bills
from wechatpay.bills.operations import OPERATIONS
from wechatpay.catalogue.lookup import find, operations

CONTENT = b"%PDF-1.4 receipt"


def parts(fields):
    """Yield the members of each object that names a file."""
    if "download_url" in fields or {"url", "hash_value"} <= set(fields):
        yield fields
    for field in fields.values():
        yield from parts(field.fields)


OFFERS = {(each.verb, each.template): next(parts(each.response), None) for each in operations()}
OFFERS = {name: fields for name, fields in OFFERS.items() if fields}


def test_every_bill_of_a_day_is_a_kind():
    """What is asked for by a date only, `fetch` knows; the catalogue has the same operations."""
    documented = {
        (each.verb, each.template)
        for each in operations()
        if {"bill_date", "date"} & {*each.query, *each.body}
        and ((each.verb, each.template) in OFFERS or each.response_kind == "csv")
    }
    kinds = [find(each.verb, each.template) for each in OPERATIONS.values()]

    assert documented - {(each.verb, each.template) for each in kinds} == {
        # Its date has a form that is not documented.
        ("POST", "v3/webizpay/bill/trade-bill")
    }


@pytest.mark.parametrize("kind", OPERATIONS)
def test_kind_sends_documented_parameters(kind):
    """Whatever an option becomes, the operation takes; what it requires is sent or demanded."""
    operation = OPERATIONS[kind]
    documented = find(operation.verb, operation.template)
    known = {**documented.query, **documented.body}
    sent = {*operation.fixed, *operation.takes.values(), operation.date[0]}

    assert sent - set(known) <= {"sub_mchid", "sub_mch_id", "sp_mchid"}  # for partners, on pages of their own
    assert {name for name, field in known.items() if field.required} <= sent | {
        "sign_type",
        "nonce_str",
        "sign",
    }


@pytest.mark.parametrize(
    ("verb", "template"),
    [each for each in OFFERS if each not in {(o.verb, o.template) for o in OPERATIONS.values()}],
)
def test_every_other_file_is_downloaded(sandbox, instance, clock, tmp_path, verb, template):
    """Receipts, vouchers, fapiao files, coupons' flows: by the part of the response that names the file."""
    sandbox._services.bills._files["t"] = (clock.now + 99, CONTENT)
    url = f"{sandbox.base_uri}v3/billdownload/file?token=t"
    hash_type = "sha256"
    values = {
        "download_url": url,
        "url": url,
        "hash_type": hash_type,
        "hash_value": hashlib.new(hash_type, CONTENT).hexdigest(),
    }
    fields = OFFERS[verb, template]
    part = {name: values.get(name, "1") for name in fields if name not in {"encrypt_key", "nonce"}}
    bills.download(instance, part, tmp_path / "file", require_hash="hash_value" in fields)

    assert CONTENT == (tmp_path / "file").read_bytes()
    if "hash_value" in fields:
        with pytest.raises(bills.DigestError):
            bills.download(instance, {**part, "hash_value": "0" * 64}, tmp_path / "other")
