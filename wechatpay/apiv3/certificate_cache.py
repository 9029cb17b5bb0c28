"""A directory in which worker processes share the last download of certificates.

A file holds the response as it was received: certificates encrypted under the APIv3 key, and the signature
with its time. A reader verifies it like a response, so that nobody else can put a certificate there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
from typing import TYPE_CHECKING

from wechatpay.apiv3.verification import SIGNATURE_HEADERS
from wechatpay.messages import Headers, Response
from wechatpay.private_files import FileLock, is_private, open_file, replace_file

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CertificateCache"]

_log = logging.getLogger("wechatpay")

#: Bytes of a file at most: ten times of what WeChat Pay ever offered.
_MAX_SIZE = 1 << 18

#: What others may do with the file is to read it: its certificates are encrypted.
_WRITABLE = stat.S_IWGRP | stat.S_IWOTH


class CertificateCache:
    """One merchant's file in the directory, and its lock file."""

    def __init__(self, directory: Path, name: str) -> None:
        """Choose the file; nothing is read or written yet.

        Args:
            directory: Created, with access for its owner only, at the first write.
            name: Distinguishes this merchant's file from others.
        """
        digest = hashlib.sha256(name.encode()).hexdigest()[:24]
        self._file = directory / f"certificates_{digest}.json"
        self._lock_file = directory / f"certificates_{digest}.lock"

    def read(self) -> Response | None:
        """Read the last response; ``None`` without one, or if another user may have written the file."""
        try:
            descriptor = open_file(self._file)
        except OSError:
            return None
        with open(descriptor, "rb") as file:  # noqa: PTH123  a descriptor, no path
            if not is_private(os.fstat(descriptor), _WRITABLE):
                _log.warning("%s belongs to another user, or is open to others: ignored", self._file)
                return None
            return _parse(file.read(_MAX_SIZE))

    def write(self, response: Response) -> None:
        """Replace the file by a response, atomically; failures are only logged."""
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(_render(response), self._file)
        except (OSError, UnicodeDecodeError) as error:
            _log.warning("the certificates could not be saved in %s: %s", self._file, type(error).__name__)

    def make_lock(self) -> FileLock:
        """Make a lock for `claim`."""
        return FileLock(self._lock_file)

    def claim(self, lock: FileLock) -> bool:
        """Try to become the one process that downloads, without waiting; ``lock.release()`` gives that up.

        Returns:
            ``False`` while another process has the lock; ``True`` also where there is nothing to lock.
        """
        try:
            self._lock_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return lock.acquire()
        except OSError:
            return True


def _render(response: Response) -> bytes:
    headers = {name: response.headers.get(name, "") for name in SIGNATURE_HEADERS}
    return json.dumps({"headers": headers, "body": response.content.decode()}).encode()


def _parse(text: bytes) -> Response | None:
    try:
        saved = json.loads(text)
        return Response(
            200,
            Headers({name: str(saved["headers"][name]) for name in SIGNATURE_HEADERS}),
            saved["body"].encode(),
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
