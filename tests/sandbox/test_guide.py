"""The guide to the sandbox runs as it is written."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from wechatpay.sandbox import faults
from wechatpay.sandbox.events import known

GUIDE = Path(__file__).parents[2] / "docs" / "sandbox.md"
TEXT = GUIDE.read_text("utf-8")


def test_guide_runs_in_order():
    """Every snippet works as written, one callback of each kind is dealt with, and nothing is left behind."""
    names = {}
    for match in re.finditer(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL):
        # Blank lines before each, so that tracebacks name the guide's line.
        lines = "\n" * TEXT.count("\n", 0, match.start(1))
        exec(compile(lines + match[1], GUIDE.name, "exec"), names)
    names["server"].server_close()

    kinds = [(told.version, told.original_type) for told in names["settled"]]
    transaction, paid = ("v3", "transaction"), ("v2", "transaction")
    assert [transaction, ("v2", "refund"), transaction, paid, paid] == kinds
    assert "wechatpay-sandbox" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("event", known())
def test_guide_names_every_event(event):
    """Whoever looks for an example finds that there is one."""
    assert f"`{event}`" in TEXT


@pytest.mark.parametrize("name", faults.__all__)
def test_guide_names_every_fault(name):
    """Whoever looks for a fault finds it."""
    is_one = name not in {"Delivery", "Fault", "Signer"}

    assert is_one == (f"`{name}(" in TEXT)
