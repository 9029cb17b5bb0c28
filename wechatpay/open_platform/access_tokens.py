"""The keeper of an app's access token: one fetch for all who wait, in this process and in others.

https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/mp-access-token/getStableAccessToken.html
"""

from __future__ import annotations

import contextlib
import copy
import secrets
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from wechatpay import jsontext
from wechatpay.errors import DecodeError, WeChatPayError
from wechatpay.logs import log_step
from wechatpay.messages import Request
from wechatpay.middleware import Blocking, Pause
from wechatpay.platform.flight import Flight
from wechatpay.process import PerProcess
from wechatpay.tokens import Token
from wechatpay.tokens.store import LEASE_SECONDS

if TYPE_CHECKING:
    from wechatpay.messages import Headers, Response, Timeout
    from wechatpay.middleware import Handler
    from wechatpay.open_platform.settings import App

__all__ = ["Keeper", "Steps"]

_ROUTE = "cgi-bin/stable_token"

#: Seconds before a token expires in which it is no longer used. In the last 300 the platform hands out the
#: next one, and both are good; any earlier, it would give the same one again.
_MARGIN = 240.0

#: Of short-lived tokens, at most this part.
_SHARE = 0.1

#: Seconds to connect and to read, at most: a lock is open again before a fetch is late.
_LONGEST = (5.0, 15.0)

#: Seconds to wait for another's fetch: those in which its lock opens, and a little.
_PATIENCE = LEASE_SECONDS + 5.0

T = TypeVar("T")

#: Yields effects, as a flow does.
Steps = Generator[Any, Any, T]


@dataclass(frozen=True, slots=True, repr=False)
class _Errand:
    """A call that needs a token.

    Attributes:
        request: What the caller sends.
        proceed: The rest of the stack.
        refused: The token that was refused, or ``None``.
        place: Where the platform is, for this call.
        key: What the token is kept under: the appid and the place.
    """

    request: Request
    proceed: Handler
    refused: Token | None
    place: str
    key: str


class Keeper:
    """Keeps one app's tokens, and fetches new ones; its steps run in either colour."""

    def __init__(self, app: App, headers: Headers, clock: Callable[[], float]) -> None:
        self._app = app
        self._headers = headers
        self._clock = clock
        self._held: dict[str, Token] = {}
        self._fetches = PerProcess(_Fetches)

    def current(self, request: Request, proceed: Handler, refused: Token | None = None) -> Steps[Token]:
        """Give a token that is good, as far as one can know; a generator of effects.

        Args:
            request: What it is for.
            proceed: Sends what fetches one.
            refused: The last one, if the platform did not take it.

        Raises:
            APIError: The platform gives none.
            DecodeError: It answers something else.
            TransportError: It, or the store, gives no answer.
            ConfigurationError: The store is a file that cannot be used.
        """
        place = _place(request)
        key = f"{self._app.appid}@{place.partition('://')[2]}"
        errand = _Errand(request, proceed, refused, place, key)
        while (token := self._held.get(key)) is None or not self._is_good(token, refused):
            fetch, is_ours = self._fetches.get().join(key)
            if is_ours:
                return (yield from self._fetch(fetch, errand))
            if not (yield Blocking(fetch.flight, _PATIENCE)):
                # A loop that stopped, or that waits for this very call, will never land it.
                return (yield from self._renewed(errand))
            if fetch.error is not None:
                # Each has a traceback of its own.
                raise copy.copy(fetch.error)
        return token

    def _is_good(self, token: Token | None, refused: Token | None) -> bool:
        return (
            token is not None
            and token.good_until > self._clock()
            and (refused is None or token.value != refused.value)
        )

    def _fetch(self, fetch: _Fetch, errand: _Errand) -> Steps[Token]:
        fetches = self._fetches.get()
        try:
            return (yield from self._locked(errand))
        except WeChatPayError as error:
            fetch.error = error
            raise
        finally:
            fetches.end(errand.key, fetch)

    def _locked(self, errand: _Errand) -> Steps[Token]:
        """Renew under the store's lock; without it when its holder is late: to ask twice does no harm."""
        store, lease = self._app.tokens, secrets.token_hex(8)
        try:
            for pause in _pauses():
                kept = yield Blocking(store.get, errand.key)
                if self._is_good(kept, errand.refused):
                    return self._hold(errand.key, kept)
                if (yield Blocking(store.acquire, errand.key, lease)):
                    break
                yield Pause(pause)
            token = yield from self._renewed(errand)
        except GeneratorExit:
            # Nobody performs effects any more: the lock opens by itself.
            raise
        except BaseException:
            with contextlib.suppress(WeChatPayError):
                yield Blocking(store.release, errand.key, lease)
            raise
        yield Blocking(store.release, errand.key, lease)
        return token

    def _renewed(self, errand: _Errand) -> Steps[Token]:
        store = self._app.tokens
        kept = yield Blocking(store.get, errand.key)
        if self._is_good(kept, errand.refused):
            return self._hold(errand.key, kept)
        token = yield from self._asked(errand, force=False)
        if errand.refused is not None and token.value == errand.refused.value:
            # The platform believes in a token that it refuses: only force gets another one.
            token = yield from self._asked(errand, force=True)
        self._hold(errand.key, token)
        yield Blocking(store.put, errand.key, token)
        return token

    def _hold(self, key: str, token: Token) -> Token:
        self._held[key] = token
        return token

    def _asked(self, errand: _Errand, *, force: bool) -> Steps[Token]:
        now = self._clock()
        log_step(
            errand.request, "asking for a new access_token of %s%s", self._app.appid, ", by force" * force
        )
        response = yield from errand.proceed(self._question(errand, force=force))
        return _token(response, now)

    def _question(self, errand: _Errand, *, force: bool) -> Request:
        content = jsontext.encode(
            {"grant_type": "client_credential", "appid": self._app.appid, "secret": self._app.secret}
            | ({"force_refresh": True} if force else {})
        )
        return Request(
            method="POST",
            url=errand.place + _ROUTE,
            headers=self._headers.with_(
                {"Content-Type": "application/json", "Content-Length": str(len(content))}
            ),
            content=content,
            timeout=_brief(errand.request.timeout),
            route=_ROUTE,
            debug=errand.request.debug,
        )


def _place(request: Request) -> str:
    """Find the folder that the request's route stands in."""
    url = request.url.partition("?")[0]
    if request.route and url.endswith(f"/{request.route}"):
        return url.removesuffix(request.route)
    return url[: url.index("/", url.index("//") + 2) + 1]


def _brief(timeout: Timeout) -> Timeout:
    connect, read = (
        most if seconds is None else min(seconds, most)
        for seconds, most in zip(timeout, _LONGEST, strict=True)
    )
    return connect, read


def _token(response: Response, asked: float) -> Token:
    match response.json():
        case {"access_token": str() as value, "expires_in": int() as seconds} if value and seconds > 0:
            return Token(value, asked + seconds - min(_MARGIN, seconds * _SHARE))
    # Without the answer: there may be a token in it.
    raise DecodeError(f"{_ROUTE} answered no access_token with its expires_in")


def _pauses() -> Iterator[float]:
    """Count the seconds between two looks, ever more of them, until patience is at its end."""
    seconds, waited = 0.01, 0.0
    while waited < _PATIENCE:
        yield seconds
        waited += seconds
        seconds = min(seconds * 1.3, 0.25)


class _Fetch:
    """A fetch on its way.

    Attributes:
        flight: Waits for it.
        error: Why it failed, once it has.
    """

    def __init__(self) -> None:
        self.flight = Flight()
        self.error: WeChatPayError | None = None


class _Fetches:
    """The fetches of this process that are on their way, by key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fetches: dict[str, _Fetch] = {}

    def join(self, key: str) -> tuple[_Fetch, bool]:
        """Give the fetch that is on its way, or a new one; tell whether it is new."""
        with self._lock:
            if (fetch := self._fetches.get(key)) is not None:
                return fetch, False
            self._fetches[key] = fetch = _Fetch()
            return fetch, True

    def end(self, key: str, fetch: _Fetch) -> None:
        """Let those who wait go on."""
        with self._lock:
            del self._fetches[key]
        fetch.flight.land()
