"""Vectors as int8 codes with one scale a row, and the exact scan over them.

A unit vector v of D dimensions is kept as code_i = round(v_i / scale) with scale = max|v_i| / 127, so

    |v_i - scale * code_i| <= scale / 2,    and for any query q:
    |q . v - scale * (q . code)| <= scale / 2 * ||q||_1 <= scale / 2 * sqrt(D) * ||q||_2

which for a MiniLM sentence (D = 384, max|v_i| about 0.15) is at most 0.0116 and typically 0.0004.
A 384-dimensional vector takes 384 bytes; the scan reads every code, so it finds the true nearest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int8
from numpy import ndarray

UNIT_TOLERANCE = 1e-2  # half-precision encoders round their norm
_SCAN_ROWS = 8192  # 12 MB of float32 at 384 dimensions: stays near the cache


def is_unit(vector: Float32[ndarray, "d"]) -> bool:
    """Whether it is one finite vector of unit length."""
    if vector.ndim != 1 or vector.size == 0:
        return False
    norm = float(np.linalg.norm(vector.astype(np.float64)))
    return bool(np.isfinite(norm)) and abs(norm - 1.0) <= UNIT_TOLERANCE


def quantise(vector: Float32[ndarray, "d"]) -> tuple[Int8[ndarray, "d"], float]:
    """(D,) float32 to its code, (D,) int8, and scale. A zero vector has scale 0."""
    codes, scales = quantise_all(vector[None])
    return np.asarray(codes[0]), float(scales[0])


def quantise_all(vectors: Float32[ndarray, "n d"]) -> tuple[Int8[ndarray, "n d"], Float64[ndarray, "n"]]:
    """(N, D) float32 to their codes and scales."""
    scales = np.abs(vectors).max(axis=1, initial=0).astype(np.float64) / 127.0
    codes = np.rint(vectors / np.where(scales > 0, scales, 1.0)[:, None]).astype(np.int8)
    return codes, scales


def dequantise(code: Int8[ndarray, "d"], scale: float) -> Float32[ndarray, "d"]:
    """The vector that a code stands for. Its norm differs from 1 by at most scale / 2 * sqrt(D)."""
    return code.astype(np.float32) * np.float32(scale)


def error_bound(scale: float, query: Float32[ndarray, "d"]) -> float:
    """How far the cosine from a code can be from the cosine of the vector it was made of."""
    return scale / 2.0 * float(np.abs(query).sum())


def cosines(
    codes: Int8[ndarray, "n d"], scales: Float32[ndarray, "n"], query: Float32[ndarray, "d"]
) -> Float32[ndarray, "n"]:
    """Dot products of a unit query with every row, (N,) float32, by an exact scan in blocks."""
    found = np.empty(len(codes), dtype=np.float32)
    for start in range(0, len(codes), _SCAN_ROWS):
        block = slice(start, start + _SCAN_ROWS)
        found[block] = codes[block].astype(np.float32) @ query
    found *= scales
    return found


def ramp(values: Float32[ndarray, "n"], limits: tuple[float, float]) -> Float32[ndarray, "n"]:
    """From 0 at the lower limit to 1 at the upper one."""
    return np.clip((values - limits[0]) / (limits[1] - limits[0]), 0.0, 1.0).astype(np.float32)


class GrowingArray:
    """An append-only array with spare room: appending is O(1) amortised, `rows` is a view.

    `width` makes rows of that many entries.
    """

    def __init__(self, dtype: Any, width: int | None = None) -> None:
        self._shape = () if width is None else (width,)
        self._room = np.empty((64, *self._shape), dtype=dtype)
        self._num_rows = 0

    def __len__(self) -> int:
        return self._num_rows

    def extend(self, values: Sequence[Any] | ndarray) -> None:
        needed = self._num_rows + len(values)
        if needed > len(self._room):
            larger = np.empty((max(needed, 2 * len(self._room)), *self._shape), dtype=self._room.dtype)
            larger[: self._num_rows] = self.rows
            self._room = larger
        if len(values):
            self._room[self._num_rows : needed] = values
        self._num_rows = needed

    def assign(self, values: ndarray) -> None:
        """Hold these rows instead; spare room beyond twice of what they need is given back."""
        if len(values) * 4 < len(self._room):
            self._room = np.empty((max(64, 2 * len(values)), *self._shape), dtype=self._room.dtype)
        self._num_rows = 0
        self.extend(values)

    @property
    def rows(self) -> ndarray[Any, Any]:
        return self._room[: self._num_rows]
