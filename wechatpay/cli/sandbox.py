"""``wechatpay sandbox``: a sandbox for programs in any language, until Ctrl-C."""

from __future__ import annotations

import json
import logging
import signal
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["sandbox"]

_PORT = {"min": 0, "max": 65535}


def sandbox(  # noqa: PLR0913  each is an option of its own
    *,
    port: Annotated[int, typer.Option(**_PORT, help="Port for HTTP; 0 is any that is free.")] = 0,
    tls_port: Annotated[int, typer.Option(**_PORT, help="Port for HTTPS; 0 is any that is free.")] = 0,
    host: Annotated[str, typer.Option(help="Address to listen on; another one is for containers.")] = (
        "127.0.0.1"
    ),
    seed: Annotated[str, typer.Option(help="Determines WeChat Pay's numbers and all that is random.")] = "",
    merchant: Annotated[
        list[str] | None, typer.Option(help="Merchant id; several make a sandbox with several merchants.")
    ] = None,
    db: Annotated[
        Path | None, typer.Option(help="SQLite file that keeps the state; without it, it is in memory.")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(help="Directory that keeps the keys; without it they are new each time.")
    ] = None,
    mode: Annotated[
        str, typer.Option(help="How the merchant verifies: both, public-key or certificates.")
    ] = "both",
    refund_delay: Annotated[float, typer.Option(min=0, help="Seconds until a refund arrives.")] = 0.0,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="A fault from the start, such as 'Reset; times=1' or 'RateLimit; probability=0.1'."
        ),
    ] = None,
    rule: Annotated[
        list[str] | None, typer.Option(help="A rule to change, such as 'refund_interval=0'.")
    ] = None,
    settings_file: Annotated[
        Path | None, typer.Option(help="JSON file with the settings, written once the sandbox listens.")
    ] = None,
    env: Annotated[bool, typer.Option("--env", help="Print WECHATPAY_… lines instead of code.")] = False,
    snippet: Annotated[str, typer.Option(help="Print code in python, php or curl.")] = "python",
) -> None:
    """Serve a sandbox of WeChat Pay until Ctrl-C, and print its settings as code to paste.

    The console is at the address that is printed; open it in a browser.
    """
    from wechatpay.sandbox import Rules, Sandbox  # noqa: PLC0415  other commands need not load it
    from wechatpay.sandbox.key_files import keep_identities, write_private  # noqa: PLC0415  the same
    from wechatpay.sandbox.keys import DEFAULT_MCHID  # noqa: PLC0415  the same
    from wechatpay.sandbox.settings_snippet import (  # noqa: PLC0415  the same
        LANGUAGES,
        environment,
        settings_json,
        settings_snippet,
    )

    if snippet not in LANGUAGES:
        raise typer.BadParameter(f"--snippet is one of {', '.join(LANGUAGES)}, not {snippet!r:.40}")
    try:
        with ExitStack() as stack:
            stack.enter_context(_interruptible())
            if settings_file:
                settings_file.unlink(missing_ok=True)
                stack.callback(settings_file.unlink, missing_ok=True)
            folder = keys or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wechatpay-")))
            folder = folder.absolute()  # the printed settings are used elsewhere
            first, *others = keep_identities(folder, merchant or [DEFAULT_MCHID])
            options: dict[str, Any] = {"mode": mode, "seed": seed, "refund_delay": refund_delay, "db": db}
            options |= {"port": port, "tls_port": tls_port, "host": host, "rules": Rules.parse(rule or [])}
            running = Sandbox(identity=first, merchants=others, **options)
            for text in fault or []:
                running.inject(text, times=None)
            stack.enter_context(running)
            stack.enter_context(_logging())
            if env:
                typer.echo("\n".join(f"{n}={v}" for n, v in environment(running, folder).items()))
            else:
                typer.echo(settings_snippet(running, folder, snippet))
            typer.echo(f"# Console: {running.base_uri}", err=True)
            kept = "stops the sandbox" if keys else "stops the sandbox and deletes its keys"
            typer.echo(f"# Ctrl-C {kept}.", err=True)
            # Last: who waits for the file may rely on all that is printed.
            if settings_file:
                write_private(settings_file, json.dumps(settings_json(running), indent=1) + "\n")
            while True:
                time.sleep(3600)
    except KeyboardInterrupt:
        pass
    typer.echo("# The sandbox has stopped.", err=True)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let a request to terminate end the command as Ctrl-C does: keys lie on the disk."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _logging() -> Iterator[None]:
    """Show a line for every response of the sandbox."""
    log, handler = logging.getLogger("wechatpay.sandbox"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)
