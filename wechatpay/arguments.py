"""What a Builder takes, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    import asyncio
    import os
    from collections.abc import Callable, Mapping, Sequence

    import aiohttp
    import requests

    from wechatpay.middleware import Middleware
    from wechatpay.open_platform import TokenStore

__all__ = ["SettingsDict"]


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
        serial: Serial number of the merchant's, or the brand's, API certificate.
        private_key: The merchant's key: PEM text or bytes, ``file://`` URL, path, ``cryptography`` key. RSA,
            or SM2 with the extra ``[sm]``; what signs WeChat Pay's answers is then of the same kind. Or a
            function that signs a text and returns base64, for a key that stays elsewhere; async calls run it
            on a thread.
        certs: WeChat Pay's keys: serial number, or ``PUB_KEY_ID_…``, to certificate or public key.
        apiv3_key: The APIv3 key, 32 bytes. With it platform certificates are downloaded when they are needed:
            all of them without ``certs``, else those that are signed with and that ``certs`` lacks.
        certs_cache: A directory in which workers share downloaded certificates.
        secret: The APIv2 key, 32 characters.
        merchant: The merchant's certificate, for APIv2 calls with ``security``: ``{"cert": …, "key": …}``,
            each as ``private_key`` or paired with its passphrase; or ``apiclient_cert.p12`` for both.
        app: ``{"appid": …, "secret": …}`` of an official account or mini program, whose access tokens the
            library then keeps.
        tokens: Where it keeps them: in memory by default, else a `wechatpay.open_platform.FileTokens`, a
            `wechatpay.open_platform.RedisTokens`, or any `wechatpay.open_platform.TokenStore`.
        cloud: ``True`` in WeChat's cloud hosting, which adds access tokens itself.
        base_uri: Where requests go; ``https://api.mch.weixin.qq.com/`` by default. Makes its host trusted.
            One that is not WeChat Pay's, a sandbox or a gateway, gets the open platform's requests as well.
        timeout: Seconds, or ``(connect, read)``; ``(5, 30)`` by default, ``None`` waits for ever.
        headers: Headers of every request.
        proxies: HTTP proxies, ``{"https": "http://proxy:3128", "no_proxy": "internal.example"}``, with the
            keys of requests; the environment's by default, ``{}`` for none. SOCKS is not supported.
        verify: ``True``, or the path of a CA bundle, for TLS; the environment's bundle by default.
        session: A ``requests.Session`` of your own for the blocking side, except calls with ``security``. Its
            adapters, hooks, headers, proxies and TLS settings apply; its ``auth``, ``params`` and cookies do
            not. No adapter may retry. ``timeout`` then bounds each read, not the whole of a response.
        client_session: The same for the async side: a function that takes an event loop and returns an
            ``aiohttp.ClientSession`` for it, which is closed with the loop.
        pool_size: Connections at most, per host, sync and async each; 100 by default.
        max_response_size: Bytes that a response may have in memory, decoded; 64 MiB by default.
        max_download_size: Bytes that a download to a ``sink`` may have, decoded; 16 GiB by default.
        user_agent: What ``User-Agent`` says.
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
