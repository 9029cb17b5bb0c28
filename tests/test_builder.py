"""The chain: what a node is, which names it keeps for itself, and what its verbs take."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import sys
import traceback
from unittest import mock

import keys
import merchants
import pytest
from wire.gateway import SERIAL

from wechatpay import Builder, ConfigurationError, InvalidRequestError

VERBS = ("get", "post", "put", "patch", "delete")
RESERVED = sorted([*VERBS, *(f"{verb}Async" for verb in VERBS), "chain", "getDriver"])
SECRET = "token-of-a-bill"
WITH_QUERY = f"https://api.mch.weixin.qq.com/v3/billdownload/file?token={SECRET}"


@pytest.fixture(scope="module")
def root():
    """Give a Builder that sends nothing."""
    return Builder(**merchants.settings())


@pytest.fixture(scope="module")
def node(root):
    """Give a path."""
    return root.v3.pay.transactions


def test_wrong_settings_can_be_shown_with_local_variables():
    """``python -m unittest --locals`` shows every frame of the error, the Builder's own, too."""
    with pytest.raises(ConfigurationError) as caught:
        Builder(mchid="1900000109", secret="short")

    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "secret" in "".join(shown.format())


@pytest.mark.parametrize("kind", ["path", "verb", "async verb"])
def test_node_has_the_reserved_names_and_no_other(node, kind):
    """Every other name is an endpoint, now and in later versions."""
    thing = {"path": node, "verb": node.get, "async verb": node.getAsync}[kind]

    assert RESERVED == [name for name in dir(type(thing)) if not name.startswith("_")]
    assert set(RESERVED) <= set(dir(thing))


def test_root_reads_as_a_path(root):
    """Printed, it is not an empty line; as for all nodes, the text leads back to the node."""
    assert "/" == str(root)
    assert root.v3 == root.chain(str(root)).v3


def test_root_has_factory_besides(root):
    """PHP code begins with `Builder.factory`; further down that name is an endpoint."""
    names = sorted([*RESERVED, "factory"])

    assert names == [name for name in dir(type(root)) if not name.startswith("_")]
    assert {*names, "v2", "v3"} == set(dir(root))
    assert "v3/factory" == str(root.v3.factory)


@pytest.mark.parametrize("name", ["close", "query", "send", "items", "update", "reverse", "keys", "copy"])
def test_endpoint_may_have_any_name(root, name):
    """What other clients keep for themselves are endpoints of WeChat Pay's."""
    assert f"v3/{name}" == str(getattr(root.v3, name))


@pytest.mark.parametrize("verb", VERBS)
def test_verb_sends_its_method(gateway, instance, client, verb):
    """Each verb sends the method that it is called after, sync and async."""
    client.call(instance.v3.pay, verb)

    assert f"{verb.upper()} /v3/pay HTTP/1.1" == gateway.seen[0].line


@pytest.mark.parametrize("name", VERBS)
def test_verb_is_a_node_too(gateway, instance, client, name):
    """`…receivers.delete.post(json=…)` is an endpoint, as `…receivers.delete(…)` is."""
    receivers = instance.v3.profitsharing.receivers

    client.call(getattr(receivers, name), "post", json={"appid": "wx1"})

    assert f"POST /v3/profitsharing/receivers/{name} HTTP/1.1" == gateway.seen[0].line
    assert getattr(receivers, name) == receivers[name]


@pytest.mark.parametrize("verb", ["get", "getAsync"])
def test_verb_declares_what_it_takes(node, verb):
    """Editors show one optional mapping and keywords, and what comes back."""
    options, keywords = inspect.signature(getattr(node, verb)).parameters.values()

    assert (inspect.Parameter.POSITIONAL_ONLY, None) == (options.kind, options.default)
    assert inspect.Parameter.VAR_KEYWORD == keywords.kind
    assert inspect.getdoc(getattr(type(node), verb))


def test_three_spellings_are_equal(root):
    """Attributes, `chain()` and `[]` name one path, a value, which belongs to one Builder."""
    spelled = [
        root.v3.eduPapay.user._openid_.contracts,
        root.chain("v3/edu-papay/user/<openid>/contracts"),
        root["v3/eduPapay/user/{openid}"]["contracts"],
        root.chain(root.v3.eduPapay).user["_openid_"].chain("/contracts"),
    ]

    assert [spelled[0]] * 4 == spelled
    assert 1 == len(set(spelled))
    assert spelled[0] != Builder(**merchants.settings()).v3.eduPapay.user._openid_.contracts
    assert spelled[0] != str(spelled[0])


def test_copies_keep_the_driver(node):
    """A copied node calls as the original does."""
    assert node is copy.copy(node)
    assert [node] == copy.deepcopy([node])
    assert node.getDriver() is copy.deepcopy(node).getDriver()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_node_keeps_its_path_until_it_is_bound_again(root, node, protocol):
    """A pickle carries no key and no connection."""
    pickled = pickle.dumps(node, protocol)
    unbound = pickle.loads(pickled)

    assert str(node) == str(unbound)
    assert node != unbound
    assert node == root.chain(unbound)
    assert merchants.MCHID.encode() not in pickled


@pytest.mark.parametrize("call", [lambda n: n.get(), lambda n: n.getAsync(), lambda n: n.getDriver()])
def test_pickled_node_says_so_when_called(node, call):
    """The error says what is missing and how to give it."""
    with pytest.raises(ConfigurationError, match=r"pickled.*instance\.chain\(node\)"):
        call(pickle.loads(pickle.dumps(node)))


@pytest.mark.parametrize("verb", ["post", "postAsync"])
def test_pickled_verb_says_so_when_called(node, verb):
    """A verb out of a pickle is a verb still, and lacks the same."""
    with pytest.raises(ConfigurationError, match=r"pickled.*instance\.chain\(node\)"):
        pickle.loads(pickle.dumps(getattr(node, verb)))()


@pytest.mark.parametrize(
    "name",
    ["_repr_html_", "_repr_mimebundle_", "_ipython_canary_method_should_not_exist_", "__array__", "_", "_x"],
)
def test_probes_find_nothing(root, node, name):
    """IPython, numpy, copy, mock and others ask for names with `_`: none of them is a path."""
    assert not any(hasattr(thing, name) for thing in (root, node, node.get))


def test_node_is_not_a_container(node):
    """`[]` makes a path; it neither counts nor lists, and never runs for ever."""
    for ask in (iter, len, list, reversed, lambda n: "a" in n):
        with pytest.raises(TypeError):
            ask(node)
    with pytest.raises(InvalidRequestError, match="a path is text, not int: values belong in variables"):
        node[0]
    assert node


def test_node_shows_its_path(root):
    """Logs and notebooks show which endpoint it is, with variables as the docs write them."""
    node = root.v3.pay._id_

    assert "v3/pay/<id> <wechatpay v3/pay/<id>>" == f"{node} {node!r}"
    assert "<wechatpay v3/pay/<id> getAsync>" == f"{node.getAsync!r}"
    assert "<wechatpay />" == repr(root)


def test_mock_takes_a_node_or_a_builder_for_its_model(root, node):
    """Users' tests may stand mocks in for nodes; looking at one calls nothing."""
    assert inspect.unwrap(node) is node
    assert mock.create_autospec(node).get.delete(json={}) is not None
    double = mock.create_autospec(root)
    double.v3.pay.transactions.jsapi.post(json={"a": 1})
    double.v3.pay.transactions.jsapi.post.assert_called_once_with(json={"a": 1})
    with pytest.raises(AttributeError):
        mock.Mock(spec=node).close()


@pytest.mark.parametrize("path", ["", "v3/pay"])
def test_calling_a_path_says_that_it_is_not_a_verb(root, path):
    """`instance.v3.pay(…)` lacks its verb; the message lists them."""
    with pytest.raises(InvalidRequestError, match=r"is a path, not a verb.*\.get\(…\), \.post\(…\)"):
        root.chain(path)(json={})


def test_node_cannot_be_changed(node):
    """Nodes are shared between threads; an assignment is a mistake that would be lost otherwise."""
    with pytest.raises(AttributeError, match="immutable"):
        node.timeout = 5
    with pytest.raises(AttributeError, match="immutable"):
        del node.timeout


@pytest.mark.no_cover
def test_distinct_nodes_leave_no_memory_behind(root):
    """A server that lives for years may put values into paths: nodes are not kept."""

    def visit(prefix, count):
        for number in range(count // 2):
            _ = getattr(root.v3, f"{prefix}{number}").get
            _ = root[f"v3/{prefix}/{number}"]
        gc.collect()
        return sys.getallocatedblocks()

    before = visit("warm", 20_000)

    assert visit("node", 10_000) - before < 500


def test_mapping_and_keywords_make_one_call(gateway, instance, client):
    """PHP's `$options` and Python's keywords mix."""
    client.call(instance.v3.pay._id_, "get", {"id": "1", "timeout": 5}, query={"mchid": "2"})

    assert "/v3/pay/1?mchid=2" == gateway.seen[0].target


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"json": {}}, "json: given in the mapping and as a keyword; give it once"),
        ([("body", "")], "a mapping of options and keywords, not list"),
        ("body", "not str"),
        ({5: 6}, "the name of an option or variable is text, not int"),
    ],
    ids=["twice", "pairs", "text", "number"],
)
def test_what_is_not_a_set_of_options_is_refused(root, client, options, message):
    """A wrong call is told so, before anything is sent."""
    with pytest.raises(InvalidRequestError, match=message):
        client.call(root.v3.pay, "post", options, json={})


@pytest.mark.parametrize("path", ["v3/pay{?id}", "v3/pay?id=1"])
def test_path_with_a_query_has_verbs(gateway, instance, client, path):
    """A URI that brings its query, as download URLs do, is called like any other."""
    client.call(instance[path], "get", **({"id": 1} if "{" in path else {}))

    assert "/v3/pay?id=1" == gateway.seen[0].target


@pytest.mark.parametrize("verb", ["get", "getAsync"])
def test_query_of_a_url_is_never_shown(root, verb):
    """The query of a download URL is a credential; neither nodes nor their errors show it."""
    node = root[WITH_QUERY]
    shown = [f"{thing!s}{thing!r}" for thing in (node, getattr(node, verb), pickle.loads(pickle.dumps(node)))]
    for wrong in (node, lambda: node.x, lambda: getattr(node, verb).x, lambda: root.v3[WITH_QUERY]):
        with pytest.raises(InvalidRequestError) as caught:
            wrong()
        shown.append(str(caught.value))

    assert SECRET not in "".join(shown)
    assert getattr(node, verb) == getattr(root[WITH_QUERY], verb)


@pytest.mark.parametrize("key", ["privateKey", "private_key"])
def test_factory_takes_phps_mapping_and_ours(key):
    """PHP's settings work key for key."""
    certs = {SERIAL: keys.public_pem("platform")}
    built = Builder.factory(
        {"mchid": "1900000109", "serial": "3775B6A4", key: keys.pem(), "certs": certs}, timeout=5
    )

    assert list(built.getDriver().select().stack) == ["signer", "verifier"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [([1], "not list"), ({"mchid": "2"}, "mchid: given in the mapping and as a keyword")],
    ids=["list", "twice"],
)
def test_factory_refuses_what_is_not_a_set_of_settings(settings, message):
    """The error is the one that all wrong settings raise."""
    with pytest.raises(ConfigurationError, match=message):
        Builder.factory(settings, mchid="1")


@pytest.mark.parametrize("method", ["POST", "post"])
def test_driver_makes_a_call_whose_verb_is_a_value(gateway, instance, method):
    """``getDriver()->request('POST', …)`` and ``requestAsync`` of ported code."""
    driver = instance.getDriver()
    driver.request(method, "v3/pay/out-trade-no/<no>/close", {"no": "N1", "json": {"mchid": "1"}})
    driver.requestAsync(method, "/v3/pay/partner", {"json": {"mchid": "2"}}, query={"a": 1}).wait()

    first, second = gateway.seen
    assert ("POST", "/v3/pay/out-trade-no/N1/close") == (first.method, first.target)
    assert ("POST", "/v3/pay/partner?a=1") == (second.method, second.target)
    assert b'{"mchid":"2"}' == second.body


@pytest.mark.parametrize("name", ["request", "requestAsync"])
@pytest.mark.parametrize(
    ("method", "path", "reason"),
    [
        ("HEAD", "v3/x", "method: give one of GET, POST"),
        (None, "v3/x", "method: give one of GET, POST"),
        ("GET", None, "path: give text, not NoneType"),
        ("GET", "v3//x", "empty segment"),
    ],
)
def test_driver_refuses_an_unknown_method_and_what_is_not_a_path(
    gateway, instance, name, method, path, reason
):
    """At once, as the chain does."""
    with pytest.raises(InvalidRequestError, match=reason):
        getattr(instance.getDriver(), name)(method, path)

    assert [] == gateway.seen
