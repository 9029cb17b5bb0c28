"""A view takes its framework's own responses from the function that handles the event."""

from __future__ import annotations

import asyncio
import json

import flask
import pytest
from aiohttp import web
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from notification import servers
from notification.callbacks import envelope, handler, payment, signed
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, Response, StreamingResponse

from wechatpay.notification import Reply

BODY = envelope()

#: What makes a response of JSON, by the kind of framework.
JSON = {
    "flask": lambda fields, status: (flask.jsonify(fields), status),
    "django": lambda fields, status: JsonResponse(fields, status=status),
    "starlette": JSONResponse,
    "aiohttp": lambda fields, status: web.json_response(fields, status=status),
}

#: What makes an empty response of status 204.
EMPTY = {
    "flask": lambda: ("", 204),
    "django": lambda: HttpResponse(status=204),
    "starlette": lambda: Response(status_code=204),
    "aiohttp": lambda: web.Response(status=204),
}

KINDS = {
    "flask": "flask",
    "django": "django",
    "asynchronous_django": "django",
    "fastapi": "starlette",
    "starlette": "starlette",
    "aiohttp": "aiohttp",
}


@pytest.fixture(params=KINDS)
def framework(request):
    """Give the name of one framework after the other."""
    return request.param


def deliver(framework, make, body=BODY, times=2):
    """Deliver one event; return the replies, and how often it was handled."""
    handled = []

    def paid(notification):
        handled.append(notification.id)
        return make()

    async def apaid(notification):
        await asyncio.sleep(0)
        return paid(notification)

    process = paid if framework in {"flask", "django"} else apaid
    with getattr(servers, framework)(handler(), process) as port:
        return [servers.post(port, signed(body), body) for _ in range(times)], len(handled)


def test_success_completes_the_event_and_is_repeated(framework):
    """Later deliveries get the same status, type and body, and the function is not called."""
    replies, handled = deliver(framework, lambda: JSON[KINDS[framework]]({"code": "SUCCESS"}, 201))
    statuses, types, bodies = zip(*replies, strict=True)

    assert 1 == handled
    assert (201, 201) == statuses
    assert {"application/json"} == {kind.partition(";")[0] for kind in types}
    assert bodies[0] == bodies[1]
    assert {"code": "SUCCESS"} == json.loads(bodies[0])


def test_empty_response_completes_the_event(framework):
    """The status 204 is what WeChat Pay documents beside 200."""
    replies, handled = deliver(framework, EMPTY[KINDS[framework]])

    assert ([(204, b"")] * 2, 1) == ([(status, body) for status, _, body in replies], handled)


@pytest.mark.parametrize("status", [302, 404, 503])
def test_other_status_rejects_the_event(framework, status):
    """The response is sent, and the function is called at the next delivery."""
    replies, handled = deliver(framework, lambda: JSON[KINDS[framework]]({"code": "SUCCESS"}, status))

    assert ([status] * 2, 2) == ([reply[0] for reply in replies], handled)


def test_failure_with_a_status_of_success_rejects_the_event(framework):
    """WeChat Pay would take the status for a success: a 500 is sent with the same body."""
    replies, handled = deliver(framework, lambda: JSON[KINDS[framework]]({"code": "FAIL"}, 200))

    assert ([500, 500], 2) == ([reply[0] for reply in replies], handled)
    assert {"code": "FAIL"} == json.loads(replies[0][2])


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("<xml><return_code><![CDATA[FAIL]]></return_code></xml>", 500),
        ("<xml><return_code>FAIL</return_code></xml>", 500),
        ("fail", 500),
        ('"Fail"', 500),
        ('{"code" : "ERROR"}', 500),
        ('{"message":"失败","code":"FAIL"}', 500),
        ('{"return_code":"FAIL"}', 500),
        ("<xml>\n<return_msg>ERROR</return_msg>\n<return_code>FAIL</return_code></xml>", 500),
        ("<xml><return_code>SUCCESS</return_code><return_msg>FAIL</return_msg></xml>", 200),
        ('{"code":"SUCCESS","detail":{"code":"ERROR"}}', 200),
        ('["FAIL"]', 200),
        ("<xml><return_code><![CDATA[SUCCESS]]></return_code></xml>", 200),
        ("success", 200),
        (b"", 200),
        ('{"code":"SUCCESS","message":"no FAIL"}', 200),
    ],
)
def test_text_is_read_as_wechat_pay_and_its_users_write_it(text, status):
    """APIv2's XML, JSON and bare words say FAIL or ERROR; what is said beside that does not count."""
    ((sent, _, body),), handled = deliver("flask", lambda: text, payment(), times=1)

    assert (status, text if isinstance(text, bytes) else text.encode(), 1) == (sent, body, handled)


def test_first_response_is_sent_with_all_that_it_has():
    """A background task runs, once; a cookie is sent, and not stored."""
    ran = []

    def make():
        response = JSONResponse({"code": "SUCCESS"}, background=BackgroundTask(ran.append, "ran"))
        response.set_cookie("session", "s3cr3t")
        return response

    service = handler()
    with servers.starlette(service, lambda _: make()) as port:
        for _ in range(2):
            servers.post(port, signed(BODY), BODY)
    stored = service.store.reply("EV-2018022511223320873")

    assert ["ran"] == ran
    assert b"s3cr3t" not in stored
    assert Reply(200, {"content-type": "application/json"}, b'{"code":"SUCCESS"}') == Reply.from_bytes(stored)


def test_plain_function_may_return_an_awaitable_of_a_response():
    """A decorator of the caller's makes a plain function of a coroutine function."""

    async def paid(_):
        return web.json_response({"code": "SUCCESS"})

    def decorated(notification):
        return paid(notification)

    with servers.aiohttp(handler(), decorated) as port:
        assert 200 == servers.post(port, signed(BODY), BODY)[0]


@pytest.mark.parametrize(
    ("framework", "make", "name"),
    [
        ("flask", lambda: True, "bool"),
        ("flask", lambda: ("a", "b", "c", "d"), "tuple"),
        ("flask", lambda: JsonResponse({}), "JsonResponse"),
        ("django", lambda: ("", 204), "tuple"),
        ("django", StreamingHttpResponse, "StreamingHttpResponse"),
        ("starlette", lambda: "success", "str"),
        ("starlette", lambda: StreamingResponse(iter([])), "StreamingResponse"),
        ("aiohttp", web.StreamResponse, "StreamResponse"),
    ],
)
def test_anything_else_is_an_error_that_names_it_and_what_to_return(framework, make, name, caplog):
    """The event counts as not handled, so that none is lost by mistake."""
    ((status, _, _),), _ = deliver(framework, make, times=1)

    assert 500 == status
    assert f"returned {name}: return None to acknowledge" in caplog.text
