"""Every tenth APIv3 operation: called through the library with the parameters of the catalogue."""

from __future__ import annotations

import json

import pytest
import sandboxes

from wechatpay import APIError, Builder, catalogue
from wechatpay.sandbox import Sandbox

#: The beginnings of operations that have a state.
STATEFUL = ("v3/pay/", "v3/combine-transactions/", "v3/refund/", "v3/fund-app/")


def is_encrypted(fields):
    """Return whether a required member travels encrypted."""
    return any(f.required and (f.cipher or is_encrypted(f.fields)) for f in fields.values())


#: Every tenth operation without a state, a file or a secret.
OPERATIONS = [
    operation
    for operation in catalogue.operations()
    if operation.template.startswith("v3/")
    and not operation.template.startswith(STATEFUL)
    and operation.body_kind != "multipart"
    and operation.response_kind in {"json", "none"}
    and not is_encrypted({**operation.body, **operation.query})
][::10]
BODIES = [o for o in OPERATIONS if any(f.required and name not in o.one_of for name, f in o.body.items())]


@pytest.fixture(scope="module")
def sandbox():
    """Give a running sandbox."""
    with Sandbox(identity=sandboxes.identity()) as running:
        yield running


@pytest.fixture(scope="module")
def instance(sandbox):
    """Give a Builder that calls it."""
    with Builder(**sandbox.settings()) as instance:
        yield instance


def value(field):
    """Give a value that the documents allow."""
    kind = field.type.removesuffix("[]")
    if kind == "object":
        made = members(field.fields)
    elif field.encoded == "json" and field.fields:
        made = json.dumps(members(field.fields))
    elif kind == "boolean":
        made = True
    elif kind in {"integer", "number"}:
        made = int(field.enum[0]) if field.enum else 1
    else:
        made = str(field.enum[0]) if field.enum else "1"
    return [made] if field.type.endswith("[]") else made


def members(fields):
    """Give the required members."""
    return {name: value(field) for name, field in fields.items() if field.required}


def call(instance, operation, **changes):
    """Call an operation; ``changes`` replace arguments."""
    given = {name: str(value(field)) for name, field in operation.path.items()}
    if query := members(operation.query):
        given["query"] = query
    if operation.body_kind == "json":
        one = {name: value(operation.body[name]) for name in operation.one_of[:1] if name in operation.body}
        given["json"] = {**members(operation.body), **one}
    return getattr(instance.chain(operation.template), operation.verb.lower())(**{**given, **changes})


def label(operation):
    """Name an operation."""
    return f"{operation.verb} {operation.template}"


@pytest.mark.parametrize("operation", OPERATIONS, ids=label)
def test_documented_call_is_answered(instance, operation):
    """The response is signed, has the documented status, and every required member."""
    answer = call(instance, operation)

    assert operation.response_status == answer.status_code
    if operation.response_kind == "json":
        required = {name for name, field in operation.response.items() if field.required and "$" not in name}
        assert required - {"fail_reason", "close_reason", "reject_reason", "error_code"} <= set(answer.json())


@pytest.mark.parametrize("operation", BODIES, ids=label)
def test_call_without_a_required_member_is_refused(instance, operation):
    """400 PARAM_ERROR."""
    body = members(operation.body)
    del body[next(name for name in body if name not in operation.one_of)]
    with pytest.raises(APIError) as caught:
        call(instance, operation, json=body, check=False)

    assert (400, "PARAM_ERROR") == (caught.value.status_code, caught.value.code)
