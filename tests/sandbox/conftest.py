"""What most tests of the sandbox ask for."""

from __future__ import annotations

import json

import pytest
import sandboxes
from sandboxes import NOW

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


@pytest.fixture
def ask():
    """Give a function that asks a sandbox without a socket, and gives status and JSON."""
    gateway = Sandbox(identity=sandboxes.identity(), clock=lambda: NOW)

    def ask(target, method="GET"):
        response = gateway._respond(sandboxes.received(method, target, timestamp=str(NOW))).response
        return response.status, json.loads(response.body)

    return ask
