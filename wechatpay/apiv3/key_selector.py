"""Which of WeChat Pay's keys a request names, and so what its sensitive fields are encrypted with."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wechatpay import uri
from wechatpay.errors import InvalidRequestError
from wechatpay.sensitive.envelope import Envelope
from wechatpay.sensitive.marks import NOTHING, Marks, marks

if TYPE_CHECKING:
    from wechatpay.messages import Call
    from wechatpay.platform import Platform, PlatformKey

__all__ = ["SERIAL", "Keying", "lasting"]

SERIAL = "Wechatpay-Serial"

#: Options whose values a caller may change after the call has begun.
_CHANGEABLE = ("json", "query", "headers")


class Keying:
    """Chooses one key for each request, from one snapshot of the trust set."""

    def __init__(self, platform: Platform, headers: Mapping[str, str | None]) -> None:
        self._platform = platform
        self._headers = headers

    def envelope(self, call: Call, path: str) -> Envelope:
        """Choose the key for a call and find what is to be encrypted with it.

        Raises:
            InvalidRequestError: The caller names a key that is not believed, or asks to encrypt where
                nothing is known to be encrypted.
            ConfigurationError: There is no key, and none can be downloaded.
        """
        return Envelope(self.choose(call), _marked(call, path))

    def choose(self, call: Call) -> PlatformKey | None:
        """Return the key that the caller names, else the preferred one; ``None`` before there is one.

        Raises:
            InvalidRequestError: The caller names a key that is not believed.
            ConfigurationError: There is no key, and none can be downloaded.
        """
        preferred = self._platform.preferred
        if preferred is None and not self._platform.can_download:
            raise self._platform.unready()
        given = call.options.get("headers")
        for headers in (given, self._headers):
            for name, serial in headers.items() if headers and isinstance(headers, Mapping) else ():
                if isinstance(name, str) and name.lower() == SERIAL.lower():
                    return self._named(serial, preferred)
        return preferred

    def _named(self, serial: Any, preferred: PlatformKey | None) -> PlatformKey | None:
        key = self._platform.get(serial) if isinstance(serial, str) else None
        if key is None and (preferred is not None or not isinstance(serial, str)):
            raise InvalidRequestError(
                "headers: Wechatpay-Serial must name a key that certs holds and that is valid: "
                f"{', '.join(self._platform.serials)}"
            )
        return key


def lasting(call: Call) -> Call:
    """Copy what the caller may change before a request is built anew."""
    options = {
        name: copy.deepcopy(value) if name in _CHANGEABLE else value for name, value in call.options.items()
    }
    return replace(call, options=options)


def _marked(call: Call, path: str) -> Marks:
    if not call.options.get("encrypt_sensitive"):
        return NOTHING
    _, route, _ = uri.split(path)
    found = marks(call.verb, route)
    if found is None or not (found.query or found.body or found.response):
        raise InvalidRequestError(
            f"encrypt_sensitive: no field of {call!r} is known to be encrypted: wrap values in Sensitive(…)"
        )
    if found.body and call.options.get("body") is not None:
        raise InvalidRequestError("encrypt_sensitive: fields cannot be found in `body`: give `json`")
    return found
