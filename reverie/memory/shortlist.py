"""Which texts are worth scoring for a question, and their evidence: all of them while that is quick.

Beyond `exact_rows` texts, those nearest by sign codes and those that hold the question's words are compared
exactly, and the best of both, with what stands around them, get their evidence in context (`contiguity`).
Every text that is returned then has the score that the full scan would give it; only one that neither list
names can be missed. (Evidence that a word lends comes from the words that were read: see `lexical.search_texts`.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Int64
from numpy import ndarray

from reverie.memory.contiguity import lend, smooth
from reverie.memory.lexical import TermMatches
from reverie.memory.passage_table import PassageTable
from reverie.memory.search_config import SearchConfig
from reverie.types import Query, ns

Scores = Float32[ndarray, "n"]
_PER_HIT = 16  # texts in the shorter list, at least, for each hit that is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class TextScores:
    """Row numbers and, for each, its score (0 where it may not be a hit), own cosine and own share of the terms.

    `more`: texts that were left out may score, too, because each of the shortlist does.
    """

    rows: Int64[ndarray, "n"]
    score: Scores
    dense: Scores
    coverage: Scores
    more: bool


def score_texts(
    table: PassageTable,
    queries: dict[int, Float32[ndarray, "d"]],
    matches: Sequence[TermMatches],
    keep: Bool[ndarray, "n"] | None,
    k: int,
    config: SearchConfig,
    asked: Query,
) -> TextScores:
    """The evidence of the texts that may be among the `k` best, for who is meant and the arousal that is asked for."""
    terms = []
    for term in matches:
        rows, known = table.rows_of(term.ids)
        terms.append((rows, term.bm25[known], term))
    worthy = None
    if len(table) > config.exact_rows:
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
    more = False
    if worthy is not None:
        score = np.where(np.isin(rows, worthy), score, np.float32(0))  # at the edges some of the context is missing
        num_kept = len(table) if keep is None else np.count_nonzero(keep)
        more = np.count_nonzero(score) == len(worthy) < num_kept
    return TextScores(rows=rows, score=score, dense=dense, coverage=coverage, more=bool(more))


def with_rows(scored: TextScores, rows: Int64[ndarray, "m"]) -> TextScores:
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


def ramp(values: Scores, limits: tuple[float, float]) -> Scores:
    """From 0 at the lower limit to 1 at the upper one."""
    return np.clip((values - limits[0]) / (limits[1] - limits[0]), 0.0, 1.0).astype(np.float32)


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
    most = max(config.shortlist_rows, 4 * _PER_HIT * k)
    kept = np.flatnonzero(keep) if keep is not None else None
    if kept is not None and len(kept) <= most:
        return kept
    named = np.concatenate([np.zeros(0, np.int64), *(rows for rows, _, _ in terms)])
    rows, where = np.unique(named, return_inverse=True)
    worths = np.concatenate([np.zeros(0, np.float32), *(worth for _, worth, _ in terms)])
    own = np.bincount(where, weights=worths, minlength=len(rows)).astype(np.float32)
    if keep is not None:
        rows, own = rows[keep[rows]], own[keep[rows]]
    rows, own = _top(rows, own, most)
    near = table.nearest(queries, most, keep) if config.text_dense_weight > 0 else np.zeros(0, np.int64)
    both = np.union1d(rows, near)
    bm25 = np.zeros(len(both), np.float32)
    bm25[np.searchsorted(both, rows)] = own
    score = _fused(table.dense(queries, config.sentence_share, both), bm25, config)
    score = _voiced(table, both, score, asked, config)
    return _top(both, score, max(config.shortlist_rows // 8, _PER_HIT * k))[0]


def _top(rows: Int64[ndarray, "n"], scores: Scores, most: int) -> tuple[Int64[ndarray, "m"], Scores]:
    """The `most` best of ascending rows, ascending."""
    if len(rows) <= most:
        return rows, scores
    best = np.sort(np.argpartition(-scores, most)[:most])
    return rows[best], scores[best]


def _within(some: Int64[ndarray, "m"], places: Int64[ndarray, "n"]) -> tuple[Int64[ndarray, "k"], Int64[ndarray, "k"]]:
    """Where some of ascending places lie, and which of the some do."""
    there = np.searchsorted(places, some)
    here = np.flatnonzero(there < len(places))
    here = here[places[there[here]] == some[here]]
    return there[here], here
