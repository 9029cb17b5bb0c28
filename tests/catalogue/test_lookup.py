"""The catalogue finds operations, callbacks, encrypted members and explanations."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import generate
import pytest

from wechatpay import catalogue
from wechatpay.apiv2 import rules as apiv2
from wechatpay.apiv3 import rules as apiv3


def test_every_operation_is_found_by_its_own_verb_and_template():
    """The catalogue holds 1,143 operations, and its templates lead to each of them."""
    listed = catalogue.operations()

    assert 1143 == len(listed)
    assert all(catalogue.find(operation.verb, operation.template) is operation for operation in listed)


@pytest.mark.parametrize(
    ("verb", "path", "template"),
    [
        ("GET", "v3/pay/transactions/id/4200001", "v3/pay/transactions/id/{transaction_id}"),
        ("get", "/v3/pay/transactions/id/{other}?mchid=1", "v3/pay/transactions/id/{transaction_id}"),
        ("POST", "v3/ecommerce/applyments/", "v3/ecommerce/applyments/{empty}"),
        ("POST", "v2/secapi/mch/addInstitutionsub", "v2/secapi/mch/{addinstitutionsub}"),
        ("POST", "v3/profitsharing/receivers/delete", "v3/profitsharing/receivers/delete"),
        ("POST", "hk/v3/refunds", "v3/refunds"),
    ],
)
def test_a_path_leads_to_its_template(verb, path, template):
    """Literal segments win over variables; the overseas prefix and the query do not matter."""
    assert template == catalogue.find(verb, path).template


def test_an_unknown_path_is_none():
    """What the documents do not have is not guessed."""
    assert catalogue.find("GET", "v3/nothing/here") is None
    assert catalogue.find("DELETE", "v3/pay/transactions/jsapi") is None
    assert catalogue.find("GET", "v3/pay/transactions/id/") is None
    assert catalogue.by_template("v3/nothing") == ()


def test_an_operation_knows_its_members():
    """Types, requirements, enums, ciphers and links are those of the documents."""
    operation = catalogue.find("POST", "v3/pay/transactions/jsapi")

    assert "JSAPI下单" == operation.title
    assert "https://pay.weixin.qq.com/doc/v3/merchant/4012791856" == operation.links[0]
    assert "integer" == operation.body["amount"].fields["total"].type
    assert operation.body["amount"].fields["total"].required
    assert "no_debit" in operation.body["limit_pay"].enum
    assert "platform-rsa" == operation.body["payer"].fields["identity"].fields["number"].cipher
    assert (
        "METRO"
        in catalogue.find("POST", "v2/transit/pay/payapply").body["scene_info"].fields["scene_info"].variants
    )


def test_words_find_operations():
    """Titles, tags and templates are searched; matches in the title come first."""
    found = catalogue.search("申请退款")

    assert "v3/refund/domestic/refunds" in [
        operation.template for operation in catalogue.search("REFUND domestic")
    ]
    assert "申请退款" in found[0].title
    assert [] == catalogue.search("") == catalogue.search("没有这样的接口")


def test_the_levels_below_a_path_are_listed():
    """`dir()` and completion need the next segments and the verbs."""
    assert ("v2", "v3") == catalogue.children("").segments
    assert "jsapi" in catalogue.children("v3/pay/transactions").segments
    assert ("POST",) == catalogue.children("v3/pay/transactions/jsapi").verbs
    assert ("GET",) == catalogue.children("v3/pay/transactions/id/{any}").verbs
    assert ((), ()) == catalogue.children("v3/nothing")


def test_callbacks_are_known_by_name():
    """A name that both protocols have means APIv3's."""
    events = catalogue.events()

    assert 112 == len(events)
    assert "v3" == events["TRANSACTION.SUCCESS"].version
    assert "v2" == events["TRANSACTION.SUCCESS@v2"].version
    assert "trade_state" in events["TRANSACTION.SUCCESS"].resource
    assert "total_fee" in events["transaction-success"].resource
    assert not [name for name, event in events.items() if not event.resource]


def test_encrypted_members_are_those_of_apiv3():
    """APIv2 has none."""
    fields = catalogue.encrypted_fields("POST", "v3/profitsharing/orders")

    assert {"receivers": {"[]": {"name": {}}}} == fields.body
    assert catalogue.encrypted_fields("POST", "v2/pay/unifiedorder") is None


def test_what_calls_look_up_agrees_with_the_catalogue():
    """Verifying reads no catalogue: the exceptions stand in the rules of the protocols."""
    listed = catalogue.operations()
    v2 = {each.template.removeprefix("v2/"): each for each in listed if each.template.startswith("v2/")}
    # The documents list `sign`, which these were seen without.
    unsigned = {"mmpaysptrans/pay_bank", "papay/entrustweb", "papay/partner/entrustweb"}

    assert {route for route in v2 if apiv2.returns_json(route)} == {
        route for route, each in v2.items() if each.response_kind == "json"
    }
    assert {route for route in v2 if apiv2.returns_file(route)} == {
        route for route, each in v2.items() if each.response_kind == "csv"
    }
    assert {route for route in v2 if apiv2.is_unsigned(route)} - unsigned == {
        route for route, each in v2.items() if "sign" not in each.response and each.response_kind != "json"
    }
    assert {each.template for each in listed if apiv3.is_unsigned(each.template)} == {
        each.template
        for each in listed
        if each.template.startswith("v3/")
        and each.response_kind in {"csv", "image", "pdf"}
        and not apiv3.is_digest_signed(each.template)
    }


def test_error_codes_are_explained():
    """The call's own entry wins over the one of every call."""
    own = catalogue.explain_code(
        "PARAM_ERROR", 400, "POST v3/pay/transactions/jsapi", message="无效的openid"
    )[0]

    assert own.remedy == "fetch the openid under the appid of the order"
    assert "*" == catalogue.explain_code("PARAM_ERROR")[0].api
    assert [] == catalogue.explain_code("NO_SUCH_CODE")
    assert {"*"} == {each.api for each in catalogue.explain_code("PARAM_ERROR", api="GET v3/no/such")}


@pytest.mark.parametrize(
    "api",
    [
        "GET v3/pay/transactions/id/{transaction_id}",
        "GET v3/pay/partner/transactions/out-trade-no/{out_trade_no}",
    ],
)
def test_alternatives_with_variables_are_expanded(api):
    """One line of the data may stand for several calls."""
    own = [each for each in catalogue.explain_code("ORDER_NOT_EXIST", api=api) if each.api != "*"]

    assert own


def test_request_ids_are_explained_by_their_tail():
    """The number behind the last `-` says more than the code."""
    explained = catalogue.explain_request_id("08F78AAE0610D3F9-268512771")

    assert "order not found" == explained.meaning
    assert catalogue.explain_request_id("1-99") is None


CALLS = """
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
import merchants
from wechatpay import Builder

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass

server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
instance = Builder(**merchants.settings(base_uri=f"http://127.0.0.1:{server.server_port}/"))
download = instance.v3.billdownload.file
assert download.get(query={"token": "a"}).status_code == 200
assert download.getAsync(query={"token": "a"}).wait().status_code == 200
assert not [name for name in sys.modules if name.startswith("wechatpay.catalogue")]
"""


def test_a_call_does_not_read_the_catalogue():
    """A call that is not checked pays nothing for it, sync or async."""
    paths = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths}

    subprocess.run([sys.executable, "-c", CALLS], check=True, env=environment)


@pytest.mark.parametrize("place", generate.ONE_OF)
def test_members_of_which_one_is_required_exist(place):
    """A misspelt name would be ignored without a word; none of them is required by itself."""
    verb, template, *names = place.split()
    node = catalogue.find(verb, template)
    assert template == node.template
    fields = node.body
    for name in names:
        node = fields[name]
        fields = node.fields

    assert tuple(generate.ONE_OF[place]) == node.one_of
    assert [False] * len(node.one_of) == [fields[name].required for name in node.one_of]


def test_no_generated_file_is_stale():
    """The stubs are what the data gives."""
    script = Path(__file__).parent / "generate.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )

    assert (0, "") == (done.returncode, done.stdout + done.stderr)
