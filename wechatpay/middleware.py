"""The sans-I/O core: flows, the stack of middlewares, and the two functions that run a flow.

A *flow* is a generator that yields effects (a :class:`~wechatpay.messages.Request` to send, a
:class:`Pause`, a :class:`Blocking` call) and returns a :class:`~wechatpay.messages.Response`. A *middleware*
is a generator function of ``(request, proceed)``; it is written once and runs sync and async::

    def trace(request, proceed):
        response = yield from proceed(request)
        log.info("%s %s", request.path, response.status_code)
        return response
"""

from __future__ import annotations

import functools
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from wechatpay.errors import ConfigurationError
from wechatpay.messages import Request, Response

__all__ = [
    "Blocking",
    "Flow",
    "Handler",
    "Middleware",
    "Pause",
    "Stack",
    "Steps",
    "arun",
    "check_middleware",
    "run",
    "unknown_effect",
    "wrap",
]


#: Seconds: more than three years, and less than the operating system refuses.
_LONGEST_PAUSE = 1e8


@dataclass(frozen=True, slots=True)
class Pause:
    """An effect: wait.

    Attributes:
        seconds: How long, from 0 to 100 million.

    Raises:
        ConfigurationError: ``seconds`` is not such a number.
    """

    seconds: float

    def __post_init__(self) -> None:
        if not isinstance(self.seconds, int | float) or not 0 <= self.seconds <= _LONGEST_PAUSE:
            raise ConfigurationError(f"Pause: give seconds from 0 to {_LONGEST_PAUSE:.0f}")


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Blocking:
    """An effect: call ``function(*args)``, off the event loop when the flow runs async.

    The result, or the exception, comes back at the ``yield``. Context variables are those of the caller.

    Attributes:
        function: What to call.
        args: Its arguments.
        final: Call it, and wait for its end, even if the task is cancelled meanwhile; the cancellation is
            raised at the ``yield`` then. For a function that locks, writes or unlocks something.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    final: bool

    def __init__(self, function: Callable[..., Any], *args: Any, final: bool = False) -> None:
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "args", args)
        object.__setattr__(self, "final", final)

    def __call__(self) -> Any:
        """Make the call.

        Raises:
            RuntimeError: The function raised StopIteration, which flows and futures take for their own.
        """
        try:
            return self.function(*self.args)
        except StopIteration as error:
            raise RuntimeError(f"{self!r} raised StopIteration") from error

    def __repr__(self) -> str:
        return f"<Blocking {_describe(self.function)}>"


Effect = Request | Pause | Blocking
Flow = Generator[Effect, Any, Response]

_T = TypeVar("_T")

#: A generator of effects, as a flow is, with another result.
Steps = Generator[Any, Any, _T]

Handler = Callable[[Request], Flow]
Middleware = Callable[[Request, Handler], Flow]


def run(steps: Steps[_T], perform: Callable[[Any], Any]) -> _T:
    """Run a generator of effects, such as a flow, to its end on this thread.

    Args:
        steps: The generator.
        perform: Performs an effect; its result, or what it raises, comes back at the ``yield``.
    """
    value: Any = None
    resume: Callable[[Any], Any] = steps.send
    try:
        while True:
            effect = resume(value)
            try:
                resume, value = steps.send, perform(effect)
            except BaseException as error:  # noqa: BLE001  the steps decide, whatever it is
                resume, value = steps.throw, error
    except StopIteration as stop:
        result: _T = stop.value
        return result
    finally:
        del value  # an error: its traceback has this frame


async def arun(steps: Steps[_T], perform: Callable[[Any], Awaitable[Any]]) -> _T:
    """Do the same as `run` on the running event loop."""
    value: Any = None
    resume: Callable[[Any], Any] = steps.send
    try:
        while True:
            effect = resume(value)
            try:
                resume, value = steps.send, await perform(effect)
            except BaseException as error:  # noqa: BLE001  the steps decide, cancellation included
                resume, value = steps.throw, error
    except StopIteration as stop:
        result: _T = stop.value
        return result
    finally:
        del value  # an error: its traceback has this frame


def unknown_effect(effect: object) -> ConfigurationError:
    """Make the error for what a flow yields and nobody performs."""
    return ConfigurationError(
        f"a middleware yielded {type(effect).__name__}: yield a Request, a Pause or a Blocking, "
        "and pass a request on with `response = yield from proceed(request)`"
    )


class Stack:
    """The named middlewares of one protocol, outermost first; Guzzle's ``HandlerStack``.

    Edits apply to calls that begin later; calls in flight keep the stack they began with.

    Attributes:
        handler: The whole stack as one handler, as it is now.
    """

    handler: Handler

    def __init__(self, terminal: Handler, **layers: Middleware) -> None:
        self._terminal = terminal
        self._own = tuple(layers.values())
        self._lock = threading.Lock()
        self._rebuild(list(layers.items()))

    def push(self, middleware: Middleware, name: str | None = None) -> None:
        """Add ``middleware`` just outside the signer, or the open platform's token: the place for most.

        Raises:
            ConfigurationError: The name is taken, or ``middleware`` is not a generator function.
        """
        self._insert(_outside, middleware, name)

    def before(self, neighbour: str, middleware: Middleware, name: str | None = None) -> None:
        """Add ``middleware`` just outside ``neighbour``.

        Raises:
            ConfigurationError: ``neighbour`` is unknown, the name is taken, or ``middleware`` is not a
                generator function.
        """
        self._insert(lambda layers: _index(layers, neighbour), middleware, name)

    def after(self, neighbour: str, middleware: Middleware, name: str | None = None) -> None:
        """Add ``middleware`` just inside ``neighbour``.

        Inside the signer the method, the target and the body can no longer be changed.

        Raises:
            ConfigurationError: ``neighbour`` is unknown, the name is taken, or ``middleware`` is not a
                generator function.
        """
        self._insert(lambda layers: _index(layers, neighbour) + 1, middleware, name)

    def remove(self, name: str) -> None:
        """Take the middleware called ``name`` out.

        Removing ``verifier`` logs a warning: responses are then accepted whoever sent them.

        Raises:
            ConfigurationError: No middleware has this name.
        """
        with self._lock:
            layers = list(self._layers)
            del layers[_index(layers, name)]
            self._rebuild(layers)
        if name == "verifier":
            logging.getLogger("wechatpay").warning(
                "the verifier was removed: responses are no longer verified"
            )

    def replace(self, name: str, middleware: Middleware) -> None:
        """Put ``middleware`` in the place of the one called ``name``.

        Raises:
            ConfigurationError: No middleware has this name, or ``middleware`` is not a generator function.
        """
        check_middleware(middleware)
        with self._lock:
            layers = list(self._layers)
            layers[_index(layers, name)] = (name, middleware)
            self._rebuild(layers)

    def sign_only(self) -> Handler:
        """Return the signer and what is inside it, without the verifier: the caller verifies responses."""
        handler = self._terminal
        for name, middleware in reversed(self._layers):
            if name != "verifier":
                handler = wrap(middleware, handler)
            if name == "signer":
                break
        return handler

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, _ in self._layers])

    def __repr__(self) -> str:
        return f"<Stack {' → '.join(self) or 'empty'}>"

    def _insert(
        self,
        place: Callable[[list[tuple[str, Middleware]]], int],
        middleware: Middleware,
        name: str | None,
    ) -> None:
        check_middleware(middleware)
        chosen = str(name or _describe(middleware).rpartition(".")[2])
        with self._lock:
            layers = list(self._layers)
            if any(chosen == taken for taken, _ in layers):
                raise ConfigurationError(
                    f"the stack has a middleware called {chosen!r} already: give another name="
                )
            layers.insert(place(layers), (chosen, middleware))
            self._rebuild(layers)

    def _rebuild(self, layers: list[tuple[str, Middleware]]) -> None:
        """Make ``layers`` the stack that calls beginning from now on run through."""
        handler = self._terminal
        for name, middleware in reversed(layers):
            handler = wrap(middleware, handler)
            if middleware not in self._own:
                handler = functools.partial(_check_result, name, handler)
        self._layers = tuple(layers)
        self.handler = handler


def wrap(middleware: Middleware, proceed: Handler) -> Handler:
    """Put ``middleware`` around a handler."""
    return lambda request: middleware(request, proceed)


def _check_result(name: str, handler: Handler, request: Request) -> Flow:
    """Check what a middleware of the caller's returns."""
    response: object = yield from handler(request)
    if isinstance(response, Response):
        return response
    raise ConfigurationError(
        f"the middleware {name!r} returned {type(response).__name__}, so the outcome is unknown: "
        "write `response = yield from proceed(request)` and `return response` in it",
        request=request,
    )


def _outside(layers: list[tuple[str, Middleware]]) -> int:
    """Find the place outside the middlewares of the protocol itself."""
    places = (place for place, (name, _) in enumerate(layers) if name in ("signer", "verifier", "token"))
    return next(places, len(layers))


def _index(layers: list[tuple[str, Middleware]], name: str) -> int:
    for index, (known, _) in enumerate(layers):
        if known == name:
            return index
    known_names = ", ".join(known for known, _ in layers) or "nothing"
    raise ConfigurationError(f"the stack has no middleware called {name!r}; it has {known_names}")


def check_middleware(middleware: Middleware) -> None:
    """Check that ``middleware`` is a generator function of two arguments.

    Raises:
        ConfigurationError: It is something else.
    """
    inner: Any = middleware.func if isinstance(middleware, functools.partial) else middleware
    if not inspect.isroutine(inner) and not isinstance(inner, type):
        inner = getattr(inner, "__call__", None)  # noqa: B004  what it does is looked at, not whether it can
    if not inspect.isgeneratorfunction(inner) or not _takes_two(middleware):
        # Not its repr: that of a partial shows what is bound to it.
        raise ConfigurationError(
            f"a middleware is a generator function of (request, proceed), not {_describe(middleware)}: "
            "write `response = yield from proceed(request)` and `return response` in it"
        )


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        return False
    return True


def _describe(function: object) -> str:
    """Name a function, or another thing that can be called, by itself or by its type."""
    return str(getattr(function, "__qualname__", type(function).__qualname__))
