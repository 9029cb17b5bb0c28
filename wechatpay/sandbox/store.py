"""Where the sandbox's state is: in tables, which are plain dictionaries, and on request also in SQLite.

Whatever must outlive the process is in a `Table` of the object that owns it. A `Store` finds the tables of
its owners, and after each transaction writes the entries that changed into one SQLite table, as JSON. A
process that is killed between two transactions loses nothing; within one, it loses exactly that one.

The same JSON is what :meth:`Sandbox.save` returns. No code is ever loaded from it: only dataclasses of this
package are made.
"""

from __future__ import annotations

import importlib
import json
import re
import sqlite3
import threading
from base64 import b64decode, b64encode
from collections import UserDict
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass
from decimal import Decimal
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from wechatpay.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

__all__ = ["Store", "Table"]

K = TypeVar("K")
T = TypeVar("T")
V = TypeVar("V")


class Table(UserDict[K, V]):
    """A dictionary whose changes a `Store` can write.

    Values must be immutable, or be assigned again after a change. They are JSON's types, tuples, sets, bytes
    and dataclasses of this package.
    """

    def __init__(self) -> None:
        super().__init__()
        # An order that expires is written by whoever reads it, maybe outside of any transaction.
        self._lock = threading.Lock()
        self._changed: set[K] = set()

    def __setitem__(self, key: K, value: V) -> None:
        self.data[key] = value
        self.mark(key)

    def __delitem__(self, key: K) -> None:
        del self.data[key]
        self.mark(key)

    def mark(self, *keys: K) -> None:
        """Note that entries changed."""
        with self._lock:
            self._changed.update(keys)

    def take_changes(self) -> set[K]:
        """Return the keys that changed since the last call."""
        with self._lock:
            changed, self._changed = self._changed, set()
        return changed


class Store:
    """The tables of a sandbox, and the file that keeps them; thread-safe."""

    def __init__(self, file: Path | str | None = None, committed: Callable[[], None] | None = None) -> None:
        """Begin without tables.

        Args:
            file: The SQLite database; ``None`` keeps the state in memory only.
            committed: Called after each transaction that changed something.
        """
        self._file = file
        self._committed = committed
        self._lock = threading.RLock()
        self._depth = 0
        self._tables: dict[str, Table[Any, Any]] = {}
        self._database: sqlite3.Connection | None = None
        self._was_open = False

    def add(self, name: str, owner: object) -> None:
        """Keep the tables among the attributes of ``owner``.

        Args:
            name: Names the owner in the file.
            owner: Whose tables.
        """
        for attribute, table in vars(owner).items():
            if isinstance(table, Table):
                self._tables[f"{name}.{attribute.strip('_')}"] = table

    def open(self) -> None:
        """Open the file, if there is one, and fill the tables from it; later on, write them to it again.

        Raises:
            ConfigurationError: It cannot be opened, another sandbox uses it, or it holds something else.
        """
        if self._file is None or self._database is not None:
            return
        with self._lock:
            database = _connect(self._file)
            try:
                rows = database.execute("SELECT name, key, value FROM state").fetchall()
                if rows and not self._was_open:
                    self._fill(rows)
                else:
                    everything = {name: set(table) for name, table in self._tables.items()}
                    self._write(database, everything, "DELETE FROM state")
            except BaseException:
                database.close()
                raise
            self._database, self._was_open = database, True

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep other threads out, and write what changed at the end.

        Raises:
            ConfigurationError: The file cannot be written; the next transaction tries it again.
        """
        with self._lock:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if not self._depth:
                    self._commit()

    def wrap(self, owner: T) -> T:
        """Return an object like ``owner`` whose methods run in transactions."""
        return cast("T", _Transactional(owner, self.transaction))

    def dump(self) -> dict[str, list[list[Any]]]:
        """Return all entries of all tables, as JSON has them."""
        with self._lock:
            return {
                name: [[encode(key), encode(value)] for key, value in table.items()]
                for name, table in self._tables.items()
            }

    def load(self, saved: Mapping[str, Any]) -> None:
        """Replace all entries by those that `dump` returned.

        Raises:
            ConfigurationError: It is not what `dump` returned for the same merchants.
        """
        if not isinstance(saved, Mapping):
            raise ConfigurationError(f"saved: give what save() returned, not {type(saved).__name__}")
        if unknown := set(map(str, saved)) - set(self._tables):
            raise ConfigurationError(
                f"saved: the sandbox has no {min(unknown)!r:.80}; use the same merchants"
            )
        if missing := set(self._tables) - set(saved):
            raise ConfigurationError(
                f"saved: {min(missing)!r} is missing; give all that save() returned, of the same merchants"
            )
        with self.transaction():
            try:
                decoded = {name: {decode(k): decode(v) for k, v in rows} for name, rows in saved.items()}
            except (ValueError, TypeError, AttributeError, KeyError):
                raise ConfigurationError("saved: it is not what save() returned") from None
            self.clear()
            for name, rows in decoded.items():
                self._tables[name].update(rows)

    def clear(self) -> None:
        """Delete all entries."""
        with self.transaction():
            for table in self._tables.values():
                table.clear()

    def close(self) -> None:
        """Close the file; the state stays in memory."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _fill(self, rows: list[tuple[str, str, str]]) -> None:
        try:
            decoded = [
                (name, decode(json.loads(key)), decode(json.loads(value))) for name, key, value in rows
            ]
        except (ValueError, TypeError, AttributeError, KeyError):
            raise ConfigurationError(f"db: {self._file} was written by another version; delete it") from None
        if unknown := {name for name, _, _ in rows} - set(self._tables):
            raise ConfigurationError(f"db: {self._file} has {min(unknown)!r:.80}; use the same merchants")
        for table in self._tables.values():
            table.clear()
        for name, key, value in decoded:
            self._tables[name][key] = value
        for table in self._tables.values():
            table.take_changes()

    def _commit(self) -> None:
        changes = {name: keys for name, table in self._tables.items() if (keys := table.take_changes())}
        if changes and self._database is not None:
            try:
                self._write(self._database, changes)
            except sqlite3.Error as error:
                for name, keys in changes.items():
                    self._tables[name].mark(*keys)
                with suppress(sqlite3.Error):
                    self._database.rollback()
                raise ConfigurationError(f"db: {self._file}: {error}") from None
        if changes and self._committed is not None:
            self._committed()

    def _write(
        self, database: sqlite3.Connection, changes: Mapping[str, set[Any]], first: str = "SELECT 1"
    ) -> None:
        kept, gone = [], []
        for name, keys in changes.items():
            table = self._tables[name]
            for key in keys:
                if key in table:
                    kept.append((name, _to_text(key), _to_text(table[key])))
                else:
                    gone.append((name, _to_text(key)))
        database.execute("BEGIN")
        database.execute(first)
        database.executemany("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", kept)
        database.executemany("DELETE FROM state WHERE name = ? AND key = ?", gone)
        database.execute("COMMIT")


class _Transactional:
    """Somebody's methods, each in a transaction."""

    def __init__(self, owner: object, transaction: Callable[[], AbstractContextManager[None]]) -> None:
        self._owner = owner
        self._transaction = transaction

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._owner, name)
        if not callable(found):
            return found

        @wraps(found)
        def call(*positional: Any, **named: Any) -> Any:
            with self._transaction():
                return found(*positional, **named)

        return call


def _connect(file: Path | str) -> sqlite3.Connection:
    # Transactions are the store's own; threads take turns by its lock.
    try:
        database = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=1)
    except sqlite3.Error as error:
        raise ConfigurationError(f"db: {file}: {error}") from None
    try:
        # Two sandboxes would overwrite each other's entries: the second one cannot open the file.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        # A killed process loses nothing; only a crash of the machine may lose the last transactions.
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute(
            "CREATE TABLE IF NOT EXISTS state (name TEXT, key TEXT, value TEXT, PRIMARY KEY (name, key))"
        )
    except sqlite3.Error as error:
        database.close()
        raise ConfigurationError(f"db: {file}: {error}") from None
    return database


def _to_text(value: Any) -> str:
    return json.dumps(encode(value), ensure_ascii=False, separators=(",", ":"))


#: Marks a value that JSON has no type for.
_KIND = "$"

_PACKAGE = "wechatpay.sandbox."
_NAME = re.compile(r"[a-z_0-9.]+\.[A-Za-z_]+")


def encode(value: Any) -> Any:  # noqa: PLR0911  one return a type
    """Return a value as JSON has it.

    Raises:
        TypeError: It has a type that tables do not keep.
    """
    if value is None or type(value) in {bool, int, float, str}:
        return value
    if type(value) is list:
        return [encode(item) for item in value]
    if type(value) is dict and _KIND not in value and all(type(key) is str for key in value):
        return {key: encode(item) for key, item in value.items()}
    kind = type(value).__name__
    if type(value) in {tuple, set, frozenset}:
        return {_KIND: kind, "v": [encode(item) for item in value]}
    if isinstance(value, bytes):
        return {_KIND: "bytes", "v": b64encode(value).decode()}
    if isinstance(value, Decimal):
        return {_KIND: "Decimal", "v": str(value)}
    if type(value) is dict:
        return {_KIND: "dict", "v": [[encode(key), encode(item)] for key, item in value.items()]}
    module = type(value).__module__
    if not module.startswith(_PACKAGE):
        raise TypeError(f"tables do not keep {kind}")
    name = f"{module.removeprefix(_PACKAGE)}.{kind}"
    if isinstance(value, dict):
        return {_KIND: name, "v": encode(dict(value))}
    return {_KIND: name, "v": {f.name: encode(getattr(value, f.name)) for f in fields(value) if f.init}}


def decode(value: Any) -> Any:
    """Return the value that `encode` returned this for.

    Raises:
        ValueError: It names a type that tables do not keep.
        TypeError: It lacks a member, or has one too many.
        AttributeError: The type does not exist any more.
    """
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if _KIND not in value:
        return {key: decode(item) for key, item in value.items()}
    kind, inner = value[_KIND], value["v"]
    plain: Mapping[str, Callable[[], Any]] = {
        "tuple": lambda: tuple(decode(inner)),
        "set": lambda: set(decode(inner)),
        "frozenset": lambda: frozenset(decode(inner)),
        "bytes": lambda: b64decode(inner),
        "Decimal": lambda: Decimal(inner),
        "dict": lambda: {decode(key): decode(item) for key, item in inner},
    }
    if kind in plain:
        return plain[kind]()
    found = _find(kind)
    content = decode(inner)
    return found(content) if issubclass(found, dict) else found(**content)


def _find(name: str) -> Any:
    """Return a dataclass, or a kind of dictionary, of this package."""
    if not _NAME.fullmatch(name):
        raise ValueError("unknown type")
    module, _, kind = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(_PACKAGE + module), kind)
    except ImportError:
        raise ValueError("unknown type") from None
    if not (isinstance(found, type) and (is_dataclass(found) or issubclass(found, dict))):
        raise ValueError("unknown type")
    return found
