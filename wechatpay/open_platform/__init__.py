"""The open platform, ``api.weixin.qq.com``: JSON, never signed, authenticated by an access token."""

from __future__ import annotations

from wechatpay.open_platform.stores import FileTokens, MemoryTokens, RedisTokens, Token, TokenStore

__all__ = ["FileTokens", "MemoryTokens", "RedisTokens", "Token", "TokenStore"]
