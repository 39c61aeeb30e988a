"""Events as rows: the stretch of a stream that belongs to one, and selecting and deleting what lies in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from reverie.memory import lexical
from reverie.memory.schema import EVERY_MODALITY, MODALITIES, MODALITY_CODES, TEXT_MODALITIES
from reverie.types import Modality

VISION, OBJECTS, WRITING, SPEECH = (
    MODALITY_CODES[modality] for modality in (Modality.VISION, Modality.OBJECTS, Modality.WRITING, Modality.SPEECH)
)
TEXT_CODES = tuple(MODALITY_CODES[modality] for modality in TEXT_MODALITIES)
ROW_BYTES = 700  # of a moment with its vector and index entries
_EVENT_BYTES = 8192  # of the pages that any demotion touches, however little it takes
_TEXT_FACTOR = 8  # a text taken from the index is written there once more, and its sentences' vectors go
_KEYS = {"vector": "observation", "sentence": "observation", "observation": "id"}
_MOST_SPREAD = 16
_PAGE_BYTES, _BESIDE = 4096, 24
_INDEX_BYTES = 100  # of a row in the indexes
INSIDE = "stream = ? AND start_ns >= ? AND start_ns < ?"


@dataclass(slots=True)
class Demoted:
    """What demotions took: events, rows, bytes of texts and of what was written anew, and names of pictures.

    The pictures are those that no row holds any more.
    """

    events: int = 0
    rows: int = 0
    text_bytes: int = 0
    packed_bytes: int = 0
    pictures: set[str] = field(default_factory=set)

    @property
    def num_bytes(self) -> int:
        """About what they made the log grow by: a few pages for an event, its rows, and texts in their index."""
        rows_bytes = ROW_BYTES * self.rows + self.packed_bytes
        return _EVENT_BYTES * self.events + rows_bytes + _TEXT_FACTOR * self.text_bytes

    def add(self, others: Demoted) -> None:
        self.events += others.events
        self.rows += others.rows
        self.text_bytes += others.text_bytes
        self.packed_bytes += others.packed_bytes
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


def spread(db: sqlite3.Connection, stretch: Stretch) -> float:
    """How many rows lie among those of a stretch for each of them: 1 where it is alone, and at most `_MOST_SPREAD`.

    Where streams were written together, every row of one lies on another page of each table and index.
    """
    found = f"SELECT count(*), min(id), max(id) FROM observation WHERE {INSIDE} AND {EVERY_MODALITY}"
    count, first, last = db.execute(found, stretch.bounds).fetchone()
    among = "SELECT count(*) FROM (SELECT 1 FROM observation WHERE id BETWEEN ? AND ? LIMIT ?)"
    return float(db.execute(among, (first, last, _MOST_SPREAD * count)).fetchone()[0] / count) if count else 1.0


def pack(db: sqlite3.Connection, stretch: Stretch, most_bytes: int, tables: Sequence[str] = tuple(_KEYS)) -> int:
    """Write what is left of a stretch anew, and a page of what is before it; return how many bytes that was.

    SQLite joins a page with its neighbours only when a row of it is deleted and less than a third is left: without this
    four tenths of a database that has been full for days is holes (benchmarks/soak.py). The newest rows come first, as
    far as about `most_bytes` reach.
    """
    rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in tables}
    own = sorted(select(db, "id", stretch, tuple(MODALITIES)), reverse=True)
    before = "SELECT id FROM observation WHERE id < ? ORDER BY id DESC LIMIT ?"
    beside = db.execute(before, (*own[-1], _BESIDE)).fetchall() if own else []
    ids, packed, limit = list[tuple[int]](), 0, most_bytes
    for place, one in enumerate([*own, *beside]):
        if place == len(own):
            limit = min(most_bytes, packed + _PAGE_BYTES)
        if packed > limit:
            break
        for table in tables:
            found = db.execute(f"SELECT * FROM {table} WHERE {_KEYS[table]} = ?", one).fetchall()
            rows[table] += found
            packed += sum(_INDEX_BYTES + sum(_size(value) for value in row) for row in found)
        ids.append(one)
    db.execute("PRAGMA defer_foreign_keys = ON")  # until the end of this transaction
    for table, found in rows.items():
        db.executemany(f"DELETE FROM {table} WHERE {_KEYS[table]} = ?", ids)
        if found:
            db.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(found[0]))})", sorted(found))
    return packed


def _size(value: object) -> int:
    return len(value.encode()) if isinstance(value, str) else len(value) if isinstance(value, bytes) else 4


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
