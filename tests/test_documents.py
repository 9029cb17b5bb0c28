"""Every page of the documentation runs as it stands, and says only what is there."""

from __future__ import annotations

import contextlib
import dataclasses
import pkgutil
import re
import sqlite3
import subprocess
import sys
import threading
import tomllib
from pathlib import Path
from socketserver import BaseServer

import pages
import pytest
import responses
from cases import each

from wechatpay import Builder
from wechatpay.sandbox import Sandbox
from wechatpay.testing import Platform


@pytest.fixture
def merchant(tmp_path, monkeypatch):
    """Put a merchant's key files into the current directory; WeChat Pay's own host knows one order."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    platform = Platform()
    signer = dataclasses.replace(
        platform.identity.signers[0], serial="PUB_KEY_ID_0114232134912410000000000000"
    )
    platform = Platform(identity=dataclasses.replace(platform.identity, signers=(signer,)))
    Path("apiclient_key.pem").write_text(platform.identity.private_key_pem)
    Path("pub_key.pem").write_text(signer.published)
    with responses.RequestsMock(assert_all_requests_are_fired=False) as host:
        host.add_passthru("http://127.0.0.1")
        host.add_passthru("https://127.0.0.1")
        order = "https://api.mch.weixin.qq.com/v3/pay/transactions/out-trade-no/N20261130001"
        host.add(**platform.response("GET", order, json={"trade_state": "SUCCESS"}))
        yield


def close(names):
    """Close what a page left open."""
    for kind, end in (
        (BaseServer, "shutdown"),
        (BaseServer, "server_close"),
        (Sandbox, "stop"),
        (sqlite3.Connection, "close"),
    ):
        for value in names.values():
            if isinstance(value, kind):
                getattr(value, end)()
    for value in names.values():
        if isinstance(value, Builder):
            value.getDriver().close()


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.name)
def test_page_runs_in_one_fresh_session(merchant, page, capsys):
    """All blocks work in order, with no name that the page did not define."""
    # These patch libraries for the whole process.
    if any(patch in page.read_text("utf-8") for patch in ("sentry_sdk.init", "Instrumentor().instrument(")):
        folder, play = str(Path(pages.__file__).parent), "pages.play(pathlib.Path(sys.argv[2]), {})"
        code = f"import pathlib, sys; sys.path.insert(0, sys.argv[1]); import pages; {play}"
        subprocess.run([sys.executable, "-c", code, folder, str(page)], check=True, timeout=200)
        return
    names = {}
    with contextlib.ExitStack() as stack:
        stack.callback(close, names)
        pages.play(page, names)

    assert "wechatpay-sandbox" not in {thread.name for thread in threading.enumerate()}


@each("page", pages.PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """A link within the project names a page that exists, and a heading of it."""
    for path, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", page.read_text("utf-8")):
        target = page.parent / path if path else page
        assert target.exists(), path
        headings = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE) if anchor else []
        slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in slugs, f"{path}#{anchor}"


def test_source_distribution_has_every_page():
    """Pages link to each other."""
    project = tomllib.loads((pages.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    # The build adds the licence and the page that the index shows.
    included = {"LICENSE", "README.md", *project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]}

    assert {path.name for path in pages.ROOT.glob("*.md")} <= included


def test_every_path_of_the_architecture_exists():
    """The map shows the house as it is."""
    text = (pages.ROOT / "docs" / "architecture.md").read_text("utf-8")
    named = set(re.findall(r"(?:wechatpay|tests)/[\w./]*", text))

    assert 50 < len(named)
    assert [] == sorted(name for name in named if not (pages.ROOT / name).exists())


def test_ci_runs_the_test_command_of_the_readme():
    """The command that the README gives for the tests is the one that decides what lands."""
    command = r"^python3 -m venv .* -m tests$"
    readme = (pages.ROOT / "README.md").read_text("utf-8")

    assert 1 == len(re.findall(command, readme, re.MULTILINE))
    assert "README.md" in (pages.ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_every_counterpart_of_a_php_name_exists(name):
    """The table for people porting code names nothing that is not there."""
    table = (pages.ROOT / name).read_text("utf-8").partition("PHP SDK | ")[2].partition("\n## ")[0]
    named = []
    for cell in re.findall(r"\| ([^|]*) \|$", table, re.MULTILINE):
        for words in re.findall(r"`(wechatpay(?:\.\w+)+)[^`]*`((?: `\w+`)*)", cell):
            # `wechatpay.crypto.rsa.sign` `verify`: the second is a neighbour of the first.
            named.append(words[0])
            named += [f"{words[0].rpartition('.')[0]}.{more}" for more in re.findall(r"\w+", words[1])]

    assert 40 < len(named)
    assert [] == [name for name in named if not exists(name)]


def exists(name):
    """Return whether a dotted name can be imported, or reached from what can."""
    try:
        pkgutil.resolve_name(name)
    except (AttributeError, ImportError):
        return False
    return True
