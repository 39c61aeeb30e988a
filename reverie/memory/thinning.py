"""Level 1 and up: a few representatives instead of all moments, no boxes, no times of words, one key frame."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from reverie.memory.coarse_codes import Decoder
from reverie.memory.representatives import medoid, runs
from reverie.memory.retention import EPISODE_LEVEL
from reverie.memory.rows import LABEL_DTYPE, label_rows
from reverie.memory.stretches import (
    INSIDE,
    OBJECTS,
    SPEECH,
    TEXT_CODES,
    VISION,
    WRITING,
    Demoted,
    Stretch,
    delete_rows,
    select,
)
from reverie.types import ns

_MAX_MOMENTS, _MAX_EPISODE_MOMENTS = 4, 128
MAX_LABELS = 12
_WRITING_GAP_NS = ns(2.0)


def thin(db: sqlite3.Connection, stretch: Stretch, demoted: Demoted) -> None:
    """Take a stretch to level 1; of one that is there already, take what several had to what one may have."""
    held = _pictures_in(db, stretch)
    kept = _kept_picture(db, stretch, held)
    bearers = _keep_moments(db, stretch, demoted)
    ids = [row for (row,) in select(db, "id", stretch, (OBJECTS,))]
    delete_rows(db, ids, demoted)
    db.execute(f"UPDATE observation SET words = NULL WHERE {INSIDE} AND modality = ?", (*stretch.bounds, SPEECH))
    _join_writing(db, stretch, demoted)
    _keep_picture(db, stretch, held, kept, bearers, demoted)


def most_moments(level: int) -> int:
    """How many pictures' moments an event that became coarser may have."""
    return _MAX_MOMENTS if level < EPISODE_LEVEL else _MAX_EPISODE_MOMENTS >> (level - EPISODE_LEVEL)


def _keep_moments(db: sqlite3.Connection, stretch: Stretch, demoted: Demoted) -> list[tuple[int, int, int]]:
    """Reduce the pictures' moments to representatives: (id, start_ns, end_ns) of each run that is left."""
    moments = db.execute(
        "SELECT o.id, o.start_ns, o.end_ns, o.surprise, o.labels, v.encoder, v.scale, v.code, v.centre "
        f"FROM observation o LEFT JOIN vector v ON v.observation = o.id WHERE {INSIDE} AND modality = ? "
        "ORDER BY o.start_ns, o.id",
        (*stretch.bounds, VISION),
    ).fetchall()
    most = most_moments(stretch.level)
    if len(moments) <= most:
        return [moment[:3] for moment in moments]
    left = []
    vectors = _comparable(Decoder(db), [moment[5:] for moment in moments])
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
            delete_rows(db, [member[0] for member in members if member is not chosen], demoted)
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
    best = sorted(sums, key=lambda label: (-sums[label], label))[:MAX_LABELS]
    return np.array([(label, sums[label] / total) for label in best], dtype=LABEL_DTYPE).tobytes() if best else None


def _join_writing(db: sqlite3.Connection, stretch: Stretch, demoted: Demoted) -> None:
    """Equal writing in a row becomes one observation."""
    held: dict[str, tuple[int, int]] = {}
    for row, start_ns, end_ns, text in select(db, "id, start_ns, end_ns, text", stretch, (WRITING,)):
        known = held.get(text)
        if known is None or start_ns - known[1] > _WRITING_GAP_NS:
            held[text] = (row, end_ns)
            continue
        held[text] = (known[0], max(known[1], end_ns))
        db.execute("UPDATE observation SET end_ns = ? WHERE id = ?", (held[text][1], known[0]))
        delete_rows(db, [row], demoted)


# --- key frames ------------------------------------------------------------------------------------


def _pictures_in(db: sqlite3.Connection, stretch: Stretch) -> dict[str, int]:
    """Names that rows of the stretch hold, each with the first time."""
    found: dict[str, int] = {}
    for table in ("observation", "track"):
        rows = db.execute(
            f"SELECT picture, start_ns FROM {table} WHERE {INSIDE} AND picture IS NOT NULL ORDER BY start_ns, picture",
            stretch.bounds,
        )
        for name, start_ns in rows:
            found.setdefault(name, start_ns)
    return found


def _kept_picture(db: sqlite3.Connection, stretch: Stretch, held: dict[str, int]) -> str | None:
    """The event's own key frame, or else the first one."""
    (own,) = db.execute("SELECT picture FROM event WHERE id = ?", (stretch.event,)).fetchone()
    return own if own in held else min(held, key=lambda name: (held[name], name), default=None)


def _keep_picture(
    db: sqlite3.Connection,
    stretch: Stretch,
    held: dict[str, int],
    kept: str | None,
    bearers: list[tuple[int, int, int]],
    demoted: Demoted,
) -> None:
    """One row of the stretch holds the one key frame that is left; what showed the others shows it instead."""
    if kept is None:
        return
    bearers = bearers or select(db, "id, start_ns, end_ns", stretch, TEXT_CODES)
    for table in ("observation", "track"):
        db.execute(f"UPDATE {table} SET picture = NULL WHERE {INSIDE} AND picture IS NOT NULL", stretch.bounds)
    if bearers:
        nearest = min(bearers, key=lambda row: (max(row[1] - held[kept], held[kept] - row[2], 0), row[1], row[0]))
        db.execute("UPDATE observation SET picture = ? WHERE id = ?", (kept, nearest[0]))
    else:  # nothing but things was seen
        db.execute(
            f"UPDATE track SET picture = ? WHERE rowid = (SELECT rowid FROM track WHERE {INSIDE} LIMIT 1)",
            (kept, *stretch.bounds),
        )
    for name in sorted(held):
        if not is_held(db, name):
            demoted.pictures.add(name)
            instead = kept if is_held(db, kept) else None
            db.execute("UPDATE event SET picture = ? WHERE picture = ?", (instead, name))


def drop_pictures(db: sqlite3.Connection, stretch: Stretch, demoted: Demoted) -> None:
    """No row of the stretch holds a key frame any more."""
    held = _pictures_in(db, stretch)
    for table in ("observation", "track"):
        db.execute(f"UPDATE {table} SET picture = NULL WHERE {INSIDE} AND picture IS NOT NULL", stretch.bounds)
    for name in sorted(held):
        if not is_held(db, name):
            demoted.pictures.add(name)
            db.execute("UPDATE event SET picture = NULL WHERE picture = ?", (name,))
    demoted.rows += len(held)


def is_held(db: sqlite3.Connection, name: str) -> bool:
    """Whether an observation or a visit holds a key frame."""
    found = db.execute(
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM observation WHERE picture = ?1) "
        "OR EXISTS (SELECT 1 FROM track WHERE picture = ?1)",
        (name,),
    )
    return found.fetchone() is not None
