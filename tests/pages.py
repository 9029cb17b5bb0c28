"""Documentation pages, pasted block by block into a fresh interpreter as a reader would."""

from __future__ import annotations

import code
import re
import shlex
import subprocess
from pathlib import Path
from typing import NamedTuple

from typer.testing import CliRunner

from wechatpay.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("README*.md")), *sorted((ROOT / "docs").glob("*.md"))]

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: its language, its text and its first line's number."""

    language: str
    text: str
    line: int


def blocks(page):
    """Return the fenced blocks of a page."""
    text = page.read_text("utf-8")
    return [
        Block(match[1], match[2], text.count("\n", 0, match.start(2)) + 1) for match in _BLOCK.finditer(text)
    ]


class Repl(code.InteractiveConsole):
    """The interactive interpreter, which raises what it would print."""

    def paste(self, block, page):
        """Enter the lines of a block, and one empty line at the end."""
        for number, line in enumerate([*block.text.splitlines(), ""], block.line):
            try:
                is_open = self.push(line)
            except Exception as error:
                error.add_note(f"{page.name}, line {number}: {line}")
                raise
        assert not is_open, f"{page.name}, line {block.line}: the block is not complete"

    def showtraceback(self):
        """Raise instead."""
        raise  # noqa: PLE0704  it is called where an exception is handled

    def showsyntaxerror(self, *_, **__):
        """Raise instead."""
        raise  # noqa: PLE0704  the same


def play(page, names):
    """Run the blocks of a page in order, each as it stands; put the names that they define into ``names``."""
    names["__name__"] = "__console__"
    repl = Repl(names)
    for block in blocks(page):
        if block.language == "python":
            repl.paste(block, page)
        elif block.language in ("sh", "console"):
            for line in block.text.splitlines():
                run_shell(line.removeprefix("$ "))


def run_shell(line):
    """Run a command of a page, if it needs neither an account nor another environment, and ends by itself."""
    words = shlex.split(line, comments=True)
    if words[:1] == ["openssl"]:
        subprocess.run(words, check=True, capture_output=True, timeout=60)
    elif words[:2] in (["wechatpay", "explain"], ["wechatpay", "demo"]):
        assert invoke(words[1:]), line
    elif words[:1] == ["wechatpay"]:
        size = 3 if words[1] == "bill" else 2  # a group of commands
        shown = invoke([*words[1:size], "--help"])
        for word in words[size:]:
            if word.startswith("-"):
                assert re.search(rf"(?<![\w-]){re.escape(word.partition('=')[0])}(?![\w-])", shown), word


def invoke(words):
    """Run the command line in this process, and return what it printed."""
    result = CliRunner().invoke(app, words)
    assert 0 == result.exit_code, result.output
    return result.output
