"""WeChat Pay's keys: which are believed, where they come from, and when they are asked for again."""

from __future__ import annotations

from wechatpay.platform.key import PlatformKey
from wechatpay.platform.trust import Platform

__all__ = ["Platform", "PlatformKey"]
