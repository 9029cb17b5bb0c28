"""Encrypted fields: personal data is sent under WeChat Pay's key, and received under the merchant's.

::

    instance.v3.profitsharing.receivers.add.post(json={"name": Sensitive("张三"), ...})

https://pay.weixin.qq.com/doc/v3/merchant/4013053257
"""

from __future__ import annotations

import copy
import hmac
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, Self
from urllib.parse import unquote

from wechatpay.crypto import rsa
from wechatpay.crypto.suites import RSAPublicKey
from wechatpay.errors import CryptoError, InvalidRequestError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from wechatpay.apiv3.keyring import PlatformKey
    from wechatpay.apiv3.keys import PlatformKeys
    from wechatpay.catalogue.lookup import EncryptedFields
    from wechatpay.messages import Call, Response
    from wechatpay.uri import Location

__all__ = ["SERIAL", "FieldEncryptor", "KeySelector", "Sensitive", "decrypt_response", "freeze"]

SERIAL = "Wechatpay-Serial"

#: Options whose values a caller may change after the call has begun.
_MUTABLE = ("json", "query", "headers")

#: The name of a list's members in a tree of fields.
_LIST = "[]"

#: Types that neither are sensitive nor contain anything that is.
_PLAIN = frozenset({str, int, float, bool, type(None)})


class Sensitive:
    """A text to be encrypted: put it anywhere in ``json``, ``query`` or a ``Media``'s meta.

    It is encrypted with the key that the same request names in ``Wechatpay-Serial``. Neither ``repr``,
    ``str``, ``format`` nor a traceback shows the text, and it cannot be pickled.
    """

    __slots__ = ("_text",)

    _text: str

    def __init__(self, text: str) -> None:
        """Wrap a text.

        Args:
            text: At most 214 bytes of UTF-8, under a key of 2048 bits.

        Raises:
            InvalidRequestError: ``text`` is not a text.
        """
        if not isinstance(text, str):
            raise InvalidRequestError(f"Sensitive: wraps text, not {type(text).__name__}")
        object.__setattr__(self, "_text", str.__str__(text))

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
        return hmac.compare_digest(_encode(self), _encode(other))

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
            "a Sensitive is never pickled: pass its encrypted text, or wrap the text in the other process"
        )


def _encode(value: Sensitive) -> bytes:
    return value.reveal().encode("utf-8", "surrogatepass")


class KeySelector:
    """Selects the key that a request names, and encrypts its fields with."""

    def __init__(self, keys: PlatformKeys, headers: Mapping[str, str | None]) -> None:
        """Prepare.

        Args:
            keys: WeChat Pay's keys.
            headers: The Builder's headers, which may name a key.
        """
        self._keys = keys
        self._headers = headers

    def select(self, call: Call, place: Location) -> FieldEncryptor:
        """Return the key of a call, with the documented fields if ``encrypt_sensitive`` is set.

        The key is the one that the caller names, else the preferred one; ``None`` before the first download.

        Raises:
            InvalidRequestError: The caller names a key that is not trusted, or sets ``encrypt_sensitive``
                where no field is known to be encrypted.
            ConfigurationError: There is no key, and none can be downloaded.
        """
        key = self._keys.preferred
        if key is None and not self._keys.can_download:
            raise self._keys.missing()
        if self._headers or "headers" in call.options:
            key = self._named(call.options.get("headers"), key)
        return FieldEncryptor(key, _documented(call, place) if "encrypt_sensitive" in call.options else None)

    def _named(self, given: Any, preferred: PlatformKey | None) -> PlatformKey | None:
        for headers in (given, self._headers):
            for name, serial in headers.items() if isinstance(headers, Mapping) else ():
                if isinstance(name, str) and name.lower() == SERIAL.lower():
                    key = self._keys.get(serial) if isinstance(serial, str) else None
                    if key is None and (preferred is not None or not isinstance(serial, str)):
                        raise InvalidRequestError(
                            f"headers: {SERIAL} must name a key that certs holds and that is valid: "
                            f"{', '.join(self._keys.serials)}"
                        )
                    return key
        return preferred


def freeze(call: Call) -> Call:
    """Copy what the caller may change before the request is built again."""
    options = {
        name: copy.deepcopy(value) if name in _MUTABLE else value for name, value in call.options.items()
    }
    return replace(call, options=options)


def _documented(call: Call, place: Location) -> EncryptedFields | None:
    if not call.options["encrypt_sensitive"]:
        return None
    from wechatpay.catalogue.lookup import encrypted_fields  # noqa: PLC0415  other calls never read the catalogue

    fields = encrypted_fields(call.verb, place.path)
    if fields is None:
        raise InvalidRequestError(
            f"encrypt_sensitive: no field of {call!r} is known to be encrypted: wrap values in Sensitive(…)"
        )
    if fields.body and call.options.get("body") is not None:
        raise InvalidRequestError("encrypt_sensitive: fields cannot be found in `body`: give `json`")
    return fields


class FieldEncryptor:
    """Encrypts the fields of one request with the key that it names in ``Wechatpay-Serial``.

    What the caller passed is never changed: whatever contains something sensitive is copied.

    Attributes:
        key: The key; ``None`` while none is known, when sensitive texts are left blank.
        is_used: Whether anything sensitive was found.
    """

    __slots__ = ("_fields", "is_used", "key")

    def __init__(self, key: PlatformKey | None, fields: EncryptedFields | None = None) -> None:
        """Prepare.

        Args:
            key: The key.
            fields: The fields to encrypt although they are plain text.
        """
        self._fields = fields
        self.key = key
        self.is_used = False

    def json(self, value: Any) -> Any:
        """Encrypt in the option ``json``.

        Raises:
            InvalidRequestError: A text is too long for the key, or a documented field is not text; the
                message gives its place.
        """
        return self._encrypt_in(value, self._fields.body if self._fields else None, "json")

    def meta(self, value: Any) -> Any:
        """Encrypt in the JSON that goes with an upload.

        Raises:
            InvalidRequestError: As for `json`.
        """
        return self._encrypt_in(value, self._fields.body.get("meta") if self._fields else None, "meta")

    def query(self, value: Any, existing: str = "") -> Any:
        """Encrypt in the option ``query``.

        Args:
            value: The option.
            existing: The query of the URI, in which nothing can be encrypted any more.

        Raises:
            InvalidRequestError: As for `json`; or a documented field is where it cannot be encrypted.
        """
        wanted = self._fields.query if self._fields else {}
        for text in (existing, value) if wanted else ():
            _refuse_encoded(text, wanted)
        is_mapping = isinstance(value, Mapping)
        if not (wanted or _contains_sensitive(list(value.values()) if is_mapping else value)):
            return value
        # Pairs, not a dict: a mapping such as a MultiDict may hold a name more than once.
        pairs = list(value.items()) if is_mapping else value
        if not isinstance(pairs, list | tuple):
            return value
        return [self._encrypt_parameter(pair, wanted) for pair in pairs]

    def _encrypt_parameter(self, pair: Any, wanted: Mapping[str, Any]) -> Any:
        match pair:
            case (str() as name, list() | tuple() as values):
                return name, [self._encrypt_value(value, name, wanted) for value in values]
            case (str() as name, value):
                return name, self._encrypt_value(value, name, wanted)
        return pair

    def _encrypt_value(self, value: Any, name: str, wanted: Mapping[str, Any]) -> Any:
        place = f"query.{name}"
        return self._copy(_wrap(value, place) if name in wanted else value, place)

    def _encrypt_in(self, value: Any, wanted: Mapping[str, Any] | None, place: str) -> Any:
        try:
            if wanted:
                value = _mark(value, wanted, place)
            return self._copy(value, place) if _contains_sensitive(value) else value
        except RecursionError:
            raise InvalidRequestError(f"{place}: nested too deeply, or within itself") from None

    def _copy(self, value: Any, place: str) -> Any:
        if isinstance(value, Sensitive):
            return self._encrypt(value, place)
        if isinstance(value, dict):
            return {name: self._copy(item, f"{place}.{name}") for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._copy(item, f"{place}[{index}]") for index, item in enumerate(value)]
        return value

    def _encrypt(self, value: Sensitive, place: str) -> str:
        self.is_used = True
        if self.key is None:
            return ""
        if self.key.is_retiring:
            raise InvalidRequestError(
                f"{place}: WeChat Pay no longer offers the certificate {self.key.serial}, so nothing is "
                f"encrypted with it: leave {SERIAL} out"
            )
        if not isinstance(public_key := self.key.public_key, RSAPublicKey):
            raise InvalidRequestError(
                f"{place}: sensitive fields are encrypted with RSA keys, and {self.key.serial} is another: "
                "encrypt it yourself, and leave Sensitive and encrypt_sensitive out"
            )
        try:
            # Not kept in a variable: error trackers show those of every frame that an error passes.
            return rsa.encrypt(value.reveal(), public_key)
        except CryptoError as error:
            raise InvalidRequestError(f"{place}: {error}; is it encrypted already?") from None


def _contains_sensitive(value: Any) -> bool:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return isinstance(value, Sensitive)
    if _PLAIN.issuperset(map(type, value)):
        return False
    return any(type(item) not in _PLAIN and _contains_sensitive(item) for item in value)


def _mark(value: Any, wanted: Mapping[str, Any] | None, place: str) -> Any:
    """Copy ``value`` with the wanted fields wrapped; refuse shapes in which they cannot be found."""
    if wanted is None or value is None:
        return value
    if not wanted:
        return _wrap(value, place)
    if _LIST in wanted:
        if not isinstance(value, list | tuple):
            raise _wrong_type(place, "a list", value)
        return [_mark(item, wanted[_LIST], f"{place}[{index}]") for index, item in enumerate(value)]
    if not isinstance(value, dict):
        raise _wrong_type(place, "a dict", value)
    return {name: _mark(item, wanted.get(name), f"{place}.{name}") for name, item in value.items()}


def _wrap(value: Any, place: str) -> Any:
    if value is None or value == "" or isinstance(value, Sensitive):
        return value
    if isinstance(value, str):
        return Sensitive(value)
    raise _wrong_type(place, "text", value)


def _refuse_encoded(query: Any, wanted: Mapping[str, Any]) -> None:
    """Refuse a query that is encoded already, if it holds a field that has to be encrypted before."""
    for part in query.removeprefix("?").split("&") if isinstance(query, str) else ():
        if (name := unquote(part.partition("=")[0])) in wanted:
            raise InvalidRequestError(f"query.{name}: is encrypted, so pass query={{'{name}': ...}}")


def _wrong_type(place: str, wanted: str, value: Any) -> InvalidRequestError:
    return InvalidRequestError(
        f"{place}: is encrypted, or holds what is, so it must be {wanted}, not {type(value).__name__}"
    )


def decrypt_response(response: Response, private_key: RSAPrivateKey) -> Any:
    """Parse a response with its documented fields decrypted.

    Raises:
        CryptoError: A field is not encrypted for this key; the message gives its place.
        DecodeError: The body is not JSON.
        InvalidRequestError: No encrypted field of the operation is known.
    """
    from wechatpay.catalogue.lookup import encrypted_fields  # noqa: PLC0415  other calls never read the catalogue

    verb, _, route = response.operation.partition(" ")
    found = encrypted_fields(verb, route)
    if found is None or not found.response:
        raise InvalidRequestError(
            f"decrypt_marked: no encrypted field is known of {response.operation or 'this response'}: "
            "decrypt single fields with getDriver().decrypt(text)"
        )
    return _decrypt(response.json(), found.response, private_key, "")


def _decrypt(value: Any, wanted: Mapping[str, Any], private_key: RSAPrivateKey, place: str) -> Any:
    """Copy ``value`` with the wanted texts decrypted; what is absent or empty stays so."""
    if not wanted:
        if not isinstance(value, str) or not value:
            return value
        try:
            return rsa.decrypt(value, private_key)
        except CryptoError as error:
            raise CryptoError(f"{place}: {error}") from None
    if isinstance(value, list) and _LIST in wanted:
        return [
            _decrypt(item, wanted[_LIST], private_key, f"{place}[{index}]")
            for index, item in enumerate(value)
        ]
    if not isinstance(value, dict):
        return value
    return {
        name: _decrypt(item, wanted[name], private_key, f"{place}.{name}".lstrip("."))
        if name in wanted
        else item
        for name, item in value.items()
    }
