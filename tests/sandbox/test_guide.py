"""The guide to the sandbox names all that it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from wechatpay.sandbox import faults
from wechatpay.sandbox.events import known

GUIDE = Path(__file__).parents[2] / "docs" / "sandbox.md"
TEXT = GUIDE.read_text("utf-8")


@pytest.mark.parametrize("event", known())
def test_guide_names_every_event(event):
    """Whoever looks for an example finds that there is one."""
    assert f"`{event}`" in TEXT


@pytest.mark.parametrize("name", faults.__all__)
def test_guide_names_every_fault(name):
    """Whoever looks for a fault finds it."""
    is_one = name not in {"Delivery", "Fault", "Signer"}

    assert is_one == (f"`{name}(" in TEXT)
