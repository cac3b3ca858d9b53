"""Texts and metadata of the documents that are held, in SQLite: memory is for points, the disk is for what they say.

Rows are named by (id, key of the point), so that every target set shares them. A row whose document is no longer held
stays until no kept checkpoint can ask for it: a restart may go back to the older of two checkpoints and replay from
there, and a replay does not bring back what the checkpoint held already.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Final

import msgpack

from tsds_stream.lock import LockedError, WriterLock
from tsds_stream.records import Json
from tsds_stream.sqlite_errors import means_damage, reason

FORMAT: Final = 1
_PAGE: Final = 4096
_CHUNK: Final = 10_000  # rows between two moments at which other threads may use the store
_CRC: Final = 4  # bytes in front of a body
_GRACE: Final = 2  # checkpoints that are kept
_SCHEMA: Final = """
CREATE TABLE payloads (id TEXT NOT NULL, key BLOB NOT NULL, body BLOB NOT NULL, released INTEGER, UNIQUE (id, key));
CREATE TABLE about (format INTEGER NOT NULL, generation TEXT NOT NULL, syncs INTEGER NOT NULL);
CREATE INDEX released ON payloads (released) WHERE released IS NOT NULL;
"""


class PayloadError(Exception):
    """The store cannot take or give payloads; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Payload:
    """What a selected document is published with.

    Attributes:
        id, key: of the document, and of its point (16 bytes).
        timestamp: event time in milliseconds since the epoch.
        source: where it was read.
    """

    id: str
    key: bytes
    text: str | None = None
    meta: Json = field(default_factory=dict)
    tokens: int | None = None
    timestamp: int | None = None
    source: Json = field(default_factory=dict)


class PayloadStore:
    """One SQLite file with one writer; its methods may be called from several threads.

    Args:
        path: of the database; directory and file are made if need be.
        max_bytes: of the database file; `put` fails beyond. None: as much as the disk has.
        read_only: another process writes; `get` and the counts work.

    Attributes:
        generation: changes when the store is begun anew.
        damage: a sentence when a damaged database was found and moved aside, else None.

    Raises:
        PayloadError: the database cannot be opened, belongs to a newer version, or has another writer.
    """

    def __init__(self, path: Path | str, *, max_bytes: int | None = None, read_only: bool = False) -> None:
        self.path = Path(path)
        self.damage: str | None = None
        self._lock = threading.RLock()
        self._max_bytes = max_bytes
        self._collected: int | None = None  # the checkpoint of the last whole collection
        self._resources = ExitStack()
        if read_only and not self.path.exists():
            raise PayloadError(f"{self.path} does not exist: nothing has been stored there yet.")
        with self._explained("open"):
            if not read_only:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                lock = WriterLock(self.path.with_name(f"{self.path.name}.lock"), str(self.path))
                self._resources.callback(lock.close)
            try:
                self.damage = None if read_only else self._set_aside_if_damaged()
                self._db = _connect(self.path, read_only)
                self._resources.callback(self._db.close)
                self.generation = self._begin(read_only)
            except BaseException:
                self.close()
                raise

    def put(self, rows: Iterable[Payload]) -> None:
        """Store payloads; one that is there is replaced. They survive a crash of the machine after the next `sync`,
        and a crash of the process at once.

        Raises:
            PayloadError: the limit is reached, or the disk is full; nothing of the call is stored.
        """
        with self._explained("store payloads"), self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT INTO payloads (id, key, body) VALUES (?, ?, ?) "
                "ON CONFLICT (id, key) DO UPDATE SET body = excluded.body, released = NULL",
                ((row.id, row.key, _pack(row)) for row in rows),
            )

    def get(self, pairs: Iterable[tuple[str, bytes]]) -> list[Payload | None]:
        """The payloads of (id, key) pairs, in their order; None where there is none.

        Raises:
            PayloadError: a row is damaged.
        """
        with self._explained("read payloads"), self._lock:
            execute = self._db.execute
            found = [
                (name, key, execute("SELECT body FROM payloads WHERE id = ? AND key = ?", (name, key)).fetchone())
                for name, key in pairs
            ]
        return [None if row is None else self._unpack(name, key, row[0]) for name, key, row in found]

    def sync(self) -> Json:
        """Return when everything that was put is on stable storage. Called before a checkpoint is written.

        Returns:
            A mark for the meta of the checkpoint; `lacks` tells later whether the store still has all that it had.
        """
        with self._explained("sync payloads"), self._lock:
            # A commit in mode FULL syncs the log, and with it all commits before.
            self._db.execute("PRAGMA synchronous = FULL")
            try:
                self._db.execute("UPDATE about SET syncs = syncs + 1")
            finally:
                self._db.execute("PRAGMA synchronous = NORMAL")
            return {"generation": self.generation, "syncs": self._one("SELECT syncs FROM about")}

    def lacks(self, mark: Json) -> str | None:
        """Why a checkpoint with this `mark` cannot be used: its texts are gone. None: they are here."""
        if mark.get("generation") != self.generation:
            return f"its texts were in another {self.path.name}, which is not there any more."
        if int(mark["syncs"]) > self._one("SELECT syncs FROM about"):
            return f"{self.path.name} has lost texts that were stored before it."
        return None

    def collect(self, held: Iterable[tuple[str, bytes]], checkpoint: int) -> int:
        """Let go of rows that nobody holds; returns how many were deleted.

        Rows that are not held are marked with `checkpoint`. Those that have stayed unheld for two checkpoints are
        deleted: the mark n says that the row was unheld at some moment before checkpoint n + 1 was taken, so neither
        checkpoint n + 1 nor n + 2 refers to it, and once n + 2 is saved those are the two that are kept. All marks are
        forgotten when a checkpoint was left out: after a restart, which may have gone back to an older one, and after
        a collection that failed.

        Args:
            held: every (id, key) that any target set holds, taken at any moment between the snapshot of the
                checkpoint and that of the next one.
            checkpoint: number of the checkpoint that was just saved.
        """
        with self._explained("collect payloads"):
            try:
                self._note_held(held)
                if self._collected != checkpoint - 1:
                    with self._lock:
                        self._db.execute("UPDATE payloads SET released = NULL WHERE released IS NOT NULL")
                self._collected = None
                last = self._one("SELECT coalesce(max(rowid), 0) FROM payloads")
                for start in range(0, last, _CHUNK):
                    self._mark(start, start + _CHUNK, checkpoint)
                deleted = self._delete(checkpoint - _GRACE)
                self._collected = checkpoint
                return deleted
            finally:
                with self._lock:
                    self._db.execute("DROP TABLE IF EXISTS temp.held")

    def _note_held(self, held: Iterable[tuple[str, bytes]]) -> None:
        with self._lock:
            self._db.execute("DROP TABLE IF EXISTS temp.held")
            self._db.execute("CREATE TEMP TABLE held (id TEXT, key BLOB, PRIMARY KEY (id, key)) WITHOUT ROWID")
        pairs = iter(held)
        while part := list(islice(pairs, _CHUNK)):
            with self._lock, self._db:
                self._db.execute("BEGIN")
                self._db.executemany("INSERT OR IGNORE INTO temp.held VALUES (?, ?)", part)

    def _mark(self, above: int, last: int, checkpoint: int) -> None:
        is_held = "EXISTS (SELECT 1 FROM temp.held AS h WHERE h.id = payloads.id AND h.key = payloads.key)"
        where = "WHERE rowid > ? AND rowid <= ?"
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(
                f"UPDATE payloads SET released = NULL {where} AND released IS NOT NULL AND {is_held}", (above, last)
            )
            self._db.execute(
                f"UPDATE payloads SET released = ? {where} AND released IS NULL AND NOT {is_held}",
                (checkpoint, above, last),
            )

    def _delete(self, up_to: int) -> int:
        deleted = 0
        while True:
            with self._lock:
                gone = self._db.execute(
                    "DELETE FROM payloads WHERE rowid IN (SELECT rowid FROM payloads WHERE released <= ? LIMIT ?)",
                    (up_to, _CHUNK),
                ).rowcount
            deleted += gone
            if gone < _CHUNK:
                return deleted

    def __len__(self) -> int:
        """Rows, with those that wait to be deleted."""
        return self._one("SELECT count(*) FROM payloads")

    @property
    def size(self) -> int:
        """Bytes of the database that are in use; the log beside it is not counted."""
        pages = self._one("PRAGMA page_count") - self._one("PRAGMA freelist_count")
        return pages * _PAGE

    def close(self) -> None:
        """Close the database; a second call does nothing."""
        with self._lock:
            self._resources.close()

    def __enter__(self) -> PayloadStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _one(self, query: str) -> int:
        with self._lock:
            return int(self._db.execute(query).fetchone()[0])

    def _begin(self, read_only: bool) -> str:
        db = self._db
        if not read_only:
            db.execute(f"PRAGMA page_size = {_PAGE}")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            if self._max_bytes is not None:
                db.execute(f"PRAGMA max_page_count = {max(16, self._max_bytes // _PAGE)}")
            if not _tables(db):
                with db:
                    db.execute("BEGIN IMMEDIATE")
                    for statement in _SCHEMA.strip().split("\n"):
                        db.execute(statement)
                    db.execute("INSERT INTO about VALUES (?, ?, 0)", (FORMAT, secrets.token_hex(8)))
        found, generation = db.execute("SELECT format, generation FROM about").fetchone()
        if found != FORMAT:
            raise PayloadError(
                f"{self.path} has format {found}, and this version reads {FORMAT}. Use the version that wrote it, or "
                "move the file away: the stream is then read again."
            )
        return str(generation)

    def _set_aside_if_damaged(self) -> str | None:
        if not self.path.exists():
            return None
        what = _damage_of(self.path)
        if what is None:
            return None
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.damaged-{number}")).exists():
            number += 1
        for suffix in ("-wal", "-shm", ""):
            part = self.path.with_name(self.path.name + suffix)
            if part.exists():
                part.replace(aside.with_name(aside.name + suffix))
        return f"{self.path} was damaged ({what}) and is now {aside.name}. The stream is read again to fill a new one."

    def _unpack(self, name: str, key: bytes, body: bytes) -> Payload:
        if zlib.crc32(body[_CRC:]) != int.from_bytes(body[:_CRC], "little"):
            raise PayloadError(
                f"{self.path} holds a damaged text of document {name!r}. Move the file away and start again: the "
                "stream is then read again."
            )
        return Payload(name, key, **msgpack.unpackb(body[_CRC:], strict_map_key=False))

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """Turn what SQLite says into a sentence."""
        try:
            yield
        except sqlite3.Error as error:
            raise PayloadError(f"Could not {doing}: {reason(error, self.path, self._max_bytes)}") from error
        except LockedError as error:
            raise PayloadError(str(error)) from error
        except OSError as error:
            raise PayloadError(f"Could not {doing}: {error}. See to the disk of {self.path.parent}.") from error


def _pack(row: Payload) -> bytes:
    body: bytes = msgpack.packb(
        {
            "text": row.text,
            "meta": row.meta,
            "tokens": row.tokens,
            "timestamp": row.timestamp,
            "source": row.source,
        }
    )
    return zlib.crc32(body).to_bytes(_CRC, "little") + body


def _connect(path: Path, read_only: bool) -> sqlite3.Connection:
    mode = "ro" if read_only else "rwc"
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=5.0, isolation_level=None, check_same_thread=False)


def _tables(db: sqlite3.Connection) -> Sequence[str]:
    return [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]


def _damage_of(path: Path) -> str | None:
    """What is wrong with the structure of a database, or None. Its texts have checksums of their own."""
    db = _connect(path, read_only=False)
    try:
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            return str(verdict)
        tables = _tables(db)
        if tables and not {"payloads", "about"} <= set(tables):
            return "it has other tables"
        if tables and db.execute("SELECT count(*) FROM about").fetchone() != (1,):
            return "it does not say what it is"
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and not means_damage(error):
            raise
        return str(error)
    finally:
        db.close()
    return None
