"""Handling, written once and run sync and async: a generator of steps, and how the sync side performs one.

:mod:`wechatpay.notification.async_steps` has the async side; only that loads asyncio.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TypeVar

from wechatpay.errors import ConfigurationError
from wechatpay.middleware import Blocking

if TYPE_CHECKING:
    from wechatpay.background import Executor

__all__ = ["Step", "StepCancelledError", "Steps", "is_coroutine_function", "perform"]

T = TypeVar("T")


class Step:
    """A call whose result, or exception, comes back at the ``yield``.

    Async, a coroutine function is awaited, and any other function runs on a thread, where it may block.
    """

    __slots__ = ("args", "coroutine", "executor", "final", "function")

    def __init__(
        self,
        function: Callable[..., Any],
        *args: Any,
        coroutine: Callable[..., Any] | None = None,
        executor: Callable[[], Executor] | None = None,
        final: bool = False,
    ) -> None:
        """Describe a call.

        Args:
            function: What to call.
            args: Its arguments.
            coroutine: What to call instead when async.
            executor: Returns the threads that it may run on when async; by default the event loop's own.
            final: Run it to its end even if the task is cancelled.
        """
        self.function = function
        self.args = args
        self.coroutine = coroutine
        self.executor = executor
        self.final = final


Steps = Generator[Step, Any, T]


class StepCancelledError(Exception):
    """Raised at the ``yield`` of a step that was not run, or not to its end: the task was cancelled."""


def perform(step: Step) -> Any:
    """Call the function of a step on this thread.

    Raises:
        ConfigurationError: It is asynchronous.
    """
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
