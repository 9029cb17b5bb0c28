"""Eighty callers in eight processes share one token, through a real Redis server and through a file."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from open_platform.accounts import APP
from open_platform.conftest import respond

PROCESSES = 8
CALLERS = 80
APPID = APP["appid"]


@pytest.fixture(params=["redis", "file"])
def store(request, tmp_path):
    """Name one store after the other."""
    return (
        request.getfixturevalue("clean_redis") if request.param == "redis" else str(tmp_path / "tokens.json")
    )


@pytest.fixture
def herd(gateway, store):
    """Give a function that has the whole herd call once, at some offset of the clock."""
    command = [sys.executable, "-m", "open_platform.herd", gateway.url, store, str(PROCESSES)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    pipes["cwd"] = Path(__file__).parents[1]
    with subprocess.Popen(command, **pipes) as process:

        def call(offset=0):
            process.stdin.write(f"{offset}\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        yield call
        process.stdin.close()
        process.wait(30)


@pytest.mark.slow
def test_callers_in_many_processes_fetch_one_token_per_lifetime(herd, gateway, platform):
    """Every lifetime costs one fetch, however many ask at the same moment; a retired token costs one more."""
    offset = 0.0
    platform.clock = lambda: time.time() + offset

    def behave(seen, peer):
        if "stable_token" in seen.line:
            # Long enough for the whole herd to come and wait.
            time.sleep(0.5)
        respond(platform, seen, peer)

    gateway.behaviour = behave
    assert str(CALLERS) == herd()
    assert 1 == len(platform.fetches)
    assert str(CALLERS) == herd()
    assert 1 == len(platform.fetches)

    for lifetime in (2, 3):
        offset += 7200
        assert str(CALLERS) == herd(offset)
        assert lifetime == len(platform.fetches)

    platform.retire(APPID)
    assert str(CALLERS) == herd(offset)
    assert 4 == len(platform.fetches)
    assert 4 == len(platform.tokens)
    assert not any(force for _, _, force in platform.fetches)
    assert [] == platform.leaks
