"""The vectors of one encoder over the rows of one table, and who is near a query.

All rows are compared where there are few; beyond that, sign codes name the rows worth it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float32, Int64
from numpy import ndarray

from reverie.memory.hamming import HammingCodes
from reverie.memory.vectors import GrowingArray, cosines, dequantise


class VectorColumn:
    """Row numbers (ascending; that of a text with sentences once for each), codes (N, D) int8, scales (N,)."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.rows = GrowingArray(np.int64)
        self.codes = GrowingArray(np.int8, width)
        self.scales = GrowingArray(np.float32)
        self._signs: HammingCodes | None = None

    def forget_signs(self) -> None:
        """After the rows were changed other than by appending."""
        self._signs = None

    def cosines(
        self, query: Float32[ndarray, "d"], rows: Int64[ndarray, "m"] | None
    ) -> tuple[Int64[ndarray, "n"], Float32[ndarray, "n"]]:
        """Places in `rows` (without: row numbers), and the cosine of each vector that lies there."""
        if rows is None:
            return self.rows.rows, cosines(self.codes.rows, self.scales.rows, query)
        places, chosen = entries_of(self.rows.rows, rows)
        return places, cosines(self.codes.rows[chosen], self.scales.rows[chosen], query)

    def vector_of(self, row: int) -> Float32[ndarray, "d"] | None:
        """(D,) the (first) vector of a row, if it has any."""
        place = int(np.searchsorted(self.rows.rows, row))
        if place == len(self.rows) or self.rows.rows[place] != row:
            return None
        return dequantise(self.codes.rows[place], float(self.scales.rows[place]))

    def nearest(self, query: Float32[ndarray, "d"], most: int, kept: Bool[ndarray, "n"] | None) -> Int64[ndarray, "m"]:
        """About the `most` rows nearest by sign codes, of those that are kept."""
        if self._signs is None:
            self._signs = HammingCodes(self.width)
        self._signs.follow(self.codes.rows, self.scales.rows)
        rows = self.rows.rows
        return np.asarray(rows[self._signs.nearest(query, most, None if kept is None else kept[rows])])


def entries_of(own: Int64[ndarray, "n"], rows: Int64[ndarray, "m"]) -> tuple[Int64[ndarray, "k"], Int64[ndarray, "k"]]:
    """Places in `rows` and numbers of the entries that lie there, of entries in the order of their `own` rows."""
    if len(own) and len(rows):  # a guess that holds where every row has one entry: a search misses the cache often
        place = rows - own[0]
        if place.min() >= 0 and place.max() < len(own):
            before, after = own[np.maximum(place - 1, 0)], own[np.minimum(place + 1, len(own) - 1)]
            alone = ((before < rows) | (place == 0)) & ((after > rows) | (place == len(own) - 1))
            if ((own[place] == rows) & alone).all():
                return np.arange(len(rows)), place
    first = np.searchsorted(own, rows)
    counts = np.searchsorted(own, rows, side="right") - first
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(np.arange(len(rows)), counts), np.repeat(first, counts) + within


def extend_vectors(
    columns: dict[int, VectorColumn], rows: Iterable[tuple[int, int | None, float | None, bytes | None]]
) -> None:
    """Append (row number, encoder, scale, code) to the column of each encoder."""
    by_encoder: dict[int, list[tuple[int, float, bytes]]] = {}
    for number, encoder, scale, code in rows:
        if encoder is not None and scale is not None and code is not None:
            by_encoder.setdefault(encoder, []).append((number, scale, code))
    for encoder, own in by_encoder.items():
        width = len(own[0][2])
        column = columns.setdefault(encoder, VectorColumn(width))
        column.rows.extend([number for number, _, _ in own])
        column.scales.extend([scale for _, scale, _ in own])
        joined = b"".join(code for _, _, code in own)
        column.codes.extend(np.frombuffer(joined, dtype=np.int8).reshape(len(own), width))


def merge_vectors(
    columns: dict[int, VectorColumn],
    fresh: dict[int, VectorColumn],
    moved: Int64[ndarray, "n"],
    arrived: Int64[ndarray, "m"],
) -> None:
    """Row `i` becomes `moved[i]` (-1: it goes), and row `i` of the fresh ones becomes `arrived[i]`."""
    for encoder in sorted(columns.keys() | fresh.keys()):
        new = fresh.get(encoder)
        own = columns.setdefault(encoder, VectorColumn(new.width if new else 0))
        stays = moved[own.rows.rows] >= 0
        rows = np.concatenate([moved[own.rows.rows[stays]]] + ([arrived[new.rows.rows]] if new else []))
        order = np.argsort(rows, kind="stable")
        own.codes.assign(np.concatenate([own.codes.rows[stays]] + ([new.codes.rows] if new else []))[order])
        own.scales.assign(np.concatenate([own.scales.rows[stays]] + ([new.scales.rows] if new else []))[order])
        own.rows.assign(rows[order])
        own.forget_signs()
