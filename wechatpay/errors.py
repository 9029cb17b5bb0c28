"""Errors, one tree for sync and async.

::

    WeChatPayError
    ├─ ConfigurationError(ValueError)    fix a setting
    ├─ InvalidRequestError(ValueError)   fix the call; nothing was sent
    ├─ CryptoError(ValueError)           keys, ciphers, digests
    ├─ DecodeError(ValueError)           a body that is not what it says (JSON, XML)
    ├─ TransportError                    no response
    │   ├─ ConnectError(ConnectionError)   nothing was sent: safe to send again
    │   │   └─ PoolTimeoutError(TimeoutError)    no free connection within the connect timeout
    │   └─ NoResponseError                 outcome unknown: query before you repeat
    │       ├─ ReadTimeoutError(TimeoutError)
    │       └─ ResponseTooLargeError           more than the settings permit
    ├─ VerificationError                 a 2xx that cannot be verified: outcome unknown
    │   ├─ IncompleteHeadersError
    │   ├─ ClockSkewError
    │   ├─ UnknownSerialError
    │   └─ SignatureError
    ├─ RedirectError                     a 3xx: outcome unknown
    ├─ APIError                          an error response
    │   └─ ServerError                     5xx, v2 SYSTEMERROR and the like: outcome unknown
    └─ NotificationError                 a callback not to be acted on

Every error pickles, and neither its text nor its pickle carries bodies, credentials or keys.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.catalogue import Explanation
    from wechatpay.messages import Request, Response
    from wechatpay.notification.reply import Reply

__all__ = [
    "APIError",
    "ClockSkewError",
    "ConfigurationError",
    "ConnectError",
    "CryptoError",
    "DecodeError",
    "IncompleteHeadersError",
    "InvalidRequestError",
    "NoResponseError",
    "NotificationError",
    "PoolTimeoutError",
    "ReadTimeoutError",
    "RedirectError",
    "ResponseTooLargeError",
    "ServerError",
    "SignatureError",
    "TransportError",
    "UnknownSerialError",
    "VerificationError",
    "WeChatPayError",
]


_T = TypeVar("_T")


class WeChatPayError(Exception):
    """The root of every error this package raises.

    Attributes:
        request: The request, or ``None`` when none was built yet.
        response: The response, or ``None`` when there is none.
    """

    def __init__(
        self, message: str = "", *, request: Request | None = None, response: Response | None = None
    ) -> None:
        super().__init__(message)
        self.request = request
        self.response = response

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__getstate__())

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what only this process may see."""
        return dict(self.__dict__)


def _rebuild(kind: type[WeChatPayError], args: tuple[Any, ...], state: dict[str, Any]) -> WeChatPayError:
    """Unpickle without calling constructors, whose signatures differ."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigurationError(WeChatPayError, ValueError):
    """A setting is missing or wrong: fix the constructor's arguments."""


class InvalidRequestError(WeChatPayError, ValueError):
    """The call is wrong: fix it; nothing was sent."""


class CryptoError(WeChatPayError, ValueError):
    """A key, cipher text or digest cannot be used. The message never holds key material."""


class DecodeError(WeChatPayError, ValueError):
    """A body is not what it says it is: JSON or XML that does not parse."""


class TransportError(WeChatPayError):
    """No response came."""


class ConnectError(TransportError, ConnectionError):
    """No connection could be made: nothing was sent, so it is safe to send again."""


class PoolTimeoutError(ConnectError, TimeoutError):
    """No connection of the pool became free within the connect timeout: nothing was sent.

    More calls are made at one time than ``pool_size`` permits for one host.
    """


class NoResponseError(TransportError):
    """The request was sent and no response came: the outcome is unknown. Query before you repeat."""


class ReadTimeoutError(NoResponseError, TimeoutError):
    """The server took longer than ``timeout`` to respond: the outcome is unknown."""


class ResponseTooLargeError(NoResponseError):
    """The response has more bytes, decoded, than ``max_response_size`` or ``max_download_size`` permits.

    The outcome is unknown, as for any response that was not read.
    """


class VerificationError(WeChatPayError):
    """The response cannot be verified as WeChat Pay's.

    Treat the outcome as unknown: the payment may or may not have happened.
    Query it; never assume either.
    """


class IncompleteHeadersError(VerificationError):
    """One of the ``Wechatpay-*`` signature headers is missing or malformed."""


class ClockSkewError(VerificationError):
    """The response was signed more than 300 s away from our clock.

    Attributes:
        skew: Our clock minus the signing time, in seconds.
    """

    def __init__(
        self,
        message: str = "",
        *,
        skew: int = 0,
        request: Request | None = None,
        response: Response | None = None,
    ) -> None:
        super().__init__(message, request=request, response=response)
        self.skew = skew


class UnknownSerialError(VerificationError):
    """The response names a platform key that is not among ``certs``.

    Attributes:
        serial: The serial number, or public key id, that the response names.
    """

    def __init__(
        self,
        message: str = "",
        *,
        serial: str = "",
        request: Request | None = None,
        response: Response | None = None,
    ) -> None:
        super().__init__(message, request=request, response=response)
        self.serial = serial


class SignatureError(VerificationError):
    """The signature does not belong to this body."""


class RedirectError(WeChatPayError):
    """The response is a 3xx. It is not followed: ``Authorization`` must not reach another host."""


def escape(text: str) -> str:
    """Escape line breaks, control characters and lone surrogates, so that a text cannot forge log lines."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def shorten(name: str) -> str:
    """Cut a long name that is wrong, for an error: it may be a key in the place of a name."""
    return name if len(name) < _KEY_LENGTH else f"{name[:16]}…"


#: Characters of the shortest key, the APIv2 key.
_KEY_LENGTH = 32


def ask_catalogue(function: Callable[..., _T], *arguments: Any, default: _T) -> _T:
    """Read the catalogue for the text of an error, which must not depend on a file.

    Args:
        function: Imports the catalogue, and returns what it knows.
        arguments: Its arguments.
        default: What to return if the catalogue cannot be read, which is logged once.
    """
    try:
        return function(*arguments)
    except Exception as error:  # noqa: BLE001  whatever it is, the error to be explained matters more
        if (kind := type(error).__name__) not in _logged:
            _logged.add(kind)
            logging.getLogger("wechatpay").warning("errors are not explained: %s: %s", kind, error)
        return default


#: The kinds of what kept the catalogue from being read, each logged once.
_logged: set[str] = set()


def describe_failure(request: Request, response: Response, code: str, message: str, hint: str = "") -> str:
    """Write the text of an `APIError`: what was called, status, code, message and Request-ID, explained.

    Args:
        request: The request that failed.
        response: The error response.
        code: WeChat Pay's error code, or ``""``.
        message: WeChat Pay's message.
        hint: What to do about it.
    """
    status, where = response.status_code, describe_path(request)
    if code:
        words = f"{escape(code)}: {escape(message)}"
        call = f"{request.method} {where}"
        unknown = "not explained: the catalogue cannot be read"
        if meaning := ask_catalogue(_explain_code, code, status, call, message, default=unknown):
            words += f" ({meaning})"
    else:
        kind = response.headers.get("Content-Type", "no Content-Type")
        words = f"no error code ({escape(kind)}, {len(response.content)} bytes: see .response.text)"
    reference = ""
    if request_id := response.request_id:
        explained = ask_catalogue(_explain_request_id, request_id, default="")
        reference = f" [Request-ID {escape(request_id)}{explained and f': {explained}'}]"
    return f"{request.method} {where} → {status} {words}{hint}{reference}"


def suggest(path: str, verb: str) -> str:
    """Suggest what may have been meant by a path: see `wechatpay.catalogue.check.suggest`."""
    return ask_catalogue(_suggest, path, verb, default="")


def _suggest(path: str, verb: str) -> str:
    from wechatpay.catalogue.check import suggest  # noqa: PLC0415  only mistakes need it

    return suggest(path, verb)


def describe_path(request: Request) -> str:
    """Return the path's URI template, which holds no business number; the path itself if there is none."""
    template = request.template.partition("?")[0].partition("{?")[0]
    return request.path if not template or "://" in template else template


def _explain_code(code: str, status: int, call: str, message: str) -> str:
    from wechatpay.catalogue import explain_code  # noqa: PLC0415  read by errors only

    return _explain(_certain_meaning(explain_code(code, status, call, message=message), message))


def _explain_request_id(request_id: str) -> str:
    from wechatpay.catalogue import explain_request_id  # noqa: PLC0415  read by errors only

    # A Request-ID that ends in 0 says that nothing failed.
    return _explain(None if request_id.endswith("-0") else explain_request_id(request_id))


def describe_unsent(what: str, error: Exception) -> ConnectError:
    """Make the error of a call that was not sent, because another request that it needs failed.

    Args:
        what: What the call needs, and could not get.
        error: Why the other request failed. Only texts of ours are quoted: that of a foreign error, such as a
            remote signer's, may hold a secret.
    """
    ours = error if isinstance(error, WeChatPayError) else None
    return ConnectError(
        f"nothing was sent: {what} ({ours or type(error).__name__})",
        request=ours.request if ours else None,
        response=ours.response if ours else None,
    )


def _certain_meaning(found: list[Explanation], message: str) -> Explanation | None:
    """Choose the explanation of this very message; else the one that holds whatever the message is."""
    if same := [each for each in found if each.message == message]:
        return same[0]
    general = [each for each in found if each.api == "*"]
    if len(general) != 1:
        general = [each for each in general or found if len(found) == 1 or each.message in _GENERAL_MESSAGES]
    return general[0] if general else None


#: Messages that say no more than their code: what explains them explains every message of the code.
_GENERAL_MESSAGES = frozenset({"参数错误", "商户无权限", "系统异常，请稍后重试"})


def _explain(explanation: Explanation | None) -> str:
    return "; ".join(filter(None, (explanation.meaning, explanation.remedy))) if explanation else ""


class APIError(WeChatPayError):
    """The gateway returned an error.

    Attributes:
        status_code: HTTP status.
        code: WeChat Pay's error code (``code`` in v3, ``err_code`` or ``return_code`` in v2), or ``""``.
        message: WeChat Pay's own message, or ``""``.
        detail: The response's ``detail`` (v3), or ``None``. Left out of pickles: it can echo what was sent.
        request_id: WeChat Pay's ``Request-ID``, to quote to its support, or ``None``.
        retryable: Whether the same request, with the same business number, may be sent again.
        verified: Whether the response has a valid signature of WeChat Pay's.
    """

    def __init__(  # noqa: PLR0913  keywords, one for each attribute
        self,
        text: str = "",
        *,
        status_code: int = 0,
        code: str = "",
        message: str = "",
        detail: Any = None,
        retryable: bool = False,
        verified: bool = False,
        request: Request | None = None,
        response: Response | None = None,
    ) -> None:
        super().__init__(text, request=request, response=response)
        self.status_code = status_code
        self.code = code
        self.message = message
        self.detail = detail
        self.retryable = retryable
        self.verified = verified

    @property
    def request_id(self) -> str | None:
        """WeChat Pay's ``Request-ID`` of the response."""
        return self.response.request_id if self.response else None

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"detail": None}


class ServerError(APIError):
    """The outcome is unknown. Query before you repeat.

    The gateway failed (5xx, v2 ``SYSTEMERROR``, ``BANKERROR``), or has not decided yet (v2 ``USERPAYING``,
    ``ORDER_ACCEPTED``).
    """


class NotificationError(WeChatPayError):
    """A callback that must not be acted on; :mod:`wechatpay.notification.errors` has its kinds.

    Attributes:
        status: HTTP status of the reply: 4xx when the sender is at fault, 5xx when we are.
        reason: What the reply says; less than the message does, as anybody may have sent the callback.
        version: ``"v3"`` or ``"v2"``, which the reply has to be laid out for.
    """

    status = 400
    reason = "the callback was not accepted"
    version = "v3"

    @property
    def reply(self) -> Reply:
        """The reply to the callback, which has it delivered again."""
        from wechatpay.notification.reply import build_failure  # noqa: PLC0415  errors stand below all else

        return build_failure(self.version, self.reason, self.status)
