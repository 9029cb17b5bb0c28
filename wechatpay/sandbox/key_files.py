"""Keys in files: those that a merchant has, as PEM, and all of them in one JSON file, to keep them.

A directory holds one subdirectory for each merchant. Only the user can read any of it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from wechatpay.errors import ConfigurationError
from wechatpay.private_files import replace_file
from wechatpay.sandbox.certificates import Authority
from wechatpay.sandbox.keys import Identity, PlatformSigner, load_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["keep_identities", "write_keys", "write_private"]

_FILE = "identity.json"


def keep_identities(folder: Path, mchids: Sequence[str]) -> list[Identity]:
    """Load the identities of merchants from a directory; make and keep those that are missing.

    Args:
        folder: The directory; made if it is missing.
        mchids: The merchants.

    Raises:
        ConfigurationError: The directory cannot be read or written, or a file in it is damaged.
    """
    found: list[Identity] = []
    try:
        for mchid in mchids:
            file = folder / mchid / _FILE
            if file.exists():
                identity = _load(json.loads(file.read_text(encoding="utf-8")))
            else:
                identity = Identity.generate(mchid, found[0].authority if found else None)
                write_private(file, json.dumps(_dump(identity), indent=1))
            write_keys(folder, identity)
            found.append(identity)
    except ConfigurationError:
        raise
    except OSError as error:
        raise ConfigurationError(f"keys: {folder}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AssertionError):
        raise ConfigurationError(f"keys: {file} is damaged; delete {file.parent} to make new keys") from None
    return found


def write_keys(folder: Path, identity: Identity) -> Path:
    """Write a merchant's keys as PEM files, as a merchant has them, and return their directory."""
    files = {
        "apiclient_key.pem": identity.private_key_pem,
        "apiclient_cert.pem": identity.certificate,
        "authority.pem": identity.authority.pem,
        **{name_key(signer): signer.published for signer in identity.signers},
    }
    for name, pem in files.items():
        write_private(folder / identity.mchid / name, pem)
    return folder / identity.mchid


def name_key(signer: PlatformSigner) -> str:
    """Return the name of the file with one of WeChat Pay's keys."""
    return "wechatpay.pem" if signer.is_certificate else "pub_key.pem"


def write_private(file: Path, text: str) -> None:
    """Write a file that nobody else can read, and its directory."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(text.encode(), file)


def _dump(identity: Identity) -> dict[str, Any]:
    return {
        "mchid": identity.mchid,
        "serial": identity.serial,
        "private_key": identity.private_key_pem,
        "certificate": identity.certificate,
        "signers": [
            {"serial": signer.serial, "published": signer.published, "key": signer.key_pem}
            for signer in identity.signers
        ],
        "secret": identity.secret,
        "apiv3_key": identity.apiv3_key,
        "app": dict(identity.app),
        "authority": {"certificate": identity.authority.pem, "key": identity.authority.key_pem},
    }


def _load(kept: dict[str, Any]) -> Identity:
    return Identity(
        mchid=kept["mchid"],
        serial=kept["serial"],
        private_key=load_key(kept["private_key"]),
        signers=tuple(PlatformSigner.load(**signer) for signer in kept["signers"]),
        secret=kept["secret"],
        apiv3_key=kept["apiv3_key"],
        app=kept["app"],
        authority=Authority.load(**kept["authority"]),
        certificate=kept["certificate"],
    )
