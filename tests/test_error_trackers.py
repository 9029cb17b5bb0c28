"""What an error tracker sends: with the deny list of the documentation, nothing that was passed."""

from __future__ import annotations

import subprocess
import sys

import pages
import pytest

pytest.importorskip("sentry_sdk")

#: The page's own snippet, with a transport that keeps the events.
SETUP = pages.blocks(pages.ROOT / "docs" / "errors.md")[-1].text.replace(
    "dsn=None,  # yours",
    # Without the integrations of web frameworks, which are slow to import.
    'dsn="http://key@127.0.0.1:1/1", transport=Kept, auto_enabling_integrations=False,',
)

SCRIPT = """
import json
from sentry_sdk.transport import Transport
from wechatpay import Builder, Sensitive, WeChatPayError
from wechatpay.sandbox import Sandbox, faults
from wechatpay.testing import Platform

events = []


class Kept(Transport):
    def capture_envelope(self, envelope):
        events.extend(item.get_event() for item in envelope.items if item.get_event())


{setup}

mark = "-".join(["secret", "text"])  # not a literal: events quote lines of source


def call(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except WeChatPayError as error:
        sentry_sdk.capture_exception(error)
    else:
        raise AssertionError("no error")


with Sandbox() as sandbox:
    settings = sandbox.settings()
    instance = Builder(**settings)
    order = {{"out_trade_no": "N20261130001", "description": mark, "payer": {{"openid": mark}}}}
    jsapi = instance.v3.pay.transactions.jsapi
    call(lambda: jsapi.post(json=order))
    call(lambda: jsapi.post(json=order, check=True))
    call(lambda: jsapi.post({{"json": order, "query": {{"a": mark}}}}))
    call(lambda: jsapi.postAsync(json=order).wait())
    headers = {{"a": "a\\nb"}}
    for wrong in ({{"timeout": "5"}}, {{"headers": headers}}, {{"base_uri": "a"}}, {{"sink": "/no/a"}}):
        call(lambda: jsapi.post(json=order, **wrong))
        call(lambda: jsapi.postAsync(json=order, **wrong).wait())
    call(lambda: jsapi.post(json=order, query=[("access_token", order["description"]), ("a", 1.5)]))
    call(lambda: instance.v3.a._b_._c_.get(b=order["description"]))
    call(lambda: instance.v3.a._b_._c_.get(b=order["description"], c=".."))
    call(lambda: instance.v2.pay.unifiedorder.post(xml={{"body": order["description"], "a": object()}}))
    call(lambda: jsapi.post(json={{**order, "total": 19.99}}))
    call(lambda: instance.v2.pay.unifiedorder.post(xml={{"body": order["description"]}}))
    receivers = instance.v3.profitsharing.receivers
    call(lambda: receivers.add.post(json={{"name": Sensitive(order["description"] * 99)}}))
    unionid = instance.wxa.getpaidunionid
    call(lambda: unionid.get(query={{"openid": order["description"], "transaction_id": "1"}}))
    for fault in (faults.WrongSignature(), faults.Reset(), faults.TruncatedBody(), faults.HtmlPage()):
        sandbox.inject(fault)
        call(lambda: jsapi.post(json=order, query={{"a": order["description"]}}))
    platform = Platform()
    callback = platform.notification("TRANSACTION.SUCCESS", {{"attach": mark}})
    handler = Builder(**platform.settings(apiv3_key=mark.ljust(32, "0"))).getDriver().notifications()
    call(lambda: handler.parse(callback.headers, callback.body))
    secrets = [mark, settings["secret"], settings["apiv3_key"], settings["app"]["secret"], 'signature="']
    secrets.append(sandbox.identity.private_key_pem.splitlines()[3])
    call(lambda: Builder(**settings | {{"private_key": settings["apiv3_key"]}}))

sent = json.dumps(events, default=str)
print(len(events), [index for index, secret in enumerate(secrets) if secret in sent])


def places(value, path=""):
    if isinstance(value, dict):
        return [place for key, item in value.items() for place in places(item, f"{{path}}.{{key}}")]
    if isinstance(value, list):
        return [place for item in value for place in places(item, path)]
    return [path] if any(secret in str(value) for secret in secrets) else []


print(*(place for event in events for place in places(event)))
"""


def test_sentry_sends_nothing_that_was_passed():
    """Bodies, queries, keys and secrets are in no event: not in our frames, nor in frames of the caller's."""
    command = [sys.executable, "-c", SCRIPT.format(setup=SETUP)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)

    assert "26 []\n\n" == done.stdout, done.stdout + done.stderr
