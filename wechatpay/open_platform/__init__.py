"""The open platform, ``api.weixin.qq.com``: JSON, with an access token."""
