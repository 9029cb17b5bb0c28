"""The open platform's desk: never signed, proved by access tokens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from wechatpay.sandbox.desk import Desk, Sign
from wechatpay.sandbox.openplatform import errcode
from wechatpay.sandbox.openplatform.errcode import RefusalError
from wechatpay.sandbox.openplatform.payers import Payers
from wechatpay.sandbox.openplatform.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wechatpay.sandbox.answer import Answer, Received
    from wechatpay.sandbox.keys.identity import Identity
    from wechatpay.sandbox.ledger import Ledger

__all__ = ["OpenPlatform"]

_FOLDERS = ("cgi-bin", "sns", "wxa")


class OpenPlatform(Desk):
    """Answers what begins ``wxa/``, ``cgi-bin/`` or ``sns/``, and refuses what belongs to WeChat Pay."""

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
        self._endpoints: Mapping[str, tuple[str, Callable[[Received], dict[str, Any]]]] = {
            "/cgi-bin/stable_token": ("POST", self._stable_token),
            "/cgi-bin/token": ("GET", self._token),
            "/wxa/getpaidunionid": ("GET", self._paid_unionid),
        }

    def takes(self, received: Received) -> bool:
        """Tell whether a request is the open platform's, whatever it carries."""
        return any(folder in _FOLDERS for folder in received.segments[:1])

    def sign(self, received: Received) -> Sign:  # noqa: ARG002  nothing is signed
        """Leave answers as they are."""
        return _Sign()

    def refusal(self, received: Received) -> Answer | None:
        """Refuse what would have leaked had it gone to ``api.weixin.qq.com``."""
        leaks = [name for name in received.headers if _is_payments(name)]
        if received.channel.certificate:
            leaks.append("merchant certificate")
        if not leaks:
            return None
        words = f"invalid args: {', '.join(leaks)} must never be sent to api.weixin.qq.com"
        return errcode.refused(40097, words, status=400)

    def carry_out(self, received: Received) -> Answer:
        """Find the endpoint, and ask."""
        method, endpoint = self._endpoints.get(received.path, ("", None))
        if endpoint is None:
            return errcode.refused(40066, "invalid url")
        if received.method != method:
            return errcode.refused(43001 if method == "GET" else 43002, f"require {method} method")
        try:
            return errcode.answer(endpoint(received))
        except RefusalError as refusal:
            return errcode.refused(*refusal.args)

    def code(self, answer: Answer) -> str:
        """Return the ``errcode``."""
        return errcode.code(answer)

    def _stable_token(self, received: Received) -> dict[str, Any]:
        try:
            given = json.loads(received.body)
        except ValueError:
            given = None
        if not isinstance(given, dict) or not isinstance(given.get("force_refresh", False), bool):
            raise RefusalError(47001, "data format error")
        self._check_app(given)
        return _granted(*self._tokens.stable(force=given.get("force_refresh", False)))

    def _token(self, received: Received) -> dict[str, Any]:
        self._check_app(dict(received.query))
        return _granted(*self._tokens.plain())

    def _paid_unionid(self, received: Received) -> dict[str, Any]:
        given = dict(received.query)
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


class _Sign(Sign):
    """Signs nothing."""

    def __call__(self, answer: Answer, *, age: float = 0.0) -> Answer:  # noqa: ARG002  no signature, no age
        return answer

    def wrongly(self, answer: Answer) -> Answer:
        raise NotImplementedError  # pragma: no cover  faults of signatures befall no unsigned protocol

    def error(self, status: int, code: str, message: str) -> Answer:  # noqa: ARG002  errors come with 200
        # WeChat Pay's codes are words, the open platform's are numbers: -1 says that it is busy.
        return errcode.refused(int(code) if code.removeprefix("-").isdigit() else -1, message)


def _is_payments(header: str) -> bool:
    return header.lower() == "authorization" or header.lower().startswith("wechatpay-")


def _granted(token: str, seconds: int) -> dict[str, Any]:
    return {"access_token": token, "expires_in": seconds}
