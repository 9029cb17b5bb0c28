"""A directory in which workers leave one another the last download.

What lies there is the answer as it came: certificates encrypted under the APIv3 key, signed with a time. Who
reads it proves it as if it had come over the wire, so that a file can claim nothing that WeChat Pay did not.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
import tempfile
from pathlib import Path

try:
    import fcntl
except ImportError:  # pragma: no cover  Windows has none
    fcntl = None  # type: ignore[assignment]

from wechatpay.apiv3.verification import HEADERS
from wechatpay.messages import Headers, Response

__all__ = ["DirectoryCache"]

_log = logging.getLogger("wechatpay")

#: Bytes of a file, at most: ten times what WeChat Pay ever offered.
_MOST = 1 << 18

#: Neither follow a link, nor wait for the other end of a pipe; Windows has neither.
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)

#: A claim where there is nothing to lock: each process downloads for itself.
_NOBODY = -1


class DirectoryCache:
    """One merchant's file in the directory, and the lock beside it."""

    def __init__(self, directory: Path, name: str) -> None:
        """Choose the file; nothing is read or written yet.

        Args:
            directory: Made, with access for its owner alone, when there is something to write.
            name: What tells this merchant's file from others.
        """
        digest = hashlib.sha256(name.encode()).hexdigest()[:24]
        self._file = directory / f"certificates_{digest}.json"
        self._lock = directory / f"certificates_{digest}.lock"

    def read(self) -> Response | None:
        """Read what was written, if it may be looked at: a file of ours that no other may write."""
        try:
            descriptor = os.open(self._file, os.O_RDONLY | _FLAGS)
        except OSError:
            return None
        with open(descriptor, "rb") as file:  # noqa: PTH123  a descriptor, no path
            if not _is_private(os.fstat(descriptor)):
                _log.warning("%s is another's, or open to others: ignored", self._file)
                return None
            return _parsed(file.read(_MOST))

    def write(self, response: Response) -> None:
        """Put an answer in place of the last one, whole or not at all; a full disk fails no call."""
        try:
            self._replace(_rendered(response))
        except (OSError, UnicodeDecodeError) as error:
            _log.warning("the certificates could not be kept in %s: %s", self._file, type(error).__name__)

    def _replace(self, text: bytes) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made with access for its owner alone.
        descriptor, part = tempfile.mkstemp(dir=self._file.parent, prefix=".certificates_")
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123  a descriptor, no path
                file.write(text)
            Path(part).replace(self._file)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise

    def claim(self) -> int | None:
        """Try to become the one process that downloads; never waits.

        Returns:
            What `release` takes, or ``None`` while another process has it.
        """
        if fcntl is None:
            return _NOBODY
        try:
            self._lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
        except OSError:
            return _NOBODY
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor

    @staticmethod
    def release(claim: int) -> None:
        """Let another process have it; one that dies lets go, too."""
        if fcntl is not None and claim != _NOBODY:
            # A child that was forked meanwhile holds the same claim: closing would not let go.
            fcntl.flock(claim, fcntl.LOCK_UN)
            os.close(claim)


def _is_private(status: os.stat_result) -> bool:
    return (
        stat.S_ISREG(status.st_mode)
        and (not hasattr(os, "geteuid") or status.st_uid == os.geteuid())
        and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


def _rendered(response: Response) -> bytes:
    headers = {name: response.headers.get(name, "") for name in HEADERS}
    return json.dumps({"headers": headers, "body": response.content.decode()}).encode()


def _parsed(text: bytes) -> Response | None:
    try:
        kept = json.loads(text)
        return Response(
            200, Headers({name: str(kept["headers"][name]) for name in HEADERS}), kept["body"].encode()
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
