"""The payers that the sandbox knows: whoever is asked for, told by what their openid ends in.

======================  =====================================================================
openid (or code)        who it is
======================  =====================================================================
``oUpF8uMuAJOM2pxb1Q``  a customer: everything is authorised; two contracts, and one ended
``oUpF8…_ended``        has cancelled everything
``oUpF8…_never``        has never authorised anything
``oUpF8…_unbound``      pays in an app that is bound to no account of the open platform
``nobody``              nobody: what does not look like an openid (``o``, then 15 to 63 letters,
                        digits, ``-`` or ``_``) is unknown
======================  =====================================================================

All that is told of one is the same in every sandbox.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum

__all__ = ["UNBOUND", "Standing", "moment", "number", "standing"]

#: What the openids end in whose app is bound to no account of the open platform.
UNBOUND = "_unbound"

_OPENID = re.compile(r"o[0-9A-Za-z_-]{15,63}")
_CODE = re.compile(r"[0-9A-Za-z_-]{4,64}")
_SHANGHAI = timezone(timedelta(hours=8))


class Standing(Enum):
    """How a payer stands to a merchant."""

    CUSTOMER = ""
    ENDED = "_ended"
    NEVER = "_never"


def standing(openid: str) -> Standing | None:
    """Tell who has this openid; ``None`` for nobody."""
    return _told(openid) if _OPENID.fullmatch(openid) else None


def agreement(code: str) -> Standing | None:
    """Tell how an authorization with this code stands; ``None`` if there is none."""
    return _told(code) if _CODE.fullmatch(code) else None


def _told(name: str) -> Standing:
    return next(
        (kind for kind in (Standing.ENDED, Standing.NEVER) if name.endswith(kind.value)), Standing.CUSTOMER
    )


def number(seed: str, digits: int) -> str:
    """Make a number of so many digits of ``seed``: the same one each time."""
    value = int.from_bytes(hashlib.sha256(seed.encode("utf-8", "replace")).digest())
    return str(value % (9 * 10 ** (digits - 1)) + 10 ** (digits - 1))


def moment(seed: str, days: int = 0) -> str:
    """Make a time in 2024, ``days`` later, of ``seed``: RFC 3339, in China's time, as WeChat Pay has it."""
    start = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(
        seconds=int(number(seed, 8)) % (300 * 86400), days=days
    )
    return start.astimezone(_SHANGHAI).isoformat()
