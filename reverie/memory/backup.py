"""Copies of a memory: a backup while it is written to, and a backup brought back.

Both are one thing, because a backup is a memory. The rows are copied from one snapshot with SQLite's online backup,
some pages at a time: a writer goes on, and what it commits meanwhile is not in the copy. Then come the key frames that
the copied rows name, as hard links where the file system can (a key frame is never written to again), else as copies.

All of it is made in a folder `.NAME.….part` beside the target, synced, and renamed into place. What stands there after
a crash is no backup and may be deleted.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from reverie.errors import MemoryDamaged, MemoryFull, MemoryStoreError, UsageError
from reverie.memory.page_check import is_unreadable
from reverie.memory.picture_check import named_pictures
from reverie.memory.pictures import PictureFolder, sync
from reverie.memory.store import DATABASE, StoreConfig, check_version, make_folder, open_database, schema_of

_PAGES_AT_A_TIME = 1024  # 4 MB
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReceipt:
    """What one copy holds.

    `linked` of the `pictures` share their bytes with the original. `missing` are named by rows, but were not there to
    be copied. `bytes_written` is what the copy takes on disk, links apart.
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


def copy_memory(source: Path, target: Path) -> BackupReceipt:
    """Copy the memory at `source` into `target`, which must not be there, or be empty.

    Raises:
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
    make_folder(target.parent)
    for _ in range(_ATTEMPTS):
        part = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
        shutil.copymode(source, part)
        try:
            receipt = _copy(source, part, target)
            if receipt is not None:
                part.rename(target)
                sync(target.parent)
                return receipt
        except (sqlite3.Error, OSError) as error:
            raise _translated(source, target, error) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
    raise MemoryStoreError(f"something was forgotten from {source} during each of {_ATTEMPTS} tries: try again later")


def _copy(source: Path, part: Path, target: Path) -> BackupReceipt | None:
    """Fill the folder; None when something was forgotten meanwhile, so that the rows tell of what has to be gone."""
    timeout_s = StoreConfig().busy_timeout_s
    version = schema_of(source / DATABASE, timeout_s)
    check_version(source, version, older_too=True)
    with (
        closing(open_database(source / DATABASE, read_only=True, timeout_s=timeout_s)) as original,
        closing(open_database(part / DATABASE, read_only=False, timeout_s=timeout_s)) as copy,
    ):
        original.execute("BEGIN")
        original.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # the snapshot is taken by the first read
        original.backup(copy, pages=_PAGES_AT_A_TIME)
        original.execute("COMMIT")
        copy.execute("PRAGMA journal_mode = DELETE")  # one file; the next writer turns the log on again
        (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise _damaged(source, verdict)
        counts = [
            copy.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("stream", "observation", "event")
        ]
        pictures = sorted(named_pictures(copy))
        linked, copied, missing = _copy_pictures(PictureFolder(source), PictureFolder(part), pictures)
        erasures = "SELECT erasures FROM memory"
        if original.execute(erasures).fetchone() != copy.execute(erasures).fetchone():
            return None
    sync(part / DATABASE)
    for folder in {path.parent for path in part.rglob("*")} | {part}:
        sync(folder)
    return BackupReceipt(
        path=target, schema_version=version, streams=counts[0], observations=counts[1], events=counts[2],
        pictures=len(pictures) - missing, linked=linked, missing=missing,
        bytes_written=(part / DATABASE).stat().st_size + copied,
    )  # fmt: skip


def _copy_pictures(source: PictureFolder, target: PictureFolder, names: list[str]) -> tuple[int, int, int]:
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


def _translated(source: Path, target: Path, error: sqlite3.Error | OSError) -> MemoryStoreError:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
        return MemoryFull(f"no space left for a copy at {target}: nothing was made there")
    if isinstance(error, sqlite3.Error) and is_unreadable(error):
        return _damaged(source, str(error))
    return MemoryStoreError(f"the memory at {source} cannot be copied to {target}: {error}")


def _damaged(source: Path, cause: str) -> MemoryDamaged:
    return MemoryDamaged(f"{source / DATABASE} is damaged ({cause}): see what is left with reverie memory verify")
