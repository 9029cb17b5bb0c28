"""The result of an asynchronous call: a coroutine to asyncio, chainable as the PHP SDK's promises are.

A promise is a thin layer over one :class:`asyncio.Task`. The task runs on the caller's event loop, or, where
none runs, on that of a :class:`~wechatpay.background.Background`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import threading
import time
import warnings
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from wechatpay.background import (
    STEP_TIMEOUT,
    Background,
    Job,
    Worker,
    call_soon,
    resolve_future,
)
from wechatpay.errors import ConnectError, InvalidRequestError, NoResponseError, ReadTimeoutError
from wechatpay.messages import Response
from wechatpay.process import CURRENT_JOB

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from types import TracebackType

    Factory = Callable[[], Coroutine[Any, Any, Any]]
    Callback = Callable[[Any], Any] | None
    Loop = asyncio.AbstractEventLoop

__all__ = ["Background", "Promise"]

T_co = TypeVar("T_co", covariant=True)
S = TypeVar("S")
F = TypeVar("F")
K = TypeVar("K")

_log = logging.getLogger("wechatpay")

#: Seconds between two looks at whether the event loop of a promise still runs.
_LOOK_INTERVAL = 0.2


class Promise(Coroutine[Any, Any, T_co]):
    """The result of an asynchronous call that has already started.

    ``await`` it in any event loop, any number of times; give it to ``asyncio.gather``, ``wait_for``,
    ``create_task`` or a ``TaskGroup``; chain it with ``then`` and ``otherwise``; or ``wait`` for it where no
    event loop runs. Cancelling a task that awaits it cancels the call, as with ``asyncio.Task``;
    ``asyncio.shield`` prevents that. An error that nobody takes is reported once: to the exception handler
    of the caller's event loop, or on the logger ``wechatpay``. One that was never awaited when the end of its
    event loop cancels it is a ``RuntimeWarning``, as with a coroutine.
    """

    # Without locks: the child of a fork at any moment must be able to use what it inherits.
    __slots__ = (
        "__weakref__",
        "_background",
        "_cancelled",
        "_done",
        "_error",
        "_home",
        "_is_used",
        "_iterators",
        "_listeners",
        "_loop",
        "_name",
        "_parents",
        "_pid",
        "_taken",
        "_task",
        "_traceback",
        "_value",
    )  # fmt: skip

    def __init__(self, background: Background, name: str, *parents: Promise[Any]) -> None:
        self._background, self._name, self._parents = background, name, parents
        self._pid = os.getpid()
        self._loop: Loop | None = None  # the caller's; None on a background's thread
        self._home: Loop | None = None  # the one that runs the task
        self._task: asyncio.Task[Any] | None = None
        self._cancelled = self._done = self._taken = self._is_used = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._traceback: TracebackType | None = None
        self._listeners: deque[Callable[[], object]] = deque()
        self._iterators: dict[asyncio.Task[Any] | None, Generator[Any, Any, Any]] = {}

    @classmethod
    def start(
        cls,
        factory: Callable[[], Coroutine[Any, Any, S]],
        background: Background,
        *,
        name: str = "a call",
        timeout: float = STEP_TIMEOUT,
    ) -> Promise[S]:
        """Start a coroutine at once: as a task of the running event loop, else on the background's.

        Args:
            factory: Makes the coroutine; called on the event loop's thread.
            background: Where to run if no event loop runs in this thread.
            name: Names the call in reports; must not contain secrets.
            timeout: Seconds for which the end of the process waits for the call, in the background, before
                its first step has extended that; see `Job.extend`.
        """
        promise: Promise[S] = Promise(background, name)
        return promise._begin(factory, _caller_loop(), timeout)

    @classmethod
    def rejected(cls, error: BaseException, background: Background) -> Promise[Any]:
        """Make a promise that has already failed with ``error``."""
        promise: Promise[Any] = Promise(background, "a call")
        promise._loop = _caller_loop()
        promise._settle(error=error)
        return promise

    @overload
    @classmethod
    def all(cls, promises: Mapping[K, Awaitable[S]]) -> Promise[dict[K, S]]: ...  # type: ignore[overload-overlap]  # a mapping is an iterable, too
    @overload
    @classmethod
    def all(cls, promises: Mapping[K, S]) -> Promise[dict[K, S]]: ...  # type: ignore[overload-overlap]  # the same
    @overload
    @classmethod
    def all(cls, promises: Iterable[Awaitable[S]]) -> Promise[list[S]]: ...
    @overload
    @classmethod
    def all(cls, promises: Iterable[S]) -> Promise[list[S]]: ...
    @classmethod
    def all(cls, promises: Any) -> Promise[Any]:
        """Wait for all promises; fail with the first error and leave the others running.

        Args:
            promises: A list, or a mapping, of promises, other awaitables or plain values.

        Returns:
            A promise of the list of values in the order given, or of a dictionary with the same keys.
        """
        keys = list(promises) if isinstance(promises, Mapping) else None
        items = list(promises if keys is None else promises.values())
        known = [item._background for item in items if isinstance(item, Promise)]
        background = known[0] if known else Background()
        parts = [
            item if isinstance(item, Promise) else cls.start(partial(_resolve, item), background)
            for item in items
        ]
        for part in parts:
            part._is_used = True
        whole: Promise[Any] = Promise(background, "Promise.all", *parts)
        return whole._begin(partial(_collect, parts, keys), _caller_loop())

    @overload
    def then(
        self, ok: Callable[[T_co], Awaitable[S]], fail: Callable[[Any], Awaitable[F] | F] | None = None
    ) -> Promise[S | F]: ...
    @overload
    def then(
        self, ok: Callable[[T_co], S], fail: Callable[[Any], Awaitable[F] | F] | None = None
    ) -> Promise[S | F]: ...
    @overload
    def then(self, ok: None, fail: Callable[[Any], Awaitable[F] | F] | None = None) -> Promise[T_co | F]: ...
    def then(self, ok: Callback, fail: Callback = None) -> Promise[Any]:
        """Chain callbacks for the value and for the error.

        They run on this promise's event loop, in a copy of the caller's context, and may return a value, an
        awaitable or a promise.

        Args:
            ok: Called with the value; ``None`` passes the value on.
            fail: Called with the error; ``None`` passes the error on.

        Returns:
            A promise of what the callback returns. Cancelling it does not cancel this promise.
        """
        loop = self._loop
        if loop is not None and (self._pid != os.getpid() or not loop.is_running()):
            loop = _caller_loop()
        self._is_used = True
        derived: Promise[Any] = Promise(self._background, self._name, self)
        return derived._begin(partial(_follow, self, ok, fail), loop)

    def otherwise(self, fail: Callable[[Any], Awaitable[F] | F]) -> Promise[T_co | F]:
        """Chain a callback for the error; the value is passed on."""
        return self.then(None, fail)

    def wait(self, unwrap: bool = True, *, timeout: float | None = None) -> T_co:  # noqa: FBT001, FBT002  PHP's
        """Block until the promise is settled; return the value or raise the error.

        Ctrl-C cancels this promise and those that it was derived from.

        Args:
            unwrap: ``False`` only waits, as in PHP: returns ``None`` and raises no error of the call.
            timeout: Seconds to wait, after which the call goes on; ``None``: no timeout.

        Raises:
            RuntimeError: An event loop runs in this thread: ``await`` the promise instead.
            NoResponseError: The promise's event loop has stopped, or the promise was made before a fork.
            ReadTimeoutError: ``timeout`` seconds have passed.
            concurrent.futures.CancelledError: The promise was cancelled.
        """
        if not isinstance(unwrap, bool):
            raise TypeError(f"unwrap: expected a bool, not {type(unwrap).__name__}; give seconds as timeout=")
        try:
            if _running_loop() is not None:
                raise RuntimeError("wait() would block the running event loop: await the promise instead")
            self._block(timeout)
            if not unwrap:
                return None  # type: ignore[return-value]  # as documented
            if isinstance(self._error, asyncio.CancelledError):
                raise CancelledError
            return self._take()  # type: ignore[no-any-return]  # values are untyped inside
        finally:
            # An error's traceback refers to this frame: with `self` in it that is a reference cycle.
            del self

    def cancel(self) -> bool:
        """Cancel the call, but not the promise that this one was derived from.

        Returns:
            Whether it was still pending.
        """
        if self._is_done():
            return False
        self._cancelled = self._is_used = True
        if self._home is _running_loop():
            self._cancel_task()
        elif self._home is None or not call_soon(self._home, self._cancel_task):
            self._settle(error=asyncio.CancelledError())
        return True

    def __await__(self) -> Generator[Any, Any, T_co]:
        self._is_used = True
        task = None if self._is_done() else self._task
        try:
            if task is None or task.get_loop() is not asyncio.get_running_loop():
                try:
                    yield from self._arrive().__await__()
                except asyncio.CancelledError:
                    self.cancel()
                    raise
                return self._take()  # type: ignore[no-any-return]  # the same
            try:
                # asyncio hands a cancellation down to the task and back up: anyio knows its own by it.
                return (yield from task)  # type: ignore[no-any-return]  # the same
            finally:
                self._taken = self._taken or task.done()
        finally:
            del self, task  # as in wait()

    def send(self, value: None) -> Any:
        """Run one step of the current task's ``await``; asyncio calls this."""
        return self._step("send", value)

    def throw(self, *error: Any) -> Any:
        """Raise an error in the current task's ``await``; asyncio calls this."""
        if asyncio.current_task() not in self._iterators:
            self.cancel()  # the task was cancelled before its first step
        return self._step("throw", *error)

    def close(self) -> None:
        """End the current task's ``await``; the call goes on."""
        if _running_loop() and (iterator := self._iterators.pop(asyncio.current_task(), None)):
            iterator.close()

    def _step(self, method: str, *args: Any) -> Any:
        task = asyncio.current_task()
        iterator = self._iterators.get(task) or self._iterators.setdefault(task, self.__await__())
        try:
            return getattr(iterator, method)(*args)
        except BaseException:
            self._iterators.pop(task, None)
            raise
        finally:
            del self, iterator, args  # as in wait()

    def __getattr__(self, name: str) -> Any:
        if hasattr(Response, name):
            raise AttributeError(f"a promise has no {name!r}; await it first: (await promise).{name}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        if not self._is_done():
            return "<Promise pending>"
        if isinstance(self._error, asyncio.CancelledError):
            return "<Promise cancelled>"
        return "<Promise rejected>" if self._error else "<Promise fulfilled>"

    def __del__(self) -> None:
        try:
            error, is_taken = self._error, self._taken or self._pid != os.getpid()
        except AttributeError:
            return  # Ctrl-C struck the constructor.
        if error is None or is_taken:
            return
        if isinstance(error, asyncio.CancelledError):
            if self._loop is not None and not self._is_used:
                text = f"{self._name} was never awaited, and cancelled when its event loop ended"
                warnings.warn(text, RuntimeWarning, source=self, stacklevel=1)
            return
        message = f"{self._name} failed and nobody took the error: await the promise or add otherwise()"
        if self._loop is None:
            _log.error(message, exc_info=error)
        else:
            self._loop.call_exception_handler({"message": message, "exception": error})

    def _begin(self, factory: Factory, loop: Loop | None, timeout: float = -math.inf) -> Promise[Any]:
        context, self._loop, self._home = copy_context(), loop, loop
        launch = partial(self._launch, factory, context)
        try:
            if loop is None:
                job = Job(self._name, timeout, context)
                self._home = self._background.submit(job, launch).loop
            elif loop is _running_loop():
                launch()
            else:
                loop.call_soon_threadsafe(launch)
        except RuntimeError as error:
            kind = NoResponseError if self._parents else InvalidRequestError
            self._settle(error=kind(f"{self._name} cannot run any more: {error}"))
        except OSError as error:
            why = f"no event loop can be started ({error.strerror})"
            if self._parents:
                self._settle(error=NoResponseError(f"{self._name} cannot run any more: {why}"))
            else:
                self._settle(error=ConnectError(f"{self._name}: nothing was sent: {why}"))
        return self

    def _launch(self, factory: Factory, context: Context, conclude: Callable[[], None] | None = None) -> None:
        if conclude is not None:
            self._listen(conclude)
        if self._cancelled:
            self._settle(error=asyncio.CancelledError())
            return
        self._task = task = asyncio.get_running_loop().create_task(factory(), context=context)
        task.add_done_callback(self._finish)
        # Event loops refer to their tasks weakly.
        self._background.tasks.add(task)

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _finish(self, task: asyncio.Task[Any]) -> None:
        self._background.tasks.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        self._settle(task.result() if error is None else None, error)

    def _settle(self, value: Any = None, error: BaseException | None = None) -> None:
        if not self._done:
            if error is not None:
                # Errors that are passed on keep the traceback of their origin, however long the chain.
                passed_on = [parent._traceback for parent in self._parents if parent._error is error]
                self._traceback = passed_on[0] if passed_on else error.__traceback__
            self._value, self._error, self._parents, self._task = value, error, (), None
            self._done = True
            self._notify()

    def _listen(self, listener: Callable[[], object]) -> None:
        """Call ``listener`` once, on whatever thread, as soon as the promise is settled."""
        self._listeners.append(listener)
        if self._done:
            self._notify()

    def _notify(self) -> None:
        # Two threads may do this at once: each listener is taken by one of them.
        while self._listeners:
            with suppress(IndexError):
                self._listeners.popleft()()

    def _take(self) -> Any:
        self._taken = True
        try:
            if self._error is not None:
                # With the traceback of its origin: it would grow each time that the error is raised.
                raise self._error.with_traceback(self._traceback)
            return self._value
        finally:
            del self  # as in wait()

    def _is_done(self) -> bool:
        if not self._done and self._pid != os.getpid():
            self._listeners, self._taken = deque(), True
            self._settle(
                error=NoResponseError(
                    "this promise was made before fork(), and its call goes on in the parent process only: "
                    "its outcome is unknown here; begin calls after the fork"
                )
            )
        return self._done

    def _is_stranded(self) -> bool:
        return not self._is_done() and self._loop is not None and not self._loop.is_running()

    def _check_progress(self) -> bool:
        """Return whether the promise is settled; raise if it never can be."""
        if self._is_stranded():
            raise NoResponseError(
                f"the event loop of {self._name} has stopped before the call ended: its outcome is unknown; "
                "await promises before their event loop ends"
            )
        return self._done

    async def _arrive(self) -> None:
        if not self._check_progress():
            loop = asyncio.get_running_loop()
            arrived = loop.create_future()
            self._listen(partial(call_soon, loop, resolve_future, arrived))
            await arrived

    def _block(self, timeout: float | None) -> None:
        self._is_used = True
        self._check_progress()
        arrived = threading.Event()
        self._listen(arrived.set)
        try:
            in_time = self._wait_for(arrived, math.inf if timeout is None else timeout)
        except NoResponseError:
            raise
        except BaseException:
            for promise in self._lineage():
                promise.cancel()
            raise
        finally:
            with suppress(ValueError):
                self._listeners.remove(arrived.set)
        if not in_time:
            raise ReadTimeoutError(f"no outcome in {timeout} s; the call goes on: wait() again or cancel()")

    def _wait_for(self, arrived: threading.Event, timeout: float) -> bool:
        """Wait until ``arrived`` is set; return whether that was in time. Raise if it never can be."""
        end, stopped = time.monotonic() + timeout, 0
        while not arrived.wait(min(_LOOK_INTERVAL, end - time.monotonic())):
            if time.monotonic() >= end:
                return False
            # Two looks: an event loop may stand between two calls of run_until_complete().
            stopped = stopped + 1 if any(promise._is_stranded() for promise in self._lineage()) else 0
            if stopped == 2:  # noqa: PLR2004
                for promise in self._lineage():
                    promise._check_progress()
        return True

    def _lineage(self) -> Iterator[Promise[Any]]:
        """Iterate over this promise and those that it was derived from."""
        pending: list[Promise[Any]] = [self]
        while pending:
            promise = pending.pop()
            pending.extend(promise._parents)
            yield promise


async def _resolve(result: Any) -> Any:
    """Await what a callback returned until it is a plain value."""
    try:
        while isinstance(result, Awaitable):
            result = await result
        return result
    finally:
        del result


async def _follow(parent: Promise[Any], ok: Callback, fail: Callback) -> Any:
    """Run the callback for the outcome of ``parent``, or pass the outcome on."""
    try:
        await parent._arrive()
        failed = parent._error is not None
        if (callback := fail if failed else ok) is None:
            return parent._take()
        parent._taken = True
        if (job := CURRENT_JOB.get()) is not None:
            job.extend(STEP_TIMEOUT)
        return await _resolve(callback(parent._error if failed else parent._value))
    finally:
        del parent


async def _collect(parts: list[Promise[Any]], keys: list[Any] | None) -> Any:
    """Wait for the parts in the order in which they are settled; raise the first error."""
    loop, arrivals, part = asyncio.get_running_loop(), asyncio.Queue[Promise[Any]](), None
    try:
        for part in parts:
            part._check_progress()
            part._listen(partial(call_soon, loop, arrivals.put_nowait, part))
        for _ in range(len(parts)):
            (await arrivals.get())._take()
        values = [each._take() for each in parts]
        return values if keys is None else dict(zip(keys, values, strict=True))
    finally:
        del parts, part, arrivals


def _running_loop() -> Loop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _caller_loop() -> Loop | None:
    """Return the running event loop, unless it is that of a background."""
    loop = _running_loop()
    thread = threading.current_thread()
    return None if isinstance(thread, Worker) and thread.loop is loop else loop
