"""What an event is remembered by: its commonest labels and its most central key frame.

Membership goes by time: an event's moments are the VISION observations that start in it, and the one
that was showing when it began, when it began without one of its own.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from reverie.memory.coarse_codes import Decoder
from reverie.memory.rows import LABEL_DTYPE, label_rows
from reverie.memory.schema import FORGOTTEN, FORGOTTEN_PICTURES, MODALITY_CODES
from reverie.types import Modality

_VISION = MODALITY_CODES[Modality.VISION]
_MAX_NAMES = 8
_MAX_COLOURS = 3

# labels, picture, encoder, scale, code, centre
Moment = tuple[bytes | None, str | None, int | None, float | None, bytes | None, int | None]
_MOMENT = (
    "SELECT o.labels, o.picture, v.encoder, v.scale, v.code, v.centre "
    "FROM observation o LEFT JOIN vector v ON v.observation = o.id WHERE o.stream = ? AND o.modality = ? "
)
# Nothing was forgotten between a picture and a time (the last parameter).
_STILL_THERE = (
    "NOT EXISTS (SELECT 1 FROM gap g WHERE g.stream = o.stream AND g.start_ns >= o.start_ns AND g.start_ns <= ? "
    f"AND g.reason IN ('{FORGOTTEN}', '{FORGOTTEN_PICTURES}'))"
)


def summarise(
    connection: sqlite3.Connection, stream: int, start_ns: int, end_ns: int, previous: int | None
) -> tuple[bytes | None, str | None]:
    """Packed labels, best first, and picture name of [start_ns, end_ns).

    `previous`: id up to which the carried moment is looked for, None when the event carries none.
    """
    moments: list[Moment] = connection.execute(
        _MOMENT + "AND o.start_ns >= ? AND o.start_ns < ? ORDER BY o.start_ns, o.id",
        (stream, _VISION, start_ns, end_ns),
    ).fetchall()
    if previous is not None:
        moments += connection.execute(
            _MOMENT
            + f"AND o.start_ns <= ? AND o.id <= ? AND {_STILL_THERE} ORDER BY o.start_ns DESC, o.id DESC LIMIT 1",
            (stream, _VISION, start_ns, previous, start_ns),
        ).fetchall()
    things = connection.execute(
        "SELECT l.id, max(t.score) FROM track t JOIN label l ON l.name = t.name AND l.kind = 'object' "
        "WHERE t.stream = ? AND t.start_ns < ? AND t.end_ns > ? GROUP BY l.id",
        (stream, end_ns, start_ns),
    ).fetchall()
    picture = _central_picture(connection, moments) or _any_picture(connection, stream, start_ns, end_ns)
    return _common_labels(connection, moments, things), picture or shown_before(connection, stream, start_ns)


def _common_labels(
    connection: sqlite3.Connection, moments: list[Moment], things: list[tuple[int, float]]
) -> bytes | None:
    """Mean score over the moments for classes and colours, best score for tracked things."""
    sums: defaultdict[int, float] = defaultdict(float)
    for packed, *_ in moments:
        for label, score in label_rows(packed).tolist():
            sums[label] += score
    scores = {label: total / len(moments) for label, total in sums.items()} | dict(things)
    marks = ",".join("?" * len(scores))
    colours = {
        label
        for (label,) in connection.execute(
            f"SELECT id FROM label WHERE kind = 'colour' AND id IN ({marks})", tuple(scores)
        )
    }
    ranked = sorted(scores, key=lambda label: (-scores[label], label))
    names = [label for label in ranked if label not in colours][:_MAX_NAMES]
    names += [label for label in ranked if label in colours][:_MAX_COLOURS]
    if not names:
        return None
    return np.array([(label, scores[label]) for label in names], dtype=LABEL_DTYPE).tobytes()


def _central_picture(connection: sqlite3.Connection, moments: list[Moment]) -> str | None:
    """The kept picture whose vector is nearest to the centroid of the moments in its space."""
    kept = [moment for moment in moments if moment[1] is not None]
    if len(kept) < 2:
        return kept[0][1] if kept else None
    decoder = Decoder(connection)
    spaces: defaultdict[int, list[tuple[str | None, Float32[ndarray, "d"]]]] = defaultdict(list)
    for _, picture, encoder, scale, code, centre in moments:
        if encoder is not None and scale is not None and code is not None:
            spaces[encoder].append((picture, decoder.vector(scale, code, centre)))
    best, best_cosine = kept[0][1], -2.0
    for members in spaces.values():
        centroid = sum(vector for _, vector in members)
        for picture, vector in members:
            cosine = float(vector @ centroid / (np.linalg.norm(vector) * np.linalg.norm(centroid)))
            if picture is not None and cosine > best_cosine:
                best, best_cosine = picture, cosine
    return best


def _any_picture(connection: sqlite3.Connection, stream: int, start_ns: int, end_ns: int) -> str | None:
    """The first one kept in the span, of writing or of a thing that came."""
    row = connection.execute(
        "SELECT picture FROM observation WHERE stream = ? AND picture IS NOT NULL AND start_ns >= ? AND start_ns < ? "
        "ORDER BY start_ns, id LIMIT 1",
        (stream, start_ns, end_ns),
    ).fetchone()
    return row[0] if row else None


def shown_before(connection: sqlite3.Connection, stream: int, at_ns: int) -> str | None:
    """The last picture kept before a time in the same run of events."""
    row = connection.execute(
        "SELECT o.picture FROM observation o WHERE o.stream = ? AND o.picture IS NOT NULL AND o.start_ns < ? "
        "AND o.start_ns >= (SELECT max(start_ns) FROM event WHERE stream = ? AND start_ns <= ? AND cause = 'start') "
        f"AND {_STILL_THERE} ORDER BY o.start_ns DESC LIMIT 1",
        (stream, at_ns, stream, at_ns, at_ns),
    ).fetchone()
    return row[0] if row else None
