"""The payers that the sandbox knows: the end of an openid or code says who it is.

======================  =====================================================================
openid (or code)        who it is
======================  =====================================================================
``oUpF8uMuAJOM2pxb1Q``  a customer: everything is authorised; two contracts, and one ended
``oUpF8…_ended``        has cancelled everything
``oUpF8…_never``        has never authorised anything
``oUpF8…_poor``         has no money: deductions fail
``oUpF8…_unbound``      pays in an app that is not bound to an account of the open platform
``nobody``              unknown: an openid is ``o`` and 15 to 63 letters, digits, ``-`` or ``_``
======================  =====================================================================

All facts about a payer are the same in every sandbox.
"""

from __future__ import annotations

import hashlib
import re
from enum import Enum

from wechatpay.sandbox.clock import format_rfc3339

__all__ = [
    "PAYER",
    "POOR",
    "UNBOUND",
    "Standing",
    "agreement",
    "moment",
    "moment_seconds",
    "number",
    "partner_openid",
    "standing",
]

#: The payer, unless another one is named.
PAYER = "oUpF8uMuAJOM2pxb1Q"

#: The end of the openids whose app is not bound to an account of the open platform.
UNBOUND = "_unbound"

#: The end of the openids whose deductions fail.
POOR = "_poor"

#: The first second of 2024, in UTC.
_START = 1_704_067_200

_OPENID = re.compile(r"o[0-9A-Za-z_-]{15,63}")
_CODE = re.compile(r"[0-9A-Za-z_-]{4,64}")


class Standing(Enum):
    """What a payer has authorised."""

    CUSTOMER = ""
    ENDED = "_ended"
    NEVER = "_never"


def standing(openid: str) -> Standing | None:
    """Return the standing of a payer; ``None`` for an unknown openid."""
    return _by_suffix(openid) if _OPENID.fullmatch(openid) else None


def agreement(code: str) -> Standing | None:
    """Return the standing of an authorization; ``None`` for an unknown code."""
    return _by_suffix(code) if _CODE.fullmatch(code) else None


def _by_suffix(name: str) -> Standing:
    return next(
        (kind for kind in (Standing.ENDED, Standing.NEVER) if name.endswith(kind.value)), Standing.CUSTOMER
    )


def partner_openid(sub_openid: str) -> str:
    """Return the openid in the partner's app of the payer with this openid in the sub-merchant's app.

    It has the same end, so that it is the same test user; ``""`` for ``""``.
    """
    ends = (POOR, UNBOUND, Standing.ENDED.value, Standing.NEVER.value)
    end = next(filter(sub_openid.endswith, ends), "")
    return f"o{number(f'openid {sub_openid}', 27)}{end}" if sub_openid else ""


def number(seed: str, digits: int) -> str:
    """Make a number of so many digits from ``seed``, the same one each time."""
    value = int.from_bytes(hashlib.sha256(seed.encode("utf-8", "replace")).digest())
    return str(value % (9 * 10 ** (digits - 1)) + 10 ** (digits - 1))


def moment(seed: str, days: int = 0) -> str:
    """Make a moment in 2024 from ``seed``, ``days`` later: RFC 3339 in China's time."""
    return format_rfc3339(moment_seconds(seed) + days * 86400)


def moment_seconds(seed: str) -> float:
    """Make a moment in 2024 from ``seed``: Unix seconds."""
    return _START + int(number(seed, 8)) % (300 * 86400)
