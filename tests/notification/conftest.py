"""What tests of callbacks ask for."""

from __future__ import annotations

import pytest
from notification.entries import ENTRIES


@pytest.fixture(params=ENTRIES.values(), ids=ENTRIES)
def entry(request):
    """Give one way of handling after the other: ``entry.handle(handler, body, process)``."""
    return request.param()
