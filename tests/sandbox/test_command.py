"""``wechatpay sandbox`` and the settings that it gives to programs in other languages."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests
import sandboxes
from scenes import Shop

from wechatpay import Builder, __main__
from wechatpay.errors import ConfigurationError
from wechatpay.sandbox import Sandbox
from wechatpay.sandbox.key_files import keep_identities
from wechatpay.sandbox.settings_snippet import LANGUAGES, environment, settings_json, settings_snippet

GUIDE = Path(__file__).parents[2] / "docs" / "sandbox.md"


@pytest.fixture
def serve(monkeypatch, tmp_path):
    """Give a function that runs the command, acts once the settings are there, and ends it politely."""

    def serve(act, *options):
        file, found = tmp_path / "settings.json", []
        arguments = ["wechatpay", "sandbox", "--settings-file", str(file), *options]
        monkeypatch.setattr(sys, "argv", arguments)

        def watch():
            for _ in range(600):
                if file.exists():
                    break
                time.sleep(0.05)
            try:
                found.append(act(json.loads(file.read_text())))
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        watcher = threading.Thread(target=watch)
        watcher.start()
        with pytest.raises(SystemExit) as caught:
            sys.exit(__main__.main())
        watcher.join()
        assert 0 == caught.value.code
        assert not file.exists()
        return found[0]

    return serve


def test_settings_file_is_all_that_a_client_needs(serve, tmp_path):
    """It is private, and appears when the sandbox listens; calls succeed with and without TLS."""

    def act(settings):
        assert 0o600 == (tmp_path / "settings.json").stat().st_mode & 0o777
        tls, admin = settings.pop("tls"), settings.pop("admin")
        with Builder(**settings, proxies={}) as instance:
            plain = instance.v3.certificates.get().status_code
        secure = {**settings, "base_uri": tls["base_uri"], "verify": tls["ca_file"], "proxies": {}}
        with Builder(**secure) as instance:
            encrypted = instance.v3.certificates.get().status_code
        return plain, encrypted, requests.get(f"{admin}state", timeout=5).status_code, tls["ca"]

    plain, encrypted, admin, authority = serve(act)

    assert (200, 200, 200) == (plain, encrypted, admin)
    assert authority.startswith("-----BEGIN CERTIFICATE-----")


def test_settings_file_is_loaded_as_the_guide_says(serve, tmp_path, monkeypatch):
    """What the file has beside settings is taken out first."""
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"^```py\n(.*?)^```", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)

    def act(settings):
        Path("sandbox.json").write_text(json.dumps(settings))
        names = {}
        exec(block, names)
        return [names[name].v3.certificates.get().status_code for name in ("instance", "secure")]

    assert [200, 200] == serve(act)
    assert [200, 200] == serve(act, "--merchant", "1900000109", "--merchant", "1900000110")


def test_faults_and_seed_are_options(serve):
    """A fault of the command line applies from the start, for all requests unless it says otherwise."""

    def act(settings):
        with Builder(**{**settings, "proxies": {}}) as instance:
            call = instance.v3.certificates.get
            return [call().status_code, call().status_code]

    def unwrap(settings):
        del settings["tls"], settings["admin"]
        return act(settings)

    delayed = "SlowBody; seconds=0.01; times=1"

    assert [200, 200] == serve(unwrap, "--fault", delayed, "--seed", "1", "--mode", "both")


def test_rule_is_an_option(serve):
    """A test in another language can refund one order twice at once."""

    def act(settings):
        del settings["tls"], settings["admin"]
        with Builder(**{**settings, "proxies": {}}) as instance:
            number = Shop(None, instance).by_code(amount={"total": 2})
            body = {"out_trade_no": number, "amount": {"refund": 1, "total": 2, "currency": "CNY"}}
            refunds = instance.v3.refund.domestic.refunds
            return [refunds.post(json={**body, "out_refund_no": n}).status_code for n in ("R1", "R2")]

    assert [200, 200] == serve(act, "--rule", "refund_interval=0")


def test_kept_keys_are_the_same_after_a_restart(serve, tmp_path, capsys):
    """All that a client is configured with stays: keys, secrets and certificates."""
    names = ("mchid", "serial", "private_key", "certs", "apiv3_key", "secret", "merchant", "app")
    options = ("--keys", str(tmp_path / "keys"), "--merchant", "1900000110", "--env")

    def act(settings):
        return {name: settings[name] for name in names}

    first = serve(act, *options)

    assert first == serve(act, *options)
    assert "1900000110" == first["mchid"]
    lines = dict(line.split("=", 1) for line in capsys.readouterr().out.splitlines()[-17:])
    assert "1900000110" == lines["WECHATPAY_MCHID"]
    assert Path(lines["WECHATPAY_PRIVATE_KEY"].removeprefix("file://")).exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fault", "Invented"], "fault: 'Invented' is unknown"),
        (["--rule", "speed=1"], "rule: 'speed' is unknown"),
        (["--merchant", "abc"], "mchid: 8 to 10 digits"),
        (["--mode", "all"], "mode: one of"),
        (["--snippet", "cobol"], "--snippet is one of"),
        (["--keys", "/proc/none"], "keys: /proc/none"),
        (["--settings-file", "/proc/none/a"], "/proc/none"),
        (["--host", "203.0.113.1"], "port 0: "),
    ],
)
def test_wrong_option_is_named(monkeypatch, capsys, options, message):
    """One line says which, and the exit code is 2."""
    monkeypatch.setattr(sys, "argv", ["wechatpay", "sandbox", *options])
    with pytest.raises(SystemExit) as caught:
        sys.exit(__main__.main())

    assert 2 == caught.value.code
    assert message in capsys.readouterr().err


def test_damaged_keys_are_not_replaced(tmp_path):
    """The error says which file to delete."""
    file = tmp_path / "1900000109" / "identity.json"
    file.parent.mkdir()
    file.write_text("{}")
    with pytest.raises(ConfigurationError, match=r"identity\.json is damaged"):
        keep_identities(tmp_path, ["1900000109"])


def test_merchants_share_one_authority(tmp_path):
    """One TLS server accepts the certificates of all of them."""
    first, second = keep_identities(tmp_path, ["1900000109", "1900000110"])
    again = keep_identities(tmp_path, ["1900000109", "1900000110"])

    assert first.authority.pem == second.authority.pem
    assert [first.serial, second.serial] == [identity.serial for identity in again]
    assert first.app["appid"] != second.app["appid"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_snippet_fits_into_80_columns(tmp_path, monkeypatch, language):
    """No terminal breaks its lines."""
    monkeypatch.chdir(tmp_path)
    with Sandbox(identity=sandboxes.identity()) as sandbox:
        text = settings_snippet(sandbox, Path("/tmp/wechatpay-12345678"), language)

    assert max(map(len, text.splitlines())) <= 80
    shutil.rmtree("/tmp/wechatpay-12345678")


def test_curl_snippet_places_an_order(tmp_path):
    """It signs with openssl, and needs nothing else."""
    with Sandbox(identity=sandboxes.identity()) as sandbox:
        text = settings_snippet(sandbox, tmp_path, "curl")
        ran = subprocess.run(["bash", "-c", text], capture_output=True, text=True, timeout=30, check=True)

    assert "HTTP/1.1 200 OK" in ran.stdout
    assert '"code_url"' in ran.stdout


def test_environment_has_one_line_for_each_variable(tmp_path):
    """No value needs quotes; keys are files."""
    with Sandbox(identity=sandboxes.identity()) as sandbox:
        lines = environment(sandbox, tmp_path)
        settings = settings_json(sandbox)

    assert settings["base_uri"] == lines["WECHATPAY_BASE_URI"]
    assert not any(set(value) & set(" \n'\"$#") for value in lines.values())
    key = Path(lines["WECHATPAY_PRIVATE_KEY"].removeprefix("file://"))
    assert settings["private_key"] == key.read_text()


def test_several_merchants_are_all_in_the_settings(serve, tmp_path):
    """The first one is at the top; the state is in the file."""
    options = ["--merchant", "1900000109", "--merchant", "1900000110", "--db", str(tmp_path / "db")]
    settings = serve(lambda found: found, *options)

    assert ["1900000109", "1900000110"] == list(settings["merchants"])
    assert "1900000109" == settings["mchid"]
    assert settings["serial"] == settings["merchants"]["1900000109"]["serial"]
    assert (tmp_path / "db").exists()
