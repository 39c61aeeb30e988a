"""Level 3 and up: one event for many. The sentences that say most stay; visits live on as names of moments."""

from __future__ import annotations

import sqlite3

import numpy as np

from reverie.memory import episodes
from reverie.memory.coarse_codes import Decoder
from reverie.memory.episodes import LONGEST_NS
from reverie.memory.pins import is_pinned
from reverie.memory.retention import EPISODE_LEVEL
from reverie.memory.rows import LABEL_DTYPE, label_rows
from reverie.memory.stretches import INSIDE, TEXT_CODES, VISION, Demoted, Stretch, delete_rows, select, stretch_of
from reverie.memory.summary import central_sentences, fits
from reverie.memory.thinning import MAX_LABELS, is_held

_MAX_THINGS = 4
_MUCH_LONGER = 4
MAX_TEXT_BYTES = 12_800


def neighbours(db: sqlite3.Connection, stretch: Stretch, patient: bool = True) -> list[Stretch]:
    """Merged events beside one that it joins: those of its episode; of none yet, while the whole is short enough.

    For a merged one itself: the one of its stream that makes the shorter whole, over a gap if need be. While on the
    other side there is one that has not come as far, a `patient` one waits for that rather than join a much longer one:
    what joins has the moments of one, and the longer would lose its own to ever more others.
    """
    sides = []
    waits = False
    for order, compare in (("DESC", "<"), ("ASC", ">")):
        row = db.execute(
            f"SELECT id FROM event WHERE stream = ? AND start_ns {compare} ? AND NOT open "
            f"ORDER BY start_ns {order} LIMIT 1",
            (stretch.stream, stretch.start_ns),
        ).fetchone()
        beside = stretch_of(db, row[0]) if row else None
        if beside is None or beside.level < EPISODE_LEVEL:
            waits |= beside is not None and patient
            continue
        if not is_pinned(db, beside.stream, beside.start_ns, beside.end_ns):
            sides.append(beside)
    if stretch.level >= EPISODE_LEVEL:
        sides = [side for side in sides if not waits or _length(side) <= _MUCH_LONGER * _length(stretch)]
        return sorted(sides, key=lambda side: (_length(side, stretch), side.start_ns))[:1]
    joined: list[Stretch] = []
    for side in sides:
        touches = side.end_ns == stretch.start_ns or side.start_ns == stretch.end_ns
        short = stretch.episode is not None or _length(stretch, side, *joined) <= LONGEST_NS
        if touches and side.episode == stretch.episode and short:
            joined.append(side)
    return joined


def _length(*stretches: Stretch) -> int:
    return max(part.end_ns for part in stretches) - min(part.start_ns for part in stretches)


def join_events(db: sqlite3.Connection, parts: list[Stretch]) -> Stretch:
    """Several events become the first of them, a merged one; so do the episodes that they were in."""
    parts = sorted(parts, key=lambda part: part.start_ns)
    first, end_ns = parts[0], max(part.end_ns for part in parts)
    ids = [part.event for part in parts]
    marks = ",".join("?" * len(ids))
    values = db.execute(
        "SELECT max(surprise), max(strength), max(recalled_ns), sum(repeats), max(episode) FROM event "
        f"WHERE id IN ({marks})",
        ids,
    ).fetchone()
    db.executemany("DELETE FROM event WHERE id = ?", [(row,) for row in ids[1:]])
    db.execute(
        "UPDATE event SET end_ns = ?, carries = 0, surprise = ?, strength = ?, recalled_ns = ?, "
        "repeats = ?, episode = ? WHERE id = ?",
        (end_ns, *values, first.event),
    )
    whole = sorted({part.episode for part in parts if part.episode is not None})
    grown = len(whole) > 1 or (whole and any(part.episode is None for part in parts))
    episode = episodes.join(db, whole) if grown else values[-1]
    return Stretch(first.event, first.stream, first.low_ns, first.start_ns, end_ns, EPISODE_LEVEL, episode)


def sum_up(db: sqlite3.Connection, stretch: Stretch, demoted: Demoted, max_text_bytes: int) -> None:
    """Keep the sentences that say most, at level 3 those of the episode's summary in any case, and names of visits.

    `max_text_bytes`: of the sentences at level 3; half of it at each level below.
    """
    rows = db.execute(
        "SELECT o.id, o.text, v.scale, v.code, v.centre FROM observation o "
        f"LEFT JOIN vector v ON v.observation = o.id WHERE {INSIDE} AND modality IN (?, ?, ?) "
        "ORDER BY o.start_ns, o.id",
        (*stretch.bounds, *TEXT_CODES),
    ).fetchall()
    texts, max_bytes = [row[1] for row in rows], max_text_bytes >> (stretch.level - EPISODE_LEVEL)
    if fits(texts, max_bytes):
        numbers = list(range(len(texts)))
    else:
        decoder = Decoder(db)
        vectors = [None if code is None else decoder.vector(scale, code, centre) for _, _, scale, code, centre in rows]
        numbers = central_sentences(texts, vectors, max_bytes)
    if stretch.episode is not None and stretch.level == EPISODE_LEVEL:
        numbers += episodes.kept_sentences(db, stretch.episode, texts)
    chosen = {rows[number][0] for number in numbers}
    bearing = {row for (row,) in select(db, "id", stretch, TEXT_CODES, "AND picture IS NOT NULL")}
    delete_rows(db, [row[0] for row in rows if row[0] not in chosen | bearing], demoted)
    tracks = db.execute(
        "SELECT t.rowid, l.id, t.score, t.start_ns, t.end_ns, t.picture FROM track t "
        "JOIN label l ON l.name = t.name AND l.kind = 'object' WHERE t.stream = ? AND t.end_ns > ? AND t.end_ns <= ? "
        "ORDER BY t.score DESC, t.track",
        stretch.bounds,
    ).fetchall()
    moments = select(db, "id, start_ns, end_ns, labels", stretch, (VISION,))
    for row, start_ns, end_ns, packed in moments:
        things: dict[int, float] = {}
        for _, label, score, since_ns, until_ns, _ in tracks:
            if since_ns < end_ns and until_ns > start_ns and len(things) < _MAX_THINGS:
                things.setdefault(label, score)
        if things:
            known = [pair for pair in label_rows(packed).tolist() if pair[0] not in things]
            merged = np.array([*things.items(), *known][:MAX_LABELS], dtype=LABEL_DTYPE).tobytes()
            db.execute("UPDATE observation SET labels = ? WHERE id = ?", (merged, row))
    gone = [(track[0],) for track in tracks if moments or track[5] is None]
    db.executemany("DELETE FROM track WHERE rowid = ?", gone)
    demoted.rows += len(gone)
    for name in {track[5] for track in tracks if track[5] is not None}:
        if not is_held(db, name):  # of a visit that began in an earlier event
            demoted.pictures.add(name)
            db.execute("UPDATE event SET picture = NULL WHERE picture = ?", (name,))
