"""Which hosts a request may go to. ``Authorization`` leaves for no other."""

from __future__ import annotations

import functools
import ipaddress
from dataclasses import dataclass

from wechatpay import uri
from wechatpay.errors import ConfigurationError, RequestError

__all__ = ["DEFAULT_BASE_URI", "OPEN_PLATFORM", "PAYMENT_HOSTS", "Trust"]

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

OPEN_PLATFORM = "api.weixin.qq.com"


@dataclass(frozen=True, slots=True)
class Trust:
    """The payment hosts and the one that was configured.

    Attributes:
        scheme: Scheme of the configured base URI.
        host: Its host.
        port: Its port.
    """

    scheme: str
    host: str
    port: int

    @classmethod
    def configured(cls, base_uri: str) -> Trust:
        """Trust the host of the constructor's ``base_uri`` beside the payment hosts.

        Raises:
            ConfigurationError: It is no ``https`` URL (``http`` will do for a loopback host).
        """
        try:
            scheme, host, port = uri.authority(base_uri)
        except RequestError as error:
            raise ConfigurationError(f"base_uri: {error}") from None
        if scheme != "https" and not _is_loopback(host):
            raise ConfigurationError(f"base_uri: {scheme}://{host} is not encrypted: use https")
        return cls(scheme, host, port)

    def check(self, url: str) -> None:
        """Let ``url`` pass if it names a trusted host.

        Raises:
            RequestError: It does not.
        """
        scheme, host, port = _authority(url[: url.find("/", 8)])
        if (scheme, host, port) == (self.scheme, self.host, self.port):
            return
        if (scheme, port) == ("https", 443) and host in PAYMENT_HOSTS:
            return
        raise RequestError(
            f"{scheme}://{host}:{port} is neither WeChat Pay's nor the configured base_uri's: "
            "nothing is sent there"
        )


@functools.lru_cache(maxsize=64)
def _authority(origin: str) -> tuple[str, str, int]:
    return uri.authority(origin + "/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
