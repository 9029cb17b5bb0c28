"""The outcome of an asynchronous call: awaitable, and chainable as PHP's promises are."""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, overload

from wechatpay.errors import NoResponseError
from wechatpay.promise.background import Background, here, running_loop
from wechatpay.promise.outcome import rejected
from wechatpay.promise.work import Work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable

__all__ = ["Promise"]

T = TypeVar("T")
S = TypeVar("S")
F = TypeVar("F")

_ANONYMOUS: Final = "an asynchronous call"

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

    __slots__ = ("__weakref__", "_work")

    def __init__(self, work: Work) -> None:
        self._work = work

    @classmethod
    def start(
        cls,
        factory: Callable[[], Coroutine[Any, Any, S]],
        background: Background,
        *,
        name: str = _ANONYMOUS,
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
        work = Work(background, here(background), name, timeout)
        work.begin(factory, copy_context())
        return Promise(work)

    @classmethod
    def rejected(cls, error: BaseException, background: Background | None = None) -> Promise[Any]:
        """Make a promise that has failed, for a call that failed before it was sent.

        Args:
            error: Why.
            background: Where its callbacks run when no loop does.
        """
        background = background or Background()
        work = Work(background, here(background), _ANONYMOUS, _PATIENCE)
        work.settle(rejected(error))
        return Promise(work)

    @overload
    @classmethod
    def all(cls, promises: Iterable[Awaitable[S]]) -> Promise[list[S]]: ...
    @overload
    @classmethod
    def all(cls, promises: Iterable[S]) -> Promise[list[S]]: ...
    @classmethod
    def all(cls, promises: Iterable[Any]) -> Promise[list[Any]]:
        """Wait for all of them; fail with the first error, letting the others go on.

        Args:
            promises: Promises; other awaitables, and values, count too.

        Returns:
            A promise of their values, in the order given.
        """
        given = list(promises)
        known = [item._work for item in given if isinstance(item, Promise)]  # noqa: SLF001 - our own class
        background = known[0].background if known else Background()
        parents = tuple(_work(item, background) for item in given)
        whole = Work(background, here(background), "Promise.all", _longest(parents), parents)
        whole.gather()
        return Promise(whole)

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
        return Promise(self._work.derive(ok, fail, copy_context()))

    def otherwise(self, fail: Callable[[Any], Awaitable[F] | F]) -> Promise[T | F]:
        """Chain a callback for the error; the value is passed on."""
        return self.then(None, fail)

    def wait(self, timeout: float | None = None) -> T:
        """Block until the outcome is there; return the value or raise the error.

        Ctrl-C meanwhile cancels the work, and what this promise was derived from.

        Args:
            timeout: Seconds to wait, after which the work goes on; ``None`` for no limit.

        Raises:
            NoResponseError: A loop runs in this thread (``await`` the promise instead), the
                promise's own loop has stopped, or the promise was made before a fork.
            ReadTimeoutError: ``timeout`` has passed.
            concurrent.futures.CancelledError: The promise was cancelled.
        """
        if running_loop() is not None:
            raise NoResponseError(
                "wait() would block the event loop that runs in this thread: await the promise instead; "
                "its work goes on"
            )
        try:
            self._work.block(timeout)
            if self._work.outcome.is_cancelled():
                from concurrent.futures import CancelledError  # noqa: PLC0415 - only the cancelled pay for it

                raise CancelledError
            return self._work.outcome.take()  # type: ignore[no-any-return]  # outcomes are untyped
        finally:
            # The traceback of an error holds this frame: with `self` in it, a cycle.
            del self

    def cancel(self) -> bool:
        """Cancel the work; what this promise was derived from goes on.

        Returns:
            Whether there was something left to cancel.
        """
        return self._work.cancel()

    def __await__(self) -> Generator[Any, None, T]:
        try:
            yield from self._work.arrival()
            return self._work.outcome.take()  # type: ignore[no-any-return]  # outcomes are untyped
        finally:
            # The traceback of an error holds this frame: with `self` in it, a cycle.
            del self

    def __repr__(self) -> str:
        settlement = self._work.outcome.get()
        return f"<Promise {settlement.state if settlement else 'pending'}>"


def _work(item: Any, background: Background) -> Work:
    """Return a promise's work, or begin some that comes to the item."""
    if isinstance(item, Promise):
        return item._work  # noqa: SLF001 - our own class
    work = Work(background, here(background), _ANONYMOUS, _PATIENCE)
    work.begin(lambda: item, copy_context())
    return work


def _longest(works: tuple[Work, ...]) -> float | None:
    timeouts = [work.timeout for work in works]
    if None in timeouts:
        return None
    return max((timeout for timeout in timeouts if timeout is not None), default=_PATIENCE)
