"""A text that is encrypted wherever it is sent, and shown nowhere."""

from __future__ import annotations

import hmac
from typing import Any, NoReturn, Self

from wechatpay.errors import InvalidRequestError

__all__ = ["Sensitive"]


class Sensitive:
    """A text to be encrypted: put it anywhere in ``json``, ``query`` or a ``Media``'s meta.

    It is encrypted with the key that the same request names in ``Wechatpay-Serial``. Neither ``repr``,
    ``str``, ``format`` nor a traceback shows the text, and no pickle holds it.
    """

    __slots__ = ("_text",)

    _text: str

    def __init__(self, text: str) -> None:
        """Wrap a text.

        Args:
            text: At most 214 bytes of UTF-8, under a key of 2048 bits.

        Raises:
            InvalidRequestError: ``text`` is no text.
        """
        if not isinstance(text, str):
            raise InvalidRequestError(f"Sensitive: wraps text, not {type(text).__name__}")
        object.__setattr__(self, "_text", text)

    def reveal(self) -> str:
        """Return the text."""
        return self._text

    def __repr__(self) -> str:
        return "Sensitive('…')"

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sensitive):
            return NotImplemented
        return hmac.compare_digest(_bytes(self), _bytes(other))

    def __hash__(self) -> int:
        return hash(self._text)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Sensitive is immutable")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise InvalidRequestError(
            "a Sensitive is never pickled: hand its encrypted text over, or wrap it over there"
        )


def _bytes(value: Sensitive) -> bytes:
    return value.reveal().encode("utf-8", "surrogatepass")
