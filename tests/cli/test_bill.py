"""``wechatpay bill``: friendly on a terminal, exact in a pipe, and nothing half written."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta

import pytest
from bill_samples import ALL, FUND, SHARING, STATEMENT, encode, trade
from sandboxes import identity

from wechatpay import __main__
from wechatpay.sandbox import Sandbox, faults
from wechatpay.sandbox.clock import CHINA
from wechatpay.sandbox.orders import Order

CODE = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from wechatpay.__main__ import main; sys.exit(main())"
)
BOOKS = "out_trade_no,out_refund_no,amount_fen\nA20260302-1,,10000\n,R20260302-1,4999\n"


@pytest.fixture
def today():
    """Give the day of the sandbox's payment."""
    return datetime.now(CHINA).date().isoformat()


@pytest.fixture
def sandbox(monkeypatch, tmp_path):
    """Give a sandbox a day after a payment, and its settings in the environment."""
    with Sandbox(identity=identity(), mode="public-key") as sandbox:
        sandbox._ledger.place(Order(out_trade_no="A1", appid="wx1", total=101, trade_type="NATIVE"))
        sandbox._ledger.pay("A1")
        sandbox.advance(36 * 3600)
        settings = identity().settings()
        ((serial, key),) = sandbox.settings()["certs"].items()
        environment = {
            "MCHID": settings["mchid"],
            "SERIAL": settings["serial"],
            "PRIVATE_KEY": settings["private_key"],
            "PUBLIC_KEY_ID": serial,
            "PUBLIC_KEY": key,
            "SECRET": settings["secret"],
            "BASE_URI": sandbox.base_uri,
        }
        for name, value in environment.items():
            monkeypatch.setenv(f"WECHATPAY_{name}", str(value))
        yield sandbox


@pytest.fixture
def run(monkeypatch):
    """Give a function that runs ``wechatpay bill`` in this process, and gives its exit code."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["wechatpay", "bill", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            sys.exit(__main__.main())
        return caught.value.code or 0

    return run


@pytest.fixture
def files(tmp_path):
    """Give a bill, and books that differ from it by one refund."""
    (tmp_path / "bill.csv").write_bytes(encode(ALL))
    (tmp_path / "ours.csv").write_text(BOOKS)
    return tmp_path / "bill.csv", tmp_path / "ours.csv"


@pytest.fixture
def terminal(monkeypatch, capsys):
    """Let this process believe that its output is a terminal."""
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True, raising=False)
    monkeypatch.setenv("COLUMNS", "160")


class TestFetch:
    """``wechatpay bill KIND DAYS``."""

    def test_pipe_gets_paths(self, sandbox, run, capsys, tmp_path, today):
        """One path a line, and nothing else."""
        assert 0 == run("trade", today, "-o", tmp_path)
        out, err = capsys.readouterr()

        assert (f"{tmp_path}/trade-{today}.csv\n", "") == (out, err)
        assert b"A1" in (tmp_path / f"trade-{today}.csv").read_bytes()

    def test_range_fetches_every_day(self, sandbox, run, capsys, tmp_path, today):
        """A line of JSON for each; days without a bill have no files."""
        first, last = ((datetime.now(CHINA) - timedelta(days=ago)).date() for ago in (3, 2))
        assert 0 == run("fund", f"{first}..{last}", today, "--account", "basic", "--json", "-o", tmp_path)
        made = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

        assert [True, True, False] == [bill["is_empty"] for bill in made]
        assert f"{tmp_path}/fund-basic-{today}.csv" == made[2]["files"][0]["path"]
        assert 40 == len(made[2]["files"][0]["digest"]["value"])

    def test_directory_is_created(self, sandbox, run, capsys, tmp_path, today):
        """A slash at its end says that it is one, for one day and for many."""
        # Not yesterday, whose bill does not exist before 10:00.
        first, last = ((datetime.now(CHINA) - timedelta(days=ago)).date() for ago in (3, 2))
        assert 0 == run("trade", today, "-o", f"{tmp_path}/one/")
        assert 0 == run("trade", f"{first}..{last}", today, "-o", f"{tmp_path}/many/")

        assert [f"{tmp_path}/{name}/trade-{today}.csv" for name in ("one", "many")] == (
            capsys.readouterr().out.split()
        )

    def test_empty_day_is_said(self, sandbox, run, capsys, tmp_path):
        """On stderr: there is no path."""
        day = (datetime.now(CHINA) - timedelta(days=3)).date()
        assert 0 == run("trade", day, "-o", tmp_path)
        out, err = capsys.readouterr()

        assert "" == out
        assert "nothing happened that day" in err
        assert f"wechatpay bill reconcile empty OURS --day {day}" in err
        assert 0 == run("fund", day, "-o", tmp_path)
        assert "reconcile" not in capsys.readouterr().err

    def test_terminal_gets_a_sentence(self, sandbox, run, capsys, tmp_path, today, terminal):
        """With the size and the digest."""
        assert 0 == run("trade", today, "-o", tmp_path)
        assert "bytes, SHA1 " in capsys.readouterr().out

    def test_statement_names_the_merchant(self, sandbox, run, tmp_path, today):
        """The merchant is that of the settings."""
        assert 0 == run("statement", today, "-o", tmp_path)
        assert (tmp_path / f"statement-{today}.csv").exists()

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["trade", "2026-02-30"], "is not a day"),
            (["trade", "2026-02-02..2026-02-01"], "before the first"),
            (["trade", "2026-02-01..2026-02-02", "-o", "/nowhere"], "write '/nowhere/' to create it"),
            (["payscore", "2026-02-01"], "Missing option '--service-id'"),
            (["trade", "2026-02-01", "--account", "basic"], "No such option: --account"),
        ],
    )
    def test_wrong_usage_is_explained(self, sandbox, run, capsys, arguments, words):
        """The exit code is 2, and nothing was sent."""
        assert 2 == run(*arguments)
        assert words in " ".join(capsys.readouterr().err.split())
        assert not sandbox.requests

    def test_kind_has_its_own_options(self, run, capsys):
        """The help shows those that the kind takes."""
        assert 0 == run("statement", "--help")
        out = capsys.readouterr().out

        assert "--sp-mchid" in out
        assert "--account" not in out
        assert "Overseas statement" in out

    def test_day_that_is_given_twice_is_fetched_once(self, sandbox, run, capsys, tmp_path, today):
        """In a range, and by itself."""
        assert 0 == run("trade", today, f"{today}..{today}", "-o", tmp_path)
        assert f"{tmp_path}/trade-{today}.csv\n" == capsys.readouterr().out

    def test_day_to_come_is_explained(self, sandbox, run, capsys, tmp_path, today):
        """The error says when there is a bill, and nothing that contradicts it."""
        day = (datetime.now(CHINA) + timedelta(days=3)).date()
        assert 1 == run("trade", day, "-o", tmp_path)
        err = capsys.readouterr().err

        assert f"the bill of {day} does not exist yet" in err
        assert "do not retry" not in err

    @pytest.mark.parametrize("given", [{}, {"WECHATPAY_MCHID": "1900000109"}], ids=["none", "merchant"])
    def test_missing_settings_are_explained(self, run, capsys, monkeypatch, tmp_path, given):
        """Without an environment, or with the merchant alone, the command says what it reads."""
        for name in list(os.environ):
            if name.startswith("WECHATPAY_"):
                monkeypatch.delenv(name)
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        assert 2 == run("trade", "2026-02-01", "-o", tmp_path)
        assert "set WECHATPAY_MCHID, WECHATPAY_SERIAL" in capsys.readouterr().err

    def test_merchant_certificate_is_a_setting(self, sandbox, run, monkeypatch, capsys, tmp_path, today):
        """APIv2's fund bill needs it."""
        pair = identity().settings()["merchant"]
        monkeypatch.setenv("WECHATPAY_MERCHANT_CERT", pair["cert"])
        monkeypatch.setenv("WECHATPAY_MERCHANT_KEY", pair["key"])
        monkeypatch.setenv("WECHATPAY_BASE_URI", sandbox.address.tls)
        monkeypatch.setenv("WECHATPAY_VERIFY", str(sandbox.address.bundle))

        assert 0 == run("v2-fund", today, "--appid", "wx1", "-o", tmp_path), capsys.readouterr().err

    def test_failure_has_its_own_code(self, sandbox, run, capsys, tmp_path, today):
        """An error of WeChat Pay's is 1, with its explanation."""
        sandbox.inject(faults.ErrorResponse(403, "NO_AUTH", "无权调用此接口"))
        assert 1 == run("trade", today, "-o", tmp_path)
        assert "NO_AUTH" in capsys.readouterr().err

    @pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "polite kill"])
    def test_interrupt_leaves_no_half_file(self, sandbox, tmp_path, today, sent):
        """In the middle of a download: the exit code is 130, and the directory is empty."""
        sandbox.inject(faults.Delay(20), path="v3/billdownload/file")
        process = subprocess.Popen(
            [sys.executable, "-c", CODE, "bill", "trade", today, "-o", tmp_path], stderr=subprocess.PIPE
        )
        while not any("billdownload" in request.path for request in sandbox.requests):
            time.sleep(0.05)
            assert process.poll() is None, process.stderr.read()
        time.sleep(0.2)
        process.send_signal(sent)
        _, err = process.communicate(timeout=15)

        assert (130, b"") == (process.returncode, err)
        assert not list(tmp_path.iterdir())

    def test_terminal_gets_a_progress_bar(self, sandbox, tmp_path, today):
        """On stderr, so that the paths can be piped."""
        master, slave = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-c", CODE, "bill", "trade", today, "-o", tmp_path],
            stdout=subprocess.PIPE,
            stderr=slave,
            env={**os.environ, "TERM": "xterm"},
        )
        os.close(slave)
        seen = b""
        try:
            while piece := os.read(master, 4096):
                seen += piece
        except OSError:  # Linux: the other side was closed
            pass
        finally:
            os.close(master)
        out, _ = process.communicate(timeout=30)

        assert f"{tmp_path}/trade-{today}.csv\n".encode() == out
        assert b"trade" in seen
        assert b"\x1b[" in seen


class TestShow:
    """``wechatpay bill show FILE``."""

    def test_pipe_gets_csv(self, run, capsys, files):
        """All rows, plain."""
        assert 0 == run("show", files[0])
        payment, refund = csv.DictReader(io.StringIO(capsys.readouterr().out))
        assert ("10000", "5000") == (payment["total_fen"], refund["refund_total_fen"])

    def test_json_has_a_line_for_each_row(self, run, capsys, files):
        """English names."""
        assert 0 == run("show", files[0], "--json")
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [(10000, "100.00"), (0, "0.00")] == [(row["total_fen"], row["total"]) for row in rows]

    @pytest.mark.parametrize("text", [ALL, FUND], ids=["trade", "fund"])
    def test_terminal_gets_a_table(self, run, capsys, tmp_path, terminal, text):
        """The main columns, and the summary."""
        (tmp_path / "bill.csv").write_bytes(encode(text))
        assert 0 == run("show", tmp_path / "bill.csv")
        out = capsys.readouterr().out
        assert "98.00" in out
        assert "count" in out

    @pytest.mark.parametrize(
        "text", [ALL, FUND, SHARING, STATEMENT], ids=["trade", "fund", "sharing", "statement"]
    )
    def test_table_fits_the_terminal(self, run, capsys, tmp_path, terminal, monkeypatch, text):
        """Numbers are folded and not cut off, in 80 columns."""
        monkeypatch.setenv("COLUMNS", "80")
        (tmp_path / "bill.csv").write_bytes(encode(text.replace("A20260302-1", "A" * 32)))
        assert 0 == run("show", tmp_path / "bill.csv")
        out = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)

        assert "2026-03-02 1" in out
        assert "…" not in out
        assert max(sum(1 + (ord(each) > 0x2E80) for each in line) for line in out.splitlines()) <= 80

    def test_long_bill_is_shortened_on_a_terminal(self, run, capsys, tmp_path, terminal, monkeypatch):
        """It says how many rows there are more; ``--all`` shows them."""
        monkeypatch.setattr("wechatpay.cli.bill._SHOWN", 1)
        (tmp_path / "bill.csv").write_bytes(encode(ALL))
        assert 0 == run("show", tmp_path / "bill.csv")
        assert "and 1 more rows" in capsys.readouterr().out
        assert 0 == run("show", tmp_path / "bill.csv", "--all")
        assert "more rows" not in capsys.readouterr().out

    def test_damaged_bill_is_an_error(self, run, capsys, tmp_path):
        """With the line."""
        (tmp_path / "bill.csv").write_bytes(encode(ALL.replace("`2,`98.00", "`3,`98.00")))
        assert 1 == run("show", tmp_path / "bill.csv")
        assert "line 5: the summary has count 3" in " ".join(capsys.readouterr().err.split())


class TestOutput:
    """What a pipe, a file and a terminal get, whatever their encoding is."""

    @pytest.fixture
    def start(self, monkeypatch):
        """Give a function that runs ``wechatpay bill`` in a process whose streams use an encoding."""

        def start(encoding, *arguments, **options):
            monkeypatch.setenv("PYTHONIOENCODING", encoding)
            command = [sys.executable, "-c", CODE, "bill", *map(str, arguments)]
            return subprocess.run(command, check=False, timeout=60, **options)

        return start

    @pytest.fixture
    def bill(self, tmp_path):
        """Give a bill with a character that GBK lacks."""
        text = ALL.replace("A20260302-1", "A20260302-\U0001f9cb")
        assert text != ALL
        (tmp_path / "tea.csv").write_bytes(encode(text))
        return tmp_path / "tea.csv"

    @pytest.mark.parametrize(
        "arguments",
        [
            ("show", "BILL"),
            ("show", "BILL", "--json"),
            ("reconcile", "BILL", "OURS"),
            ("reconcile", "BILL", "OURS", "--csv"),
        ],
        ids=" ".join,
    )
    def test_data_is_utf_8(self, start, bill, files, arguments):
        """As all files of this package are: the encoding of a Chinese Windows loses characters."""
        paths = {"BILL": bill, "OURS": files[1]}
        run = start("gbk", *(paths.get(word, word) for word in arguments), capture_output=True)

        assert b"" == run.stderr
        assert "\U0001f9cb" in run.stdout.decode("utf-8")

    def test_csv_keeps_its_line_ends(self, start, files):
        """What is written is what a file of this package has, on every system."""
        out = start("gbk:strict", "show", files[0], capture_output=True).stdout

        assert out.count(b"\r\n") == out.count(b"\n") == out.count(b"\r") > 0

    def test_terminal_gets_question_marks(self, start, bill):
        """A terminal that lacks a character shows the rest."""
        master, slave = pty.openpty()
        run = start("gbk", "show", bill, stdout=slave, stderr=subprocess.PIPE)
        os.close(slave)
        seen = os.read(master, 65536).decode("gbk")
        os.close(master)

        assert (0, b"") == (run.returncode, run.stderr)
        assert "A20260302-?" in seen

    @pytest.mark.parametrize(
        "arguments",
        [("show", "BILL"), ("show", "BILL", "--json"), ("reconcile", "BILL", "OURS")],
        ids=" ".join,
    )
    def test_closed_output_is_explained(self, start, files, arguments):
        """There is nowhere to print to."""
        paths = dict(zip(("BILL", "OURS"), files, strict=True))
        run = start(
            "utf-8",
            *(paths.get(word, word) for word in arguments),
            stderr=subprocess.PIPE,
            preexec_fn=lambda: os.close(1),
        )

        assert (2, "wechatpay: stdout is closed: redirect it to a file\n") == (
            run.returncode,
            run.stderr.decode(),
        )

    def test_bill_is_fetched_without_an_output(self, sandbox, start, tmp_path, today):
        """The file matters, not the line that names it."""
        run = start(
            "utf-8",
            "trade",
            today,
            "-o",
            tmp_path,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: os.close(1),
        )

        assert (0, b"") == (run.returncode, run.stderr)
        assert (tmp_path / f"trade-{today}.csv").exists()


class TestReconcile:
    """``wechatpay bill reconcile FILE OURS``."""

    def test_pipe_gets_json(self, run, capsys, files):
        """A line for each difference and the summary; the exit code says that there are some."""
        assert 3 == run("reconcile", *files)
        finding, summary = map(json.loads, capsys.readouterr().out.splitlines())
        assert ("amount_differs", "5000", "4999") == (finding["outcome"], finding["theirs"], finding["ours"])
        assert 1 == summary["summary"]["matched"]["count"]

    def test_csv_can_be_asked_for(self, run, capsys, files):
        """For spreadsheets."""
        assert 3 == run("reconcile", *files, "--csv", "--matched")
        rows = csv.DictReader(io.StringIO(capsys.readouterr().out))
        assert ["matched", "amount_differs"] == [row["outcome"] for row in rows]

    def test_terminal_gets_sentences(self, run, capsys, files, terminal):
        """What differs, what to do, and sums."""
        files[1].write_text(BOOKS + "B1,,5\n")
        assert 3 == run("reconcile", *files, "--day", "2026-03-02", "--matched")
        out = capsys.readouterr().out
        lines = [line.split() for line in out.splitlines()]
        assert ["amount_differs", "refund", "R20260302-1", "50.00"] in lines
        assert ["bill", "50.00,", "books", "49.99"] in lines
        assert ["missing_there", "payment", "B1", "0.05"] in lines
        assert ["amount_differs", "1", "50.00", "yuan"] in lines
        assert ["amounts", "compared", "2"] in lines
        assert "correct your books" in out

    def test_nothing_is_wider_than_the_terminal(self, run, capsys, files, terminal):
        """Whatever is found, with numbers of 32 characters and amounts of millions, in 80 columns."""
        number = "N" * 32
        rows = trade({"商户订单号": number, "订单金额": "9999999.99"}, {"商户订单号": f"{number[1:]}1"})
        files[0].write_bytes(encode(rows))
        files[1].write_text(f"out_trade_no,amount_fen,state\n{number},1,NOTPAY\n{number[1:]}2,999999999,\n")
        assert 3 == run("reconcile", *files)
        lines = capsys.readouterr().out.splitlines()

        assert {"amount_differs", "amounts", "state_differs", "missing_here", "missing_there"} == {
            line.split()[0] for line in lines if line[0] != " "
        }
        assert max(map(len, lines)) <= 80

    def test_no_difference_is_success(self, run, capsys, files):
        """The exit code is 0."""
        files[1].write_text(BOOKS.replace("4999", "5000"))
        assert 0 == run("reconcile", *files)
        assert json.loads(capsys.readouterr().out)["summary"]["is_clean"]

    def test_amounts_may_be_left_out_if_asked_for(self, run, capsys, files):
        """Otherwise a column with an unknown name is an error, which names the option."""
        files[1].write_text(BOOKS.replace("amount_fen", "Amount_Fen"))
        assert 1 == run("reconcile", *files)
        words = " ".join(capsys.readouterr().err.split())
        assert "did you mean amount_fen?" in words
        assert "--no-require-amounts" in words
        assert 0 == run("reconcile", *files, "--no-require-amounts")
        summary = json.loads(capsys.readouterr().out)["summary"]
        assert (True, 0) == (summary["is_clean"], summary["amounts_compared"])

    def test_empty_day_is_compared(self, run, capsys, tmp_path):
        """It has no file: the word empty says so, and what is paid in the books is missing there."""
        ours = tmp_path / "ours.csv"
        ours.write_text(
            "out_trade_no,amount_fen,state,time\n"
            "A1,5,SUCCESS,2026-11-27T12:00:00+08:00\nA2,5,NOTPAY,2026-11-27T12:00:00+08:00\n"
            "A3,5,SUCCESS,2026-11-28T12:00:00+08:00\n"
        )
        assert 3 == run("reconcile", "empty", ours, "--day", "2026-11-27")
        finding, summary = map(json.loads, capsys.readouterr().out.splitlines())
        assert ("missing_there", "A1") == (finding["outcome"], finding["out_trade_no"])
        assert 2 == summary["summary"]["skipped"]
        assert 0 == run("reconcile", "empty", ours, "--day", "2026-11-26")

    def test_help_says_what_stands_for_an_empty_day(self, run, capsys):
        """With an example."""
        assert 0 == run("reconcile", "--help")
        assert "reconcile empty ours.csv --day" in " ".join(capsys.readouterr().out.split())

    @pytest.mark.parametrize("name", ["trade-2026-11-27.csv", "."])
    def test_bill_that_is_not_there_is_explained(self, run, capsys, files, tmp_path, name):
        """Nothing is taken for an empty day that nobody called one."""
        assert 2 == run("reconcile", tmp_path / name, files[1])
        words = " ".join(capsys.readouterr().err.split())
        assert "is not a file; for a day on which nothing happened write empty in its place" in words

    def test_empty_day_needs_its_day(self, run, capsys, files):
        """All entries of the books would be missing otherwise."""
        assert 2 == run("reconcile", "empty", files[1])
        assert "--day: give the day that is empty" in " ".join(capsys.readouterr().err.split())

    def test_bill_may_come_from_a_pipe(self, run, capsys, files):
        """As from ``cat`` or a process substitution of the shell."""
        receiver, sender = os.pipe()
        os.write(sender, encode(ALL))
        os.close(sender)
        try:
            assert 3 == run("reconcile", f"/dev/fd/{receiver}", files[1])
        finally:
            os.close(receiver)
        finding, _ = map(json.loads, capsys.readouterr().out.splitlines())
        assert ("amount_differs", "R20260302-1") == (finding["outcome"], finding["out_refund_no"])

    def test_wrong_day_is_an_error(self, run, capsys, files):
        """What is missing would not be expected on it."""
        assert 1 == run("reconcile", *files, "--day", "2026-03-03")
        words = " ".join(capsys.readouterr().err.split())
        assert "line 2 of the bill is of 2026-03-02, and the days given are 2026-03-03" in words

    def test_unclear_books_are_an_error(self, run, capsys, files):
        """The entry is named."""
        files[1].write_text("out_trade_no,amount\nA,1\n")
        assert 1 == run("reconcile", *files)
        assert "entry 1: amount" in " ".join(capsys.readouterr().err.split())
