"""Measure what the stubs cost type checkers and completion: ``python tests/benchmarks/editor.py``.

mypy's cold run follows requests, aiohttp and cryptography as well; they are checked first, so that what is
left is this package's own share.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

SMALL = """\
from wechatpay import Builder

instance = Builder(mchid="1")
found = instance.v3.pay.transactions.id._transaction_id_.get(transaction_id="1", query={"mchid": "1"})
print(found.json()["trade_state"])
"""

OTHERS = "from wechatpay.driver import Driver\nfrom wechatpay.messages import Response\n"

COMPLETION = """\
import time, jedi
text = "from wechatpay import Builder\\n\\ninstance = Builder()\\ninstance.v3.pay.transactions."
begun = time.perf_counter()
assert any(found.name == "jsapi" for found in jedi.Script(text).complete())
print(time.perf_counter() - begun)
"""

MYPY = (sys.executable, "-m", "mypy", "--strict", "--config-file=")


def main() -> None:
    """Print seconds, one measurement a line."""
    with tempfile.TemporaryDirectory() as folder:
        small, others = Path(folder, "small.py"), Path(folder, "others.py")
        small.write_text(SMALL)
        others.write_text(OTHERS)
        show("mypy, cold, with all dependencies", run(folder, *MYPY, str(others)))
        show("mypy, the stubs cold", run(folder, *MYPY, str(small)))
        show("mypy, warm", run(folder, *MYPY, str(small)))
        show("mypy, warm, without the stubs", run(folder, *MYPY, str(others)))
        show(
            "pyright",
            run(folder, sys.executable, "-m", "pyright", "--pythonpath", sys.executable, str(small)),
        )
        show("ty", run(folder, sys.executable, "-m", "ty", "check", "--python", sys.executable, str(small)))
        command = [sys.executable, "-c", COMPLETION]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        show("jedi, first completion", float(done.stdout))


def run(folder: str, *command: str) -> float:
    """Return the seconds that a command takes."""
    begun = time.perf_counter()
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    return time.perf_counter() - begun


def show(name: str, seconds: float) -> None:
    """Print a measurement."""
    print(f"{name:40}{seconds:6.2f} s")  # noqa: T201  it is a command


if __name__ == "__main__":
    main()
