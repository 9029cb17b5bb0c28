"""The settings of a Builder, checked once, at construction."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wechatpay import formatter, options
from wechatpay.apiv2.certificate import Identity
from wechatpay.apiv3.settings import Merchant, word
from wechatpay.arguments import SettingsDict
from wechatpay.errors import ConfigurationError, InvalidRequestError
from wechatpay.messages import parse_timeout
from wechatpay.open_platform.settings import OpenPlatformSettings
from wechatpay.uri import hosts

if TYPE_CHECKING:
    import asyncio

    import aiohttp
    import requests

    from wechatpay.messages import Timeout
    from wechatpay.middleware import Middleware

__all__ = ["Account", "Merchant", "Settings", "SettingsDict", "Transport"]


#: PHP's spellings.
_ALIASES = {"privateKey": "private_key"}

_ELSEWHERE = {
    "allow_redirects": "redirects are never followed; leave it out",
    "cert": "give `merchant`: {'cert': …, 'key': …}",
    "connect_timeout": "give `timeout`: (connect, read) in seconds",
    "cookies": "cookies are never sent; leave it out",
    "handler": "give `middlewares`, or edit the stack: getDriver().select().stack",
    "http_errors": "an error answer is always raised: catch APIError",
    "proxy": "give `proxies`: {'https': 'http://…'}",
}


@dataclass(frozen=True, slots=True)
class Account:
    """The v2 group: whose fields are digested, and with what."""

    mchid: str
    secret: str = field(repr=False)
    identity: Identity | None


@dataclass(frozen=True, slots=True)
class Transport:
    """What the two transports need."""

    proxies: Mapping[str, str] | None = field(repr=False)
    verify: bool | str | None
    session: requests.Session | None
    client_session: Callable[[asyncio.AbstractEventLoop], aiohttp.ClientSession] | None
    pool_size: int
    max_response_size: int
    max_download_size: int


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, parsed.

    Attributes:
        merchant: The v3 group, or ``None`` when it was left out.
        account: The v2 group, or ``None`` when it was left out.
        open_platform: The open platform's group, which has nothing that must be given.
        base_uri: Where requests go.
        trust: The hosts that requests may go to.
        timeout: ``(connect, read)`` in seconds.
        headers: Headers of every request; ``None`` removes a default one.
        transport: Settings of the transports.
        middlewares: Name (or ``None``) and middleware.
        clock: Returns Unix seconds.
        nonce: Returns a fresh nonce.
        check: Whether calls are compared with the catalogue before they are sent.
    """

    merchant: Merchant | None
    account: Account | None
    open_platform: OpenPlatformSettings
    base_uri: str
    trust: hosts.Trust
    timeout: Timeout
    headers: Mapping[str, str | None]
    transport: Transport
    middlewares: tuple[tuple[str | None, Middleware], ...]
    clock: Callable[[], float]
    nonce: Callable[[], str]
    check: bool = False

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Settings:
        """Check and parse the constructor's arguments, in PHP's spelling or ours.

        Raises:
            ConfigurationError: A setting is unknown, missing or wrong; the message names it.
        """
        values = _named(given)
        base_uri = values.get("base_uri", hosts.DEFAULT_BASE_URI)
        if not isinstance(base_uri, str):
            raise ConfigurationError("base_uri: give an https URL as text")
        trust = hosts.Trust.configured(base_uri)
        mchid = None if values.get("mchid") is None else word(values, "mchid")
        clock = _callable(values, "clock", time.time)
        return cls(
            merchant=Merchant.load(values, base_uri, clock),
            account=_account(values),
            open_platform=OpenPlatformSettings.load(values, base_uri, mchid),
            base_uri=base_uri,
            trust=trust,
            timeout=_checked(parse_timeout, values.get("timeout", (5.0, 30.0))),
            headers=_headers(values),
            transport=_transport(values),
            middlewares=_middlewares(values.get("middlewares", ())),
            clock=clock,
            nonce=_callable(values, "nonce", formatter.nonce),
            check=bool(values.get("check", False)),
        )


def _named(given: Mapping[str, Any]) -> dict[str, Any]:
    known = SettingsDict.__annotations__
    values: dict[str, Any] = {}
    for spelling, value in given.items():
        name = _ALIASES.get(spelling, spelling)
        if name not in known:
            raise ConfigurationError(_unknown(name))
        if name in values:
            raise ConfigurationError(f"{name}: given twice, as {name} and in PHP's spelling; give it once")
        values[name] = value
    return values


def _unknown(name: object) -> str:
    if hint := _ELSEWHERE.get(str(name)):
        return f"{name} is not a setting: {hint}"
    import difflib  # noqa: PLC0415  only mistakes need it

    close = difflib.get_close_matches(str(name), SettingsDict.__annotations__, 1, cutoff=0.8)
    return f"unknown setting {name!r}" + (f"; did you mean {close[0]}?" if close else "")


def _account(values: Mapping[str, Any]) -> Account | None:
    if values.get("secret") is None:
        return None
    if values.get("mchid") is None:
        raise ConfigurationError("mchid: missing; APIv2 needs mchid and secret together")
    mchid = word(values, "mchid")
    return Account(mchid, word(values, "secret"), Identity.load(values.get("merchant"), mchid))


def _checked(check: Callable[[Any], Any], value: Any) -> Any:
    try:
        return check(value)
    except InvalidRequestError as error:
        raise ConfigurationError(str(error)) from None


def _headers(values: Mapping[str, Any]) -> Mapping[str, str | None]:
    given = dict(_checked(options.headers, values.get("headers", {})))
    if (agent := values.get("user_agent")) is not None:
        # Last, it goes over a User-Agent in any spelling.
        given |= _checked(options.headers, {"User-Agent": agent})
    return given


def _transport(values: Mapping[str, Any]) -> Transport:
    proxies = values.get("proxies")
    if proxies is not None and not isinstance(proxies, Mapping):
        raise ConfigurationError(
            "proxies: a mapping of scheme to proxy URL, such as {'https': 'http://proxy:3128'}"
        )
    verify = values.get("verify")
    if verify is not None and not isinstance(verify, bool | str):
        raise ConfigurationError("verify: True, or the path of a CA bundle as text")
    session, client_session = values.get("session"), values.get("client_session")
    if session is not None:
        if not callable(getattr(session, "get_adapter", None)):
            raise ConfigurationError(
                "session: give a requests.Session; the async side takes a function as client_session"
            )
        from wechatpay.transports.blocking import refuse_retries  # noqa: PLC0415  requests is loaded already

        refuse_retries(session)
    if client_session is not None and not callable(client_session):
        raise ConfigurationError(
            "client_session: give a function that takes an event loop and returns an aiohttp.ClientSession "
            "for it, not a session: each loop needs its own"
        )
    for name in ("proxies", "verify", "pool_size"):
        owner = "session" if session is not None else "client_session"
        if values.get(name) is not None and (session is not None or client_session is not None):
            raise ConfigurationError(f"{name}: set it on the session itself: {owner} brings its own")
    return Transport(
        proxies,
        verify,
        session,
        client_session,
        pool_size=_size(values, "pool_size", 100),
        max_response_size=_size(values, "max_response_size", 64 << 20),
        max_download_size=_size(values, "max_download_size", 16 << 30),
    )


def _size(values: Mapping[str, Any], name: str, default: int) -> int:
    size = values.get(name, default)
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise ConfigurationError(f"{name}: give a whole number, 1 or more")
    return size


def _middlewares(given: Any) -> tuple[tuple[str | None, Middleware], ...]:
    if isinstance(given, Mapping):
        return tuple(given.items())
    if isinstance(given, Sequence) and not isinstance(given, str):
        return tuple((None, middleware) for middleware in given)
    raise ConfigurationError("middlewares: a sequence of middlewares, or a mapping of names to middlewares")


def _callable(values: Mapping[str, Any], name: str, default: Callable[[], Any]) -> Callable[[], Any]:
    value: Callable[[], Any] = values.get(name, default)
    if not callable(value):
        raise ConfigurationError(f"{name}: a function without arguments, not {type(value).__name__}")
    return value
