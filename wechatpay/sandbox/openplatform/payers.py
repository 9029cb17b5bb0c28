"""Payers' unionids, which the platform tells for a few minutes after a payment.

https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/user-info/basic-info/getPaidUnionid.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wechatpay.sandbox import people
from wechatpay.sandbox.openplatform.errcode import RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wechatpay.sandbox.keys.identity import Identity
    from wechatpay.sandbox.ledger import Ledger, Order

__all__ = ["Payers"]

#: Seconds after a payment in which its payer's unionid is told.
_WINDOW = 300


class Payers:
    """Tells who paid, by order."""

    def __init__(self, identity: Identity, clock: Callable[[], float], ledger: Ledger) -> None:
        self._appid = identity.app["appid"]
        self._mchid = identity.mchid
        self._clock = clock
        self._ledger = ledger

    def unionid(self, given: Mapping[str, str]) -> str:
        """Tell the unionid of whoever paid an order.

        Args:
            given: The parameters of the query.

        Raises:
            RefusalError: Nobody has that openid, the app is bound to no account, or this openid paid no such
                order in this app within five minutes.
        """
        openid, order = given.get("openid", ""), self._order(given)
        if people.standing(openid) is None:
            raise RefusalError(40003, "invalid openid")
        if openid.endswith(people.UNBOUND):
            raise RefusalError(89002, "open not exists: the app is bound to no open platform account")
        if order is None or order.payment is None or order.appid != self._appid:
            raise RefusalError(89300, "invalid transaction")
        if order.payment.openid != openid or self._clock() - order.payment.at > _WINDOW:
            raise RefusalError(89300, "invalid transaction")
        return f"oTmHY{people.number(openid, 23)}"

    def _order(self, given: Mapping[str, str]) -> Order | None:
        if number := given.get("transaction_id"):
            return self._ledger.find(transaction_id=number)
        if given.get("mch_id") != self._mchid:
            return None
        return self._ledger.find(out_trade_no=given.get("out_trade_no", ""))
