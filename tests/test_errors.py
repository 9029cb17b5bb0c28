"""The tree of errors: where each one stands, what it carries, and what of that a pickle keeps."""

from __future__ import annotations

import ast
import inspect
import pickle

from cases import each

import wechatpay
import wechatpay.bills.errors
from wechatpay import Request, Response, errors
from wechatpay.messages import Headers
from wechatpay.notification import errors as refusals

BODY = b'{"payer":{"openid":"secret-openid"}}'
REQUEST = Request(
    "POST",
    "https://api.mch.weixin.qq.com/v3/pay?access_token=secret-token",
    Headers({"Authorization": "secret-signature"}),
    BODY,
)
RESPONSE = Response(400, Headers({"Request-ID": "08F78BB7", "Set-Cookie": "secret-cookie"}), BODY)

TREE = {
    "WeChatPayError": (Exception,),
    "ConfigurationError": (errors.WeChatPayError, ValueError),
    "InvalidRequestError": (errors.WeChatPayError, ValueError),
    "CryptoError": (errors.WeChatPayError, ValueError),
    "DecodeError": (errors.WeChatPayError, ValueError),
    "TransportError": (errors.WeChatPayError,),
    "ConnectError": (errors.TransportError, ConnectionError),
    "PoolTimeoutError": (errors.ConnectError, TimeoutError),
    "NoResponseError": (errors.TransportError,),
    "ReadTimeoutError": (errors.NoResponseError, TimeoutError),
    "ResponseTooLargeError": (errors.NoResponseError,),
    "VerificationError": (errors.WeChatPayError,),
    "IncompleteHeadersError": (errors.VerificationError,),
    "ClockSkewError": (errors.VerificationError,),
    "UnknownSerialError": (errors.VerificationError,),
    "SignatureError": (errors.VerificationError,),
    "RedirectError": (errors.WeChatPayError,),
    "APIError": (errors.WeChatPayError,),
    "ServerError": (errors.APIError,),
    "NotificationError": (errors.WeChatPayError,),
}
ATTRIBUTES = {
    "ClockSkewError": {"skew": -301},
    "UnknownSerialError": {"serial": "PUB_KEY_ID_1"},
    "APIError": {
        "status_code": 400,
        "code": "PARAM_ERROR",
        "message": "金额错误",
        "retryable": True,
        "verified": True,
    },
}
ATTRIBUTES["ServerError"] = ATTRIBUTES["APIError"]


def descendants(kind):
    """Give an error and all that are derived from it."""
    return [kind, *(below for child in kind.__subclasses__() for below in descendants(child))]


KINDS = [
    kind
    for kind in dict.fromkeys(descendants(errors.WeChatPayError))
    if kind.__module__.startswith("wechatpay.")
]


def raised(kind):
    """Make an error with all that it can carry."""
    own = next((ATTRIBUTES[base.__name__] for base in kind.__mro__ if base.__name__ in ATTRIBUTES), {})
    detail = {"detail": {"value": "secret-value"}} if issubclass(kind, errors.APIError) else {}
    return kind("what was wrong", request=REQUEST, response=RESPONSE, **own, **detail), own


@each("name", TREE)
def test_error_stands_where_the_tree_says(name):
    """Callers catch by kind, the standard library's kinds among them, never `requests'` or aiohttp's."""
    kind = getattr(wechatpay, name)

    assert kind is getattr(errors, name)
    assert TREE[name] == kind.__bases__
    assert inspect.getdoc(kind)


def test_tree_is_complete():
    """No error is public that the tree has not got."""
    assert sorted(TREE) == sorted(errors.__all__)
    assert {kind.__name__ for kind in KINDS if kind.__module__ == "wechatpay.errors"} == set(TREE)


def test_root_is_all_that_is_caught_for_any_failure():
    """Kinds of single packages stand under the tree, too."""
    assert all(issubclass(getattr(refusals, name), errors.NotificationError) for name in refusals.__all__)


@each("kind", KINDS, ids=lambda kind: kind.__name__)
def test_error_carries_request_and_response(kind):
    """Both are `None` until there are any."""
    error, own = raised(kind)

    assert (REQUEST, RESPONSE) == (error.request, error.response)
    assert (None, None) == (kind().request, kind().response)
    assert own == {name: getattr(error, name) for name in own}
    assert "what was wrong" == str(error)


@each("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@each("kind", KINDS, ids=lambda kind: kind.__name__)
def test_error_survives_a_pickle_without_its_secrets(kind, protocol):
    """Task queues and process pools send errors on: what they may show goes along, nothing else."""
    error, own = raised(kind)
    pickled = pickle.dumps(error, protocol)
    again = pickle.loads(pickled)

    assert b"secret" not in pickled
    assert (kind, "what was wrong") == (type(again), str(again))
    assert own == {name: getattr(again, name) for name in own}
    assert ("POST", "/v3/pay", b"") == (again.request.method, again.request.target, again.request.content)
    assert (400, "08F78BB7", b"") == (
        again.response.status_code,
        again.response.request_id,
        again.response.content,
    )


def test_pickle_keeps_notes():
    """What a caller adds with `add_note` is his own to share."""
    error = errors.SignatureError("x")
    error.add_note("order 1217752501201407033233368018")

    assert error.__notes__ == pickle.loads(pickle.dumps(error)).__notes__


def test_api_error_names_the_request_for_support():
    """`request_id` is what WeChat Pay's support asks for."""
    assert "08F78BB7" == errors.APIError(response=RESPONSE).request_id
    assert errors.APIError().request_id is None


def test_errors_stand_below_all_else():
    """Anything may raise them: the module loads nothing else of the package."""
    tree = ast.parse(inspect.getsource(errors))
    imported = [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]

    assert ["__future__", "typing"] == imported
