"""The order of passages where what says the same again counts less.

A camera sees the same scene every day and people repeat themselves, so the k best passages may be one passage k times.
This is maximal marginal relevance (Carbonell and Goldstein 1998) for near-duplicates alone: what is no such copy keeps
its score, because a question may need more than one passage; of copies each has a share of the worth of the one before.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float32, Int64
from numpy import ndarray

from reverie.memory.passage_table import PassageTable

ALIKE = 0.95  # cosine of neighbouring moments of a scene that stays as it is: see `repeats`
_FIRST, _MOST = 128, 16_384  # of the best rows that are compared: while all seem to be copies, more are taken in


def varied(
    table: PassageTable,
    score: Float32[ndarray, "n"],
    rows: Int64[ndarray, "n"],
    taken: Bool[ndarray, "m"],
    share: float,
) -> Iterator[tuple[int, float]]:
    """Places in `rows` with a positive score, the worthiest first, and what each is worth; equal ones by row.

    Args:
        table: what `rows` are numbers of.
        score: of each of them.
        rows: row numbers.
        taken: by row number; what the caller has taken in the meantime is left out.
        share: what a copy is worth of the passage before it.
    """
    rest = np.flatnonzero(score > 0)
    order, worth, given = rest[:0], np.zeros(0, np.float32), list[int]()
    size, beyond = _FIRST, np.inf
    while True:
        worth[taken[rows[order]]] = 0
        best = int(worth.argmax()) if len(worth) else 0
        most = float(worth[best]) if len(worth) else 0.0
        if len(rest) and (most <= 0 or (most < beyond and len(order) < _MOST)):
            more, rest = _split(score, rest, size)
            more = more[np.lexsort((rows[more], -score[more]))]
            fresh = score[more].astype(np.float32)
            for row in given:
                fresh[table.likeness(row, rows[more]) >= ALIKE] *= np.float32(share)
            order, worth = np.concatenate([order, more]), np.concatenate([worth, fresh])
            size, beyond = 4 * size, float(score[rest].max(initial=0))
            continue
        if most <= 0:
            return
        place = int(order[best])
        yield place, most
        worth[best] = 0
        if taken[rows[place]]:
            given.append(int(rows[place]))
            worth[table.likeness(given[-1], rows[order]) >= ALIKE] *= np.float32(share)


def _split(
    score: Float32[ndarray, "n"], places: Int64[ndarray, "m"], size: int
) -> tuple[Int64[ndarray, "k"], Int64[ndarray, "l"]]:
    """About the `size` best of some places, equal ones included, and the others."""
    if len(places) <= size:
        return places, places[:0]
    least = np.partition(score[places], len(places) - size)[len(places) - size]
    return places[score[places] >= least], places[score[places] < least]
