"""From headers and body to a proved notification, of either protocol."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from wechatpay.apiv3.verification import Proof
from wechatpay.errors import ConfigurationError, InvalidRequestError, NotificationError, WeChatPayError
from wechatpay.notification import envelope, headers
from wechatpay.notification.document import Documents
from wechatpay.notification.refusals import UnconfiguredNotificationError
from wechatpay.notification.steps import Step, Steps
from wechatpay.platform import Platform, PlatformKey
from wechatpay.platform.loading import load_apiv3_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wechatpay.notification.headers import Given
    from wechatpay.notification.message import Notification

__all__ = ["Reader", "Renewal"]

_log = logging.getLogger("wechatpay")

_BLANK = b"\xef\xbb\xbf \t\r\n"


class Renewal(Protocol):
    """Looks for a key that is not known yet, within a budget: anybody may send a callback that names one.

    What it finds goes into the `Platform` that is given as ``certs``. It may raise a ``WeChatPayError``.
    """

    def renew(self, serial: str, /) -> None:
        """Fetch WeChat Pay's keys, if it may be done now."""
        ...

    async def arenew(self, serial: str, /) -> None:
        """Fetch WeChat Pay's keys, if it may be done now, without blocking the event loop."""
        ...


class Reader:
    """Proves and decrypts callbacks; what the body is decides of which protocol."""

    def __init__(  # noqa: PLR0913  keywords, one for each setting
        self,
        *,
        certs: Mapping[str, Any] | Platform | None,
        apiv3_key: str | bytes | None,
        secret: str | None,
        mchid: str | None,
        clock: Callable[[], float],
        renewal: Renewal | None,
    ) -> None:
        """Check and parse the settings; see `NotificationHandler`.

        Raises:
            ConfigurationError: A setting is missing or wrong; the message names it.
        """
        if certs is None and secret is None:
            raise ConfigurationError(
                "give certs and apiv3_key, for APIv3, or secret, for APIv2, or all three"
            )
        if certs is not None and apiv3_key is None:
            raise ConfigurationError("apiv3_key: missing; APIv3's callbacks are encrypted with it")
        if not (certs is None or isinstance(certs, Platform)):
            certs = Platform.load(certs, "", clock=clock)
        self._platform = certs
        self._apiv3_key = None if apiv3_key is None else load_apiv3_key(apiv3_key)
        self._documents = None if secret is None else Documents(_secret(secret), mchid, self._apiv3_key)
        self._clock = clock
        self._renewal = renewal

    def read(self, given: Given, body: bytes) -> Steps[Notification]:
        """Prove and decrypt a callback; a generator of steps.

        Raises:
            NotificationError: It must not be acted on.
            InvalidRequestError: ``body`` is not bytes, or ``given`` are no headers.
        """
        if not isinstance(body, bytes | bytearray | memoryview):
            raise InvalidRequestError(
                f"body: give the raw bytes as they came, not {type(body).__name__}: the signature is over "
                "bytes, and what was decoded, or parsed, cannot be proved any more"
            )
        raw = bytes(body)
        if raw.lstrip(_BLANK).startswith(b"<"):
            return self._document(raw)
        return (yield from self._envelope(given, raw))

    def _document(self, body: bytes) -> Notification:
        try:
            if self._documents is None:
                raise UnconfiguredNotificationError("an APIv2 callback (XML): give secret, the APIv2 key")
            return self._documents.opened(body)
        except NotificationError as error:
            error.version = "v2"
            raise

    def _envelope(self, given: Given, body: bytes) -> Steps[Notification]:
        if self._platform is None or self._apiv3_key is None:
            raise UnconfiguredNotificationError("an APIv3 callback (JSON): give certs and apiv3_key")
        proof = Proof.read(headers.read(given), self._clock(), envelope.CALLBACK)
        key = yield from self._key(self._platform, proof)
        # By what the key is, never by what headers or body say that it is.
        envelope.verify(proof, body, key.public_key, key.suite)
        return envelope.opened(body, self._apiv3_key, key.suite)

    def _key(self, platform: Platform, proof: Proof) -> Steps[PlatformKey]:
        serial, signed = proof.serial, int(proof.timestamp)
        key = platform.get(serial, signed)
        if key is None and self._renewal is not None:
            try:
                yield Step(self._renewal.renew, serial, coroutine=self._renewal.arenew)
            except WeChatPayError as error:
                _log.warning("the key %.80r of a callback could not be looked for: %s", serial, error)
            key = platform.get(serial, signed)
        if key is None:
            raise proof.unknown(platform.serials)
        return key


def _secret(given: str) -> str:
    if not isinstance(given, str) or not given:
        raise ConfigurationError("secret: give the APIv2 key as text")
    return given
