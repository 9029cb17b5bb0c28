"""Editors complete segments, body members, nested ones and response members."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import jedi
import pytest

HEAD = "from wechatpay import Builder\n\ninstance = Builder()\n"

BODY = "from wechatpay.catalogue.typed.v3_pay import PayTransactionsJsapiPostBody\n"

ORDER = "instance.v3.pay.transactions.jsapi.post(json={"


class LanguageServer:
    """pyright's language server on its standard input and output."""

    def __init__(self, folder):
        binary = shutil.which("pyright-langserver", path=str(Path(shutil.sys.executable).parent))
        self._process = subprocess.Popen(
            [binary, "--stdio"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._uri = (folder / "program.py").as_uri()
        self._number = 0
        capabilities = {"workspace": {"configuration": True}}
        root = {"rootUri": folder.as_uri(), "processId": None, "capabilities": capabilities}
        self.ask("initialize", {**root, "workspaceFolders": [{"uri": folder.as_uri(), "name": "x"}]})
        self._send({"method": "initialized", "params": {}})

    def complete(self, text):
        """Return the labels that are offered at the end of ``text``."""
        found = self._ask_at_end("completion", text)
        return {item["label"].strip("\"'") for item in (found or {}).get("items", ())}

    def hover(self, text):
        """Return what is shown over the last word of ``text``."""
        return self._ask_at_end("hover", text)["contents"]["value"]

    def _ask_at_end(self, what, text):
        self._number += 1
        place = {"uri": self._uri}
        document = {**place, "languageId": "python", "version": self._number, "text": text + "\n"}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        lines = text.split("\n")
        position = {"line": len(lines) - 1, "character": len(lines[-1])}
        found = self.ask(f"textDocument/{what}", {"textDocument": place, "position": position})
        self._send({"method": "textDocument/didClose", "params": {"textDocument": place}})
        return found

    def ask(self, method, params):
        """Send a request and return its result; reply to what the server asks in between."""
        self._number += 1
        number = self._number
        self._send({"id": number, "method": method, "params": params})
        while True:
            message = self._receive()
            if "method" in message:
                if "id" in message:
                    is_settings = message["method"] == "workspace/configuration"
                    items = message["params"].get("items", []) if is_settings else []
                    python = {"pythonPath": shutil.sys.executable}
                    result = [python if item.get("section") == "python" else {} for item in items]
                    self._send({"id": message["id"], "result": result if is_settings else None})
            elif message.get("id") == number:
                return message.get("result")

    def close(self):
        """End the server."""
        self.ask("shutdown", None)
        self._send({"method": "exit"})
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)

    def _send(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._process.stdin.flush()

    def _receive(self):
        length = 0
        while (line := self._process.stdout.readline().strip()) or not length:
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        return json.loads(self._process.stdout.read(length))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A running language server."""
    server = LanguageServer(tmp_path_factory.mktemp("editor"))
    yield server
    server.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("instance.v3.pay.transactions.", {"jsapi", "native", "outTradeNo"}),
        ("instance.v3.pay.transactions.id._transaction_id_.", {"get", "getAsync"}),
        (f'{ORDER}"', {"appid", "out_trade_no", "amount"}),
        (f'{ORDER}"amount": {{"', {"total", "currency"}),
        (f'{ORDER}}}).json()["', {"prepay_id"}),
        ('instance.chain("v3/pay/transactions/js', {"v3/pay/transactions/jsapi"}),
    ],
    ids=["segment", "verb", "member", "nested member", "response member", "path"],
)
def test_pyright_completes(server, text, expected):
    """What VS Code offers with Pylance or pyright."""
    assert expected <= server.complete(HEAD + text)


def test_hovering_over_a_verb_shows_its_title_and_page(server):
    """The title is WeChat Pay's own; the page is the one that defines the call."""
    shown = server.hover(f"{HEAD}instance.v3.pay.transactions.jsapi.post")

    assert "JSAPI下单" in shown
    assert "https://pay.weixin.qq.com/doc/v3/merchant/4012791856" in shown


@pytest.mark.no_cover  # jedi runs here, and runs long
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("instance.v3.pay.transactions.", {"jsapi", "native", "outTradeNo"}),
        ("instance.v3.pay.transactions.id._transaction_id_.", {"get", "getAsync"}),
        ("instance.v3.pay.transactions.jsapi.post(js", {"json="}),
        (f"{BODY}body = PayTransactionsJsapiPostBody()\nbody['", {"appid", "out_trade_no"}),
        (f"{BODY}def f(body: PayTransactionsJsapiPostBody):\n    body['amount']['", {"total", "currency"}),
        (f"{ORDER}}}).json()['", {"prepay_id"}),
    ],
    ids=["segment", "verb", "keyword", "member", "nested member", "response member"],
)
def test_jedi_completes(text, expected):
    """What IPython, Jupyter and many editors offer."""
    text = HEAD + text
    lines = text.split("\n")
    found = jedi.Script(text).complete(len(lines), len(lines[-1]))

    assert expected <= {completion.name.strip("'") for completion in found}
