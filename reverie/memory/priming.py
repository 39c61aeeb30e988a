"""Reads the state of a stream's segmenter back from the rows, exactly as it was after the last commit.

Nothing else is kept of it. What is erased from the rows is gone from the segmenter too, once `drop_surprise` has
taken what later moments of the same event measured against it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from reverie.memory.coarse_codes import Decoder
from reverie.memory.schema import MODALITIES, MODALITY_CODES
from reverie.memory.segmentation import SegmentationConfig, Segmenter, Vector
from reverie.types import Modality, ns

_VISION = MODALITY_CODES[Modality.VISION]
_SPEECH = MODALITY_CODES[Modality.SPEECH]
_FAR_NS = 1 << 62
_MOST_AT_ONCE = 1000  # utterances that begin while another goes on, at most
# All by the index over (stream, modality, start): what is not late was fed in the order of its start.
_LAST = "SELECT start_ns FROM observation WHERE stream = ? AND modality = ? AND late = 0 ORDER BY start_ns DESC LIMIT 1"
_EVENT = "SELECT start_ns, previous, carries FROM event WHERE id = ?"
_VECTORS = (
    "SELECT v.scale, v.code, v.centre, o.picture FROM observation o LEFT JOIN vector v ON v.observation = o.id "
    "WHERE o.stream = ? AND o.modality = ? AND o.late = 0 "
)


def open_event(db: sqlite3.Connection, stream: int) -> int | None:
    """Row of the event of a stream that goes on: its last one, if that is open."""
    row = db.execute("SELECT id, open FROM event WHERE stream = ? ORDER BY start_ns DESC LIMIT 1", (stream,)).fetchone()
    return row[0] if row is not None and row[1] else None


def prime(db: sqlite3.Connection, stream: int, config: SegmentationConfig, audio_only: bool) -> Segmenter:
    """The segmenter of a stream as its rows imply it."""
    row = open_event(db, stream)
    event = None if row is None else db.execute(_EVENT, (row,)).fetchone()
    start_ns, previous, carries = event or (None, 0, 0)
    (run_ns,) = db.execute("SELECT max(start_ns) FROM event WHERE stream = ? AND cause = 'start'", (stream,)).fetchone()
    fed_ns = [db.execute(_LAST, (stream, code)).fetchone() for code in MODALITIES]
    (committed_ns,) = db.execute("SELECT committed_ns FROM stream WHERE id = ?", (stream,)).fetchone()
    (speech_end_ns,) = db.execute(
        "SELECT max(end_ns) FROM (SELECT end_ns FROM observation WHERE stream = ? AND modality = ? AND late = 0 "
        "ORDER BY start_ns DESC LIMIT ?)",
        (stream, _SPEECH, _MOST_AT_ONCE),
    ).fetchone()
    moments: list[tuple[Vector | None, bool]] = []
    last: Vector | None = None
    if start_ns is not None and run_ns is not None:
        seed = _last_vector(db, stream, run_ns, previous) if carries else None
        moments = [(seed, False)] if seed is not None else []
        moments += _moments(db, stream, start_ns, previous)
        last = _last_vector(db, stream, run_ns, None)
    return Segmenter.restored(
        config,
        audio_only,
        start_ns=start_ns,
        position_ns=max((row[0] for row in [*fed_ns, (committed_ns,)] if row and row[0] is not None), default=None),
        window=_window(db, stream, config),
        moments=moments,
        last=last,
        speech_end_ns=speech_end_ns,
    )


def drop_surprise(db: sqlite3.Connection, stream: int, since_ns: int) -> None:
    """Drop the surprise of the moments whose centroid may have held something erased before `since_ns`.

    Those of the event that goes on after it, and the one after its end, which was measured before it began another.
    """
    db.execute(
        "UPDATE observation SET surprise = NULL WHERE stream = ?1 AND modality = ?2 AND start_ns >= ?3 "
        "AND start_ns <= (SELECT CASE WHEN open THEN ?4 ELSE end_ns END AS until_ns FROM event WHERE stream = ?1 "
        "AND until_ns > (SELECT min(start_ns) FROM observation WHERE stream = ?1 AND modality = ?2 AND start_ns >= ?3) "
        "ORDER BY start_ns LIMIT 1)",
        (stream, _VISION, since_ns, _FAR_NS),
    )


def _vector(db: sqlite3.Connection, scale: float | None, code: bytes | None, centre: int | None) -> Vector | None:
    return None if scale is None or code is None else Decoder(db).vector(scale, code, centre)


def _moments(db: sqlite3.Connection, stream: int, start_ns: int, previous: int) -> Iterator[tuple[Vector | None, bool]]:
    for scale, code, centre, picture in db.execute(
        _VECTORS + "AND o.start_ns >= ? AND o.id > ? ORDER BY o.id", (stream, _VISION, start_ns, previous)
    ):
        yield _vector(db, scale, code, centre), picture is not None


def _last_vector(db: sqlite3.Connection, stream: int, since_ns: int, until_row: int | None) -> Vector | None:
    row = db.execute(
        _VECTORS
        + "AND o.start_ns >= ? AND o.id <= ? AND v.code IS NOT NULL ORDER BY o.start_ns DESC, o.id DESC LIMIT 1",
        (stream, _VISION, since_ns, until_row if until_row is not None else _FAR_NS),
    ).fetchone()
    return _vector(db, *row[:3]) if row else None


def _window(db: sqlite3.Connection, stream: int, config: SegmentationConfig) -> list[tuple[int, float]]:
    """The trailing window, a little more than needed: the segmenter trims it by the time of each moment."""
    return db.execute(
        "SELECT start_ns, surprise FROM observation WHERE stream = ?1 AND modality = ?2 AND surprise IS NOT NULL "
        "AND start_ns >= ?3 + (SELECT coalesce(max(start_ns), 0) FROM observation WHERE stream = ?1 AND modality = ?2) "
        "ORDER BY id",
        (stream, _VISION, -ns(config.window_s)),
    ).fetchall()
