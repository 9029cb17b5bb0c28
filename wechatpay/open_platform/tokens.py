"""The middleware ``token``: it authenticates requests with the app's access token or its secret.

An access token is requested once for all threads and tasks that wait for it.

https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/mp-access-token/getStableAccessToken.html
"""

from __future__ import annotations

import contextlib
import copy
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from wechatpay import jsontext, uri
from wechatpay.errors import (
    APIError,
    ConfigurationError,
    ConnectError,
    DecodeError,
    NoResponseError,
    RedirectError,
    ServerError,
    WeChatPayError,
    describe_unsent,
)
from wechatpay.logs import log_step
from wechatpay.messages import Request
from wechatpay.middleware import Blocking, Pause
from wechatpay.open_platform.stores import LOCK_TTL, Token
from wechatpay.process import PerProcess
from wechatpay.secret import Secret
from wechatpay.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from wechatpay.messages import Headers, Response, Timeout
    from wechatpay.middleware import Flow, Handler, Steps
    from wechatpay.open_platform.settings import App, OpenPlatformSettings

__all__ = ["TOKEN_NAMES", "AccessTokens", "Authenticator", "add_query", "query_values"]

#: Names of tokens in the query: a request with one of them needs no other.
TOKEN_NAMES = ("access_token", "component_access_token")

_FETCH_ROUTE = "cgi-bin/stable_token"

#: Paths that take the app's secret in the query instead of a token.
_SECRET_IN_QUERY = frozenset({"cgi-bin/token", "sns/jscode2session", "sns/oauth2/access_token"})

#: Paths whose body carries all credentials. (Under ``sns/`` it is a user's token, or the secret.)
_SECRET_IN_BODY = frozenset({"cgi-bin/clear_quota/v2", "cgi-bin/component/api_component_token", _FETCH_ROUTE})

#: The access token is not, or no longer, the app's. 40014 is the code for another app's token.
_TOKEN_REFUSED = frozenset({"40001", "40014", "42001"})

#: Seconds before a token expires in which it is no longer used. In the last 300 s the platform hands out the
#: next token, and both are good; earlier it would return the same one again.
_MARGIN = 240.0

#: Upper bound of the margin, as a share of a token's lifetime.
_MARGIN_SHARE = 0.1

#: Seconds to connect and to read at most, so that a token request ends before its lock expires.
_MAX_TIMEOUT = (5.0, 15.0)

#: Seconds before a token that ``force_refresh`` returned is replaced by another: WeChat permits 20 a day.
_FORCE_INTERVAL = 600.0

#: Seconds to wait for another's token request: its lock expires in that time.
_MAX_WAIT = LOCK_TTL + 5.0


def query_values(request: Request) -> dict[str, list[str]]:
    """Parse the query: all values of each name, blank ones too."""
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(request.target.partition("?")[2], keep_blank_values=True):
        values.setdefault(name, []).append(value)
    return values


def add_query(request: Request, parameters: Mapping[str, str]) -> Request:
    """Append parameters to the query."""
    url, _, query = request.url.partition("?")
    return request.with_(url=f"{url}?{uri.query(parameters, query)}")


class Authenticator:
    """Adds the app's token, or its id and secret, to requests that need them; a middleware.

    A token or secret that the caller passes is left alone. In WeChat's cloud hosting nothing is added.
    """

    def __init__(self, settings: OpenPlatformSettings, headers: Headers, clock: Callable[[], float]) -> None:
        self._app = settings.app
        self._cloud = settings.cloud
        self._tokens = AccessTokens(settings.app, headers, clock) if settings.app else None

    def __call__(self, request: Request, proceed: Handler) -> Flow:
        """Send with a token; replace the token and send once more if it is refused.

        Raises:
            APIError: The token is refused, and so is its replacement, or none could be requested.
            ConfigurationError: A token is needed, and the setting ``app`` was left out.
        """
        if request.route in _SECRET_IN_QUERY:
            request = self._with_secret(request)
        if not self._needs_token(request):
            return (yield from proceed(request))
        if self._tokens is None:
            raise ConfigurationError(
                f"{request.path} needs an access_token: pass it in the query, or give the Builder "
                'app={"appid": …, "secret": …} (or cloud=True in WeChat\'s cloud hosting)'
            )
        token = yield from self._tokens.get(request, proceed)
        try:
            return (yield from proceed(_with_token(request, token)))
        except APIError as refusal:
            if refusal.code not in _TOKEN_REFUSED:
                raise
            log_step(request, "the access_token was refused (%s): replacing it, sending again", refusal.code)
            try:
                token = yield from self._tokens.get(request, proceed, refused=token)
            except ConnectError as error:
                # It says that nothing was sent. The call was, and had no effect.
                refusal.retryable = True
                raise refusal from error
        return (yield from proceed(_with_token(request, token)))

    def _needs_token(self, request: Request) -> bool:
        if self._cloud or request.route.startswith("sns/"):
            return False
        if request.route in _SECRET_IN_QUERY or request.route in _SECRET_IN_BODY:
            return False
        return query_values(request).keys().isdisjoint(TOKEN_NAMES)

    def _with_secret(self, request: Request) -> Request:
        values = query_values(request)
        app = self._app
        if app is None or "secret" in values or values.get("appid", [app.appid]) != [app.appid]:
            return request
        if "appid" not in values:
            request = add_query(request, {"appid": app.appid})
        try:
            return add_query(request, {"secret": app.secret})
        except BaseException as error:
            # Ctrl-C, a timer: error trackers show local variables, and the frames below hold the secret.
            error.__traceback__ = None
            raise


def _with_token(request: Request, token: Token) -> Request:
    try:
        return add_query(request, {"access_token": token.value})
    except BaseException as error:
        # As above.
        error.__traceback__ = None
        raise


@dataclass(frozen=True, slots=True, repr=False)
class _TokenRequest:
    """What a token is needed for.

    Attributes:
        request: The request that needs the token.
        proceed: The rest of the stack, which sends the token request.
        refused: The token that was refused, or ``None``.
        base_uri: Where the token is requested.
        key: Key of the token in the store: the appid and the base URI.
    """

    request: Request
    proceed: Handler
    refused: Token | None
    base_uri: str
    key: str


class AccessTokens:
    """The access tokens of one app: one request in flight per token, sync and async."""

    def __init__(self, app: App, headers: Headers, clock: Callable[[], float]) -> None:
        self._app = app
        self._headers = headers
        self._clock = clock
        self._tokens: dict[str, Token] = {}
        self._in_flight = PerProcess[dict[str, _Fetch]](dict)
        self._forced: tuple[Token | None, float] = (None, 0.0)

    def get(self, request: Request, proceed: Handler, refused: Token | None = None) -> Steps[Token]:
        """Return a token that is good, requesting one if necessary; a generator of effects.

        Args:
            request: The request that needs the token.
            proceed: Sends the token request.
            refused: The token that the platform refused, if any.

        Raises:
            APIError: The platform refuses the token request.
            ConnectError: The platform, or the store, does not respond, or the response holds no token.
            ConfigurationError: The store is a file that cannot be used.
        """
        base_uri = _base_uri(request)
        key = f"{self._app.appid}@{base_uri.partition('://')[2]}"
        needed = _TokenRequest(request, proceed, refused, base_uri, key)
        while (token := self._tokens.get(key)) is None or not self._is_good(token, refused):
            fetch, is_ours = self._join(key)
            if is_ours:
                return (yield from self._fetch(fetch, needed))
            if not (yield Blocking(fetch.flight, _MAX_WAIT)):
                # A loop that stopped, or that waits for this very call, never finishes the request.
                return (yield from self._refresh(needed))
            if fetch.error is not None:
                # Each waiting call raises an error with a traceback of its own.
                raise copy.copy(fetch.error)
        return token

    def _is_good(self, token: Token | None, refused: Token | None) -> bool:
        return (
            token is not None
            and token.good_until > self._clock()
            and (refused is None or token.value != refused.value)
        )

    def _join(self, key: str) -> tuple[_Fetch, bool]:
        """Return the token request in flight, or a new one, and whether it is new."""
        in_flight = self._in_flight.get()
        if (fetch := in_flight.get(key)) is not None and fetch.deadline <= time.monotonic():
            in_flight.pop(key, None)
        # Atomic: no lock that an interruption could leave locked.
        new = _Fetch()
        fetch = in_flight.setdefault(key, new)
        return fetch, fetch is new

    def _fetch(self, fetch: _Fetch, needed: _TokenRequest) -> Steps[Token]:
        in_flight = self._in_flight.get()
        try:
            return (yield from self._refresh_locked(needed))
        except WeChatPayError as error:
            fetch.error = copy.copy(error)  # without its traceback, which has this frame
            raise
        finally:
            if in_flight.get(needed.key) is fetch:
                in_flight.pop(needed.key, None)
            fetch.flight.finish()

    def _refresh_locked(self, needed: _TokenRequest) -> Steps[Token]:
        """Refresh under the store's lock; without it if its holder takes too long, which does no harm."""
        store, owner = self._app.tokens, secrets.token_hex(8)
        try:
            for pause in _pauses():
                stored = yield Blocking(store.get, needed.key)
                if self._is_good(stored, needed.refused):
                    return self._remember(needed.key, stored)
                if (yield Blocking(store.acquire, needed.key, owner, final=True)):
                    break
                yield Pause(pause)
            token = yield from self._refresh(needed)
        except GeneratorExit:
            # The call was dropped, nobody runs effects any more: the lock expires by itself.
            raise
        except BaseException:
            with contextlib.suppress(WeChatPayError):
                yield Blocking(store.release, needed.key, owner, final=True)
            raise
        yield Blocking(store.release, needed.key, owner, final=True)
        return token

    def _refresh(self, needed: _TokenRequest) -> Steps[Token]:
        store = self._app.tokens
        stored = yield Blocking(store.get, needed.key)
        if self._is_good(stored, needed.refused):
            return self._remember(needed.key, stored)
        token = yield from self._request_token(needed, force=False)
        if needed.refused is not None and token.value == needed.refused.value and self._may_force(token):
            # The platform returns a token that it refuses: only force_refresh gets another one.
            token = yield from self._request_token(needed, force=True)
            self._forced = token, self._clock()
        try:
            yield Blocking(store.put, needed.key, token, final=True)
        except WeChatPayError:
            # Later calls of this process may use it all the same.
            self._remember(needed.key, token)
            raise
        return self._remember(needed.key, token)

    def _may_force(self, token: Token) -> bool:
        """Return whether ``force_refresh`` may help: not if what it just returned is refused, too."""
        forced, at = self._forced
        return forced is None or token.value != forced.value or self._clock() - at >= _FORCE_INTERVAL

    def _remember(self, key: str, token: Token) -> Token:
        self._tokens[key] = token
        return token

    def _request_token(self, needed: _TokenRequest, *, force: bool) -> Steps[Token]:
        now = self._clock()
        log_step(
            needed.request,
            "requesting an access_token of %s%s",
            self._app.appid,
            ", with force_refresh" * force,
        )
        request = self._build(needed, force=force)
        try:
            return _read_token((yield from needed.proceed(request)), now)
        except (DecodeError, NoResponseError, RedirectError, ServerError) as error:
            # Their texts are about the token request: the caller would query, and nothing was sent.
            error.request = error.request or request
            raise describe_unsent(
                "the access_token that the call needs could not be requested", error
            ) from None

    def _content(self, *, force: bool) -> bytes:
        try:
            return jsontext.encode(
                {"grant_type": "client_credential", "appid": self._app.appid, "secret": self._app.secret}
                | ({"force_refresh": True} if force else {})
            )
        except BaseException as error:
            # As in _with_secret.
            error.__traceback__ = None
            raise

    def _build(self, needed: _TokenRequest, *, force: bool) -> Request:
        request = Request(
            method="POST",
            url=needed.base_uri + _FETCH_ROUTE,
            headers=self._headers.with_({"Content-Type": "application/json"}),
            timeout=_limit(needed.request.timeout),
            route=_FETCH_ROUTE,
            debug=needed.request.debug,
        )
        return request.with_(content=self._content(force=force))


def _base_uri(request: Request) -> str:
    """Return the part of the URL in front of the route."""
    url = request.url.partition("?")[0]
    if request.route and url.endswith(f"/{request.route}"):
        return url.removesuffix(request.route)
    return url[: url.index("/", url.index("//") + 2) + 1]


def _limit(timeout: Timeout) -> Timeout:
    connect, read = (
        most if seconds is None else min(seconds, most)
        for seconds, most in zip(timeout, _MAX_TIMEOUT, strict=True)
    )
    return connect, read


def _read_token(response: Response, requested_at: float) -> Token:
    if token := Secret(response.json()).pass_to(_parse_token, requested_at):
        return token
    # Without the response: it may hold a token.
    raise DecodeError(f"{_FETCH_ROUTE}: the response holds no access_token with its expires_in")


def _parse_token(fields: Any, requested_at: float) -> Token | None:
    match fields:
        case {"access_token": str() as value, "expires_in": int() as seconds} if value and seconds > 0:
            return Token(value, requested_at + seconds - min(_MARGIN, seconds * _MARGIN_SHARE))
    return None


def _pauses() -> Iterator[float]:
    """Yield seconds to wait between two attempts to lock, growing, until `_MAX_WAIT` is used up."""
    seconds, waited = 0.01, 0.0
    while waited < _MAX_WAIT:
        yield seconds
        waited += seconds
        seconds = min(seconds * 1.3, 0.25)


class _Fetch:
    """A token request in flight.

    Attributes:
        flight: Waits for it.
        error: Why it failed, once it has.
        deadline: ``time.monotonic()`` after which it was interrupted, and never finishes.
    """

    def __init__(self) -> None:
        self.deadline = time.monotonic() + _MAX_WAIT
        self.flight = SingleFlight()
        self.error: WeChatPayError | None = None
