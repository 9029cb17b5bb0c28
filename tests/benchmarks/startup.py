"""What a process pays before its first response, and what it weighs: in interpreters of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .measure import Cost, interleave

if TYPE_CHECKING:
    from collections.abc import Callable

    from .material import Material
    from .measure import Rounds

__all__ = ["first_responses", "imports", "peak"]

_SCRIPTS = {"hand-written requests": "written.py", "this package": "ours.py"}

_IMPORTS = {
    "nothing": "pass",
    "import wechatpay": "import wechatpay",
    "from wechatpay import Builder": "from wechatpay import Builder",
    "import requests": "import requests",
}


def first_responses(base: str, material: Material, rounds: int) -> Rounds:
    """Measure from the start of a process to its first verified response."""
    return interleave({name: _responded(script, base, material) for name, script in _SCRIPTS.items()}, rounds)


def imports(rounds: int) -> Rounds:
    """Measure whole processes that import one thing."""
    return interleave({name: _exited(source) for name, source in _IMPORTS.items()}, rounds)


def peak(name: str, base: str, material: Material, calls: int) -> float:
    """Give the peak of a process's memory over so many calls, in MiB."""
    command = _command(_SCRIPTS[name], base, material, calls)
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return int(shown.split()[-2]) / 1024


def _responded(script: str, base: str, material: Material) -> Callable[[], Cost]:
    def run() -> Cost:
        started = time.perf_counter()
        with subprocess.Popen(
            _command(script, base, material, 1), stdout=subprocess.PIPE, text=True
        ) as process:
            cpu = float(process.stdout.readline())
            return Cost(cpu, time.perf_counter() - started)

    return run


def _exited(source: str) -> Callable[[], Cost]:
    def run() -> Cost:
        started = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-c", source])
        _, process.returncode, used = os.wait4(process.pid, 0)
        return Cost(used.ru_utime + used.ru_stime, time.perf_counter() - started)

    return run


def _command(script: str, base: str, material: Material, calls: int) -> list[str]:
    path = Path(__file__).with_name("scripts") / script
    return [sys.executable, str(path), base, str(material.folder), str(calls)]
