"""What most tests of the sandbox ask for."""

from __future__ import annotations

import pytest
import sandboxes

from wechatpay import Builder
from wechatpay.sandbox import Sandbox


@pytest.fixture
def sandbox():
    """Give a running sandbox."""
    with Sandbox(identity=sandboxes.identity()) as sandbox:
        yield sandbox


@pytest.fixture
def instance(sandbox):
    """Give a Builder that calls it."""
    with Builder(**sandbox.settings()) as instance:
        yield instance
