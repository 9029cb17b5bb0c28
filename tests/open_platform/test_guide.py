"""The snippets of ``docs/open-platform.md`` run in order, as a reader would type them."""

import functools
import re
from pathlib import Path

import pytest
from open_platform.accounts import APP, OPENID, UNIONID

import wechatpay

DOCUMENT = Path(__file__).parents[2] / "docs" / "open-platform.md"


def snippets():
    """Compile the document's Python blocks, blank lines before each so that tracebacks name its line."""
    text = DOCUMENT.read_text("utf-8")
    for match in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield compile("\n" * text.count("\n", 0, match.start(1)) + match[1], DOCUMENT.name, "exec")


def test_snippets_run_in_order(tunnel, platform, tmp_path, monkeypatch, capsys):
    """All that the document shows works as written, at the platform's own address."""
    pytest.importorskip("redis")
    settings, tls, _ = tunnel
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(wechatpay, "Builder", functools.partial(wechatpay.Builder, **settings))
    names = {"token": platform._issue(APP["appid"], "token"), "ask_my_server": lambda: "theirs"}
    *most, replacement, cloud = snippets()
    for snippet in (*most, replacement):
        exec(snippet, names)
    with pytest.raises(wechatpay.APIError, match="40014"):
        names["instance"].wxa.getpaidunionid.get(query={**names["payer"], "transaction_id": "1"})
    exec(cloud, names)

    assert f"{UNIONID}\n89300 False\n" == capsys.readouterr().out
    assert f"/wxa/getpaidunionid?openid={OPENID}&transaction_id=1&access_token=theirs" == tls.seen[-1].target
    assert Path("code.jpg").exists()
    assert "http://api.weixin.qq.com/" == names["instance"].getDriver().select("mp")._settings.base_uri
