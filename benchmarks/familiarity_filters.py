"""Filters that answer "seen before?", all of at most as many bytes as one hour of `reverie.memory.familiarity` takes.

Each is built from (N, D) unit vectors and answers for (M, D) others. Thresholds: a cosine of 0.9 for those that
estimate one; for unions the lowest overlap that a random code reaches with less than 1e-4 by the density of the union
(sum over b >= theta of C(w, b) p^b (1 - p)^(w - b)).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from reverie.memory.familiarity import MATCH_BITS, MAX_CODES, codes_of, distinct

Floats = NDArray[np.float32]
Filter = Callable[[Floats], NDArray[np.bool_]]
NUM_BYTES = 16 * MAX_CODES
_FALSE = 1e-4
_MATCH = 0.9


def shipped(vectors: Floats) -> Filter:
    """128 signs of each distinct moment."""
    codes = distinct(codes_of(vectors[:0]), codes_of(vectors))
    return lambda cues: _differing(codes_of(cues), codes).min(axis=1) <= MATCH_BITS


def signs(vectors: Floats, num_bits: int) -> Filter:
    """The same with another number of signs, so fewer or more codes."""
    planes = np.random.default_rng(0).standard_normal((vectors.shape[1], num_bits)).astype(np.float32)
    match = int(num_bits * np.arccos(_MATCH) / np.pi)

    def codes_for(some: Floats) -> NDArray[np.uint64]:
        return np.packbits(some @ planes > 0, axis=1).view(np.uint64)

    codes = _leaders(codes_for(vectors), lambda held, one: _differing(one[None], held)[0] <= match // 2, num_bits // 8)
    return lambda cues: _differing(codes_for(cues), codes).min(axis=1) <= match


def nearest(vectors: Floats) -> Filter:
    """Exact nearest neighbour among as many int8 vectors as fit."""
    kept = _leaders(vectors, lambda held, one: held @ one >= (1 + _MATCH) / 2, vectors.shape[1] + 4)
    return lambda cues: (cues @ kept.T).max(axis=1) >= _MATCH


def bloom(vectors: Floats, num_signs: int) -> Filter:
    """A Bloom filter of vectors quantised to their signs on a few random hyperplanes."""
    planes = np.random.default_rng(0).standard_normal((vectors.shape[1], num_signs)).astype(np.float32)
    num_bits = 8 * NUM_BYTES
    num_hashes = 13
    factors = np.random.default_rng(1).integers(1, 1 << 62, num_hashes).astype(np.uint64) | np.uint64(1)

    def places(some: Floats) -> NDArray[np.int64]:
        keys = (some @ planes > 0) @ (np.uint64(1) << np.arange(num_signs, dtype=np.uint64)) + np.uint64(1)
        return _mixed(keys[:, None] * factors, num_bits)

    held = np.zeros(num_bits, bool)
    held[places(vectors)] = True
    return lambda cues: held[places(cues)].all(axis=1)


def union(vectors: Floats, num_modules: int, num_winners: int, num_units: int) -> Filter:
    """A union of sparse codes: one bit a module, chosen by the winners of `num_winners` groups of 2 x `num_units`.

    One winner of all units of a module is Sparsey's code; several are a conjunction, hashed to a bit of the module.
    """
    rng = np.random.default_rng(0)
    planes = rng.standard_normal((vectors.shape[1], num_modules * num_winners * num_units)).astype(np.float32)
    factors = rng.integers(1, 1 << 62, (num_modules, num_winners)).astype(np.uint64) | np.uint64(1)
    width = 8 * NUM_BYTES // num_modules
    modules = np.arange(num_modules)

    def bits(some: Floats) -> NDArray[np.int64]:
        found = []
        for start in range(0, len(some), 64):
            driven = (some[start : start + 64] @ planes).reshape(-1, num_units)
            winner = np.abs(driven).argmax(axis=1)
            signed = winner + num_units * (driven[np.arange(len(driven)), winner] < 0)
            groups = signed.reshape(-1, num_modules, num_winners).astype(np.uint64) + np.uint64(1)
            found.append(_mixed((groups * factors).sum(axis=2, dtype=np.uint64), width))
        return np.concatenate(found)

    held = np.zeros((num_modules, width), bool)
    held[modules, bits(vectors)] = True
    theta = int(binom.isf(_FALSE, num_modules, held.mean())) + 1
    return lambda cues: held[modules, bits(cues)].sum(axis=1) >= theta


def _differing(some: NDArray[np.uint64], others: NDArray[np.uint64]) -> NDArray[np.int64]:
    return np.bitwise_count(some[:, None] ^ others[None]).sum(axis=2).astype(np.int64)


def _leaders(rows: NDArray, near: Callable[[NDArray, NDArray], NDArray], row_bytes: int) -> NDArray:
    """Rows that are not near an earlier one; every second of them goes when they are too many."""
    kept: list[NDArray] = []
    for row in rows:
        if not kept or not near(np.stack(kept), row).any():
            kept.append(row)
            kept = kept if len(kept) * row_bytes <= NUM_BYTES else kept[::2]
    return np.stack(kept)


def _mixed(keys: NDArray[np.uint64], size: int) -> NDArray[np.int64]:
    keys = (keys ^ (keys >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)
    return ((keys >> np.uint64(32)) % np.uint64(size)).astype(np.int64)
