"""Which events were handled: WeChat Pay delivers an event more than once, and it is handled once.

A handler remembers them in memory by default, for one process. ``store=SQLiteStore(path)`` is shared by the
processes of one machine, ``store=RedisStore(url)`` by machines. Any object with the methods of `ReplayStore`
works.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from wechatpay.errors import ConfigurationError
from wechatpay.process import PerProcess
from wechatpay.redis_server import RedisServer
from wechatpay.secret import conceal

if TYPE_CHECKING:
    import os
    import sqlite3
    from collections.abc import Callable, Iterator

    import redis

__all__ = ["MemoryStore", "RedisStore", "ReplayStore", "SQLiteStore"]

#: Seconds that an event is remembered: twice as long as WeChat Pay delivers it again.
_TTL = 172_800.0

#: Seconds to wait while another process writes to the file.
_BUSY_TIMEOUT = 5.0

#: Deletes an event of a Redis server only if it is claimed, and not completed.
_RELEASE = 'if redis.call("get", KEYS[1]) == "" then return redis.call("del", KEYS[1]) end return 0'


class ReplayStore(Protocol):
    """Remembers events for all processes that share it; methods may be coroutine functions.

    One caller claims an event, then completes or releases it. A claim that is neither completed nor released,
    because its process died, expires.
    """

    def claim(self, event: str, ttl: float, /) -> Any:
        """Claim an event in one atomic step.

        Args:
            event: The event's id.
            ttl: Seconds until the claim expires.

        Returns:
            ``True`` for the one caller that now holds the claim; ``False`` if the event is claimed or
            completed.
        """
        ...

    def complete(self, event: str, reply: bytes, /) -> Any:
        """Remember that an event was handled, and its reply, for at least two days."""
        ...

    def reply(self, event: str, /) -> Any:
        """Return the reply of a completed event as bytes; ``None`` for an event that is only claimed."""
        ...

    def release(self, event: str, /) -> Any:
        """End a claim, so that the next delivery is handled."""
        ...


class MemoryStore:
    """Remembers events in the memory of one process; safe for threads.

    A restart forgets them, and other processes do not see them: give several processes one shared store.
    """

    def __init__(
        self, size: int = 100_000, ttl: float = _TTL, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Make an empty store.

        Args:
            size: The most events, about 0.5 KiB each; beyond that the oldest is forgotten.
            ttl: Seconds that a completed event is remembered; two days by default.
            clock: Returns seconds.

        Raises:
            ConfigurationError: ``size`` is less than 1.
        """
        if size < 1:
            raise ConfigurationError("size: give at least 1")
        self._size = size
        self._ttl = ttl
        self._clock = clock
        self._lock = PerProcess(threading.Lock)
        #: When it expires, and the reply, or ``None`` while it is only claimed; ordered by when it was set.
        self._events: OrderedDict[str, tuple[float, bytes | None]] = OrderedDict()

    def claim(self, event: str, ttl: float, /) -> bool:
        """Claim an event, unless it is claimed or completed."""
        with self._lock.get():
            if self._current(event):
                return False
            self._set(event, ttl, None)
            return True

    def complete(self, event: str, reply: bytes, /) -> None:
        """Remember that an event was handled."""
        with self._lock.get():
            self._set(event, self._ttl, reply)

    def reply(self, event: str, /) -> bytes | None:
        """Return the reply of a completed event."""
        with self._lock.get():
            current = self._current(event)
            return current[1] if current else None

    def release(self, event: str, /) -> None:
        """End a claim; a completed event stays completed."""
        with self._lock.get():
            current = self._events.get(event)
            if current and current[1] is None:
                del self._events[event]

    def __len__(self) -> int:
        return len(self._events)

    def __repr__(self) -> str:
        return f"<MemoryStore {len(self)} of {self._size}>"

    def _current(self, event: str) -> tuple[float, bytes | None] | None:
        found = self._events.get(event)
        return found if found and found[0] > self._clock() else None

    def _set(self, event: str, ttl: float, reply: bytes | None) -> None:
        now = self._clock()
        self._events[event] = (now + ttl, reply)
        self._events.move_to_end(event)
        while self._events and (len(self._events) > self._size or self._oldest() <= now):
            self._events.popitem(last=False)

    def _oldest(self) -> float:
        return next(iter(self._events.values()))[0]


class SQLiteStore:
    """Remembers events in a file, for the processes of one machine; a restart forgets nothing.

    Threads and forked processes may share one: each step opens the file anew.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, ttl: float = _TTL, clock: Callable[[], float] = time.time
    ) -> None:
        """Open the file, or create it.

        Args:
            path: A file on a local disk, used for nothing else.
            ttl: Seconds that a completed event is remembered; two days by default.
            clock: Returns Unix seconds.

        Raises:
            ConfigurationError: The file cannot be written, or is not a database of SQLite.
        """
        self._path = str(Path(path).absolute())
        self._ttl = ttl
        self._clock = clock
        with self._open() as database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY, expires REAL, reply BLOB)"
            )
            database.execute("CREATE INDEX IF NOT EXISTS events_by_expiry ON events (expires)")
            # Writes to a file that exists, too: whether it can be written has to show now, not at a callback.
            database.execute("PRAGMA user_version = 1")

    def claim(self, event: str, ttl: float, /) -> bool:
        """Claim an event, unless it is claimed or completed.

        Raises:
            ConfigurationError: The file cannot be written.
        """
        now = self._clock()
        with self._open() as database:
            database.execute("DELETE FROM events WHERE expires <= ?", [now])
            row = [event, now + ttl]
            return database.execute("INSERT OR IGNORE INTO events VALUES (?, ?, NULL)", row).rowcount == 1

    def complete(self, event: str, reply: bytes, /) -> None:
        """Remember that an event was handled.

        Raises:
            ConfigurationError: The file cannot be written.
        """
        with self._open() as database:
            row = [event, self._clock() + self._ttl, reply]
            database.execute("INSERT OR REPLACE INTO events VALUES (?, ?, ?)", row)

    def reply(self, event: str, /) -> bytes | None:
        """Return the reply of a completed event.

        Raises:
            ConfigurationError: The file cannot be read.
        """
        with self._open() as database:
            chosen = "SELECT reply FROM events WHERE id = ? AND expires > ?"
            row = database.execute(chosen, [event, self._clock()]).fetchone()
            return row[0] if row else None

    def release(self, event: str, /) -> None:
        """End a claim; a completed event stays completed.

        Raises:
            ConfigurationError: The file cannot be written.
        """
        with self._open() as database:
            database.execute("DELETE FROM events WHERE id = ? AND reply IS NULL", [event])

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one transaction."""
        import sqlite3  # noqa: PLC0415  5 ms that most do not need

        try:
            database = sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT, isolation_level=None)
            with contextlib.closing(database):
                # Locked at once: a transaction that reads before it writes fails when another one writes.
                database.execute("BEGIN IMMEDIATE")
                yield database
                database.execute("COMMIT")
        except sqlite3.Error as error:
            raise ConfigurationError(
                f"store: {self._path!r}: {error}; give a file that this process can write and nothing else "
                "uses, in a directory that exists, on a local disk with free space"
            ) from None

    def __repr__(self) -> str:
        return f"<SQLiteStore {self._path}>"


class RedisStore:
    """Remembers events on a Redis server; needs ``pip install 'wechatpay-chainable[redis]'``.

    ::

        RedisStore("redis://:password@host:6379/0")
        RedisStore(client)                             # your own redis.Redis
    """

    @conceal
    def __init__(
        self, server: str | redis.Redis, *, prefix: str = "wechatpay:event:", ttl: float = _TTL
    ) -> None:
        """Choose the server; nothing is sent yet.

        Args:
            server: A URL (``redis://``, ``rediss://``, ``unix://``), or a blocking client (`ahandle` uses it
                on a thread).
            prefix: What the keys begin with, for merchants that share a server.
            ttl: Seconds that a completed event is remembered; two days by default.

        Raises:
            ConfigurationError: The library ``redis`` is not installed, or ``server`` is neither of these.
        """
        self._server = RedisServer(server, "RedisStore", "store", "WeChat Pay delivers the callback again")
        self._prefix = prefix
        self._ttl = ttl

    def claim(self, event: str, ttl: float, /) -> bool:
        """Claim an event, unless it is claimed or completed.

        Raises:
            ConnectError: The server does not respond.
        """
        with self._server.translate_errors():
            return bool(self._server.client.set(self._prefix + event, b"", nx=True, px=_milliseconds(ttl)))

    def complete(self, event: str, reply: bytes, /) -> None:
        """Remember that an event was handled.

        Raises:
            ConnectError: The server does not respond.
        """
        with self._server.translate_errors():
            self._server.client.set(self._prefix + event, reply, px=_milliseconds(self._ttl))

    def reply(self, event: str, /) -> bytes | None:
        """Return the reply of a completed event.

        Raises:
            ConnectError: The server does not respond.
        """
        with self._server.translate_errors():
            found = self._server.client.get(self._prefix + event)
        # A client of the caller's may decode what it gets.
        return (found.encode() if isinstance(found, str) else found) or None

    def release(self, event: str, /) -> None:
        """End a claim; a completed event stays completed.

        Raises:
            ConnectError: The server does not respond.
        """
        with self._server.translate_errors():
            self._server.client.eval(_RELEASE, 1, self._prefix + event)

    def __repr__(self) -> str:
        return f"<RedisStore {self._prefix}>"


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))
