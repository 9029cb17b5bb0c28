"""What tests of the wire ask for beside the rest."""

from __future__ import annotations

import pytest
from wire import clients


@pytest.fixture(params=[clients.Sync, clients.Async, clients.Promised], ids=["sync", "async", "promise"])
def client(request):
    """Give each of the three ways of making a call after the other."""
    return request.param()
