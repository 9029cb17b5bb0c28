"""Access tokens: handed out, expired, retired.

https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/mp-access-token/getStableAccessToken.html
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wechatpay.sandbox.openplatform.errcode import RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Tokens"]

#: Seconds that a token is good for.
_LIFETIME = 7200

#: Seconds before a stable token's end in which the next one is handed out, and both are good.
_OVERLAP = 300


@dataclass(slots=True)
class _Token:
    value: str = field(repr=False)
    until: float
    is_retired: bool = False


class Tokens:
    """The access tokens of one app, from two endpoints that do not know of each other's."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._issued: dict[str, _Token] = {}
        self._stable: _Token | None = None
        self._plain: _Token | None = None

    def stable(self, *, force: bool) -> tuple[str, int]:
        """Hand out the token there is, or a new one when it is about to end; by force, a new one at once.

        Returns:
            The token, and for how many seconds it is good.
        """
        token = self._stable
        if token is None or force or token.until - self._clock() <= _OVERLAP:
            if token is not None:
                token.is_retired = force
            self._stable = token = self._issue()
        return token.value, int(token.until - self._clock())

    def plain(self) -> tuple[str, int]:
        """Hand out a new token, and retire the last one.

        Returns:
            The token, and for how many seconds it is good.
        """
        if self._plain is not None:
            self._plain.is_retired = True
        self._plain = self._issue()
        return self._plain.value, _LIFETIME

    def check(self, value: str) -> None:
        """Let a token pass that is good.

        Raises:
            RefusalError: It is missing, unknown, expired or retired.
        """
        if not value:
            raise RefusalError(41001, "access_token missing")
        token = self._issued.get(value)
        if token is None:
            raise RefusalError(40014, "invalid access_token")
        if token.until <= self._clock():
            raise RefusalError(42001, "access_token expired")
        if token.is_retired:
            raise RefusalError(40001, "invalid credential, access_token is invalid or not latest")

    def _issue(self) -> _Token:
        token = _Token(f"98_{secrets.token_urlsafe(96)}", self._clock() + _LIFETIME)
        self._issued[token.value] = token
        return token
