"""The frameworks under their own servers, on loopback, each with one URL that takes callbacks."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import threading

import uvicorn
from aiohttp import web
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.test.utils import override_settings
from django.urls import path
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.routing import Route
from werkzeug.serving import make_server

from wechatpay.notification import views

PATH = "/wechatpay/notify"


def post(port, headers, body, method="POST", path=PATH):
    """Send a callback; return the status, the content type and the body of the reply."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, path, body, {"Content-Type": "application/json"} | headers)
        response = connection.getresponse()
        return response.status, response.headers["Content-Type"], response.read()


@contextlib.contextmanager
def flask(handler, process):
    """Run Flask under werkzeug's server."""
    app = Flask(__name__)

    @app.before_request
    def meddle():
        """Look at the body first, as logging extensions do."""
        from flask import request  # noqa: PLC0415  the view imports a name of its own

        request.get_json(silent=True)

    app.post(PATH)(views.flask(handler)(process))
    with run_wsgi(make_server("127.0.0.1", 0, app, threaded=True)) as server:
        yield server.server_port


@contextlib.contextmanager
def django(handler, process):
    """Run Django under the server of ``runserver``, with its protection against CSRF."""
    with urls(handler, process):
        server = ThreadedWSGIServer(("127.0.0.1", 0), WSGIRequestHandler)
        server.daemon_threads = False
        server.set_app(WSGIHandler())
        with run_wsgi(server):
            yield server.server_port


@contextlib.contextmanager
def asynchronous_django(handler, process):
    """Run Django under uvicorn."""
    with urls(handler, process), run_asgi(ASGIHandler()) as port:
        yield port


@contextlib.contextmanager
def fastapi(handler, process):
    """Run FastAPI under uvicorn."""
    app = FastAPI()
    app.post(PATH)(views.starlette(handler)(process))
    with run_asgi(app) as port:
        yield port


@contextlib.contextmanager
def starlette(handler, process):
    """Run Starlette under uvicorn."""
    view = views.starlette(handler)(process)
    with run_asgi(Starlette(routes=[Route(PATH, view, methods=["POST"])])) as port:
        yield port


@contextlib.contextmanager
def aiohttp(handler, process):
    """Run aiohttp's own server."""
    app = web.Application()
    app.router.add_post(PATH, views.aiohttp(handler)(process))
    with run_aiohttp(app) as port:
        yield port


@contextlib.contextmanager
def run_aiohttp(app):
    """Serve an application of aiohttp; give the port."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(app, access_log=None)
    loop.run_until_complete(runner.setup())
    loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", 0).start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield runner.addresses[0][1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.run_until_complete(runner.cleanup())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


@contextlib.contextmanager
def run_wsgi(server):
    """Serve on a thread until the end."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@contextlib.contextmanager
def run_asgi(app):
    """Serve an ASGI application with uvicorn; give the port."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none", http="h11"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)


@contextlib.contextmanager
def urls(handler, process):
    """Have Django take callbacks at `PATH`."""
    with routes([path(PATH[1:], views.django(handler)(process))]):
        yield


@contextlib.contextmanager
def routes(patterns):
    """Have Django route by these patterns, with its protection against CSRF."""
    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["127.0.0.1", "testserver"],
            MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
            SECRET_KEY="only for tests",
        )
    with override_settings(ROOT_URLCONF=type("Urls", (), {"urlpatterns": patterns})):
        yield
