"""The demo's page, to be read from top to bottom: in a terminal, a pipe or a log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from wechatpay.cli.demo.examples import EXAMPLES, SPELLINGS
from wechatpay.cli.demo.run import COLOURS
from wechatpay.errors import WeChatPayError
from wechatpay.sandbox.verification import parse_authorization

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console, RenderableType

    from wechatpay.cli.demo.examples import Example
    from wechatpay.cli.demo.run import Made, Outcome
    from wechatpay.messages import Response

__all__ = ["Page"]

#: Letters shown of a signature.
_SHOWN = 24

_LINES = ("method", "target", "timestamp", "nonce", "body")

_CHECKS = {
    "Wechatpay-Timestamp": "✓ at most 300 s from our clock",
    "Wechatpay-Serial": "✓ one of the keys in the setting certs",
    "Wechatpay-Signature": "✓ made by that key, over timestamp, nonce and body",
}


class Page:
    """Prints the sections of the page, one after the other."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def introduction(self, base_uri: str, mchid: str) -> None:
        """Say what is about to be seen."""
        self._heading("wechatpay demo")
        self._prose(
            f"A sandbox of WeChat Pay listens on {base_uri}. Like WeChat Pay it refuses every request "
            f"that merchant {mchid} did not sign, and signs its answers. All keys were made a moment ago; "
            "nothing leaves this machine."
        )

    def first_call(self, call: Made) -> None:
        """Show one call step by step."""
        self._heading("1. One call, step by step")
        self._prose(f"{call.example.question} ({call.example.title}) You write:")
        self._code(_source(call.example))
        if isinstance(call.answer, WeChatPayError):
            self._prose(f"It failed: {call.answer}")
            return
        self._request(call)
        self._answer(call.answer)

    def _request(self, call: Made) -> None:
        text = call.sent.snapshot.text.decode() if call.sent.snapshot else ""
        self._prose("The path is expanded, and five lines are signed with the merchant's private key:")
        self._rows((name, line or "(empty)") for name, line in zip(_LINES, text.split("\n"), strict=False))
        self._prose("The request is sent with the signature in its Authorization header:")
        authorization = call.sent.headers["Authorization"]
        parts = {"scheme": authorization.partition(" ")[0], **(parse_authorization(authorization) or {})}
        self._rows((name, _short(part)) for name, part in parts.items())

    def _answer(self, answer: Response) -> None:
        self._prose(
            "The sandbox lays out the same five lines from the bytes it received, finds that the signature "
            f"is the merchant's, and answers {answer.status_code}:"
        )
        self._code(json.dumps(answer.json(), ensure_ascii=False, indent=2))
        self._prose("Before your program gets the answer, it is verified:")
        self._rows((name, f"{_short(answer.headers[name])}\n{check}") for name, check in _CHECKS.items())

    def all_calls(self, outcome: Outcome) -> None:
        """Show what all calls came to."""
        self._heading(f"2. {len(outcome.calls)} calls: every spelling, sync and async")
        self._prose("A path can be spelled in three ways. It ends in a verb; each verb has an async twin:")
        spelled = [f"{source}.get(…)" for source in EXAMPLES[0].sources().values()]
        self._code("\n".join([*spelled, f"await {spelled[0].replace('.get(', '.getAsync(')}"]))
        self._prose("Each number below is the status of one call whose answer was verified:")
        self._indent(_table(outcome))
        self._prose("What the other calls asked and were told, whatever the spelling:")
        for example in EXAMPLES[1:]:
            call = outcome.of(example)[0]
            self._rows(
                (("asked", example.question), ("target", call.sent.target), ("told", _told(call.answer)))
            )

    def forgery(self, outcome: Outcome) -> None:
        """Show the answer that was changed on its way."""
        forgery = outcome.forgery
        self._heading("3. A tampered answer")
        self._prose("Somebody on the way changes an answer after WeChat Pay signed it:")
        self._rows((("signed", forgery.signed.decode()), ("arrived", forgery.arrived.decode())))
        if forgery.was_refused:
            self._prose("The call does not return; it raises:")
            self._code(f"wechatpay.{type(forgery.answer).__name__}: {forgery.answer}")
        else:
            self._prose(f"It was not refused: {forgery.answer!r}")

    def verdict(self, outcome: Outcome, seconds: float) -> None:
        """Say whether everything was as it should be."""
        self._heading("Result")
        differences = outcome.differences()
        if differences:
            self._prose("Something is not as it should be:", "bold red")
            self._code("\n".join(differences))
            return
        self._prose(
            f"All {len(outcome.calls)} calls were signed, accepted and verified, all spellings of a call had "
            f"the same target, and the tampered answer was refused. It took {seconds:.1f} s.",
            "bold green",
        )
        self._prose("To try it yourself, start a sandbox and paste the settings that it prints into Python:")
        self._code("wechatpay sandbox")

    def _heading(self, text: str) -> None:
        self._console.print()
        self._console.print(Rule(Text(text, style="bold"), align="left", style="dim"))

    def _prose(self, text: str, style: str = "") -> None:
        self._console.print()
        self._console.print(Text(text, style=style))

    def _code(self, text: str) -> None:
        self._indent(Text(text, style="cyan", overflow="fold"))

    def _indent(self, what: RenderableType) -> None:
        self._console.print()
        self._console.print(Padding(what, (0, 0, 0, 4), expand=False))

    def _rows(self, rows: Iterable[tuple[str, ...]]) -> None:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(style="cyan", overflow="fold")
        for row in rows:
            grid.add_row(*map(Text, row))
        self._indent(grid)


def _source(example: Example) -> str:
    """Write a call as a program has it."""
    source = next(iter(example.sources().values()))
    arguments = "".join(
        f"    {name}={json.dumps(value, ensure_ascii=False)},\n" for name, value in example.arguments.items()
    )
    return f"{source}.get(\n{arguments})"


def _told(answer: Response | WeChatPayError) -> str:
    return (
        str(answer) if isinstance(answer, WeChatPayError) else json.dumps(answer.json(), ensure_ascii=False)
    )


def _short(value: str) -> str:
    return value if len(value) <= 2 * _SHOWN else f"{value[:_SHOWN]}… ({len(value)} letters)"


def _table(outcome: Outcome) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    table.add_column("the call asks")
    for spelling in SPELLINGS:
        table.add_column(
            Text(f"{spelling}\n{' '.join(COLOURS)}", justify="center"), justify="center", no_wrap=True
        )
    for example in EXAMPLES:
        cells = [_cell([call for call in outcome.of(example) if call.spelling == name]) for name in SPELLINGS]
        table.add_row(Text(example.question), *cells)
    return table


def _cell(calls: Iterable[Made]) -> Text:
    shown = []
    for call in calls:
        failed = isinstance(call.answer, WeChatPayError)
        word = "failed" if isinstance(call.answer, WeChatPayError) else str(call.answer.status_code)
        shown.append(Text(f"{word:<5}", style="red" if failed else "green"))
    return Text(" ").join(shown)
