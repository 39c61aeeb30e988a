"""Is a memory sound? Finds and names what is damaged, and mends what can be mended without a loss.

First the pages of the database. When one cannot be read the finding names the table and how many of its rows can still
be read, the key frames are compared with these, and nothing is mended. Otherwise every check of `checks.CHECKS` runs
over one snapshot, and the key frames are compared with the rows that name them, byte by byte (a file's name is
the digest of its content).

Verifying changes nothing and needs no lock: it may run while another process writes. It is the longest read there
is; the log cannot be folded into the database until it is done, but nobody waits for it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from fcntl import LOCK_NB, LOCK_SH, flock
from pathlib import Path

from reverie.errors import MemoryDamaged, MemoryStoreError
from reverie.memory.checks import CHECKS, Problem
from reverie.memory.database import database_errors, open_database
from reverie.memory.encryption import cipher_for
from reverie.memory.page_check import is_unreadable, unreadable_tables
from reverie.memory.picture_check import (
    MISSING,
    drop_missing,
    named_pictures,
    readable_pictures,
    unnamed_files,
    wrong_pictures,
)
from reverie.memory.pictures import PictureFolder
from reverie.memory.schema import SCHEMA_VERSION
from reverie.memory.store import DATABASE, LOCK, Store, StoreConfig, require_schema

MAX_LISTED = 100
_REPAIR = "reverie memory verify --repair"
_RESTORE = "restore a backup: reverie memory restore BACKUP --memory NEW"
_SALVAGE = f"left as it is; {_RESTORE}, or save what can still be read: reverie export"

Quiet = Callable[[], AbstractContextManager[bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong: which check found it, in what, what it is, and what to do about it."""

    check: str
    subject: str
    problem: str
    advice: str
    repaired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What `verify` found.

    `counts`: rows by table. `found`: number of findings by check, of which `findings` lists the first 100 of each.
    `damaged`: pages of the database cannot be read, so nothing was looked at but them, and the key frames as far as
    rows name them still.
    """

    schema_version: int
    counts: Mapping[str, int]
    found: Mapping[str, int]
    findings: tuple[Finding, ...]
    damaged: bool

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong, or nothing any more."""
        return all(finding.repaired for finding in self.findings)


def verify(root: Path, *, key: bytes | None = None, quiet: Quiet | None = None) -> VerifyReport:
    """Look at everything in the directory of a memory, and change nothing.

    Args:
        root: the directory. It may be written to meanwhile.
        key: of an encrypted memory.
        quiet: gives a block during which nobody writes, or in which somebody may (False). While somebody does, a
            file that no row names may belong to a write under way, and is not judged. Default: asks the writer's lock.

    Raises:
        MemoryStoreError: there is no memory, or an older one that a writer must upgrade.
        MemoryTooNew: its schema is newer than this code.
        MemoryKeyError: it is encrypted with another key, or not encrypted.
    """
    store = StoreConfig()
    notes = _Notes()
    try:
        cipher = cipher_for(root, root / DATABASE, key)
        path = require_schema(root, store, cipher)
        with closing(open_database(path, read_only=True, timeout_s=store.busy_timeout_s, cipher=cipher)) as db:
            db.execute("PRAGMA temp_store = MEMORY")
            db.execute("BEGIN")
            pictures = PictureFolder(root, cipher)
            notes.add("pages", unreadable_tables(db), _SALVAGE)
            if notes.found:
                named = readable_pictures(db) | pictures.names()  # a file tells by itself whether it is whole
                for name, problems in wrong_pictures(db, pictures, named, readable_pictures).items():
                    notes.add(name, problems, _RESTORE)
                return notes.report({}, damaged=True)
            for check in CHECKS:
                notes.add(check.name, check.find(db), _REPAIR if check.mend else _RESTORE)
            counts, named = _counts(db), named_pictures(db)
            db.execute("COMMIT")
            for name, problems in wrong_pictures(db, pictures, named).items():
                notes.add(name, problems, _REPAIR if name == MISSING else _RESTORE)
            if unnamed_files(pictures, named):
                with (quiet or (lambda: _no_writer(root)))() as still:
                    strays = unnamed_files(pictures, named_pictures(db)) if still else []
                    notes.add("unnamed pictures", ((file, "no row names it") for file in strays), _REPAIR)
            return notes.report(counts, damaged=False)
    except MemoryDamaged as error:
        notes.add("pages", [("the database", str(error))], _SALVAGE)
    except database_errors() as error:
        if not is_unreadable(error):
            raise MemoryStoreError(f"the memory at {root} cannot be verified: {error}") from error
        notes.add("pages", [("the database", str(error))], _SALVAGE)
    return notes.report({}, damaged=True)


def repair(store: Store, key: bytes | None) -> VerifyReport:
    """Verify, mend what loses nothing, and verify again; nobody else may write meanwhile.

    Text indexes are made anew from the rows, names of key frames that are gone are dropped, files that no row names
    are removed. Damaged pages are left alone, and then so is everything else.
    """
    before = verify(store.root, key=key, quiet=lambda: nullcontext(True))
    if before.damaged or not before.found:
        return before
    with store.transaction() as db:
        for check in CHECKS:
            if check.mend is not None and check.name in before.found:
                check.mend(db)
        drop_missing(db, store.pictures)
    store.pictures.remove_orphans(named_pictures(store.writer))
    after = verify(store.root, key=key, quiet=lambda: nullcontext(True))
    left = {(finding.check, finding.subject) for finding in after.findings}
    findings = tuple(replace(f, repaired=(f.check, f.subject) not in left) for f in before.findings)
    return replace(before, findings=findings, damaged=after.damaged)


def verify_and_repair(root: Path, key: bytes | None = None) -> VerifyReport:
    """`repair` of a memory that is not open: takes the writer's lock, but only once there is something to mend.

    Raises:
        MemoryLocked: another process writes this memory.
        MemoryStoreError, MemoryTooNew: as for `verify`.
    """
    report = verify(root, key=key)
    if report.damaged or not report.found:
        return report
    with closing(Store(root, "w", StoreConfig(check_at_open_max_bytes=0), key)) as store:  # checked just now
        return repair(store, key)


class _Notes:
    """Findings as they come: all are counted, the first of each check are kept."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()
        self._findings: list[Finding] = []

    def add(self, check: str, problems: Iterable[Problem], advice: str) -> None:
        for subject, problem in problems:
            self.found[check] += 1
            if self.found[check] <= MAX_LISTED:
                self._findings.append(Finding(check=check, subject=subject, problem=problem, advice=advice))

    def report(self, counts: Mapping[str, int], damaged: bool) -> VerifyReport:
        return VerifyReport(
            schema_version=SCHEMA_VERSION,
            counts=counts,
            found=dict(self.found),
            findings=tuple(self._findings),
            damaged=damaged,
        )


def _counts(db: sqlite3.Connection) -> dict[str, int]:
    tables = [
        name
        for schema, name, kind, *_ in db.execute("PRAGMA table_list").fetchall()
        if schema == "main" and kind == "table" and not name.startswith("sqlite_")
    ]
    return {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in sorted(tables)}


@contextmanager
def _no_writer(root: Path) -> Iterator[bool]:
    """Keep writers out for a moment; False when one is there already."""
    try:
        file = open(root / LOCK, "rb")  # noqa: SIM115  # closed below
    except OSError:
        yield True  # never written here, as on a read-only disk
        return
    with file:
        try:
            flock(file, LOCK_SH | LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
