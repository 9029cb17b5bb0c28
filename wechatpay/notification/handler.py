"""The entry for callbacks: verifies each, has its event handled once, and makes the reply."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from wechatpay.apiv3.keys import PlatformKeys
from wechatpay.apiv3.verification import SignatureHeaders
from wechatpay.errors import (
    ConfigurationError,
    InvalidRequestError,
    NotificationError,
    WeChatPayError,
    escape,
)
from wechatpay.identifiers import load_apiv2_key, load_apiv3_key
from wechatpay.middleware import run
from wechatpay.notification.errors import (
    OversizedNotificationError,
    ProbeNotificationError,
    UnconfiguredNotificationError,
)
from wechatpay.notification.message import (
    CALLBACK,
    Notification,
    open_envelope,
    read_headers,
    verify,
)
from wechatpay.notification.reply import Reply
from wechatpay.notification.steps import Step, Steps, is_coroutine_function, perform
from wechatpay.notification.store import MemoryStore
from wechatpay.notification.xml import XMLReader
from wechatpay.process import PerProcess
from wechatpay.secret import Secret, conceal

if TYPE_CHECKING:
    from wechatpay.apiv3.keyring import PlatformKey
    from wechatpay.background import Executor
    from wechatpay.notification.message import RawHeaders
    from wechatpay.notification.store import ReplayStore
    from wechatpay.settings import Settings

__all__ = [
    "MAX_BODY",
    "AsyncProcess",
    "NotificationHandler",
    "Outcome",
    "Process",
    "Renewal",
    "handler_of",
    "oversized",
    "refuse",
]

_log = logging.getLogger("wechatpay")

#: Bytes of the largest body that is accepted by default. Documented callbacks have a few KiB.
MAX_BODY = 1 << 16

#: Bytes of the largest body that is verified on the event loop itself: that takes less than 1 ms.
_SHORT = 1 << 13

#: The most threads that functions of callers run on, async.
_THREADS = 32

_BLANK = b"\xef\xbb\xbf \t\r\n"

#: What a function that handles an event returns: nothing, further fields of the reply, or the reply.
Outcome = Mapping[str, Any] | Reply | None

#: Handles an event.
Process = Callable[[Notification], Outcome]

#: The same; may be a coroutine function.
AsyncProcess = Callable[[Notification], Outcome | Awaitable[Outcome]]


class Renewal(Protocol):
    """Fetches keys that are not known yet, within a budget: anybody may send a callback that names one.

    Fetched keys go into the `PlatformKeys` that is given as ``certs``. Both methods may raise a
    ``WeChatPayError``.
    """

    def renew(self, serial: str, /) -> None:
        """Fetch WeChat Pay's keys, if the budget allows it now."""
        ...

    async def arenew(self, serial: str, /) -> None:
        """Fetch WeChat Pay's keys, if the budget allows it now, without blocking the event loop."""
        ...


class NotificationHandler:
    """Verifies, decrypts and replies to callbacks, of APIv3 and of APIv2 on the same URL.

    ::

        handler = NotificationHandler(certs={"PUB_KEY_ID_…": "file:///path/to/pub_key.pem"}, apiv3_key="…")

        def paid(notification):
            orders.settle(notification.resource["out_trade_no"])

        reply = handler.handle(request.headers, request.get_data(), paid)

    Threads and event loops may share one. For a service that also makes calls,
    ``instance.getDriver().notifications()`` returns one with the Builder's settings.

    Attributes:
        store: Which events were handled.
        max_body: Bytes of the largest body that is accepted.
    """

    @conceal
    def __init__(  # noqa: PLR0913  keywords, one for each setting
        self,
        *,
        certs: Mapping[str, Any] | PlatformKeys | None = None,
        apiv3_key: str | bytes | None = None,
        secret: str | None = None,
        mchid: str | None = None,
        store: ReplayStore | None = None,
        ttl: float = 60.0,
        max_body: int = MAX_BODY,
        clock: Callable[[], float] = time.time,
        renewal: Renewal | None = None,
    ) -> None:
        """Check and parse the settings.

        Args:
            certs: WeChat Pay's keys, as a Builder takes them: serial number, or ``PUB_KEY_ID_…``, to
                certificate or public key. For APIv3, with ``apiv3_key``.
            apiv3_key: The APIv3 key, 32 bytes.
            secret: The APIv2 key, 32 characters. For APIv2.
            mchid: The merchant whose APIv2 callbacks are accepted; by default any that ``secret`` verifies.
            store: Which events were handled; by default a `MemoryStore`, for one process. Several processes
                need a `SQLiteStore` or a `RedisStore`.
            ttl: Seconds after which an event that a process began to handle, and never finished, is handled
                again; longer than ``process`` ever takes.
            max_body: Bytes of the largest body that is accepted; larger ones get the status 413.
            clock: Returns Unix seconds.
            renewal: Fetches keys that are not among ``certs``.

        Raises:
            ConfigurationError: A setting is missing or wrong; the message names it.
        """
        apiv2_key = None if secret is None else load_apiv2_key(secret)
        self._apiv3_key = None if apiv3_key is None else load_apiv3_key(apiv3_key)
        if ttl <= 0:
            raise ConfigurationError("ttl: give more than 0 seconds, and more than an event takes to handle")
        if max_body <= 0:
            raise ConfigurationError("max_body: give more than 0 bytes")
        if certs is None and apiv2_key is None:
            raise ConfigurationError("give certs and apiv3_key for APIv3, or secret for APIv2, or all three")
        if certs is not None and self._apiv3_key is None:
            raise ConfigurationError("apiv3_key: missing; APIv3's callbacks are encrypted with it")
        if not (mchid is None or isinstance(mchid, str)):
            raise ConfigurationError(f"mchid: give text, not {type(mchid).__name__}")
        if not (certs is None or isinstance(certs, PlatformKeys)):
            certs = PlatformKeys.load(certs, clock=clock)
        merchant = None if mchid is None else str.__str__(mchid)
        self._platform = certs
        self._xml = XMLReader(apiv2_key, merchant, self._apiv3_key) if apiv2_key else None
        self._clock = clock
        self._renewal = renewal
        self._ttl = ttl
        # The loop's own threads serve the store and look up host names: slow functions must not occupy them.
        self._executor = PerProcess(_open_executor)
        self.max_body = max_body
        self.store: ReplayStore = MemoryStore() if store is None else store

    def parse(self, headers: RawHeaders, body: bytes) -> Notification:
        """Verify and decrypt a callback; the store is not used.

        Args:
            headers: The request's headers, as the framework gives them.
            body: The request's body, exactly as it was received.

        Raises:
            NotificationError: It must not be acted on; ``error.reply`` is the reply to send. Its subclasses
                are in :mod:`wechatpay.notification`.
            InvalidRequestError: ``body`` is not bytes, or ``headers`` is neither a mapping nor pairs.
        """
        return run(self._read(headers, body), perform)

    async def aparse(self, headers: RawHeaders, body: bytes) -> Notification:
        """Do the same as `parse`, without blocking the event loop.

        Raises:
            WeChatPayError: As `parse` does.
        """
        from wechatpay.notification.async_steps import arun  # noqa: PLC0415  blocking callers load no asyncio

        return await arun(self._read(headers, body))

    def handle(self, headers: RawHeaders, body: bytes, process: Process) -> Reply:
        """Verify a callback, have its event handled once, and make the reply.

        An event that was handled before gets the same reply again, and ``process`` is not called. While an
        event is being handled, further deliveries of it get the status 503, and come again. What ``process``
        raises is raised, so that your framework reports it and sends the status 500; the event is then
        delivered again.

        Args:
            headers: The request's headers, as the framework gives them.
            body: The request's body, exactly as it was received.
            process: Handles the event. Returns ``None``; further fields of the reply, for the few kinds of
                events that need some; or a `Reply`, which completes the event if its status is 2xx.

        Raises:
            InvalidRequestError: ``body`` is not bytes, ``headers`` is neither a mapping nor pairs, or what
                ``process`` returned cannot be sent.
            ConfigurationError: ``process`` or the store is asynchronous.
            DecodeError: The store returned something else than a reply.
            Exception: What ``process`` or the store raised.
        """
        return run(self._handle(headers, body, process), perform)

    async def ahandle(self, headers: RawHeaders, body: bytes, process: AsyncProcess) -> Reply:
        """Do the same as `handle`, from the event loop.

        ``process`` and the methods of the store may be coroutine functions; others run on a thread, and
        ``process`` on one of 32 threads of the handler. When the task is cancelled while a function runs on a
        thread, the cancellation is raised after the function has ended and its event is completed, or
        released if it failed.

        Raises:
            Exception: As `handle` does.
        """
        from wechatpay.notification.async_steps import arun  # noqa: PLC0415  blocking callers load no asyncio

        return await arun(self._handle(headers, body, process))

    def _read(self, headers: RawHeaders, body: bytes) -> Steps[Notification]:
        if not isinstance(body, bytes | bytearray | memoryview):
            raise InvalidRequestError(
                f"body: give the raw bytes as they were received, not {type(body).__name__}: the signature "
                "covers bytes, and text or parsed JSON cannot be verified"
            )
        raw = bytes(memoryview(body))
        is_xml = raw.lstrip(_BLANK).startswith(b"<")
        try:
            if len(raw) > self.max_body:
                raise oversized(len(raw), self.max_body)
            if is_xml:
                return (yield from self._off_loop(self._read_xml, raw))
            return (yield from self._read_envelope(headers, raw))
        except NotificationError as error:
            if is_xml:
                error.version = "v2"
            raise

    def _read_xml(self, body: bytes) -> Notification:
        if self._xml is None:
            raise UnconfiguredNotificationError("an APIv2 callback (XML): give secret, the APIv2 key")
        return self._xml.read(body)

    def _read_envelope(self, headers: RawHeaders, body: bytes) -> Steps[Notification]:
        if self._platform is None or self._apiv3_key is None:
            raise UnconfiguredNotificationError("an APIv3 callback (JSON): give certs and apiv3_key")
        signed = SignatureHeaders.read(read_headers(headers), self._clock(), CALLBACK)
        key = yield from self._find_key(self._platform, signed)
        return (yield from self._off_loop(_open_signed, body, signed, key, self._apiv3_key))

    def _off_loop(
        self, function: Callable[..., Notification], body: bytes, *args: Any
    ) -> Steps[Notification]:
        """Call a function; async, on a thread if the body is long."""
        if len(body) <= _SHORT:
            return function(body, *args)
        notification: Notification = yield Step(function, body, *args)
        return notification

    def _find_key(self, platform: PlatformKeys, headers: SignatureHeaders) -> Steps[PlatformKey]:
        serial, signed_at = headers.serial, int(headers.timestamp)
        key = platform.get(serial, signed_at)
        if key is None and self._renewal is not None:
            try:
                yield Step(self._renewal.renew, serial, coroutine=self._renewal.arenew)
            except WeChatPayError as error:
                _log.warning("the key %.80r of a callback could not be fetched: %s", serial, error)
            key = platform.get(serial, signed_at)
        if key is None:
            raise headers.unknown_serial(platform.serials)
        return key

    def _handle(self, headers: RawHeaders, body: bytes, process: AsyncProcess) -> Steps[Reply]:
        try:
            notification = yield from self._read(headers, body)
        except NotificationError as error:
            return refuse(error)
        event, started = notification.id, time.monotonic()
        if not (yield Step(self.store.claim, event, self._ttl)):
            known = yield Step(self.store.reply, event)
            state = "handled" if known else "being handled"
            _log.info("callback %s was delivered again, %s", escape(event), state)
            return Reply.from_bytes(known) if known else notification.reject(state, 503)
        return (yield from self._handle_claimed(notification, process, started))

    def _handle_claimed(
        self, notification: Notification, process: AsyncProcess, started: float
    ) -> Steps[Reply]:
        """Handle an event once; if the process dies here, the claim expires."""
        event = notification.id

        @functools.wraps(process)
        def call_in_time(notification: Notification) -> Any:
            if time.monotonic() - started >= self._ttl:
                raise _ExpiredError  # it waited for a thread, and another delivery may be handled by now
            return process(notification)

        function = process if is_coroutine_function(process) else call_in_time
        try:
            outcome = yield Step(function, notification, executor=self._executor.get)
            reply = _reply_with(outcome, notification)
        except _ExpiredError:
            return notification.reject("waited too long", 503)
        except Exception:
            yield from self._release(event, started)
            raise
        if not reply.is_success:
            yield from self._release(event, started)
            return reply
        yield from self._complete(event, reply)
        return reply

    def _complete(self, event: str, reply: Reply) -> Steps[None]:
        """Complete an event that was handled: it is acknowledged, whether the store knows of it or not."""
        # Twice: a connection to the store may have been closed meanwhile, and an event that is not completed
        # is handled again if WeChat Pay misses the reply.
        for is_last in (False, True):
            try:
                yield Step(self.store.complete, event, reply.to_bytes(), final=True)
                break
            except Exception:  # noqa: BLE001  whatever a store of the caller's raises
                if is_last:
                    _log.exception(
                        "callback %s was handled, but the store did not complete it", escape(event)
                    )

    def _release(self, event: str, started: float) -> Steps[None]:
        if time.monotonic() - started >= self._ttl:
            return  # Another process may hold the claim by now.
        try:
            yield Step(self.store.release, event, final=True)
        except Exception:  # noqa: BLE001  whatever a store of the caller's raises
            _log.exception(
                "callback %s is blocked for %s s: the store did not release it", escape(event), self._ttl
            )


class _ExpiredError(Exception):
    """A function was not called, as the claim had expired when its turn came."""


def _reply_with(outcome: Any, notification: Notification) -> Reply:
    """Make the reply of what a function of the caller's returned."""
    if isinstance(outcome, Reply):
        return outcome
    # aiohttp's responses are mappings, but not of fields.
    is_response, reason, hint = hasattr(outcome, "headers"), "", ""
    if outcome is None or (isinstance(outcome, Mapping) and not is_response):
        try:
            return notification.acknowledge(outcome)
        except InvalidRequestError as error:
            reason = f" ({error})"
    if is_response:
        hint = "; a view of wechatpay.notification.views takes its framework's responses, unless streamed"
    raise InvalidRequestError(
        f"what handles callback {escape(notification.id)} returned {type(outcome).__name__}{reason}: return "
        f"None to acknowledge, a dict of further fields, or a Reply, such as notification.reject(...){hint}. "
        "The event counts as not handled, and WeChat Pay delivers it again"
    )


def _open_executor() -> Executor:
    from wechatpay.background import Executor  # noqa: PLC0415  blocking callers load no asyncio

    return Executor(_THREADS, "wechatpay-notification")


def _open_signed(
    body: bytes, headers: SignatureHeaders, key: PlatformKey, apiv3_key: Secret[bytes]
) -> Notification:
    # The suite follows from the key, never from what headers or body say.
    verify(headers, body, key.public_key, key.suite)
    return open_envelope(body, apiv3_key, key.suite)


def oversized(size: int, limit: int) -> OversizedNotificationError:
    """Make the error for a body of ``size`` bytes."""
    return OversizedNotificationError(
        f"the body has {size} bytes, and {limit} are accepted: callbacks have a few KiB; see max_body"
    )


def refuse(error: NotificationError) -> Reply:
    """Log why a callback is refused, and return the reply."""
    level = logging.INFO if isinstance(error, ProbeNotificationError) else logging.WARNING
    _log.log(level, "callback refused: %s", error)
    return error.reply


def handler_of(
    settings: Settings, renewal: Renewal | None, store: ReplayStore | None, ttl: float, max_body: int
) -> NotificationHandler:
    """Make a handler with the settings of a Builder: for APIv3's callbacks, APIv2's, or both.

    Args:
        settings: The Builder's.
        renewal: Fetches keys that are not known.
        store: Which events were handled; by default one in memory.
        ttl: Seconds; see `NotificationHandler`.
        max_body: Bytes; see `NotificationHandler`.

    Raises:
        ConfigurationError: The settings suffice for neither.
    """
    merchant, account = settings.merchant, settings.account
    has_key = merchant is not None and merchant.apiv3_key is not None
    # APIv3 without its key: left out when APIv2 is configured, else an error that asks for the key.
    certs = merchant.platform if merchant and (has_key or not account) else None
    return NotificationHandler(
        certs=certs,
        apiv3_key=merchant.apiv3_key.reveal() if merchant and merchant.apiv3_key else None,
        secret=account.secret if account else None,
        mchid=account.mchid if account else None,
        store=store,
        ttl=ttl,
        max_body=max_body,
        clock=settings.clock,
        renewal=renewal,
    )
