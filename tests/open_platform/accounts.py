"""The app of these tests, a user of it, and what that user paid."""

APP = {"appid": "wx8888888888888888", "secret": "0123456789abcdef0123456789abcdef"}
ORDER = {"transaction_id": "4200001", "mch_id": "1900000109", "out_trade_no": "N1"}
SESSION = {"js_code": "CODE", "grant_type": "authorization_code"}
OPENID, UNIONID = "oUpF8uMuAJOM2pxb1Q", "o6_bmasdasdsad6_2sgVt7hMZOPfL"
