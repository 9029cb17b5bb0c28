"""Every Python snippet of the documents runs, in order, as a reader would type it."""

import dataclasses
import pkgutil
import re
from pathlib import Path

import pytest
import responses

from wechatpay import Builder
from wechatpay.sandbox import Sandbox
from wechatpay.testing import Platform

ROOT = Path(__file__).parents[1]


def snippets(document):
    """Compile the document's Python blocks, blank lines before each so that tracebacks name its line."""
    text = document.read_text("utf-8")
    for match in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield compile("\n" * text.count("\n", 0, match.start(1)) + match[1], document.name, "exec")


@pytest.fixture
def wechat_pay(tmp_path, monkeypatch):
    """A WeChat Pay whose key, and a merchant's, lie in the current directory as the README names them."""
    merchant = Platform()
    signer = dataclasses.replace(
        merchant.identity.signers[0], serial="PUB_KEY_ID_0114232134912410000000000000"
    )
    wechat = Platform(identity=dataclasses.replace(merchant.identity, signers=(signer,)))
    monkeypatch.chdir(tmp_path)
    Path("apiclient_key.pem").write_text(merchant.identity.private_key_pem)
    Path("pub_key.pem").write_text(signer.published)
    return wechat


@responses.activate
def test_first_readme_snippet_looks_an_order_up(wechat_pay, capsys):
    """The shortest real example works as written, with key files and WeChat Pay's own host."""
    order = "https://api.mch.weixin.qq.com/v3/pay/transactions/id/4200002474202511101234567890"
    responses.add(**wechat_pay.response("GET", order, json={"trade_state": "SUCCESS"}))
    exec(next(snippets(ROOT / "README.md")), {})

    assert "SUCCESS\n" == capsys.readouterr().out


def test_other_readme_snippets_run_in_order(capsys):
    """All that the README shows works as written, against the sandbox."""
    with Sandbox() as sandbox:
        names = {"instance": Builder(**sandbox.settings())}
        for snippet in list(snippets(ROOT / "README.md"))[1:]:
            exec(snippet, names)

    shown = capsys.readouterr().out
    assert "404 ORDER_NOT_EXIST" in shown
    assert "AUTHORIZATION_STATE_ON" in shown


def test_ci_runs_the_test_command_of_the_readme():
    """The command that the README gives for the tests is the one that decides what lands."""
    command = re.search(
        r"^python3 -m venv .* -m tests$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE
    )

    assert command
    assert "README.md" in (ROOT / ".ci" / "run").read_text()


def test_every_counterpart_of_a_php_name_exists():
    """The table for people porting code names nothing that is not there."""
    table = (
        (ROOT / "README.md").read_text("utf-8").partition("## From PHP to Python")[2].partition("\n## ")[0]
    )
    named = sorted(set(re.findall(r"`(wechatpay(?:\.\w+)+)", table)))

    assert 40 < len(named)
    assert [] == [name for name in named if not exists(name)]


def exists(name):
    """Tell whether a dotted name can be imported, or reached from what can."""
    try:
        pkgutil.resolve_name(name)
    except (AttributeError, ImportError):
        return False
    return True
