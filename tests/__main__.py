"""Run every check: ``python -m tests``; arguments go to pytest."""

import subprocess
import sys

CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("pytest", "--cov", *sys.argv[1:]),
)


def main() -> int:
    """Run the checks in order, and stop at the first that fails."""
    for check in CHECKS:
        print(f"$ {' '.join(check)}", flush=True)  # noqa: T201  it is a command
        if status := subprocess.run([sys.executable, "-m", *check], check=False).returncode:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
