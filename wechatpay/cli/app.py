"""The commands: ``wechatpay demo``, ``wechatpay sandbox`` and ``wechatpay certificates``."""

from __future__ import annotations

from typing import Annotated

import typer

import wechatpay
from wechatpay.cli.certificates import certificates
from wechatpay.cli.explain import explain
from wechatpay.cli.sandbox import sandbox

__all__ = ["app"]

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
    """Sell on a sandbox: order, payment, callback, query, refund and bill; sync and async.

    It needs no account and no network. Exits with 1 if anything is not as it should be.
    """
    from wechatpay.cli.demo import run  # noqa: PLC0415  the other commands start without the sandbox

    if not run():
        raise typer.Exit(1)


app.command()(sandbox)
app.command()(certificates)
app.command()(explain)
