"""The label channel: how much each known name is worth for a question.

After ConSE (Norouzi et al. 2014), read from the question's side: a name is worth the share of the question's
term weight that it holds ("cat" in "tabby cat": 1), or, if more, what its vector's nearness to the
question's gives: exp((cos - best cos) / T) * ramp(cos). The first factor is a softmax over the known names
up to a constant, so it ranks alike, and does not shrink as names are added; the second is absolute, so that
the best of many unrelated names is still worth nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from math import log

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

from reverie.memory.passage_table import PassageTable
from reverie.memory.rows import LabelKey
from reverie.memory.search_config import SearchConfig
from reverie.memory.vector_column import entries_of
from reverie.memory.vectors import dequantise, ramp
from reverie.types import TextEncoder


@dataclass(frozen=True, slots=True, kw_only=True)
class NameEvidence:
    """What one name is worth for the question, in [0, 1], and the parts it comes from."""

    strength: float
    cosine: float
    coverage: float


class LabelEvidence:
    """The worth of every known name for one question. Arrays are indexed by label id."""

    def __init__(
        self,
        keys: Mapping[int, LabelKey],
        near: Float32[ndarray, "l"],
        cosine: Float32[ndarray, "l"],
        coverage: Float32[ndarray, "l"],
        min_probability: float,
    ) -> None:
        self._keys, self._near, self._cosine, self._coverage = keys, near, cosine, coverage
        self._min_probability = min_probability

    def of_rows(
        self, table: PassageTable, rows: Int64[ndarray, "n"] | None
    ) -> tuple[Float32[ndarray, "n"], Float32[ndarray, "n"]]:
        """(N,) worth of each row's names (None: of all rows), and (N,) the largest share of the terms in one name."""
        labels = table.labels
        if rows is None:
            count, places, ids, scores = len(table), labels.rows.rows, labels.ids.rows, labels.scores.rows
        else:
            count, (places, entries) = len(rows), entries_of(labels.rows.rows, rows)
            ids, scores = labels.ids.rows[entries], labels.scores.rows[entries]
        known = ids < len(self._near)  # a name committed after the refresh waits for the next search
        places, ids, probable = places[known], ids[known], self._counting(scores[known])
        near = np.bincount(places, weights=self._near[ids] * probable, minlength=count)
        exact = self._coverage[ids] > 0
        covered, worded = np.zeros(count, np.float32), np.zeros(count, np.float32)
        np.maximum.at(covered, places[exact], self._coverage[ids][exact])
        np.maximum.at(worded, places[exact], (self._coverage[ids] * probable)[exact].astype(np.float32))
        return np.maximum(np.minimum(near, 1.0), worded).astype(np.float32), covered

    def _counting(self, scores: Float32[ndarray, "n"]) -> Float32[ndarray, "n"]:
        """How much names of these probabilities count."""
        share = 1 - np.log(np.maximum(scores, np.float32(1e-9))) / np.float32(log(self._min_probability))
        counting: Float32[ndarray, "n"] = np.clip(share, 0.0, 1.0).astype(np.float32)
        return counting

    def bearers(self, table: PassageTable, most: int) -> tuple[Int64[ndarray, "m"], Float32[ndarray, "m"]]:
        """Rows that bear a name that answers, ascending, and about what their names are worth.

        The worthiest names are read until `most` rows are named; names worth less bring no others.
        """
        worth = np.maximum(self._near, self._coverage)
        found, num_read = np.zeros(len(table), np.float32), 0
        for label in np.argsort(-worth, kind="stable").tolist():
            if worth[label] <= 0 or num_read >= most:
                break
            entries = table.labels.entries_with(label)
            rows, probable = table.labels.rows.rows[entries], self._counting(table.labels.scores.rows[entries])
            np.add.at(found, rows, worth[label] * probable)
            num_read += len(entries)
        named = np.flatnonzero(found)
        return named, np.minimum(found[named], 1)

    def of_things(self) -> dict[str, NameEvidence]:
        """Names of tracked things that are worth anything."""
        found = {}
        for row, (name, kind) in self._keys.items():
            if kind == "object" and row < len(self._near):
                strength = max(float(self._near[row]), float(self._coverage[row]))
                if strength > 0:
                    found[name] = NameEvidence(
                        strength=strength, cosine=float(self._cosine[row]), coverage=float(self._coverage[row])
                    )
        return found


class LabelIndex:
    """Names and their vectors, cached; names that another encoder embedded are embedded again, in RAM."""

    def __init__(self, connection: sqlite3.Connection, text_encoder: TextEncoder) -> None:
        self._db, self._text_encoder = connection, text_encoder
        self._keys: dict[int, LabelKey] = {}
        self._vectors: Float32[ndarray, "l d"] | None = None

    def evidence(
        self, query: Float32[ndarray, "d"], coverage: Mapping[int, float], weights: SearchConfig
    ) -> LabelEvidence:
        """Weigh every name for a question: its vector, and what share of its terms each name (by id) holds."""
        self._refresh()
        size = max(self._keys, default=-1) + 1
        cosine, covered = np.zeros(size, np.float32), np.zeros(size, np.float32)
        near = np.zeros(size, np.float32)
        rows = np.fromiter(self._keys, dtype=np.int64, count=len(self._keys))
        if self._vectors is not None and len(rows):
            cosine[rows] = self._vectors @ query
            alike = ramp(cosine[rows], weights.label_cosine_range)
            near[rows] = np.exp((cosine[rows] - cosine[rows].max()) / weights.label_temperature) * alike
        for row, share in coverage.items():
            if row < size:
                covered[row] = min(1.0, share)
        return LabelEvidence(self._keys, near, cosine, covered, weights.label_min_probability)

    def _refresh(self) -> None:
        count, newest = self._db.execute("SELECT count(*), coalesce(max(id), -1) FROM label").fetchone()
        if count == len(self._keys) and newest == max(self._keys, default=-1):
            return  # ids are never used twice
        stored = self._db.execute(
            "SELECT l.id, l.name, l.kind, v.scale, v.code FROM label l LEFT JOIN encoder e ON e.name = ? "
            "LEFT JOIN label_vector v ON v.label = l.id AND v.encoder = e.id ORDER BY l.id",
            (self._text_encoder.encoder_id,),
        ).fetchall()
        missing = [name for _, name, _, _, code in stored if code is None]
        made = dict(zip(missing, self._text_encoder.encode(missing), strict=True)) if missing else {}
        vectors = [
            made[name] if code is None else dequantise(np.frombuffer(code, np.int8), scale)
            for _, name, _, scale, code in stored
        ]
        self._keys = {row: (name, kind) for row, name, kind, _, _ in stored}
        self._vectors = np.stack(vectors) if vectors else None
