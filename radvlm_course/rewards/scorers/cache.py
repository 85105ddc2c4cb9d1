"""A bounded cache on disk for the features of reference reports.

One SQLite file (the ``sqlite3`` module of the standard library), safe to share between processes, which forgets what
was used least recently once it has grown past its bound. Values are bytes that the scorer writes and reads itself;
nothing is unpickled, so a file from elsewhere cannot run code.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["DiskCache"]

_TABLE = """CREATE TABLE IF NOT EXISTS features (
    namespace TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, used REAL NOT NULL,
    PRIMARY KEY (namespace, key)) WITHOUT ROWID"""
_KEYS_AT_ONCE = 500


class DiskCache:
    """Features of texts in a file.

    Args:
        path: the file; made if it is not there, with its folder.
        namespace: what made the features: the model, its weights, its settings. Others' entries are not seen.
        max_bytes: bound on all values in the file, of all namespaces.

    Raises:
        OSError: the file cannot be opened or is no such cache; names it.
    """

    def __init__(self, path: str | os.PathLike[str], namespace: str, max_bytes: int = 2**30) -> None:
        self.path, self.namespace, self.max_bytes = Path(path), namespace, max_bytes
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        try:
            self._database = sqlite3.connect(self.path, timeout=60, check_same_thread=False, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.execute(_TABLE)
        except sqlite3.Error as error:
            raise OSError(
                f"cannot use {self.path} as a cache of features ({error}): remove it or name another"
            ) from error

    def get(self, texts: Iterable[str]) -> dict[str, bytes]:
        """The features that are there, by text."""
        keys = {_key(text): text for text in texts}
        found: dict[str, bytes] = {}
        with self._lock:
            for chunk in _chunks(list(keys)):
                places = ",".join("?" * len(chunk))
                where = f"WHERE namespace = ? AND key IN ({places})"
                rows = self._database.execute(f"SELECT key, value FROM features {where}", [self.namespace, *chunk])
                found.update((keys[key], value) for key, value in rows.fetchall())
                touched = [time.time(), self.namespace, *chunk]
                self._database.execute(f"UPDATE features SET used = ? {where}", touched)
        return found

    def put(self, features: Mapping[str, bytes]) -> None:
        """Keep features by text, and forget the least recently used beyond the bound."""
        now = time.time()
        rows = [(self.namespace, _key(text), value, now) for text, value in features.items()]
        with self._lock, self._database as transaction:
            transaction.execute("BEGIN IMMEDIATE")
            transaction.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?, ?)", rows)
            (size,) = transaction.execute("SELECT COALESCE(SUM(LENGTH(value)), 0) FROM features").fetchone()
            if size > self.max_bytes:
                transaction.execute(
                    "DELETE FROM features WHERE (namespace, key) IN (SELECT namespace, key FROM (SELECT namespace, key,"
                    " SUM(LENGTH(value)) OVER (ORDER BY used, key) AS total FROM features) WHERE total <= ?)",
                    [size - self.max_bytes],
                )

    def __len__(self) -> int:
        with self._lock:
            query = "SELECT COUNT(*) FROM features WHERE namespace = ?"
            count: int = self._database.execute(query, [self.namespace]).fetchone()[0]
        return count

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _chunks(keys: list[bytes]) -> Iterable[list[bytes]]:
    return (keys[start : start + _KEYS_AT_ONCE] for start in range(0, len(keys), _KEYS_AT_ONCE))
