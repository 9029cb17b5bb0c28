"""WeChat Pay's keys as they are at the moment: which sign, which are offered, which are withdrawn."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Literal

from wechatpay.errors import ConfigurationError
from wechatpay.sandbox.keys.identity import PlatformSigner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wechatpay.sandbox.keys.identity import Identity

__all__ = ["Mode", "Signers"]

#: How a merchant verifies: with a public key, as all do that joined since late 2024, with certificates that
#: it downloads, or with both, on the move from these to that.
Mode = Literal["public-key", "certificates", "both"]

_MODES = ("public-key", "certificates", "both")


class Signers:
    """The keys that WeChat Pay signs with, newest first; threads may share it.

    Attributes:
        mode: How the merchant verifies.
    """

    def __init__(self, identity: Identity, mode: Mode, clock: Callable[[], float]) -> None:
        """Begin with the identity's keys.

        Args:
            identity: Whose keys.
            mode: Which of them the merchant uses.
            clock: Returns Unix seconds, at which new certificates begin.

        Raises:
            ConfigurationError: There is no such mode.
        """
        if mode not in _MODES:
            raise ConfigurationError(f"mode: one of {', '.join(_MODES)}, not {mode!r:.40}")
        self.mode = mode
        self._mchid = identity.mchid
        self._clock = clock
        self._lock = threading.Lock()
        self._offered = tuple(signer for signer in identity.signers if self._suits(signer))
        self._retired: tuple[PlatformSigner, ...] = ()

    @property
    def certs(self) -> Mapping[str, str]:
        """Those that are in use, by their serial numbers, as PEM."""
        return {signer.serial: signer.published for signer in self._offered}

    @property
    def certificates(self) -> tuple[PlatformSigner, ...]:
        """The certificates in use, newest first."""
        return tuple(signer for signer in self._offered if signer.is_certificate)

    def had(self, serial: str) -> bool:
        """Tell whether there ever was such a key: requests under way may name one that was just withdrawn."""
        return any(signer.serial == serial for signer in self._all())

    def signer(self, serial: str | None = None) -> PlatformSigner:
        """Return the key of that serial number while it is in use, else the newest."""
        offered = self._offered
        return next((signer for signer in offered if signer.serial == serial), offered[0])

    def rotate(self) -> PlatformSigner:
        """Make a new key, and use it beside the others: a certificate, but for merchants that have none."""
        if self.mode == "public-key":
            made = PlatformSigner.with_public_key(self._mchid)
        else:
            made = PlatformSigner.with_certificate(self._clock())
        with self._lock:
            self._offered = (made, *self._offered)
        return made

    def retire(self, serial: str) -> None:
        """Use a key no more.

        Raises:
            ConfigurationError: It is not in use, or the last one.
        """
        with self._lock:
            kept = tuple(signer for signer in self._offered if signer.serial != serial)
            if len(kept) == len(self._offered):
                held = ", ".join(self.certs)
                raise ConfigurationError(f"serial: {serial!r:.80} is not in use; there are {held}")
            if not kept:
                raise ConfigurationError("serial: WeChat Pay is never without a key; rotate() first")
            self._retired += tuple(signer for signer in self._offered if signer.serial == serial)
            self._offered = kept

    def decrypt(self, text: str, serial: str) -> str:
        """Decrypt what the merchant encrypted with a key, in use or not.

        Raises:
            ConfigurationError: There never was such a key.
            ValueError: The text was not encrypted with it.
        """
        for signer in self._all():
            if signer.serial == serial:
                return signer.decrypt(text)
        raise ConfigurationError(f"serial: WeChat Pay never had a key {serial!r:.80}")

    def _all(self) -> tuple[PlatformSigner, ...]:
        with self._lock:
            return self._offered + self._retired

    def _suits(self, signer: PlatformSigner) -> bool:
        return self.mode == "both" or signer.is_certificate == (self.mode == "certificates")
