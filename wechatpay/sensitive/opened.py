"""Decrypting the marked fields of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wechatpay.errors import CryptoError, InvalidRequestError
from wechatpay.sensitive.marks import LIST, marks

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from wechatpay.messages import Response
    from wechatpay.sensitive.marks import Tree

__all__ = ["opened", "opened_answer"]


def opened_answer(response: Response, private_key: RSAPrivateKey) -> Any:
    """Parse an answer with its marked fields decrypted.

    Raises:
        CryptoError: A marked text is not encrypted for this key; the message gives its place.
        DecodeError: The body is not JSON.
        InvalidRequestError: No encrypted field is known of the operation that was asked.
    """
    verb, _, route = response.operation.partition(" ")
    found = marks(verb, route)
    if found is None or not found.response:
        raise InvalidRequestError(
            f"decrypt_marked: no encrypted field is known of {response.operation or 'this answer'}: "
            "decrypt single fields with getDriver().decrypt(text)"
        )
    return opened(response.json(), found.response, private_key)


def opened(value: Any, marked: Tree, private_key: RSAPrivateKey, place: str = "") -> Any:
    """Copy ``value`` with its marked texts decrypted; what is absent or empty stays so.

    Raises:
        CryptoError: A marked text is not encrypted for this key; the message gives its place.
    """
    if not marked:
        return _text(value, private_key, place)
    if isinstance(value, list) and LIST in marked:
        return [
            opened(item, marked[LIST], private_key, f"{place}[{index}]") for index, item in enumerate(value)
        ]
    if not isinstance(value, dict):
        return value
    return {
        name: opened(item, marked[name], private_key, f"{place}.{name}".lstrip("."))
        if name in marked
        else item
        for name, item in value.items()
    }


def _text(value: Any, private_key: RSAPrivateKey, place: str) -> Any:
    from wechatpay.crypto import rsa  # noqa: PLC0415  `cryptography` is heavy

    if not isinstance(value, str) or not value:
        return value
    try:
        return rsa.decrypt(value, private_key)
    except CryptoError as error:
        raise CryptoError(f"{place}: {error}") from None
