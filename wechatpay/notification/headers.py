"""The headers of a callback, however a framework hands them over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wechatpay.errors import InvalidRequestError
from wechatpay.messages import Headers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Given = Mapping[Any, Any] | Iterable[tuple[Any, Any]]

__all__ = ["read"]


def read(given: Given) -> Headers:
    """Pick WeChat Pay's own headers out.

    Args:
        given: A mapping, or pairs, of text or bytes: the headers of Flask, Django, FastAPI, Starlette,
            aiohttp or Tornado, ``request.META``, a WSGI environment, the headers of an ASGI scope …

    Raises:
        InvalidRequestError: It is neither.
    """
    found: dict[str, str] = {}
    for name, value in _pairs(given):
        key, text = _name(name), _text(value)
        if key.startswith("wechatpay-") and text is not None:
            known = found.setdefault(key, text)
            # Two that differ prove nothing: joined, as HTTP joins them, they match no signature.
            found[key] = known if known == text else f"{known}, {text}"
    return Headers(found)


def _pairs(given: Any) -> Iterator[tuple[Any, Any]]:
    items = given.items() if hasattr(given, "items") else given
    try:
        yield from [(name, value) for name, value in items]
    except (TypeError, ValueError):
        raise InvalidRequestError(
            f"headers: give a mapping, or pairs of name and value, not {type(given).__name__}"
        ) from None


def _name(name: object) -> str:
    text = (_text(name) or "").lower().replace("_", "-")
    return text.removeprefix("http-")


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("latin-1").strip()
    return value.strip() if isinstance(value, str) else None
