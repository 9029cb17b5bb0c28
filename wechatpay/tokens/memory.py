"""Access tokens in memory: one Builder's, or those of all that share the store."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from wechatpay.process import PerProcess
from wechatpay.tokens.store import LEASE_SECONDS

if TYPE_CHECKING:
    from wechatpay.tokens.store import Token

__all__ = ["MemoryTokens"]


class MemoryTokens:
    """Keeps tokens in memory; the default. Give the same one to several Builders and they share."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._leases = PerProcess(_Leases)

    def get(self, key: str) -> Token | None:
        """Return the token, if there is one."""
        return self._tokens.get(key)

    def put(self, key: str, token: Token) -> None:
        """Put a token in place of the last one."""
        self._tokens[key] = token

    def acquire(self, key: str, lease: str) -> bool:
        """Lock ``key`` for ``lease``, unless another has it; it opens by itself after half a minute."""
        leases, now = self._leases.get(), time.monotonic()
        with leases.lock:
            if leases.held.get(key, ("", now))[1] > now:
                return False
            leases.held[key] = (lease, now + LEASE_SECONDS)
            return True

    def release(self, key: str, lease: str) -> None:
        """Unlock ``key`` if ``lease`` has it."""
        leases = self._leases.get()
        with leases.lock:
            if leases.held.get(key, ("", 0.0))[0] == lease:
                del leases.held[key]

    def __repr__(self) -> str:
        return "<MemoryTokens>"


class _Leases:
    """Who has which key, and until when; a forked child begins with none."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.held: dict[str, tuple[str, float]] = {}
