"""Demotion: an event gives up detail for space, level by level, and nothing is dropped while less would do.

    0 full              every moment, box, word time and key frame
    1 representatives   at most 4 pictures' moments, each for a run of them (its span, mean names, most central
                        vector); no boxes, no times of words, equal writing in a row once, 1 key frame; every text
    2 sign codes        vectors with one bit a number; a key frame only where the event stands out; every text
    3 episode           one with the neighbours in its episode that came this far, later with other episodes: at most
                        32 moments and 3200 bytes of sentences word for word; visits live on as names of moments

What is left are observations again, at their own times: search, timeline, erasure and export need no second
way. The stretch is noted in `faded`, so that sending it again brings nothing back, and in `revision`, so that
caches follow. Everything here runs in the transaction that is open.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from reverie.memory import episodes, lexical
from reverie.memory.episodes import LONGEST_NS
from reverie.memory.events import summarise
from reverie.memory.pins import is_pinned
from reverie.memory.representatives import medoid, runs
from reverie.memory.retention import EPISODE_LEVEL, worth
from reverie.memory.rows import LABEL_DTYPE, label_rows
from reverie.memory.schema import MODALITY_CODES, TEXT_MODALITIES
from reverie.memory.sign_codes import Decoder, recode
from reverie.memory.summary import central_sentences
from reverie.types import Modality, ns

REPRESENTATIVES_LEVEL, CODES_LEVEL = 1, 2
_MAX_MOMENTS = 4  # of an event
_MAX_EPISODE_MOMENTS, _MAX_EPISODE_TEXT_BYTES = 32, 3200
_MAX_LABELS = 12
_MAX_THINGS = 4
_WRITING_GAP_NS = ns(2.0)
_VISION, _OBJECTS, _WRITING, _SPEECH = (
    MODALITY_CODES[modality] for modality in (Modality.VISION, Modality.OBJECTS, Modality.WRITING, Modality.SPEECH)
)
_TEXT_CODES = tuple(MODALITY_CODES[modality] for modality in TEXT_MODALITIES)
_INSIDE = "stream = ? AND start_ns >= ? AND start_ns < ?"


@dataclass(slots=True)
class Demoted:
    """What demotions took: rows touched, texts gone, and the names of pictures that no row holds any more."""

    rows: int = 0
    texts: int = 0
    pictures: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Stretch:
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


def has_faded(db: sqlite3.Connection, stream: int, at_ns: int) -> bool:
    """Whether what was perceived at a time is kept in a coarser form."""
    row = db.execute(
        "SELECT end_ns FROM faded WHERE stream = ? AND start_ns <= ? ORDER BY start_ns DESC LIMIT 1", (stream, at_ns)
    ).fetchone()
    return row is not None and at_ns < row[0]


def demote(db: sqlite3.Connection, event: int, demoted: Demoted, picture_worth: float) -> int | None:
    """Take an event down one level; return the event that stands for it now, None when it can go no lower.

    An episode goes lower by joining the neighbouring episode of its stream that makes the shorter whole.
    `picture_worth`: at level 2 an event keeps its key frame if it stands out by more (see `retention.worth`).
    """
    stretch = _stretch(db, event)
    if stretch is None:
        return None  # became part of another in the meantime
    if stretch.level == 0:
        _thin(db, stretch, demoted)
        db.execute("UPDATE event SET level = ? WHERE id = ?", (REPRESENTATIVES_LEVEL, event))
    elif stretch.level == REPRESENTATIVES_LEVEL:
        _to_codes(db, stretch, demoted, picture_worth)
        db.execute("UPDATE event SET level = ? WHERE id = ?", (CODES_LEVEL, event))
    else:
        others = _neighbours(db, stretch)
        if stretch.level == EPISODE_LEVEL and not others:
            return None
        stretch = _join(db, [stretch, *others])
        _thin(db, stretch, demoted)
        _sum_up(db, stretch, demoted)
        labels, picture = summarise(db, stretch.stream, stretch.start_ns, stretch.end_ns, None)
        db.execute("UPDATE event SET labels = ?, picture = ? WHERE id = ?", (labels, picture, stretch.event))
    _note(db, stretch)
    return stretch.event


def _stretch(db: sqlite3.Connection, event: int) -> _Stretch | None:
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
    return _Stretch(event, stream, min(low_ns, start_ns), start_ns, end_ns, level, episode)


# --- levels 1 and up: fewer rows -------------------------------------------------------------------


def _thin(db: sqlite3.Connection, stretch: _Stretch, demoted: Demoted) -> None:
    held = _pictures(db, stretch)
    kept = _kept_picture(db, stretch, held)
    bearers = _keep_moments(db, stretch, demoted)
    ids = [row for (row,) in _select(db, "id", stretch, (_OBJECTS,))]
    _delete(db, ids, demoted)
    db.execute(f"UPDATE observation SET words = NULL WHERE {_INSIDE} AND modality = ?", (*stretch.bounds, _SPEECH))
    _join_writing(db, stretch, demoted)
    _keep_picture(db, stretch, held, kept, bearers, demoted)


def _keep_moments(db: sqlite3.Connection, stretch: _Stretch, demoted: Demoted) -> list[tuple[int, int, int]]:
    """Reduce the pictures' moments to representatives: (id, start_ns, end_ns) of each run that is left."""
    moments = db.execute(
        "SELECT o.id, o.start_ns, o.end_ns, o.surprise, o.labels, v.encoder, v.scale, v.code, v.centre "
        f"FROM observation o LEFT JOIN vector v ON v.observation = o.id WHERE {_INSIDE} AND modality = ? "
        "ORDER BY o.start_ns, o.id",
        (*stretch.bounds, _VISION),
    ).fetchall()
    left = []
    vectors = _comparable(Decoder(db), [moment[5:] for moment in moments])
    most = _MAX_EPISODE_MOMENTS if stretch.level == EPISODE_LEVEL else _MAX_MOMENTS
    for first, last in runs(vectors, most):
        members = moments[first:last]
        chosen = members[medoid(vectors[first:last])]
        span = (members[0][1], max(member[2] for member in members))
        left.append((chosen[0], *span))
        if len(members) > 1:
            surprises = [member[3] for member in members if member[3] is not None]
            labels = _mean_labels([(member[4], 1.0) for member in members])
            db.execute(
                "UPDATE observation SET start_ns = ?, end_ns = ?, surprise = ?, labels = ? WHERE id = ?",
                (*span, max(surprises, default=None), labels, chosen[0]),
            )
            demoted.rows += 1
            _delete(db, [member[0] for member in members if member is not chosen], demoted)
    return left


def _comparable(
    decoder: Decoder, stored: Sequence[tuple[int | None, float | None, bytes | None, int | None]]
) -> Float32[ndarray, "n d"]:
    """Vectors in the space that most moments share; one without a vector there takes that of its neighbour."""
    counts: defaultdict[int, int] = defaultdict(int)
    for encoder, *_ in stored:
        if encoder is not None:
            counts[encoder] += 1
    if not counts:
        return np.ones((len(stored), 1), dtype=np.float32)
    space = min(counts, key=lambda encoder: (-counts[encoder], encoder))
    vectors: list[Any] = [
        decoder.vector(scale, code, centre) if encoder == space and code is not None and scale is not None else None
        for encoder, scale, code, centre in stored
    ]
    last = next(vector for vector in vectors if vector is not None)
    for number, vector in enumerate(vectors):
        last = vectors[number] = last if vector is None else vector
    return np.stack(vectors)


def _mean_labels(packed: Iterable[tuple[bytes | None, float]]) -> bytes | None:
    """Weighted mean scores over some moments, the best names first."""
    sums: defaultdict[int, float] = defaultdict(float)
    total = 0.0
    for part, weight in packed:
        total += weight
        for label, score in label_rows(part).tolist():
            sums[label] += weight * score
    best = sorted(sums, key=lambda label: (-sums[label], label))[:_MAX_LABELS]
    return np.array([(label, sums[label] / total) for label in best], dtype=LABEL_DTYPE).tobytes() if best else None


def _join_writing(db: sqlite3.Connection, stretch: _Stretch, demoted: Demoted) -> None:
    """Equal writing in a row becomes one observation."""
    held: dict[str, tuple[int, int]] = {}
    for row, start_ns, end_ns, text in _select(db, "id, start_ns, end_ns, text", stretch, (_WRITING,)):
        known = held.get(text)
        if known is None or start_ns - known[1] > _WRITING_GAP_NS:
            held[text] = (row, end_ns)
            continue
        held[text] = (known[0], max(known[1], end_ns))
        db.execute("UPDATE observation SET end_ns = ? WHERE id = ?", (held[text][1], known[0]))
        _delete(db, [row], demoted)


# --- key frames ------------------------------------------------------------------------------------


def _pictures(db: sqlite3.Connection, stretch: _Stretch) -> dict[str, int]:
    """Names that rows of the stretch hold, each with the first time."""
    found: dict[str, int] = {}
    for table in ("observation", "track"):
        rows = db.execute(
            f"SELECT picture, start_ns FROM {table} WHERE {_INSIDE} AND picture IS NOT NULL ORDER BY start_ns, picture",
            stretch.bounds,
        )
        for name, start_ns in rows:
            found.setdefault(name, start_ns)
    return found


def _kept_picture(db: sqlite3.Connection, stretch: _Stretch, held: dict[str, int]) -> str | None:
    """The event's own key frame, or else the first one."""
    (own,) = db.execute("SELECT picture FROM event WHERE id = ?", (stretch.event,)).fetchone()
    return own if own in held else min(held, key=lambda name: (held[name], name), default=None)


def _keep_picture(
    db: sqlite3.Connection,
    stretch: _Stretch,
    held: dict[str, int],
    kept: str | None,
    bearers: list[tuple[int, int, int]],
    demoted: Demoted,
) -> None:
    """One row of the stretch holds the one key frame that is left; what showed the others shows it instead."""
    if kept is None:
        return
    bearers = bearers or _select(db, "id, start_ns, end_ns", stretch, _TEXT_CODES)
    for table in ("observation", "track"):
        db.execute(f"UPDATE {table} SET picture = NULL WHERE {_INSIDE} AND picture IS NOT NULL", stretch.bounds)
    if bearers:
        nearest = min(bearers, key=lambda row: (max(row[1] - held[kept], held[kept] - row[2], 0), row[1], row[0]))
        db.execute("UPDATE observation SET picture = ? WHERE id = ?", (kept, nearest[0]))
    else:  # nothing but things was seen
        db.execute(
            f"UPDATE track SET picture = ? WHERE rowid = (SELECT rowid FROM track WHERE {_INSIDE} LIMIT 1)",
            (kept, *stretch.bounds),
        )
    for name in sorted(held):
        if not _is_held(db, name):
            demoted.pictures.add(name)
            instead = kept if _is_held(db, kept) else None
            db.execute("UPDATE event SET picture = ? WHERE picture = ?", (instead, name))


def _is_held(db: sqlite3.Connection, name: str) -> bool:
    found = db.execute(
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM observation WHERE picture = ?1) "
        "OR EXISTS (SELECT 1 FROM track WHERE picture = ?1)",
        (name,),
    )
    return found.fetchone() is not None


# --- level 2: a bit a number -----------------------------------------------------------------------


def _to_codes(db: sqlite3.Connection, stretch: _Stretch, demoted: Demoted, picture_worth: float) -> None:
    ids = [row for (row,) in _select(db, "id", stretch, (_VISION, *_TEXT_CODES))]
    demoted.rows += recode(db, "vector", ids) + recode(db, "sentence", ids)
    standing_out = db.execute("SELECT surprise, repeats, strength FROM event WHERE id = ?", (stretch.event,)).fetchone()
    if worth(*standing_out) > picture_worth:
        return
    held = _pictures(db, stretch)
    for table in ("observation", "track"):
        db.execute(f"UPDATE {table} SET picture = NULL WHERE {_INSIDE} AND picture IS NOT NULL", stretch.bounds)
    for name in sorted(held):
        if not _is_held(db, name):
            demoted.pictures.add(name)
            db.execute("UPDATE event SET picture = NULL WHERE picture = ?", (name,))
    demoted.rows += len(held)


# --- level 3: one for many -------------------------------------------------------------------------


def _neighbours(db: sqlite3.Connection, stretch: _Stretch) -> list[_Stretch]:
    """Merged events beside one that it joins: those of its episode; of none yet, while the whole is short enough.

    For a merged one itself: the one of its stream that makes the shorter whole, over a gap if need be.
    """
    sides = []
    for order, compare in (("DESC", "<"), ("ASC", ">")):
        row = db.execute(
            f"SELECT id FROM event WHERE stream = ? AND start_ns {compare} ? AND NOT open "
            f"ORDER BY start_ns {order} LIMIT 1",
            (stretch.stream, stretch.start_ns),
        ).fetchone()
        beside = _stretch(db, row[0]) if row else None
        if beside is None or beside.level != EPISODE_LEVEL:
            continue
        if not is_pinned(db, beside.stream, beside.start_ns, beside.end_ns):
            sides.append(beside)
    if stretch.level == EPISODE_LEVEL:
        return sorted(sides, key=lambda side: (_length(side, stretch), side.start_ns))[:1]
    joined: list[_Stretch] = []
    for side in sides:
        touches = side.end_ns == stretch.start_ns or side.start_ns == stretch.end_ns
        short = stretch.episode is not None or _length(stretch, side, *joined) <= LONGEST_NS
        if touches and side.episode == stretch.episode and short:
            joined.append(side)
    return joined


def _length(*stretches: _Stretch) -> int:
    return max(part.end_ns for part in stretches) - min(part.start_ns for part in stretches)


def _join(db: sqlite3.Connection, parts: list[_Stretch]) -> _Stretch:
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
        "UPDATE event SET end_ns = ?, level = ?, carries = 0, surprise = ?, strength = ?, recalled_ns = ?, "
        "repeats = ?, episode = ? WHERE id = ?",
        (end_ns, EPISODE_LEVEL, *values, first.event),
    )
    whole = sorted({part.episode for part in parts if part.episode is not None})
    episode = episodes.join(db, whole) if len(whole) > 1 else values[-1]
    return _Stretch(first.event, first.stream, first.low_ns, first.start_ns, end_ns, EPISODE_LEVEL, episode)


def _sum_up(db: sqlite3.Connection, stretch: _Stretch, demoted: Demoted) -> None:
    """Keep the sentences that say most, those of the episode's summary in any case, and of visits their names."""
    rows = db.execute(
        "SELECT o.id, o.text, v.scale, v.code, v.centre FROM observation o "
        f"LEFT JOIN vector v ON v.observation = o.id WHERE {_INSIDE} AND modality IN (?, ?, ?) "
        "ORDER BY o.start_ns, o.id",
        (*stretch.bounds, *_TEXT_CODES),
    ).fetchall()
    texts = [row[1] for row in rows]
    decoder = Decoder(db)
    vectors = [None if code is None else decoder.vector(scale, code, centre) for _, _, scale, code, centre in rows]
    numbers = central_sentences(texts, vectors, _MAX_EPISODE_TEXT_BYTES)
    if stretch.episode is not None:
        numbers += episodes.kept_sentences(db, stretch.episode, texts)
    chosen = {rows[number][0] for number in numbers}
    bearing = {row for (row,) in _select(db, "id", stretch, _TEXT_CODES, "AND picture IS NOT NULL")}
    _delete(db, [row[0] for row in rows if row[0] not in chosen | bearing], demoted)
    tracks = db.execute(
        "SELECT t.rowid, l.id, t.score, t.start_ns, t.end_ns, t.picture FROM track t "
        "JOIN label l ON l.name = t.name AND l.kind = 'object' WHERE t.stream = ? AND t.end_ns > ? AND t.end_ns <= ? "
        "ORDER BY t.score DESC, t.track",
        stretch.bounds,
    ).fetchall()
    moments = _select(db, "id, start_ns, end_ns, labels", stretch, (_VISION,))
    for row, start_ns, end_ns, packed in moments:
        things: dict[int, float] = {}
        for _, label, score, since_ns, until_ns, _ in tracks:
            if since_ns < end_ns and until_ns > start_ns and len(things) < _MAX_THINGS:
                things.setdefault(label, score)
        if things:
            known = [pair for pair in label_rows(packed).tolist() if pair[0] not in things]
            merged = np.array([*things.items(), *known][:_MAX_LABELS], dtype=LABEL_DTYPE).tobytes()
            db.execute("UPDATE observation SET labels = ? WHERE id = ?", (merged, row))
    gone = [(track[0],) for track in tracks if moments or track[5] is None]
    db.executemany("DELETE FROM track WHERE rowid = ?", gone)
    demoted.rows += len(gone)
    for name in {track[5] for track in tracks if track[5] is not None}:
        if not _is_held(db, name):  # of a visit that began in an earlier event
            demoted.pictures.add(name)
            db.execute("UPDATE event SET picture = NULL WHERE picture = ?", (name,))


# --- rows ------------------------------------------------------------------------------------------


def _select(db: sqlite3.Connection, columns: str, stretch: _Stretch, codes: tuple[int, ...], also: str = "") -> Any:
    marks = ",".join("?" * len(codes))
    return db.execute(
        f"SELECT {columns} FROM observation WHERE {_INSIDE} AND modality IN ({marks}) {also} ORDER BY start_ns, id",
        (*stretch.bounds, *codes),
    ).fetchall()


def _delete(db: sqlite3.Connection, ids: Sequence[int], demoted: Demoted) -> None:
    for row in ids:
        text, modality = db.execute("SELECT text, modality FROM observation WHERE id = ?", (row,)).fetchone()
        if text and modality in _TEXT_CODES:
            lexical.remove(db, "observation_text", row, text)
            demoted.texts += 1
        db.execute("DELETE FROM vector WHERE observation = ?", (row,))
        db.execute("DELETE FROM sentence WHERE observation = ?", (row,))
        db.execute("DELETE FROM observation WHERE id = ?", (row,))
    demoted.rows += len(ids)


def _note(db: sqlite3.Connection, stretch: _Stretch) -> None:
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
