"""The guide to the sandbox names all that it has."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
import sandboxes
from cases import each

from wechatpay import catalogue
from wechatpay.sandbox import Rules, Sandbox, faults
from wechatpay.sandbox.events import known

GUIDE = Path(__file__).parents[2] / "docs" / "sandbox.md"
TEXT = GUIDE.read_text("utf-8")


@each("event", known())
def test_guide_names_every_event(event):
    """Whoever looks for an example finds that there is one."""
    assert f"`{event}`" in TEXT


@each("name", faults.__all__)
def test_guide_names_every_fault(name):
    """Whoever looks for a fault finds it."""
    is_one = name not in {"Delivery", "Fault", "Signer"}

    assert is_one == (f"`{name}(" in TEXT)


@pytest.mark.parametrize("name", [field.name for field in fields(Rules)])
def test_guide_names_every_rule(name):
    """With its default."""
    default = getattr(Rules(), name)
    value = f"{default:g}" if type(default) is float else f"{default}"

    assert re.search(rf"\| `{name}` \| `?{value}`? \|", TEXT)


def test_guide_counts_the_operations_with_a_state():
    """So that the list beside the number is looked at when one is added."""
    _, v3, v2 = Sandbox(identity=sandboxes.identity()).gateway._apis
    operations = list(catalogue.operations())
    stated = [o for o in operations if (o.verb, o.template) in v3.handlers or o.template in v2.handlers]

    assert f"{len(stated)} of the {len(operations):,} operations have a state" in TEXT
