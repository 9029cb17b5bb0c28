"""How an answer reaches the client, and what may change it on the way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.answer import Answer
    from wechatpay.sandbox.desk import Sign

__all__ = ["Delivery", "Fault", "HeaderFault", "SignatureFault"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """How an answer is sent.

    Attributes:
        answer: What is sent; ``None`` resets the connection instead.
        delay: Seconds to wait before.
        kept: Bytes of the body to send before the connection is closed; ``None`` for all.
    """

    answer: Answer | None
    delay: float = 0.0
    kept: int | None = None


class Fault(ABC):
    """One thing that goes wrong with one request; requests that are refused use none up.

    Attributes:
        protocols: The protocols whose requests it can befall, ``v3``, ``v2`` or ``mp``, the open platform's;
            and the ``v3 callback`` or ``v2 callback`` that it can befall.
    """

    __slots__ = ()

    protocols: ClassVar[frozenset[str]] = frozenset({"v3", "v2", "mp"})

    @abstractmethod
    def deliver(self, proceed: Callable[[], Answer], sign: Sign) -> Delivery:
        """Answer a request.

        Args:
            proceed: Carries the request out and returns the proper answer, not signed yet. A fault that
                does not call it leaves the request undone.
            sign: Signs an answer, as the request's protocol does.
        """


class SignatureFault(Fault):
    """What goes wrong with signatures, which the open platform has not got."""

    __slots__ = ()

    protocols = frozenset({"v3", "v2", "v3 callback", "v2 callback"})


class HeaderFault(Fault):
    """What goes wrong with APIv3's signature headers, which no other protocol has."""

    __slots__ = ()

    protocols = frozenset({"v3", "v3 callback"})
