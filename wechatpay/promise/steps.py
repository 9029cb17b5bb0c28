"""How a call runs: as a task of its own, or within the task that awaits it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from wechatpay.promise.outcome import cancelled, fulfilled, rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from contextvars import Context

    from wechatpay.promise.outcome import Settlement

__all__ = ["ended", "run"]


async def run(call: Callable[[], Any]) -> Any:
    """Call, and await what comes back until it is a plain value."""
    result = call()
    while isinstance(result, Awaitable):
        result = await result
    return result


def ended(coroutine: Coroutine[Any, Any, Any], context: Context) -> Generator[Any, Any, Settlement]:
    """Run in the current task, yet in a context of its own as a task would, and tell how it ended."""
    from asyncio import CancelledError  # noqa: PLC0415 - a task runs, so it is loaded

    step, value = coroutine.send, None
    try:
        while True:
            future = context.run(step, value)
            try:
                step, value = coroutine.send, (yield future)
            except BaseException as error:  # noqa: BLE001 - the call decides, cancellation included
                step, value = coroutine.throw, error
    except StopIteration as stop:
        return fulfilled(stop.value)
    except GeneratorExit:
        raise
    except CancelledError:
        return cancelled()
    except BaseException as error:  # noqa: BLE001 - whoever awaits it gets it
        return rejected(error)
    finally:
        # The error's traceback holds this frame: with the error in it, a cycle.
        del step, value
