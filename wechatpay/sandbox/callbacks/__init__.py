"""Callbacks as WeChat Pay makes them: encrypted, signed, and posted to servers on this machine."""

from __future__ import annotations

from wechatpay.sandbox.callbacks.callback import Callback, Delivered, Reply

__all__ = ["Callback", "Delivered", "Reply"]
