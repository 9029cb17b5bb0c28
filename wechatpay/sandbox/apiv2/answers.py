"""APIv2's answers, in its own words.

https://pay.weixin.qq.com/wiki/doc/api/jsapi.php?chapter=4_2
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from wechatpay.messages import Headers
from wechatpay.sandbox.answer import Answer
from wechatpay.sandbox.apiv2 import document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.sandbox.catalogue import Breach

__all__ = ["breached", "failure", "no_certificate", "no_encryption", "refused", "success"]

_ECHOED = ("appid", "mch_id", "sub_appid", "sub_mch_id", "device_info")

#: What the machine in front of WeChat Pay answers.
_NO_CERTIFICATE = (
    "<html>\r\n<head><title>400 No required SSL certificate was sent</title></head>\r\n<body>\r\n"
    "<center><h1>400 Bad Request</h1></center>\r\n<center>No required SSL certificate was sent</center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


def success(asked: Mapping[str, str], result: Mapping[str, str | int]) -> Answer:
    """Answer what was asked for.

    Args:
        asked: The fields of the request.
        result: What comes of it.
    """
    return _answer({**_head(asked), "result_code": "SUCCESS", **result})


def failure(asked: Mapping[str, str], code: str, words: str) -> Answer:
    """Say that the request was understood, and why it is not carried out.

    Args:
        asked: The fields of the request.
        code: ``err_code``.
        words: ``err_code_des``.
    """
    return _answer({**_head(asked), "result_code": "FAIL", "err_code": code, "err_code_des": words})


def breached(asked: Mapping[str, str], breach: Breach) -> Answer:
    """Refuse a field that breaks a rule."""
    if breach.value is None:
        return failure(asked, "LACK_PARAMS", f"缺少参数{breach.name}：{breach.rule}")
    return failure(asked, "PARAM_ERROR", f"参数{breach.name}错误：{breach.rule}")


def refused(words: str, *, status: int = 200, **more: str) -> Answer:
    """Refuse a request before anything else is looked at; such answers are not signed.

    Args:
        words: ``return_msg``.
        status: HTTP status.
        more: Further fields.
    """
    return _answer({"return_code": "FAIL", "return_msg": words, **more}, status)


def no_certificate() -> Answer:
    """Refuse a connection without the merchant certificate: a page, as WeChat Pay answers."""
    return Answer(400, _NO_CERTIFICATE.encode(), Headers({"Content-Type": "text/html"}))


def no_encryption() -> Answer:
    """Say that plain HTTP, which WeChat Pay does not speak at all, cannot carry the certificate."""
    return refused(
        "No required SSL certificate was sent: plain HTTP carries none; "
        "take the settings from sandbox.settings(tls=True)",
        status=400,
    )


def _head(asked: Mapping[str, str]) -> dict[str, str | int]:
    echoed = {name: asked[name] for name in _ECHOED if asked.get(name)}
    return {
        "return_code": "SUCCESS",
        "return_msg": "OK",
        **echoed,
        "nonce_str": secrets.token_hex(8),
    }


def _answer(fields: Mapping[str, str | int], status: int = 200) -> Answer:
    return Answer(status, document.write(fields), Headers({"Content-Type": "text/xml; charset=utf-8"}))
