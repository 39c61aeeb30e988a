"""Where exactly one event ends and the next begins, decided anew once both are there.

Surprise places a boundary knowing only what came before it. When the second of two events is complete, the
boundary between them moves to the best division of their moments: the one of highest modularity (Newman 2006)
in the graph that weights two moments by their cosine (Fountas et al. 2024, section 3.3). A table of prefix sums
gives every division its sums, so N moments cost N^2.

Only a boundary that surprise made moves; cuts, things, pauses and losses are where they are. Both events keep
their shortest and longest duration. All of it is read from the rows, so nothing has to be remembered for it.
"""

from __future__ import annotations

import sqlite3

import numpy as np
from jaxtyping import Float32, Int
from numpy import ndarray

from reverie.memory.events import summarise
from reverie.memory.schema import MODALITY_CODES
from reverie.memory.segmentation import SegmentationConfig
from reverie.memory.vectors import dequantise
from reverie.types import Modality, ns


def best_split(vectors: Float32[ndarray, "n d"], candidates: Int[ndarray, "c"]) -> int | None:
    """The index of the moment that should begin the second event.

    Args:
        vectors: (N, D) one for each moment of both events, in time order.
        candidates: (C,) indices in 1..N-1 to choose from, in order.

    Returns:
        One of the candidates, the earliest of equals; None when there are none, or no two moments are alike.
    """
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = (vectors / np.where(norms > 0, norms, 1)).astype(np.float64)
    weights = np.maximum(unit @ unit.T, 0)
    np.fill_diagonal(weights, 0)
    total = float(weights.sum())
    if len(candidates) == 0 or total <= 0:
        return None
    within = np.diagonal(weights.cumsum(0).cumsum(1))[candidates - 1]
    left = weights.sum(1).cumsum()[candidates - 1]
    inside = total - 2 * (left - within)
    return int(candidates[np.argmax(inside / total - (left / total) ** 2 - (1 - left / total) ** 2)])


def candidates(
    times_ns: Int[ndarray, "n"], start_ns: int, boundary_ns: int, end_ns: int, config: SegmentationConfig
) -> Int[ndarray, "c"]:
    """Indices of the moments that may begin the second of two events, [start_ns, boundary_ns) and [.., end_ns).

    None where a hard cut ended the second one before its shortest duration: any other start would be wrong.

    Args:
        times_ns: (N,) of the moments of both, not decreasing; of several at one time only the first may.
        start_ns: where the first event starts.
        boundary_ns: where the second starts now.
        end_ns: where the second ends.
        config: the shortest and longest duration of both.
    """
    first_ns = max(start_ns + ns(config.min_s), end_ns - ns(config.max_s))
    last_ns = min(start_ns + ns(config.max_s), end_ns - ns(config.min_s))
    begins = np.flatnonzero(np.diff(times_ns) > 0) + 1
    if boundary_ns > last_ns:
        return begins[:0]
    return begins[(times_ns[begins] >= first_ns) & (times_ns[begins] <= last_ns)]


def refine(db: sqlite3.Connection, event: int, end_ns: int, config: SegmentationConfig) -> None:
    """Before an event is closed at `end_ns`: move its start, and the end and summary of the event before it."""
    stream, start_ns, cause = db.execute("SELECT stream, start_ns, cause FROM event WHERE id = ?", (event,)).fetchone()
    before = db.execute(
        "SELECT id, start_ns, previous, carries FROM event WHERE stream = ? AND end_ns = ? AND NOT open",
        (stream, start_ns),
    ).fetchone()
    if cause != "change" or before is None:
        return
    before_event, before_ns, before_previous, before_carries = before
    moved = _best_start(db, stream, before_ns, start_ns, end_ns, config)
    if moved is None or moved[0] == start_ns:
        return
    new_ns, row = moved
    labels, picture = summarise(db, stream, before_ns, new_ns, before_previous if before_carries else None)
    db.execute(
        "UPDATE event SET end_ns = ?, labels = ?, picture = ? WHERE id = ?", (new_ns, labels, picture, before_event)
    )
    db.execute("UPDATE event SET start_ns = ?, previous = ? WHERE id = ?", (new_ns, row - 1, event))


def _best_start(
    db: sqlite3.Connection, stream: int, start_ns: int, boundary_ns: int, end_ns: int, config: SegmentationConfig
) -> tuple[int, int] | None:
    """(start_ns, id) of the moment that should begin the second of two events that fill [start_ns, end_ns)."""
    rows = db.execute(
        "SELECT o.start_ns, o.id, v.encoder, v.scale, v.code FROM observation o JOIN vector v ON v.observation = o.id "
        "WHERE o.stream = ? AND o.modality = ? AND o.late = 0 AND o.start_ns >= ? AND o.start_ns < ? ORDER BY o.id",
        (stream, MODALITY_CODES[Modality.VISION], start_ns, end_ns),
    ).fetchall()
    if len(rows) < 2 or len({encoder for _, _, encoder, _, _ in rows}) > 1:  # two encoders cannot be compared
        return None
    times_ns = np.array([row[0] for row in rows])
    vectors = np.stack([dequantise(np.frombuffer(code, np.int8), scale) for *_, scale, code in rows])
    split = best_split(vectors, candidates(times_ns, start_ns, boundary_ns, end_ns, config))
    return None if split is None else (rows[split][0], rows[split][1])
