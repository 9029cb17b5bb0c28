"""Access tokens of the open platform: where they are kept, and shared.

A Builder keeps them in memory unless it is told where else: ``tokens=FileTokens(path)`` shares them between
the processes of one machine, ``tokens=RedisTokens(url)`` between machines. Any object with the methods of
`TokenStore` will do.
"""

from __future__ import annotations

from wechatpay.tokens.file import FileTokens
from wechatpay.tokens.memory import MemoryTokens
from wechatpay.tokens.server import RedisTokens
from wechatpay.tokens.store import Token, TokenStore

__all__ = ["FileTokens", "MemoryTokens", "RedisTokens", "Token", "TokenStore"]
