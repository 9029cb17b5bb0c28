"""The open platform's settings: the app, where its access tokens are kept, where its requests go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wechatpay import uri
from wechatpay.errors import ConfigurationError
from wechatpay.uri.hosts import OPEN_PLATFORM, PAYMENT_HOSTS, Trust

if TYPE_CHECKING:
    from wechatpay.tokens import TokenStore

__all__ = ["App", "OpenPlatform"]

_STORE = ("get", "put", "acquire", "release")


@dataclass(frozen=True, slots=True)
class App:
    """An official account or a mini program.

    Attributes:
        appid: Its id.
        secret: Its AppSecret, which fetches access tokens.
        tokens: Where these are kept.
    """

    appid: str
    secret: str = field(repr=False)
    tokens: TokenStore

    @classmethod
    def load(cls, given: Any, tokens: TokenStore | None) -> App | None:
        """Check the settings ``app`` and ``tokens``.

        Raises:
            ConfigurationError: ``app`` is not ``{"appid": …, "secret": …}``, or ``tokens`` is no store, or
                there is nothing to keep in it.
        """
        if given is None:
            if tokens is not None:
                raise ConfigurationError("tokens: keeps the access tokens of app, which was left out")
            return None
        if not isinstance(given, Mapping) or given.keys() != {"appid", "secret"}:
            raise ConfigurationError('app: give {"appid": …, "secret": …}, both of them and nothing else')
        if tokens is not None and not all(callable(getattr(tokens, name, None)) for name in _STORE):
            raise ConfigurationError(
                f"tokens: a store such as FileTokens or RedisTokens, with {', '.join(_STORE)}, "
                f"not {type(tokens).__name__}"
            )
        if tokens is None:
            from wechatpay.tokens import MemoryTokens  # noqa: PLC0415  few have an app

            tokens = MemoryTokens()
        return cls(_word(given, "appid"), _word(given, "secret"), tokens)


@dataclass(frozen=True, slots=True)
class OpenPlatform:
    """What requests to the open platform need.

    Attributes:
        base_uri: Where they go.
        trust: The hosts that they may go to.
        app: Whose access tokens to use, or ``None``: callers pass their own.
        cloud: Whether the code runs in WeChat's cloud hosting, where there are no tokens.
        mchid: Whose orders to look up, or ``None``.
    """

    base_uri: str
    trust: Trust
    app: App | None
    cloud: bool
    mchid: str | None

    @classmethod
    def load(cls, values: Mapping[str, Any], base_uri: str, mchid: str | None) -> OpenPlatform:
        """Check the settings ``app``, ``cloud`` and ``tokens``.

        Args:
            values: All settings.
            base_uri: Where payment requests go. Unless that is WeChat Pay itself, it is a sandbox or a
                gateway of one's own, and the open platform's requests go there as well.
            mchid: Whose orders to look up.

        Raises:
            ConfigurationError: One of the settings is wrong.
        """
        cloud = values.get("cloud", False)
        if not isinstance(cloud, bool):
            raise ConfigurationError("cloud: True in WeChat's cloud hosting, else leave it out")
        app = App.load(values.get("app"), values.get("tokens"))
        if cloud and app:
            raise ConfigurationError(
                "cloud: WeChat's cloud hosting adds the access_token itself, so leave app out there; "
                "elsewhere leave cloud out"
            )
        if uri.authority(base_uri)[1] in PAYMENT_HOSTS:
            # Inside its containers the hosting answers on the plain address, and adds the token.
            base_uri = f"http{'' if cloud else 's'}://{OPEN_PLATFORM}/"
        return cls(base_uri, Trust.of_open_platform(base_uri), app, cloud, mchid)


def _word(given: Mapping[str, Any], name: str) -> str:
    value = given[name]
    if isinstance(value, str) and value and value.isascii() and value.isprintable() and " " not in value:
        return value
    raise ConfigurationError(f"app: {name} is one word of ASCII text, such as WeChat's console shows it")
