"""The open platform's settings: the app, where its access tokens are kept, where its requests go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wechatpay import uri
from wechatpay.errors import ConfigurationError
from wechatpay.identifiers import validate_identifier
from wechatpay.open_platform.stores import MemoryTokens
from wechatpay.secret import Secret
from wechatpay.uri.hosts import OPEN_PLATFORM, PAYMENT_HOSTS, Trust

if TYPE_CHECKING:
    from wechatpay.open_platform.stores import TokenStore

__all__ = ["App", "OpenPlatformSettings"]

_STORE_METHODS = ("get", "put", "acquire", "release")


@dataclass(frozen=True, slots=True)
class App:
    """An official account or a mini program.

    Attributes:
        appid: Its id.
        secret: Its AppSecret, by which access tokens are requested.
        tokens: Where they are kept.
    """

    appid: str
    secret: str = field(repr=False)
    tokens: TokenStore

    @classmethod
    def load(cls, given: Any, tokens: TokenStore | None) -> App | None:
        """Check the settings ``app`` and ``tokens``.

        Raises:
            ConfigurationError: ``app`` is not ``{"appid": …, "secret": …}``, ``tokens`` is not a store, or
                ``tokens`` was given without ``app``.
        """
        if given is None:
            if tokens is not None:
                raise ConfigurationError("tokens: keeps the access tokens of app, which was left out")
            return None
        if not isinstance(given, Mapping) or given.keys() != {"appid", "secret"}:
            raise ConfigurationError('app: give {"appid": …, "secret": …}, both of them and nothing else')
        if tokens is not None and not all(callable(getattr(tokens, name, None)) for name in _STORE_METHODS):
            raise ConfigurationError(
                f"tokens: give a store such as FileTokens or RedisTokens, with {', '.join(_STORE_METHODS)}, "
                f"not {type(tokens).__name__}"
            )
        appid = validate_identifier(given["appid"], "app: appid")
        return cls(appid, validate_identifier(given["secret"], "app: secret"), tokens or MemoryTokens())


@dataclass(frozen=True, slots=True)
class OpenPlatformSettings:
    """What requests to the open platform need.

    Attributes:
        base_uri: Where they go.
        trust: The hosts that they may go to.
        app: The app whose access tokens are used, or ``None``: callers pass their own.
        cloud: Whether the code runs in WeChat's cloud hosting, which adds tokens itself.
        mchid: Merchant id of the orders to look up, or ``None``.
    """

    base_uri: str
    trust: Trust
    app: App | None
    cloud: bool
    mchid: str | None

    @classmethod
    def load(cls, values: Mapping[str, Any], base_uri: str, mchid: str | None) -> OpenPlatformSettings:
        """Check the settings ``app``, ``cloud`` and ``tokens``.

        Args:
            values: All settings.
            base_uri: Where payment requests go. Unless that is WeChat Pay itself, it is a sandbox or your own
                gateway, and the open platform's requests go there as well.
            mchid: Merchant id of the orders to look up.

        Raises:
            ConfigurationError: One of the settings is wrong.
        """
        cloud = values.get("cloud", False)
        if not isinstance(cloud, bool):
            raise ConfigurationError("cloud: give True in WeChat's cloud hosting, else leave it out")
        hidden = values.get("app") or Secret(None)
        app = hidden.pass_to(App.load, values.get("tokens"))
        if cloud and app:
            raise ConfigurationError(
                "cloud: WeChat's cloud hosting adds the access_token itself, so leave app out there; "
                "elsewhere leave cloud out"
            )
        if uri.authority(base_uri)[1] in PAYMENT_HOSTS:
            # Inside its containers the hosting serves the plain address, and adds the token.
            base_uri = f"http{'' if cloud else 's'}://{OPEN_PLATFORM}/"
        return cls(base_uri, Trust.of_open_platform(base_uri), app, cloud, mchid)
