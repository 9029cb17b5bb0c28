"""The commands: ``wechatpay demo``, ``wechatpay sandbox`` and ``wechatpay certificates``."""

from __future__ import annotations

import io
import logging
import signal
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

import wechatpay
from wechatpay.cli.certificates import certificates
from wechatpay.cli.explain import explain
from wechatpay.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@app.command()
def sandbox(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 is any that is free.")
    ] = 0,
) -> None:
    """Serve a sandbox of WeChat Pay until Ctrl-C, and print its settings as Python."""
    from wechatpay.sandbox import Sandbox  # noqa: PLC0415  other commands need not load it
    from wechatpay.sandbox.settings_snippet import settings_snippet  # noqa: PLC0415  the same

    try:
        with (
            _interruptible(),
            tempfile.TemporaryDirectory(prefix="wechatpay-") as folder,
            Sandbox(port=port) as running,
            _told(),
        ):
            typer.echo(settings_snippet(running, Path(folder)))
            typer.echo("# Ctrl-C stops the sandbox and deletes its keys.", err=True)
            while True:
                time.sleep(3600)
    except KeyboardInterrupt:
        typer.echo("# The sandbox has stopped; its keys are deleted.", err=True)
    except ConfigurationError as error:
        typer.echo(f"wechatpay: {error}", err=True)
        raise typer.Exit(2) from None


app.command()(certificates)
app.command()(explain)


def _console() -> Console:
    # A terminal that lacks a letter is no reason to fail.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False, markup=False)
    console.width = min(console.width, _WIDTH)
    return console


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let a polite request to terminate end the command as Ctrl-C does: keys lie on the disk."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _told() -> Iterator[None]:
    """Show a line for every answer of the sandbox."""
    log, handler = logging.getLogger("wechatpay.sandbox"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)
