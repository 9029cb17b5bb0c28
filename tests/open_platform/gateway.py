"""The open platform as its documents describe it, on any transport: what was asked in, what it sends out.

It knows apps, users and paid orders, hands out access tokens and retires them, and looks at every request as
strictly as it can: one that carries what belongs to WeChat Pay is kept in ``leaks`` and refused with 400.
"""

from __future__ import annotations

import itertools
import json
import re
import secrets
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

PAYMENT = re.compile(r"(?i)^authorization:|^wechatpay-|: WECHATPAY(2|-BRAND)-")
#: Seconds before a stable token's end in which the next one is handed out, and both are good.
OVERLAP = 300
#: Seconds after a payment in which its payer's unionid is told.
WINDOW = 300
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(range(256)) * 40 + b"\xff\xd9"


class RefusalError(Exception):
    """An ``errcode`` with its ``errmsg``."""


@dataclass
class Issued:
    """An access token.

    Attributes:
        appid: Whose it is.
        kind: The endpoint that gave it.
        until: Unix seconds at which it expires.
        retired: Whether another has taken its place.
    """

    appid: str
    kind: str
    until: float
    retired: bool = False


@dataclass(frozen=True)
class Order:
    """A paid order."""

    appid: str
    openid: str
    transaction_id: str
    mch_id: str
    out_trade_no: str
    paid_at: float


@dataclass
class OpenPlatform:
    """Responds to requests; threads may share it.

    Attributes:
        apps: AppSecrets by appid.
        lifetime: Seconds for which a token is good.
        clock: Returns Unix seconds.
        tokens: Every token ever issued.
        orders: What was paid.
        users: ``unionid`` by appid and openid; ``None`` for one whose app is bound to no account.
        fetches: Endpoint, appid and whether by force, of each token that was asked for with success.
        calls: Path of each request.
        leaks: Requests that carried what belongs to WeChat Pay.
        busy: How many of the next requests to refuse with -1.
    """

    apps: dict = field(default_factory=dict)
    lifetime: int = 7200
    clock: object = time.time
    tokens: dict = field(default_factory=dict)
    orders: list = field(default_factory=list)
    users: dict = field(default_factory=dict)
    fetches: list = field(default_factory=list)
    calls: list = field(default_factory=list)
    leaks: list = field(default_factory=list)
    busy: int = 0

    def __post_init__(self):
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)

    def pay(self, *, ago=0, **order):
        """Have a user pay an order, some seconds ago."""
        self.orders.append(Order(paid_at=self.clock() - ago, **order))

    def retire(self, appid):
        """Retire all tokens of an app, as a new AppSecret does."""
        for issued in self.tokens.values():
            issued.retired = issued.retired or issued.appid == appid

    def respond(self, method, target, headers, body):
        """Respond to a request: status, ``Content-Type`` and body.

        Args:
            method: As in the request line.
            target: As in the request line, path and query.
            headers: Pairs, as they came.
            body: Bytes.
        """
        with self._lock:
            path, _, query = target.partition("?")
            self.calls.append(path)
            if any(PAYMENT.search(f"{name}: {value}") for name, value in headers):
                self.leaks.append((method, target, headers))
                return 400, "text/plain", b"what belongs to WeChat Pay came here"
            try:
                return 200, *self._dispatched(method, path, query, dict(headers), body)
            except RefusalError as refusal:
                code, words = refusal.args
                error = {"errcode": code, "errmsg": f"{words} rid: {secrets.token_hex(4)}"}
                return 200, "application/json; encoding=utf-8", json.dumps(error).encode()

    def _dispatched(self, method, path, query, headers, body):
        if self.busy:
            self.busy -= 1
            raise RefusalError(-1, "system error")
        if path not in ENDPOINTS:
            raise RefusalError(40066, "invalid url")
        wanted, handler, *names = ENDPOINTS[path]
        if method != wanted:
            raise RefusalError(43001 if wanted == "GET" else 43002, f"require {wanted} method")
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
        given = dict(pairs)
        assert len(pairs) == len(given), f"a parameter came twice: {target_of(path, given)}"
        appid = self._authenticated(given) if "access_token" in names else None
        unknown = given.keys() - set(names)
        assert not unknown, f"unknown parameters: {target_of(path, unknown)}"
        found = handler(self, appid, given, self._parsed(headers, body) if method == "POST" else {})
        if isinstance(found, bytes):
            return "image/jpeg", found
        return "application/json; encoding=utf-8", json.dumps(found, ensure_ascii=False).encode()

    @staticmethod
    def _parsed(headers, body):
        kind = {name.lower(): value for name, value in headers.items()}.get("content-type", "")
        if kind.startswith("multipart/form-data; boundary="):
            return {"boundary": kind.partition("=")[2], "body": body}
        assert kind == "application/json", kind
        try:
            found = json.loads(body)
        except ValueError:
            raise RefusalError(47001, "data format error") from None
        if not isinstance(found, dict):
            raise RefusalError(47001, "data format error")
        return found

    def _authenticated(self, given):
        value = given.get("access_token")
        if not value:
            raise RefusalError(41001, "access_token missing")
        issued = self.tokens.get(value)
        if issued is None:
            raise RefusalError(40014, "invalid access_token")
        if issued.until <= self.clock():
            raise RefusalError(42001, "access_token expired")
        if issued.retired:
            raise RefusalError(40001, "invalid credential, access_token is invalid or not latest")
        return issued.appid

    def _proven(self, given):
        for name, code in (("appid", 41002), ("secret", 41004)):
            if not given.get(name):
                raise RefusalError(code, f"{name} missing")
        if given["appid"] not in self.apps:
            raise RefusalError(40013, "invalid appid")
        if self.apps[given["appid"]] != given["secret"]:
            raise RefusalError(40125, "invalid appsecret")
        return given["appid"]

    def _issue(self, appid, kind, *, force=False):
        value = f"{next(self._numbers)}_{secrets.token_urlsafe(48)}"
        self.tokens[value] = Issued(appid, kind, self.clock() + self.lifetime)
        self.fetches.append((kind, appid, force))
        return value

    def stable_token(self, _, given, body):
        """Hand out the token there is, or a new one when it is about to end, or by force."""
        assert not given
        assert body.keys() <= {"grant_type", "appid", "secret", "force_refresh"}, body.keys()
        appid, force = self._proven(body), body.get("force_refresh", False)
        assert isinstance(force, bool)
        if body.get("grant_type") != "client_credential":
            raise RefusalError(40002, "invalid grant_type")
        kept = [
            (value, issued)
            for value, issued in self.tokens.items()
            if (issued.appid, issued.kind, issued.retired) == (appid, "stable_token", False)
        ]
        for value, issued in kept:
            if not force and issued.until - self.clock() > min(OVERLAP, self.lifetime / 20):
                self.fetches.append(("stable_token", appid, force))
                return {"access_token": value, "expires_in": int(issued.until - self.clock())}
            issued.retired = force
        return {
            "access_token": self._issue(appid, "stable_token", force=force),
            "expires_in": self.lifetime,
        }

    def token(self, _, given, __):
        """Hand out a new token, and retire the last one of this endpoint."""
        appid = self._proven(given)
        if given.get("grant_type") != "client_credential":
            raise RefusalError(40002, "invalid grant_type")
        for issued in self.tokens.values():
            issued.retired = issued.retired or (issued.appid, issued.kind) == (appid, "token")
        return {"access_token": self._issue(appid, "token"), "expires_in": self.lifetime}

    def paid_unionid(self, appid, given, _):
        """Tell a payer's unionid, within five minutes of the payment."""
        ways = ({"transaction_id"}, {"mch_id", "out_trade_no"})
        assert given.keys() - {"access_token", "openid"} in ways, given.keys()
        if (appid, given.get("openid")) not in self.users:
            raise RefusalError(40003, "invalid openid")
        unionid = self.users[appid, given["openid"]]
        if unionid is None:
            raise RefusalError(89002, "not bound to an open platform account")
        named = {name: value for name, value in given.items() if name != "access_token"} | {"appid": appid}
        for order in self.orders:
            fits = all(getattr(order, name) == value for name, value in named.items())
            if fits and self.clock() - order.paid_at <= WINDOW:
                return {"unionid": unionid, "errcode": 0, "errmsg": "ok"}
        raise RefusalError(89300, "invalid transaction")

    def code_to_session(self, _, given, __):
        """Turn a mini program's login code into a session."""
        appid = self._proven(given)
        if given.get("grant_type") != "authorization_code":
            raise RefusalError(40002, "invalid grant_type")
        if given.get("js_code") != "CODE":
            raise RefusalError(40029, "invalid code")
        return {"openid": f"openid of {appid}", "session_key": "key"}

    def code_image(self, _, __, body):
        """Draw a mini program code, or say what is wrong."""
        if not body.get("path"):
            raise RefusalError(40159, "invalid length for path")
        return JPEG

    def echo(self, appid, _, body):
        """Give back what came."""
        return {"errcode": 0, "appid": appid, "body": body}

    def upload(self, _, given, body):
        """Take a file: one part ``media``, last."""
        *fields, file, end = body["body"].split(b"--" + body["boundary"].encode())[1:]
        assert end == b"--\r\n", end
        head, _, content = file.partition(b"\r\n\r\n")
        assert b'form-data; name="media"; filename="' in head, head
        return {"type": given["type"], "media_id": "M", "size": len(content) - 2, "fields": len(fields)}


def target_of(path, names):
    """Name a path and parameters, without their values."""
    return f"{path} with {', '.join(sorted(names))}"


#: Method, handler and parameters by path.
ENDPOINTS = {
    "/cgi-bin/stable_token": ("POST", OpenPlatform.stable_token),
    "/cgi-bin/token": ("GET", OpenPlatform.token, "appid", "secret", "grant_type"),
    "/wxa/getpaidunionid": (
        "GET", OpenPlatform.paid_unionid,
        "access_token", "openid", "transaction_id", "mch_id", "out_trade_no",
    ),
    "/sns/jscode2session": (
        "GET", OpenPlatform.code_to_session, "appid", "secret", "js_code", "grant_type",
    ),
    "/wxa/getwxacode": ("POST", OpenPlatform.code_image, "access_token"),
    "/cgi-bin/message/template/send": ("POST", OpenPlatform.echo, "access_token"),
    "/datacube/getweanalysisappidvisittrend": ("POST", OpenPlatform.echo, "access_token"),
    "/cgi-bin/media/upload": ("POST", OpenPlatform.upload, "access_token", "type"),
}  # fmt: skip
