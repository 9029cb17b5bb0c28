"""The command ``wechatpay``."""
