"""The directory of a memory and its connections to SQLite.

    DIR/memory.sqlite        the only store of record (with -wal and -shm beside it while in use)
    DIR/memory.lock          held by the one writer (flock; the system frees it when the process dies)
    DIR/memory.encrypted     there if it is encrypted (see `encryption`)
    DIR/copies.jsonl         which copies were made of it
    DIR/pictures/ab/….jpg    key frames
    DIR/recalls              what searches found since the last consolidation (see `recalls`)

A write is one transaction, and with `durability="full"` it is on disk when it returns: rows, key frames, and the
folders that name them (a file is not there after a power cut until the folder that it was made in is synced too).
WAL lets readers of any process go on while one process writes; they copy out and close, so that the log can be reset.
`secure_delete` overwrites what is deleted with zeros, `auto_vacuum=INCREMENTAL` lets pages return to the
disk; both must be there from the first page on.

SQLite's error codes become ours: FULL (and I/O errors on a disk with no space) MemoryFull, CORRUPT and
NOTADB MemoryDamaged, BUSY and LOCKED MemoryLocked.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import IO, Literal

from pydantic import BaseModel, ConfigDict, Field

from reverie.errors import MemoryDamaged, MemoryFull, MemoryLocked, MemoryStoreError, MemoryTooNew, UsageError
from reverie.memory.database import database_errors, open_database
from reverie.memory.descriptors import head_of, let_go
from reverie.memory.encryption import MARKER, Cipher, cipher_for
from reverie.memory.page_gaps import zero_gaps
from reverie.memory.pictures import PictureFolder, sync
from reverie.memory.schema import APPLICATION_ID, SCHEMA_VERSION, migrate

DATABASE = "memory.sqlite"
LOCK = "memory.lock"
_MAGIC = b"SQLite format 3\0"
_RECLAIM_PAGES = 64  # freed in one step at least
_SPARE_BYTES = 1 << 20  # an I/O error on a disk with less than this free is taken for a full disk


class StoreConfig(BaseModel):
    """How a memory is kept on disk."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    durability: Literal["full", "normal"] = Field(
        "full", description="full: a write is on disk when it returns; normal: a power cut may lose the last writes."
    )
    busy_timeout_s: float = Field(5.0, gt=0, description="How long to wait for another process before MemoryLocked.")
    check_at_open_max_bytes: int = Field(
        32 << 20, ge=0, description="A writer checks the whole database when it opens one up to this size."
    )


class Store:
    """An open memory directory. `reader` sees what is committed; `writer` exists in mode "w" only.

    Raises:
        MemoryLocked: mode "w" and another process (or object) writes this memory.
        MemoryTooNew: its schema is newer than this code.
        MemoryDamaged: it is not a memory, or cannot be read. The file stays as it is.
        MemoryStoreError: mode "r" and there is no memory at `root`, or an older one that a writer must upgrade.
        MemoryFull: mode "w", and there is no space to create or upgrade it.
        MemoryKeyError: it is encrypted and `key` is not its key, or it is plain and there is one.
    """

    def __init__(self, root: Path, mode: Literal["r", "w"], config: StoreConfig, key: bytes | None = None) -> None:
        self.root, self.mode, self._config = root, mode, config
        self.path = root / DATABASE
        self.settled = True  # nothing deleted may still stand in the log
        self._lock: IO[bytes] | None = None
        self._connections: list[sqlite3.Connection] = []
        try:
            with self.errors():
                if mode == "w":
                    make_folder(root)
                    self._lock = _acquire(root / LOCK)
                self.cipher = cipher_for(root, self.path, key)
                self.pictures = PictureFolder(root, self.cipher)
                if mode == "w":
                    self._prepare()
                else:
                    require_schema(root, config, self.cipher)
                self.reader = self._connect(read_only=True)
        except BaseException:
            self.close()
            raise

    @property
    def writer(self) -> sqlite3.Connection:
        if self.mode != "w" or not self._connections:
            raise MemoryStoreError(f"the memory at {self.root} is not open for writing: open it with mode='w'")
        return self._connections[0]

    @contextmanager
    def transaction(self, synced: bool = False, undone: bool = False) -> Iterator[sqlite3.Connection]:
        """One atomic write: committed at the end, or undone whole.

        `synced`: on disk then whatever the durability, for a caller that deletes files once the rows are gone.
        `undone`: never committed, for a caller that wants to know what it would do; it takes RAM and no disk.
        """
        with self.errors():
            connection = self.writer
            if synced:
                connection.execute("PRAGMA synchronous = full")
            if undone:
                connection.execute("PRAGMA cache_spill = off")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("ROLLBACK" if undone else "COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            finally:
                if synced:
                    connection.execute(f"PRAGMA synchronous = {self._config.durability}")
                if undone:
                    connection.execute("PRAGMA cache_spill = on")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what SQLite and the file system raise into our errors."""
        try:
            yield
        except database_errors() as error:
            raise self._translated(error) from error
        except OverflowError as error:
            raise UsageError("a time beyond 292 years was asked for: times are nanoseconds of media time") from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise MemoryFull(self._full_message()) from error
            raise MemoryStoreError(f"the memory at {self.root} cannot be used: {error}") from error

    def num_database_bytes(self) -> int:
        """Size of the database as its last committed state has it, without the log."""
        (pages,) = self.writer.execute("PRAGMA page_count").fetchone()
        return int(pages) * self.page_bytes

    @cached_property
    def page_bytes(self) -> int:
        """Of the database; it never changes."""
        return int(self.writer.execute("PRAGMA page_size").fetchone()[0])

    def reclaim(self, patient: bool = True, erased: bool = False) -> bool:
        """Give deleted space back to the disk and empty the log. False when a reader held the log.

        `patient`: for the whole busy timeout; else it is not waited for. `erased`: no byte may be left of what was
        deleted, also where SQLite only moved it.
        """
        with self.errors():
            if not patient:
                self.writer.execute("PRAGMA busy_timeout = 0")
            try:
                self.settled = self._reclaim()
                if self.settled and erased and self.cipher is None:
                    self.writer.execute("PRAGMA shrink_memory")  # pages that it remembers would be written back
                    zero_gaps(self.path, self.page_bytes)
            finally:
                if not patient:
                    self.writer.execute(f"PRAGMA busy_timeout = {round(1000 * self._config.busy_timeout_s)}")
            return self.settled

    def _reclaim(self) -> bool:
        with self.errors():
            while True:
                (pages,) = self.writer.execute("PRAGMA page_count").fetchone()
                # In steps: what moves goes through the log, which must stay small beside the database.
                self.writer.executescript(f"PRAGMA incremental_vacuum({max(_RECLAIM_PAGES, pages // 256)})")
                if not self.checkpoint():
                    return False
                if not self.writer.execute("PRAGMA freelist_count").fetchone()[0]:
                    return True

    def checkpoint(self) -> bool:
        """Fold the log into the database and empty it. False when a reader held it for the whole busy timeout."""
        with self.errors():
            busy, _, _ = self.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy

    def close(self) -> None:
        """Close everything; a writer folds the log into the database first. Idempotent."""
        if self._connections and self.mode == "w":
            with suppress(OSError):
                self.pictures.settle()
        for connection in self._connections[::-1]:
            try:
                if self.mode == "w" and connection is self._connections[0]:
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            except database_errors():
                pass  # a full disk or a busy reader: the log stays, and the next open replays it
            finally:
                connection.close()
        self._connections = []
        let_go()
        if self._lock is not None:
            self._lock.close()  # frees the lock
            self._lock = None

    def _prepare(self) -> None:
        """Create, upgrade or accept the database, as writer."""
        fresh = not self.path.exists() or self.path.stat().st_size == 0
        version = 0 if fresh else schema_of(self.path, self._config.busy_timeout_s, self.cipher)
        check_version(self.root, version, older_too=True)
        connection = self._connect(read_only=False)
        if not fresh and self.path.stat().st_size <= self._config.check_at_open_max_bytes:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise MemoryDamaged(_damaged_message(self.path, verdict))
        migrate(connection)
        if self.cipher is not None:
            write_marker(self.root, self.cipher, anew=fresh)
        log = self.path.with_name(DATABASE + "-wal")
        self.reclaim(erased=log.exists() and log.stat().st_size > 0)  # what an erasure that was cut short left there

    def _connect(self, read_only: bool) -> sqlite3.Connection:
        connection = open_database(self.path, read_only, self._config.busy_timeout_s, self.cipher)
        self._connections.append(connection)
        connection.execute("PRAGMA temp_store = MEMORY")  # no text in temporary files
        if not read_only:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # takes hold in an empty database only
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {self._config.durability}")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA foreign_keys = ON")
        return connection

    def _translated(self, error: sqlite3.Error) -> MemoryStoreError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL or (
            code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and shutil.disk_usage(self.root).free < _SPARE_BYTES
        ):
            return MemoryFull(self._full_message())
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return MemoryDamaged(_damaged_message(self.path, str(error)))
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return MemoryLocked(f"the memory at {self.root} is in use by another process: try again later")
        return MemoryStoreError(f"the memory at {self.root} cannot be used: {error}")

    def _full_message(self) -> str:
        return f"no space left on the disk of {self.root}: free some, or forget something; what is there can be read"


def require_schema(root: Path, config: StoreConfig, cipher: Cipher | None) -> Path:
    """The database of a memory that this code can read as it is.

    Raises:
        MemoryStoreError: there is none, or an older one that a writer must upgrade.
        MemoryDamaged, MemoryTooNew: it is no memory, or a newer one.
    """
    path = root / DATABASE
    if not path.is_file() or path.stat().st_size == 0:
        raise MemoryStoreError(f"there is no memory at {root}: watch something into it first")
    check_version(root, schema_of(path, config.busy_timeout_s, cipher))
    return path


def check_version(root: Path, version: int, older_too: bool = False) -> None:
    """Refuse a schema that this code cannot read: a newer one, and an older one unless `older_too`."""
    if version > SCHEMA_VERSION:
        raise MemoryTooNew(
            f"the memory at {root} has schema {version}, and this reverie knows {SCHEMA_VERSION}: upgrade reverie"
        )
    if version < SCHEMA_VERSION and not older_too:
        raise MemoryStoreError(
            f"the memory at {root} has schema {version}, older than {SCHEMA_VERSION}: open it once for writing"
        )


def schema_of(path: Path, timeout_s: float, cipher: Cipher | None) -> int:
    """The schema version of a memory's database, found without changing a byte of it.

    Raises:
        MemoryDamaged: it is not an SQLite database, or another program's.
    """
    if cipher is None and head_of(path, len(_MAGIC)) != _MAGIC:
        raise MemoryDamaged(_damaged_message(path, "it is not an SQLite database"))
    connection = open_database(path, read_only=True, timeout_s=timeout_s, cipher=cipher)
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (num_tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    finally:
        connection.close()
    if application != APPLICATION_ID and (application or num_tables):
        raise MemoryDamaged(_damaged_message(path, "it is the database of another program"))
    return int(version)


def write_marker(root: Path, cipher: Cipher, anew: bool = False) -> None:
    """Say in the directory that it is encrypted, and what tells a wrong key; `anew`: also where it was said before."""
    path = root / MARKER
    if anew or not path.exists():
        part = path.with_suffix(".part")
        part.write_text(cipher.check + "\n")
        sync(part)
        part.rename(path)
        sync(root)


def make_folder(root: Path) -> None:
    """Make the folder of a memory, and sync the folders that name it and its new parents."""
    new = [folder for folder in (root, *root.parents) if not folder.exists()]
    root.mkdir(parents=True, exist_ok=True)
    # Without a database nothing was acknowledged yet, but one that was killed here may have made the folder unsynced.
    unsynced = new if new or (root / DATABASE).exists() else [root]
    for folder in unsynced:
        sync(folder.absolute().parent)


def _damaged_message(path: Path, cause: str) -> str:
    return f"{path} cannot be read ({cause}); it was left as it is: restore a copy, or start another memory"


def _acquire(path: Path) -> IO[bytes]:
    """Take the writer's lock, or raise MemoryLocked. The file itself stays: removing it would race."""
    file = open(path, "ab")  # noqa: SIM115  # held as long as the store is open
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        if error.errno in (errno.EACCES, errno.EAGAIN):
            message = f"the memory at {path.parent} is written already, by another process or this one: close it there"
            raise MemoryLocked(message) from error
        raise
    os.set_inheritable(file.fileno(), False)
    return file
