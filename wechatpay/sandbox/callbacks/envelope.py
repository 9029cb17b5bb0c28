"""APIv3's envelope: a resource, encrypted, with what it is about in plain sight.

https://pay.weixin.qq.com/doc/v3/merchant/4012791861
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.sandbox.callbacks.events import Event

__all__ = ["ALGORITHM", "lay_out", "sealed"]

ALGORITHM = "AEAD_AES_256_GCM"


def sealed(apiv3_key: str, plaintext: bytes, associated_data: str | None) -> dict[str, str]:
    """Encrypt under the APIv3 key, with all that it takes to decrypt.

    Args:
        apiv3_key: 32 characters.
        plaintext: What to encrypt.
        associated_data: What is authenticated beside it; ``None`` leaves it out.
    """
    nonce = secrets.token_hex(6)
    aad = (associated_data or "").encode()
    ciphertext = AESGCM(apiv3_key.encode()).encrypt(nonce.encode(), plaintext, aad)
    told = {} if associated_data is None else {"associated_data": associated_data}
    return {"algorithm": ALGORITHM, "ciphertext": b64encode(ciphertext).decode(), **told, "nonce": nonce}


def lay_out(event: Event, resource: dict[str, str], details: Mapping[str, Any]) -> dict[str, Any]:
    """Put the envelope around a resource that is encrypted.

    Args:
        event: What is told.
        resource: What `sealed` returned.
        details: ``id`` and ``create_time``, and whatever else comes in the place of the event's own.
    """
    return {
        "id": details["id"],
        "create_time": details["create_time"],
        "resource_type": "encrypt-resource",
        "event_type": event.name,
        "summary": details.get("summary", event.summary),
        "resource": {"original_type": details.get("original_type", event.original_type), **resource},
    }
