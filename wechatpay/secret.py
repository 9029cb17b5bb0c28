"""Secrets in memory: what ``repr``, tracebacks and error trackers show of them is nothing."""

from __future__ import annotations

from typing import Generic, NoReturn, TypeVar

__all__ = ["Secret"]

T = TypeVar("T", bound="str | bytes")


class Secret(Generic[T]):
    """A key or password.

    Error trackers send the local variables of every frame that an error passes. Functions that may fail take
    a secret in this form, and call `reveal` only as an argument of the function that needs it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value: T = value

    def reveal(self) -> T:
        """Return the secret itself."""
        return self._value

    def __repr__(self) -> str:
        return "<Secret>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret does not pickle")
