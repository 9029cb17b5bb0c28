"""WeChat Pay's keys: which are trusted, by serial number, and where missing ones come from.

https://pay.weixin.qq.com/doc/v3/merchant/4012365342
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from wechatpay import middleware
from wechatpay.apiv3.keyring import PUBLIC_KEY_ID, Keyring, PlatformKey, same_serial
from wechatpay.crypto import pem, suites
from wechatpay.errors import ConfigurationError, CryptoError
from wechatpay.secret import conceal

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.apiv3.certificate_refresher import CertificateRefresher
    from wechatpay.crypto.suites import PublicKey, Suite
    from wechatpay.errors import WeChatPayError
    from wechatpay.middleware import Steps
    from wechatpay.transports import AsyncConnections, Connections

__all__ = ["PlatformKeys"]

#: Characters of the longest serial number, or public key id, and some to spare.
_MAX_SERIAL_SIZE = 64


class PlatformKeys:
    """The keys that responses and callbacks are verified with: public keys and certificates together.

    ::

        keys = instance.getDriver().platform
        keys.add("PUB_KEY_ID_…", "file:///path/to/pub_key.pem")
        keys.retire("7132D72A03E93CDDF8C03BBD1F37EEDF00000000")

    Threads, event loops and forked processes may share one. Reading takes no lock: the keyring is an
    immutable value, and a change replaces it.

    Attributes:
        keyring: The keys at this moment.
    """

    def __init__(
        self,
        keys: Mapping[str, PlatformKey] | None = None,
        *,
        merchant_serial: str = "",
        merchant_key: PublicKey | None = None,
        suite: Suite | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin with the caller's keys.

        Args:
            keys: The caller's keys by serial number.
            merchant_serial: The merchant's own serial number, which is refused here.
            merchant_key: The merchant's own public key, which is refused here.
            suite: The algorithms that the merchant signs by; ``None`` if the first key decides.
            clock: Returns Unix seconds.
        """
        self.keyring = Keyring(dict(keys or {}))
        self._merchant_serial = merchant_serial
        self._merchant_key = merchant_key
        self._suite = suite
        self._clock = clock
        self._refresher: CertificateRefresher | None = None
        self._backends: tuple[Connections, AsyncConnections] | None = None
        # One for each process: a lock that another thread held at the fork stays locked in the child.
        self._locks: dict[int, threading.Lock] = {}

    @classmethod
    def load(cls, certs: Any, **options: Any) -> Self:
        """Load the setting ``certs``.

        Args:
            certs: Serial number, or public key id, to certificate or public key; ``None`` if all of them
                are to be downloaded.
            options: What the constructor takes.

        Raises:
            ConfigurationError: It is not a mapping of serial numbers to keys, or contains the merchant's own.
        """
        if certs is not None and (not isinstance(certs, Mapping) or not certs):
            raise ConfigurationError(
                "certs: give a mapping of serial number (or PUB_KEY_ID_…) "
                "to WeChat Pay's certificate or public key"
            )
        keys = cls(**options)
        for serial, source in (certs or {}).items():
            keys.add(serial, source, name="certs")
        return keys

    def refresh_with(self, refresher: CertificateRefresher) -> None:
        """Download certificates by means of ``refresher`` from now on."""
        self._refresher = refresher

    def connect(self, blocking: Connections, asynchronous: AsyncConnections) -> None:
        """Choose the connections of `refresh` and `renew`, and their async twins."""
        self._backends = blocking, asynchronous

    @property
    def suite(self) -> Suite:
        """The algorithms of the keys; RSA's while there is none."""
        return self._suite or suites.RSA

    @property
    def serials(self) -> tuple[str, ...]:
        """The serial numbers, or public key ids, of all keys."""
        return self.keyring.serials

    @property
    def keys(self) -> tuple[PlatformKey, ...]:
        """All keys, the caller's first."""
        return self.keyring.keys

    @property
    def preferred(self) -> PlatformKey | None:
        """The key that requests name and sensitive fields are encrypted with; ``None`` if none is valid.

        It is the first public key, else the valid certificate with the newest ``not_before``.
        """
        return self.keyring.public_key or self.keyring.preferred(self._clock())

    @property
    def can_download(self) -> bool:
        """Whether certificates can be downloaded, which takes an APIv3 key."""
        return self._refresher is not None

    def is_due(self) -> bool:
        """Return whether certificates were downloaded long ago, so that the next call refreshes them."""
        return self._refresher is not None and self._refresher.is_due()

    def get(self, serial: str, at: float | None = None) -> PlatformKey | None:
        """Return the key with this serial number, compared case-sensitively, or ``None``.

        Args:
            serial: The serial number, or public key id.
            at: When it signed, in Unix seconds; now by default. A certificate verifies nothing outside its
                dates.
        """
        return self.keyring.get(serial, self._clock() if at is None else at)

    @conceal
    def add(self, serial: str, key: Any, *, name: str = "platform") -> PlatformKey:
        """Trust one more key from now on; one of the same serial number is replaced.

        Args:
            serial: The certificate's serial number, or the id of the public key.
            key: A certificate or public key, in any form that the setting ``certs`` takes.
            name: The setting that errors name.

        Raises:
            ConfigurationError: It does not load, is a certificate with another serial number, the merchant's
                own, or of another suite than the merchant's key.
        """
        if not isinstance(serial, str) or not 0 < len(serial) <= _MAX_SERIAL_SIZE:
            # Not quoted: a longer text is a key in its place.
            raise ConfigurationError(
                f"{name}: each key has a serial number, or a public key id, as text of up to "
                f"{_MAX_SERIAL_SIZE} characters"
            )
        serial = str.__str__(serial)
        place = f"{name}[{serial!r}]"
        loaded = self._load(serial, key, place)
        if self._suite not in (None, loaded.suite):
            raise ConfigurationError(
                f"{place}: an {loaded.suite.name} key, but the other keys are {self.suite.name} keys: the "
                "merchant's own and all of WeChat Pay's must be of one suite, RSA or SM2"
            )
        self._suite = loaded.suite
        self._change(lambda keyring: keyring.with_(loaded))
        return loaded

    def _load(self, serial: str, source: Any, place: str) -> PlatformKey:
        """Load a certificate or public key in any form that :mod:`wechatpay.crypto` takes."""
        try:
            try:
                certificate = pem.load_certificate(source)
            except CryptoError:
                certificate = None
            own = serial if certificate is None else pem.parse_certificate_serial_no(certificate)
            public_key = suites.load_public_key(certificate or source)
            if self._is_merchants(serial) or self._is_merchants(own) or public_key == self._merchant_key:
                raise ConfigurationError(
                    f"{place}: this is the merchant's own certificate or key; give WeChat Pay's public key "
                    "(its id begins PUB_KEY_ID_) or platform certificate, which the merchant console has "
                    "under 账户中心 → API安全"
                )
            if certificate is None:
                return PlatformKey(serial, public_key)
            return PlatformKey.from_certificate(serial, certificate)
        except CryptoError as error:
            raise ConfigurationError(f"{place}: {error}") from None

    def _is_merchants(self, serial: str) -> bool:
        return bool(self._merchant_serial) and same_serial(serial.upper(), self._merchant_serial.upper())

    def retire(self, serial: str) -> None:
        """Stop naming and trusting a key, even if it is downloaded again; `add` undoes it.

        Calls that named it before still trust it for their responses.

        Raises:
            ConfigurationError: There is no such key.
        """
        if serial not in self.serials:
            raise ConfigurationError(
                f"platform: there is no key {serial!r:.80}; there are {', '.join(self.serials) or 'none'}"
            )
        self._change(lambda keyring: keyring.without(serial))

    def ensure_key(self) -> Steps[PlatformKey]:
        """Return the preferred key, downloading certificates first if there is none; a generator of effects.

        Certificates that are old are refreshed by one call, while the others use the old ones.

        Raises:
            ConfigurationError: There is no key, and none can be downloaded before a setting is changed.
            ConnectError: The download failed.
            APIError: WeChat Pay refused the download.
        """
        key = self.preferred
        if self._refresher is not None and (key is None or self.is_due()):
            yield from self._refresher.fetch_any() if key is None else self._refresher.refresh_due()
            key = self.preferred
        if key is None:
            raise self.missing()
        return key

    def find(self, serial: str, at: float, named: PlatformKey | None = None) -> Steps[PlatformKey | None]:
        """Return the trusted key with this serial number, fetching it if necessary; a generator of effects.

        Failures of the download are not raised, only logged. A key is fetched at most once a minute.

        Args:
            serial: The serial number, or public key id.
            at: When it signed, in Unix seconds.
            named: The key that the request named, which verifies its response even if it was retired since.
        """
        if named is not None and named.serial == serial and (named.not_before is None or named.is_valid(at)):
            return named
        key = self.keyring.get(serial, at)
        if key is None and self._refresher is not None and not serial.startswith(PUBLIC_KEY_ID):
            yield from self._refresher.fetch(serial)
            key = self.keyring.get(serial, at)
        return key

    def refresh(self) -> None:
        """Download the certificates now, even if they are not old.

        Raises:
            ConfigurationError: There is no ``apiv3_key``, it is wrong, or the merchant has no certificates,
                being in public-key mode.
            WeChatPayError: The download failed; the known keys stay.
        """
        self._run(self._refresh())

    async def arefresh(self) -> None:
        """Do the same as `refresh`, without blocking the event loop.

        Raises:
            WeChatPayError: As `refresh` does.
        """
        await self._arun(self._refresh())

    def renew(self, serial: str) -> None:
        """Fetch a key that is not known, as verifying a response does: at most once a minute.

        Use `get` to see whether it is known now.

        Raises:
            WeChatPayError: There is no key at all, and none could be downloaded.
        """
        self._run(self._renew(serial))

    async def arenew(self, serial: str) -> None:
        """Do the same as `renew`, without blocking the event loop.

        Raises:
            WeChatPayError: As `renew` does.
        """
        await self._arun(self._renew(serial))

    def missing(self) -> WeChatPayError:
        """Make the error for calls while there is no valid key."""
        if self._refresher is not None and (error := self._refresher.copy_failure()):
            return error
        advice = (
            "is the clock right, and was none retired that is needed?"
            if self.can_download
            else "give WeChat Pay's public key, or a valid certificate: getDriver().platform.add(serial, key)"
        )
        known = (
            f"of {', '.join(self.serials)} none is valid now" if self.serials else "no key of WeChat Pay's"
        )
        return ConfigurationError(f"certs: {known}, so nothing was sent; {advice}")

    def adopt(self, offered: Mapping[str, PlatformKey], as_of: int) -> None:
        """Trust the certificates of a download that was signed at ``as_of``, in Unix seconds."""
        now = self._clock()
        self._change(lambda keyring: keyring.refreshed(offered, as_of, now))

    def _refresh(self) -> Steps[None]:
        if self._refresher is None:
            raise ConfigurationError("apiv3_key: missing; WeChat Pay's certificates are encrypted with it")
        yield from self._refresher.refresh()

    def _renew(self, serial: str) -> Steps[None]:
        yield from self.find(serial, self._clock())
        if not self.serials and self._refresher and (error := self._refresher.copy_failure()):
            raise error

    def _run(self, steps: Steps[None]) -> None:
        middleware.run(steps, self._connected()[0].perform)

    async def _arun(self, steps: Steps[None]) -> None:
        await middleware.arun(steps, self._connected()[1].perform)

    def _connected(self) -> tuple[Connections, AsyncConnections]:
        if self._backends is None:
            raise ConfigurationError("apiv3_key: only a Builder downloads certificates")
        return self._backends

    def _change(self, change: Callable[[Keyring], Keyring]) -> None:
        with self._locks.setdefault(os.getpid(), threading.Lock()):
            self.keyring = change(self.keyring)

    def __repr__(self) -> str:
        return f"<PlatformKeys {', '.join(self.serials)}>"
