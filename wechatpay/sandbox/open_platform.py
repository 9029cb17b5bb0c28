"""The open platform, ``api.weixin.qq.com``, as far as payments need it: access tokens and unionids.

Its responses are JSON with an ``errcode`` and status 200, never signed.
https://developers.weixin.qq.com/doc/offiaccount/Getting_Started/Global_Return_Code.html
https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/mp-access-token/getStableAccessToken.html
https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/user-info/basic-info/getPaidUnionid.html
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from wechatpay.messages import Headers
from wechatpay.sandbox import test_users
from wechatpay.sandbox.api import Api
from wechatpay.sandbox.faults.injections import HEADER
from wechatpay.sandbox.messages import HttpResponse
from wechatpay.sandbox.signing import Signer
from wechatpay.uri.hosts import OPEN_PLATFORM_FOLDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wechatpay.sandbox.keys import Identity
    from wechatpay.sandbox.ledger import Ledger
    from wechatpay.sandbox.messages import HttpRequest
    from wechatpay.sandbox.orders import Order

__all__ = ["OpenPlatform"]


#: As it stands in the platform's own responses.
_TYPE = Headers({"Content-Type": "application/json; encoding=utf-8"})


class RefusalError(Exception):
    """A request that the platform refuses: its ``errcode`` and ``errmsg``."""


def _response(value: Any, status: int = 200) -> HttpResponse:
    """Make a response."""
    made = HttpResponse.json(value, status)
    return replace(made, headers=made.headers.with_(_TYPE))


def _refuse(code: int, message: str, status: int = 200) -> HttpResponse:
    """Make an error response; errors have status 200, too."""
    return _response({"errcode": code, "errmsg": f"{message} rid: {secrets.token_hex(4)}"}, status)


def _errcode(response: HttpResponse) -> str:
    """Return the ``errcode`` of a response, or ``""``."""
    try:
        return str(json.loads(response.body)["errcode"] or "")
    except (ValueError, KeyError, TypeError):
        return ""


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

    def issued(self, value: str) -> bool:
        """Return whether a token was issued here, still good or not."""
        return value in self._issued

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


#: Seconds after a payment in which its payer's unionid is available.
_WINDOW = 300


class Payers:
    """Tells who paid, by order."""

    def __init__(self, identity: Identity, clock: Callable[[], float], ledger: Ledger) -> None:
        self._appid = identity.app["appid"]
        self._clock = clock
        self._ledger = ledger

    def unionid(self, given: Mapping[str, str]) -> str:
        """Tell the unionid of whoever paid an order.

        Args:
            given: The parameters of the query.

        Raises:
            RefusalError: Nobody has that openid, the app is bound to no account, or this openid paid no such
                order in this app within five minutes.
        """
        openid, order = given.get("openid", ""), self._order(given)
        if test_users.standing(openid) is None:
            raise RefusalError(40003, "invalid openid")
        if openid.endswith(test_users.UNBOUND):
            raise RefusalError(89002, "open not exists: the app is bound to no open platform account")
        if order is None or order.payment is None or order.appid != self._appid:
            raise RefusalError(89300, "invalid transaction")
        if order.payment.openid != openid or self._clock() - order.payment.at > _WINDOW:
            raise RefusalError(89300, "invalid transaction")
        return f"oTmHY{test_users.number(openid, 23)}"

    def _order(self, given: Mapping[str, str]) -> Order | None:
        ledgers = self._ledger.ledgers
        if number := given.get("transaction_id"):
            found = (ledger.find(transaction_id=number) for ledger in ledgers.values())
            return next(filter(None, found), None)
        ledger = ledgers.get(given.get("mch_id", ""))
        return ledger.find(out_trade_no=given.get("out_trade_no", "")) if ledger else None


class OpenPlatform(Api):
    """Handles what begins ``wxa/``, ``cgi-bin/`` or ``sns/``, and refuses WeChat Pay's credentials."""

    protocol = "mp"

    def __init__(self, identity: Identity, clock: Callable[[], float], ledger: Ledger) -> None:
        """Begin without tokens.

        Args:
            identity: Whose app.
            clock: Returns Unix seconds.
            ledger: Knows who paid what.
        """
        self._app = identity.app
        self._tokens = Tokens(clock)
        self._payers = Payers(identity, clock, ledger)
        self._endpoints: Mapping[str, tuple[str, Callable[[HttpRequest], dict[str, Any]]]] = {
            "/cgi-bin/stable_token": ("POST", self._stable_token),
            "/cgi-bin/token": ("GET", self._token),
            "/wxa/getpaidunionid": ("GET", self._paid_unionid),
        }

    def accepts(self, request: HttpRequest) -> bool:
        """Return whether a request is the open platform's, whatever it carries."""
        # APIv2's customs have a folder of that name, too.
        return request.segments[0] in OPEN_PLATFORM_FOLDERS and request.segments[1:2] != ("mch",)

    def concerns(self, request: HttpRequest) -> bool:
        """Return whether it names the merchant's app, or carries one of its tokens."""
        given = dict(request.query)
        appid = f'"{self._app["appid"]}"'.encode()
        is_named = given.get("appid") == self._app["appid"] or appid in request.body
        return is_named or self._tokens.issued(given.get("access_token", ""))

    def signer(self, request: HttpRequest) -> Signer:  # noqa: ARG002  nothing is signed
        """Leave responses unsigned."""
        return _NoSigner()

    def verify(self, request: HttpRequest) -> HttpResponse | None:
        """Refuse what would have leaked had it gone to ``api.weixin.qq.com``."""
        leaks = [name for name in request.headers if _is_payments(name)]
        if request.channel.certificate:
            leaks.append("merchant certificate")
        if not leaks:
            return None
        message = f"invalid args: {', '.join(leaks)} must never be sent to api.weixin.qq.com"
        return _refuse(40097, message, status=400)

    def execute(self, request: HttpRequest) -> HttpResponse:
        """Find the endpoint and call it."""
        method, endpoint = self._endpoints.get(request.path, ("", None))
        if endpoint is None:
            return _refuse(40066, "invalid url")
        if request.method != method:
            return _refuse(43001 if method == "GET" else 43002, f"require {method} method")
        try:
            return _response(endpoint(request))
        except RefusalError as refusal:
            return _refuse(*refusal.args)

    def error_code(self, response: HttpResponse) -> str:
        """Return the ``errcode``."""
        return _errcode(response)

    def _stable_token(self, request: HttpRequest) -> dict[str, Any]:
        try:
            given = json.loads(request.body)
        except ValueError:
            given = None
        if not isinstance(given, dict) or not isinstance(given.get("force_refresh", False), bool):
            raise RefusalError(47001, "data format error")
        self._check_app(given)
        return _granted(*self._tokens.stable(force=given.get("force_refresh", False)))

    def _token(self, request: HttpRequest) -> dict[str, Any]:
        self._check_app(dict(request.query))
        return _granted(*self._tokens.plain())

    def _paid_unionid(self, request: HttpRequest) -> dict[str, Any]:
        given = dict(request.query)
        self._tokens.check(given.get("access_token", ""))
        return {"unionid": self._payers.unionid(given), "errcode": 0, "errmsg": "ok"}

    def _check_app(self, given: Mapping[str, Any]) -> None:
        if given.get("grant_type") != "client_credential":
            raise RefusalError(40002, "invalid grant_type")
        for name, missing, wrong in (("appid", 41002, 40013), ("secret", 41004, 40125)):
            if not given.get(name):
                raise RefusalError(missing, f"{name} missing")
            if given[name] != self._app[name]:
                raise RefusalError(wrong, f"invalid {'app' * (name == 'secret')}{name}")


class _NoSigner(Signer):
    """Signs nothing."""

    def sign(self, response: HttpResponse, *, age: float = 0.0) -> HttpResponse:  # noqa: ARG002  no signature, no age
        return response

    def sign_wrongly(self, response: HttpResponse) -> HttpResponse:
        raise NotImplementedError  # pragma: no cover  faults of signatures do not apply here

    def error(self, status: int, code: str, message: str) -> HttpResponse:  # noqa: ARG002  errors come with 200
        # WeChat Pay's codes are words, the open platform's are numbers: -1 says busy.
        return _refuse(int(code) if code.removeprefix("-").isdigit() else -1, message)


def _is_payments(header: str) -> bool:
    name = header.lower()
    return name == "authorization" or (name.startswith("wechatpay-") and name != HEADER.lower())


def _granted(token: str, seconds: int) -> dict[str, Any]:
    return {"access_token": token, "expires_in": seconds}
