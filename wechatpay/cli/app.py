"""The commands: ``wechatpay demo``, ``wechatpay sandbox`` and ``wechatpay certificates``."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer
from rich.console import Console

import wechatpay
from wechatpay.cli.certificates import certificates
from wechatpay.cli.explain import explain
from wechatpay.cli.sandbox import sandbox

__all__ = ["app"]

#: Columns beyond which lines are hard to read.
_WIDTH = 100

app = typer.Typer(
    help="A chainable client for WeChat Pay: every endpoint, sync and async, signed and verified.",
    no_args_is_help=True,
    add_completion=False,
    # A traceback that shows local variables would show keys.
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:  # noqa: FBT001  as typer calls it
    if wanted:
        typer.echo(f"wechatpay-chainable {wechatpay.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


@app.command()
def demo() -> None:
    """Make 24 signed calls to a sandbox, and show what is sent, answered and verified.

    Exits with 1 if anything is not as it should be.
    """
    from wechatpay.cli.demo import show  # noqa: PLC0415  other commands need not load it

    if show(_console()):
        raise typer.Exit(1)


app.command()(certificates)
app.command()(explain)
app.command()(sandbox)


def _console() -> Console:
    # A terminal that lacks a letter is no reason to fail.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False, markup=False)
    console.width = min(console.width, _WIDTH)
    return console
