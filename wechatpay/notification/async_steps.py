"""The async side of :mod:`wechatpay.notification.steps`."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from typing import TYPE_CHECKING, Any, TypeVar

from wechatpay import middleware
from wechatpay.background import wait_to_the_end
from wechatpay.middleware import Blocking
from wechatpay.notification.steps import Step, StepCancelledError, Steps, is_coroutine_function

if TYPE_CHECKING:
    from collections.abc import Awaitable

__all__ = ["arun"]

T = TypeVar("T")

_log = logging.getLogger("wechatpay")


async def arun(steps: Steps[T]) -> T:
    """Run all steps from the running event loop.

    A function on a thread cannot be interrupted. If the task is cancelled meanwhile, this waits for the end
    of the function, runs the final steps, and raises the cancellation then: otherwise the function would take
    effect without a trace in the store, and the next delivery would run it again.
    """
    runner = _Runner()
    try:
        result = await middleware.arun(steps, runner.perform)
    except StepCancelledError:
        runner.cancellation = runner.cancellation or asyncio.CancelledError()
    except Exception:
        if runner.cancellation is None:
            raise
        _log.exception("a callback failed after its task was cancelled")
    if runner.cancellation is None:
        return result
    try:
        raise runner.cancellation
    finally:
        # Its traceback holds this frame.
        del runner


class _Runner:
    """Performs steps, and keeps the first cancellation that arrived meanwhile."""

    def __init__(self) -> None:
        self.cancellation: asyncio.CancelledError | None = None

    async def perform(self, step: Step) -> Any:
        """Return the result of a step.

        Raises:
            StepCancelledError: The task was cancelled before the step ended.
            Exception: What the step raised.
        """
        if self.cancellation is not None and not step.final:
            raise StepCancelledError
        function = step.coroutine or step.function
        if is_coroutine_function(function):
            awaitable = function(*step.args)
        else:
            executor = step.executor() if step.executor else None
            run, call = contextvars.copy_context().run, Blocking(function, *step.args)
            awaitable = await self._finish(asyncio.get_running_loop().run_in_executor(executor, run, call))
            if not inspect.isawaitable(awaitable):
                return awaitable
        if step.final:
            return await self._finish(awaitable)
        try:
            return await awaitable
        except asyncio.CancelledError as error:
            self.cancellation = self.cancellation or error
            raise StepCancelledError from None

    async def _finish(self, awaitable: Awaitable[Any]) -> Any:
        """Wait for the end, however often this task is cancelled meanwhile."""
        future = asyncio.ensure_future(awaitable)
        cancellation = await wait_to_the_end(future)
        self.cancellation = self.cancellation or cancellation
        try:
            return future.result()
        except asyncio.CancelledError:
            raise StepCancelledError from None
