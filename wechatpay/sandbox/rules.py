"""Rules that WeChat Pay's documents contradict themselves on, and limits that a test may want to lift.

::

    sandbox = Sandbox(rules=Rules(other_order="INVALID_REQUEST"))
    sandbox.rules.refund_interval = 0  # from now on
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

from wechatpay.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["KINDS", "Rules"]

#: The types of options, in words.
KINDS = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false"}

_OtherOrder = Literal["OUT_TRADE_NO_USED", "INVALID_REQUEST"]


@dataclass(slots=True, kw_only=True)
class Rules:
    """The rules of a sandbox; they can be changed while it runs.

    Attributes:
        other_order: The code for an APIv3 order whose number is that of another one: ``OUT_TRADE_NO_USED``
            (403) on most pages, ``INVALID_REQUEST`` (400) on others.
        refund_interval: Seconds between two refunds of one order.
        reverse_interval: Seconds from a payment by code until it can be reversed.
        freeze_days: Days that receipts stay frozen for profit sharing: 30, on one page 180.
        score_orders: Service orders of the pay score that one payer may have in progress.
        can_cancel_paying: Whether a service order can be cancelled while its deduction is under way; the
            pages of 2025 allow it, those of 2026 do not.
        early_bills: Whether there are bills before 10:00 of the next day in China, and of the present day.
    """

    other_order: _OtherOrder = "OUT_TRADE_NO_USED"
    refund_interval: float = 60.0
    reverse_interval: float = 15.0
    freeze_days: float = 30.0
    score_orders: int = 3
    can_cancel_paying: bool = False
    early_bills: bool = False

    def __post_init__(self) -> None:
        if self.other_order not in get_args(_OtherOrder):
            raise ConfigurationError(
                f"other_order: one of {', '.join(get_args(_OtherOrder))}, not {self.other_order!r:.40}"
            )
        for name in ("refund_interval", "reverse_interval", "freeze_days", "score_orders"):
            if not getattr(self, name) >= 0:
                raise ConfigurationError(f"{name}: 0 or more, not {getattr(self, name)!r:.40}")

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Rules:
        """Read rules as the command line has them, such as ``refund_interval=0``.

        Raises:
            ConfigurationError: A name is unknown, or a value has the wrong type.
        """
        types = {field.name: str(field.type) for field in fields(cls)}
        given: dict[str, Any] = {}
        for text in texts:
            name, _, value = (part.strip() for part in text.partition("="))
            if name not in types:
                raise ConfigurationError(f"rule: {name!r:.40} is unknown; there are {', '.join(types)}")
            try:
                given[name] = _READERS.get(types[name], str)(value)
            except (ValueError, KeyError):
                raise ConfigurationError(f"{name}: give {KINDS[types[name]]}, not {value!r:.40}") from None
        return cls(**given)


_READERS: dict[str, Any] = {"int": int, "float": float, "bool": {"true": True, "false": False}.__getitem__}
