"""Where access tokens are kept, so that threads, processes and machines share one.

A Builder keeps them in memory by default. ``tokens=FileTokens(path)`` shares them between the processes of
one machine, ``tokens=RedisTokens(url)`` between machines. Any object with the methods of `TokenStore` works.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import stat
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from wechatpay.errors import ConfigurationError
from wechatpay.private_files import FileLock, is_private, open_file, replace_file
from wechatpay.process import PerProcess
from wechatpay.redis_server import RedisServer
from wechatpay.secret import Secret, conceal

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

__all__ = ["LOCK_TTL", "FileTokens", "MemoryTokens", "RedisTokens", "Token", "TokenStore"]

#: Seconds after which a lock that nobody released expires: more than a token request may take.
LOCK_TTL = 30.0

#: Deletes a lock only if it has the given owner. https://redis.io/docs/latest/commands/set/#patterns
_RELEASE = 'if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) end return 0'

#: Maximum size of a token file in bytes: tokens of a thousand apps.
_MAX_FILE_SIZE = 1 << 20

#: Permissions that a token file must not have.
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Token:
    """An access token.

    Attributes:
        value: The token itself.
        good_until: Unix seconds after which it is no longer used, shortly before it expires.
    """

    value: str = field(repr=False)
    good_until: float


class TokenStore(Protocol):
    """Keeps one token and one lock per key.

    The methods may block: asynchronous calls run them on threads. They are called from any thread and in
    forked processes. A key is ASCII text made of an appid and a host.
    """

    def get(self, key: str) -> Token | None:
        """Return the token, even an expired one, or ``None``."""

    def put(self, key: str, token: Token) -> None:
        """Replace the token."""

    def acquire(self, key: str, owner: str) -> bool:
        """Lock ``key`` for ``owner`` without waiting.

        The lock of a process that died must expire by itself, within about a minute.

        Args:
            key: What to lock.
            owner: A random text that identifies this attempt.

        Returns:
            ``True`` if ``owner`` has the lock now, ``False`` while another owner has it.
        """

    def release(self, key: str, owner: str) -> None:
        """Unlock ``key`` if ``owner`` has the lock; leave another owner's lock alone."""


class MemoryTokens:
    """Keeps tokens in memory; the default. Builders that are given the same object share its tokens."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._locks = PerProcess(_MemoryLocks)

    def get(self, key: str) -> Token | None:
        """Return the token, or ``None``."""
        return self._tokens.get(key)

    def put(self, key: str, token: Token) -> None:
        """Replace the token."""
        self._tokens[key] = token

    def acquire(self, key: str, owner: str) -> bool:
        """Lock ``key`` for ``owner``, unless another owner has it; the lock expires after 30 s."""
        locks, now = self._locks.get(), time.monotonic()
        with locks.mutex:
            if locks.held.get(key, ("", now))[1] > now:
                return False
            locks.held[key] = (owner, now + LOCK_TTL)
            return True

    def release(self, key: str, owner: str) -> None:
        """Unlock ``key`` if ``owner`` has the lock."""
        locks = self._locks.get()
        with locks.mutex:
            if locks.held.get(key, ("", 0.0))[0] == owner:
                del locks.held[key]

    def __repr__(self) -> str:
        return "<MemoryTokens>"


class _MemoryLocks:
    """Owner and expiry time of each lock; a forked child starts without any."""

    def __init__(self) -> None:
        self.mutex = threading.Lock()
        self.held: dict[str, tuple[str, float]] = {}


class FileTokens:
    """Keeps tokens in a file that only its owner may read, with a lock file beside it.

    The file is replaced as a whole, so that readers never see half of it. The operating system releases the
    lock when its holder ends. (Windows and some network file systems have no such lock: there, two processes
    may request a token at once.)
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Choose the file; it is created by the first `put`.

        Args:
            path: A file used for nothing else, in a directory that exists.

        Raises:
            ConfigurationError: The path is a directory, or its directory does not exist.
        """
        self._path = Path(path).absolute()
        if self._path.is_dir() or not self._path.parent.is_dir():
            raise ConfigurationError(f"tokens: {str(path)!r} must be a file in a directory that exists")
        self._locks: PerProcess[dict[str, FileLock]] = PerProcess(dict)

    def get(self, key: str) -> Token | None:
        """Read the token, or ``None``.

        Raises:
            ConfigurationError: The file cannot be read, other users may read or write it, or it is not a file
                of tokens.
        """
        return self._read().pass_to(_find, key)

    def put(self, key: str, token: Token) -> None:
        """Replace the token; tokens of other keys stay.

        Raises:
            ConfigurationError: The file cannot be read or written.
        """
        text = self._read().pass_to(_render, key, token)
        with self._name_file_in_errors():
            text.pass_to(replace_file, self._path)

    def acquire(self, key: str, owner: str) -> bool:  # noqa: ARG002  one lock for the whole file
        """Lock the file for ``owner``, unless another owner has it.

        Raises:
            ConfigurationError: The lock file cannot be opened.
        """
        lock = FileLock(self._path.with_name(f"{self._path.name}.lock"))
        with self._name_file_in_errors():
            is_ours = lock.acquire()
        if is_ours:
            self._locks.get()[owner] = lock
        return is_ours

    def release(self, key: str, owner: str) -> None:  # noqa: ARG002  one lock for the whole file
        """Unlock the file if ``owner`` has the lock."""
        if lock := self._locks.get().pop(owner, None):
            lock.release()

    def _read(self) -> Secret[dict[str, Any]]:
        with self._name_file_in_errors():
            try:
                descriptor = open_file(self._path)
            except FileNotFoundError:
                return Secret({})
            with open(descriptor, "rb") as file:  # noqa: PTH123  a descriptor, no path
                if not is_private(os.fstat(descriptor), _OTHERS, of_any_owner=True):
                    raise ConfigurationError(
                        f"tokens: {str(self._path)!r} must be a file that only its owner can read: chmod 600"
                    )
                text = Secret(file.read(_MAX_FILE_SIZE))
        tokens = Secret(text.pass_to(_parse) if text.reveal() else {})
        if not isinstance(tokens.reveal(), dict):
            raise ConfigurationError(
                f"tokens: {str(self._path)!r} is not a file of tokens: give another path, or delete it"
            )
        return tokens

    @contextlib.contextmanager
    def _name_file_in_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConfigurationError(f"tokens: {str(self._path)!r}: {error.strerror}") from None

    def __repr__(self) -> str:
        return f"<FileTokens {self._path}>"


class RedisTokens:
    """Keeps tokens on a Redis server; needs ``pip install 'wechatpay-chainable[redis]'``.

    ::

        RedisTokens("redis://:password@host:6379/0")
        RedisTokens(client)                             # your own redis.Redis
    """

    @conceal
    def __init__(self, server: str | redis.Redis, *, prefix: str = "wechatpay:token:") -> None:
        """Choose the server; nothing is sent yet.

        Args:
            server: A URL (``redis://``, ``rediss://``, ``unix://``), or a blocking client (asynchronous calls
                use it on a thread).
            prefix: What the keys begin with, for deployments that share a server.

        Raises:
            ConfigurationError: The library ``redis`` is not installed, or ``server`` is neither of these.
        """
        self._server = RedisServer(server, "RedisTokens", "tokens", "no request was sent to WeChat")
        self._prefix = prefix

    def get(self, key: str) -> Token | None:
        """Fetch the token, or ``None``.

        Raises:
            ConnectError: The server does not respond.
        """
        with self._server.translate_errors():
            text = Secret(self._server.client.get(self._prefix + key))
        return Secret(text.pass_to(_parse)).pass_to(_decode)

    def put(self, key: str, token: Token) -> None:
        """Replace the token; the server deletes it when it is no longer good.

        Raises:
            ConnectError: The server does not respond.
        """
        seconds = math.ceil(token.good_until - time.time())
        with self._server.translate_errors():
            Secret(json.dumps(_encode(token))).pass_to(self._set, key, max(1, seconds))

    def _set(self, text: str, key: str, seconds: int) -> None:
        self._server.client.set(self._prefix + key, text, ex=seconds)

    def acquire(self, key: str, owner: str) -> bool:
        """Lock ``key`` for ``owner``, unless another owner has it; the lock expires after 30 s.

        Raises:
            ConnectError: The server does not respond.
        """
        with self._server.translate_errors():
            return bool(
                self._server.client.set(f"{self._prefix}{key}:lock", owner, nx=True, px=int(LOCK_TTL * 1000))
            )

    def release(self, key: str, owner: str) -> None:
        """Unlock ``key`` if ``owner`` has the lock.

        Raises:
            ConnectError: The server does not respond.
        """
        with self._server.translate_errors():
            self._server.client.eval(_RELEASE, 1, f"{self._prefix}{key}:lock", owner)

    def __repr__(self) -> str:
        return f"<RedisTokens {self._prefix}>"


def _find(tokens: dict[str, Any], key: str) -> Token | None:
    return _decode(tokens.get(key))


def _render(tokens: dict[str, Any], key: str, token: Token) -> Secret[bytes]:
    """Write the text of a file with these tokens, ``token`` among them."""
    return Secret(json.dumps(tokens | {key: _encode(token)}).encode())


def _encode(token: Token) -> dict[str, Any]:
    return {"access_token": token.value, "good_until": token.good_until}


def _decode(stored: Any) -> Token | None:
    """Read what `_encode` wrote; ``None`` for anything else."""
    match stored:
        case {"access_token": str() as value, "good_until": (int() | float()) as until}:
            return Token(value, float(until)) if value and math.isfinite(until) else None
    return None


def _parse(text: str | bytes | None) -> Any:
    """Parse JSON; ``None`` for anything else."""
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None
