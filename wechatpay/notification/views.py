"""Views for web frameworks, as decorators of the function that handles an event.

::

    @app.post("/wechatpay/notify")
    @views.flask(handler)
    def paid(notification):
        orders.settle(notification.resource["out_trade_no"])

The function takes the notification as its first parameter, or as the one called ``notification``. Further
parameters are the framework's: path parameters by their names, ``request`` (except in Flask, which has a
global one), and in FastAPI everything that a route may declare, dependencies included.

It returns ``None``, fields, a `Reply`, or a response of the framework, whose status decides: any 2xx
acknowledges the event, unless the body says FAIL, and any other status has it delivered again.

Each view verifies the raw body, as only that is signed. Frameworks are imported when they are used.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from wechatpay.errors import ConfigurationError
from wechatpay.notification import responses
from wechatpay.notification.handler import NotificationHandler, oversized, refuse
from wechatpay.notification.steps import is_coroutine_function

if TYPE_CHECKING:
    from aiohttp.web import Response as AiohttpResponse
    from django.http import HttpResponse
    from starlette.responses import Response as StarletteResponse
    from werkzeug.wrappers import Response as FlaskResponse

    from wechatpay.notification.handler import Outcome
    from wechatpay.notification.message import Notification
    from wechatpay.notification.reply import Reply

    Process = Callable[..., "Outcome | R"]
    AsyncProcess = Callable[..., "Outcome | R | Awaitable[Outcome | R]"]

__all__ = ["aiohttp", "django", "flask", "starlette"]

R = TypeVar("R")

View = Callable[..., Any]

_INSTANCE = ("self", "cls")

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def flask(
    handler: NotificationHandler,
) -> Callable[[Process[FlaskResponse | str | bytes | tuple[Any, ...]]], View]:
    """Make a view of Flask, of a function or of a method of a class view.

    Raises:
        ConfigurationError: The function is a coroutine function, or has parameters that Flask does not fill.
    """
    from flask import request  # noqa: PLC0415  an optional dependency

    _check_handler(handler, "flask")
    own = responses.of_flask()

    def decorate(process: View) -> View:
        function = _Function.of(process, "Flask")
        if function.is_coroutine:
            raise ConfigurationError(f"{function.name}: Flask's views block: decorate a plain function")
        if function.takes_request:
            raise ConfigurationError(
                f"{function.name}: Flask passes no request: take the parameter out, and use flask.request"
            )

        def view(*instance: Any, **parameters: Any) -> Any:
            length = request.content_length
            if length is None:
                # Chunked: read no more than is accepted. What was read before is cached.
                body = request.stream.read(handler.max_body + 1) or request.get_data()
            elif length > handler.max_body:
                return own.send(_refuse_length(handler, length))
            else:
                body = request.get_data()
            bound = function.bind(own.read, instance, parameters)
            return own.send(handler.handle(request.headers, body, bound))

        return function.name_view(view)

    return decorate


def django(handler: NotificationHandler) -> Callable[[AsyncProcess[HttpResponse]], View]:
    """Make a view of Django, an asynchronous one of a coroutine function; POST only, without CSRF token.

    Raises:
        ConfigurationError: The function is a method, or has parameters that Django does not fill.
    """
    from django.views.decorators.csrf import csrf_exempt  # noqa: PLC0415  an optional dependency
    from django.views.decorators.http import require_POST  # noqa: PLC0415

    _check_handler(handler, "django")
    own = responses.of_django()

    def decorate(process: View) -> View:
        function = _Function.of(process, "Django")
        if function.is_method:
            raise ConfigurationError(
                f"{function.name}: Django exempts whole views from its CSRF check, and never a method: "
                "decorate a function, and route to it with path()"
            )

        def view(request: Any, **parameters: Any) -> Any:
            if (length := _length(request.META.get("CONTENT_LENGTH"))) > handler.max_body:
                return own.send(_refuse_length(handler, length))
            bound = function.bind(own.read, (), parameters, request)
            return own.send(handler.handle(request.headers, request.body, bound))

        async def asynchronous_view(request: Any, **parameters: Any) -> Any:
            if (length := _length(request.META.get("CONTENT_LENGTH"))) > handler.max_body:
                return own.send(_refuse_length(handler, length))
            bound = function.bind(own.read_awaited, (), parameters, request)
            return own.send(await handler.ahandle(request.headers, request.body, bound))

        chosen: View = asynchronous_view if function.is_coroutine else view
        guarded: View = csrf_exempt(require_POST(function.name_view(chosen)))
        return guarded

    return decorate


def starlette(handler: NotificationHandler) -> Callable[[AsyncProcess[StarletteResponse]], View]:
    """Make an endpoint of Starlette and FastAPI; a plain function runs on a thread.

    In FastAPI the function may declare what any route may: dependencies, path parameters, background tasks.
    FastAPI resolves them before the callback is verified. In Starlette it gets path parameters. A method gets
    its object when it is called by one, as in Starlette's ``HTTPEndpoint``.

    Raises:
        ConfigurationError: A parameter cannot be filled, or its annotation cannot be evaluated.
    """
    from starlette.requests import Request  # noqa: PLC0415  an optional dependency

    _check_handler(handler, "starlette")
    own = responses.of_starlette()

    def decorate(process: View) -> View:
        function = _Function.of(process, "Starlette")

        async def endpoint(*instance: Any, **parameters: Any) -> Any:
            request = parameters.pop("request", None)
            if request is None:  # Starlette passes it by position, and nothing else.
                instance, request = instance[:-1], instance[-1]
                parameters = function.select(request.path_params)
            if (length := _length(request.headers.get("content-length"))) > handler.max_body:
                return own.send(_refuse_length(handler, length))
            body = await (_read_bounded(request, handler.max_body) if length < 0 else request.body())
            bound = function.bind(own.read_awaited, instance, parameters, request)
            return own.send(await handler.ahandle(request.headers, body, bound))

        first = inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY, annotation=Request)
        # FastAPI reads from the signature what it has to pass.
        endpoint.__signature__ = inspect.Signature([first, *function.resolve()])  # type: ignore[attr-defined]
        return function.name_view(endpoint)

    return decorate


def aiohttp(
    handler: NotificationHandler,
) -> Callable[[AsyncProcess[AiohttpResponse]], Callable[..., Awaitable[Any]]]:
    """Make a handler of aiohttp's server, of a function or a method, also of a ``web.View``.

    A plain function runs on a thread.

    Raises:
        ConfigurationError: The function has parameters that aiohttp does not fill.
    """
    from aiohttp import web  # noqa: PLC0415  an optional dependency

    _check_handler(handler, "aiohttp")
    own = responses.of_aiohttp()

    def decorate(process: View) -> View:
        function = _Function.of(process, "aiohttp")

        async def view(*instance: Any) -> Any:
            if isinstance(instance[-1], web.View):
                request = instance[-1].request
            else:
                instance, request = instance[:-1], instance[-1]
            if (length := request.content_length or 0) > handler.max_body:
                return own.send(_refuse_length(handler, length))
            parameters = function.select(request.match_info)
            bound = function.bind(own.read_awaited, instance, parameters, request)
            return own.send(await handler.ahandle(request.headers, await request.read(), bound))

        return function.name_view(view)

    return decorate


@dataclass(frozen=True, slots=True)
class _Function:
    """The decorated function, and the parameters that it has beside the notification.

    Attributes:
        process: The function itself.
        name: Its name, for errors and for the view.
        is_method: Whether its first parameter is ``self`` or ``cls``.
        is_coroutine: Whether it is a coroutine function.
        keyword: The name of the notification's parameter; ``None`` if it is passed by position.
        takes_request: Whether it has a parameter ``request``.
        extras: Its further parameters.
        takes_all: Whether it takes further parameters of any name.
    """

    process: View
    name: str
    is_method: bool
    is_coroutine: bool
    keyword: str | None
    takes_request: bool
    extras: tuple[inspect.Parameter, ...]
    takes_all: bool

    @classmethod
    def of(cls, process: View, framework: str) -> _Function:
        """Read the signature of ``process``, and refuse at import what would fail at each callback."""
        if not callable(process):
            raise ConfigurationError(f"decorate a function, not {type(process).__name__}")
        name = getattr(process, "__name__", type(process).__name__)
        parameters = _parameters(process)
        if is_method := inspect.isfunction(process) and parameters[:1] and parameters[0].name in _INSTANCE:
            parameters = parameters[1:]
        kinds = {parameter.kind for parameter in parameters}
        named = [parameter for parameter in parameters if parameter.kind not in _VARIADIC]
        rest = [parameter for parameter in named if parameter.name != "request"]
        own = next((parameter for parameter in rest if parameter.name == "notification"), None)
        own = own or (rest[0] if rest else None)
        if _is_of_fastapi(own) or (own is None and inspect.Parameter.VAR_POSITIONAL not in kinds):
            raise ConfigurationError(
                f"{name} takes no notification: let `notification` be its first parameter"
            )
        extras = tuple(parameter for parameter in rest if parameter is not own)
        for parameter in named:
            _check(parameter, own, name, framework)
        by_position = own is None or (own is named[0] and own.kind is not inspect.Parameter.KEYWORD_ONLY)
        return cls(
            process=process,
            name=name,
            is_method=bool(is_method),
            is_coroutine=is_coroutine_function(process),
            keyword=None if own is None or by_position else own.name,
            takes_request=len(rest) < len(named),
            extras=extras,
            takes_all=inspect.Parameter.VAR_KEYWORD in kinds,
        )

    def select(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return those path parameters that the function takes.

        Raises:
            ConfigurationError: The function has a dependency, and no FastAPI to fill it in.
        """
        names = {extra.name for extra in self.extras}
        for extra in self.extras:
            if extra.name not in parameters and _is_of_fastapi(extra):
                raise ConfigurationError(
                    f"{self.name}: FastAPI alone fills in `{extra.name}`: use its routes"
                )
        return {name: value for name, value in parameters.items() if self.takes_all or name in names}

    def resolve(self) -> list[inspect.Parameter]:
        """Return the further parameters by keyword, with evaluated annotations.

        Raises:
            ConfigurationError: An annotation cannot be evaluated.
        """
        scope = getattr(inspect.unwrap(self.process), "__globals__", {})
        given = {extra.name: extra.annotation for extra in self.extras if extra.annotation is not extra.empty}
        try:
            hints = typing.get_type_hints(
                types.SimpleNamespace(__annotations__=given), scope, include_extras=True
            )
        except NameError as error:
            raise ConfigurationError(
                f"{self.name}: {error}: FastAPI needs annotations at run time, so import it outside of "
                "TYPE_CHECKING, at the top of the module"
            ) from None
        return [
            extra.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints.get(extra.name, extra.empty))
            for extra in self.extras
        ]

    def bind(
        self,
        read: Callable[[Any], Any],
        instance: Sequence[Any],
        parameters: Mapping[str, Any],
        request: Any = None,
    ) -> View:
        """Return a function of the notification alone; ``read`` makes replies of a framework's responses."""
        values = {**parameters, "request": request} if self.takes_request else dict(parameters)

        def call(notification: Notification) -> Any:
            if self.keyword is None:
                return read(self.process(*instance, notification, **values))
            return read(self.process(*instance, **{self.keyword: notification}, **values))

        async def acall(notification: Notification) -> Any:
            return await call(notification)

        call.__qualname__ = self.name
        return acall if self.is_coroutine else call

    def name_view(self, view: View) -> View:
        """Name a view after the function: frameworks tell views apart by their names."""
        view.__name__ = self.name
        view.__doc__ = self.process.__doc__
        return view


def _parameters(process: View) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(process).parameters.values())
    except (TypeError, ValueError):  # Some functions written in C have none.
        return [inspect.Parameter("notification", inspect.Parameter.POSITIONAL_ONLY)]


def _check(parameter: inspect.Parameter, own: inspect.Parameter | None, name: str, framework: str) -> None:
    if parameter is own:
        return
    if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        raise ConfigurationError(f"{name}: `{parameter.name}` is positional-only: it is passed by its name")
    if framework != "Starlette" and _is_of_fastapi(parameter):
        raise ConfigurationError(
            f"{name}: FastAPI alone fills in `{parameter.name}`, and this is a view of {framework}"
        )


def _is_of_fastapi(parameter: inspect.Parameter | None) -> bool:
    """Return whether the default of a parameter is one of FastAPI's markers, such as ``Depends(…)``."""
    return parameter is not None and type(parameter.default).__module__.partition(".")[0] == "fastapi"


def _check_handler(handler: object, name: str) -> None:
    if not isinstance(handler, NotificationHandler):
        raise ConfigurationError(
            f"views.{name} takes a NotificationHandler, as in @views.{name}(handler), "
            f"not {type(handler).__name__}"
        )


def _length(header: str | None) -> int:
    """Return the value of ``Content-Length``; -1 if there is none."""
    return int(header) if header and header.isascii() and header.isdigit() else -1


def _refuse_length(handler: NotificationHandler, length: int) -> Reply:
    return refuse(oversized(length, handler.max_body))


async def _read_bounded(request: Any, limit: int) -> bytes:
    """Read a body of unknown length, and stop when it is too long."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            break
    return bytes(body)
