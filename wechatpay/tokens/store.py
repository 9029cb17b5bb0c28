"""What a place for access tokens has to do."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ["LEASE_SECONDS", "Token", "TokenStore", "decode", "encode", "parsed"]

#: Seconds after which a lock is open again though nobody released it: more than a fetch may take.
LEASE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Token:
    """An access token.

    Attributes:
        value: The token itself.
        good_until: Unix seconds after which it is no longer used, shortly before it expires.
    """

    value: str = field(repr=False)
    good_until: float


class TokenStore(Protocol):
    """Keeps one token for each key, and hands out one lock for each.

    The methods may block; they are called off the event loop, from any thread, and in forked processes. A key
    is ASCII text of an appid and a host.
    """

    def get(self, key: str) -> Token | None:
        """Return the token, or ``None`` when there is none; it need not be good any more."""

    def put(self, key: str, token: Token) -> None:
        """Put a token in place of the last one."""

    def acquire(self, key: str, lease: str) -> bool:
        """Lock ``key`` for whoever holds ``lease``; never waits.

        A lock whose holder died has to open by itself, within a minute or so.

        Returns:
            Whether it is locked now; ``False`` while another lease has it.
        """

    def release(self, key: str, lease: str) -> None:
        """Unlock ``key`` if ``lease`` has it; a lock that is another's by now stays."""


def encode(token: Token) -> dict[str, Any]:
    """Turn a token into what JSON can hold."""
    return {"access_token": token.value, "good_until": token.good_until}


def decode(kept: Any) -> Token | None:
    """Turn it back; ``None`` if it is no token."""
    match kept:
        case {"access_token": str() as value, "good_until": (int() | float()) as until}:
            return Token(value, float(until)) if value and math.isfinite(until) else None
    return None


def parsed(text: str | bytes) -> Any:
    """Parse JSON; ``None`` if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
