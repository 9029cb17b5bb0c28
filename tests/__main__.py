"""Run every check: ``python -m tests``.

Arguments go to pytest, which uses every core (``-n 0``: one). Tests marked ``slow`` are left out: they repeat
at length what others test in brief. ``-m slow`` runs them alone, ``-m ''`` runs all tests.
"""

import os
import subprocess
import sys

CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("pytest", "-n", "logical", "--dist", "worksteal", "-m", "not slow", "--cov", *sys.argv[1:]),
)


def main() -> int:
    """Run the checks in order, and stop at the first that fails."""
    # Hundreds of tests start an interpreter: it need not compile every module again.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    # Every process must list the tests in one order.
    environment.setdefault("PYTHONHASHSEED", "0")
    for check in CHECKS:
        print(f"$ {' '.join(check)}", flush=True)  # noqa: T201  it is a command
        if status := subprocess.run([sys.executable, "-m", *check], check=False, env=environment).returncode:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
