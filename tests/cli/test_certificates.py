"""`wechatpay certificates`, with the options of the PHP SDK's downloader."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys

import keys
import merchants
import pytest
import rotation
import sandboxes
from rotation import APIV3_KEY, SERIALS, refused
from typer.testing import CliRunner

from wechatpay.cli.app import app
from wechatpay.crypto import pem
from wechatpay.sandbox import Sandbox
from wechatpay.sandbox.settings_snippet import environment

VARIABLES = {
    "WECHATPAY_APIV3_KEY": APIV3_KEY,
    "WECHATPAY_MCHID": merchants.MCHID,
    "WECHATPAY_PRIVATE_KEY": keys.pem("merchant"),
    "WECHATPAY_SERIAL": merchants.MERCHANT_SERIAL,
}


@pytest.fixture
def wechat(gateway):
    """Give a WeChat Pay that offers two certificates."""
    wechat = gateway.behaviour = rotation.Rotation("old", "new")
    return wechat


@pytest.fixture
def key_file(tmp_path):
    """Give the merchant's key as a file."""
    file = tmp_path / "apiclient_key.pem"
    file.write_text(keys.pem("merchant"))
    return file


@pytest.fixture
def output(tmp_path):
    """Give a directory for the files."""
    output = tmp_path / "certs"
    output.mkdir()
    return output


@pytest.fixture
def run(gateway, wechat, output, monkeypatch):
    """Give a function that runs the command."""
    for name in ("http_proxy", "https_proxy", "all_proxy", *VARIABLES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    def run(*options, env=None):
        arguments = ["certificates", *options, "-o", str(output)]
        variables = {"WECHATPAY_BASE_URI": gateway.url, **(env or {})}
        return CliRunner().invoke(app, arguments, env=variables)

    return run


def test_certificates_are_saved_and_shown(run, output, key_file, gateway):
    """Each is a file named by its serial number; number, validity and path are printed."""
    given = ("-k", APIV3_KEY, "-m", merchants.MCHID, "-f", str(key_file), "-s", merchants.MERCHANT_SERIAL)
    result = run(*given, "-u", gateway.url, env={"WECHATPAY_BASE_URI": "https://api.mch.weixin.qq.com/"})

    assert 0 == result.exit_code, result.output
    for name in ("old", "new"):
        made, file = rotation.certificate(name), output / f"wechatpay_{SERIALS[name]}.pem"
        assert made == pem.load_certificate(file)
        assert f"Serial number  {SERIALS[name]}" in result.output
        assert f"Valid          {made.not_valid_before_utc:%Y-%m-%d %H:%M:%S} to " in result.output
        assert f"Saved to       {file}" in result.output
    assert APIV3_KEY not in result.output


def test_long_options_are_those_of_php(run, output, key_file):
    """The long names are the PHP downloader's, too."""
    result = run(
        *("--key", APIV3_KEY, "--mchid", merchants.MCHID),
        *("--privatekey", key_file.as_uri(), "--serialno", merchants.MERCHANT_SERIAL),
    )

    assert 0 == result.exit_code, result.output
    assert 2 == len(list(output.iterdir()))


def test_options_are_read_from_the_environment(run, output):
    """Secrets need not stand on the command line; the private key may be in a variable."""
    result = run(env=VARIABLES)

    assert 0 == result.exit_code, result.output
    assert 2 == len(list(output.iterdir()))
    assert APIV3_KEY not in result.output


def test_what_is_missing_is_asked_for_and_not_echoed(gateway, wechat, output, key_file):
    """On a terminal; the APIv3 key is typed without being shown."""
    ours, theirs = pty.openpty()
    arguments = [sys.executable, "-m", "wechatpay", "certificates", "-u", gateway.url, "-o", output]
    terminal = {"stdin": theirs, "stdout": theirs, "stderr": theirs, "start_new_session": True}
    with subprocess.Popen(arguments, env={"PATH": "", "LANG": "C.UTF-8"}, **terminal) as process:
        os.close(theirs)
        shown = b""
        for response in (APIV3_KEY, merchants.MCHID, str(key_file), merchants.MERCHANT_SERIAL):
            while not shown.endswith(b": "):
                shown += os.read(ours, 1000)
            os.write(ours, f"{response}\n".encode())
            shown += os.read(ours, 1)
        with contextlib.suppress(OSError):  # the end of a terminal, on Linux
            while more := os.read(ours, 1000):
                shown += more
        os.close(ours)

    text = shown.decode()
    assert 0 == process.returncode, text
    assert "APIv3 key (not shown):" in text
    assert APIV3_KEY not in text
    assert merchants.MCHID in text
    assert 2 == len(list(output.iterdir()))


def test_second_run_leaves_the_same_files(run, output):
    """The same certificate under the same name is no reason to complain, nor to write."""
    run(env=VARIABLES)
    before = {file: file.stat().st_mtime_ns for file in output.iterdir()}
    result = run(env=VARIABLES)

    assert 0 == result.exit_code, result.output
    assert before == {file: file.stat().st_mtime_ns for file in output.iterdir()}
    assert 2 == result.output.count("Saved to")


@pytest.mark.parametrize("content", ["mine", rotation.certificate("third")], ids=["text", "certificate"])
def test_other_file_is_not_overwritten(run, output, content):
    """What lies there and is something else stays."""
    file = output / f"wechatpay_{SERIALS['old']}.pem"
    text = content if isinstance(content, str) else keys.certificate_pem("third")
    file.write_text(text)
    result = run(env=VARIABLES)

    assert 1 == result.exit_code
    assert "exists and is not this certificate" in result.output
    assert text == file.read_text()


def test_link_is_not_followed(run, output, tmp_path):
    """A link that points nowhere yet is not written through."""
    (output / f"wechatpay_{SERIALS['old']}.pem").symlink_to(tmp_path / "elsewhere")
    result = run(env=VARIABLES)

    assert 1 == result.exit_code
    assert not (tmp_path / "elsewhere").exists()


def test_forged_download_saves_nothing(run, wechat, output):
    """What is not proved is not saved."""
    content = rotation.body(rotation.item("new"))
    wechat.download = lambda peer: peer.send(wechat.signed(content, key="odd"))
    result = run(env=VARIABLES)

    assert 1 == result.exit_code
    assert "does not belong" in result.output
    assert [] == list(output.iterdir())


def test_merchant_in_public_key_mode_learns_what_to_configure(run, wechat, output):
    """There are no certificates for most merchants, and the command says what there is instead."""
    wechat.download = refused(404)
    result = run(env=VARIABLES)

    assert 2 == result.exit_code
    assert "PUB_KEY_ID_" in result.output
    assert [] == list(output.iterdir())


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"WECHATPAY_APIV3_KEY": "too short"}, "apiv3_key: is 32 bytes, got 9 bytes"),
        ({"WECHATPAY_APIV3_KEY": APIV3_KEY[::-1]}, "apiv3_key: does not decrypt"),
        (
            {"WECHATPAY_PRIVATE_KEY": "/nowhere/apiclient_key.pem"},
            "--privatekey: no such file: '/nowhere/apiclient_key.pem'",
        ),
        ({"WECHATPAY_PRIVATE_KEY": "nofile"}, "--privatekey: no such file: 'nofile'"),
        ({"WECHATPAY_PRIVATE_KEY": "file:///nowhere/key.pem"}, "no such file: '/nowhere/key.pem'"),
        (
            {"WECHATPAY_PRIVATE_KEY": "MIIE" * 400},
            "--privatekey: 1600 characters that are neither PEM nor the path",
        ),
    ],
    ids=["short", "another", "no path", "no file", "no URL", "bare key"],
)
def test_wrong_options_are_told_without_a_traceback(run, changes, why):
    """An error is one line, which shows no secret."""
    result = run(env=VARIABLES | changes)

    assert 2 == result.exit_code
    assert why in result.output
    assert "Traceback" not in result.output
    assert changes.get("WECHATPAY_APIV3_KEY", APIV3_KEY) not in result.output
    assert "MIIE" not in result.output


def test_what_is_missing_is_named_where_nobody_can_be_asked(run):
    """In a pipe the command says which options and variables it lacks, and prints no warning of Python's."""
    result = run(env={"WECHATPAY_MCHID": merchants.MCHID, "WECHATPAY_SERIAL": merchants.MERCHANT_SERIAL})

    assert 2 == result.exit_code
    assert (
        "wechatpay: missing: --key (WECHATPAY_APIV3_KEY), --privatekey (WECHATPAY_PRIVATE_KEY); there is no "
        "terminal to ask for it"
    ) == " ".join(result.output.split())


def test_output_must_be_a_directory(gateway, wechat, key_file):
    """A file in its place is noticed before anything is asked."""
    result = CliRunner().invoke(app, ["certificates", "-o", str(key_file)], env=VARIABLES)

    assert 2 == result.exit_code
    assert [] == gateway.seen


def test_output_is_created(run, output):
    """The directory of the files need not exist."""
    output.rmdir()
    result = run(env=VARIABLES)

    assert 0 == result.exit_code, result.output
    assert 2 == len(list(output.iterdir()))


def test_merchant_that_moves_to_public_keys_names_its_own(output, monkeypatch):
    """WeChat Pay signs the list with the public key then: the environment of the sandbox is enough."""
    with Sandbox(identity=sandboxes.identity(), mode="both") as sandbox:
        names = environment(sandbox, output.parent)
        result = CliRunner().invoke(app, ["certificates", "-o", str(output)], env=dict(names))

    assert 0 == result.exit_code, result.output
    assert [name for name in sandbox.identity.certs if "PUB_KEY" not in name] == [
        path.stem.removeprefix("wechatpay_") for path in output.iterdir()
    ]


def test_command_runs_as_a_shell_runs_it(gateway, wechat, output):
    """The installed command does the same, and ends without a word more."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "wechatpay", "certificates", "-u", gateway.url],
        env={**VARIABLES, "PATH": "", "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        cwd=output,
        check=False,
        timeout=60,
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert 2 == len(list(output.iterdir()))
    assert f"Saved to       {output}/wechatpay_{SERIALS['old']}.pem" in done.stdout
