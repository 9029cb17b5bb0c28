"""Encrypting what one request carries, all of it under one key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from wechatpay.errors import CryptoError, InvalidRequestError
from wechatpay.sensitive.marks import LIST, NOTHING
from wechatpay.sensitive.value import Sensitive

if TYPE_CHECKING:
    from wechatpay.platform import PlatformKey
    from wechatpay.sensitive.marks import Marks, Tree

__all__ = ["Envelope"]

#: What can neither be sensitive nor hold anything that is.
_PLAIN = frozenset({str, int, float, bool, type(None)})


class Envelope:
    """The key that one request names in ``Wechatpay-Serial``, and what is encrypted with it.

    What the caller passed is never changed: whatever holds something sensitive is copied.

    Attributes:
        key: The key; ``None`` while none is known, when sensitive texts are left blank.
        marks: The fields to encrypt although they are plain text.
        is_used: Whether anything sensitive was met.
    """

    __slots__ = ("is_used", "key", "marks")

    def __init__(self, key: PlatformKey | None, marks: Marks = NOTHING) -> None:
        self.key = key
        self.marks = marks
        self.is_used = False

    def json(self, value: Any) -> Any:
        """Encrypt in the option ``json``.

        Raises:
            InvalidRequestError: A text is too long for the key, or a marked field is no text; the message
                gives its place.
        """
        return self._sealed(_marked(value, self.marks.body or None, "json"), "json")

    def meta(self, value: Any) -> Any:
        """Encrypt in the JSON that goes with an upload.

        Raises:
            InvalidRequestError: As for `json`.
        """
        return self._sealed(_marked(value, self.marks.body.get("meta"), "meta"), "meta")

    def query(self, value: Any, existing: str = "") -> Any:
        """Encrypt in the option ``query``.

        Args:
            value: The option.
            existing: The query that the URI brings along, which nothing can be encrypted in any more.

        Raises:
            InvalidRequestError: As for `json`; or a marked field stands where it cannot be encrypted.
        """
        marked = self.marks.query
        for text in (existing, value) if marked else ():
            _refuse_ready(text, marked)
        is_mapping = isinstance(value, Mapping)
        if not (marked or _holds(list(value.values()) if is_mapping else value)):
            return value
        # Pairs, and no dict: a mapping may hold a name more than once.
        pairs = list(value.items()) if is_mapping else value
        if not isinstance(pairs, list | tuple):
            return value
        return [self._parameter(pair, marked) for pair in pairs]

    def _parameter(self, pair: Any, marked: Tree) -> Any:
        match pair:
            case (str() as name, list() | tuple() as values):
                return name, [self._text(value, name, marked) for value in values]
            case (str() as name, value):
                return name, self._text(value, name, marked)
        return pair

    def _text(self, value: Any, name: str, marked: Tree) -> Any:
        place = f"query.{name}"
        return self._copied(_wrapped(value, place) if name in marked else value, place)

    def _sealed(self, value: Any, place: str) -> Any:
        try:
            return self._copied(value, place) if _holds(value) else value
        except RecursionError:
            raise InvalidRequestError(f"{place}: nested too deeply, or within itself") from None

    def _copied(self, value: Any, place: str) -> Any:
        if isinstance(value, Sensitive):
            return self._encrypted(value, place)
        if isinstance(value, dict):
            return {name: self._copied(item, f"{place}.{name}") for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._copied(item, f"{place}[{index}]") for index, item in enumerate(value)]
        return value

    def _encrypted(self, value: Sensitive, place: str) -> str:
        from wechatpay.crypto import rsa  # noqa: PLC0415  `cryptography` is heavy
        from wechatpay.crypto.suites import RSAPublicKey  # noqa: PLC0415  the same

        self.is_used = True
        if self.key is None:
            return ""
        if self.key.is_leaving:
            raise InvalidRequestError(
                f"{place}: WeChat Pay no longer offers the certificate {self.key.serial}, so nothing is "
                "encrypted with it: leave Wechatpay-Serial out"
            )
        if not isinstance(public_key := self.key.public_key, RSAPublicKey):
            raise InvalidRequestError(
                f"{place}: sensitive fields are encrypted with RSA keys, and {self.key.serial} is another: "
                "encrypt it yourself, and leave Sensitive and encrypt_sensitive out"
            )
        try:
            # Not kept in a variable: trackers show those of every frame that an error passes.
            return rsa.encrypt(value.reveal(), public_key)
        except CryptoError as error:
            raise InvalidRequestError(f"{place}: {error}; is it encrypted already?") from None


def _holds(value: Any) -> bool:
    """Tell whether there is anything sensitive in ``value``."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return isinstance(value, Sensitive)
    return any(type(item) not in _PLAIN and _holds(item) for item in value)


def _marked(value: Any, marked: Tree | None, place: str) -> Any:
    """Copy ``value`` with what is marked in it wrapped; refuse what could carry a marked field past us."""
    if marked is None or value is None:
        return value
    if not marked:
        return _wrapped(value, place)
    if LIST in marked:
        if not isinstance(value, list | tuple):
            raise _misplaced(place, "a list", value)
        return [_marked(item, marked[LIST], f"{place}[{index}]") for index, item in enumerate(value)]
    if not isinstance(value, dict):
        raise _misplaced(place, "a dict", value)
    return {name: _marked(item, marked.get(name), f"{place}.{name}") for name, item in value.items()}


def _wrapped(value: Any, place: str) -> Any:
    if value is None or value == "" or isinstance(value, Sensitive):
        return value
    if isinstance(value, str):
        return Sensitive(value)
    raise _misplaced(place, "text", value)


def _refuse_ready(query: Any, marked: Tree) -> None:
    """Refuse a query that is encoded already, if it holds what had to be encrypted before."""
    for part in query.removeprefix("?").split("&") if isinstance(query, str) else ():
        if (name := unquote(part.partition("=")[0])) in marked:
            raise InvalidRequestError(f"query.{name}: is encrypted, so pass query={{'{name}': ...}}")


def _misplaced(place: str, wanted: str, value: Any) -> InvalidRequestError:
    return InvalidRequestError(
        f"{place}: is encrypted, or holds what is, so it must be {wanted}, not {type(value).__name__}"
    )
