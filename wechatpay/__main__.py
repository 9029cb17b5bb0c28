"""``wechatpay`` and ``python -m wechatpay``."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line; without its libraries, say how to install them.

    Returns:
        The exit code, 2 if the libraries are missing; the commands exit with their own.
    """
    try:
        import rich  # noqa: F401, PLC0415  only asked for
        import typer  # noqa: F401, PLC0415  only asked for
    except ModuleNotFoundError:
        print("The command line needs an extra: pip install 'wechatpay-chainable[cli]'", file=sys.stderr)  # noqa: T201  what the user reads
        return 2
    from wechatpay.cli import app  # noqa: PLC0415  it loads typer

    app(prog_name="wechatpay")
    return 0


if __name__ == "__main__":
    sys.exit(main())
