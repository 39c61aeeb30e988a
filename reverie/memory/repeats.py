"""Near-duplicates: neighbouring events in which the same things were seen and nothing new was said become one.

A camera that watches an empty room sends an event a minute (the longest there is); they differ in nothing. The
first takes in those that follow and counts them in `repeats`, which makes it better retained, while all of their
moments together are later thinned as those of one event.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from reverie.memory.centroids import likeness, sums_of
from reverie.memory.coarse_codes import Decoder
from reverie.memory.episodes import Event
from reverie.memory.events import summarise
from reverie.memory.pins import is_pinned
from reverie.memory.schema import MODALITY_CODES, TEXT_MODALITIES
from reverie.types import ns

ALIKE = 0.95  # mean cosine of the centroids; see benchmarks/fading.py
LONGEST_NS = ns(300.0)
_TEXT_CODES = tuple(MODALITY_CODES[modality] for modality in TEXT_MODALITIES)


def merge_repeats(db: sqlite3.Connection, stream: int, run: Sequence[Event]) -> tuple[list[Event], int]:
    """Merge what repeats in an unbroken run of closed events, in the transaction that is open; (the run, how many)."""
    decoder = Decoder(db)
    kept: list[Event] = []
    num_merged = 0
    for event in run:
        if kept and event[2] - kept[-1][1] <= LONGEST_NS and _repeats(db, decoder, stream, kept[-1], event):
            kept[-1] = _take_in(db, stream, kept[-1], event)
            num_merged += 1
        else:
            kept.append(event)
    return kept, num_merged


def _repeats(db: sqlite3.Connection, decoder: Decoder, stream: int, first: Event, second: Event) -> bool:
    (coarse,) = db.execute("SELECT max(level) FROM event WHERE id IN (?, ?)", (first[0], second[0])).fetchone()
    if coarse or is_pinned(db, stream, first[1], second[2]):
        return False
    texts = [_texts(db, stream, *event[1:]) for event in (first, second)]
    if not texts[1] <= texts[0] or _names(db, stream, *first[1:]) != _names(db, stream, *second[1:]):
        return False
    a, b = (sums_of(db, decoder, stream, *event[1:]) for event in (first, second))
    pictures = [{key: total for key, total in sums.items() if key[0] not in _TEXT_CODES} for sums in (a, b)]
    return likeness(*pictures) >= ALIKE


def _texts(db: sqlite3.Connection, stream: int, start_ns: int, end_ns: int) -> set[tuple[str, bytes | None]]:
    """What was said, written and heard, each with its names."""
    marks = ",".join("?" * len(_TEXT_CODES))
    rows = db.execute(
        "SELECT text, CASE WHEN text = '' THEN labels END FROM observation WHERE stream = ? AND start_ns >= ? "
        f"AND start_ns < ? AND modality IN ({marks})",
        (stream, start_ns, end_ns, *_TEXT_CODES),
    )
    return set(rows.fetchall())


def _names(db: sqlite3.Connection, stream: int, start_ns: int, end_ns: int) -> list[str]:
    """Names of the things that were there, one for each visit."""
    rows = db.execute(
        "SELECT name FROM track WHERE stream = ? AND start_ns < ? AND end_ns > ? ORDER BY name",
        (stream, end_ns, start_ns),
    )
    return [name for (name,) in rows]


def _take_in(db: sqlite3.Connection, stream: int, first: Event, second: Event) -> Event:
    previous, carries = db.execute("SELECT previous, carries FROM event WHERE id = ?", (first[0],)).fetchone()
    surprise, strength, recalled_ns, repeats = db.execute(
        "SELECT max(surprise), sum(strength) - 1, max(recalled_ns), sum(repeats) + 1 FROM event WHERE id IN (?, ?)",
        (first[0], second[0]),
    ).fetchone()
    db.execute("DELETE FROM event WHERE id = ?", (second[0],))
    labels, picture = summarise(db, stream, first[1], second[2], previous if carries else None)
    db.execute(
        "UPDATE event SET end_ns = ?, surprise = ?, strength = ?, recalled_ns = ?, repeats = ?, labels = ?, "
        "picture = ? WHERE id = ?",
        (second[2], surprise, strength, recalled_ns, repeats, labels, picture, first[0]),
    )
    return first[0], first[1], second[2]
