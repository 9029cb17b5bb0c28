"""What type checkers accept and report, with mypy, pyright and ty: one run each, over everything."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import calls
import pytest

PROGRAM = Path(__file__).with_name("program.py")
STUBS = map(str, (Path(__file__).parents[2] / "wechatpay").rglob("*.pyi"))

#: The sources have the reason for each overlap in a comment, which the stubs written from them do not have.
MYPY = ("--strict", "--config-file=", "--cache-dir=.mypy", "--disable-error-code=overload-overlap")

CHECKERS = {
    "mypy": [sys.executable, "-m", "mypy", *MYPY, *STUBS],
    "pyright": [sys.executable, "-m", "pyright", "--pythonpath", sys.executable],
    "ty": [sys.executable, "-m", "ty", "check", "--output-format=concise", "--python", sys.executable],
}
PLACE = re.compile(r"(\w+\.pyi?):(\d+)(?::\d+)?(?: -|:) error")


@pytest.mark.parametrize("checker", ["mypy", pytest.param("pyright", marks=pytest.mark.slow), "ty"])
def test_documented_calls_pass_and_each_mistake_is_reported_on_its_line(checker, tmp_path):
    """All 1,143 calls with every documented member pass, and so do the stubs; only marked lines fail."""
    text = PROGRAM.read_text()
    # ty accepts any keyword where the documented ones are an unpacked TypedDict.
    marks = ("# wrong",) if checker == "ty" else ("# wrong", "# wrong, but not for ty")
    wrong = {number for number, line in enumerate(text.splitlines(), 1) if line.endswith(marks)}
    (tmp_path / "program.py").write_text(text)
    (tmp_path / "every.py").write_text(calls.program())

    reported, output = check(checker, tmp_path)
    assert {"program.py": wrong} == reported, output


@pytest.mark.slow  # the checkers read four frameworks
@pytest.mark.parametrize("checker", CHECKERS)
def test_views_take_replies_and_responses_of_their_framework(checker, tmp_path):
    """A function that returns anything else is reported where it is decorated."""
    text = PROGRAM.with_name("view_program.py").read_text()
    wrong = {number for number, line in enumerate(text.splitlines(), 1) if line.endswith("# wrong")}
    (tmp_path / "views.py").write_text(text)

    reported, output = check(checker, tmp_path)
    assert {"views.py": wrong} == reported, output


def check(checker, folder):
    """Return the lines with errors, by file, and all that the checker printed."""
    files = [path.name for path in folder.glob("*.py")]
    command = [*CHECKERS[checker], *files]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    reported = defaultdict(set)
    for name, number in PLACE.findall(done.stdout):
        reported[name].add(int(number))
    return reported, done.stdout
