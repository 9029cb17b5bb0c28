"""A running sandbox's settings for other programs: JSON, environment variables, and code to paste."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wechatpay.sandbox.key_files import name_key, write_keys

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wechatpay.sandbox.keys import Identity
    from wechatpay.sandbox.sandbox import Sandbox

__all__ = ["LANGUAGES", "PREFIX", "environment", "settings_json", "settings_snippet"]

#: Where the admin API is.
PREFIX = "/_sandbox/"

_PYTHON = """\
from wechatpay import Builder

keys = "{keys_uri}"
instance = Builder(
    mchid="{mchid}",
    serial="{serial}",
    private_key=f"{{keys}}/apiclient_key.pem",
    certs={{
{certs}
    }},
    apiv3_key="{apiv3_key}",
    secret="{secret}",
    app={{
        "appid": "{appid}",
        "secret": "{app_secret}",
    }},
    merchant={{
        "cert": f"{{keys}}/apiclient_cert.pem",
        "key": f"{{keys}}/apiclient_key.pem",
    }},
    base_uri="{base_uri}",
    proxies={{}},
    check=True,
)
# APIv2 with security=True wants TLS:
# base_uri="{tls_uri}", verify=f"{{keys}}/authority.pem"
"""

_PHP = """\
use WeChatPay\\Builder;
use WeChatPay\\Crypto\\Rsa;

$keys = '{keys}';
$instance = Builder::factory([
    'mchid' => '{mchid}',
    'serial' => '{serial}',
    'privateKey' => Rsa::from("file://$keys/apiclient_key.pem"),
    'certs' => [
{certs}
    ],
    'secret' => '{secret}',
    'merchant' => [
        'cert' => "$keys/apiclient_cert.pem",
        'key' => "$keys/apiclient_key.pem",
    ],
    'base_uri' => '{base_uri}',
]);
// APIv2 with 'security' wants TLS:
// 'base_uri' => '{tls_uri}', 'verify' => "$keys/authority.pem"
"""

_CURL = """\
keys='{keys}'
mchid={mchid}
serial={serial}
method=POST path=/v3/pay/transactions/native
body='{{"appid": "{appid}", "mchid": "'$mchid'",
 "description": "tea", "out_trade_no": "'CURL-$(date +%s)'",
 "notify_url": "http://127.0.0.1:8000/notify", "amount": {{"total": 100}}}}'
time=$(date +%s) nonce=$(openssl rand -hex 16)
sign=$(printf '%s\\n' "$method" "$path" "$time" "$nonce" "$body" |
  openssl dgst -sha256 -sign "$keys/apiclient_key.pem" |
  openssl base64 -A)
auth="mchid=\\"$mchid\\",serial_no=\\"$serial\\",nonce_str=\\"$nonce\\""
auth="$auth,timestamp=\\"$time\\",signature=\\"$sign\\""
curl -i -X "$method" "{base_uri}${{path#/}}" \\
  -H "Authorization: WECHATPAY2-SHA256-RSA2048 $auth" \\
  -H 'Accept: application/json' -H 'Content-Type: application/json' \\
  ${{body:+--data-raw "$body"}}
"""

#: The text, and how it writes one of WeChat Pay's keys.
_SNIPPETS = {
    "python": (_PYTHON, '        "{serial}": f"{{keys}}/{name}",'),
    "php": (
        _PHP,
        (
            "        '{serial}' => Rsa::from(\n"
            '            "file://$keys/{name}", Rsa::KEY_TYPE_PUBLIC\n'
            "        ),"
        ),
    ),
    "curl": (_CURL, ""),
}

LANGUAGES = tuple(_SNIPPETS)


def settings_snippet(sandbox: Sandbox, folder: Path, language: str = "python") -> str:
    """Write the sandbox's keys to files, and return code that uses them.

    No line has more than 80 columns unless the directory's name is long.

    Args:
        sandbox: A running one.
        folder: A directory of the user's own; receives files that only the user can read.
        language: ``python``, ``php`` or ``curl``.
    """
    identity = sandbox.identity
    keys = write_keys(folder, identity)
    text, cert = _SNIPPETS[language]
    certs = [cert.format(serial=signer.serial, name=name_key(signer)) for signer in identity.signers]
    return text.format(
        keys=keys,
        keys_uri=keys.as_uri(),
        mchid=identity.mchid,
        serial=identity.serial,
        certs="\n".join(certs),
        apiv3_key=identity.apiv3_key,
        secret=identity.secret,
        appid=identity.app["appid"],
        app_secret=identity.app["secret"],
        base_uri=sandbox.base_uri,
        tls_uri=sandbox.address.tls,
    )


def settings_json(sandbox: Sandbox) -> dict[str, Any]:
    """Return the settings as JSON has them, for clients in any language; keys are PEM.

    With several merchants, ``merchants`` has the settings of all of them by ``mchid``.

    Args:
        sandbox: A running one.
    """
    settings = {mchid: _describe(sandbox, merchant.identity) for mchid, merchant in sandbox.merchants.items()}
    first = settings[sandbox.identity.mchid]
    return {**first, "merchants": settings} if len(settings) > 1 else first


def _describe(sandbox: Sandbox, identity: Identity) -> dict[str, Any]:
    return {
        "base_uri": sandbox.base_uri,
        "mchid": identity.mchid,
        "serial": identity.serial,
        "private_key": identity.private_key_pem,
        "certs": dict(identity.certs),
        "apiv3_key": identity.apiv3_key,
        "secret": identity.secret,
        "merchant": {"cert": identity.certificate, "key": identity.private_key_pem},
        "app": dict(identity.app),
        "tls": {
            "base_uri": sandbox.address.tls,
            "ca": identity.authority.pem,
            "ca_file": str(sandbox.address.bundle),
        },
        "admin": f"{sandbox.base_uri.rstrip('/')}{PREFIX}",
    }


def environment(sandbox: Sandbox, folder: Path) -> Mapping[str, str]:
    """Write the sandbox's keys to files, and return the settings as environment variables.

    Each value is one line without quotes, as every reader of such files takes it: keys are ``file://`` URLs.

    Args:
        sandbox: A running one.
        folder: A directory of the user's own; receives files that only the user can read.
    """
    identity = sandbox.identity
    keys = write_keys(folder, identity).as_uri()
    public = next((signer for signer in identity.signers if not signer.is_certificate), None)
    certificate = next((signer for signer in identity.signers if signer.is_certificate), None)
    values = {
        "BASE_URI": sandbox.base_uri,
        "MCHID": identity.mchid,
        "SERIAL": identity.serial,
        "PRIVATE_KEY": f"{keys}/apiclient_key.pem",
        "PUBLIC_KEY_ID": public.serial if public else "",
        "PUBLIC_KEY": f"{keys}/{name_key(public)}" if public else "",
        "PLATFORM_SERIAL": certificate.serial if certificate else "",
        "PLATFORM_CERTIFICATE": f"{keys}/{name_key(certificate)}" if certificate else "",
        "APIV3_KEY": identity.apiv3_key,
        "SECRET": identity.secret,
        "MERCHANT_CERT": f"{keys}/apiclient_cert.pem",
        "MERCHANT_KEY": f"{keys}/apiclient_key.pem",
        "APPID": identity.app["appid"],
        "APP_SECRET": identity.app["secret"],
        "TLS_BASE_URI": sandbox.address.tls,
        "TLS_CA": f"{keys}/authority.pem",
        "ADMIN": f"{sandbox.base_uri.rstrip('/')}{PREFIX}",
    }
    return {f"WECHATPAY_{name}": value for name, value in values.items() if value}
