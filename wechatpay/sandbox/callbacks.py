"""Callbacks as WeChat Pay makes them: laid out, encrypted, signed.

https://pay.weixin.qq.com/doc/v3/merchant/4012791861
"""

from __future__ import annotations

import difflib
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from wechatpay import catalogue, jsontext
from wechatpay.errors import ConfigurationError
from wechatpay.messages import Headers
from wechatpay.sandbox import xml_messages
from wechatpay.sandbox.clock import format_digits, format_rfc3339
from wechatpay.sandbox.events import Event, change, find, known, values
from wechatpay.sandbox.keys import encrypt_resource
from wechatpay.sandbox.messages import HttpResponse
from wechatpay.sandbox.posting import Callback, Delivered, check, post
from wechatpay.sandbox.responses import ResponseGenerator
from wechatpay.sandbox.signing import FieldSigner, HeaderSigner, RefundSigner, refund_header

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.faults import Fault
    from wechatpay.sandbox.keys import Identity, Signers
    from wechatpay.sandbox.signing import Signer

__all__ = ["CompleteResource", "Details", "Notifier", "Resource"]


def lay_out(event: Event, resource: dict[str, str], details: Mapping[str, Any]) -> dict[str, Any]:
    """Build the envelope of an encrypted resource.

    Args:
        event: The event.
        resource: The encrypted resource.
        details: ``id`` and ``create_time``, and values that replace the event's own.
    """
    return {
        "id": details["id"],
        "create_time": details["create_time"],
        "resource_type": "encrypt-resource",
        "event_type": event.name,
        "summary": details.get("summary", event.summary),
        "resource": {"original_type": details.get("original_type", event.original_type), **resource},
    }


#: Fields that differ from the example's, also within objects, with ``None`` for those to leave out; or, as
#: bytes, the plaintext in its place.
Resource = Mapping[str, Any] | bytes | None

#: How much an unknown event must be like a documented one to be taken for a mistake, from 0 to 1.
_LIKENESS = 0.9

#: The headers of WeChat Pay's callbacks beside the signature.
_HEADERS = {"Accept": "*/*", "User-Agent": "Mozilla/4.0"}


class CompleteResource(dict[str, Any]):
    """A resource that replaces the example instead of changing some of its fields."""


class Details(TypedDict, total=False):
    """The members of a callback beside its resource.

    Attributes:
        id: The event's id; a new one by default.
        create_time: Time of the event; now by default.
        summary: ``summary``.
        original_type: ``original_type`` of the resource.
        associated_data: Additional authenticated data; ``None`` leaves the member out, as WeChat Pay may.
        fault: A fault of the callback; see :mod:`wechatpay.sandbox.faults`.
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

    def __init__(
        self,
        identity: Identity,
        signers: Signers,
        clock: Callable[[], float],
        now: Callable[[], float] | None = None,
    ) -> None:
        """Prepare.

        Args:
            identity: The merchant.
            signers: WeChat Pay's keys.
            clock: Returns the Unix seconds of signatures.
            now: Returns the Unix seconds of events; by default ``clock``.
        """
        self._identity = identity
        self._signers = signers
        self._clock = clock
        self._now = now or clock
        self._generator = ResponseGenerator(identity, self._now, "event")

    def callback(self, event: str, resource: Resource, details: Details) -> Callback:
        """Make a callback, signed as of now.

        Args:
            event: An ``event_type``, or one of APIv2's, which begin ``v2/``.
            resource: See `Resource`.
            details: See `Details`.

        Raises:
            ConfigurationError: The event is unknown, and has no ``resource`` or is like a documented one; the
                fault does not apply to callbacks; or ``serial`` is not in use.
            InvalidRequestError: ``resource`` cannot be written.
        """
        return _sign(*self._lay_out(event, resource, details), details.get("fault"))

    def deliver(self, url: str, event: str, resource: Resource, times: int, details: Details) -> Delivered:
        """Deliver an event a number of times, each signed again, whatever the replies.

        Raises:
            ConfigurationError: See `callback`; or the URL does not lead to this machine; or ``times`` is less
                than 1.
            InvalidRequestError: ``resource`` cannot be written.
            TransportError: No reply came.
        """
        check(url)
        if times < 1:
            raise ConfigurationError("times: 1 or more")
        (unsigned, signer), replies = self._lay_out(event, resource, details), []
        for _ in range(times):
            callback = _sign(unsigned, signer, details.get("fault"))
            replies.append(post(url, callback))
        return Delivered(callback, tuple(replies), event, url, self.plaintext(event, resource))

    def _lay_out(self, name: str, resource: Resource, details: Details) -> tuple[HttpResponse, Signer]:
        """Return the unsigned callback and its signer."""
        event = _event(name, resource)
        plaintext = self.plaintext(name, resource)
        return (self._document if event.is_v2 else self._envelope)(event, plaintext, details)

    def plaintext(self, name: str, resource: Resource) -> Mapping[str, Any] | bytes:
        """Return the resource of an event before encryption.

        Raises:
            ConfigurationError: The event is unknown, and has no ``resource`` or is like a documented one.
        """
        if isinstance(resource, bytes | CompleteResource):
            return resource
        event, at = _event(name, resource), self._now()
        example = event.resource
        if not example and (documented := catalogue.events().get(name)):
            example = self._generator.generate(documented.resource, resource or {}, name)
        at_values = values(self._identity.mchid, self._identity.app["appid"], at)
        return change(example, resource or {}, at_values)

    def _envelope(
        self, event: Event, resource: Mapping[str, Any] | bytes, details: Details
    ) -> tuple[HttpResponse, Signer]:
        plaintext = resource if isinstance(resource, bytes) else jsontext.encode(resource, "resource")
        aad = details.get("associated_data", event.associated_data)
        inner = encrypt_resource(self._identity.apiv3_key, plaintext, aad)
        members = lay_out(event, inner, {**_fresh(self._now()), **details})
        headers = Headers({"Content-Type": "application/json"})
        return HttpResponse(body=jsontext.encode(members, "details"), headers=headers), self._key(details)

    def _document(
        self, event: Event, resource: Mapping[str, Any] | bytes, details: Details
    ) -> tuple[HttpResponse, Signer]:
        if isinstance(resource, bytes) or not all(isinstance(v, str | int) for v in resource.values()):
            raise ConfigurationError("resource: APIv2 has only texts and whole numbers; give those")
        signer: Signer
        fields: dict[str, str | int]
        if event.name == "v2/refund":
            fields = {**refund_header(self._identity)}
            signer = RefundSigner(resource, self._identity.secret)
        elif event.is_encrypted_xml:
            fields = self._encrypt_event(event, resource, details)
            signer = FieldSigner(self._identity.secret, "HMAC-SHA256")
        else:
            sign_type = details.get("sign_type", event.sign_type)
            named = {"sign_type": sign_type} if sign_type != "MD5" else {}
            first = {"return_code": "SUCCESS"} if event.has_return_code else {}
            fields = {**first, **resource, "nonce_str": secrets.token_hex(16), **named}
            signer = FieldSigner(self._identity.secret, sign_type)
        return HttpResponse(
            body=xml_messages.write(fields), headers=Headers({"Content-Type": "text/xml"})
        ), signer

    def _encrypt_event(
        self, event: Event, resource: Mapping[str, Any], details: Details
    ) -> dict[str, str | int]:
        """Return the fields of a callback whose event is encrypted with the APIv3 key."""
        aad = details.get("associated_data", event.associated_data)
        inner = encrypt_resource(self._identity.apiv3_key, xml_messages.write(resource), aad)
        fresh = _fresh(self._now())
        return {
            "mch_id": self._identity.mchid,
            "appid": self._identity.app["appid"],
            "algorithm": "HMAC-SHA256",
            "nonce_str": secrets.token_hex(16),
            "event_id": details.get("id", fresh["id"]),
            "event_create_time": details.get("create_time", fresh["create_time"]),
            "event_type": event.name.removesuffix("@v2"),
            **{f"event_{name}": value for name, value in inner.items()},
        }

    def _key(self, details: Details) -> Signer:
        serial = details.get("serial")
        key = self._signers.signer(serial)
        if serial not in (None, key.serial):
            raise ConfigurationError(f"serial: give one of {', '.join(self._signers.certs)}")
        return HeaderSigner(key, self._clock)


def _sign(unsigned: HttpResponse, signer: Signer, fault: Fault | None) -> Callback:
    kind = "v3 callback" if isinstance(signer, HeaderSigner) else "v2 callback"
    response: HttpResponse | None = None
    if fault is None:
        response = signer.sign(unsigned)
    elif kind in fault.protocols:
        response = fault.deliver(lambda: unsigned, signer).response
    if response is None:
        raise ConfigurationError(f"fault: {type(fault).__name__} does not apply to a {kind}")
    return Callback({**response.headers, **_HEADERS}, response.body)


def _event(name: str, resource: Resource) -> Event:
    if event := find(name):
        return event
    if like := difflib.get_close_matches(name, {**known(), **catalogue.events()}, 1, _LIKENESS):
        raise ConfigurationError(f"event: {name!r:.80} is unknown; did you mean {like[0]!r}?")
    if resource is None:
        raise ConfigurationError(
            f"event: {name!r:.80} is unknown; give its resource, or one of {', '.join(known())}"
        )
    return Event(name, "", "", "", {})


def _fresh(now: float) -> dict[str, str]:
    number = f"{format_digits(now)}{secrets.randbelow(10**7):07}"
    return {"id": f"EV-{number}", "create_time": format_rfc3339(now)}
