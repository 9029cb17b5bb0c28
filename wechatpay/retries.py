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
    ServerError,
    WeChatPayError,
)
from wechatpay.logs import log_step
from wechatpay.middleware import Pause

if TYPE_CHECKING:
    from wechatpay.messages import Request
    from wechatpay.middleware import Flow, Handler, Middleware

__all__ = ["retry"]


def retry(attempts: int = 3, *, delay: float = 1.0, most: float = 30.0) -> Middleware:
    """Make a middleware that sends again what may be sent again, backing off.

    It repeats requests for which no connection could be made, errors after which WeChat Pay says to repeat
    (``APIError.retryable``: rate limits and ``SYSTEM_ERROR``), and, for GET only, requests whose outcome is
    unknown. Each attempt is the same request, with the same business number. It stands outside the signer,
    so each attempt has a nonce and a timestamp of its own::

        instance.getDriver().select("v3").stack.push(retry())

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
        wait = float(delay)
        for attempt in range(1, attempts):
            try:
                return (yield from proceed(request))
            except WeChatPayError as error:
                if not _may_repeat(request, error):
                    raise
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
        return (yield from proceed(request))

    return retry


def _are_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _may_repeat(request: Request, error: WeChatPayError) -> bool:
    if isinstance(error, ConnectError) or (isinstance(error, APIError) and error.retryable):
        return True
    return request.method == "GET" and isinstance(error, NoResponseError | ServerError)
