"""TLS on loopback: the server's side, and the file by which clients believe it."""

from __future__ import annotations

import secrets
import shutil
import ssl
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from wechatpay.errors import ConfigurationError

if TYPE_CHECKING:
    from wechatpay.sandbox.keys.authority import Authority

__all__ = ["TLS"]


class TLS:
    """A server's TLS settings, which take client certificates of the authority, but ask for none.

    Attributes:
        context: For the server.
        bundle: Path of the authority's certificate, in a directory that only this user can read.
    """

    def __init__(self, authority: Authority) -> None:
        """Make the server's key, and the directory.

        Raises:
            ConfigurationError: There is no place for temporary files.
        """
        try:
            folder = Path(tempfile.mkdtemp(prefix="wechatpay-sandbox-"))
            self._removed = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            self.bundle = folder / "authority.pem"
            self.bundle.write_text(authority.pem, encoding="ascii")
            self.context = _context(authority, folder)
        except OSError as error:
            raise ConfigurationError(
                f"the sandbox needs a directory for temporary files; set TMPDIR ({error.strerror})"
            ) from None

    def close(self) -> None:
        """Remove the directory."""
        self._removed()


def _context(authority: Authority, folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=authority.pem)
    # As at WeChat Pay, whether a certificate must be there is a matter of the path.
    context.verify_mode = ssl.CERT_OPTIONAL
    # The ssl module takes paths only: the key goes to the disk encrypted, and is gone at once.
    passphrase = secrets.token_bytes(32).hex()
    file = folder / "server.pem"
    file.write_bytes(authority.server(passphrase.encode()))
    context.load_cert_chain(file, password=passphrase)
    file.unlink()
    return context
