"""Faults between WeChat Pay and a merchant.

For responses, :meth:`Sandbox.inject`::

    sandbox.inject(faults.WrongSignature())                                   # the next request
    sandbox.inject(faults.RateLimit(), times=3)                               # the next three
    sandbox.inject(faults.Reset(), path="v2/secapi/pay/refund")               # the next one there
    sandbox.inject(faults.ErrorResponse(502), probability=0.1, times=None)    # every tenth, by the seed

A request can also ask for one in its header ``Wechatpay-Sandbox-Fault``, such as ``Reset`` or
``ErrorResponse; status=429; code=FREQUENCY_LIMITED``.

Faults of connections and error responses have ``executed``: they come before or after the request is
executed. After ``Reset(executed=True)`` the money has moved and the response is lost.

Faults apply to all protocols, except those of signatures, which the open platform does not have, and those of
signature headers, which wait for a request of APIv3.

For callbacks, pass one to :meth:`Sandbox.notify` or :meth:`wechatpay.testing.Platform.notification`, such as
``fault=faults.OldTimestamp(365 * 86400)``. Faults of signatures apply to callbacks as well; those of
connections and error responses do not; `NoResource`, `NotUtf8`, `OtherCipher` and `Reencoded` apply to
callbacks only.
"""

from __future__ import annotations

from wechatpay.sandbox.faults.callbacks import NoResource, NotUtf8, OtherCipher, Reencoded
from wechatpay.sandbox.faults.fault import Fault
from wechatpay.sandbox.faults.responses import (
    Delay,
    ErrorResponse,
    Hang,
    HtmlPage,
    RateLimit,
    Redirect,
    Reset,
    SlowBody,
    TruncatedBody,
)
from wechatpay.sandbox.faults.signatures import (
    KeyRotation,
    MissingHeader,
    OldTimestamp,
    Probe,
    TamperedBody,
    UnknownSerial,
    Unsigned,
    WrongSignature,
)

__all__ = [
    "Delay",
    "ErrorResponse",
    "Fault",
    "Hang",
    "HtmlPage",
    "KeyRotation",
    "MissingHeader",
    "NoResource",
    "NotUtf8",
    "OldTimestamp",
    "OtherCipher",
    "Probe",
    "RateLimit",
    "Redirect",
    "Reencoded",
    "Reset",
    "SlowBody",
    "TamperedBody",
    "TruncatedBody",
    "UnknownSerial",
    "Unsigned",
    "WrongSignature",
]
