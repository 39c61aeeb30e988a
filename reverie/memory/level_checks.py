"""What must hold of events that have become coarser, and of what consolidation derived. See `checks`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import numpy as np

from reverie.memory.retention import LAST_LEVEL
from reverie.memory.schema import MODALITY_CODES
from reverie.memory.thinning import most_moments
from reverie.types import Modality

Problem = tuple[str, str]


def wrong_levels(db: sqlite3.Connection) -> Iterator[Problem]:
    """Coarser events that are not noted as faded, or that still hold what their level gave up."""
    for row, level, strength, repeats in db.execute("SELECT id, level, strength, repeats FROM event"):
        if not 0 <= level <= LAST_LEVEL:
            yield f"event {row}", f"is of the unknown level {level}"
        if strength < 1 or repeats < 0:
            yield f"event {row}", f"has the strength {strength} and {repeats} repeats"
    for (row,) in db.execute(
        "SELECT e.id FROM event e WHERE e.level > 0 AND NOT EXISTS (SELECT 1 FROM faded f WHERE f.stream = e.stream "
        "AND f.start_ns <= e.start_ns AND f.end_ns >= e.end_ns)"
    ):
        yield f"event {row}", "became coarser, and is not noted as faded"
    for row, level, boxes, moments in db.execute(
        "SELECT e.id, e.level, sum(o.modality = ?), sum(o.modality = ?) FROM event e "
        "JOIN observation o ON o.stream = e.stream AND o.modality IN (?1, ?2) "
        "AND o.start_ns >= e.start_ns AND o.start_ns < e.end_ns WHERE e.level > 0 "
        "GROUP BY e.id",
        (MODALITY_CODES[Modality.OBJECTS], MODALITY_CODES[Modality.VISION]),
    ):
        if boxes or moments > most_moments(level):
            yield f"event {row}", f"is not whole, and still has {boxes} rows of boxes and {moments} moments"


def wrong_stretches(db: sqlite3.Connection) -> Iterator[Problem]:
    """Faded or pinned stretches that end before they start, or overlap."""
    for table in ("faded", "pin"):
        held: tuple[int, int] | None = None
        for stream, start, end in db.execute(f"SELECT stream, start_ns, end_ns FROM {table} ORDER BY stream, start_ns"):
            subject = f"{table} at {start} ns of stream {stream}"
            if end <= start:
                yield subject, f"ends at {end} ns"
            if held is not None and held[0] == stream and start < held[1]:
                yield subject, f"overlaps the one before it by {held[1] - start} ns"
            held = (stream, max(end, held[1]) if held is not None and held[0] == stream else end)
    for row, start, end in db.execute("SELECT id, start_ns, end_ns FROM revision WHERE end_ns < start_ns"):
        yield f"revision {row}", f"ends at {end} ns, and starts at {start} ns"


def wrong_episodes(db: sqlite3.Connection) -> Iterator[Problem]:
    """Episodes that overlap, or that do not cover exactly their events."""
    held: tuple[int, int] | None = None
    for row, stream, start, end, first, last in db.execute(
        "SELECT p.id, p.stream, p.start_ns, p.end_ns, min(e.start_ns), max(e.end_ns) FROM episode p "
        "LEFT JOIN event e ON e.episode = p.id AND e.stream = p.stream GROUP BY p.id ORDER BY p.stream, p.start_ns"
    ):
        if (start, end) != (first, last):
            yield f"episode {row}", f"goes from {start} to {end} ns, and its events from {first} to {last} ns"
        if held is not None and held[0] == stream and start < held[1]:
            yield f"episode {row}", f"overlaps the one before it by {held[1] - start} ns"
        held = (stream, end)


def wrong_centres(db: sqlite3.Connection) -> Iterator[Problem]:
    """Centres of coarse codes of another width than their encoder's, not finite, or used by another encoder."""
    for row, width, value in db.execute(
        "SELECT c.id, e.width, c.value FROM centre c JOIN encoder e ON e.id = c.encoder"
    ):
        if len(value) != 4 * width:
            yield f"centre {row}", f"has {len(value) / 4:g} numbers instead of {width}"
        elif not np.isfinite(np.frombuffer(value, np.float32)).all():
            yield f"centre {row}", "is not finite"
    for table in ("vector", "sentence"):
        for row, centre in db.execute(
            f"SELECT v.observation, v.centre FROM {table} v JOIN centre c ON c.id = v.centre AND c.encoder != v.encoder"
        ):
            yield f"{table} of observation {row}", f"is counted from centre {centre} of another encoder"
