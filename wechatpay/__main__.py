"""``wechatpay`` and ``python -m wechatpay``."""

from __future__ import annotations

import io
import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line; without its libraries, say how to install them.

    Returns:
        The exit code: 2 if the libraries are missing, 130 after Ctrl-C; commands exit with their own.
    """
    try:
        from wechatpay.cli.app import app  # noqa: PLC0415  the extra may be missing
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("typer"):
            raise
        print("The command line needs an extra: pip install 'wechatpay-chainable[cli]'", file=sys.stderr)  # noqa: T201  what the user reads
        return 2
    except KeyboardInterrupt:
        return 130
    if isinstance(sys.stdout, io.TextIOWrapper):  # others know all characters, or are closed
        sys.stdout.reconfigure(errors="replace")  # an output that lacks a character must fail no command
    return app(prog_name="wechatpay")  # type: ignore[no-any-return]  # it exits, and returns nothing


if __name__ == "__main__":
    sys.exit(main())
