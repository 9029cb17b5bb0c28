"""Completion, `help()` and `wechatpay explain` show what the catalogue knows."""

from __future__ import annotations

import pydoc

import merchants
import pytest
from typer.testing import CliRunner

from wechatpay import Builder
from wechatpay.builder import Node, Verb
from wechatpay.catalogue.describe import describe_path, explain_topic
from wechatpay.cli.app import app


@pytest.fixture(scope="module")
def instance():
    """A client; nothing is sent."""
    return Builder(**merchants.settings())


def explain(*arguments):
    """Run `wechatpay explain`."""
    return CliRunner().invoke(app, ["explain", *arguments])


def test_dir_lists_the_segments_below(instance):
    """Tab in IPython and Jupyter completes segments, as attributes."""
    assert {"v2", "v3", "factory", "get"} <= set(dir(instance))
    assert {"jsapi", "outTradeNo", "id", "post"} <= set(dir(instance.v3.pay.transactions))
    assert {"_transaction_id_"} <= set(dir(instance.v3.pay.transactions.id))
    assert "global_" in dir(instance.v3)
    assert "post" in dir(instance.v3.profitsharing.receivers.delete)
    assert "get" in dir(instance.v3.pay["{?a}"].delete)


def test_every_listed_segment_leads_to_its_template(instance):
    """An attribute that `dir()` lists makes the segment that the documents have."""
    for name in dir(instance.v3):
        assert str(getattr(instance.v3, name)).startswith("v3") or name in {"chain", "getDriver"}


def test_help_shows_title_parameters_and_link(instance):
    """`help(node)` describes the operation; the class keeps its own docstring."""
    shown = pydoc.plain(pydoc.render_doc(instance.v3.pay.transactions.jsapi))

    assert "JSAPI下单" in shown
    assert "https://pay.weixin.qq.com/doc/v3/merchant/4012791856" in shown
    assert "total: integer, required" in shown
    assert "JSAPI下单" in instance.v3.pay.transactions.jsapi.postAsync.__doc__
    assert "below: " in instance.v3.pay.transactions.__doc__
    assert "/receivers/delete" in instance.v3.profitsharing.receivers.delete.__doc__
    assert Node.__doc__.startswith("A URI template")
    assert instance.chain("v3/new").__doc__ == Node.__doc__
    assert Verb.__doc__.startswith("Sends a request")


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("v3/pay/transactions/jsapi", "instance.v3.pay.transactions.jsapi.post(…)"),
        ("post /v3/pay/transactions/jsapi", "instance.v3.pay.transactions.jsapi.post(…)"),
        ("https://api.mch.weixin.qq.com/v3/pay/transactions/id/42?mchid=19", "GET v3/pay/transactions/id/"),
        ("https://api.mch.weixin.qq.com/secapi/pay/refund", "POST v2/secapi/pay/refund"),
        ("transaction.success", "trade_state"),
        ("v2/payment", "transaction-success"),
        ("v2/contract-ended", "pap-contract-state-changed"),
        ("order_closed", "ORDER_CLOSED"),
        ("v2/secapi/pay/refund", "one of transaction_id, out_trade_no is required"),
        ("v2/secapi/pay/refund", "security=True"),
        ("v3/global/statements", "base_uri='https://apihk.mch.weixin.qq.com/'"),
        ("v3/merchant/media/upload", "meta: string, required, json in a string"),
        ("v2/transit/pay/payapply", "METRO:"),
        ("TRANSACTION.SUCCESS", "trade_state"),
        ("PARAM_ERROR", "remedy: fix the field that detail names"),
        ("NOT_ENOUGH", "of: POST v3/pay"),
        ("08F78AAE0610D3F9-268512771", "order not found"),
        ("SYSTEM_ERROR", "the identical request may succeed later"),
    ],
)
def test_a_topic_is_explained(topic, expected):
    """Paths, events, codes and Request-IDs are all topics."""
    assert expected in explain_topic(topic)


def test_an_unknown_topic_has_no_text():
    """Nothing is invented."""
    assert "" == explain_topic("nonsense") == describe_path("v3/zzz")


def test_the_command_explains():
    """The description goes to standard output."""
    done = explain("v3/pay/transactions/jsapi")

    assert 0 == done.exit_code
    assert done.stdout.startswith("POST v3/pay/transactions/jsapi  JSAPI下单")


def test_the_command_searches():
    """Words of a title lead to operations."""
    assert "v3/refund/domestic/refunds" in explain("--search", "退款").stdout


def test_the_command_suggests():
    """A mistyped segment is corrected."""
    done = explain("v3/pay/transactions/jsapy")

    assert 1 == done.exit_code
    assert "did you mean `jsapi`" in done.stderr
    assert "did you mean `jsapi`" in explain("POST", "v3/pay/transactions/jsapy").stderr
    assert (
        "'v3/pay/transactions/jsapi' takes POST, not GET" in explain("GET v3/pay/transactions/jsapi").stderr
    )
    assert "try --search" in explain("nonsense").stderr
    assert 2 == explain().exit_code
