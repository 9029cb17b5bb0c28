"""What a fault of a response or callback is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.messages import Delivery, HttpResponse
    from wechatpay.sandbox.signing import Signer


__all__ = ["Fault"]


class Fault(ABC):
    """One fault of one response or callback; requests that fail verification consume none.

    Attributes:
        protocols: What it applies to: requests of ``v3``, ``v2`` or ``mp`` (the open platform), and
            ``v3 callback`` or ``v2 callback``.
        templates: The paths of those requests; empty for any.
    """

    __slots__ = ()

    protocols: ClassVar[frozenset[str]] = frozenset({"v3", "v2", "mp"})
    templates: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Respond to a request.

        Args:
            proceed: Executes the request and returns the unsigned response. A fault that does not call it
                leaves the request undone.
            signer: Signs responses of the request's protocol.
        """
