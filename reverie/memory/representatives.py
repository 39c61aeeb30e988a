"""A few moments that stand for many: adjacent runs and the most central member of each.

Ward's method (1963), but only what is beside each other in time merges, as frames do in MovieChat (Song et al. 2024,
section 3.2), so that every run is a stretch and a moment found in it can be placed.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from jaxtyping import Float32
from numpy import ndarray


def runs(vectors: Float32[ndarray, "n d"], most: int) -> list[tuple[int, int]]:
    """(N, D) vectors in time order to at most `most` stretches [first, last), merged where that costs least.

    What merging a and b costs is how much the squared distances to the means grow, |a| |b| / (|a| + |b|) times the
    squared distance of the means: what is like nothing beside it stays, however long its neighbours are, and what all
    vectors share does not count.
    """
    sums = [vector.astype(np.float64) for vector in vectors]
    sizes = [1] * len(sums)
    edges = list(range(len(sums) + 1))
    costs = [_cost(sums[i], sums[i + 1], 1, 1) for i in range(len(sums) - 1)]
    while len(sums) > most:
        place = int(np.argmin(costs))
        sums[place : place + 2] = [sums[place] + sums[place + 1]]
        sizes[place : place + 2] = [sizes[place] + sizes[place + 1]]
        del edges[place + 1], costs[place]
        for i in (place - 1, place):
            if 0 <= i < len(costs):
                costs[i] = _cost(sums[i], sums[i + 1], sizes[i], sizes[i + 1])
    return list(pairwise(edges))


def medoid(vectors: Float32[ndarray, "n d"]) -> int:
    """The row that is nearest to the mean of all, the first of equals."""
    return int(np.argmax(vectors @ vectors.sum(axis=0)))


def _cost(a: ndarray, b: ndarray, size_a: int, size_b: int) -> float:
    apart = a / size_a - b / size_b
    return size_a * size_b / (size_a + size_b) * float(apart @ apart)
