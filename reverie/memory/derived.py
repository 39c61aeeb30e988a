"""Forgetting by words what no text index holds: facts, notes, names that were taught, reasons of gaps.

Words match as in the text indexes. What has no index of its own gets a temporary one, in RAM.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from reverie.memory import entities, episodes, notes
from reverie.memory.schema import FORGOTTEN, FORGOTTEN_PICTURES
from reverie.types import TimeSpan

_FAR_NS = 1 << 62
_INSIDE = "stream = ? AND start_ns < ? AND max(end_ns, start_ns + 1) > ?"
_NAMED_GAP = f"{_INSIDE} AND reason NOT IN ('{FORGOTTEN}', '{FORGOTTEN_PICTURES}')"
_UNNAMED = "unnamed"


def erase_derived(db: sqlite3.Connection, expression: str, stream: int, span: TimeSpan | None) -> None:
    """Delete facts and notes of a stream (in a span, if any) that hold the words, and episodes to be made anew.

    A gap stays, and its reason goes.
    """
    bounds = (stream, span.end_ns, span.start_ns) if span else (stream, _FAR_NS, -_FAR_NS)
    facts = f"SELECT id, subject || ' ' || object || ' ' || quote FROM fact WHERE {_INSIDE}"
    with matching(db, facts, bounds, expression) as found:
        db.executemany("DELETE FROM fact WHERE id = ?", [(row,) for row in found])
    with matching(db, f"SELECT id, text FROM episode WHERE {_INSIDE}", bounds, expression) as found:
        episodes.drop(db, found)
    with matching(db, f"SELECT id, text FROM note WHERE {_INSIDE}", bounds, expression) as found:
        for row in found:
            notes.drop(db, row)
    with matching(db, f"SELECT start_ns, reason FROM gap WHERE {_NAMED_GAP}", bounds, expression) as found:
        named = f"UPDATE OR REPLACE gap SET reason = '{_UNNAMED}' WHERE {_NAMED_GAP} AND start_ns = ?"
        db.executemany(named, [(*bounds, start_ns) for start_ns in found])


def erase_named(db: sqlite3.Connection, expression: str) -> None:
    """Delete the entities of which a name holds the words."""
    names = "SELECT id, name FROM entity UNION ALL SELECT entity, name FROM alias"
    with matching(db, names, (), expression) as found:
        keys = [db.execute("SELECT key FROM entity WHERE id = ?", (row,)).fetchone()[0] for row in set(found)]
    for key in keys:
        entities.erase_entity(db, key)


@contextmanager
def matching(db: sqlite3.Connection, rows: str, values: tuple[int, ...], expression: str) -> Iterator[list[int]]:
    """Ids of the (id, text) rows whose text matches."""
    db.execute("CREATE VIRTUAL TABLE temp.derived USING fts5(row UNINDEXED, text, tokenize='porter unicode61')")
    try:
        db.execute(f"INSERT INTO temp.derived (row, text) {rows}", values)
        found = db.execute("SELECT row FROM temp.derived WHERE text MATCH ?", (expression,)).fetchall()
        yield [int(row) for (row,) in found]
    finally:
        db.execute("DROP TABLE temp.derived")
