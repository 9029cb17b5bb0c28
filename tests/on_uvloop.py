"""A plugin of pytest that runs the tests on uvloop: ``PYTHONPATH=tests pytest -p on_uvloop``.

Blocking calls meet no loop: tests of theirs are left out.
"""

from __future__ import annotations

import asyncio

import uvloop

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


def pytest_collection_modifyitems(config, items):
    """Leave out the tests whose parameters name the blocking calls."""
    blocking = [item for item in items if hasattr(item, "callspec") and "sync" in item.callspec.id.split("-")]
    items[:] = [item for item in items if item not in blocking]
    config.hook.pytest_deselected(items=blocking)
