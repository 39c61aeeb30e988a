"""What a forgotten span has a part in where events were made coarser (see `demotion`), beside the rows that overlap it.

A row of a coarser event stands for a run of moments, and has the time of all of it, so what overlaps goes whole.
Two things lie at other times than their own: the one key frame, and visits that live on as names of moments.
"""

from __future__ import annotations

import sqlite3

import numpy as np

from reverie.memory.rows import label_rows
from reverie.memory.schema import MODALITY_CODES
from reverie.types import Modality, TimeSpan


def _faded_events(db: sqlite3.Connection, stream: int, span: TimeSpan) -> list[tuple[int, int]]:
    """(start_ns, end_ns) of the coarser events that reach into a span, with what came since the one before."""
    return db.execute(
        "SELECT coalesce((SELECT max(p.end_ns) FROM event p WHERE p.stream = e.stream AND p.start_ns < e.start_ns), "
        "e.start_ns) AS low_ns, end_ns FROM event e WHERE stream = ? AND level > 0 AND low_ns < ? AND end_ns > ?",
        (stream, span.end_ns, span.start_ns),
    ).fetchall()


def drop_faded_pictures(db: sqlite3.Connection, stream: int, span: TimeSpan) -> TimeSpan:
    """Drop the key frame of each coarser event that reaches into a span; return the span with those events.

    Such an event keeps one key frame, on the row that was nearest: it may be of any moment of the event.
    """
    touched = span
    for start_ns, end_ns in _faded_events(db, stream, span):
        for table in ("observation", "track"):
            db.execute(
                f"UPDATE {table} SET picture = NULL WHERE stream = ? AND start_ns >= ? AND start_ns < ? "
                "AND picture IS NOT NULL",
                (stream, start_ns, end_ns),
            )
        touched = touched.union(TimeSpan(start_ns=start_ns, end_ns=end_ns))
    return touched


def drop_faded_visits(db: sqlite3.Connection, stream: int, span: TimeSpan) -> None:
    """A visit goes whole, also where it lives on as a name of moments: the names that go on from beside the span."""
    objects = [row for (row,) in db.execute("SELECT id FROM label WHERE kind = 'object'")]
    for low_ns, high_ns in _faded_events(db, stream, span):
        moments = db.execute(
            "SELECT id, start_ns, labels FROM observation WHERE stream = ? AND modality = ? AND start_ns >= ? "
            "AND start_ns < ? ORDER BY start_ns",
            (stream, MODALITY_CODES[Modality.VISION], low_ns, high_ns),
        ).fetchall()
        before = [moment for moment in moments[::-1] if moment[1] < span.start_ns]
        after = [moment for moment in moments if moment[1] >= span.start_ns]
        for side in (before, after):
            left = np.array(objects, dtype=np.int64)
            for row, _, packed in side:
                labels = label_rows(packed)
                left = np.intersect1d(left, labels["label"])
                if not len(left):
                    break
                kept = labels[~np.isin(labels["label"], left)].tobytes()
                db.execute("UPDATE observation SET labels = ? WHERE id = ?", (kept or None, row))
