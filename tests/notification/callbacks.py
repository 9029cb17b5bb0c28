"""Callbacks as WeChat Pay makes them, without the package: signed, encrypted, digested."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode

import digests
import keys
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7
from merchants import MCHID
from wire.gateway import SERIAL, proof

from wechatpay.notification import NotificationHandler

NOW = 1_700_000_000
APIV3_KEY = "apiv3-key-of-32-characters-0000!"
ID = "EV-2018022511223320873"
ORDER = {
    "transaction_id": "1217752501201407033233368018",
    "out_trade_no": "1217752501201407033233368018",
    "trade_state": "SUCCESS",
    "amount": {"total": 100, "currency": "CNY"},
    "payer": {"openid": "oUpF8uMuAJOM2pxb1Q"},
    "promotion_detail": [{"name": "单品惠-6"}],
}
REFUND = {
    "out_refund_no": "131811191610442717309",
    "out_trade_no": "71106718111915575302817",
    "refund_id": "50000408942018111907145868882",
    "refund_status": "SUCCESS",
}


def handler(**changes):
    """Give a handler that knows all secrets, and whose clock says `NOW`."""
    settings = {
        "certs": {SERIAL: keys.public_key("platform")},
        "apiv3_key": APIV3_KEY,
        "secret": digests.SECRET,
        "mchid": MCHID,
        "clock": lambda: float(NOW),
    }
    return NotificationHandler(**settings | changes)


def sealed(plaintext, *, nonce="fdasflkja484", aad="transaction", key=APIV3_KEY):
    """Encrypt as AEAD_AES_256_GCM, in base64."""
    data = AESGCM(key.encode()).encrypt(nonce.encode(), plaintext, (aad or "").encode())
    return b64encode(data).decode()


def envelope(event=ORDER, /, *, aad="transaction", key=APIV3_KEY, **changes):
    """Lay out the envelope of APIv3 around an event, given as JSON or as bytes; ``...`` takes a field out."""
    plaintext = event if isinstance(event, bytes) else json.dumps(event).encode()
    inner = {
        "original_type": "transaction",
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": sealed(plaintext, aad=None if aad is ... else aad, key=key),
        "associated_data": aad,
        "nonce": "fdasflkja484",
    } | changes.pop("inner", {})
    fields = {
        "id": ID,
        "create_time": "2015-05-20T13:29:35+08:00",
        "resource_type": "encrypt-resource",
        "event_type": "TRANSACTION.SUCCESS",
        "summary": "支付成功",
        "resource": _present(inner),
    } | changes
    return json.dumps(_present(fields), ensure_ascii=False, separators=(",", ":")).encode()


def _present(fields):
    return {name: value for name, value in fields.items() if value is not ...}


def signed(body, **how):
    """Give the headers of a callback; ``how`` goes to `wire.gateway.proof`."""
    return dict(proof(body, **{"at": NOW} | how))


def payment(sign_with="MD5", /, *, secret=digests.SECRET, **fields):
    """Give an APIv2 result of a payment."""
    order = {"out_trade_no": "1409811653", "transaction_id": "1004400740201409030005092168", "total_fee": "1"}
    fields = (
        {"return_code": "SUCCESS", "result_code": "SUCCESS", "mch_id": MCHID, "nonce_str": "n"}
        | order
        | fields
    )
    return digests.document(fields | {"sign": digests.digest(fields, sign_with, secret)})


def refund(fields=REFUND, *, root="root", secret=digests.SECRET, **outer):
    """Give an APIv2 result of a refund."""
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    info = closed(f"<{root}>\n{inner}</{root}>".encode(), secret)
    shown = {"return_code": "SUCCESS", "appid": "wx1", "mch_id": MCHID, "nonce_str": "n", "req_info": info}
    return digests.document(shown | outer)


def closed(plaintext, secret=digests.SECRET):
    """Encrypt as AES-256-ECB with PKCS#7 under the hexadecimal MD5 of the secret, in base64."""
    padder = PKCS7(128).padder()
    padded = padder.update(plaintext) + padder.finalize()
    encryptor = Cipher(
        algorithms.AES256(hashlib.md5(secret.encode()).hexdigest().encode()), modes.ECB()
    ).encryptor()
    return b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def event(state="USER_PAID", **changes):
    """Give an APIv2 pay-score event, whose XML is encrypted with the APIv3 key."""
    fields = {
        "mch_id": MCHID,
        "algorithm": "HMAC-SHA256",
        "nonce_str": "n",
        "event_id": "e5c8a1d2",
        "event_create_time": "20180225112233",
        "event_type": "TRANSACTION.SUCCESS",
        "event_algorithm": "AEAD_AES_256_GCM",
        "event_nonce": "fdasflkja484",
        "event_associated_data": "payscore",
        "event_ciphertext": sealed(f"<xml><state>{state}</state></xml>".encode(), aad="payscore"),
    } | changes
    return digests.document(fields | {"sign": digests.digest(fields, "HMAC-SHA256")})
