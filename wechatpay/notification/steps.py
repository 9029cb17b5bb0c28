"""Handling written once and run twice: a generator of steps, and the two that take them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from wechatpay.errors import ConfigurationError

__all__ = ["Step", "Steps", "arun", "run"]

T = TypeVar("T")


class Step:
    """A call whose result, or exception, comes back at the ``yield``.

    Async, a coroutine function is awaited, and any other runs on a thread, where it may block.
    """

    __slots__ = ("args", "coroutine", "function")

    def __init__(
        self, function: Callable[..., Any], *args: Any, coroutine: Callable[..., Any] | None = None
    ) -> None:
        """Describe a call.

        Args:
            function: What to call.
            args: Its arguments.
            coroutine: What to call in its place when async.
        """
        self.function = function
        self.args = args
        self.coroutine = coroutine


Steps = Generator[Step, Any, T]


def run(steps: Steps[T]) -> T:
    """Take all steps on this thread.

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
    result = step.function(*step.args)
    if not inspect.isawaitable(result):
        return result
    if inspect.iscoroutine(result):
        result.close()
    raise ConfigurationError(f"{_name(step.function)} is asynchronous: handle with ahandle(), and await it")


async def arun(steps: Steps[T]) -> T:
    """Take all steps from the running event loop."""
    resume: Callable[[Any], Step] = steps.send
    value: Any = None
    try:
        while True:
            step = resume(value)
            try:
                resume, value = steps.send, await _acall(step)
            except BaseException as error:  # noqa: BLE001  the steps decide, cancellation included
                resume, value = steps.throw, error
    except StopIteration as stop:
        result: T = stop.value
        return result


async def _acall(step: Step) -> Any:
    import asyncio  # noqa: PLC0415  loaded already wherever this is awaited

    function = step.coroutine or step.function
    if is_coroutine(function):
        return await function(*step.args)
    result = await asyncio.to_thread(function, *step.args)
    return await result if inspect.isawaitable(result) else result


def is_coroutine(function: Callable[..., Any]) -> bool:
    """Tell whether calling it only makes a coroutine, as an object's ``async def __call__`` does, too."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004  not whether, but of which kind
    )


def _name(function: object) -> str:
    return getattr(function, "__qualname__", type(function).__qualname__)
