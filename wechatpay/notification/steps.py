"""Handling, written once and run sync and async: a generator of steps, and :func:`run` for the sync side.

:mod:`wechatpay.notification.async_steps` has the async side; only that loads asyncio.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from wechatpay.errors import ConfigurationError
from wechatpay.middleware import Blocking

__all__ = ["Step", "StepCancelledError", "Steps", "is_coroutine_function", "run"]

T = TypeVar("T")


class Step:
    """A call whose result, or exception, comes back at the ``yield``.

    Async, a coroutine function is awaited, and any other function runs on a thread, where it may block.
    """

    __slots__ = ("args", "coroutine", "final", "function")

    def __init__(
        self,
        function: Callable[..., Any],
        *args: Any,
        coroutine: Callable[..., Any] | None = None,
        final: bool = False,
    ) -> None:
        """Describe a call.

        Args:
            function: What to call.
            args: Its arguments.
            coroutine: What to call instead when async.
            final: Run it to its end even if the task is cancelled.
        """
        self.function = function
        self.args = args
        self.coroutine = coroutine
        self.final = final


Steps = Generator[Step, Any, T]


class StepCancelledError(Exception):
    """Raised at the ``yield`` of a step that was not run, or not to its end: the task was cancelled."""


def run(steps: Steps[T]) -> T:
    """Run all steps on this thread.

    Raises:
        ConfigurationError: A step is asynchronous.
    """
    resume: Callable[[Any], Step] = steps.send
    value: Any = None
    try:
        while True:
            step = resume(value)
            try:
                resume, value = steps.send, _call(step)
            except BaseException as error:  # noqa: BLE001  the steps decide, whatever it is
                resume, value = steps.throw, error
    except StopIteration as stop:
        result: T = stop.value
        return result


def _call(step: Step) -> Any:
    result = Blocking(step.function, *step.args)()
    if not inspect.isawaitable(result):
        return result
    if inspect.iscoroutine(result):
        result.close()
    name = getattr(step.function, "__qualname__", type(step.function).__qualname__)
    raise ConfigurationError(f"{name} is asynchronous: call ahandle() instead of handle(), and await it")


def is_coroutine_function(function: Callable[..., Any]) -> bool:
    """Return whether a call only makes a coroutine; also for an object with ``async def __call__``."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004  not whether, but of which kind
    )
