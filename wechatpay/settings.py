"""The settings of a Builder, checked once, at construction."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict

from wechatpay import formatter, options
from wechatpay.apiv2.certificate import Identity
from wechatpay.apiv3.settings import Merchant
from wechatpay.crypto.pem import file_path
from wechatpay.errors import ConfigurationError, InvalidRequestError, shorten
from wechatpay.identifiers import exact, load_apiv2_key, validate_identifier
from wechatpay.messages import parse_timeout
from wechatpay.middleware import check_middleware
from wechatpay.open_platform.settings import OpenPlatformSettings
from wechatpay.secret import Secret, conceal
from wechatpay.uri import hosts

if TYPE_CHECKING:
    import asyncio
    import os

    import aiohttp
    import requests

    from wechatpay.messages import Timeout
    from wechatpay.middleware import Middleware
    from wechatpay.open_platform import TokenStore

__all__ = ["Account", "Merchant", "Settings", "SettingsDict", "Transport"]

#: PHP's spellings.
_ALIASES = {"privateKey": "private_key"}

_ELSEWHERE = {
    "allow_redirects": "redirects are never followed; leave it out, or give False",
    "cert": "give `merchant`: {'cert': …, 'key': …}",
    "connect_timeout": "give `timeout`: (connect, read) in seconds",
    "cookies": "cookies are never sent; leave it out",
    "debug": "give debug=True to a call, or log `wechatpay` at DEBUG",
    "decode_content": "bodies are always decoded; leave it out",
    "handler": "give `middlewares`, or edit the stack: getDriver().select().stack",
    "http_errors": "an error response is always raised: catch APIError",
    "proxy": "give `proxies`: {'https': 'http://…'}",
}

#: Settings that contain a key or a password.
_SECRETS = frozenset({"private_key", "apiv3_key", "secret", "merchant", "app", "proxies"})


class SettingsDict(TypedDict, total=False):
    """What a Builder takes; any group may stand alone, a group that is begun must be complete.

    * v3: ``mchid`` (or ``brand_id``), ``serial private_key``, and ``certs`` or ``apiv3_key``
    * v2: ``mchid secret merchant``
    * open platform: ``app tokens cloud``
    * transport: the rest

    Attributes:
        mchid: Merchant id, as text.
        brand_id: Brand id, as text, to sign APIv3 requests as a brand; in place of ``mchid``, which only
            APIv2 needs beside it.
        serial: Serial number of the merchant's, or the brand's, API certificate, hexadecimal in any spelling,
            or decimal.
        private_key: The merchant's key: PEM text or bytes, ``file://`` URL, path (``~/`` is the home
            directory), or ``cryptography`` key; an encrypted one in a pair with its passphrase. RSA, or SM2
            with the extra ``[sm]``; WeChat Pay's keys are then of the same kind. Or a function that signs a
            text and returns base64, for a key that is held elsewhere; async calls run it on a thread.
        certs: WeChat Pay's keys: serial number, or ``PUB_KEY_ID_…``, to certificate or public key.
        apiv3_key: The APIv3 key, 32 bytes. With it platform certificates are downloaded when they are needed:
            all of them without ``certs``, else those that sign a response and are not in ``certs``.
        certs_cache: A directory in which workers share downloaded certificates.
        secret: The APIv2 key, 32 characters.
        merchant: The merchant's certificate, for APIv2 calls with ``security``: ``{"cert": …, "key": …}``,
            each as ``private_key`` or paired with its passphrase; or ``apiclient_cert.p12`` for both.
        app: ``{"appid": …, "secret": …}`` of an official account or mini program, whose access tokens the
            library then manages.
        tokens: Where access tokens are stored: in memory by default, else in a
            `wechatpay.open_platform.FileTokens`, a `wechatpay.open_platform.RedisTokens`, or any
            `wechatpay.open_platform.TokenStore`.
        cloud: ``True`` in WeChat's cloud hosting, which adds access tokens itself.
        base_uri: Where requests go; ``https://api.mch.weixin.qq.com/`` by default. Makes its host trusted.
            One that is not WeChat Pay's, a sandbox or a gateway, gets the open platform's requests as well.
        timeout: Seconds, or ``(connect, read)``; ``(5, 30)`` by default; ``None``: no timeout. For blocking
            calls the time to connect holds for each address of the host, and does not bound the lookup of its
            name.
        headers: Headers of every request.
        proxies: HTTP proxies, ``{"https": "http://proxy:3128", "no_proxy": "internal.example"}``, with the
            keys of requests; the environment's by default, ``{}`` for none. SOCKS is not supported.
        verify: ``True``, or the path or ``file://`` URL of a CA bundle, for TLS; by default the bundle of the
            environment.
        session: A ``requests.Session`` of your own for the blocking side, except calls with ``security``. Its
            adapters, hooks, headers, proxies and TLS settings apply; its ``auth``, ``params`` and cookies do
            not. No adapter may retry. ``timeout`` then bounds each read, not the whole of a response.
        client_session: The same for the async side: a function that takes an event loop and returns an
            ``aiohttp.ClientSession`` for it, which is closed with the loop.
        pool_size: Connections at most, per host, sync and async each; 100 by default.
        max_response_size: Bytes that a response may have in memory, decoded; 64 MiB by default.
        max_download_size: Bytes that a download to a ``sink`` may have, decoded; 16 GiB by default.
        user_agent: The header ``User-Agent``.
        check: Whether every call is compared with the documents before it is sent; ``False`` by default, and
            each call may say otherwise.
        middlewares: Pushed on every stack, in this order: a sequence, or a mapping by name.
        clock: Returns Unix seconds; ``time.time`` by default.
        nonce: Returns a fresh nonce; :func:`wechatpay.formatter.nonce` by default.
    """

    mchid: str
    brand_id: str
    serial: str
    private_key: Any
    certs: Mapping[str, Any]
    apiv3_key: str | bytes
    certs_cache: str | os.PathLike[str]
    secret: str
    merchant: Any
    app: Mapping[str, str]
    tokens: TokenStore
    cloud: bool
    base_uri: str
    timeout: float | tuple[float | None, float | None] | None
    headers: Mapping[str, str]
    proxies: Mapping[str, str]
    verify: bool | str
    session: requests.Session
    client_session: Callable[[asyncio.AbstractEventLoop], aiohttp.ClientSession]
    pool_size: int
    max_response_size: int
    max_download_size: int
    check: bool
    user_agent: str
    middlewares: Sequence[Middleware] | Mapping[str, Middleware]
    clock: Callable[[], float]
    nonce: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Account:
    """The v2 group.

    Attributes:
        mchid: Merchant id.
        secret: The APIv2 key.
        identity: The merchant certificate for ``security``, or ``None``.
    """

    mchid: str
    secret: str = field(repr=False)
    identity: Identity | None


@dataclass(frozen=True, slots=True)
class Transport:
    """The transport group; see `SettingsDict`."""

    proxies: Secret[Mapping[str, str] | None]
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
        open_platform: The open platform's group, in which every setting is optional.
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
    headers: Mapping[str, str | None] = field(repr=False)
    transport: Transport
    middlewares: tuple[tuple[str | None, Middleware], ...]
    clock: Callable[[], float]
    nonce: Callable[[], str]
    check: bool = False

    @classmethod
    @conceal
    def parse(cls, given: dict[str, Any]) -> Settings:
        """Check and parse the constructor's arguments, in PHP's spelling or ours.

        Args:
            given: The arguments. It is emptied, so that the frames of an error hold no keys.

        Raises:
            ConfigurationError: A setting is unknown, missing or wrong; the message names it.
        """
        values = _take(given)
        base_uri = values.get("base_uri", hosts.DEFAULT_BASE_URI)
        if not isinstance(base_uri, str):
            raise ConfigurationError("base_uri: give an https URL as text")
        trust = hosts.Trust.configured(base_uri)
        mchid = None if values.get("mchid") is None else validate_identifier(values["mchid"], "mchid")
        clock = _callable(values, "clock", time.time)
        if not isinstance(check := values.get("check", False), bool):
            raise ConfigurationError(f"check: give True or False, not {type(check).__name__}")
        return cls(
            merchant=Merchant.load(values, base_uri, clock),
            account=_account(values, mchid),
            open_platform=OpenPlatformSettings.load(values, base_uri, mchid),
            base_uri=base_uri,
            trust=trust,
            timeout=_apply(parse_timeout, values.get("timeout", (5.0, 30.0))),
            headers=_headers(values),
            transport=_transport(values),
            middlewares=_middlewares(values.get("middlewares", ())),
            clock=clock,
            nonce=_callable(values, "nonce", formatter.nonce),
            check=check,
        )


def _take(given: dict[str, Any]) -> dict[str, Any]:
    """Move the settings to a mapping of our names, in which texts are exact and keys are hidden."""
    problem = _find_problem(given)
    values = {} if problem else {_name(spelling): _hide(spelling, value) for spelling, value in given.items()}
    given.clear()
    if problem:
        raise ConfigurationError(problem)
    values.pop("allow_redirects", None)
    return values


def _find_problem(given: Mapping[str, Any]) -> str:
    """Describe what is wrong with the names of the settings; return ``""`` if nothing is."""
    known = SettingsDict.__annotations__
    names = [_name(spelling) for spelling in given if not _is_redundant(spelling, given)]
    if unknown := [name for name in names if name not in known]:
        return _explain_unknown(unknown[0])
    if twice := [name for name in names if names.count(name) > 1]:
        return f"{twice[0]}: given twice, as {twice[0]} and in PHP's spelling; give it once"
    return ""


def _name(spelling: str) -> str:
    return _ALIASES.get(spelling, spelling)


def _is_redundant(name: str, given: Mapping[str, Any]) -> bool:
    """Return whether a setting of Guzzle asks for what happens anyway."""
    return name == "allow_redirects" and given[name] is False


def _hide(spelling: str, value: Any) -> Any:
    return Secret(exact(value)) if value is not None and _name(spelling) in _SECRETS else exact(value)


def _explain_unknown(name: object) -> str:
    if hint := _ELSEWHERE.get(str(name)):
        return f"{name} is not a setting: {hint}"
    import difflib  # noqa: PLC0415  only mistakes need it

    close = difflib.get_close_matches(str(name), SettingsDict.__annotations__, 1, cutoff=0.8)
    return f"unknown setting {shorten(repr(name))}" + (f"; did you mean {close[0]}?" if close else "")


def _account(values: Mapping[str, Any], mchid: str | None) -> Account | None:
    merchant = values.get("merchant")
    # Without a secret, too: a wrong path is a mistake now, not when the secret is added.
    identity = None if merchant is None else merchant.pass_to(Identity.load, mchid or "")
    if values.get("secret") is None:
        return None
    if mchid is None:
        raise ConfigurationError("mchid: missing; APIv2 needs mchid and secret together")
    key = values["secret"].pass_to(load_apiv2_key)
    return Account(mchid, key.reveal(), identity)


def _apply(check: Callable[[Any], Any], value: Any) -> Any:
    try:
        return check(value)
    except InvalidRequestError as error:
        raise ConfigurationError(str(error)) from None


def _headers(values: Mapping[str, Any]) -> Mapping[str, str | None]:
    given = dict(_apply(options.read_headers, values.get("headers", {})))
    if (agent := values.get("user_agent")) is not None:
        # Last, it goes over a User-Agent in any spelling.
        given |= _apply(options.read_headers, {"User-Agent": agent})
    return given


def _copy_proxies(given: Any) -> Secret[Mapping[str, str]]:
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            "proxies: a mapping of scheme to proxy URL, such as {'https': 'http://proxy:3128'}"
        )
    return Secret({exact(name): exact(url) for name, url in given.items()})


def _transport(values: Mapping[str, Any]) -> Transport:
    given = values.get("proxies")
    proxies = Secret(None) if given is None else given.pass_to(_copy_proxies)
    verify = values.get("verify")
    if verify is not None and not isinstance(verify, bool | str):
        raise ConfigurationError("verify: True, or the path of a CA bundle as text")
    if isinstance(verify, str):
        if "-----BEGIN" in verify:
            raise ConfigurationError("verify: give the path of a CA bundle, not the bundle itself")
        verify = file_path(verify)
    session, client_session = values.get("session"), values.get("client_session")
    if session is not None:
        if not isinstance(getattr(session, "adapters", None), Mapping):
            raise ConfigurationError(
                "session: give a requests.Session; the async side takes a function as client_session"
            )
        from wechatpay.transports.blocking import refuse_retries  # noqa: PLC0415  requests is loaded already

        refuse_retries(session)
    if client_session is not None and not _makes_sessions(client_session):
        raise ConfigurationError(
            "client_session: give a function that takes an event loop and returns an aiohttp.ClientSession "
            "for it, not a session, a class or an async function: each loop needs its own"
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


def _makes_sessions(given: Any) -> bool:
    """Return whether ``given`` may be a function that makes a session for a loop."""
    called = given.func if isinstance(given, functools.partial) else given
    if not callable(called) or isinstance(called, type) or inspect.iscoroutinefunction(called):
        return False
    try:
        signature = inspect.signature(given)
    except Exception:  # noqa: BLE001  a function in C, or one whose annotations Python 3.14 cannot evaluate
        return True
    try:
        signature.bind(None)
    except TypeError:
        return False
    return True


def _size(values: Mapping[str, Any], name: str, default: int) -> int:
    size = values.get(name, default)
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise ConfigurationError(f"{name}: give a whole number, 1 or more")
    return size


def _middlewares(given: Any) -> tuple[tuple[str | None, Middleware], ...]:
    if isinstance(given, Mapping):
        named = tuple(given.items())
    elif isinstance(given, Sequence) and not isinstance(given, str):
        named = tuple((None, middleware) for middleware in given)
    else:
        raise ConfigurationError(
            "middlewares: a sequence of middlewares, or a mapping of names to middlewares"
        )
    for _, middleware in named:
        check_middleware(middleware)
    return named


def _callable(values: Mapping[str, Any], name: str, default: Callable[[], Any]) -> Callable[[], Any]:
    value: Callable[[], Any] = values.get(name, default)
    if not callable(value):
        raise ConfigurationError(f"{name}: a function without arguments, not {type(value).__name__}")
    return value
