"""The evidence of texts for a question: of all of them while that is quick, then of a shortlist (`shortlist`).

Of the texts that the lists name, the best by their own evidence get theirs in context (`contiguity`), with what stands
around them. (Evidence that a word lends comes from the words that were read: see `lexical.search_texts`.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Int64
from numpy import ndarray

from reverie.memory.contiguity import lend, smooth
from reverie.memory.entities import Look
from reverie.memory.lexical import TermMatches
from reverie.memory.passage_table import PassageTable
from reverie.memory.search_config import SearchConfig
from reverie.memory.shortlist import best_of, length, num_trusted, union
from reverie.memory.vectors import ramp
from reverie.types import Query, ns

Scores = Float32[ndarray, "n"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextScores:
    """Row numbers and, for each, its score (0 where it may not be a hit), own cosine and own share of the terms.

    `left`: what texts that are not among them may score (0: nothing).
    """

    rows: Int64[ndarray, "n"]
    score: Scores
    dense: Scores
    coverage: Scores
    left: float


def score_texts(
    table: PassageTable,
    queries: dict[int, Float32[ndarray, "d"]],
    matches: Sequence[TermMatches],
    keep: Bool[ndarray, "n"] | None,
    k: int | None,
    config: SearchConfig,
    asked: Query,
    looks: Sequence[Look],
) -> TextScores:
    """The evidence of the texts that may be among the `k` best, for who is meant and the arousal that is asked for.

    Without `k`, that of all. What sounds like one of the `looks` is there, too, with no evidence of its own.
    """
    terms = []
    for term in matches:
        rows, known = table.rows_of(term.ids)
        terms.append((rows, term.bm25[known], term))
    worthy = None
    if k is not None and len(table) > config.exact_rows:
        worthy = _worthy(table, queries, terms, keep, k, config, asked)
    places = np.arange(len(table)) if worthy is None else table.around(worthy, config.context_reach)
    rows = table.order[places]
    dense = table.dense(queries, config.sentence_share, None if worthy is None else rows)
    if worthy is None:
        dense = dense[rows]
    runs = table.runs(places, ns(config.context_gap_s))
    bm25, coverage = np.zeros(len(rows), np.float32), np.zeros(len(rows), np.float32)
    for holding, worth, term in terms:
        there, here = _within(table.rank[holding], places)
        coverage[there] += term.coverage
        reach = 0 if term.is_phrase else config.context_reach
        lend(bm25, there, worth[here], runs, config.context_decay, reach)
    around = smooth(dense, runs, config.context_dense_decay, config.context_reach)
    lent = np.float32(config.context_dense_share)
    score = _fused((1 - lent) * dense + lent * around, bm25, config)
    score = _voiced(table, rows, score, asked, config)
    if keep is not None:
        score = np.where(keep[rows], score, np.float32(0))
    left = 0.0
    if k is not None and worthy is not None:
        named = np.isin(rows, worthy)
        score = np.where(named, score, np.float32(0))  # at the edges some of the context is missing
        num_kept = len(table) if keep is None else np.count_nonzero(keep)
        if num_trusted(config, k) <= len(worthy) < num_kept:
            left = float(score[named].min())
    scored = TextScores(rows=rows, score=score, dense=dense, coverage=coverage, left=left)
    if k is None or worthy is None or not looks:
        return scored
    return _with_rows(scored, table.nearest([(look.encoder, look.vector) for look in looks], length(config, k), keep))


def _with_rows(scored: TextScores, rows: Int64[ndarray, "m"]) -> TextScores:
    """The same with more rows, which have no evidence of their own."""
    fresh = np.setdiff1d(rows, scored.rows)
    none = np.zeros(len(fresh), np.float32)
    return replace(
        scored,
        rows=np.concatenate([scored.rows, fresh]),
        score=np.concatenate([scored.score, none]),
        dense=np.concatenate([scored.dense, none]),
        coverage=np.concatenate([scored.coverage, none]),
    )


def _fused(cosine: Scores, bm25: Scores, config: SearchConfig) -> Scores:
    return config.text_dense_weight * ramp(cosine, config.text_cosine_range) + config.text_lexical_weight * bm25


def _voiced(
    table: PassageTable, rows: Int64[ndarray, "n"], score: Scores, asked: Query, config: SearchConfig
) -> Scores:
    """Less for what another role said than is meant, and with nearness to an asked range of arousal added."""
    others = table.said_by_another(asked.text, rows)
    score = np.where(others, np.float32(1 - config.role_share) * score, score)
    if asked.arousal is None:
        return score
    arousals = table.arousals.rows[rows]
    outside = np.maximum(asked.arousal[0] - arousals, arousals - asked.arousal[1])
    near: Scores = np.nan_to_num(1 - np.maximum(outside, 0)).astype(np.float32)
    toned: Scores = (score + config.arousal_weight * near) / (1 + config.arousal_weight)
    return toned


def _worthy(
    table: PassageTable,
    queries: dict[int, Float32[ndarray, "d"]],
    terms: Sequence[tuple[Int64[ndarray, "m"], Scores, TermMatches]],
    keep: Bool[ndarray, "n"] | None,
    k: int,
    config: SearchConfig,
    asked: Query,
) -> Int64[ndarray, "m"]:
    """Rows to score in context, ascending: the best by their own evidence of those that either list names."""
    most = length(config, k)
    kept = np.flatnonzero(keep) if keep is not None else None
    if kept is not None and len(kept) <= most:
        return kept
    named = np.concatenate([np.zeros(0, np.int64), *(rows for rows, _, _ in terms)])
    rows, where = np.unique(named, return_inverse=True)
    worths = np.concatenate([np.zeros(0, np.float32), *(worth for _, worth, _ in terms)])
    own = np.bincount(where, weights=worths, minlength=len(rows)).astype(np.float32)
    if keep is not None:
        rows, own = rows[keep[rows]], own[keep[rows]]
    rows, own = best_of(rows, own, most)
    both = union([rows, table.nearest(queries.items(), most, keep)]) if config.text_dense_weight > 0 else rows
    bm25 = np.zeros(len(both), np.float32)
    bm25[np.searchsorted(both, rows)] = own
    score = _fused(table.dense(queries, config.sentence_share, both), bm25, config)
    score = _voiced(table, both, score, asked, config)
    return best_of(both, score, num_trusted(config, k))[0]


def _within(some: Int64[ndarray, "m"], places: Int64[ndarray, "n"]) -> tuple[Int64[ndarray, "k"], Int64[ndarray, "k"]]:
    """Where some of ascending places lie, and which of the some do."""
    there = np.searchsorted(places, some)
    here = np.flatnonzero(there < len(places))
    here = here[places[there[here]] == some[here]]
    return there[here], here
