"""Signed responses and callbacks for tests, so that the verifier stays in the stack.

On the blocking side, with ``responses``::

    import responses
    from wechatpay import Builder, testing

    platform = testing.Platform()  # one for all tests: making keys takes 0.2 s

    @responses.activate
    def test_palm():
        url = "https://api.mch.weixin.qq.com/v3/palmservice/authorization/openid/o-1"
        responses.add(**platform.response("GET", url, json={"state": "AUTHORIZATION_STATE_ON"}))
        instance = Builder(**platform.settings())
        response = instance.v3.palmservice.authorization.openid._openid_.get(openid="o-1")
        assert response.json()["state"] == "AUTHORIZATION_STATE_ON"

On the asynchronous side, with the test server of ``aiohttp``::

    from aiohttp import web
    from aiohttp.test_utils import TestServer

    async def test_palm_async():
        app = web.Application()
        on = platform.handler(json={"state": "AUTHORIZATION_STATE_ON"})
        app.router.add_get("/v3/palmservice/authorization/openid/{openid}", on)
        async with TestServer(app) as server:
            settings = platform.settings(base_uri=str(server.make_url("/")))
            async with Builder(**settings) as instance:
                node = instance.v3.palmservice.authorization.openid._openid_
                response = await node.getAsync(openid="o-1")
        assert response.json()["state"] == "AUTHORIZATION_STATE_ON"

Callbacks, for the test client of your framework::

    from flask import Flask
    from wechatpay.notification import views

    def test_order_is_settled():
        settled = []
        app, handler = Flask("shop"), Builder(**platform.settings()).getDriver().notifications()

        @app.post("/wechatpay/notify")
        @views.flask(handler)
        def paid(notification):
            settled.append(notification.resource["out_trade_no"])

        callback = platform.notification("TRANSACTION.SUCCESS", {"out_trade_no": "N1"})
        reply = app.test_client().post("/wechatpay/notify", headers=callback.headers, data=callback.body)
        assert (reply.status_code, settled) == (200, ["N1"])

A response is accepted for 300 s after it was signed: ``callback`` and ``handler`` sign again at each call.
:class:`wechatpay.sandbox.Sandbox` verifies the requests, too, keeps orders, and has faults; the fixtures of
:mod:`wechatpay.pytest_plugin` run it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from wechatpay.errors import ConfigurationError
from wechatpay.sandbox.callbacks import Notifier
from wechatpay.sandbox.keys import Identity, Signers, change_settings
from wechatpay.sandbox.messages import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from aiohttp import web
    from requests import PreparedRequest

    from wechatpay.sandbox.callbacks import Details, Resource
    from wechatpay.sandbox.posting import Callback
    from wechatpay.settings import SettingsDict

__all__ = ["Content", "Platform"]


class Content(TypedDict, total=False):
    """The content of a response.

    Attributes:
        json: A value, written as JSON.
        body: Bytes or text, instead of ``json``.
        status: HTTP status; 200 by default.
        headers: Further headers.
        serial: Which of WeChat Pay's keys signs; one of ``settings()["certs"]``, by default the first.
    """

    json: Any
    body: bytes | str
    status: int
    headers: Mapping[str, str]
    serial: str


class Platform:
    """A merchant with fresh keys, and a WeChat Pay that signs the responses that you choose.

    Making keys takes 0.2 s: share one platform between your tests.
    """

    def __init__(self, *, identity: Identity | None = None, clock: Callable[[], float] | None = None) -> None:
        """Make keys.

        Args:
            identity: Keys to use instead of fresh ones.
            clock: Returns Unix seconds; given, it is among the settings, too, so that both sides agree.
        """
        self.identity = identity or Identity.generate()
        self._clock = clock
        now = clock or time.time
        self._notifier = Notifier(self.identity, Signers(self.identity, "both", now), now)

    def settings(self, **changes: Unpack[SettingsDict]) -> SettingsDict:
        """Return the settings of a Builder that accepts these responses.

        Args:
            changes: Settings that replace these; with a session of your own, ``proxies`` are left out.
        """
        clock: SettingsDict = {"clock": self._clock} if self._clock else {}
        return change_settings({**self.identity.settings(), **clock}, changes)

    def sign(self, **content: Unpack[Content]) -> HttpResponse:
        """Sign a response, as of now, for any HTTP library: its ``status``, ``headers`` and ``body``.

        Raises:
            ConfigurationError: Both ``json`` and ``body`` are given, or ``serial`` is not among
                ``settings()["certs"]``.
        """
        serial = content.get("serial")
        if serial is not None and serial not in self.identity.certs:
            raise ConfigurationError(f"serial: give one of {', '.join(self.identity.certs)}")
        return self.identity.signer(serial).sign(_unsigned(content), (self._clock or time.time)())

    def response(self, method: str, url: str, **content: Unpack[Content]) -> dict[str, Any]:
        """Make the arguments of ``responses.add``, signed as of now.

        Raises:
            ConfigurationError: See `sign`.
        """
        response = self.sign(**content)
        headers = dict(response.headers.with_({"Content-Type": None}))
        return {
            "method": method,
            "url": url,
            "body": response.body,
            "status": response.status,
            "headers": headers,
            "content_type": response.headers.get("Content-Type"),
        }

    def callback(
        self, **content: Unpack[Content]
    ) -> Callable[[PreparedRequest], tuple[int, dict[str, str], bytes]]:
        """Make the callback of ``responses.add_callback``, which signs at each call.

        Raises:
            ConfigurationError: See `sign`.
        """
        self.sign(**content)

        def call(_: PreparedRequest) -> tuple[int, dict[str, str], bytes]:
            response = self.sign(**content)
            return response.status, dict(response.headers), response.body

        return call

    def notification(
        self,
        event: str = "TRANSACTION.SUCCESS",
        resource: Resource = None,
        **details: Unpack[Details],
    ) -> Callback:
        """Make a callback, signed as of now: its ``headers`` and ``body``, for any test client.

        `Callback` shows how to post it in each framework.

        Args:
            event: An ``event_type``, or ``v2/payment``, ``v2/refund``, ``v2/contract-signed`` or
                ``v2/contract-ended``; one that is not documented yet needs a ``resource``.
            resource: Fields that differ from a realistic example, as for
                :meth:`wechatpay.sandbox.Sandbox.notify`. Their names are not checked.
            details: Its other members, or a fault; see :class:`~wechatpay.sandbox.callbacks.Details`.

        Raises:
            ConfigurationError: The event is unknown, and has no ``resource`` or is like a documented one; the
                fault does not apply to callbacks; or ``serial`` is not one of ``settings()["certs"]``.
            InvalidRequestError: ``resource`` cannot be serialised.
        """
        return self._notifier.callback(event, resource, details)

    def web_response(self, **content: Unpack[Content]) -> web.Response:
        """Make a response for a handler of ``aiohttp.web``, signed as of now.

        Raises:
            ConfigurationError: See `sign`.
        """
        from aiohttp import web  # noqa: PLC0415  heavy, and only for aiohttp's users

        response = self.sign(**content)
        return web.Response(status=response.status, headers=dict(response.headers), body=response.body)

    def handler(self, **content: Unpack[Content]) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Make a handler for ``aiohttp.web``, which signs at each call.

        Raises:
            ConfigurationError: See `sign`.
        """
        self.sign(**content)

        async def handle(_: web.Request) -> web.Response:
            return self.web_response(**content)

        return handle


def _unsigned(content: Content) -> HttpResponse:
    if "json" in content and "body" in content:
        raise ConfigurationError("json and body: a response has one body; give one of them")
    body = content.get("body", b"")
    body = body.encode() if isinstance(body, str) else body
    response = HttpResponse.json(content["json"]) if "json" in content else HttpResponse(body=body)
    headers = response.headers.with_(content.get("headers", {}))
    return HttpResponse(content.get("status", 200), response.body, headers)
