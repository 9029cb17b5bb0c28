"""The trust set of a Builder, which can ask WeChat Pay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wechatpay import middleware
from wechatpay.messages import Response

if TYPE_CHECKING:
    from wechatpay.middleware import Flow
    from wechatpay.platform.key import PlatformKey
    from wechatpay.platform.refresher import Steps
    from wechatpay.platform.trust import Platform
    from wechatpay.transports import AsyncConnections, Connections

__all__ = ["LivePlatform"]


class LivePlatform:
    """WeChat Pay's keys, to look at, to add to and to retire while calls are made.

    ::

        platform = instance.getDriver().platform
        platform.add("PUB_KEY_ID_…", "file:///path/to/pub_key.pem")
        platform.retire("7132D72A03E93CDDF8C03BBD1F37EEDF00000000")

    Threads and event loops may share one.
    """

    def __init__(self, platform: Platform, blocking: Connections, asynchronous: AsyncConnections) -> None:
        self._platform = platform
        self._blocking = blocking
        self._asynchronous = asynchronous

    @property
    def serials(self) -> tuple[str, ...]:
        """The serial numbers, or public key ids, of all keys."""
        return self._platform.serials

    @property
    def keys(self) -> tuple[PlatformKey, ...]:
        """All keys."""
        return self._platform.keyring.keys

    @property
    def preferred(self) -> PlatformKey | None:
        """The key that requests name and are encrypted with; ``None`` while there is none to be used.

        It is the first public key, else the valid certificate with the newest ``not_before``.
        """
        return self._platform.preferred

    def get(self, serial: str, at: float | None = None) -> PlatformKey | None:
        """Return the key with this serial number if it is known, and valid ``at`` Unix seconds (now)."""
        return self._platform.get(serial, at)

    def add(self, serial: str, key: Any) -> PlatformKey:
        """Believe one more key from now on; one of the same serial number is replaced.

        Args:
            serial: The certificate's serial number, or the id of the public key.
            key: A certificate or public key, in any form that the setting ``certs`` takes.

        Raises:
            ConfigurationError: It does not load, is a certificate with another serial number, or the
                merchant's own.
        """
        return self._platform.add(serial, key)

    def retire(self, serial: str) -> None:
        """Stop naming and believing a key, even if it is downloaded again; `add` undoes it.

        Calls that named it before still believe it for their answers.

        Raises:
            ConfigurationError: There is no such key.
        """
        self._platform.retire(serial)

    def refresh(self) -> None:
        """Download the certificates now, whatever the schedule says.

        Raises:
            ConfigurationError: There is no ``apiv3_key``, it is a wrong one, or the merchant has no
                certificates, being in public-key mode.
            WeChatPayError: The download failed; the known keys stay.
        """
        middleware.run(_flow(self._platform.renewal()), self._blocking)

    async def arefresh(self) -> None:
        """Do as `refresh` does, without blocking the event loop.

        Raises:
            WeChatPayError: As `refresh` does.
        """
        await middleware.arun(_flow(self._platform.renewal()), self._asynchronous)

    def renew(self, serial: str) -> None:
        """Look for a key that is not known, as verifying does: at most once a minute, whoever names it.

        See with `get` whether there is one now.

        Raises:
            WeChatPayError: There is no key at all, and none could be downloaded.
        """
        middleware.run(_flow(self._platform.renewed(serial)), self._blocking)

    async def arenew(self, serial: str) -> None:
        """Do as `renew` does, without blocking the event loop.

        Raises:
            WeChatPayError: As `renew` does.
        """
        await middleware.arun(_flow(self._platform.renewed(serial)), self._asynchronous)

    def __repr__(self) -> str:
        return repr(self._platform)


def _flow(steps: Steps[None]) -> Flow:
    """Make a flow of steps that have no answer."""
    yield from steps
    return Response(204)
