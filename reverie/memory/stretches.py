"""Events as rows: the stretch of a stream that belongs to one, and selecting and deleting what lies in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from reverie.memory import lexical
from reverie.memory.schema import MODALITY_CODES, TEXT_MODALITIES
from reverie.types import Modality

VISION, OBJECTS, WRITING, SPEECH = (
    MODALITY_CODES[modality] for modality in (Modality.VISION, Modality.OBJECTS, Modality.WRITING, Modality.SPEECH)
)
TEXT_CODES = tuple(MODALITY_CODES[modality] for modality in TEXT_MODALITIES)
ROW_BYTES = 700  # of a moment with its vector and index entries
_EVENT_BYTES = 8192  # of the pages that any demotion touches, however little it takes
_TEXT_FACTOR = 8  # a text taken from the index is written there once more, and its sentences' vectors go
INSIDE = "stream = ? AND start_ns >= ? AND start_ns < ?"


@dataclass(slots=True)
class Demoted:
    """What demotions took: events, rows, bytes of texts, and the names of pictures that no row holds any more."""

    events: int = 0
    rows: int = 0
    text_bytes: int = 0
    pictures: set[str] = field(default_factory=set)

    @property
    def num_bytes(self) -> int:
        """About what they made the log grow by: a few pages for an event, its rows, and texts in their index."""
        return _EVENT_BYTES * self.events + ROW_BYTES * self.rows + _TEXT_FACTOR * self.text_bytes

    def add(self, others: Demoted) -> None:
        self.events += others.events
        self.rows += others.rows
        self.text_bytes += others.text_bytes
        self.pictures |= others.pictures


@dataclass(frozen=True, slots=True)
class Stretch:
    """An event as rows: from the end of what came before it, so that stragglers in a gap belong to it."""

    event: int
    stream: int
    low_ns: int
    start_ns: int
    end_ns: int
    level: int
    episode: int | None

    @property
    def bounds(self) -> tuple[int, int, int]:
        return self.stream, self.low_ns, self.end_ns


def stretch_of(db: sqlite3.Connection, event: int) -> Stretch | None:
    """The stretch of an event, None when it is no more."""
    row = db.execute("SELECT stream, start_ns, end_ns, level, episode FROM event WHERE id = ?", (event,)).fetchone()
    if row is None:
        return None
    stream, start_ns, end_ns, level, episode = row
    before = [
        db.execute(
            f"SELECT end_ns FROM {table} WHERE stream = ? AND start_ns < ? ORDER BY start_ns DESC LIMIT 1",
            (stream, start_ns),
        ).fetchone()
        for table in ("event", "faded")
    ]
    (first_ns,) = db.execute("SELECT watched_start_ns FROM stream WHERE id = ?", (stream,)).fetchone()
    low_ns = max((row[0] for row in before if row), default=first_ns if first_ns is not None else start_ns)
    return Stretch(event, stream, min(low_ns, start_ns), start_ns, end_ns, level, episode)


def select(db: sqlite3.Connection, columns: str, stretch: Stretch, codes: tuple[int, ...], also: str = "") -> Any:
    """Rows of some senses that start in a stretch, in order of time."""
    marks = ",".join("?" * len(codes))
    return db.execute(
        f"SELECT {columns} FROM observation WHERE {INSIDE} AND modality IN ({marks}) {also} ORDER BY start_ns, id",
        (*stretch.bounds, *codes),
    ).fetchall()


def repack(db: sqlite3.Connection, table: str, key: str, ids: Sequence[int]) -> None:
    """Write rows that became shorter anew, so that pages which they no longer fill are joined and given back.

    SQLite joins a page with its neighbours when a row of it is deleted, but not when one is overwritten: without this,
    coarse codes would go on taking the space of the vectors that they stand for.
    """
    db.execute("PRAGMA defer_foreign_keys = ON")  # until the end of this transaction
    keys = [(row,) for row in ids]
    rows = [row for one in keys for row in db.execute(f"SELECT * FROM {table} WHERE {key} = ?", one).fetchall()]
    db.executemany(f"DELETE FROM {table} WHERE {key} = ?", keys)
    if rows:
        db.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(rows[0]))})", rows)


def delete_rows(db: sqlite3.Connection, ids: Sequence[int], demoted: Demoted) -> None:
    """Delete observations with their vectors and index entries."""
    for row in ids:
        text, modality = db.execute("SELECT text, modality FROM observation WHERE id = ?", (row,)).fetchone()
        if text and modality in TEXT_CODES:
            lexical.remove(db, "observation_text", row, text)
            demoted.text_bytes += len(text.encode())
    keys = [(row,) for row in ids]
    for table, key in (("vector", "observation"), ("sentence", "observation"), ("observation", "id")):
        db.executemany(f"DELETE FROM {table} WHERE {key} = ?", keys)
    demoted.rows += len(ids)
