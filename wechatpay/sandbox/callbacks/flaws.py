"""What can be wrong with callbacks alone: genuine, signed, and odd all the same."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wechatpay.sandbox.delivery import Delivery, Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.answer import Answer
    from wechatpay.sandbox.desk import Sign

__all__ = ["NoResource", "NotUtf8", "OtherCipher", "Reencoded"]


@dataclass(frozen=True, slots=True)
class NoResource(Fault):
    """A callback with nothing in it: ``MalformedNotificationError``."""

    protocols = frozenset({"v3 callback"})

    def deliver(self, proceed: Callable[[], Answer], sign: Sign) -> Delivery:
        """Leave the resource out."""
        envelope = _read(answer := proceed())
        del envelope["resource"]
        return Delivery(sign(_written(answer, envelope)))


@dataclass(frozen=True, slots=True)
class OtherCipher(Fault):
    """A callback whose body names a cipher that is not its signature's: ``UndecryptableNotificationError``.

    Attributes:
        algorithm: The cipher.
    """

    protocols = frozenset({"v3 callback"})

    algorithm: str = "AEAD_SM4_GCM"

    def deliver(self, proceed: Callable[[], Answer], sign: Sign) -> Delivery:
        """Name another cipher."""
        envelope = _read(answer := proceed())
        envelope["resource"]["algorithm"] = self.algorithm
        return Delivery(sign(_written(answer, envelope)))


@dataclass(frozen=True, slots=True)
class NotUtf8(Fault):
    """A callback in another encoding, and signed as that: ``MalformedNotificationError``.

    Attributes:
        encoding: Which.
    """

    protocols = frozenset({"v3 callback"})

    encoding: str = "gb18030"

    def deliver(self, proceed: Callable[[], Answer], sign: Sign) -> Delivery:
        """Encode the body anew before it is signed."""
        answer = proceed()
        return Delivery(sign(replace(answer, body=answer.body.decode().encode(self.encoding))))


@dataclass(frozen=True, slots=True)
class Reencoded(Fault):
    """A callback that a proxy or a framework wrote anew on its way: ``ReencodedNotificationError``."""

    protocols = frozenset({"v3 callback"})

    def deliver(self, proceed: Callable[[], Answer], sign: Sign) -> Delivery:
        """Parse the body that was signed, and write it as Python does."""
        answer = sign(proceed())
        return Delivery(replace(answer, body=json.dumps(_read(answer)).encode()))


def _read(answer: Answer) -> dict[str, Any]:
    envelope: dict[str, Any] = json.loads(answer.body)
    return envelope


def _written(answer: Answer, envelope: dict[str, Any]) -> Answer:
    body = json.dumps(envelope, ensure_ascii=False, separators=(",", ":"))
    return replace(answer, body=body.encode())
