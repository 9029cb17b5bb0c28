"""The outcome of an asynchronous call: awaitable, and chainable as PHP's promises are."""

from __future__ import annotations

import inspect
import threading
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, overload

from wechatpay.background import Background, CallerLoop, running_loop
from wechatpay.errors import NoAnswerError, ReadTimeoutError, RequestError
from wechatpay.outcome import Outcome, cancelled, fulfilled, rejected

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future, Task
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Iterator
    from contextvars import Context

    from wechatpay.background import Home
    from wechatpay.outcome import Settlement

__all__ = ["Promise"]

T = TypeVar("T")
S = TypeVar("S")
F = TypeVar("F")

_PATIENCE: Final = 30.0
"""Seconds that work may take when nobody says how many."""


class Promise(Generic[T]):
    """What an asynchronous call will come to; the call is on its way already.

    ``await`` it (from any loop, any number of times), chain it with ``then`` and
    ``otherwise``, or ``wait`` for it where no loop runs. As with a task, being
    cancelled while awaiting cancels the call; ``asyncio.shield`` keeps it going.
    An error that nobody takes is reported once: to the exception handler of the
    caller's loop, else on the ``wechatpay`` logger.

    Made by ``start``, ``rejected``, ``all`` and ``then``.
    """

    __slots__ = (
        "__weakref__",
        "_background",
        "_home",
        "_loop",
        "_name",
        "_outcome",
        "_parents",
        "_task",
        "_timeout",
    )

    _loop: AbstractEventLoop  # from the moment its work begins

    def __init__(
        self,
        background: Background,
        home: Home,
        name: str = "an asynchronous call",
        timeout: float | None = _PATIENCE,
        parents: tuple[Promise[Any], ...] = (),
    ) -> None:
        self._outcome = Outcome()
        self._background = background
        self._home = home
        self._name = name
        self._timeout = timeout
        self._parents = parents  # what it waits for before it can begin
        self._task: Task[Any] | None = None

    @classmethod
    def start(
        cls,
        factory: Callable[[], Coroutine[Any, Any, S]],
        background: Background,
        *,
        name: str = "an asynchronous call",
        timeout: float | None = _PATIENCE,
    ) -> Promise[S]:
        """Begin work at once: as a task of the running loop, else in the background.

        Args:
            factory: Makes the coroutine; called on the loop's thread.
            background: Where to run when no loop does.
            name: What to call the work when it fails unseen or is left behind: no secrets.
            timeout: Seconds the work may take, for which the interpreter's exit waits;
                ``None`` waits for ever.
        """
        promise: Promise[S] = Promise(background, _here(background), name, timeout)
        promise._begin(factory, copy_context())
        return promise

    @classmethod
    def rejected(cls, error: BaseException, background: Background | None = None) -> Promise[Any]:
        """Make a promise that has failed, for a call that failed before it was sent.

        Args:
            error: Why.
            background: Where its callbacks run when no loop does.
        """
        background = background or Background()
        promise: Promise[Any] = Promise(background, _here(background))
        promise._settle(rejected(error))
        return promise

    @classmethod
    def all(cls, promises: Iterable[Awaitable[S] | S]) -> Promise[list[S]]:
        """Wait for all of them; fail with the first error, letting the others go on.

        Args:
            promises: Promises; other awaitables, and values, count too.

        Returns:
            A promise of their values, in the order given.
        """
        given = list(promises)
        background = next((p._background for p in given if isinstance(p, Promise)), None) or Background()
        parents = tuple(_promised(item, background) for item in given)
        whole: Promise[list[S]] = Promise(background, _here(background), "all", _longest(parents), parents)
        if not parents:
            whole._settle(fulfilled([]))
        awaited = list(parents)
        for parent in parents:
            parent._outcome.listen(partial(whole._count_in, parent, parents, awaited))
        return whole

    @overload
    def then(
        self, ok: Callable[[T], Awaitable[S]], fail: Callable[[Any], Awaitable[F] | F] | None = None
    ) -> Promise[S | F]: ...
    @overload
    def then(
        self, ok: Callable[[T], S], fail: Callable[[Any], Awaitable[F] | F] | None = None
    ) -> Promise[S | F]: ...
    @overload
    def then(self, ok: None, fail: Callable[[Any], Awaitable[F] | F] | None = None) -> Promise[T | F]: ...
    def then(self, ok: Callable[[T], Any] | None, fail: Callable[[Any], Any] | None = None) -> Promise[Any]:
        """Chain callbacks: one for the value, one for the error.

        They run on this promise's loop, in a copy of the caller's context, and may
        return a value, an awaitable or a promise.

        Args:
            ok: Called with the value; ``None`` passes it on.
            fail: Called with the error; ``None`` passes it on.

        Returns:
            A promise of what the callback returns. Cancelling it leaves this one alone.
        """
        child: Promise[Any] = Promise(self._background, self._home, self._name, self._timeout, (self,))
        self._outcome.listen(partial(child._follow, self, ok, fail, copy_context()))
        return child

    def otherwise(self, fail: Callable[[Any], Awaitable[F] | F]) -> Promise[T | F]:
        """Chain a callback for the error; the value is passed on."""
        return self.then(None, fail)

    def wait(self, timeout: float | None = None) -> T:
        """Block until the outcome is there; return the value or raise the error.

        Ctrl-C meanwhile cancels the work, and what this promise was derived from.

        Args:
            timeout: Seconds to wait, after which the work goes on; ``None`` for no limit.

        Raises:
            NoAnswerError: A loop runs in this thread (``await`` the promise instead), the
                promise's own loop has stopped, or the promise was made before a fork.
            ReadTimeoutError: ``timeout`` has passed.
            concurrent.futures.CancelledError: The promise was cancelled.
        """
        if running_loop() is not None:
            raise NoAnswerError(
                "wait() would block the event loop that runs in this thread: await the promise instead; "
                "its work goes on"
            )
        try:
            outcome = self._outcome.get() or self._block(timeout)
            if outcome.state == "cancelled":
                from concurrent.futures import CancelledError  # noqa: PLC0415 - only the cancelled pay for it

                raise CancelledError
            return self._outcome.take()  # type: ignore[no-any-return]  # outcomes are untyped
        finally:
            # The error's traceback holds this frame: with `self` in it, a cycle.
            del self

    def cancel(self) -> bool:
        """Cancel the work; what this promise was derived from goes on.

        Returns:
            Whether there was something left to cancel.
        """
        if self._outcome.get() is not None:
            return False
        if not self._settle(cancelled(), unless_begun=True):
            self._interrupt()
        return True

    def __await__(self) -> Generator[Any, None, T]:
        import asyncio  # noqa: PLC0415 - too heavy for those who never await

        try:
            while self._outcome.get() is None:
                self._check_progress()
                waiter = asyncio.get_running_loop().create_future()
                try:
                    with self._outcome.listening(partial(_wake, waiter)):
                        yield from waiter
                except asyncio.CancelledError:
                    if not self.cancel():
                        raise
            return self._outcome.take()  # type: ignore[no-any-return]  # outcomes are untyped
        finally:
            # The error's traceback holds this frame: with `self` in it, a cycle.
            del self

    def __repr__(self) -> str:
        outcome = self._outcome.get()
        return f"<Promise {outcome.state if outcome else 'pending'}>"

    def __del__(self) -> None:
        error = self._outcome.unseen()
        if error is not None:
            advice = "await the promise, wait() for it, or add otherwise()"
            self._home.report(f"{self._name} failed and nobody took the error: {advice}", error)

    def _begin(self, call: Callable[[], Any], context: Context) -> None:
        """Run ``call`` and what it returns at home, or here when home's loop has stopped."""
        kind = NoAnswerError if self._parents else RequestError
        self._parents = ()
        if not self._home.is_running():
            self._home = _here(self._background)
        try:
            self._home.submit(partial(self._launch, call, context), name=self._name, timeout=self._timeout)
        except RuntimeError as error:
            self._settle(rejected(kind(f"{self._name} cannot run any more: {error}")))

    def _launch(self, call: Callable[[], Any], context: Context, loop: AbstractEventLoop) -> Task[Any] | None:
        self._loop = loop
        if not self._outcome.begin():
            return None
        self._task = task = context.run(loop.create_task, _run(call))
        task.add_done_callback(self._finish)
        return task

    def _finish(self, task: Task[Any]) -> None:
        self._task = None
        if task.cancelled():
            self._settle(cancelled())
        elif error := task.exception():
            self._settle(rejected(error))
        else:
            self._settle(fulfilled(task.result()))

    def _settle(self, settlement: Settlement, *, unless_begun: bool = False) -> bool:
        news = self._outcome.settle(settlement, unless_begun=unless_begun)
        if news:
            self._parents = ()
        return news

    def _follow(
        self,
        parent: Promise[Any],
        ok: Callable[[Any], Any] | None,
        fail: Callable[[Any], Any] | None,
        context: Context,
    ) -> None:
        """Go on from the parent's outcome; when cancelled already, leave its error to others."""
        if self._outcome.get() is not None:
            return
        outcome = parent._outcome.seen()
        callback, given = (ok, outcome.value) if outcome.error is None else (fail, outcome.error)
        if callback is None:
            self._settle(outcome)
        else:
            self._begin(partial(callback, given), context)

    def _count_in(
        self, parent: Promise[Any], parents: tuple[Promise[Any], ...], awaited: list[Promise[Any]]
    ) -> None:
        """Count one of ``all`` in; an error that does not come first is left to others."""
        awaited.pop()
        outcome = parent._outcome.get()
        if outcome is not None and outcome.error is not None:
            if self._settle(outcome):
                parent._outcome.seen()
        elif not awaited and self._outcome.get() is None:
            self._settle(fulfilled([each._outcome.seen().value for each in parents]))

    def _block(self, timeout: float | None) -> Settlement:
        self._check_progress()
        arrived = threading.Event()
        try:
            with self._outcome.listening(arrived.set):
                in_time = arrived.wait(timeout)
        except BaseException:
            for promise in list(self._lineage()):
                promise.cancel()
            raise
        if not in_time:
            raise ReadTimeoutError(
                f"no outcome within {timeout} s; the work goes on: wait() again, or cancel()"
            )
        return self._outcome.seen()

    def _interrupt(self) -> None:
        """Cancel the task, on the thread of its loop."""
        if running_loop() is self._loop:
            self._cancel_task()
            return
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._cancel_task)
        if not self._loop.is_running():
            self._settle(cancelled())

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _check_progress(self) -> None:
        """Refuse to wait for what can never come.

        Raises:
            NoAnswerError: The loop that would bring the outcome about does not run.
        """
        for promise in self._lineage():
            stuck = not promise._parents and not promise._home.is_running()
            if stuck and promise._outcome.get() is None:
                raise NoAnswerError(
                    f"the event loop of {promise._name} has stopped before it ended, so that waiting for it "
                    "would take for ever: await it before its loop ends"
                )

    def _lineage(self) -> Iterator[Promise[Any]]:
        """Yield this promise and those it waits for, as far as they are pending."""
        known: set[Promise[Any]] = set()
        found: list[Promise[Any]] = [self]
        while found:
            promise = found.pop()
            if promise not in known and promise._outcome.get() is None:
                known.add(promise)
                found.extend(promise._parents)
                yield promise


async def _run(call: Callable[[], Any]) -> Any:
    """Call, and await what comes back until it is a plain value."""
    import asyncio  # noqa: PLC0415 - a loop runs, so it is loaded

    result = call()
    while inspect.isawaitable(result):
        if isinstance(result, Promise) and result._task is asyncio.current_task():
            raise NoAnswerError("a callback returned the very promise that waits for it: return another one")
        result = await result
    return result


def _here(background: Background) -> Home:
    loop = running_loop()
    return CallerLoop(loop, background) if loop else background


def _promised(item: Any, background: Background) -> Promise[Any]:
    if isinstance(item, Promise):
        return item
    promise: Promise[Any] = Promise(background, _here(background))
    promise._begin(lambda: item, copy_context())
    return promise


def _longest(promises: tuple[Promise[Any], ...]) -> float | None:
    timeouts = [promise._timeout for promise in promises]
    if None in timeouts:
        return None
    return max((timeout for timeout in timeouts if timeout is not None), default=_PATIENCE)


def _wake(waiter: Future[None]) -> None:
    """Let go who waits, from whatever thread; a loop that is closed waits no more."""
    loop = waiter.get_loop()
    if running_loop() is loop:
        _release(waiter)
    else:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_release, waiter)


def _release(waiter: Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
