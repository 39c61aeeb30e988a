"""A few moments that stand for many: adjacent runs and the most central member of each.

Bottom-up merging of neighbours, as MovieChat merges frames (Song et al. 2024, section 3.2) and Ward's method
merges clusters, but only beside each other in time, so that every run is a stretch and a moment found in it
can be placed.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from jaxtyping import Float32
from numpy import ndarray


def runs(vectors: Float32[ndarray, "n d"], most: int) -> list[tuple[int, int]]:
    """(N, D) vectors in time order to at most `most` stretches [first, last): the most alike merge first."""
    sums = [vector.astype(np.float64) for vector in vectors]
    edges = list(range(len(sums) + 1))
    alike = [_cosine(a, b) for a, b in pairwise(sums)]
    while len(sums) > most:
        place = int(np.argmax(alike))
        sums[place : place + 2] = [sums[place] + sums[place + 1]]
        del edges[place + 1], alike[place]
        if place > 0:
            alike[place - 1] = _cosine(sums[place - 1], sums[place])
        if place < len(alike):
            alike[place] = _cosine(sums[place], sums[place + 1])
    return list(pairwise(edges))


def medoid(vectors: Float32[ndarray, "n d"]) -> int:
    """The row that is nearest to the mean of all, the first of equals."""
    return int(np.argmax(vectors @ vectors.sum(axis=0)))


def _cosine(a: ndarray, b: ndarray) -> float:
    norms = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    return float(a @ b) / norms if norms > 0 else 1.0
