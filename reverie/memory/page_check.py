"""Pages of the database that cannot be read: which tables they belong to, and what is left of those."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from reverie.memory.checks import Problem
from reverie.memory.database import database_errors

UNREADABLE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR)


def is_unreadable(error: sqlite3.Error) -> bool:
    """Whether the file is damaged, rather than in use, full or not permitted."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in UNREADABLE


def unreadable_tables(db: sqlite3.Connection) -> Iterator[Problem]:
    """SQLite's `integrity_check`; where it complains, once more table by table (indexes included), to name them.

    Raises:
        sqlite3.DatabaseError: not even the list of tables can be read.
    """
    complaint = _complaint(db, "PRAGMA integrity_check(1)")
    if complaint is None:
        return
    tables = [
        (name, bool(without_rowid))
        for schema, name, kind, _, without_rowid, _ in db.execute("PRAGMA table_list").fetchall()
        if schema == "main" and kind in ("table", "shadow")
    ]
    found = False
    for name, without_rowid in sorted(tables):
        own = _complaint(db, f"PRAGMA integrity_check('{name}')")
        if own is not None:
            found = True
            yield f"table {name}", f"{own}; {_readable(db, name, without_rowid)}"
    if not found:  # pages that belong to no table
        yield "the database", complaint


def until_damage(db: sqlite3.Connection, query: str) -> Iterator[tuple[Any, ...]]:
    """Rows of a query, up to the first that cannot be read."""
    try:
        yield from db.execute(query)
    except database_errors() as error:
        if not is_unreadable(error):
            raise


def _complaint(db: sqlite3.Connection, check: str) -> str | None:
    try:
        (verdict,) = db.execute(check).fetchone()
    except database_errors() as error:
        if not is_unreadable(error):
            raise
        return str(error)
    return None if verdict == "ok" else " ".join(str(verdict).split())


def _readable(db: sqlite3.Connection, table: str, without_rowid: bool) -> str:
    """How many rows come before the damage, and after it where rows have numbers."""
    before, whole = _count(db, f"SELECT * FROM {table} NOT INDEXED")
    if whole:
        return f"all its {before} rows can be read"
    after = 0 if without_rowid else _count(db, f"SELECT * FROM {table} NOT INDEXED ORDER BY rowid DESC")[0]
    return f"{before + after} of its rows can be read"


def _count(db: sqlite3.Connection, query: str) -> tuple[int, bool]:
    """(rows read, whether the end was reached)."""
    count = 0
    try:
        for _ in db.execute(query):
            count += 1
    except database_errors() as error:
        if not is_unreadable(error):
            raise
        return count, False
    return count, True
