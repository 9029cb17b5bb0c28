"""What was shared of the receipts of orders, returned and unfrozen: one store under APIv2 and APIv3.

An order with ``profit_sharing`` freezes its receipts. A minute after the payment they can be shared, at most
30 % in all, and are unfrozen by request or after 30 days.
https://pay.weixin.qq.com/doc/v3/merchant/4012067962
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING

from wechatpay.sandbox.fund_texts import FundEntry, Share
from wechatpay.sandbox.orders import Order, Rejection
from wechatpay.sandbox.store import Table
from wechatpay.sandbox.test_users import standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from wechatpay.sandbox.ledger import Ledger

__all__ = ["MAX_RATIO", "MERCHANT", "Part", "Sharing", "SharingLedger", "SharingRejection", "SharingReturn"]

#: Seconds after the payment before which nothing is shared.
_SETTLEMENT_DELAY = 60

#: Hundredths of a percent of an order that may be shared.
MAX_RATIO = 3000

_MAX_PARTS = 50

#: The type of a receiver that is a merchant.
MERCHANT = "MERCHANT_ID"


class SharingRejection(Enum):
    """Why a request is rejected."""

    NO_NAME = auto()
    BAD_OPENID = auto()
    NO_ORDER = auto()
    OTHER_PARTS = auto()
    NOT_SHARING = auto()
    UNFROZEN = auto()
    TOO_EARLY = auto()
    RULE = auto()
    BAD_AMOUNT = auto()
    NO_RELATION = auto()
    ABOVE_RATIO = auto()
    NOT_ENOUGH = auto()
    NO_SHARING = auto()


@dataclass(frozen=True, slots=True)
class Part:
    """One receiver's part.

    Attributes:
        type: ``MERCHANT_ID``, ``PERSONAL_OPENID`` or ``PERSONAL_SUB_OPENID``.
        account: The merchant id or openid.
        amount: Fen.
        description: Why.
        detail_id: WeChat Pay's number of the part.
        returned: Fen that the receiver returned.
    """

    type: str
    account: str
    amount: int
    description: str
    detail_id: str = ""
    returned: int = 0


@dataclass(frozen=True, slots=True)
class Sharing:
    """One request for sharing, or for unfreezing.

    Attributes:
        out_order_no: The merchant's number.
        order_id: WeChat Pay's number.
        transaction_id: The payment.
        out_trade_no: The order.
        sub_mchid: The sub-merchant of a partner's order.
        at: Unix seconds.
        is_unfreezing: Whether it only unfreezes.
        parts: The receivers' parts.
    """

    out_order_no: str
    order_id: str
    transaction_id: str
    out_trade_no: str
    sub_mchid: str
    at: float
    is_unfreezing: bool
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class SharingReturn:
    """What a receiver gave back.

    Attributes:
        out_return_no: The merchant's number.
        return_id: WeChat Pay's number.
        out_order_no: The share, by the merchant's number.
        return_mchid: The receiver.
        amount: Fen.
        description: Why.
        at: Unix seconds.
    """

    out_return_no: str
    return_id: str
    out_order_no: str
    return_mchid: str
    amount: int
    description: str
    at: float


class SharingLedger:
    """The shares and returns of one merchant; thread-safe."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float]) -> None:
        """Start without receivers and shares.

        Args:
            ledger: The merchant's orders.
            clock: Returns Unix seconds.
        """
        self._ledger = ledger
        self._clock = clock
        self._lock = threading.RLock()
        self._relations: Table[str, str] = Table()
        self._sharings: Table[str, Sharing] = Table()
        self._returns: Table[str, SharingReturn] = Table()

    def add_receiver(
        self, sub_mchid: str, kind: str, account: str, relation_type: str, *, has_name: bool
    ) -> SharingRejection | None:
        """Allow an account to receive shares, or reject it.

        Args:
            sub_mchid: The sub-merchant whose orders are shared; ``""`` for the merchant's own.
            kind: The type of the account.
            account: The merchant id or openid.
            relation_type: How it is related to the merchant.
            has_name: Whether the request has the name of the account, which merchants need.
        """
        if kind == MERCHANT and not has_name:
            return SharingRejection.NO_NAME
        if kind != MERCHANT and standing(account) is None:
            return SharingRejection.BAD_OPENID
        with self._lock:
            self._relations[_relation(sub_mchid, kind, account)] = relation_type
        return None

    def remove_receiver(self, sub_mchid: str, kind: str, account: str) -> None:
        """Forbid an account to receive shares, if it was allowed to."""
        with self._lock:
            self._relations.pop(_relation(sub_mchid, kind, account), None)

    def share(
        self,
        transaction_id: str,
        out_order_no: str,
        parts: Sequence[Part],
        *,
        sub_mchid: str = "",
        is_unfreezing: bool,
    ) -> Sharing | SharingRejection:
        """Share the receipts of an order, or return what was shared under the same number.

        Args:
            transaction_id: The payment.
            out_order_no: The merchant's number.
            parts: The parts.
            sub_mchid: The sub-merchant, whose the order is, and for whom the receivers were added.
            is_unfreezing: Whether to unfreeze the rest.
        """
        with self._lock:
            if known := self._sharings.get(out_order_no):
                named = (known.transaction_id, known.sub_mchid, _comparable(known.parts))
                is_same = named == (transaction_id, sub_mchid, _comparable(parts))
                return known if is_same else SharingRejection.OTHER_PARTS
            order = self._ledger.find_own(sub_mchid, transaction_id=transaction_id)
            if isinstance(order, Rejection):
                return SharingRejection.NO_ORDER
            if rejection := self._reject(order, parts, sub_mchid):
                return rejection
            made = self._make(order, out_order_no, parts)
            total = sum(part.amount for part in parts)
            self._ledger.share(order.out_trade_no, total, is_unfreezing=is_unfreezing)
            return made

    def _reject(  # noqa: PLR0911  one return a rule
        self, order: Order, parts: Sequence[Part], sub_mchid: str
    ) -> SharingRejection | None:
        amount = sum(part.amount for part in parts)
        if not order.is_sharing:
            return SharingRejection.NOT_SHARING
        if order.is_unfrozen:
            return SharingRejection.UNFROZEN
        if order.payment and self._clock() < order.payment.at + _SETTLEMENT_DELAY:
            return SharingRejection.TOO_EARLY
        if len({(part.type, part.account) for part in parts}) != len(parts) or len(parts) > _MAX_PARTS:
            return SharingRejection.RULE
        if any(part.amount < 1 for part in parts):
            return SharingRejection.BAD_AMOUNT
        if any(_relation(sub_mchid, part.type, part.account) not in self._relations for part in parts):
            return SharingRejection.NO_RELATION
        if (order.shared + amount) * 10_000 > order.total * MAX_RATIO:
            return SharingRejection.ABOVE_RATIO
        return SharingRejection.NOT_ENOUGH if amount > order.frozen else None

    def unfreeze(
        self, transaction_id: str, out_order_no: str, description: str, mchid: str, sub_mchid: str = ""
    ) -> Sharing | SharingRejection:
        """Unfreeze the rest of an order; a number that was used before succeeds, too, and unfreezes nothing.

        Args:
            transaction_id: The payment.
            out_order_no: The merchant's number.
            description: Why.
            mchid: The merchant, who receives the rest unless the order is a sub-merchant's.
            sub_mchid: The sub-merchant, whose the order is.
        """
        with self._lock:
            order = self._ledger.find_own(sub_mchid, transaction_id=transaction_id)
            if isinstance(order, Rejection):
                return SharingRejection.NO_ORDER
            if not order.is_sharing:
                return SharingRejection.NOT_SHARING
            if known := self._sharings.get(out_order_no):
                return known
            rest = Part(MERCHANT, order.sub_mchid or mchid, order.frozen, description)
            made = self._make(order, out_order_no, [rest], is_unfreezing=True)
            self._ledger.share(order.out_trade_no, 0, is_unfreezing=True)
            return made

    def _make(
        self, order: Order, out_order_no: str, parts: Iterable[Part], *, is_unfreezing: bool = False
    ) -> Sharing:
        numbered = tuple(
            replace(part, detail_id=f"36{self._ledger.make_number(f'detail {out_order_no} {index}', 26)}")
            for index, part in enumerate(parts)
        )
        made = Sharing(
            out_order_no,
            f"30{self._ledger.make_number(f'share {out_order_no}', 26)}",
            order.payment.transaction_id if order.payment else "",
            order.out_trade_no,
            order.sub_mchid,
            self._clock(),
            is_unfreezing,
            numbered,
        )
        self._sharings[out_order_no] = made
        return made

    def find(self, *, out_order_no: str = "", order_id: str = "") -> Sharing | None:
        """Return a share by the merchant's number if given, else by WeChat Pay's; ``None`` if unknown."""
        with self._lock:
            if out_order_no:
                return self._sharings.get(out_order_no)
            return next((made for made in self._sharings.values() if made.order_id == order_id), None)

    def find_own(self, sub_mchid: str, *, out_order_no: str = "", order_id: str = "") -> Sharing | None:
        """Return a share of a party as `find` does; ``None`` if it is another party's."""
        found = self.find(out_order_no=out_order_no, order_id=order_id)
        return found if found and found.sub_mchid == sub_mchid else None

    def give_back(
        self, sharing: Sharing | None, out_return_no: str, mchid: str, amount: int, description: str
    ) -> SharingReturn | SharingRejection:
        """Let a merchant return its part, or some of it.

        Args:
            sharing: The share.
            out_return_no: The merchant's number of the return.
            mchid: The receiver.
            amount: Fen.
            description: Why.
        """
        with self._lock:
            if known := self._returns.get(out_return_no):
                is_same = (known.return_mchid, known.amount) == (mchid, amount)
                return known if is_same else SharingRejection.RULE
            parts = sharing.parts if sharing and not sharing.is_unfreezing else ()
            found = [part for part in parts if (part.type, part.account) == (MERCHANT, mchid)]
            if sharing is None or not found:
                return SharingRejection.NO_SHARING
            if not 1 <= amount <= found[0].amount - found[0].returned:
                return SharingRejection.RULE
            changed = replace(found[0], returned=found[0].returned + amount)
            parts = tuple(changed if part is found[0] else part for part in sharing.parts)
            self._sharings[sharing.out_order_no] = replace(sharing, parts=parts)
            return_id = f"31{self._ledger.make_number('return ' + out_return_no, 26)}"
            made = SharingReturn(
                out_return_no, return_id, sharing.out_order_no, mchid, amount, description, self._clock()
            )
            self._returns[out_return_no] = made
            return made

    def find_return(self, out_return_no: str) -> SharingReturn | None:
        """Return a return by the merchant's number; ``None`` if unknown."""
        with self._lock:
            return self._returns.get(out_return_no)

    def bookings(self) -> list[FundEntry]:
        """Return the bookings of shares and returns."""
        with self._lock:
            shared = [
                _booking(
                    made.at,
                    made.order_id,
                    "分账",
                    -part.amount,
                    part.description,
                    part.detail_id,
                    made.sub_mchid,
                )
                for made in self._sharings.values()
                for part in made.parts
                if not made.is_unfreezing
            ]
            returned = [
                _booking(r.at, r.return_id, "分账回退", r.amount, r.description, r.out_return_no, sub_mchid)
                for r in self._returns.values()
                for sub_mchid in [self._sharings[r.out_order_no].sub_mchid]
            ]
        return shared + returned

    def rows(self) -> list[Share]:
        """Return the rows of the profit-sharing bill: shares and returns."""
        with self._lock:
            rows = [self._row(made, part) for made in self._sharings.values() for part in made.parts]
            for returned in self._returns.values():
                made = self._sharings[returned.out_order_no]
                part = next(part for part in made.parts if part.account == returned.return_mchid)
                row = replace(
                    self._row(made, part),
                    at=returned.at,
                    order_id=returned.return_id,
                    out_order_no=returned.out_return_no,
                    amount=returned.amount,
                    description=returned.description,
                    is_return=True,
                )
                rows.append(row)
        return sorted(rows, key=lambda row: row.at)

    def _row(self, made: Sharing, part: Part) -> Share:
        order = self._ledger.find(out_trade_no=made.out_trade_no)
        return Share(
            made.at,
            made.transaction_id,
            made.order_id,
            part.detail_id,
            made.out_order_no,
            order.total if order else 0,
            part.account,
            part.amount,
            part.description,
            sub_mchid=made.sub_mchid,
        )


def _booking(  # noqa: PLR0913, PLR0917  the columns of the bill
    at: float, number: str, kind: str, amount: int, note: str, voucher: str, sub_mchid: str
) -> FundEntry:
    return FundEntry(at, number, kind, kind, amount, "system", note, voucher, sub_mchid)


def _relation(sub_mchid: str, kind: str, account: str) -> str:
    return f"{sub_mchid}/{kind}/{account}"


def _comparable(parts: Iterable[Part]) -> list[tuple[str, str, int]]:
    """Return what a repeated request must share: names are encrypted, and always differ."""
    return sorted((part.type, part.account, part.amount) for part in parts)
