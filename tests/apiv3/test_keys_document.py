"""The page on keys and encrypted fields shows what works."""

from __future__ import annotations

import json
import re
from pathlib import Path

import keys
import rotation

from wechatpay.crypto import rsa

PAGE = Path(__file__).parents[2] / "docs" / "keys.md"


def test_snippets_run_in_order(gateway, tmp_path, monkeypatch, capsys):
    """Each Python block works as written, the first one but for where it sends to."""
    monkeypatch.chdir(tmp_path)
    Path("apiclient_key.pem").write_text(keys.pem("merchant"))
    Path("pub_key.pem").write_text(keys.public_pem("platform"))
    wechat = rotation.Rotation("old")
    phone = rsa.encrypt("13800138000", keys.public_key("merchant"))

    def behaviour(seen, peer):
        if "complaints" in seen.target:
            peer.send(wechat.signed(json.dumps({"payer_phone": phone}).encode()))
        else:
            wechat(seen, peer)

    gateway.behaviour = behaviour
    text = PAGE.read_text("utf-8").replace("apiv3-key-of-32-characters-0000!", rotation.APIV3_KEY)
    names = {}
    for code in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        exec(code.replace("Builder(\n", f"Builder(\n    base_uri={gateway.url!r}, proxies={{}},\n"), names)
    names["instance"].getDriver().close()

    assert "13800138000" == names["phone"] == names["complaint"]["payer_phone"]
    assert [(rotation.SERIALS["old"], "张三")] * 2 == wechat.pairs
    assert "PUB_KEY_ID_0114232134912410000000000000" in capsys.readouterr().out
