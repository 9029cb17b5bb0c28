"""What answers the requests of one of WeChat Pay's protocols: APIv3, APIv2."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wechatpay.sandbox.answer import Answer, Received

__all__ = ["Desk", "Sign"]


class Sign(ABC):
    """Signs the answers to one request, as WeChat Pay does."""

    __slots__ = ()

    @abstractmethod
    def __call__(self, answer: Answer, *, age: float = 0.0) -> Answer:
        """Sign ``answer`` as of ``age`` seconds ago, if answers of its kind are signed."""

    @abstractmethod
    def wrongly(self, answer: Answer) -> Answer:
        """Put the signature of another answer on this one."""

    @abstractmethod
    def error(self, status: int, code: str, message: str) -> Answer:
        """Make an error answer, not signed yet."""


class Desk(ABC):
    """Answers the requests of one protocol.

    Attributes:
        protocol: Which, as the chain calls it: ``v3``, ``v2``.
    """

    protocol: str

    @abstractmethod
    def takes(self, received: Received) -> bool:
        """Tell whether a request is of this protocol."""

    @abstractmethod
    def sign(self, received: Received) -> Sign:
        """Return what signs the answers to a request."""

    @abstractmethod
    def refusal(self, received: Received) -> Answer | None:
        """Return the error answer to a request that is not the merchant's, or ``None``."""

    @abstractmethod
    def carry_out(self, received: Received) -> Answer:
        """Do what a request wants, and return the answer, not signed yet."""

    @abstractmethod
    def code(self, answer: Answer) -> str:
        """Return the error code in an answer, or ``""``."""
