"""Faults of callbacks."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wechatpay.sandbox.faults.fault import Fault
from wechatpay.sandbox.messages import Delivery, HttpResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.signing import Signer


__all__ = ["NoResource", "NotUtf8", "OtherCipher", "Reencoded"]


@dataclass(frozen=True, slots=True)
class NoResource(Fault):
    """A callback without a resource: ``MalformedNotificationError``."""

    protocols = frozenset({"v3 callback"})

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Leave the resource out."""
        envelope = _read(response := proceed())
        del envelope["resource"]
        return Delivery(signer.sign(_write(response, envelope)))


@dataclass(frozen=True, slots=True)
class OtherCipher(Fault):
    """A callback whose body names a cipher other than its signature's: ``UndecryptableNotificationError``.

    Attributes:
        algorithm: The cipher.
    """

    protocols = frozenset({"v3 callback"})

    algorithm: str = "AEAD_SM4_GCM"

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Name another cipher."""
        envelope = _read(response := proceed())
        envelope["resource"]["algorithm"] = self.algorithm
        return Delivery(signer.sign(_write(response, envelope)))


@dataclass(frozen=True, slots=True)
class NotUtf8(Fault):
    """A callback in another encoding, signed as such: ``MalformedNotificationError``.

    Attributes:
        encoding: Which.
    """

    protocols = frozenset({"v3 callback"})

    encoding: str = "gb18030"

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Encode the body before it is signed."""
        response = proceed()
        return Delivery(signer.sign(replace(response, body=response.body.decode().encode(self.encoding))))


@dataclass(frozen=True, slots=True)
class Reencoded(Fault):
    """A callback that a proxy or a framework serialised again: ``ReencodedNotificationError``."""

    protocols = frozenset({"v3 callback"})

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Parse the signed body and serialise it as Python does."""
        response = signer.sign(proceed())
        return Delivery(replace(response, body=json.dumps(_read(response)).encode()))


def _read(response: HttpResponse) -> dict[str, Any]:
    envelope: dict[str, Any] = json.loads(response.body)
    return envelope


def _write(response: HttpResponse, envelope: dict[str, Any]) -> HttpResponse:
    body = json.dumps(envelope, ensure_ascii=False, separators=(",", ":"))
    return replace(response, body=body.encode())
