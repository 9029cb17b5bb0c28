"""From a verb to a response: Call → protocol → flow → transport; the stacks; the life cycle."""

from __future__ import annotations

import contextlib
import functools
import sys
from typing import TYPE_CHECKING, Any, Self

from wechatpay import middleware, uri
from wechatpay.apiv3 import fields
from wechatpay.apiv3.protocol import APIv3
from wechatpay.crypto import rsa
from wechatpay.errors import ConfigurationError, InvalidRequestError, WeChatPayError, shorten
from wechatpay.logs import log_step
from wechatpay.middleware import Blocking
from wechatpay.options import VERBS, Arguments, read_call
from wechatpay.process import PerProcess
from wechatpay.transports import AsyncConnections, Connections
from wechatpay.transports.network import Network
from wechatpay.uri.hosts import OPEN_PLATFORM, OPEN_PLATFORM_FOLDERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.apiv2.protocol import APIv2
    from wechatpay.apiv3.keys import PlatformKeys
    from wechatpay.apiv3.settings import Merchant
    from wechatpay.background import Background
    from wechatpay.media import Media
    from wechatpay.messages import Request, Response
    from wechatpay.middleware import Flow, Handler
    from wechatpay.notification import Notification, NotificationHandler, ReplayStore
    from wechatpay.notification.message import RawHeaders
    from wechatpay.open_platform.protocol import OpenPlatform
    from wechatpay.promise import Promise
    from wechatpay.settings import Settings
    from wechatpay.transports.sink import Sink

__all__ = ["Driver"]


class Driver:
    """What stands behind a Builder: its protocols, its connections, its life cycle.

    Threads, event loops and forked processes may share one; each loop and each process gets
    connections of its own.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._protocols: dict[str, APIv2 | APIv3 | OpenPlatform] = {}
        if settings.merchant:
            self._open("v3", APIv3(settings))
        if settings.account:
            from wechatpay.apiv2.protocol import APIv2  # noqa: PLC0415  many call APIv3 alone

            self._open("v2", APIv2(settings, settings.account))
        if settings.middlewares:
            # Else it is made when it is asked for: few call the open platform, but names may clash there.
            self.select("mp")
        identity = settings.account.identity if settings.account else None
        network = Network.read(settings.transport, identity)
        self._blocking = Connections(settings, network)
        self._asynchronous = AsyncConnections(settings, network)
        if settings.merchant:
            settings.merchant.platform.connect(self._blocking, self._asynchronous)
        self._background = PerProcess(_background)
        self._handler: NotificationHandler | None = None

    def _open(self, name: str, protocol: APIv2 | APIv3 | OpenPlatform) -> APIv2 | APIv3 | OpenPlatform:
        for known_as, added in self._settings.middlewares:
            protocol.stack.push(added, known_as)
        return self._protocols.setdefault(name, protocol)

    def select(self, protocol: str = "v3") -> APIv2 | APIv3 | OpenPlatform:
        """Return a protocol, ``v3``, ``v2`` or ``mp`` (the open platform), whose ``stack`` can be edited.

        Raises:
            ConfigurationError: Its settings were left out, or there is no such protocol.
        """
        if protocol in self._protocols:
            return self._protocols[protocol]
        if protocol == "mp":
            from wechatpay.open_platform.protocol import OpenPlatform  # noqa: PLC0415  few call the open platform

            return self._open(protocol, OpenPlatform(self._settings))
        if protocol in _NEEDS:
            raise ConfigurationError(
                f"API{protocol} needs the settings {_NEEDS[protocol]}, which were left out"
            )
        quoted = shorten(repr(protocol))
        del protocol  # it may be a key, and debuggers show the frames of an error
        raise ConfigurationError(f"unknown protocol {quoted}: expected 'v3', 'v2' or 'mp'")

    @property
    def platform(self) -> PlatformKeys:
        """WeChat Pay's keys, to look at, to add to and to retire.

        Raises:
            ConfigurationError: The settings of APIv3 were left out.
        """
        return self._merchant().platform

    def decrypt(self, text: str) -> str:
        """Decrypt a sensitive field of a response with the merchant's key.

        Args:
            text: The field as it came, in base64.

        Raises:
            ConfigurationError: The settings of APIv3 were left out, or ``private_key`` is a function.
            CryptoError: The text was not encrypted for this merchant, or is not a cipher text.
        """
        return rsa.decrypt(text, self._merchant().decryption_key)

    def decrypt_bytes(self, text: str) -> bytes:
        """Decrypt what is not text, such as the key of an encrypted bill; otherwise as `decrypt`.

        Raises:
            ConfigurationError: The settings of APIv3 were left out, or ``private_key`` is a function.
            CryptoError: The text was not encrypted for this merchant, or is not a cipher text.
        """
        return rsa.decrypt_bytes(text, self._merchant().decryption_key)

    def decrypt_marked(self, response: Response) -> Any:
        """Parse a response, and decrypt the fields that WeChat Pay documents as encrypted.

        ``response.json()`` stays as it came.

        Raises:
            ConfigurationError: The settings of APIv3 were left out, or ``private_key`` is a function.
            CryptoError: Such a field was not encrypted for this merchant; the message gives its place.
            DecodeError: The body is not JSON.
            InvalidRequestError: No encrypted field is known of the operation that was asked: use `decrypt`.
        """
        return fields.decrypt_response(response, self._merchant().decryption_key)

    def notifications(
        self, *, store: ReplayStore | None = None, ttl: float = 60.0, max_body: int = 65_536
    ) -> NotificationHandler:
        """Make a handler for callbacks, which fetches keys that it does not know within the budget.

        Args:
            store: Which events were handled; by default one in memory, for one process.
            ttl: Seconds after which an event that a process began to handle, and never finished, is handled
                again.
            max_body: Bytes of the largest body that is accepted.

        Raises:
            ConfigurationError: Neither ``apiv3_key``, for APIv3, nor ``secret``, for APIv2, is among the
                settings; or ``ttl`` or ``max_body`` is not more than 0.
        """
        from wechatpay.notification.handler import handler_of  # noqa: PLC0415  many have no callbacks

        renewal = self.platform if self._settings.merchant else None
        return handler_of(self._settings, renewal, store, ttl, max_body)

    def notification(self, headers: RawHeaders, body: bytes) -> Notification:
        """Verify and decrypt a callback; see `NotificationHandler.parse`.

        Args:
            headers: The request's headers, as the framework gives them.
            body: The request's body, exactly as it came.

        Raises:
            ConfigurationError: See `notifications`.
            NotificationError: It must not be acted on; send ``error.reply``.
            InvalidRequestError: ``body`` is not bytes, or ``headers`` are none.
        """
        return self._callbacks().parse(headers, body)

    def notificationAsync(self, headers: RawHeaders, body: bytes) -> Promise[Notification]:  # noqa: N802  the verbs' suffix
        """Do as `notification` does, without blocking the event loop; its errors are the promise's."""
        background = self._background.get()
        from wechatpay.promise import Promise  # noqa: PLC0415  callers that block have no use for it

        return Promise.start(lambda: self._parse_notification(headers, body), background, name="notification")

    async def _parse_notification(self, headers: RawHeaders, body: bytes) -> Notification:
        return await self._callbacks().aparse(headers, body)

    def _callbacks(self) -> NotificationHandler:
        if self._handler is None:
            self._handler = self.notifications()
        return self._handler

    def _merchant(self) -> Merchant:
        if self._settings.merchant is None:
            raise ConfigurationError(f"APIv3 needs the settings {_NEEDS['v3']}, which were left out")
        return self._settings.merchant

    def request(
        self, method: str, path: str, options: Mapping[str, Any] | None = None, /, **kw: Any
    ) -> Response:
        """Make a call whose verb is a value, as ``getDriver()->request('GET', 'v3/…', […])`` does in PHP.

        Args:
            method: ``GET``, ``POST``, ``PUT``, ``PATCH`` or ``DELETE``, in any case.
            path: What `chain` takes.
            options: As for a verb.
            kw: The same, as keywords.

        Raises:
            WeChatPayError: As a verb does.
        """
        arguments = Arguments((options, kw))
        del options, kw
        return self.send(_verb(method), _template(path), arguments)

    def requestAsync(  # noqa: N802  PHP's name
        self, method: str, path: str, options: Mapping[str, Any] | None = None, /, **kw: Any
    ) -> Promise[Response]:
        """Begin a call as `request` makes it.

        Raises:
            InvalidRequestError: The method or the path is wrong; all other errors come out of the promise.
        """
        arguments = Arguments((options, kw))
        del options, kw
        return self.send_async(_verb(method), _template(path), arguments)

    def send(self, verb: str, template: str, arguments: Arguments) -> Response:
        """Make a call and wait for its response.

        Raises:
            WeChatPayError: See the tree in :mod:`wechatpay.errors`.
        """
        try:
            request, flow = self._begin(verb, template, arguments)
        except WeChatPayError as error:
            error.__traceback__ = None  # the frames below hold what was passed
            raise
        if request.logged and _is_in_loop():
            log_step(request, "%s blocks the running event loop; the same verb with Async would not", verb)
        return middleware.run(flow, self._blocking.perform)

    def send_async(self, verb: str, template: str, arguments: Arguments) -> Promise[Response]:
        """Begin a call at once; a wrong one is a promise that has failed already."""
        background = self._background.value or self._background.get()
        from wechatpay.promise import Promise  # noqa: PLC0415  callers that block have no use for it

        try:
            request, flow = self._begin(verb, template, arguments)
        except WeChatPayError as error:
            return Promise.rejected(error.with_traceback(None), background)  # as in send()
        return Promise.start(
            functools.partial(middleware.arun, flow, self._asynchronous.perform),
            background,
            name=f"{verb} {request.path}",
        )

    def _begin(self, verb: str, template: str, arguments: Arguments) -> tuple[Request, Flow]:
        call = read_call(verb, uri.plan(template), arguments)
        place = call.plan.expand(call.variables)
        if call.options.get("check", self._settings.check):
            from wechatpay.catalogue.check import check_call  # noqa: PLC0415  a call that is not checked pays nothing

            check_call(call, place)
        first = place.path.partition("/")[0]
        if place.origin.lower() == f"https://{OPEN_PLATFORM}" or first in OPEN_PLATFORM_FOLDERS:
            name = "mp"
        else:
            name = "v2" if first.lower() == "v2" else "v3"
        protocol = self._protocols.get(name) or self.select(name)
        request = protocol.request(call, place)
        handler, media = protocol.stack.handler, call.options.get("media")
        if media is not None:
            handler = functools.partial(_attach_media, protocol, _check_media(media), handler)
        flow = (
            protocol.flow(call, place, request, handler) if isinstance(protocol, APIv3) else handler(request)
        )
        return request, _deliver(request.sink, flow) if request.sink else flow

    def close(self) -> None:
        """Close all connections and threads, after the calls in flight. A later call opens new ones."""
        if background := self._background.value:
            background.close()
        self._asynchronous.close()
        self._blocking.close()

    async def aclose(self) -> None:
        """Close the running loop's connections, then everything else."""
        if background := self._background.value:
            await background.aclose()
        await self._asynchronous.aclose()
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<Driver {', '.join(self._protocols)} at {self._settings.base_uri}>"


_NEEDS = {"v3": "mchid, serial, private_key, and certs or apiv3_key", "v2": "mchid and secret"}


def _background() -> Background:
    # All that calls import: a fork waits for it.
    from wechatpay.promise import Background  # noqa: PLC0415  callers that block have none

    return Background()


def _is_in_loop() -> bool:
    if "asyncio" not in sys.modules:
        return False
    import asyncio  # noqa: PLC0415  a blocking caller never loads it

    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        return True
    return False


def _verb(method: Any) -> str:
    if isinstance(method, str) and method.upper() in VERBS:
        return method.upper()
    raise InvalidRequestError(f"method: give one of {', '.join(VERBS)}")


def _template(path: Any) -> str:
    if not isinstance(path, str):
        raise InvalidRequestError(f"path: give text, not {type(path).__name__}: values belong in variables")
    return uri.literal(path, "")


def _check_media(media: Any) -> Media:
    from wechatpay.media import Media  # noqa: PLC0415  few calls upload

    if isinstance(media, Media):
        return media
    raise InvalidRequestError(
        f"media: give a wechatpay.media.Media, such as Media(path), not {type(media).__name__}"
    )


def _attach_media(
    protocol: APIv2 | APIv3 | OpenPlatform, media: Media, handler: Handler, request: Request
) -> Flow:
    """Hash the file, off the event loop, before the stack runs: what is signed is known only then."""
    try:
        file = yield Blocking(media.read, *protocol.filed)
        return (yield from handler(protocol.attach(request, media, file)))
    except InvalidRequestError as error:
        error.request = error.request or request
        raise


def _deliver(sink: Sink, flow: Flow) -> Flow:
    """Write the response to the sink after the whole stack has returned it."""
    try:
        response = yield from flow
        yield Blocking(sink.deliver, final=True)
        return response
    finally:
        sink.discard()
