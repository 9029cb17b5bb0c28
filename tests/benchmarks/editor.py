"""Measure what the stubs cost type checkers and completion: ``python tests/benchmarks/editor.py``.

Seconds of CPU, the best of three runs, for a program of one call and for a program that imports nothing: the
difference is what this package adds. Run it on an idle machine.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "wechatpay"

NOTHING = "print(1)\n"

SMALL = """\
from wechatpay import Builder

instance = Builder(mchid="1")
found = instance.v3.pay.transactions.id._transaction_id_.get(transaction_id="1", query={"mchid": "1"})
print(found.json()["trade_state"])
"""

COMPLETION = """\
import jedi
text = "from wechatpay import Builder\\n\\ninstance = Builder()\\ninstance.v3.pay.transactions."
assert any(found.name == "jsapi" for found in jedi.Script(text).complete())
"""

NO_COMPLETION = """\
import jedi
assert any(found.name == "path" for found in jedi.Script("import os\\n\\nos.").complete())
"""

MYPY = (sys.executable, "-m", "mypy", "--strict", "--config-file=")
PYRIGHT = (sys.executable, "-m", "pyright", "--pythonpath", sys.executable)
TY = (sys.executable, "-m", "ty", "check", "--python", sys.executable)


def main() -> None:
    """Print a line for each tool."""
    print(f"{'seconds of CPU':24}{'one call':>10}{'no import':>10}{'added':>10}")  # noqa: T201  it is a command
    with tempfile.TemporaryDirectory() as folder:
        small, nothing = Path(folder, "small.py"), Path(folder, "nothing.py")
        small.write_text(SMALL)
        nothing.write_text(NOTHING)
        for name, command in (
            ("mypy, cold", (*MYPY, "--cache-dir=/dev/null")),
            ("mypy, warm", (*MYPY, f"--cache-dir={folder}/cache")),
            ("pyright", PYRIGHT),
            ("ty", TY),
        ):
            show(name, *(spend(folder, *command, str(program)) for program in (small, nothing)))
        spend(folder, sys.executable, "-c", NO_COMPLETION)  # fills jedi's cache of the standard library
        show(
            "jedi, first completion",
            *(spend(folder, sys.executable, "-c", text) for text in (COMPLETION, NO_COMPLETION)),
        )
    files = [path for path in PACKAGE.rglob("*") if path.suffix == ".pyi" or path.parent.name == "catalogue"]
    size = sum(len(zlib.compress(path.read_bytes(), 6)) for path in files if path.is_file())
    print(f"stubs and data in the wheel: {size / 1000:.0f} kB in {len(files)} files")  # noqa: T201  the same


def spend(folder: str, *command: str) -> float:
    """Return the least seconds of CPU that a command takes in three runs."""
    return min(_spend(folder, command) for _ in range(3))


def _spend(folder: str, command: tuple[str, ...]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def show(name: str, ours: float, nothing: float) -> None:
    """Print a measurement."""
    print(f"{name:24}{ours:10.2f}{nothing:10.2f}{ours - nothing:10.2f}")  # noqa: T201  the same


if __name__ == "__main__":
    main()
