"""Why a download failed, in words that say what to do; the caller's own request never left."""

from __future__ import annotations

import copy

from wechatpay.errors import APIError, ConfigurationError, ConnectError, ServerError, WeChatPayError

__all__ = ["explained"]

#: What a merchant without platform certificates is answered with.
_PUBLIC_KEY_MODE = (403, 404, 500)


def explained(error: Exception) -> WeChatPayError:
    """Make the error that calls fail with while there is no key to be had."""
    if isinstance(error, APIError):
        if error.status_code in _PUBLIC_KEY_MODE:
            return _public_key_mode(error)
        if not isinstance(error, ServerError) and not error.retryable:
            return copy.copy(error)
    if isinstance(error, ConfigurationError):
        return copy.copy(error)
    # Another's error, such as a remote signer's, may say what must not be shown.
    ours = isinstance(error, WeChatPayError)
    return ConnectError(
        "nothing was sent: WeChat Pay's certificates, without which no answer can be verified, could not be "
        f"downloaded ({error if ours else type(error).__name__})",
        request=getattr(error, "request", None) if ours else None,
        response=getattr(error, "response", None) if ours else None,
    )


def _public_key_mode(error: APIError) -> ConfigurationError:
    code = f" {error.code}" if error.code else ""
    return ConfigurationError(
        "nothing was sent: WeChat Pay offers no platform certificates to this merchant "
        f"({error.status_code}{code}), as to every merchant in public-key mode: download the public key "
        "(微信支付公钥) and its id from the merchant console (账户中心 → API安全) and configure "
        "certs={'PUB_KEY_ID_…': 'file:///path/to/pub_key.pem'}",
        request=error.request,
        response=error.response,
    )
