"""WeChat Pay's side of callbacks: what they say, and that it says so."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from wechatpay import jsontext
from wechatpay.errors import ConfigurationError
from wechatpay.messages import Headers
from wechatpay.sandbox.answer import Answer
from wechatpay.sandbox.apiv2 import document
from wechatpay.sandbox.apiv2.signature import FieldSign
from wechatpay.sandbox.apiv3.signature import HeaderSign
from wechatpay.sandbox.callbacks import envelope, refund
from wechatpay.sandbox.callbacks.callback import Callback, Delivered
from wechatpay.sandbox.callbacks.delivery import check, post
from wechatpay.sandbox.callbacks.events import Event, changed, known, places
from wechatpay.sandbox.callbacks.refund import RefundSign
from wechatpay.sandbox.ledger import CHINA

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.delivery import Fault
    from wechatpay.sandbox.desk import Sign
    from wechatpay.sandbox.keys.identity import Identity
    from wechatpay.sandbox.keys.signers import Signers

__all__ = ["Details", "Notifier", "Resource"]

#: Fields that differ from the example's, also within objects, with ``None`` for those to leave out; or, as
#: bytes, what is encrypted in its place.
Resource = Mapping[str, Any] | bytes | None

#: What WeChat Pay's callbacks have beside the signature.
_HEADERS = {"Accept": "*/*", "User-Agent": "Mozilla/4.0"}


class Details(TypedDict, total=False):
    """What a callback says beside its resource.

    Attributes:
        id: The event's; a fresh one by default.
        create_time: When it happened; now by default.
        summary: Words for people.
        original_type: What the resource is called.
        associated_data: What is authenticated beside it; ``None`` leaves it out, as WeChat Pay may.
        fault: What is wrong with it; see :mod:`wechatpay.sandbox.faults`.
        serial: Which of WeChat Pay's keys signs; by default the newest.
        sign_type: How APIv2's are signed; MD5 by default.
    """

    id: str
    create_time: str
    summary: str
    original_type: str
    associated_data: str | None
    fault: Fault
    serial: str
    sign_type: Literal["MD5", "HMAC-SHA256"]


class Notifier:
    """Makes callbacks, and delivers them to servers on this machine; threads may share one."""

    def __init__(self, identity: Identity, signers: Signers, clock: Callable[[], float]) -> None:
        self._identity = identity
        self._signers = signers
        self._clock = clock

    def callback(self, event: str, resource: Resource, details: Details) -> Callback:
        """Make a callback, signed as of now.

        Args:
            event: An ``event_type``, or one of APIv2's, which begin ``v2/``.
            resource: What the event says; see `Resource`.
            details: What else the callback says.

        Raises:
            ConfigurationError: There is no example of that event, and no ``resource``; or the fault is none
                of callbacks; or ``serial`` is no key in use.
            InvalidRequestError: ``resource`` cannot be written.
        """
        return _signed(*self._laid_out(event, resource, details), details.get("fault"))

    def deliver(self, url: str, event: str, resource: Resource, times: int, details: Details) -> Delivered:
        """Deliver an event so many times, each signed anew, whatever the replies.

        Raises:
            ConfigurationError: See `callback`; or the URL does not lead to this machine; or ``times`` is less
                than 1.
            InvalidRequestError: ``resource`` cannot be written.
            TransportError: No reply came.
        """
        check(url)
        if times < 1:
            raise ConfigurationError("times: 1 or more")
        (unsigned, sign), replies = self._laid_out(event, resource, details), []
        for _ in range(times):
            callback = _signed(unsigned, sign, details.get("fault"))
            replies.append(post(url, callback))
        return Delivered(callback, tuple(replies))

    def _laid_out(self, name: str, resource: Resource, details: Details) -> tuple[Answer, Sign]:
        """Write a callback, and return what signs it."""
        event = _event(name, resource)
        if not isinstance(resource, bytes):
            at = places(self._identity.mchid, self._identity.app["appid"], self._clock())
            resource = changed(event.resource, resource or {}, at)
        return (self._document if event.is_v2 else self._envelope)(event, resource, details)

    def _envelope(
        self, event: Event, resource: dict[str, Any] | bytes, details: Details
    ) -> tuple[Answer, Sign]:
        plaintext = resource if isinstance(resource, bytes) else jsontext.encode(resource, "resource")
        aad = details.get("associated_data", event.associated_data)
        inner = envelope.sealed(self._identity.apiv3_key, plaintext, aad)
        told = envelope.lay_out(event, inner, {**_fresh(self._clock()), **details})
        headers = Headers({"Content-Type": "application/json"})
        return Answer(body=jsontext.encode(told, "details"), headers=headers), self._key(details)

    def _document(
        self, event: Event, resource: dict[str, Any] | bytes, details: Details
    ) -> tuple[Answer, Sign]:
        if isinstance(resource, bytes) or not all(isinstance(v, str | int) for v in resource.values()):
            raise ConfigurationError("resource: APIv2 tells names, texts and whole numbers; give these")
        sign: Sign
        if event.name == "v2/refund":
            fields, sign = refund.shown(self._identity), RefundSign(resource, self._identity.secret)
        else:
            sign_type = details.get("sign_type", "MD5")
            named = {"sign_type": sign_type} if sign_type != "MD5" else {}
            fields = {"return_code": "SUCCESS", **resource, "nonce_str": secrets.token_hex(16), **named}
            sign = FieldSign(self._identity.secret, sign_type)
        return Answer(body=document.write(fields), headers=Headers({"Content-Type": "text/xml"})), sign

    def _key(self, details: Details) -> Sign:
        serial = details.get("serial")
        signer = self._signers.signer(serial)
        if serial not in (None, signer.serial):
            raise ConfigurationError(f"serial: give one of {', '.join(self._signers.certs)}")
        return HeaderSign(signer, self._clock)


def _signed(unsigned: Answer, sign: Sign, fault: Fault | None) -> Callback:
    kind = "v3 callback" if isinstance(sign, HeaderSign) else "v2 callback"
    answer: Answer | None = None
    if fault is None:
        answer = sign(unsigned)
    elif kind in fault.protocols:
        answer = fault.deliver(lambda: unsigned, sign).answer
    if answer is None:
        raise ConfigurationError(f"fault: {type(fault).__name__} cannot befall a {kind}")
    return Callback({**answer.headers, **_HEADERS}, answer.body)


def _event(name: str, resource: Resource) -> Event:
    if event := known().get(name):
        return event
    if resource is None:
        raise ConfigurationError(
            f"event: there is no example of {name!r:.80}; give its resource, or one of {', '.join(known())}"
        )
    return Event(name, "", "", "", {})


def _fresh(now: float) -> dict[str, str]:
    moment = datetime.fromtimestamp(int(now), CHINA)
    number = f"{moment:%Y%m%d%H%M%S}{secrets.randbelow(10**7):07}"
    return {"id": f"EV-{number}", "create_time": moment.isoformat()}
