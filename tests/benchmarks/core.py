"""The core's own part of a call: chain, request, checks, stack, verification; no RSA, no transport."""

from __future__ import annotations

import json
import secrets
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wechatpay
from wechatpay import middleware
from wechatpay.apiv3.signing import Signer
from wechatpay.messages import Headers, Response
from wechatpay.options import Arguments
from wechatpay.transports import preflight

from .blocking import OPENID, builder, target
from .material import MCHID, MERCHANT_SERIAL, PLATFORM_SERIAL

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from wechatpay.messages import Request

    from .material import Material

__all__ = ["core", "count_calls", "written"]

_PACKAGE = str(Path(wechatpay.__file__).parent)
_SIGNATURE = "QUJD" * 86
_NOW = 1_800_000_000.0
_RESPONSE = {
    "Content-Type": "application/json",
    "Wechatpay-Timestamp": f"{int(_NOW)}",
    "Wechatpay-Nonce": "n" * 32,
    "Wechatpay-Serial": PLATFORM_SERIAL,
    "Wechatpay-Signature": _SIGNATURE,
}
_BODY = json.dumps({"state": "OK", "text": "x" * 480}).encode()


def core(base: str, material: Material) -> Callable[[], Any]:
    """Make a call that ends where a transport would begin, with signatures that cost nothing."""
    instance = builder(base, material, clock=lambda: _NOW)
    driver = instance.getDriver()
    settings = driver._settings
    merchant = settings.merchant
    key = merchant.platform.get(PLATFORM_SERIAL)
    free = replace(key.suite, sign=lambda *_: _SIGNATURE, verify=lambda *_: True)
    object.__setattr__(key, "suite", free)
    merchant.platform._suite = free
    driver.select().stack.replace("signer", Signer(merchant, settings.clock, settings.nonce))

    def perform(request: Request) -> Response:
        """Check a request as the transports do, and return the same response each time."""
        preflight(request, settings)
        return Response(200, Headers(_RESPONSE), _BODY)

    query = {"appid": "wx8888888888888888", "plan_id": "12535"}

    def call() -> Any:
        node = instance.v3.eduPapay.user._openid_.contracts
        arguments = Arguments((None, {"openid": OPENID, "query": query}))
        _, flow = driver._begin("GET", node._path, arguments)
        return middleware.run(flow, perform).json()

    return call


def written() -> Callable[[], Any]:
    """Make the same part of a hand-written call: texts to sign and to verify, headers, JSON."""

    def call() -> Any:
        path = target(512)
        nonce = secrets.token_hex(16)
        text = f"GET\n{path}\n{int(_NOW)}\n{nonce}\n\n".encode()
        headers = {
            "Accept": "application/json",
            "Authorization": f'WECHATPAY2-SHA256-RSA2048 mchid="{MCHID}",nonce_str="{nonce}",'
            f'signature="{_SIGNATURE}",timestamp="{int(_NOW)}",serial_no="{MERCHANT_SERIAL}"',
        }
        signed = (
            f"{_RESPONSE['Wechatpay-Timestamp']}\n{_RESPONSE['Wechatpay-Nonce']}\n".encode() + _BODY + b"\n"
        )
        if abs(_NOW - int(_RESPONSE["Wechatpay-Timestamp"])) > 300 or not (text and headers and signed):
            raise ValueError("stale")
        return json.loads(_BODY)

    return call


def count_calls(call: Callable[[], object]) -> int:
    """Count the calls of Python functions of ours that one call makes."""
    calls = 0

    def profile(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code.co_filename.startswith(_PACKAGE)

    call()
    sys.setprofile(profile)
    call()
    sys.setprofile(None)
    return calls
