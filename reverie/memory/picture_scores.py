"""The evidence of pictures for a question: of all of them while that is quick, then of a shortlist (`shortlist`).

The lists name those nearest to the question by sign codes, those whose names answer it (the worthiest, and the nearest
of them), and those nearest to the looks of what it asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Int64
from numpy import ndarray

from reverie.memory.entities import Look, with_looks
from reverie.memory.label_index import LabelEvidence
from reverie.memory.passage_table import PassageTable
from reverie.memory.search_config import SearchConfig
from reverie.memory.shortlist import best_of, length, num_trusted, union
from reverie.memory.vectors import ramp

Scores = Float32[ndarray, "n"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureEvidence:
    """Of each of some rows: its score (0 where it may not be a hit), cosine, its share of the terms, and its look.

    `looks`: the number of the look that the score is owed to (-1: none). `left`: what pictures that are not among the
    rows may score (0: nothing).
    """

    rows: Int64[ndarray, "n"]
    score: Scores
    dense: Scores
    coverage: Scores
    looks: Int64[ndarray, "n"]
    left: float = 0.0


class PictureScores:
    """The pictures of a table under one question; `keep` are those that pass its filters."""

    def __init__(
        self,
        table: PassageTable,
        queries: dict[int, Float32[ndarray, "d"]],
        labels: LabelEvidence,
        looks: Sequence[Look],
        keep: Bool[ndarray, "n"],
        config: SearchConfig,
    ) -> None:
        self._table, self._queries, self._labels, self._looks = table, queries, labels, looks
        self._keep, self._config = keep, config
        self._known = np.full(len(table), np.nan, np.float32)

    def best(self, k: int | None) -> PictureEvidence:
        """The evidence of the pictures that may be among the `k` best (None: of all)."""
        if k is None or len(self._table) <= self._config.exact_rows:
            return self._evidence(None)
        kept = None if self._keep.all() else np.flatnonzero(self._keep)
        most = length(self._config, k)
        if kept is not None and len(kept) <= most:
            return self._evidence(kept)
        found = self._evidence(self._named(most))
        _, trusted = best_of(found.rows, found.score, num_trusted(self._config, k))
        left = float(trusted.min()) if len(trusted) == num_trusted(self._config, k) else 0.0
        return replace(found, left=left)

    def of(self, rows: Int64[ndarray, "n"]) -> Scores:
        """The score of some pictures."""
        fresh = rows[np.isnan(self._known[rows])]
        if len(fresh):
            self._evidence(fresh)
        scores: Scores = self._known[rows]
        return scores

    def _named(self, most: int) -> Int64[ndarray, "m"]:
        """Rows that either list names, of those that are kept, ascending."""
        keep = None if self._keep.all() else self._keep
        asked = self._queries.items() if self._config.picture_dense_weight > 0 else ()
        lists = [
            self._table.nearest(asked, most, keep),
            self._table.nearest([(look.encoder, look.vector) for look in self._looks], most, keep),
        ]
        bearing, worth = self._labels.bearers(self._table, self._config.max_postings)
        if keep is not None:
            passing = keep[bearing]
            bearing, worth = bearing[passing], worth[passing]
        lists.append(best_of(bearing, worth, most)[0])
        if len(bearing) > most:
            bears = np.zeros(len(self._table), bool)
            bears[bearing] = True
            lists.append(self._table.nearest(asked, most, bears))
        return union(lists)

    def _evidence(self, rows: Int64[ndarray, "n"] | None) -> PictureEvidence:
        """That of some rows; None: of all."""
        table, config = self._table, self._config
        dense = table.dense(self._queries, 0.0, rows)
        named, coverage = self._labels.of_rows(table, rows)
        score = (
            config.picture_dense_weight * ramp(dense, config.picture_cosine_range) + config.picture_label_weight * named
        )
        score, dense, looks = with_looks(table, self._looks, rows, score, dense, config.look_cosine_range)
        whole = np.arange(len(table)) if rows is None else rows
        score = np.where(self._keep[whole], score, 0).astype(np.float32)
        self._known[whole] = score
        return PictureEvidence(rows=whole, score=score, dense=dense, coverage=coverage, looks=looks)
