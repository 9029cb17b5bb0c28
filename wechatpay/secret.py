"""Secrets in memory, which ``repr``, tracebacks and error trackers do not show."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Concatenate, Generic, NoReturn, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Secret", "conceal"]

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")


class Secret(Generic[T]):
    """A key, a password, or a value that contains one.

    Error trackers send the local variables of every frame that an error passes. Functions that may fail take
    a secret in this form, and call `reveal` only as an argument of the function that needs it; or use
    `pass_to` if that function may fail.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value: T = value

    def reveal(self) -> T:
        """Return the secret itself."""
        return self._value

    def pass_to(self, function: Callable[Concatenate[T, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call ``function(secret, *args, **kwargs)``.

        Raises:
            BaseException: What the function raised, without the frames that hold the secret.
        """
        try:
            return function(self._value, *args, **kwargs)
        except BaseException as error:  # noqa: BLE001  raised again below
            failure: Any = error
        failure.__traceback__ = failure.__context__ = None
        try:
            raise failure
        finally:
            del failure  # its traceback has this frame, and this the secret

    def __repr__(self) -> str:
        return "<Secret>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret does not pickle")


def conceal(function: Callable[P, R]) -> Callable[P, R]:
    """Keep what a function is given out of the frames of its errors; for functions that take keys."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        given = Secret((args, kwargs))
        del args, kwargs
        return given.pass_to(_apply, function)

    return call


def _apply(given: tuple[Any, Any], function: Callable[..., R]) -> R:
    return function(*given[0], **given[1])
