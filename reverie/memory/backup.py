"""Copies of a memory: a backup while it is written to, and a backup brought back.

Both are one thing, because a backup is a memory. The rows are copied from one snapshot with SQLite's online backup,
some pages at a time: a writer goes on, and what it commits meanwhile is not in the copy. Then come the key frames that
the copied rows name, as hard links where the file system can (a key frame is never written to again), else as copies.

All of it is made in a folder `.NAME.….part` beside the target, synced, and renamed into place. What stands there after
a crash may be deleted; its database has its name only once the rest is there, so it is no memory until it is whole.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from reverie.clock import Clock, SystemClock
from reverie.errors import MemoryDamaged, MemoryFull, MemoryStoreError, UsageError
from reverie.memory.copies import copies_of, note_copy
from reverie.memory.database import database_errors, open_database
from reverie.memory.encryption import Cipher, cipher_for
from reverie.memory.page_check import is_unreadable
from reverie.memory.picture_check import named_pictures, picture_tables
from reverie.memory.pictures import PictureFolder, sync
from reverie.memory.store import DATABASE, StoreConfig, check_version, make_folder, schema_of, write_marker

_UNFINISHED = DATABASE + ".part"
_PAGES_AT_A_TIME = 1024  # 4 MB
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReceipt:
    """What one copy holds.

    `linked` of the `pictures` share their bytes with the original. `missing` are named by rows, but were not there to
    be copied. `bytes_written` is what the copy takes on disk, links apart. `noted`: the original's list of copies names
    this one now; where it cannot be written to, it does not.
    """

    path: Path
    schema_version: int
    streams: int
    observations: int
    events: int
    pictures: int
    linked: int
    missing: int
    bytes_written: int
    noted: bool = False


def copy_memory(
    source: Path,
    target: Path,
    *,
    key: bytes | None = None,
    new_key: bytes | None = None,
    clock: Clock | None = None,
) -> BackupReceipt:
    """Copy the memory at `source` into `target`, which must not be there, or be empty.

    Args:
        source: the directory of a memory. It may be written to meanwhile, but not by this process with `new_key`.
        target: the directory of the copy.
        key: of an encrypted memory; its copy has the same one.
        new_key: makes an encrypted copy of a plain memory.
        clock: tells when the copy was made.

    Raises:
        MemoryKeyError: `source` has another key, or none.
        UsageError: `target` is there and not empty, or inside of `source`.
        MemoryStoreError: `source` is no memory.
        MemoryDamaged, MemoryTooNew: it cannot be read.
        MemoryFull: no space. In every case nothing was made.
    """
    source, target = source.resolve(), target.resolve()
    if not (source / DATABASE).is_file() or (source / DATABASE).stat().st_size == 0:
        raise MemoryStoreError(f"there is no memory at {source} to copy: name the directory of one")
    if target.is_relative_to(source):
        raise UsageError(f"{target} lies inside of the memory: choose another place")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} is there already: name a new directory, or an empty one")
    cipher = cipher_for(source, source / DATABASE, key)
    new_cipher = cipher if new_key is None else cipher_for(target, target / DATABASE, new_key)
    made_ns = (clock or SystemClock()).wall_ns()
    make_folder(target.parent)
    for _ in range(_ATTEMPTS):
        part = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
        shutil.copymode(source, part)
        try:
            receipt = _copy(source, part, target, cipher, new_cipher)
            if receipt is not None:
                _copy_list(source, part, made_ns, cipher, new_cipher)
                (part / _UNFINISHED).rename(part / DATABASE)
                sync(part)
                kind = "backup" if new_key is None else "encrypted copy"
                noted = note_copy(source, kind, target, made_ns, cipher)  # first: a crash misses none
                part.rename(target)
                sync(target.parent)
                return replace(receipt, noted=noted)
        except database_errors() as error:
            raise _translated(source, target, error) from error
        except OSError as error:
            raise _translated(source, target, error) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
    raise MemoryStoreError(f"something was forgotten from {source} during each of {_ATTEMPTS} tries: try again later")


def _copy(
    source: Path, part: Path, target: Path, cipher: Cipher | None, new_cipher: Cipher | None
) -> BackupReceipt | None:
    """Fill the folder; None when something was forgotten meanwhile, so that the rows tell of what has to be gone."""
    timeout_s = StoreConfig().busy_timeout_s
    version = schema_of(source / DATABASE, timeout_s, cipher)
    encrypts = new_cipher is not None and cipher is None
    check_version(source, version, older_too=True)
    with (
        closing(open_database(source / DATABASE, read_only=True, timeout_s=timeout_s, cipher=cipher)) as original,
        closing(open_database(part / _UNFINISHED, read_only=False, timeout_s=timeout_s, cipher=new_cipher)) as copy,
    ):
        copy_rows: Callable[[sqlite3.Connection, sqlite3.Connection], None] = _encrypt_rows if encrypts else _copy_rows
        copy_rows(original, copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file; the next writer turns the log on again
        (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise _damaged(source, verdict)
        counts = [
            copy.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("stream", "observation", "event")
        ]
        pictures = sorted(named_pictures(copy))
        copy_pictures = _encrypt_pictures if encrypts else _copy_pictures
        own, new = PictureFolder(source, cipher), PictureFolder(part, new_cipher)
        linked, copied, missing = copy_pictures(own, new, pictures, copy)
        erasures = "SELECT erasures FROM memory"
        if original.execute(erasures).fetchone() != copy.execute(erasures).fetchone():
            return None
    sync(part / _UNFINISHED)
    if new_cipher is not None:
        write_marker(part, new_cipher)
    for folder in {path.parent for path in part.rglob("*")} | {part}:
        sync(folder)
    return BackupReceipt(
        path=target, schema_version=version, streams=counts[0], observations=counts[1], events=counts[2],
        pictures=len(pictures) - missing, linked=linked, missing=missing,
        bytes_written=(part / _UNFINISHED).stat().st_size + copied,
    )  # fmt: skip


def _copy_rows(original: sqlite3.Connection, copy: sqlite3.Connection) -> None:
    original.execute("BEGIN")
    original.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # the snapshot is taken by the first read
    original.backup(copy, pages=_PAGES_AT_A_TIME)
    original.execute("COMMIT")


def _copy_list(source: Path, part: Path, made_ns: int, cipher: Cipher | None, new_cipher: Cipher | None) -> None:
    """The copy knows of all copies that the original does, and of the original."""
    for known in copies_of(source, cipher):
        note_copy(part, known.kind, Path(known.path) if known.path else None, known.made_ns, new_cipher)
    note_copy(part, "original", source, made_ns, new_cipher)


def _copy_pictures(
    source: PictureFolder, target: PictureFolder, names: list[str], copy: sqlite3.Connection
) -> tuple[int, int, int]:
    """(files linked, bytes copied, files that were not there)."""
    linked = copied = missing = 0
    for name in names:
        own, new = source.path_of(name), target.path_of(name)
        new.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(own, new)
            linked += 1
        except FileNotFoundError:
            missing += 1
        except OSError:  # another file system, or one without links
            shutil.copyfile(own, new)
            sync(new)
            copied += new.stat().st_size
    return linked, copied, missing


def _encrypt_rows(original: sqlite3.Connection, copy: sqlite3.Connection) -> None:
    """Into a database that SQLCipher opened with a key: it reads the plain one itself, in one transaction."""
    (path,) = (file for _, name, file in original.execute("PRAGMA database_list") if name == "main")
    copy.execute("PRAGMA auto_vacuum = INCREMENTAL")
    copy.execute("ATTACH DATABASE ? AS plain KEY ''", (Path(path).as_uri() + "?mode=ro",))
    copy.execute("BEGIN")
    copy.execute("SELECT sqlcipher_export('main', 'plain')").fetchall()
    for pragma in ("application_id", "user_version"):
        (value,) = copy.execute(f"PRAGMA plain.{pragma}").fetchone()
        copy.execute(f"PRAGMA main.{pragma} = {value}")
    copy.execute("COMMIT")
    copy.execute("DETACH DATABASE plain")


def _encrypt_pictures(
    source: PictureFolder, target: PictureFolder, names: list[str], copy: sqlite3.Connection
) -> tuple[int, int, int]:
    """Sealed under new names, which the rows take over."""
    missing = 0
    renamed: list[tuple[str | None, str]] = []
    for name in names:
        try:
            data = source.read(name)
        except FileNotFoundError:
            missing += 1
            renamed.append((None, name))
            continue
        target.write([(target.name_of(data), data)])
        renamed.append((target.name_of(data), name))
    for table in picture_tables(copy):
        copy.executemany(f"UPDATE {table} SET picture = ? WHERE picture = ?", renamed)
    return 0, target.num_bytes(), missing


def _translated(source: Path, target: Path, error: sqlite3.Error | OSError) -> MemoryStoreError:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
        return MemoryFull(f"no space left for a copy at {target}: nothing was made there")
    if not isinstance(error, OSError) and is_unreadable(error):
        return _damaged(source, str(error))
    return MemoryStoreError(f"the memory at {source} cannot be copied to {target}: {error}")


def _damaged(source: Path, cause: str) -> MemoryDamaged:
    return MemoryDamaged(f"{source / DATABASE} is damaged ({cause}): see what is left with reverie memory verify")
