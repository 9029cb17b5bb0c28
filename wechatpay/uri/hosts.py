"""Which hosts a request may go to. ``Authorization`` leaves for no other."""

from __future__ import annotations

import functools
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wechatpay import uri
from wechatpay.errors import ConfigurationError, InvalidRequestError

if TYPE_CHECKING:
    from wechatpay.messages import Request

__all__ = [
    "DEFAULT_BASE_URI",
    "OPEN_PLATFORM",
    "OPEN_PLATFORM_FOLDERS",
    "PAYMENT_HOSTS",
    "Trust",
    "check_destination",
    "is_loopback",
    "is_open_platform",
    "refuse_credentials",
]

DEFAULT_BASE_URI = "https://api.mch.weixin.qq.com/"

#: WeChat Pay's own: https://pay.weixin.qq.com/doc/v3/merchant/4012076511 and the backup and overseas sites.
PAYMENT_HOSTS = frozenset(
    {
        "api.mch.weixin.qq.com",
        "api2.mch.weixin.qq.com",
        "api.wechatpay.cn",
        "api2.wechatpay.cn",
        "apihk.mch.weixin.qq.com",
        "apius.mch.weixin.qq.com",
        "apieu.mch.weixin.qq.com",
        "fraud.mch.weixin.qq.com",
        "payapp.weixin.qq.com",
    }
)

#: Not WeChat Pay: nothing that is signed, and no certificate, goes there.
OPEN_PLATFORM = "api.weixin.qq.com"

#: How its paths begin.
OPEN_PLATFORM_FOLDERS = frozenset({"cgi-bin", "sns", "wxa"})


@dataclass(frozen=True, slots=True)
class Trust:
    """Some known hosts and the one that was configured.

    Attributes:
        scheme: Scheme of the configured base URI.
        host: Its host.
        port: Its port.
        prefix: What its URLs begin with.
        known: The hosts that are trusted beside it, with https alone.
        owner: Whose these are, for errors.
    """

    scheme: str
    host: str
    port: int
    prefix: str
    known: frozenset[str] = PAYMENT_HOSTS
    owner: str = "WeChat Pay"

    @classmethod
    def configured(cls, base_uri: str) -> Trust:
        """Trust the host of the constructor's ``base_uri`` beside the payment hosts.

        Raises:
            ConfigurationError: It is no ``https`` URL (``http`` will do for a loopback host), or is the open
                platform's.
        """
        try:
            scheme, host, port = uri.authority(base_uri)
            prefix = _prefix(base_uri)
        except InvalidRequestError as error:
            raise ConfigurationError(f"base_uri: {str(error).removeprefix('base_uri ')}") from None
        if scheme != "https" and not is_loopback(host):
            raise ConfigurationError(f"base_uri: {scheme}://{host} is not encrypted: use https")
        if host == OPEN_PLATFORM:
            raise ConfigurationError(
                f"base_uri: {host} is the open platform, and signed requests never go there; leave it out: "
                "calls of wxa/, cgi-bin/ and sns/ go there by themselves"
            )
        return cls(scheme, host, port, prefix)

    @classmethod
    def of_open_platform(cls, base_uri: str) -> Trust:
        """Trust the open platform, and the host of ``base_uri``, with unsigned requests."""
        return cls(
            *uri.authority(base_uri), _prefix(base_uri), frozenset({OPEN_PLATFORM}), "the open platform"
        )

    def check(self, url: str) -> None:
        """Refuse a URL whose host is not trusted.

        Raises:
            InvalidRequestError: It is neither the configured host nor a known one.
        """
        scheme, host, port = _authority(url[: url.find("/", 8)])
        if (scheme, host, port) == (self.scheme, self.host, self.port):
            return
        if (scheme, port) == ("https", 443) and host in self.known:
            return
        raise InvalidRequestError(
            f"{scheme}://{host}:{port} is neither {self.owner}'s nor the configured base_uri's: "
            "nothing is sent there"
        )


def check_destination(request: Request, payment: Trust, open_platform: Trust) -> None:
    """Refuse a request to a host that is not trusted with it.

    Raises:
        InvalidRequestError: The host is not trusted; or it is the open platform, and the request carries
            what is WeChat Pay's alone.
    """
    if is_open_platform(request.url):
        refuse_credentials(request)
        open_platform.check(request.url)
    else:
        payment.check(request.url)


def is_open_platform(url: str) -> bool:
    """Return whether ``url`` names the open platform's host, whatever its scheme and port."""
    return _authority(url[: url.find("/", 8)])[1] == OPEN_PLATFORM


def refuse_credentials(request: Request) -> None:
    """Refuse a request to the open platform that carries what is WeChat Pay's alone.

    Raises:
        InvalidRequestError: It is signed, has an ``Authorization``, or asks for the merchant certificate.
    """
    if request.snapshot is not None or "Authorization" in request.headers or request.mutual:
        raise InvalidRequestError(
            "requests to the open platform carry no signature, no Authorization and no merchant certificate: "
            "remove the middleware that added one",
            request=request,
        )


def _prefix(base_uri: str) -> str:
    return f"{uri.split(uri.folder(base_uri))[0]}/"


@functools.lru_cache(maxsize=64)
def _authority(origin: str) -> tuple[str, str, int]:
    return uri.authority(origin + "/")


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is this machine, by its name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
