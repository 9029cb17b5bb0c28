"""The bill of a day: 下载对账单; CSV when there is one, XML when there is none.

https://pay.weixin.qq.com/wiki/doc/api/jsapi.php?chapter=9_6
"""

from __future__ import annotations

import gzip
import re
from datetime import date, datetime
from typing import TYPE_CHECKING

from wechatpay.messages import Headers
from wechatpay.sandbox.answer import Answer
from wechatpay.sandbox.apiv2.answers import refused
from wechatpay.sandbox.bills import trade_bill
from wechatpay.sandbox.ledger import CHINA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.sandbox.catalogue import Breach
    from wechatpay.sandbox.ledger import Ledger

__all__ = ["bill", "breached"]

_DAY = re.compile(r"[0-9]{8}")


def bill(asked: Mapping[str, str], ledger: Ledger, now: float) -> Answer:
    """Write the bill of a day: today's, too, which WeChat Pay has at ten the next morning."""
    day = _day(asked["bill_date"])
    if day is None or day > datetime.fromtimestamp(now, CHINA).date():
        return refused("invalid bill_date", error_code="20001")
    written = trade_bill(ledger.orders.values(), asked["mch_id"], day, asked.get("bill_type", "ALL"))
    if written is None:
        return refused("No Bill Exist", error_code="20002")
    if asked.get("tar_type") == "GZIP":
        return Answer(200, gzip.compress(written), Headers({"Content-Type": "application/x-gzip"}))
    return Answer(200, written, Headers({"Content-Type": "text/plain; charset=utf-8"}))


def breached(breach: Breach) -> Answer:
    """Refuse a field that breaks a rule, as downloads do."""
    words = "missing parameter" if breach.value is None else f"invalid {breach.name}"
    return refused(words, error_code="20001")


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None
