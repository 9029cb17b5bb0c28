"""Errors keep their class, code and advice where the catalogue cannot be read: it explains them, no more.

Packagers leave data files out, daemons drop the right to read them, servers run out of file descriptors.
"""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
import tomllib
import zipfile
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path

import keys
import merchants
import pytest
from wire.gateway import SERIAL, Gateway, reply, signed

import wechatpay
from wechatpay import WeChatPayError

PACKAGE = Path(wechatpay.__file__).parent
JSON = ("Content-Type", "application/json")
#: What follows depends on whether the catalogue can be read: a connection that broke left a descriptor free.
QUERY = "the outcome is unknown: query "

#: What makes what the gateway sends, by the header ``Case`` of a request; other cases close the connection.
#: A signature must be fresh: a whole run takes longer than one is accepted.
RESPONSES = {
    "warm-up": partial(signed, b"{}"),
    "error": partial(
        reply,
        '{"code":"PARAM_ERROR","message":"参数错误"}'.encode(),
        "400 Bad",
        JSON,
        ("Request-ID", "08AB-7"),
    ),
    "server error": partial(reply, b'{"code":"SYSTEM_ERROR","message":"x"}', "502 Bad Gateway", JSON),
    "not found": partial(reply, b'{"code":"RESOURCE_NOT_EXISTS","message":"x"}', "404 Not Found", JSON),
    "redirect": partial(reply, b"", "302 Found"),
    "unsigned": partial(reply, b"{}"),
    "forged": partial(signed, b"{}", key="merchant"),
    "v2": partial(reply, b"<xml><return_code>FAIL</return_code><return_msg>x</return_msg></xml>"),
}

#: The text of each error that a response becomes: how it begins, and what it holds.
OUTCOMES = {
    "error": ("APIError POST v3/pay/transactions/native → 400 PARAM_ERROR: 参数错误", "[Request-ID 08AB-7]"),
    "server error": ("ServerError POST v3/pay/transactions/native → 502 SYSTEM_ERROR: x", QUERY),
    "not found": ("APIError POST v3/pay/transactions/native → 404 RESOURCE_NOT_EXISTS: x", ""),
    "reset": ("NoResponseError ", "; query "),
    "redirect": ("RedirectError 302", QUERY),
    "unsigned": ("IncompleteHeadersError ", QUERY),
    "forged": ("SignatureError the signature does not belong to", QUERY),
    "v2": ("APIError POST v2/pay/micropay → 200 FAIL: x", ""),
}

#: Calls that are refused before anything is sent, and how their errors begin.
REFUSALS = {
    "an option of the other protocol": ("nonceless=True", "InvalidRequestError nonceless"),
    "an unknown name": ("notify=1", "InvalidRequestError notify is neither an option nor a variable"),
    "check": ("check=True", "ConfigurationError the catalogue cannot be read"),
    "encrypt_sensitive": ("encrypt_sensitive=True", "ConfigurationError the catalogue cannot be read"),
}

PROGRAM = """
import logging, os, sys
logging.basicConfig(level="WARNING", format="%(name)s: %(message)s")
from wechatpay import Builder
base_uri, private_key, public_key, exhausted, mchid, serial, key_id = sys.argv[1:]
instance = Builder(
    mchid=mchid, serial=serial, private_key=private_key, certs={key_id: public_key},
    secret="s" * 32, base_uri=base_uri, proxies={},
)
def call(case, path="v3/pay/transactions/native", **options):
    try:
        instance[path].post({"json": {"out_trade_no": "N1"}} if "xml" not in options else {},
                            headers={"Case": case}, **options)
    except Exception as error:
        return error
assert call("warm-up") is None
kept, errors = [], {}
try:
    while exhausted:
        kept.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
for case in CASES:
    errors[case] = call(case)
errors["v2"] = call("v2", "v2/pay/micropay", xml={"mch_id": mchid})
for descriptor in kept:
    os.close(descriptor)
for case, options in REFUSALS.items():
    errors[case] = call(case, **options)
for case, error in errors.items():
    print(case, type(error).__module__, f"{type(error).__name__} {error}", sep="|")
"""


def behave(seen, peer):
    """Respond as the request asks for."""
    response = RESPONSES.get(seen.headers["case"])
    peer.send(response()) if response else peer.reset()


def run(package, *, descriptors=None):
    """Make all the calls in a process of its own.

    Args:
        package: What Python imports the package from.
        descriptors: How many files the process may open, all in use when the responses come.

    Returns:
        The text of each error, its class first; what was logged; the cases that reached the gateway.
    """
    gateway = Gateway()
    gateway.behaviour = behave
    options = ", ".join(f"{case!r}: dict({written})" for case, (written, _) in REFUSALS.items())
    cases = [case for case in OUTCOMES if case != "v2"]
    program = PROGRAM.replace("CASES", repr(cases)).replace("REFUSALS", f"{{{options}}}")
    command = [sys.executable, "-P", "-c", program, gateway.url, keys.pem(), keys.public_pem("platform")]
    command += ["yes" if descriptors else "", merchants.MCHID, merchants.MERCHANT_SERIAL, SERIAL]
    if descriptors:
        command = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", *command]
    environment = os.environ | {"PYTHONPATH": str(package), "PYTHONIOENCODING": "utf-8"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=60, env=environment
        )
    finally:
        gateway.close()
    assert 0 == done.returncode, done.stderr
    lines = [line.split("|", 2) for line in done.stdout.splitlines()]
    assert {"wechatpay.errors"} == {module for _, module, _ in lines}, lines
    errors = {case: text for case, _, text in lines}
    return errors, done.stderr.splitlines(), {seen.headers["case"] for seen in gateway.seen}


@pytest.fixture(scope="module")
def without_data(tmp_path_factory):
    """Give what becomes of the calls without the data files, which PyInstaller leaves out."""
    folder = tmp_path_factory.mktemp("without-data")
    shutil.copytree(PACKAGE, folder / "wechatpay", ignore=shutil.ignore_patterns("*.jsonl", "*.tsv", "*.pyi"))
    return run(folder)


@pytest.fixture(scope="module")
def without_descriptors():
    """Give what becomes of the calls where no file can be opened, so that no module can be loaded either."""
    return run(PACKAGE.parent, descriptors=32)


@pytest.fixture(scope="module")
def zipped(tmp_path_factory):
    """Give what becomes of the calls where the package is in an archive."""
    path = tmp_path_factory.mktemp("zipped") / "package.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in PACKAGE.rglob("*"):
            if file.suffix in (".py", ".jsonl", ".tsv"):
                archive.write(file, Path("wechatpay") / file.relative_to(PACKAGE))
    return run(path)


@pytest.mark.parametrize("case", OUTCOMES)
@pytest.mark.parametrize("mode", ["without_data", "without_descriptors"])
def test_error_keeps_its_class_and_advice(mode, case, request):
    """What the caller decides by never depends on a file."""
    errors, _, _ = request.getfixturevalue(mode)
    begins, holds = OUTCOMES[case]

    assert begins == errors[case][: len(begins)]
    assert holds in errors[case]


@pytest.mark.parametrize("mode", ["without_data", "without_descriptors"])
def test_error_says_that_it_is_not_explained(mode, request):
    """Nobody must look for an explanation that elsewhere is there."""
    errors, _, _ = request.getfixturevalue(mode)

    assert "(not explained: the catalogue cannot be read)" in errors["error"]


def test_unreadable_catalogue_is_logged_once(without_data):
    """The log says what to do, and not at every error."""
    _, logged, _ = without_data

    assert 1 == len(logged)
    assert "include the data files in wechatpay/catalogue/" in logged[0]


@pytest.mark.parametrize("case", REFUSALS)
def test_call_is_refused_by_an_error_of_ours(case, without_data):
    """A wrong call stays wrong, and a call that needs the catalogue is not made without it."""
    errors, _, reached = without_data
    _, begins = REFUSALS[case]

    assert begins == errors[case][: len(begins)]
    assert case not in reached


@pytest.mark.parametrize("case", OUTCOMES)
def test_error_keeps_its_class_where_modules_cannot_be_loaded(case, client, build, gateway, monkeypatch):
    """Sync and async."""
    for module in ("catalogue", "catalogue.check", "catalogue.lookup"):
        monkeypatch.setitem(sys.modules, f"wechatpay.{module}", None)
    begins, holds = OUTCOMES[case]
    gateway.behaviour = behave
    instance = build(secret="s" * 32)
    node = instance.v2.pay.micropay if case == "v2" else instance.v3.pay.transactions.native
    options = {"xml": {"mch_id": merchants.MCHID}} if case == "v2" else {"json": {"out_trade_no": "N1"}}
    with pytest.raises(WeChatPayError) as caught:
        client.call(node, "post", headers={"Case": case}, **options)
    text = f"{caught.type.__name__} {caught.value}"

    assert begins == text[: len(begins)]
    assert holds in text


def test_pyinstaller_puts_the_data_files_into_applications():
    """The entry point leads to a hook that lists them."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))["project"]
    value = project["entry-points"]["pyinstaller40"]["hook-dirs"]
    (folder,) = EntryPoint("hook-dirs", value, "pyinstaller40").load()()
    datas = dict(runpy.run_path(str(Path(folder) / "hook-wechatpay.py"))["datas"])

    assert {str(file) for file in PACKAGE.rglob("*") if file.suffix in (".jsonl", ".tsv")} == datas.keys()
    assert {"wechatpay/catalogue", "wechatpay/sandbox"} == set(datas.values())


def test_package_in_an_archive_reads_its_catalogue(zipped):
    """The files are read as the import system gives them, wherever it has them."""
    errors, logged, _ = zipped

    assert [] == logged
    assert "参数错误 (a parameter is missing" in errors["error"]
    assert "query it with GET v3/pay/transactions/out-trade-no/{out_trade_no}" in errors["server error"]
