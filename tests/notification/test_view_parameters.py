# ruff: noqa: B008  FastAPI's own way to declare a dependency
"""Views pass what the framework has for the function, or refuse it when it is decorated."""

from __future__ import annotations

import asyncio
from typing import Annotated

import pytest
from aiohttp import web
from django.http import HttpRequest
from django.test import AsyncClient, Client
from django.urls import path
from fastapi import BackgroundTasks, Depends, FastAPI
from flask import Blueprint, Flask
from flask.views import MethodView
from notification import servers
from notification.callbacks import ORDER, envelope, handler, signed
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request  # noqa: TC002  FastAPI evaluates annotations
from starlette.routing import Route

from wechatpay import ConfigurationError
from wechatpay.notification import views

BODY = envelope()
NUMBER = ORDER["out_trade_no"]
TENANT = "/notify/t1"
OK = (200, b'{"code":"SUCCESS","message":"OK"}')


def deliver(port, route=TENANT, headers=None):
    """Send a callback; return status and body of the reply."""
    status, _, body = servers.post(port, signed(BODY) | (headers or {}), BODY, path=route)
    return status, body


def get_db():
    """Give a dependency of FastAPI."""
    return "db"


def deliver_flask(app, route=TENANT):
    """Send a callback to Flask."""
    response = app.test_client().post(route, headers=signed(BODY), data=BODY)
    return response.status_code, response.data


def test_flask_passes_path_parameters():
    """One route serves many tenants."""
    seen, app = [], Flask("shop")

    @app.post("/notify/<tenant>")
    @views.flask(handler())
    def paid(notification, tenant):
        seen.append((notification.resource["out_trade_no"], tenant))

    assert OK == deliver_flask(app)
    assert [(NUMBER, "t1")] == seen


def test_flask_takes_methods_and_blueprints():
    """A class view's method gets its object."""
    seen, blueprint, app = [], Blueprint("pay", "pay", url_prefix="/notify"), Flask("shop")

    class Paid(MethodView):
        def __init__(self, shop):
            self.shop = shop

        @views.flask(handler())
        def post(self, notification, *, tenant):
            seen.append((self.shop, notification.resource["out_trade_no"], tenant))

    blueprint.add_url_rule("/<tenant>", view_func=Paid.as_view("paid", "S1"))
    app.register_blueprint(blueprint)

    assert OK == deliver_flask(app)
    assert [("S1", NUMBER, "t1")] == seen


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_django_passes_request_and_path_parameters(is_async):
    """The function says in its signature what it needs, in any order."""
    seen = []

    def paid(request, notification, tenant):
        seen.append((isinstance(request, HttpRequest), notification.resource["out_trade_no"], tenant))

    async def apaid(request, notification, tenant):
        await asyncio.sleep(0)
        paid(request, notification, tenant)

    view = views.django(handler())(apaid if is_async else paid)
    with servers.routes([path("notify/<tenant>", view)]):
        if is_async:
            client = AsyncClient(enforce_csrf_checks=True)
            response = asyncio.run(client.post(TENANT, BODY, "application/json", headers=signed(BODY)))
        else:
            client = Client(enforce_csrf_checks=True)
            response = client.post(TENANT, BODY, "application/json", headers=signed(BODY))

    assert OK == (response.status_code, response.content)
    assert [(True, NUMBER, "t1")] == seen


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_fastapi_resolves_dependencies_and_path_parameters(is_async):
    """What any route of FastAPI may declare, this one may, with annotations that are text, too."""
    seen, app = [], FastAPI()

    def paid(
        notification,
        tenant: str,
        tasks: BackgroundTasks,
        request: Request,
        db=Depends(get_db),
        other: Annotated[str, Depends(get_db)] = "",
    ):
        tasks.add_task(seen.append, "later")
        seen.append((notification.resource["out_trade_no"], tenant, db, other, request.method))

    async def apaid(
        notification,
        tenant: str,
        tasks: BackgroundTasks,
        request: Request,
        db=Depends(get_db),
        other: Annotated[str, Depends(get_db)] = "",
    ):
        await asyncio.sleep(0)
        paid(notification, tenant, tasks, request, db, other)

    app.post("/notify/{tenant}")(views.starlette(handler())(apaid if is_async else paid))
    with servers.run_asgi(app) as port:
        assert OK == deliver(port)

    assert [(NUMBER, "t1", "db", "db", "POST"), "later"] == seen


def test_starlette_passes_path_parameters_to_functions_and_methods():
    """Both kinds of endpoints that Starlette has."""
    seen = []

    @views.starlette(handler())
    async def paid(notification, tenant):
        seen.append((notification.resource["out_trade_no"], tenant))

    class Paid(HTTPEndpoint):
        @views.starlette(handler())
        def post(self, notification, request):
            seen.append((type(self).__name__, request.path_params["tenant"]))

    routes = [Route("/notify/{tenant}", paid, methods=["POST"]), Route("/class/{tenant}", Paid)]
    with servers.run_asgi(Starlette(routes=routes)) as port:
        replies = deliver(port), deliver(port, "/class/t2")

    assert (OK, OK) == replies
    assert [(NUMBER, "t1"), ("Paid", "t2")] == seen


def test_dependency_outside_of_fastapi_never_reaches_the_function_as_it_stands(caplog):
    """Starlette fills in no dependencies: the callback is not acknowledged."""
    seen = []

    @views.starlette(handler())
    async def paid(notification, db=Depends(get_db)):
        seen.append(db)

    with servers.run_asgi(Starlette(routes=[Route("/notify/{tenant}", paid, methods=["POST"])])) as port:
        assert 500 == deliver(port)[0]

    assert [] == seen
    assert "FastAPI alone fills in `db`" in caplog.text


def test_aiohttp_passes_path_parameters_to_functions_methods_and_class_views():
    """All kinds of handlers that aiohttp has."""
    seen, app = [], web.Application()

    class Shop:
        @views.aiohttp(handler())
        async def paid(self, notification, tenant):
            seen.append(("method", notification.resource["out_trade_no"], tenant))

    class Paid(web.View):
        @views.aiohttp(handler())
        async def post(self, notification):
            seen.append(("view", notification.resource["out_trade_no"], self.request.match_info["tenant"]))

    @views.aiohttp(handler())
    def paid(notification, request, **others):
        seen.append(("function", notification.resource["out_trade_no"], request.method, others))

    app.router.add_post("/notify/{tenant}", Shop().paid)
    app.router.add_view("/class/{tenant}", Paid)
    app.router.add_post("/function/{tenant}", paid)
    with servers.run_aiohttp(app) as port:
        replies = {deliver(port, route) for route in (TENANT, "/class/t2", "/function/t3")}

    assert {OK} == replies
    assert [
        ("method", NUMBER, "t1"),
        ("view", NUMBER, "t2"),
        ("function", NUMBER, "POST", {"tenant": "t3"}),
    ] == seen


class Missing:
    """A class with a method, to decorate."""

    def paid(self, notification):
        """Handle an event."""


def nothing():
    """Take nothing."""


def dependency_alone(db=Depends(get_db)):
    """Take a dependency, and no notification."""


def dependency(notification, db=Depends(get_db)):
    """Take a dependency."""


def request_too(notification, request):
    """Take a request."""


def positional(notification, tenant, /):
    """Take a parameter that no framework can pass."""


def unresolved(notification, tenant: Nowhere):  # noqa: F821
    """Take a parameter whose annotation cannot be evaluated."""


async def coroutine(notification):
    """Run on a loop."""


@pytest.mark.parametrize(
    ("decorate", "process", "reason"),
    [
        (views.flask, nothing, "nothing takes no notification"),
        (views.starlette, dependency_alone, "dependency_alone takes no notification"),
        (views.flask, dependency, "FastAPI alone fills in `db`, and this is a view of Flask"),
        (views.django, dependency, "this is a view of Django"),
        (views.aiohttp, dependency, "this is a view of aiohttp"),
        (views.flask, request_too, "use flask.request"),
        (views.flask, coroutine, "decorate a plain function"),
        (views.django, Missing.paid, "decorate a function, and route to it with path"),
        (views.aiohttp, positional, "`tenant` is positional-only"),
        (views.starlette, unresolved, "name 'Nowhere' is not defined"),
        (views.flask, "paid", "decorate a function, not str"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_decoration_fails_with_the_reason(decorate, process, reason):
    """What would fail at each callback fails at import."""
    with pytest.raises(ConfigurationError, match=reason):
        decorate(handler())(process)


@pytest.mark.parametrize("name", ["flask", "django", "starlette", "aiohttp"])
def test_decorator_without_a_handler_says_what_to_write(name):
    """`@views.flask` in place of `@views.flask(handler)`."""
    with pytest.raises(ConfigurationError, match=rf"as in @views.{name}\(handler\), not function"):
        getattr(views, name)(nothing)


def test_function_without_a_signature_gets_the_notification():
    """Functions written in C and methods of lists do, too."""
    seen, app = [], Flask("shop")
    app.post("/append")(views.flask(handler())(seen.append))

    class Opaque:
        """Has a signature that cannot be read."""

        __name__ = "opaque"
        __signature__ = "none"

        def __call__(self, notification):
            seen.append(notification)

    app.post("/opaque")(views.flask(handler())(Opaque()))
    app.post("/all")(views.flask(handler())(lambda *args: seen.extend(args)))

    assert [OK] * 3 == [deliver_flask(app, route) for route in ("/append", "/opaque", "/all")]
    assert 3 == len(seen)
