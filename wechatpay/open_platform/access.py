"""What proves the app on the open platform: its access token, or its secret; the middleware ``token``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wechatpay.errors import APIError, ConfigurationError
from wechatpay.logs import log_step
from wechatpay.open_platform.access_tokens import Keeper
from wechatpay.open_platform.errors import RETIRED
from wechatpay.open_platform.parameters import added, parameters

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.messages import Headers, Request
    from wechatpay.middleware import Flow, Handler
    from wechatpay.open_platform.settings import OpenPlatform
    from wechatpay.tokens import Token

__all__ = ["TOKENS", "Access"]

#: Names of tokens in the query: a request with one of them needs no other.
TOKENS = ("access_token", "component_access_token")

#: Where the app's secret stands in the query instead of a token.
_BY_SECRET = frozenset({"cgi-bin/token", "sns/jscode2session", "sns/oauth2/access_token"})

#: Where the body brings all that is needed. (Under ``sns/`` it is a user's token, or the secret.)
_BY_BODY = frozenset(
    {"cgi-bin/clear_quota/v2", "cgi-bin/component/api_component_token", "cgi-bin/stable_token"}
)


class Access:
    """Adds the app's token, or its id and secret, to what needs them; a middleware.

    A caller's own are left alone, and in WeChat's cloud hosting nothing is added.
    """

    def __init__(self, platform: OpenPlatform, headers: Headers, clock: Callable[[], float]) -> None:
        self._platform = platform
        self._app = platform.app
        self._keeper = Keeper(platform.app, headers, clock) if platform.app else None

    def __call__(self, request: Request, proceed: Handler) -> Flow:
        """Send with a token that is good; once more, with a new one, when it is refused.

        Raises:
            ConfigurationError: There is no app to have a token of.
        """
        if request.route in _BY_SECRET:
            request = self._with_secret(request)
        if not self._wants_token(request):
            return (yield from proceed(request))
        if self._keeper is None:
            raise ConfigurationError(
                f"{request.path} needs an access_token: pass it in the query, or give the Builder "
                'app={"appid": …, "secret": …} (or cloud=True in WeChat\'s cloud hosting)'
            )
        return (yield from self._tokened(self._keeper, request, proceed))

    def _wants_token(self, request: Request) -> bool:
        if self._platform.cloud or request.route.startswith("sns/"):
            return False
        if request.route in _BY_SECRET or request.route in _BY_BODY:
            return False
        return parameters(request).keys().isdisjoint(TOKENS)

    def _with_secret(self, request: Request) -> Request:
        given = parameters(request)
        app = self._app
        if app is None or "secret" in given or given.get("appid", [app.appid]) != [app.appid]:
            return request
        return added(request, ({} if "appid" in given else {"appid": app.appid}) | {"secret": app.secret})

    @staticmethod
    def _tokened(keeper: Keeper, request: Request, proceed: Handler) -> Flow:
        token = yield from keeper.current(request, proceed)
        try:
            return (yield from proceed(_with_token(request, token)))
        except APIError as error:
            if error.code not in RETIRED:
                raise
            log_step(request, "the access_token was refused (%s): once more with a new one", error.code)
        token = yield from keeper.current(request, proceed, refused=token)
        return (yield from proceed(_with_token(request, token)))


def _with_token(request: Request, token: Token) -> Request:
    return added(request, {"access_token": token.value})
