"""The commands ``wechatpay bill``: fetch bills, show them, and compare them with your own books."""

from __future__ import annotations

import inspect
import io
import os
import signal
import sys
import textwrap
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from json import dumps
from pathlib import Path  # noqa: TC003  typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, TextIO, TypeAlias

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from wechatpay import bills
from wechatpay.bills.files import is_directory
from wechatpay.bills.operations import OPERATIONS, Operation
from wechatpay.builder import Builder
from wechatpay.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["bill"]

#: The exit code of a comparison that found differences: 1 and 2 mean that it failed.
DIFFERENT = 3

#: What stands for the bill of a day on which nothing happened: there is no file.
_EMPTY = "empty"

#: The kinds that books are compared with.
_RECONCILED = frozenset({"hk-statement", "statement", "trade", "v2-trade"})

#: Rows that a terminal shows.
_SHOWN = 20

#: What a terminal shows of each kind, and what is made for it of other columns.
_COLUMNS = {
    "fund": ("booked_at", "business_type", "business_id", "amount", "balance"),
    "sharing": ("shared_at", "business_type", "transaction_id", "receiver", "amount", "status"),
    "overseas-sharing": ("create_time", "transaction_id", "receiver_account", "amount", "currency", "status"),
    "statement": ("trade_time", "trade_state", "number", "amount", "currency"),
    "trade": ("trade_time", "trade_state", "number", "amount", "fee"),
}
_MADE: Mapping[str, Callable[[bills.Row], Any]] = {
    "number": lambda row: (row.out_refund_no or row.refund_id) if row.is_refund else row.out_trade_no,
    "amount": lambda row: -(row.refund_total or 0) if row.is_refund else row.total,
}
_FOLDED = {"number", "business_id", "business_type", "transaction_id", "receiver", "receiver_account"}

#: The variables of the environment, and the settings that they are.
_SETTINGS = {
    "WECHATPAY_MCHID": "mchid",
    "WECHATPAY_SERIAL": "serial",
    "WECHATPAY_PRIVATE_KEY": "private_key",
    "WECHATPAY_APIV3_KEY": "apiv3_key",
    "WECHATPAY_SECRET": "secret",
    "WECHATPAY_BASE_URI": "base_uri",
    "WECHATPAY_VERIFY": "verify",
}

bill = typer.Typer(
    help="Fetch bills, show them, and compare them with your own books.",
    epilog="Settings come from the environment: WECHATPAY_MCHID, _SERIAL, _PRIVATE_KEY (a file or PEM), and "
    "_PUBLIC_KEY_ID with _PUBLIC_KEY, or _APIV3_KEY; wechatpay sandbox --env "
    "prints some to try. Exit codes: 0 done, 1 failed, 2 wrong usage or "
    f"settings, {DIFFERENT} differences found, 130 interrupted.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_Json = Annotated[bool, typer.Option("--json", help="Print lines of JSON.")]


#: The option of each argument, and what it is; its default is in the environment.
_OPTIONS = {
    "account": Annotated[
        str, typer.Option(help="basic, operation, fees; also deposit of a sub-merchant; all: ecommerce-fund.")
    ],
    "algorithm": Annotated[str, typer.Option(help="AEAD_AES_256_GCM or SM4_GCM.")],
    "appid": Annotated[str, typer.Option(envvar="WECHATPAY_APPID", help="The app.")],
    "bill_type": Annotated[str, typer.Option(help="ALL, SUCCESS, REFUND …")],
    "mchid": Annotated[str, typer.Option(envvar="WECHATPAY_MCHID", help="The merchant.")],
    "service_id": Annotated[str, typer.Option(help="The service.")],
    "sp_mchid": Annotated[str, typer.Option(help="The institution, in place of --mchid.")],
    "sub_mchid": Annotated[str, typer.Option(help="A partner's sub-merchant.")],
}


def _fetch(operation: Operation) -> Callable[..., None]:
    """Make the command that fetches bills of one kind."""

    def fetch(
        dates: Annotated[
            list[str],
            typer.Argument(metavar="days", help="As 2026-11-19, or ranges, as 2026-11-01..2026-11-19."),
        ],
        *,
        output: Annotated[  # as text: a Path drops the slash at the end
            str,
            typer.Option(
                "-o",
                "--output",
                help="The file for one day, or the directory; one that ends with / is created.",
                show_default="the directory you are in",
            ),
        ] = "./",
        json: _Json = False,
        **options: str,
    ) -> None:
        given: dict[str, Any] = {name: value for name, value in options.items() if value}
        if "sp_mchid" in given:
            given.pop("mchid", None)
        days = _days(dates)
        if len(days) > 1 and not is_directory(output):
            raise ConfigurationError(
                f"--output: {output!r} must be a directory, for bills of {len(days)} days; "
                f"write '{output}/' to create it"
            )
        with _interruptible(), _builder() as instance, _progress() as progress:
            for day in days:
                with progress(f"{operation.kind} {day}") as received:
                    made = bills.fetch(instance, operation.kind, day, output, progress=received, **given)
                _report(made, as_json=json)

    own = inspect.signature(fetch, eval_str=True)
    options = [
        inspect.Parameter(
            name.rstrip("*?"),
            inspect.Parameter.KEYWORD_ONLY,
            annotation=_OPTIONS[name.rstrip("*?")],
            default=inspect.Parameter.empty if name.endswith("*") else "",
        )
        for name in operation.takes
    ]
    # typer reads the options of a command from the signature: each kind of bill has its own.
    shared = [each for each in own.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    fetch.__signature__ = own.replace(parameters=[*shared, *options])  # type: ignore[attr-defined]
    fetch.__annotations__ |= {each.name: each.annotation for each in options}
    return fetch


for _operation in OPERATIONS.values():
    bill.command(_operation.kind, short_help=_operation.title, help=f"Fetch and check: {_operation.title}")(
        _fetch(_operation)
    )


@bill.command(short_help="Show a bill that was saved.")
def show(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The bill, packed or not.")],
    *,
    json: _Json = False,
    every: Annotated[bool, typer.Option("--all", help="Show all rows on a terminal, too.")] = False,
) -> None:
    """Show a bill, and check its summary.

    A terminal gets a table of the first rows; a pipe gets all rows as CSV.
    """
    out = _open_stdout()
    with bills.read(file) as rows:
        if json:
            for row in rows.dicts():
                typer.echo(dumps(row, ensure_ascii=False, default=str), out)
        elif out.isatty():
            _show_table(rows, None if every else _SHOWN)
        else:
            bills.to_csv(rows, out)


@bill.command(short_help="Compare a bill with your own books.")
def reconcile(  # noqa: PLR0913  each is an option
    file: Annotated[str, typer.Argument(help=f"The bill, packed or not; {_EMPTY} for a day without one.")],
    ours: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="CSV, or .jsonl: out_trade_no, transaction_id, out_refund_no, refund_id, amount_fen …",
        ),
    ],
    *,
    day: Annotated[str, typer.Option(help="The day, or range, of the bill, if OURS holds others, too.")] = "",
    json: _Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    matched: Annotated[bool, typer.Option("--matched", help="Print what matches, too.")] = False,
    require_amounts: Annotated[bool, typer.Option(help="Fail if an entry of OURS has no amount.")] = True,
) -> None:
    """Compare a trade bill with your own books.

    A terminal gets a line for each difference, and a summary; a pipe gets lines of JSON, the last of which is
    the summary. Exits with 3 if there are differences.

    For a day on which nothing happened WeChat Pay has no bill: write empty in place of the file, and the
    day, as in: wechatpay bill reconcile empty ours.csv --day 2026-11-27
    """
    if file == _EMPTY and not day:
        raise ConfigurationError("--day: give the day that is empty")
    out, days = _open_stdout(), _days([day]) if day else []
    window = (days[0], days[-1]) if days else None
    with (
        _interruptible(),
        _open_bill(file) as rows,
        bills.reconcile(rows, ours, day=window, matched=matched, require_amounts=require_amounts) as found,
    ):
        if csv:
            found.to_csv(out)
        elif json or not out.isatty():
            found.to_json(out)
        else:
            _show_findings(found)
    if not found.is_clean:
        raise typer.Exit(DIFFERENT)


def _open_bill(file: str) -> AbstractContextManager[Iterable[bills.Row]]:
    if file == _EMPTY:
        return nullcontext(())
    if not os.path.exists(file) or os.path.isdir(file):  # noqa: PTH110, PTH112  as the user wrote it
        raise ConfigurationError(
            f"FILE: {file!r} is not a file; for a day on which nothing happened write {_EMPTY} in its place"
        )
    return bills.read(file)


def _open_stdout() -> TextIO:
    """Return stdout for data: UTF-8 with its own line ends, as files have them, unless it is a terminal.

    Raises:
        ConfigurationError: It is closed.
    """
    if not sys.stdout:
        raise ConfigurationError("stdout is closed: redirect it to a file")
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.reconfigure(encoding="utf-8", newline="")
    return sys.stdout


def _days(texts: list[str]) -> list[date]:
    days: list[date] = []
    for text in texts:
        first, dots, last = text.partition("..")
        start, end = _day(first), _day(last if dots else first)
        if end < start:
            raise ConfigurationError(f"{text!r}: the last day is before the first")
        days += [start + timedelta(days=number) for number in range((end - start).days + 1)]
    return list(dict.fromkeys(days))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"{text!r:.40} is not a day: give YYYY-MM-DD, or YYYY-MM-DD..YYYY-MM-DD"
        ) from None


def _builder() -> Builder:
    """Make the Builder of the environment's settings.

    Raises:
        ConfigurationError: One is missing or wrong.
    """
    settings: dict[str, Any] = {
        name: os.environ[variable] for variable, name in _SETTINGS.items() if os.environ.get(variable)
    }
    serial, key = (os.environ.get(f"WECHATPAY_PUBLIC_KEY{end}") for end in ("_ID", ""))
    if serial and key:
        settings["certs"] = {serial: key}
    pair = {name: os.environ.get(f"WECHATPAY_MERCHANT_{name.upper()}") for name in ("cert", "key")}
    if all(pair.values()):
        settings["merchant"] = pair
    if not settings.keys() - {"mchid", "base_uri", "verify"}:
        raise ConfigurationError(
            "no settings: set WECHATPAY_MCHID, WECHATPAY_SERIAL, WECHATPAY_PRIVATE_KEY and "
            "the other variables that wechatpay bill --help lists"
        )
    return Builder(**settings)


_Received: TypeAlias = "Callable[[int, int | None], object] | None"


@contextmanager
def _progress() -> Iterator[Callable[[str], AbstractContextManager[_Received]]]:
    """Show a bar for the bill that is being fetched, on a terminal; elsewhere nothing."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: nullcontext()
        return
    columns = TextColumn("{task.description}"), BarColumn(None), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, console=console, transient=True) as progress:

        @contextmanager
        def begin(title: str) -> Iterator[_Received]:
            task = progress.add_task(title, total=None)
            try:
                yield lambda done, total: progress.update(task, completed=done, total=total)
            finally:
                progress.remove_task(task)

        yield begin


def _report(made: bills.Bill, *, as_json: bool) -> None:
    """Say what was fetched: paths alone in a pipe."""
    if as_json:
        members = {"kind": made.kind, "date": str(made.date), "is_empty": made.is_empty}
        digests = [asdict(digest) if digest else None for digest in made.digests]
        files = [
            {"path": str(path), "digest": digest} for path, digest in zip(made.paths, digests, strict=True)
        ]
        typer.echo(dumps({**members, "files": files}, ensure_ascii=False), _open_stdout())
        return
    if made.is_empty:
        typer.echo(f"{made.kind} {made.date}: nothing happened that day, there is no bill", err=True)
        if made.kind in _RECONCILED:
            typer.echo(f"compare: wechatpay bill reconcile {_EMPTY} OURS --day {made.date}", err=True)
    for path, digest in zip(made.paths, made.digests, strict=True):
        if sys.stdout and sys.stdout.isatty():
            checked = f"{digest.type} {digest.value}" if digest else "no digest to check"
            typer.echo(f"{made.kind} {made.date}  {path.stat().st_size:,} bytes, {checked}\n  {path}")
        else:
            typer.echo(str(path))


def _show_table(rows: bills.Rows, limit: int | None) -> None:
    console, columns = Console(), [key for key in _COLUMNS[rows.kind] if key in {*rows.keys, *_MADE}]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for key in columns:
        is_number = key in {"amount", "balance", "fee"}
        # Of what is too wide, numbers of orders are folded: one that is cut off is of no use.
        table.add_column(
            key, no_wrap=key not in _FOLDED, overflow="fold", justify="right" if is_number else "left"
        )
    for row in islice(rows, limit):
        table.add_row(*(_cell(_MADE[key](row) if key not in rows.keys else row[key]) for key in columns))
    more = sum(1 for _ in rows)
    console.print(table)
    if more:
        console.print(f"… and {more:,} more rows; --all shows them", highlight=False)
    for key, value in (rows.summary or {}).items():
        console.print(f"{key:20} {_cell(value)}", highlight=False, markup=False)


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, Decimal):
        cents = value.quantize(Decimal("0.01"))
        return f"{cents if cents == value else value:f}"
    return "" if value is None else escape(str(value))


def _show_findings(found: bills.Reconciliation) -> None:
    for finding in found:
        number = finding.out_refund_no or finding.refund_id or finding.out_trade_no or finding.transaction_id
        kind = "refund" if finding.is_refund else "payment"
        amount = "" if finding.amount is None else f"{finding.amount / 100:,.2f}"
        typer.echo(f"{finding.outcome:20} {kind:7} {number:33} {amount:>13}".rstrip())
        if finding.theirs or finding.ours:
            both = [finding.theirs, finding.ours]
            if finding.outcome == "amount_differs":
                both = [f"{int(fen) / 100:,.2f}" if fen.removeprefix("-").isdigit() else fen for fen in both]
            typer.echo("{:20} bill {}, books {}".format("", *both))
    summary = found.summary()
    typer.echo(f"{'amounts compared':20} {summary['amounts_compared']:>11,}")
    for outcome, numbers in summary.items():
        if isinstance(numbers, dict) and numbers["count"]:
            typer.echo(f"{outcome:20} {numbers['count']:>11,} {numbers['fen'] / 100:>24,.2f} yuan")
            for line in textwrap.wrap(bills.OUTCOMES[outcome], 76):
                typer.echo(f"    {line}")


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let a request to terminate end the command as Ctrl-C does: it removes what is half written."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
