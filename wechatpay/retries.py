"""Sending again, for callers who opt in: ``stack.push(retry())``."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

from wechatpay.errors import (
    APIError,
    ConfigurationError,
    ConnectError,
    NoResponseError,
    RedirectError,
    ServerError,
    VerificationError,
    WeChatPayError,
)
from wechatpay.logs import log_step
from wechatpay.middleware import Pause

if TYPE_CHECKING:
    from wechatpay.messages import Request
    from wechatpay.middleware import Flow, Handler, Middleware

__all__ = ["retry"]

#: Errors that leave open whether the request was executed.
_UNKNOWN_OUTCOME = (NoResponseError, RedirectError, ServerError, VerificationError)

#: Codes that say what the state of the order, refund or contract is that the request names. Others, such as
#: NO_AUTH, NOT_ENOUGH or OUT_TRADE_NO_USED, do not say whether an earlier attempt was executed.
_STATE_CODES = frozenset(
    {
        "ALREADY_EXISTS",
        "ORDERCLOSED",
        "ORDERNOTEXIST",
        "ORDERPAID",
        "ORDERREVERSED",
        "ORDER_CANCELED",
        "ORDER_CLOSED",
        "ORDER_DONE",
        "ORDER_NOT_EXIST",
        "ORDER_PAID",
        "ORDER_REVERSED",
        "REFUNDNOTEXIST",
        "RESOURCE_NOT_EXISTS",
    }
)


def retry(attempts: int = 3, *, delay: float = 1.0, most: float = 30.0) -> Middleware:
    """Make a middleware that sends again what may be sent again, backing off.

    It repeats requests for which no connection could be made, errors after which WeChat Pay says to repeat
    (``APIError.retryable``: rate limits and ``SYSTEM_ERROR``), and, for GET only, requests whose outcome is
    unknown. Each attempt is the same request, with the same business number. It stands outside the signer,
    so each attempt has a nonce and a timestamp of its own::

        instance.getDriver().select("v3").stack.push(retry())

    If all attempts fail, the error of the last one is raised, with these exceptions. The earlier error is
    raised then, with the last one as its ``__cause__``:

    * An attempt's outcome is unknown (``SYSTEM_ERROR``), and the last attempt does not settle it. It is
      settled by a response, and by a verified error whose code says what the state of the order is, such as
      ``ORDERPAID``, ``ORDER_CLOSED`` or ``RESOURCE_NOT_EXISTS``. A connection failure, 401, 429, ``NO_AUTH``,
      ``PARAM_ERROR``, ``NOT_ENOUGH`` and all other codes do not settle it. For a GET any error response does.
    * An attempt was sent, and the last one was not: `ConnectError` means that no attempt was sent.

    Args:
        attempts: How often to send at most, 1 or more.
        delay: Seconds before the second attempt; doubled for each further one, up to a half more at random.
        most: Longest pause in seconds.

    Raises:
        ConfigurationError: A number is out of range.

    See https://pay.weixin.qq.com/doc/v3/merchant/4012081709.
    """
    if not isinstance(attempts, int) or isinstance(attempts, bool) or attempts < 1:
        raise ConfigurationError("retry: attempts is a whole number, 1 or more")
    if not (_are_seconds(delay) and _are_seconds(most)):
        raise ConfigurationError("retry: delay and most are seconds, 0 or more")

    def retry(request: Request, proceed: Handler) -> Flow:
        wait, attempt = float(delay), 1
        outcome: WeChatPayError | None = None
        try:
            while True:
                try:
                    return (yield from proceed(request))
                except WeChatPayError as error:
                    if outcome is None or _supersedes(error, outcome, request):
                        outcome = error
                    if attempt == attempts or not _may_repeat(request, error):
                        if outcome is error:
                            raise
                        raise outcome from error
                    pause = min(most, wait * random.uniform(1.0, 1.5))  # noqa: S311  no secret
                    log_step(
                        request,
                        "attempt %s of %s failed (%s): again in %.1f s",
                        attempt,
                        attempts,
                        type(error).__name__,
                        pause,
                    )
                yield Pause(pause)
                wait *= 2
                attempt += 1
        finally:
            # The error's traceback has this frame: no reference cycle.
            outcome = None

    return retry


def _are_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _may_repeat(request: Request, error: WeChatPayError) -> bool:
    if isinstance(error, ConnectError) or (isinstance(error, APIError) and error.retryable):
        return True
    return request.method == "GET" and isinstance(error, NoResponseError | ServerError)


def _supersedes(later: WeChatPayError, earlier: WeChatPayError, request: Request) -> bool:
    """Return whether the error of a later attempt says all that is to be known of both attempts."""
    if isinstance(earlier, ConnectError) or isinstance(later, _UNKNOWN_OUTCOME):
        return True
    if not isinstance(later, APIError):
        return False  # the later attempt was not sent, the earlier one was
    is_open = isinstance(earlier, _UNKNOWN_OUTCOME) and request.method != "GET"
    return not is_open or (later.verified and later.code in _STATE_CODES)
