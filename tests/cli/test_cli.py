"""The commands, as a shell runs them."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest.mock import Mock

import pytest

import wechatpay
from wechatpay import ConfigurationError, NoResponseError, __main__
from wechatpay.cli import demo
from wechatpay.sandbox import verification

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(monkeypatch):
    """Give a function that runs a command in this process and gives its exit code."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["wechatpay", *arguments])
        with pytest.raises(SystemExit) as caught:
            sys.exit(__main__.main())
        return caught.value.code

    return run


def start(*arguments):
    """Start a command in a process of its own, which Ctrl-C reaches even where tests ignore it."""
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from wechatpay.__main__ import main; sys.exit(main())"
    )
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
    )


class Impatience:
    """A user who presses Ctrl-C while the command line loads."""

    def find_spec(self, name, *_):
        """Interrupt."""
        if name == "wechatpay.cli.app":
            raise KeyboardInterrupt


def test_early_interrupt_shows_no_traceback(monkeypatch):
    """Ctrl-C while the libraries load ends the command like Ctrl-C later."""
    monkeypatch.delitem(sys.modules, "wechatpay.cli.app", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Impatience(), *sys.meta_path])

    assert 130 == __main__.main()


def test_version_names_the_distribution(run, capsys):
    """``--version`` names the distribution."""
    assert 0 == run("--version")
    assert f"wechatpay-chainable {wechatpay.__version__}\n" == capsys.readouterr().out


def test_module_can_be_run():
    """``python -m wechatpay`` is the same command."""
    command = [sys.executable, "-m", "wechatpay", "--version"]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)

    assert f"wechatpay-chainable {wechatpay.__version__}\n" == ran.stdout


def test_help_lists_the_commands(run, capsys):
    """The bare name lists the commands."""
    assert 2 == run()
    assert {"demo", "sandbox"} <= set(re.findall(r"\w+", capsys.readouterr().err))


def test_demo_ends_with_its_outcome(run, monkeypatch):
    """``wechatpay demo`` ends with 0, or with 1 if the two sides do not agree, here about the time."""
    assert 0 == run("demo")
    monkeypatch.setattr(verification, "TOLERANCE", -1)
    assert 1 == run("demo")


@pytest.mark.parametrize(
    "command", ["", "demo", "sandbox", "certificates", "explain", "bill", "bill trade", "bill reconcile"]
)
def test_help_fits_80_columns(run, capsys, command):
    """``-h`` and ``--help`` describe each command in plain lines."""
    assert 0 == run(*command.split(), "-h")
    text = capsys.readouterr().out
    assert 0 == run(*command.split(), "--help")

    assert text == capsys.readouterr().out
    assert text.startswith(f"Usage: wechatpay {command}".rstrip())
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "..." not in text.partition("Commands:")[2]


def test_unexpected_error_shows_neither_traceback_nor_values(run, capsys, monkeypatch):
    """A fault of ours is one line that names its kind; its text and its frames may hold keys."""
    monkeypatch.setattr(demo, "run", lambda: json.loads("secret"))

    assert 1 == run("demo")
    assert (
        "wechatpay: internal error: JSONDecodeError; python -X dev -m wechatpay shows\nwhere\n"
        == capsys.readouterr().err
    )


def test_unexpected_error_shows_its_traceback_in_development_mode():
    """Whoever looks for the fault gets everything."""
    code = (
        "import sys; from wechatpay.cli import demo; demo.run = lambda: 1 / 0;"
        "from wechatpay.__main__ import main; sys.argv = ['wechatpay', 'demo']; main()"
    )
    command = [sys.executable, "-X", "dev", "-c", code]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)

    assert 1 == ran.returncode
    assert "ZeroDivisionError: division by zero" in ran.stderr


def test_warnings_of_the_library_are_not_printed():
    """A command prints its error once."""
    code = (
        "import logging, sys; from wechatpay.cli import demo;"
        "demo.run = lambda: logging.getLogger('wechatpay.apiv3').warning('noise') is None;"
        "from wechatpay.__main__ import main; sys.argv = ['wechatpay', 'demo']; main()"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)

    assert ("", "") == (ran.stdout, ran.stderr)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (FileNotFoundError(2, "No such file or directory", "keys"), 2, "keys: No such file or directory"),
        (OSError("no disk"), 1, "no disk"),
        (ConfigurationError("mchid: missing"), 2, "mchid: missing"),
        (NoResponseError("no response"), 1, "no response"),
    ],
    ids=["file", "system", "settings", "response"],
)
def test_error_is_one_message_and_an_exit_code(run, capsys, monkeypatch, error, code, text):
    """Settings that are wrong end with 2, failures with 1."""
    monkeypatch.setattr(demo, "run", Mock(side_effect=error))

    assert code == run("demo")
    assert f"wechatpay: {text}\n" == capsys.readouterr().err


def test_long_error_is_wrapped_between_words(run, capsys, monkeypatch):
    """An error fits 80 columns, and no value is broken."""
    error = ConfigurationError(f"private_key: {'no key ' * 20}in /srv/{'long-' * 20}name")
    monkeypatch.setattr(demo, "run", Mock(side_effect=error))

    assert 2 == run("demo")
    *lines, last = capsys.readouterr().err.splitlines()
    assert len(lines) > 1
    assert all(len(line) <= 80 for line in lines)
    assert f"/srv/{'long-' * 20}name" == last


def test_question_without_a_terminal_says_so(run, capsys, monkeypatch):
    """What is missing cannot be asked for in a script."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    assert 2 == run("certificates", "-k", "0" * 32)
    assert "missing: --mchid (WECHATPAY_MCHID)" in capsys.readouterr().err


@pytest.mark.parametrize("event", [KeyboardInterrupt, EOFError], ids=["Ctrl-C", "Ctrl-D"])
def test_interrupted_question_is_silent(run, capsys, monkeypatch, event):
    """Ctrl-C, or Ctrl-D, at a question ends the command without a word."""
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    terminal.readline = Mock(side_effect=event)
    monkeypatch.setattr(sys, "stdin", terminal)

    assert 130 == run("certificates", "-k", "0" * 32)
    assert "" == capsys.readouterr().err


@pytest.mark.parametrize(
    ("event", "code"), [(KeyboardInterrupt(), 130), (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1)]
)
def test_interrupted_command_is_silent(run, capsys, monkeypatch, event, code):
    """Neither Ctrl-C nor a reader that leaves is worth a word."""
    monkeypatch.setattr(demo, "run", Mock(side_effect=event))

    assert code == run("demo")
    assert "" == capsys.readouterr().err.strip()


def test_reader_that_leaves_is_no_error():
    """``wechatpay explain SIGN_ERROR | head -1`` shows one line, and no traceback."""
    command = f"'{sys.executable}' -m wechatpay explain --search 支付 | head -1"
    ran = subprocess.run(["bash", "-c", command], check=True, capture_output=True, text=True, cwd=ROOT)

    assert "" == ran.stderr
    assert 1 == len(ran.stdout.splitlines())


def test_unknown_command_is_an_error(run, capsys):
    """A misspelt command is named."""
    assert 2 == run("demoo")
    assert "demoo" in capsys.readouterr().err


def test_missing_libraries_are_named(monkeypatch, capsys):
    """Without the extra, one line says how to install it."""
    for name in [name for name in sys.modules if name.startswith(("typer", "wechatpay.cli"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "typer", None)

    assert 2 == __main__.main()
    assert (
        "The command line needs an extra: pip install 'wechatpay-chainable[cli]'\n" == capsys.readouterr().err
    )


def test_other_missing_libraries_are_not_hidden(monkeypatch):
    """A broken installation of something else is reported as such."""
    monkeypatch.delitem(sys.modules, "wechatpay.cli.app", raising=False)
    monkeypatch.setitem(sys.modules, "wechatpay.cli.explain", None)

    with pytest.raises(ModuleNotFoundError, match="explain"):
        __main__.main()


@pytest.fixture
def served():
    """Give a running ``wechatpay sandbox``, and what it printed to be pasted."""
    process = start("sandbox")
    text = ""
    while ")\n" != (line := process.stdout.readline()):
        assert line, process.stderr.read()
        text += line
    yield process, text + line
    process.kill()
    process.communicate()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "polite kill"])
def test_sandbox_command_serves_what_it_prints(served, sent):
    """The settings can be pasted; requests are shown; the keys go with the process, which ends well."""
    process, text = served
    names = {}
    exec(text, names)
    with names["instance"] as instance:
        response = instance.v3.palmservice.authorization.openid._openid_.get(
            openid="oUpF8uMuAJOM2pxb1Q", query={"organization_id": "1"}
        )
    folder = Path(names["keys"].removeprefix("file://"))
    assert 200 == response.status_code
    assert 0o700 == folder.stat().st_mode & 0o777
    process.send_signal(sent)
    _, err = process.communicate(timeout=20)

    assert 0 == process.returncode
    assert "GET /v3/palmservice/authorization/openid/oUpF8uMuAJOM2pxb1Q → 200" in err
    assert "Traceback" not in err
    assert not folder.exists()


def test_sandbox_command_ends_within_this_process(run, capsys):
    """Ctrl-C in the main thread stops the sandbox, restores the signals and says so."""
    before, port = signal.getsignal(signal.SIGTERM), free_port()

    def interrupt():
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.1):
                time.sleep(0.2)
                os.kill(os.getpid(), signal.SIGTERM)
                return

    threading.Thread(target=interrupt).start()

    assert 0 == run("sandbox", "--port", str(port))
    shown = capsys.readouterr()
    assert f'base_uri="http://127.0.0.1:{port}/"' in shown.out
    assert "has stopped" in shown.err
    assert before is signal.getsignal(signal.SIGTERM)


def test_sandbox_command_names_a_taken_port(run, capsys):
    """A port that another program holds is one line, and exit code 2."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()

        assert 2 == run("sandbox", "--port", str(other.getsockname()[1]))

    assert re.fullmatch(r"wechatpay: port \d+: .*\n", capsys.readouterr().err)


def free_port():
    """Give a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_container_serves_until_it_is_stopped(tmp_path):
    """The command of the container listens on the published ports, keeps its keys, and ends at SIGTERM."""
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    entry, defaults = (
        json.loads(re.search(rf"^{name} (.*)$", text, re.MULTILINE)[1]) for name in ("ENTRYPOINT", "CMD")
    )
    places = {"8080": str(free_port()), "8443": str(free_port()), "/keys": str(tmp_path / "keys")}
    process = start(*(places.get(word, word) for word in (*entry[1:], *defaults)))
    while "# Console" not in (line := process.stderr.readline()):
        assert line
    process.terminate()
    out, _ = process.communicate(timeout=20)

    assert 0 == process.returncode
    assert f'base_uri="http://127.0.0.1:{places["8080"]}/"' in out
    assert list((tmp_path / "keys").rglob("apiclient_key.pem"))
    assert all((ROOT / name).exists() for name in re.findall(r"^COPY (.*) /", text, re.MULTILINE)[0].split())
