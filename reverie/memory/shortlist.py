"""Which rows are worth comparing with a question, where comparing all of them would take too long.

Beyond `exact_rows`, two lists name them: those nearest by sign codes, and the worthiest of those that the question's
words name. They are scored exactly and the best are trusted to be the best of all, so every hit has the score that the
full scan would give it; only a row that neither list names can be missed. What the trusted ones score at least is what
those left out may score: where a hit is worth less (many may be copies of one scene, or parts of one passage), longer
lists are made, and then all rows are compared after all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

from reverie.memory.search_config import SearchConfig

_PER_HIT = 16  # rows that are trusted, at least, for each hit that is asked for
_LONGER = 8


class Scored(Protocol):
    """A passage that has a score."""

    @property
    def score(self) -> float: ...


Passage = TypeVar("Passage", bound=Scored)


def length(config: SearchConfig, k: int) -> int:
    """How many rows each list names for `k` hits."""
    return max(config.shortlist_rows, 4 * _PER_HIT * k)


def num_trusted(config: SearchConfig, k: int) -> int:
    """How many of them, for `k` hits, are the best of all rows."""
    return max(config.shortlist_rows // 8, _PER_HIT * k)


def best_of(
    rows: Int64[ndarray, "n"], scores: Float32[ndarray, "n"], most: int
) -> tuple[Int64[ndarray, "m"], Float32[ndarray, "m"]]:
    """The `most` best of ascending rows, ascending, and their scores."""
    if len(rows) <= most:
        return rows, scores
    best = np.sort(np.argpartition(-scores, most)[:most])
    return rows[best], scores[best]


def union(lists: Sequence[Int64[ndarray, "_"]]) -> Int64[ndarray, "m"]:
    """The rows of all lists, ascending."""
    return np.unique(np.concatenate([np.zeros(0, np.int64), *lists]))


def widened(k: int, search: Callable[[int | None], tuple[list[Passage], float]]) -> list[Passage]:
    """What `search` finds with lists made for `k` hits, with longer ones, or without (None): while more may be found.

    `search` returns at most `k` passages, and what those that are left out may score (0: nothing).
    """
    for wanted in (k, _LONGER * k):
        found, left = search(wanted)
        if left <= 0 or (len(found) == k and min((passage.score for passage in found), default=left) >= left):
            return found
    return search(None)[0]
