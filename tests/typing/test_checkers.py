"""What type checkers accept and report, with mypy, pyright and ty."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import calls
import pytest

PROGRAM = Path(__file__).with_name("program.py")

CHECKERS = {
    "mypy": [sys.executable, "-m", "mypy", "--strict", "--config-file="],
    "pyright": [sys.executable, "-m", "pyright", "--pythonpath", sys.executable],
    "ty": [sys.executable, "-m", "ty", "check", "--output-format=concise", "--python", sys.executable],
}


@pytest.fixture
def report(request, tmp_path):
    """Run a checker over a program and return the lines with errors, and its output."""

    def report(checker, text):
        file = tmp_path / "program.py"
        file.write_text(text)
        command = CHECKERS[checker]
        if checker == "mypy":
            command = [*command, f"--cache-dir={request.config.cache.mkdir('mypy')}"]
        done = subprocess.run(
            [*command, str(file)], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        places = re.findall(r"program\.py:(\d+)(?::\d+)?(?: -|:) error", done.stdout)
        return sorted({int(place) for place in places}), done.stdout

    return report


@pytest.mark.parametrize("checker", CHECKERS)
def test_right_calls_pass_and_each_mistake_is_reported_on_its_line(checker, report):
    """No error but on the lines that are marked as wrong, and one on each of these."""
    text = PROGRAM.read_text()
    wrong = [number for number, line in enumerate(text.splitlines(), 1) if line.endswith("# wrong")]

    lines, output = report(checker, text)

    assert wrong == lines, output


@pytest.mark.slow
@pytest.mark.parametrize("checker", CHECKERS)
def test_a_call_of_every_operation_is_well_typed(checker, report):
    """All 1,143 documented calls, with every documented member, pass."""
    lines, output = report(checker, calls.program())

    assert [] == lines, output


@pytest.mark.slow
def test_the_stubs_are_correct():
    """The project's own run leaves the generated stubs out; here mypy checks each of them."""
    package = Path(__file__).parents[2] / "wechatpay"
    # The sources have the reason for each overlap, in comments that the stubs do not have.
    options = ["--strict", "--config-file=", "--disable-error-code=overload-overlap"]
    command = [sys.executable, "-m", "mypy", *options, *map(str, package.rglob("*.pyi"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout
