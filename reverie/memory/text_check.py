"""The text indexes against the rows they index: every word of every row, at its place, and no other.

FTS5 has a check of its own, but it is a write, and it takes every row of the content table for an indexed one. So
the rows are indexed once more, in RAM, and the two indexes are read side by side, word by word.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from reverie.memory.database import database_errors
from reverie.memory.schema import MODALITY_CODES, TEXT_MODALITIES

_TEXT_CODES = ", ".join(str(MODALITY_CODES[modality]) for modality in TEXT_MODALITIES)
# Index, its column, and the rows that belong in it.
_INDEXES = (
    ("observation_text", "text", f"SELECT id, text FROM observation WHERE text != '' AND modality IN ({_TEXT_CODES})"),
    ("label_text", "name", "SELECT id, name FROM label"),
)
_PAGE_ROWS = 20_000


def wrong_texts(db: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Indexes that hold other words than the rows. Needs temporary tables only, so any connection will do."""
    for index, column, rows in _INDEXES:
        tokenizer = "porter unicode61"  # as in schema.py
        db.execute(f"CREATE VIRTUAL TABLE temp.expected USING fts5({column}, content='', tokenize='{tokenizer}')")
        db.execute("CREATE VIRTUAL TABLE temp.expected_words USING fts5vocab(temp, expected, instance)")
        db.execute(f"CREATE VIRTUAL TABLE temp.found_words USING fts5vocab(main, {index}, instance)")
        try:
            db.execute(f"INSERT INTO temp.expected (rowid, {column}) {rows} ORDER BY id")
            problem = _difference(db, index)
        finally:
            for table in ("expected_words", "found_words", "expected"):
                db.execute(f"DROP TABLE temp.{table}")
        if problem is not None:
            yield f"index {index}", problem


def rebuild_texts(db: sqlite3.Connection) -> None:
    """Index the rows anew, in the transaction that is open."""
    for index, column, rows in _INDEXES:
        db.execute(f"INSERT INTO {index} ({index}) VALUES ('delete-all')")
        db.execute(f"INSERT INTO {index} (rowid, {column}) {rows} ORDER BY id")


def _difference(db: sqlite3.Connection, index: str) -> str | None:
    try:
        found = db.execute("SELECT term, doc, offset FROM temp.found_words")
        expected = db.execute("SELECT term, doc, offset FROM temp.expected_words")
        while True:
            pages = found.fetchmany(_PAGE_ROWS), expected.fetchmany(_PAGE_ROWS)
            if pages[0] != pages[1]:
                return _first(*pages)
            if not pages[0]:
                break
    except database_errors() as error:
        return f"cannot be read: {error}"
    finally:
        found.close()
        expected.close()
    sizes = "SELECT count(*) FROM (SELECT id, sz FROM {} EXCEPT SELECT id, sz FROM {})"
    own, made = f"main.{index}_docsize", "temp.expected_docsize"
    (more,) = db.execute(sizes.format(own, made)).fetchone()
    (fewer,) = db.execute(sizes.format(made, own)).fetchone()
    if more or fewer:
        return f"counts the words of {more} rows that it should not, and not those of {fewer} that it should"
    if _totals(db, f"main.{index}_data") != _totals(db, "temp.expected_data"):
        return "has other totals than the rows"
    return None


def _totals(db: sqlite3.Connection, table: str) -> bytes:
    """Numbers of rows and words as FTS5 packs them; an index that was emptied has zeros where a new one has nothing."""
    row = db.execute(f"SELECT block FROM {table} WHERE id = 1").fetchone()
    return bytes(row[0]).rstrip(b"\0") if row else b""


def _first(found: list[tuple[str, int, int]], expected: list[tuple[str, int, int]]) -> str:
    """Where two pages of (word, row, place) first differ."""
    for own, made in zip(found, expected, strict=False):
        if own != made:
            return f"does not hold {made[0]!r} of row {made[1]}" if made < own else f"holds {own[0]!r} of row {own[1]}"
    longer = max(found, expected, key=len)[min(len(found), len(expected))]
    return f"{'holds' if len(found) > len(expected) else 'does not hold'} {longer[0]!r} of row {longer[1]}"
