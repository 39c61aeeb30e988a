"""What a forgotten span has a part in where events were made coarser (see `demotion`), beside the rows that overlap it.

A row of a coarser event stands for a run of moments, and has the time of all of it, so what overlaps goes whole.
Two things lie at other times than their own: the one key frame, and visits that live on as names of moments.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from reverie.memory.rows import label_rows
from reverie.memory.schema import MODALITY_CODES
from reverie.types import Modality, TimeSpan

_Moment = tuple[int, int, int, bytes | None]  # id, start_ns, end_ns, labels


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


def drop_faded_visits(db: sqlite3.Connection, stream: int, span: TimeSpan) -> TimeSpan:
    """A visit goes whole, also where it lives on as a name of moments; return the span with those moments.

    Which visits reached into the span is not known any more, so every thing in an episode that does goes from it, and
    from the moments before and after it as far as its name goes on.
    """
    touched = span
    objects = [row for (row,) in db.execute("SELECT id FROM label WHERE kind = 'object'")]
    moments = "SELECT id, start_ns, end_ns, labels FROM observation WHERE stream = ? AND modality = ? AND start_ns "
    whose = (stream, MODALITY_CODES[Modality.VISION])
    for low_ns, high_ns in _faded_events(db, stream, span):
        inside = db.execute(moments + ">= ? AND start_ns < ?", (*whose, low_ns, high_ns)).fetchall()
        (event,) = db.execute("SELECT labels FROM event WHERE stream = ? AND end_ns = ?", (stream, high_ns)).fetchone()
        named = label_rows((event or b"") + b"".join(packed or b"" for *_, packed in inside))["label"]
        names = np.intersect1d(objects, named)
        before = db.execute(moments + "< ? ORDER BY start_ns DESC", (*whose, low_ns))
        after = db.execute(moments + ">= ? ORDER BY start_ns", (*whose, high_ns))
        gone = [(moment, names) for moment in inside] + [*_going_on(before, names), *_going_on(after, names)]
        for (row, start_ns, end_ns, packed), ended in gone:
            labels = label_rows(packed)
            kept = labels[~np.isin(labels["label"], ended)].tobytes()
            db.execute("UPDATE observation SET labels = ? WHERE id = ?", (kept or None, row))
            touched = touched.union(TimeSpan(start_ns=start_ns, end_ns=end_ns))
    return touched


def _going_on(moments: Iterable[_Moment], names: Int64[ndarray, "n"]) -> Iterator[tuple[_Moment, Int64[ndarray, "m"]]]:
    """Moments in a row that bear some of the names, each with those that all before it bore, too."""
    for moment in moments:
        names = np.intersect1d(names, label_rows(moment[3])["label"])
        if not len(names):
            return
        yield moment, names
