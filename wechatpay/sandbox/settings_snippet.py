"""A running sandbox's settings as Python text, to paste into a REPL or another program."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from wechatpay.sandbox.sandbox import Sandbox


# ==== handout

_TEXT = """\
from wechatpay import Builder

keys = "{keys}"
instance = Builder(
    mchid="{mchid}",
    serial="{serial}",
    private_key=f"{{keys}}/{private_key}",
    certs={{
{certs}
    }},
    apiv3_key="{apiv3_key}",
    secret="{secret}",
    app={{"appid": "{appid}", "secret": "{app_secret}"}},
    merchant={{"cert": f"{{keys}}/{certificate}", "key": f"{{keys}}/{private_key}"}},
    base_uri="{base_uri}",
    proxies={{}},
)
# APIv2 with security=True wants TLS: base_uri="{tls_uri}", verify="{bundle}"
"""


def settings_snippet(sandbox: Sandbox, folder: Path) -> str:
    """Write the sandbox's keys to files, and make the text that builds a client with them.

    Args:
        sandbox: A running one.
        folder: A directory of the user's own; receives four files that only the user can read.
    """
    identity = sandbox.identity
    certs = [
        f'        "{serial}": f"{{keys}}/{_write(folder, _name(serial), pem)}",'
        for serial, pem in identity.certs.items()
    ]
    return _TEXT.format(
        keys=folder.as_uri(),
        mchid=identity.mchid,
        serial=identity.serial,
        private_key=_write(folder, "apiclient_key.pem", identity.private_key_pem),
        certs="\n".join(certs),
        apiv3_key=identity.apiv3_key,
        secret=identity.secret,
        appid=identity.app["appid"],
        app_secret=identity.app["secret"],
        certificate=_write(folder, "apiclient_cert.pem", identity.certificate),
        base_uri=sandbox.base_uri,
        tls_uri=sandbox.address.tls,
        bundle=sandbox.address.bundle,
    )


def _name(serial: str) -> str:
    return "pub_key.pem" if serial.startswith("PUB_KEY_ID_") else "wechatpay.pem"


def _write(folder: Path, name: str, pem: str) -> str:
    """Write a file that others cannot read, and return its name."""
    path = folder / name
    path.touch(mode=0o600)
    path.write_text(pem, encoding="ascii")
    return name
