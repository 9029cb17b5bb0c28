"""Small programs run by an interpreter of their own, for what happens at exit, at Ctrl-C and after fork."""

from __future__ import annotations

import subprocess
import sys
import textwrap

PRELUDE = """
import asyncio, os, signal, sys, threading, time, warnings
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
from wechatpay.background import Background
from wechatpay.promise import Promise

background = Background()

async def give(value, delay=0.0):
    await asyncio.sleep(delay)
    return value

def start(value, delay=0.0, **options):
    return Promise.start(lambda: give(value, delay), background, **options)
"""


def run(
    source: str, *, interrupt_after: str | None = None, strict: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a program, pressing Ctrl-C once it has printed a line; ``strict`` makes every warning an error."""
    flags = ["-X", "dev", "-W", "error"] if strict else []
    command = [sys.executable, *flags, "-u", "-c", PRELUDE + textwrap.dedent(source)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        said = ""
        try:
            while interrupt_after is not None and interrupt_after not in said:
                line = process.stdout.readline()
                assert line, process.stderr.read()
                said += line
            if interrupt_after is not None:
                process.send_signal(2)
            rest, complaints = process.communicate(timeout=120)
        finally:
            process.kill()
    # The debug mode of asyncio remarks on machines that are busy.
    complaints = "".join(
        line for line in complaints.splitlines(keepends=True) if not line.startswith("Executing <")
    )
    return subprocess.CompletedProcess(command, process.returncode, said + rest, complaints)
