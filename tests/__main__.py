"""Run every check: ``python -m tests``.

Arguments go to pytest, which uses every core (``-n 0``: one). Tests marked ``slow`` are left out: they repeat
at length what others test in brief. ``-m slow`` runs them alone, ``-m ''`` runs all tests.
"""

import os
import subprocess
import sys

LINT = (("ruff", "check", "."), ("ruff", "format", "--check", "."))
TYPES = ("mypy",)
TESTS = ("pytest", "-n", "logical", "--dist", "worksteal", "--cov", "-m", "not slow", *sys.argv[1:])


def main() -> int:
    """Run the checks, and return the first status that is not zero; types are checked while the tests run."""
    # Hundreds of tests start an interpreter: it need not compile every module again.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    # Every process must list the tests in one order.
    environment.setdefault("PYTHONHASHSEED", "0")

    def start(check: tuple[str, ...], output: int | None = None) -> subprocess.Popen[str]:
        print(f"$ {' '.join(check)}", flush=True)  # noqa: T201  it is a command
        return subprocess.Popen([sys.executable, "-m", *check], stdout=output, env=environment, text=True)

    for check in LINT:
        if status := start(check).wait():
            return status
    types, tests = start(TYPES, subprocess.PIPE), start(TESTS)
    status = tests.wait()
    print("mypy:", types.communicate()[0], flush=True)  # noqa: T201  the same
    return status or types.returncode


if __name__ == "__main__":
    sys.exit(main())
