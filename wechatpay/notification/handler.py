"""From headers and body to a proved notification, and to the reply."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from wechatpay.crypto.aes_gcm import KEY_BYTES
from wechatpay.errors import ConfigurationError, NotificationError, RequestError
from wechatpay.notification import envelope, headers
from wechatpay.notification.document import Documents
from wechatpay.notification.message import Notification
from wechatpay.notification.refusals import UnconfiguredNotificationError
from wechatpay.notification.reply import Reply
from wechatpay.notification.steps import Step, Steps, arun, run
from wechatpay.notification.store import MemoryStore
from wechatpay.platform import Platform, PlatformKey
from wechatpay.protocols.proof import Proof

if TYPE_CHECKING:
    from wechatpay.notification.headers import Given
    from wechatpay.notification.store import ReplayStore

__all__ = ["NotificationHandler", "Process", "Renewal"]

_log = logging.getLogger("wechatpay")

#: Deals with an event; may be a coroutine function.
Process = Callable[[Notification], Any]

_BLANK = b"\xef\xbb\xbf \t\r\n"


class Renewal(Protocol):
    """Looks for a key that is not known yet, within a budget: anybody may send a callback that names one."""

    def renew(self, serial: str, /) -> None:
        """Fetch WeChat Pay's keys, if it may be done now."""
        ...

    async def arenew(self, serial: str, /) -> None:
        """Fetch WeChat Pay's keys, if it may be done now."""
        ...


class NotificationHandler:
    """Proves, decrypts and answers callbacks, of APIv3 and of APIv2 on the same URL.

    ::

        handler = NotificationHandler(certs={"PUB_KEY_ID_…": "file:///path/to/pub_key.pem"}, apiv3_key="…")

        def paid(notification):
            orders.settle(notification.resource["out_trade_no"])

        reply = handler.handle(request.headers, request.get_data(), paid)

    Threads and event loops may share one. For a service that also makes calls,
    ``instance.getDriver().notifications()`` gives one with the Builder's settings.

    Attributes:
        store: Which events were dealt with.
    """

    def __init__(  # noqa: PLR0913  keywords, one for each setting
        self,
        *,
        certs: Mapping[str, Any] | Platform | None = None,
        apiv3_key: str | bytes | None = None,
        secret: str | None = None,
        mchid: str | None = None,
        store: ReplayStore | None = None,
        lease: float = 60.0,
        clock: Callable[[], float] = time.time,
        renewal: Renewal | None = None,
    ) -> None:
        """Check and parse the settings.

        Args:
            certs: WeChat Pay's keys, as a Builder takes them: serial number, or ``PUB_KEY_ID_…``, to
                certificate or public key. For APIv3, with ``apiv3_key``.
            apiv3_key: The APIv3 key, 32 bytes.
            secret: The APIv2 key. For APIv2.
            mchid: The merchant whose APIv2 callbacks are taken; any that ``secret`` proves by default.
            store: Which events were dealt with; by default one in memory, for one process.
            lease: Seconds after which an event that a process has begun, and never finished, is dealt with
                anew.
            clock: Returns Unix seconds.
            renewal: Looks for keys that are not among ``certs``.

        Raises:
            ConfigurationError: A setting is missing or wrong; the message names it.
        """
        if certs is None and secret is None:
            raise ConfigurationError(
                "give certs and apiv3_key, for APIv3, or secret, for APIv2, or all three"
            )
        if lease <= 0:
            raise ConfigurationError("lease: more than 0 seconds, and more than an event takes to deal with")
        self._apiv3_key = _apiv3_key(apiv3_key, needed=certs is not None)
        self._platform = _platform(certs)
        self._documents = None if secret is None else Documents(_secret(secret), mchid, self._apiv3_key)
        self._clock = clock
        self._renewal = renewal
        self._lease = lease
        self.store: ReplayStore = MemoryStore() if store is None else store

    def parse(self, headers: Given, body: bytes) -> Notification:
        """Prove and decrypt a callback; whether it came before is not looked at.

        Args:
            headers: The request's headers, as the framework gives them.
            body: The request's body, exactly as it came.

        Raises:
            NotificationError: It must not be acted on; ``error.reply`` is what to answer. Its kinds are in
                :mod:`wechatpay.notification.refusals`.
            RequestError: ``body`` is not bytes, or ``headers`` are none.
            TransportError: Keys were to be fetched, and WeChat Pay gave no answer.
        """
        return run(self._parse(headers, body))

    async def aparse(self, headers: Given, body: bytes) -> Notification:
        """Do as `parse` does, without blocking the event loop.

        Raises:
            WeChatPayError: As `parse` does.
        """
        return await arun(self._parse(headers, body))

    def handle(self, headers: Given, body: bytes, process: Process) -> Reply:
        """Prove a callback, have its event dealt with once, and make the reply.

        An event that was dealt with gets the same reply again, and ``process`` is not called. One that is
        being dealt with at this moment is turned away, to be delivered again. What ``process`` raises is
        raised, so that your framework reports it and answers 500, and the event will be delivered again.

        Args:
            headers: The request's headers, as the framework gives them.
            body: The request's body, exactly as it came.
            process: Deals with the event. Returns ``None``; further fields of the reply, for the few kinds of
                events that ask for some; or a `Reply`.

        Raises:
            RequestError: ``body`` is not bytes, ``headers`` are none, or what ``process`` returned cannot be
                sent.
            ConfigurationError: ``process`` or the store is asynchronous.
            Exception: What ``process`` or the store raised.
        """
        return run(self._handle(headers, body, process))

    async def ahandle(self, headers: Given, body: bytes, process: Process) -> Reply:
        """Do as `handle` does, from the event loop.

        ``process``, and the methods of the store, may be coroutine functions; others run on a thread.

        Raises:
            Exception: As `handle` does.
        """
        return await arun(self._handle(headers, body, process))

    def _handle(self, given: Given, body: bytes, process: Process) -> Steps[Reply]:
        try:
            notification = yield Step(self.parse, given, body, coroutine=self.aparse)
        except NotificationError as error:
            _log.warning("callback refused: %s", error)
            return error.reply
        event = notification.id
        if not (yield Step(self.store.claim, event, self._lease)):
            known = yield Step(self.store.reply, event)
            _log.info("callback %s came again, %s", event, "dealt with" if known else "being dealt with")
            return Reply.from_bytes(known) if known else notification.reject("being dealt with", 503)
        return (yield from self._once(notification, process))

    def _once(self, notification: Notification, process: Process) -> Steps[Reply]:
        """Deal with an event that was claimed; a process that dies here leaves the claim to its lease."""
        event, begun = notification.id, time.monotonic()
        try:
            outcome = yield Step(process, notification)
            reply = outcome if isinstance(outcome, Reply) else notification.acknowledge(outcome)
        except Exception:
            yield from self._release(event, begun)
            raise
        if not reply.is_success:
            yield from self._release(event, begun)
            return reply
        try:
            yield Step(self.store.complete, event, reply.to_bytes())
        except Exception:  # noqa: BLE001  whatever a store of others raises
            # The event is dealt with: acknowledged, it is not delivered again, remembered or not.
            _log.exception("callback %s was dealt with, but the store did not take it", event)
        return reply

    def _release(self, event: str, begun: float) -> Steps[None]:
        if time.monotonic() - begun >= self._lease:
            return  # Somebody else may have claimed it meanwhile.
        try:
            yield Step(self.store.release, event)
        except Exception:  # noqa: BLE001  whatever a store of others raises
            _log.exception(
                "callback %s is blocked for %s s: the store did not release it", event, self._lease
            )

    def _parse(self, given: Given, body: bytes) -> Steps[Notification]:
        if not isinstance(body, bytes | bytearray | memoryview):
            raise RequestError(
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
        envelope.verify(proof, body, key.public_key)
        return envelope.opened(body, self._apiv3_key)

    def _key(self, platform: Platform, proof: Proof) -> Steps[PlatformKey]:
        key = platform.get(proof.serial)
        if key is None and self._renewal is not None:
            yield Step(self._renewal.renew, proof.serial, coroutine=self._renewal.arenew)
            key = platform.get(proof.serial)
        if key is None:
            raise proof.unknown(platform.serials)
        return key


def _platform(certs: Mapping[str, Any] | Platform | None) -> Platform | None:
    return certs if certs is None or isinstance(certs, Platform) else Platform.load(certs, "")


def _apiv3_key(given: str | bytes | None, *, needed: bool) -> bytes | None:
    if given is None:
        if needed:
            raise ConfigurationError("apiv3_key: missing; APIv3's callbacks are encrypted with it")
        return None
    key = given.encode("utf-8", "replace") if isinstance(given, str) else given
    if not isinstance(key, bytes) or len(key) != KEY_BYTES:
        size = f"{len(key)} bytes" if isinstance(key, bytes) else type(key).__name__
        raise ConfigurationError(f"apiv3_key: is {KEY_BYTES} bytes, got {size}")
    return key


def _secret(given: str) -> str:
    if not isinstance(given, str) or not given:
        raise ConfigurationError("secret: give the APIv2 key as text")
    return given
