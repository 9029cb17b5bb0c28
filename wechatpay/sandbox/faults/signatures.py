"""Faults of signatures, of responses and callbacks alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wechatpay.messages import Headers
from wechatpay.sandbox.faults.fault import Fault
from wechatpay.sandbox.messages import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.messages import HttpResponse
    from wechatpay.sandbox.signing import Signer


__all__ = [
    "KeyRotation",
    "MissingHeader",
    "OldTimestamp",
    "Probe",
    "TamperedBody",
    "UnknownSerial",
    "Unsigned",
    "WrongSignature",
]


class SignatureFault(Fault):
    """A fault of the signature; the open platform has none."""

    __slots__ = ()

    protocols = frozenset({"v3", "v2", "v3 callback", "v2 callback"})


class HeaderFault(Fault):
    """A fault of APIv3's signature headers."""

    __slots__ = ()

    protocols = frozenset({"v3", "v3 callback"})


_SIGNATURE = "Wechatpay-Signature"


@dataclass(frozen=True, slots=True)
class WrongSignature(SignatureFault):
    """A genuine signature, of another response: :class:`~wechatpay.SignatureError`."""

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Put another response's signature on this one."""
        return Delivery(signer.sign_wrongly(proceed()))


@dataclass(frozen=True, slots=True)
class Unsigned(SignatureFault):
    """A response without a signature: :class:`~wechatpay.VerificationError`.

    In APIv3 an :class:`~wechatpay.IncompleteHeadersError`, in APIv2 a :class:`~wechatpay.SignatureError`.
    """

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:  # noqa: ARG002  nothing is signed
        """Leave the signature out."""
        return Delivery(proceed())


@dataclass(frozen=True, slots=True)
class UnknownSerial(HeaderFault):
    """A key that the merchant does not have: :class:`~wechatpay.UnknownSerialError`.

    Attributes:
        serial: The serial number in the response.
    """

    serial: str = "PUB_KEY_ID_0100000000000000000000000000"

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Name another key."""
        return Delivery(_with(signer.sign(proceed()), Headers({"Wechatpay-Serial": self.serial})))


@dataclass(frozen=True, slots=True)
class KeyRotation(Fault):
    """A response signed with a key that is new: downloaded, or :class:`~wechatpay.UnknownSerialError`.

    As after `Sandbox.rotate`. In public-key mode the merchant has to add it by hand.
    """

    protocols = frozenset({"v3"})

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Rotate, and sign with the new key."""
        return Delivery(signer.rotate().sign(proceed()))


@dataclass(frozen=True, slots=True)
class OldTimestamp(HeaderFault):
    """A genuine signature, too old to be accepted: :class:`~wechatpay.ClockSkewError`.

    Attributes:
        age: Seconds since it was made; below 0 for one from the future.
    """

    age: float = 301.0

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Sign as of ``age`` seconds ago."""
        return Delivery(signer.sign(proceed(), age=self.age))


@dataclass(frozen=True, slots=True)
class MissingHeader(HeaderFault):
    """A response without one of its headers: :class:`~wechatpay.IncompleteHeadersError`.

    Attributes:
        name: The header.
    """

    name: str = _SIGNATURE

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Leave the header out."""
        response = signer.sign(proceed())
        return Delivery(replace(response, headers=response.headers.with_({self.name: None})))


@dataclass(frozen=True, slots=True)
class Probe(HeaderFault):
    """A wrong signature on purpose, as WeChat Pay sends for testing: :class:`~wechatpay.SignatureError`."""

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Mark the signature as a probe."""
        response = signer.sign(proceed())
        return Delivery(
            _with(response, Headers({_SIGNATURE: f"WECHATPAY/SIGNTEST/{response.headers[_SIGNATURE]}"}))
        )


@dataclass(frozen=True, slots=True)
class TamperedBody(SignatureFault):
    """A body that was changed after it was signed: :class:`~wechatpay.SignatureError`.

    In APIv2, where the body is XML, the default makes the response unreadable:
    :class:`~wechatpay.VerificationError`.

    Attributes:
        change: Makes the changed body from the signed one.
    """

    change: Callable[[bytes], bytes] = bytes.swapcase

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Change the body."""
        response = signer.sign(proceed())
        return Delivery(replace(response, body=self.change(response.body)))


def _with(response: HttpResponse, changes: Headers) -> HttpResponse:
    return replace(response, headers=response.headers.with_(changes))
