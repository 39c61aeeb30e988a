"""Pins: stretches that are never made coarser and do not expire. What they take is at most half of the budget.

An event that a pin touches is spared whole. A pin covers what has been watched, so it cannot grow by itself;
`forget` takes pinned stretches too, and cuts the pin.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from reverie.memory.pictures import PictureFolder, bytes_on_disk
from reverie.types import TimeSpan

ROW_BYTES = 320  # an observation with its entries in three indexes
SHARE = 2  # pins may take 1 / SHARE of the budget
_TOUCHED = (
    "SELECT e.id FROM pin p JOIN event e ON e.stream = p.stream AND e.start_ns < p.end_ns "
    "AND (e.end_ns > p.start_ns OR e.open)"
)


def pinned_events(db: sqlite3.Connection) -> set[int]:
    """Every event that a pin touches."""
    return {event for (event,) in db.execute(_TOUCHED)}


def is_pinned(db: sqlite3.Connection, stream: int, start_ns: int, end_ns: int) -> bool:
    """Whether a pin touches a stretch."""
    row = db.execute(
        "SELECT 1 FROM pin WHERE stream = ? AND start_ns < ? AND end_ns > ? LIMIT 1", (stream, end_ns, start_ns)
    )
    return row.fetchone() is not None


def add(db: sqlite3.Connection, stream: int, span: TimeSpan | None) -> bool:
    """Pin a span of what was watched of a stream (None: all of it); one row for what touches. False: nothing there."""
    first_ns, last_ns = db.execute(
        "SELECT watched_start_ns, watched_end_ns FROM stream WHERE id = ?", (stream,)
    ).fetchone()
    if first_ns is None:
        return False
    start_ns = first_ns if span is None else max(first_ns, span.start_ns)
    end_ns = last_ns if span is None else min(last_ns, span.end_ns)
    if end_ns <= start_ns:
        return False
    touching = "stream = ?1 AND start_ns <= ?3 AND end_ns >= ?2"
    start_ns, end_ns = db.execute(
        f"SELECT min(?2, coalesce(min(start_ns), ?2)), max(?3, coalesce(max(end_ns), ?3)) FROM pin WHERE {touching}",
        (stream, start_ns, end_ns),
    ).fetchone()
    db.execute(f"DELETE FROM pin WHERE {touching}", (stream, start_ns, end_ns))
    db.execute("INSERT INTO pin VALUES (?, ?, ?)", (stream, start_ns, end_ns))
    return True


def cut(db: sqlite3.Connection, stream: int, span: TimeSpan | None) -> None:
    """Unpin a span of a stream (None: all of it): pins across an edge end or begin there."""
    rows = db.execute("SELECT start_ns, end_ns FROM pin WHERE stream = ?", (stream,)).fetchall()
    db.execute("DELETE FROM pin WHERE stream = ?", (stream,))
    for start_ns, end_ns in rows:
        parts = [(start_ns, min(end_ns, span.start_ns)), (max(start_ns, span.end_ns), end_ns)] if span else []
        db.executemany("INSERT INTO pin VALUES (?, ?, ?)", [(stream, a, b) for a, b in parts if a < b])


def pinned_bytes(db: sqlite3.Connection, root: Path) -> int:
    """What the pinned events take, at most: rows with their vectors, index entries and key frames."""
    inside = (
        "(SELECT e.stream, e.start_ns, CASE WHEN e.open THEN 1 << 62 ELSE e.end_ns END AS until_ns FROM event e "
        f"WHERE e.id IN ({_TOUCHED}))"
    )
    (num_bytes,) = db.execute(
        "SELECT coalesce(sum(? + 3 * length(o.text) + coalesce(length(o.words), 0) + coalesce(length(o.labels), 0) + "
        "coalesce(length(o.boxes), 0) "
        "+ coalesce((SELECT length(v.code) + 40 FROM vector v WHERE v.observation = o.id), 0) "
        "+ coalesce((SELECT sum(length(s.code) + 40) FROM sentence s WHERE s.observation = o.id), 0)), 0) "
        f"FROM {inside} e JOIN observation o ON o.stream = e.stream AND o.start_ns >= e.start_ns "
        "AND o.start_ns < e.until_ns",
        (ROW_BYTES,),
    ).fetchone()
    pictures = PictureFolder(root)
    names = db.execute(
        f"SELECT o.picture FROM {inside} e JOIN observation o ON o.stream = e.stream AND o.start_ns >= e.start_ns "
        "AND o.start_ns < e.until_ns WHERE o.picture IS NOT NULL "
        f"UNION SELECT t.picture FROM {inside} e JOIN track t ON t.stream = e.stream AND t.start_ns >= e.start_ns "
        "AND t.start_ns < e.until_ns WHERE t.picture IS NOT NULL"
    )
    return int(num_bytes) + sum(bytes_on_disk(pictures.path_of(name)) for (name,) in names)
