"""The trust set: every key of WeChat Pay's that is believed, wherever it came from."""

from __future__ import annotations

import copy
import logging
import os
import random
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from wechatpay.errors import ConfigurationError, WeChatPayError
from wechatpay.platform.downloader import Downloader
from wechatpay.platform.key import PlatformKey, same_serial
from wechatpay.platform.keyring import Keyring
from wechatpay.platform.refresher import Reason, Refresher
from wechatpay.platform.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.crypto.suites import Suite
    from wechatpay.platform.cache import DirectoryCache
    from wechatpay.platform.download import Download
    from wechatpay.platform.downloader import Source
    from wechatpay.platform.refresher import Steps

__all__ = ["Platform"]

_log = logging.getLogger("wechatpay")

#: How ids of public keys begin: no download of certificates brings one.
_PUBLIC_KEY_ID = "PUB_KEY_ID_"


class Platform:
    """The keys that answers and callbacks are believed by: public keys and certificates together.

    Threads, event loops and forked processes may share one. Reading never waits: the set is one immutable
    value, and whoever changes it puts another in its place.
    """

    def __init__(  # noqa: PLR0913  keywords, each with a default
        self,
        keys: Mapping[str, PlatformKey] | None = None,
        *,
        merchant_serial: str = "",
        apiv3_key: bytes | None = None,
        cache: DirectoryCache | None = None,
        suite: Suite | None = None,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Begin with the caller's keys; nothing is downloaded yet.

        Args:
            keys: The caller's keys by serial number.
            merchant_serial: The merchant's own serial number, which is never WeChat Pay's.
            apiv3_key: Decrypts downloaded certificates; ``None`` if there is nothing to download.
            cache: Where workers share downloads.
            suite: The algorithms that the merchant signs by; ``None`` if the first key is to decide.
            clock: Returns Unix seconds.
            chance: Returns a random number from 0 to 1, which spreads refreshes.
        """
        self._keyring = Keyring(dict(keys or {}))
        self._merchant_serial = merchant_serial
        self._clock = clock
        self._suite = suite
        self._schedule = Schedule(clock, chance)
        self._downloader = Downloader(apiv3_key, clock, lambda: self._keyring, lambda: self.suite)
        self._refresher = Refresher(self._downloader, self._adopt, self._schedule.failed, cache)
        # One for each process: a lock that another thread held at the fork stays locked in the child.
        self._locks: dict[int, threading.Lock] = {}

    @classmethod
    def load(cls, certs: Any, merchant_serial: str, **how: Any) -> Self:
        """Load the setting ``certs``.

        Args:
            certs: Serial number, or public key id, to certificate or public key; ``None`` if all of them
                are to be downloaded.
            merchant_serial: The merchant's own serial number.
            how: What the constructor takes.

        Raises:
            ConfigurationError: It is no mapping of serial numbers to keys, or holds the merchant's own.
        """
        if certs is not None and (not isinstance(certs, Mapping) or not certs):
            raise ConfigurationError(
                "certs: give a mapping of serial number (or PUB_KEY_ID_…) "
                "to WeChat Pay's certificate or public key"
            )
        platform = cls(merchant_serial=merchant_serial, **how)
        for serial, source in (certs or {}).items():
            platform.add(serial, source, name="certs")
        return platform

    @property
    def suite(self) -> Suite:
        """The algorithms of its keys; RSA's before there is one."""
        if self._suite is None:
            from wechatpay.crypto.suites import RSA  # noqa: PLC0415  `cryptography` is heavy

            return RSA
        return self._suite

    @property
    def keyring(self) -> Keyring:
        """The set as it is now, for one call to hold on to."""
        return self._keyring

    @property
    def serials(self) -> tuple[str, ...]:
        """The serial numbers of all keys."""
        return self._keyring.serials

    @property
    def preferred(self) -> PlatformKey | None:
        """The key that requests name and sensitive fields are encrypted with; ``None`` while there is none.

        It is the first public key, else the valid certificate with the newest ``not_before``.
        """
        return self._keyring.preferred(self._clock())

    def get(self, serial: str, at: float | None = None) -> PlatformKey | None:
        """Return the key with this serial number, compared case-sensitively, or ``None``.

        Args:
            serial: The serial number, or public key id.
            at: When it signed, in Unix seconds; now by default. A certificate proves nothing beyond its
                dates.
        """
        return self._keyring.get(serial, self._clock() if at is None else at)

    def add(self, serial: str, key: Any, *, name: str = "platform") -> PlatformKey:
        """Believe one more key from now on; one of the same serial number is replaced.

        Args:
            serial: The certificate's serial number, or the id of the public key.
            key: A certificate or public key, in any form that the setting ``certs`` takes.
            name: What an error calls the place.

        Raises:
            ConfigurationError: It does not load, is a certificate with another serial number, the merchant's
                own, or of another suite than the merchant's key.
        """
        if not isinstance(serial, str) or not serial:
            raise ConfigurationError(f"{name}: each key has a serial number, or a public key id, as text")
        if self._merchant_serial and same_serial(serial.upper(), self._merchant_serial.upper()):
            raise ConfigurationError(
                f"{name}[{serial!r}]: this is the merchant's own certificate; "
                "give WeChat Pay's public key or platform certificate"
            )
        loaded = PlatformKey.load(serial, key, f"{name}[{serial!r}]")
        if self._suite not in (None, loaded.suite):
            raise ConfigurationError(
                f"{name}[{serial!r}]: an {loaded.suite.name} key, where {self.suite.name} keys are: the "
                "merchant's own and all of WeChat Pay's are of one suite, RSA or SM2"
            )
        self._suite = loaded.suite
        self._change(lambda keyring: keyring.with_(loaded))
        return loaded

    def retire(self, serial: str) -> None:
        """Stop believing a key, whoever offers it again; `add` undoes it.

        Calls that have begun may still have been encrypted with it, and then fail to verify.

        Raises:
            ConfigurationError: There is no such key.
        """
        if serial not in self.serials:
            raise ConfigurationError(
                f"platform: there is no key {serial!r:.80}; there are {', '.join(self.serials) or 'none'}"
            )
        self._change(lambda keyring: keyring.without(serial))

    def download_by(self, source: Source) -> None:
        """Choose how certificates are asked for."""
        self._downloader.source = source

    @property
    def can_download(self) -> bool:
        """Whether certificates can be asked for: there is an APIv3 key, and a way to ask."""
        return self._downloader.is_able

    def ready(self) -> Steps[PlatformKey]:
        """Make sure of a key before a call; a generator of effects.

        Certificates that are old are asked for anew, by one call for all, and the old ones do meanwhile.

        Returns:
            The preferred key.

        Raises:
            ConfigurationError: There is none, and none to be had before a setting is changed.
            ConnectError: None could be downloaded just now.
            APIError: WeChat Pay refused.
        """
        key = self.preferred
        if key is None and self.can_download:
            yield from self._refresher.refresh(
                Reason(
                    is_met=lambda: self.preferred is not None,
                    may=self._schedule.may_fetch,
                    suits=lambda download: any(key.is_valid(self._clock()) for key in download.keys.values()),
                )
            )
        elif self._schedule.is_due():
            yield from self._refresher.refresh(
                Reason(
                    is_met=lambda: not self._schedule.is_due(),
                    may=lambda: True,
                    suits=lambda _: True,
                    waits=False,
                )
            )
        elif key is not None:
            return key
        if (key := self.preferred) is None:
            raise self.unready()
        return key

    def seek(self, serial: str) -> Steps[None]:
        """Ask for the key of a serial number that is not known, within the budget; a generator of effects.

        Failures are not raised: see whether `get` has it now.
        """
        if self.can_download and not serial.startswith(_PUBLIC_KEY_ID):
            yield from self._refresher.refresh(
                Reason(
                    is_met=lambda: self.get(serial) is not None,
                    may=self._schedule.may_seek,
                    suits=lambda download: serial in download.keys,
                )
            )

    def renewed(self, serial: str) -> Steps[None]:
        """Do as `seek` does for a callback; a generator of effects.

        Raises:
            WeChatPayError: There is no key at all, and none could be downloaded.
        """
        yield from self.seek(serial)
        if not self.serials and self._refresher.failure is not None:
            raise copy.copy(self._refresher.failure)

    def renewal(self) -> Steps[None]:
        """Ask anew whatever the schedule says; a generator of effects.

        Raises:
            ConfigurationError: There is no APIv3 key, or it does not decrypt, or there are no certificates.
            WeChatPayError: The download failed; the known keys stay.
        """
        if not self.can_download:
            raise ConfigurationError("apiv3_key: missing; WeChat Pay's certificates are encrypted with it")
        begun = self._refresher.landings
        yield from self._refresher.refresh(
            Reason(is_met=lambda: self._refresher.landings > begun, may=lambda: True, suits=lambda _: False)
        )
        if self._refresher.failure is not None:
            raise copy.copy(self._refresher.failure)

    def unready(self) -> WeChatPayError:
        """Make the error for calls while there is no key to name."""
        if self._refresher.failure is not None:
            return copy.copy(self._refresher.failure)
        advice = (
            "is the clock right, and was none retired that is needed?"
            if self.can_download
            else "give WeChat Pay's public key, or a valid certificate: getDriver().platform.add(serial, key)"
        )
        held = f"of {', '.join(self.serials)} none is valid now" if self.serials else "no key of WeChat Pay's"
        return ConfigurationError(f"certs: {held}, so nothing was sent; {advice}")

    def _adopt(self, download: Download) -> None:
        now = self._clock()
        before = self.serials
        self._change(lambda keyring: keyring.refreshed(download.keys, download.as_of, now))
        self._schedule.succeeded(download.as_of)
        if self.preferred is None:
            # The next call is not to ask again at once for what is of no use.
            self._schedule.failed()
        if self.serials != before:
            _log.info("WeChat Pay's keys are now %s", ", ".join(self.serials))

    def _change(self, change: Callable[[Keyring], Keyring]) -> None:
        with self._locks.setdefault(os.getpid(), threading.Lock()):
            self._keyring = change(self._keyring)

    def __repr__(self) -> str:
        return f"<Platform {', '.join(self.serials)}>"
