"""A plugin of pytest that runs the tests on uvloop: ``PYTHONPATH=tests pytest -p on_uvloop``."""

from __future__ import annotations

import asyncio

import uvloop

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
