"""The command ``wechatpay``: its commands, how they end, and what they print when they fail."""

from __future__ import annotations

import logging
import sys
import textwrap
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

import wechatpay
from wechatpay.cli.bill import bill
from wechatpay.cli.certificates import certificates
from wechatpay.cli.explain import explain
from wechatpay.cli.sandbox import sandbox
from wechatpay.errors import ConfigurationError, WeChatPayError

__all__ = ["app"]

#: Columns of every line that is printed, except those of values that are longer.
_WIDTH = 80


class _Commands(TyperGroup):
    """Commands that end without a traceback, and silently after Ctrl-C."""

    def invoke(self, ctx: Any) -> Any:
        # Commands print their errors; without a handler, logging would print its warnings, too.
        logging.getLogger("wechatpay").addHandler(logging.NullHandler())
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, typer.Abort):  # Ctrl-C, also at a question, where Ctrl-D is the same
            raise typer.Exit(130) from None
        except (WeChatPayError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                raise  # nobody reads the output any more, and typer ends the command
            if isinstance(error, OSError) and error.filename:  # a file that an option names
                _fail(f"{error.filename}: {error.strerror}", 2)
            _fail(str(error), 2 if isinstance(error, ConfigurationError) else 1)
        except Exception as error:
            # typer's own errors have exit codes.
            if sys.flags.dev_mode or hasattr(error, "exit_code"):
                raise
            _fail(f"internal error: {type(error).__name__}; python -X dev -m wechatpay shows where", 1)


app = typer.Typer(
    cls=_Commands,
    help="A chainable client for WeChat Pay: every endpoint, sync and async, signed and verified.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    # Plain text: no value is broken by a frame.
    rich_markup_mode=None,
    # A traceback that shows local variables would show keys.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
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


def demo() -> None:
    """Sell on a sandbox: order, payment, callback, query, refund and bill; sync and async.

    It needs no account and no network. Exits with 1 if anything is not as it should be.
    """
    from wechatpay.cli.demo import run  # noqa: PLC0415  the other commands start without the sandbox

    if not run():
        raise typer.Exit(1)


def _fail(message: str, code: int) -> NoReturn:
    """Print what went wrong, and end the command.

    Raises:
        typer.Exit: With ``code``.
    """
    lines = textwrap.wrap(f"wechatpay: {message}", _WIDTH, break_long_words=False, break_on_hyphens=False)
    typer.echo("\n".join(lines), err=True)
    raise typer.Exit(code) from None


app.command(short_help="Sell on a sandbox, from the order to the bill.")(demo)
app.command(short_help="Serve a sandbox of WeChat Pay, for any language.")(sandbox)
app.command(short_help="Show an operation, event, error code or Request-ID.")(explain)
app.command(short_help="Download WeChat Pay's platform certificates.")(certificates)
app.add_typer(bill, name="bill", short_help="Fetch bills; compare them with your books.")
