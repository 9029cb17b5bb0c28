"""The open platform's answers: JSON, with an ``errcode`` where something is wrong, and status 200.

https://developers.weixin.qq.com/doc/offiaccount/Getting_Started/Global_Return_Code.html
"""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from typing import Any

from wechatpay.messages import Headers
from wechatpay.sandbox.answer import Answer

__all__ = ["RefusalError", "answer", "code", "refused"]

#: As it stands in the platform's own answers.
_TYPE = Headers({"Content-Type": "application/json; encoding=utf-8"})


class RefusalError(Exception):
    """A request that the platform refuses: its ``errcode`` and ``errmsg``."""


def answer(value: Any, status: int = 200) -> Answer:
    """Make an answer."""
    made = Answer.json(value, status)
    return replace(made, headers=made.headers.with_(_TYPE))


def refused(code: int, message: str, status: int = 200) -> Answer:
    """Make an error answer; also errors come with 200."""
    return answer({"errcode": code, "errmsg": f"{message} rid: {secrets.token_hex(4)}"}, status)


def code(answer: Answer) -> str:
    """Return the ``errcode`` of an answer that was made here, or ``""``."""
    try:
        return str(json.loads(answer.body)["errcode"] or "")
    except (ValueError, KeyError, TypeError):
        return ""
