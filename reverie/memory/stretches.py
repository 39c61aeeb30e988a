"""Events as rows: the stretch of a stream that belongs to one, and selecting and deleting what lies in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from reverie.memory import lexical
from reverie.memory.schema import MODALITIES, MODALITY_CODES, TEXT_MODALITIES
from reverie.types import Modality

VISION, OBJECTS, WRITING, SPEECH = (
    MODALITY_CODES[modality] for modality in (Modality.VISION, Modality.OBJECTS, Modality.WRITING, Modality.SPEECH)
)
TEXT_CODES = tuple(MODALITY_CODES[modality] for modality in TEXT_MODALITIES)
ROW_BYTES = 700  # of a moment with its vector and index entries
_EVENT_BYTES = 8192  # of the pages that any demotion touches, however little it takes
_TEXT_FACTOR = 8  # a text taken from the index is written there once more, and its sentences' vectors go
_KEYS = {"vector": "observation", "sentence": "observation", "observation": "id"}
_BESIDE = 24  # rows before and after a stretch: about a page of the smallest
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


def pack(db: sqlite3.Connection, stretch: Stretch, demoted: Demoted, tables: Iterable[str] = tuple(_KEYS)) -> None:
    """Write what is left of a stretch anew, and what is beside it: full pages, and the others are given back.

    SQLite joins a page with its neighbours only when a row of it is deleted and less than a third is left: without this
    four tenths of a database that has been full for days is holes (benchmarks/soak.py).
    """
    ids = sorted(select(db, "id", stretch, tuple(MODALITIES)))
    if not ids:
        return
    before = "SELECT id FROM observation WHERE id < ? ORDER BY id DESC LIMIT ?"
    after = "SELECT id FROM observation WHERE id > ? ORDER BY id LIMIT ?"
    ids = [*db.execute(before, (*ids[0], _BESIDE)).fetchall()[::-1], *ids, *db.execute(after, (*ids[-1], _BESIDE))]
    db.execute("PRAGMA defer_foreign_keys = ON")  # until the end of this transaction
    for table in tables:
        which = f"{table} WHERE {_KEYS[table]} = ?"
        rows = [row for one in ids for row in db.execute(f"SELECT * FROM {which}", one).fetchall()]
        db.executemany(f"DELETE FROM {which}", ids)
        if rows:
            db.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(rows[0]))})", rows)
    demoted.rows += len(ids)


def delete_rows(db: sqlite3.Connection, ids: Sequence[int], demoted: Demoted) -> None:
    """Delete observations with their vectors and index entries."""
    for row in ids:
        text, modality = db.execute("SELECT text, modality FROM observation WHERE id = ?", (row,)).fetchone()
        if text and modality in TEXT_CODES:
            lexical.remove(db, "observation_text", row, text)
            demoted.text_bytes += len(text.encode())
    keys = [(row,) for row in ids]
    for table, key in _KEYS.items():
        db.executemany(f"DELETE FROM {table} WHERE {key} = ?", keys)
    demoted.rows += len(ids)
