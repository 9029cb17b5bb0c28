"""The open platform, ``api.weixin.qq.com``, where payments need it: access tokens, payers' unionids."""

from __future__ import annotations

from wechatpay.sandbox.openplatform.desk import OpenPlatform

__all__ = ["OpenPlatform"]
