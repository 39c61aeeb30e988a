"""Demotion: an event gives up detail for space, level by level, and nothing is dropped while less would do.

    0 full              every moment, box, word time and key frame
    1 representatives   at most 4 pictures' moments, each for a run of them (its span, mean names, most central
                        vector); no boxes, no times of words, equal writing in a row once, 1 key frame; every text
    2 coarse codes      vectors with four bits a number; a key frame only where the event stands out; every text
    3 episode           one with the neighbours in its episode that came this far, later with other episodes: at most
                        128 moments and 12,800 bytes of sentences word for word; visits live on as names of moments,
                        the words of each minute as bits (see `word_filters`)
    4 to 9 remnant      of a stream of which nothing else is left to join: no key frame, and at each level half of the
                        moments and sentences of the one before, down to two moments, from 7 on half of the bits of
                        words, too; then it goes

What is left are observations again, at their own times: search, timeline, erasure and export need no second
way. The stretch is noted in `faded`, so that sending it again brings nothing back, and in `revision`, so that
caches follow. Everything here runs in the transaction that is open.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import Final, Literal

from reverie.memory import episodes, word_filters
from reverie.memory.coarse_codes import recode
from reverie.memory.events import summarise
from reverie.memory.merging import MAX_TEXT_BYTES, join_events, neighbours, sum_up
from reverie.memory.retention import EPISODE_LEVEL, LAST_LEVEL, strength_of
from reverie.memory.schema import MODALITIES
from reverie.memory.stretches import (
    INSIDE,
    TEXT_CODES,
    VISION,
    Demoted,
    Stretch,
    delete_rows,
    pack,
    select,
    spread,
    stretch_of,
)
from reverie.memory.thinning import drop_pictures, thin

REPRESENTATIVES_LEVEL, CODES_LEVEL = 1, 2
WORD_BITS: Final = 128
_FILTERS_LEVEL = 6  # beyond it filters of words halve, too: up to it a byte of them tells more than one of a sentence
_APART = 2.0  # rows among those of an event, for each of them, up to which what is left of it is written anew
Need = Literal["some", "more", "all"]


def has_faded(db: sqlite3.Connection, stream: int, at_ns: int) -> bool:
    """Whether what was perceived at a time is kept in a coarser form."""
    row = db.execute(
        "SELECT end_ns FROM faded WHERE stream = ? AND start_ns <= ? ORDER BY start_ns DESC LIMIT 1", (stream, at_ns)
    ).fetchone()
    return row is not None and at_ns < row[0]


def demote(
    db: sqlite3.Connection,
    event: int,
    demoted: Demoted,
    frame_strength: float,
    word_bits: int = WORD_BITS,
    max_text_bytes: int = MAX_TEXT_BYTES,
    need: Need = "some",
) -> int | None:
    """Take an event down one level; return the event that stands for it now, None when none does or it stays.

    An episode goes lower by joining the neighbouring episode of its stream that makes the shorter whole, which is of
    level 3 again. `need` of space: for `some` it joins one of about its length, or waits for it; for `more` any; one
    that is alone stays until `all` is needed, then gives up half of what it has, and at last all.
    `frame_strength`: at level 2 an event keeps its key frame if it is stronger (see `retention.strength_of`).
    `word_bits`: of the filter of a minute's words. `max_text_bytes`: of an episode's sentences.
    """
    stretch = stretch_of(db, event)
    if stretch is None:
        return None  # became part of another in the meantime
    rows_before, bytes_before, apart = demoted.rows, demoted.num_bytes, spread(db, stretch)
    demoted.events += 1
    if stretch.level == 0:
        thin(db, stretch, demoted)
        db.execute("UPDATE event SET level = ? WHERE id = ?", (REPRESENTATIVES_LEVEL, event))
    elif stretch.level == REPRESENTATIVES_LEVEL:
        _to_codes(db, stretch, demoted, frame_strength)
        db.execute("UPDATE event SET level = ? WHERE id = ?", (CODES_LEVEL, event))
    else:
        others = neighbours(db, stretch, patient=need == "some")
        alone = stretch.level >= EPISODE_LEVEL and not others
        if alone and need != "all":
            return None
        if stretch.level == CODES_LEVEL:
            word_filters.take_in(db, stretch, word_bits)
        if not alone:
            stretch = join_events(db, [stretch, *others])
        elif stretch.level < LAST_LEVEL:
            stretch = replace(stretch, level=stretch.level + 1)
            drop_pictures(db, stretch, demoted)
        else:
            _let_go(db, stretch, demoted)
            _note(db, stretch)
            return None
        thin(db, stretch, demoted)
        sum_up(db, stretch, demoted, max_text_bytes)
        if stretch.level > EPISODE_LEVEL and stretch.episode is not None:
            episodes.join(db, [stretch.episode])  # its summary, too, says no more than what is left
        word_filters.fit(db, stretch, word_filters.MAX_EVENT_BYTES >> max(stretch.level - _FILTERS_LEVEL, 0))
        labels, picture = summarise(db, stretch.stream, stretch.start_ns, stretch.end_ns, None)
        values = (stretch.level, labels, picture, stretch.event)
        db.execute("UPDATE event SET level = ?, labels = ?, picture = ? WHERE id = ?", values)
    if apart <= _APART:  # else others hold its pages, too
        tables = ("vector", "sentence", "observation") if demoted.rows > rows_before else ("observation",)
        demoted.packed_bytes += pack(db, stretch, demoted.num_bytes - bytes_before, tables)
    demoted.rows += int((apart - 1) * (demoted.rows - rows_before))
    _note(db, stretch)
    return stretch.event


def _to_codes(db: sqlite3.Connection, stretch: Stretch, demoted: Demoted, frame_strength: float) -> None:
    ids = [row for (row,) in select(db, "id", stretch, (VISION, *TEXT_CODES))]
    for table in ("vector", "sentence"):
        demoted.rows += recode(db, table, ids)
    standing_out = db.execute("SELECT surprise, repeats, strength FROM event WHERE id = ?", (stretch.event,)).fetchone()
    if strength_of(*standing_out) <= frame_strength:
        drop_pictures(db, stretch, demoted)


def _let_go(db: sqlite3.Connection, stretch: Stretch, demoted: Demoted) -> None:
    """An event goes. That its stretch was watched stays, facts with their quotes, and how each hour looked."""
    drop_pictures(db, stretch, demoted)
    ids = [row for (row,) in select(db, "id", stretch, tuple(MODALITIES))]
    delete_rows(db, ids, demoted)
    demoted.rows += db.execute(f"DELETE FROM track WHERE {INSIDE}", stretch.bounds).rowcount
    word_filters.fit(db, stretch, 0)
    if stretch.episode is not None:
        episodes.drop(db, [stretch.episode])
    db.execute("DELETE FROM event WHERE id = ?", (stretch.event,))
    after = (stretch.stream, stretch.end_ns)
    db.execute("UPDATE event SET cause = 'start', carries = 0 WHERE stream = ? AND start_ns = ?", after)


def _note(db: sqlite3.Connection, stretch: Stretch) -> None:
    """Remember that the stretch has faded, adjacent ones as one, and tell caches."""
    stream, low_ns, end_ns = stretch.bounds
    start_ns, until_ns = db.execute(
        "SELECT coalesce(min(start_ns), ?2), coalesce(max(end_ns), ?3) FROM faded "
        "WHERE stream = ?1 AND start_ns <= ?3 AND end_ns >= ?2",
        (stream, low_ns, end_ns),
    ).fetchone()
    db.execute("DELETE FROM faded WHERE stream = ?1 AND start_ns <= ?3 AND end_ns >= ?2", (stream, low_ns, end_ns))
    db.execute("INSERT INTO faded VALUES (?, ?, ?)", (stream, min(start_ns, low_ns), max(until_ns, end_ns)))
    db.execute("INSERT INTO revision (stream, start_ns, end_ns) VALUES (?, ?, ?)", (stream, low_ns, end_ns))
