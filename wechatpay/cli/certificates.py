"""The command ``wechatpay certificates``: download WeChat Pay's platform certificates into files."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from cryptography.hazmat.primitives.serialization import Encoding

from wechatpay.builder import Builder
from wechatpay.crypto import pem
from wechatpay.errors import ConfigurationError, CryptoError
from wechatpay.uri.hosts import DEFAULT_BASE_URI

if TYPE_CHECKING:
    from wechatpay.apiv3.keyring import PlatformKey

__all__ = ["certificates"]

#: The variable of each option, and what to ask for it.
_ASKED = {
    "key": ("WECHATPAY_APIV3_KEY", "APIv3 key (not shown)"),
    "mchid": ("WECHATPAY_MCHID", "Merchant id"),
    "privatekey": ("WECHATPAY_PRIVATE_KEY", "File of the merchant's private key"),
    "serialno": ("WECHATPAY_SERIAL", "Serial number of the merchant's certificate"),
}

#: Characters of a path that an error shows; a longer text may be a key.
_PATH_SIZE = 255


def certificates(  # noqa: PLR0913, PLR0917  the options of PHP's downloader
    key: Annotated[
        str,
        typer.Option(
            "-k",
            "--key",
            envvar="WECHATPAY_APIV3_KEY",
            help="The APIv3 key, 32 bytes. On the command line others can see it: better leave it out.",
            show_default=False,
        ),
    ] = "",
    mchid: Annotated[
        str,
        typer.Option("-m", "--mchid", envvar="WECHATPAY_MCHID", help="The merchant id.", show_default=False),
    ] = "",
    privatekey: Annotated[
        str,
        typer.Option(
            "-f",
            "--privatekey",
            envvar="WECHATPAY_PRIVATE_KEY",
            help="The file of the merchant's private key: apiclient_key.pem. The variable may hold the key.",
            show_default=False,
        ),
    ] = "",
    serialno: Annotated[
        str,
        typer.Option(
            "-s",
            "--serialno",
            envvar="WECHATPAY_SERIAL",
            help="The serial number of the merchant's certificate.",
            show_default=False,
        ),
    ] = "",
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", file_okay=False, help="The directory for the files; created if there is none."
        ),
    ] = Path(),
    baseuri: Annotated[
        str, typer.Option("-u", "--baseuri", envvar="WECHATPAY_BASE_URI", help="Where to ask.")
    ] = DEFAULT_BASE_URI,
) -> None:
    """Download WeChat Pay's platform certificates, and save each as wechatpay_SERIAL.pem.

    What is not given is read from the environment, or asked for. Only verified certificates are saved, and
    no file is replaced by another one. A merchant that has WeChat Pay's public key, too, sets
    WECHATPAY_PUBLIC_KEY_ID and WECHATPAY_PUBLIC_KEY.
    """
    given = {"key": key, "mchid": mchid, "privatekey": privatekey, "serialno": serialno}
    key, mchid, privatekey, serialno = _complete(given).values()
    _require_file(privatekey)
    settings: dict[str, Any] = {"serial": serialno, "private_key": privatekey, "apiv3_key": key}
    name, public_key = (os.environ.get(f"WECHATPAY_PUBLIC_KEY{end}") for end in ("_ID", ""))
    if name and public_key:
        settings["certs"] = {name: public_key}
    with Builder(mchid=mchid, base_uri=baseuri, **settings).getDriver() as driver:
        driver.platform.refresh()
        keys = [found for found in driver.platform.keys if found.certificate]
    output.mkdir(parents=True, exist_ok=True)
    for found in keys:
        _show(found, _save(found, output))


def _complete(given: dict[str, str]) -> dict[str, str]:
    """Ask for the options that are missing.

    Raises:
        ConfigurationError: There is no terminal to ask on.
    """
    missing = [name for name, value in given.items() if not value]
    if missing and not sys.stdin.isatty():
        options = ", ".join(f"--{name} ({_ASKED[name][0]})" for name in missing)
        raise ConfigurationError(f"missing: {options}; there is no terminal to ask for it")
    entered = {name: typer.prompt(_ASKED[name][1], hide_input=name == "key") for name in missing}
    return {**given, **entered}


def _require_file(source: str) -> None:
    """Check that the private key is a key in PEM, a URL, or an existing file."""
    if "-----BEGIN" in source or "://" in source:
        return
    if len(source) > _PATH_SIZE:
        raise ConfigurationError(
            f"--privatekey: {len(source)} characters that are neither PEM nor the path of a file"
        )
    if not os.path.isfile(os.path.expanduser(source)):  # noqa: PTH111, PTH113  a Path raises without a home
        raise ConfigurationError(f"--privatekey: no such file: {source!r}")


def _save(key: PlatformKey, folder: Path) -> Path:
    """Write a certificate, unless the file with it exists already."""
    path = folder.absolute() / f"wechatpay_{key.serial}.pem"
    text = key.certificate.public_bytes(Encoding.PEM) if key.certificate else b""
    try:
        with path.open("xb") as file:
            file.write(text)
    except FileExistsError:
        if not _holds(path, key):
            raise FileExistsError(f"{path} exists and is not this certificate: move it away first") from None
    return path


def _holds(path: Path, key: PlatformKey) -> bool:
    try:
        return pem.load_certificate(path) == key.certificate
    except CryptoError:
        return False


def _show(key: PlatformKey, path: Path) -> None:
    typer.echo(
        f"Serial number  {key.serial}\n"
        f"Valid          {key.not_before:%Y-%m-%d %H:%M:%S} to {key.not_after:%Y-%m-%d %H:%M:%S} UTC\n"
        f"Saved to       {path}\n"
    )
