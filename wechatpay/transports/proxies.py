"""Which proxy, if any, is on the way to a host."""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from wechatpay.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Proxies"]


@dataclass(frozen=True)
class Proxies:
    """HTTP proxies by scheme or host, for both colours alike: SOCKS is not among what aiohttp knows."""

    _urls: Mapping[str, str] = field(repr=False)
    _from_environment: bool
    _known: dict[tuple[str, str], str | None] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, given: Mapping[Any, Any] | None) -> Proxies:
        """Take the setting, or the environment's where it was left out.

        Raises:
            ConfigurationError: A setting is no URL of an HTTP proxy.
        """
        if given is None:
            # Checked when one is met: the environment may name proxies for other programs.
            return cls(urllib.request.getproxies_environment(), _from_environment=True)
        urls = {
            name: _checked(url if isinstance(name, str) else None, repr(name))
            for name, url in given.items()
            if url
        }
        return cls(urls, _from_environment=False)

    def towards(self, url: str) -> str | None:
        """Return the URL of the proxy on the way to ``url``, or ``None``.

        Raises:
            ConfigurationError: The environment names one that is no HTTP proxy.
        """
        scheme, _, host = url.split("/", 3)[:3]
        if (scheme, host) not in self._known:
            self._known[scheme, host] = self._found(scheme[:-1], host)
        return self._known[scheme, host]

    def _found(self, scheme: str, host: str) -> str | None:
        if self._from_environment and _bypass(host, dict(self._urls)):
            return None
        for key in (f"{scheme}://{host}", scheme, f"all://{host}", "all"):
            if proxy := self._urls.get(key):
                return _checked(proxy, f"the environment's {key}_proxy")
        return None


def _checked(url: Any, what: str) -> str:
    """Read the URL of a proxy; the error shows none of it, for there may be a password."""
    if isinstance(url, str):
        whole = url if "://" in url else f"http://{url}"
        try:
            parts = urlsplit(whole)
            if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
                return whole
        except ValueError:
            pass
    raise ConfigurationError(
        f"proxies: {what} is no URL of an HTTP proxy, such as http://host:3128 (SOCKS is not supported); "
        "proxies={} is for none"
    )


# typeshed leaves it out; the documented proxy_bypass() would read the environment at every call.
_bypass = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
