"""APIv3's echo: it tests signatures, encryption and the callback path, and moves no money.

https://pay.weixin.qq.com/doc/v3/merchant/4013053249
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from wechatpay.sandbox.callbacks import CompleteResource
from wechatpay.sandbox.deliveries import Task
from wechatpay.sandbox.messages import HttpResponse
from wechatpay.sandbox.responses import encrypt

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.apiv3 import Call, Handler
    from wechatpay.sandbox.keys import Identity, Signers

__all__ = ["SecurityEcho"]

_ENCRYPTED = "encrypted_echo_message"


class SecurityEcho:
    """Handles the echo.

    Attributes:
        handlers: What handles the operation, by method and template.
    """

    def __init__(self, identity: Identity, signers: Signers, send: Callable[[Task], bool]) -> None:
        """Prepare.

        Args:
            identity: The merchant, whose key encrypts the response.
            signers: WeChat Pay's keys, which decrypt the request.
            send: Delivers a callback.
        """
        self._identity = identity
        self._signers = signers
        self._send = send
        self.handlers: dict[tuple[str, str], Handler] = {("POST", "v3/security/echo"): self._echo}

    def _echo(self, call: Call) -> HttpResponse:
        body = call.body
        message = {"echo_message": body["echo_message"]}
        encrypted: dict[str, str] = {}
        if body.get(_ENCRYPTED):
            serial = call.request.headers.get("Wechatpay-Serial", "")
            text = self._signers.decrypt(body[_ENCRYPTED], serial)
            encrypted[_ENCRYPTED] = encrypt(self._identity, text)
        if url := body.get("notify_url"):
            # The callback spells the member in another way.
            renamed = {"encrypt_echo_message": encrypted[_ENCRYPTED]} if encrypted else {}
            details: Any = {
                "id": f"EV-{secrets.token_hex(12)}",
                "summary": "回调通知成功",
                "associated_data": "",
            }
            self._send(Task("SECURITY_ECHO.SUCCESS", url, CompleteResource({**message, **renamed}), details))
        return HttpResponse.json({**message, **encrypted})
