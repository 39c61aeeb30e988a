"""Hamming distances: one bit a dimension, to find quickly the few rows worth comparing exactly.

After Charikar (2002): the bits in which two vectors' signs differ grow with their angle. Vectors of one encoder
share a large common part, and signs of uncentred ones hardly differ, so the mean of the stored vectors is taken
off first. 384 dimensions make 48 bytes; a million rows are looked through in about 7 ms on one core, and every
distance is there afterwards, so that filters cost nothing. `faiss.IndexBinaryFlat` is quicker where there is no filter,
by a third at a million rows, and slower where there is one, because it takes none (benchmarks/sign_codes.py).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Int8, Int64, UInt16, UInt64
from numpy import ndarray

from reverie.memory.vectors import GrowingArray

_BLOCK_ROWS = 32_768  # 256 kB a word: stays in the second-level cache
_MEAN_ROWS = 65_536
_SAMPLE_STEP = 64
_SPARSE = 3  # one row in so many: those alone are gathered
_FAR = np.uint16(65_535)


class HammingCodes:
    """Sign codes of the rows of a growing column: `follow` it before use."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._start(np.zeros(width, np.float32), 0)

    def _start(self, mean: Float32[ndarray, "d"], num_rows: int) -> None:
        self._mean, self._num_centred = mean, num_rows
        self._words = [GrowingArray(np.uint64) for _ in range(-(-self._width // 64))]

    def follow(self, codes: Int8[ndarray, "n d"], scales: Float32[ndarray, "n"]) -> None:
        """Take in the rows since the last call; all anew, around a new mean, when they have doubled."""
        if len(codes) >= 2 * self._num_centred:
            step = -(-len(codes) // _MEAN_ROWS)
            mean = (codes[::step].astype(np.float32) * scales[::step, None]).mean(axis=0)
            self._start(mean, len(codes))
        for start in range(len(self._words[0]), len(codes), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            packed = self._packed(codes[block].astype(np.float32) * scales[block, None])
            for number, word in enumerate(self._words):
                word.extend(packed[:, number])

    def _packed(self, vectors: Float32[ndarray, "n d"]) -> UInt64[ndarray, "n w"]:
        bits = np.zeros((len(vectors), 64 * len(self._words)), dtype=bool)
        np.greater(vectors, self._mean, out=bits[:, : self._width])
        return np.packbits(bits, axis=1).view(np.uint64)

    def distances(self, query: Float32[ndarray, "d"], rows: slice | Int64[ndarray, "n"]) -> UInt16[ndarray, "n"]:
        """Bits in which some rows, or those of a slice with both ends, differ from the query."""
        (asked,) = self._packed(query[None])
        count = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
        found = np.zeros(count, dtype=np.uint16)
        for start in range(0, count, _BLOCK_ROWS):
            end = min(start + _BLOCK_ROWS, count)
            part = slice(rows.start + start, rows.start + end) if isinstance(rows, slice) else rows[start:end]
            for word, own in zip(self._words, asked, strict=True):
                found[start:end] += np.bitwise_count(word.rows[part] ^ own)
        return found

    def nearest(
        self, query: Float32[ndarray, "d"], most: int, kept: Bool[ndarray, "n"] | None = None
    ) -> Int64[ndarray, "m"]:
        """At least min(most, kept rows) and not many more than `most` of the nearest rows, ascending."""
        if kept is None:
            return _closest(self.distances(query, slice(0, len(self._words[0]))), most)
        inside = np.flatnonzero(kept)
        if len(inside) <= most:
            return inside
        first, last = int(inside[0]), int(inside[-1]) + 1
        if len(inside) < (last - first) // _SPARSE:
            return np.asarray(inside[_closest(self.distances(query, inside), most)])
        distances = self.distances(query, slice(first, last))
        distances[~kept[first:last]] = _FAR
        return _closest(distances, most) + first


def _closest(distances: UInt16[ndarray, "n"], most: int) -> Int64[ndarray, "m"]:
    """Places of at least min(most, all that are not far) and not many more than `most` of the least, ascending."""
    if len(distances) <= most:
        return np.arange(len(distances))
    # A bound from a sample, a little too wide: sorting out all distances would take longer than making them.
    sample = distances[::_SAMPLE_STEP]
    place = most * 5 // (4 * _SAMPLE_STEP) + 4
    bound = np.partition(sample, place)[place] if place < len(sample) else _FAR
    found = np.flatnonzero(distances <= bound)
    if len(found) < most or bound == _FAR:
        bound = np.partition(distances, most)[most]
        found = np.flatnonzero(distances <= bound)
    if len(found) > 2 * most:
        found = np.sort(found[np.argpartition(distances[found], most)[:most]])
    return found
