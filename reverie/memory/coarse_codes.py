"""Coarse codes: a vector as four bits a number, for events that fade.

Vectors of one encoder share a direction (their mean is far from zero), so they are taken around a centre c, the mean of
the encoder's vectors, made once when it is first needed and then kept as it is. With x = v - c:

    scale = root of the mean of x_i^2,    code_i = the level nearest to x_i / scale,
    decoded as (c + scale * levels) / its length

The 16 levels have the least squared error for normal numbers (Max 1960, table 1). They take 192 bytes for a sentence of
MiniLM, int8 codes 384. Signs, one bit a number, take 48: they find less of what was seen or said once at every rate
(benchmarks/rate.py).

Whoever reads vectors decodes them to what int8 codes stand for.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

from reverie.errors import MemoryStoreError
from reverie.memory.vectors import dequantise, quantise_all

FEWEST, _MOST = 64, 4096  # vectors that a centre is the mean of
_UPPER = np.array([0.1284, 0.3881, 0.6568, 0.9424, 1.2562, 1.6181, 2.0690, 2.7326], np.float32)
_LEVELS = np.concatenate([-_UPPER[::-1], _UPPER])
_BETWEEN = (_LEVELS[1:] + _LEVELS[:-1]) / 2
_PAIRS = np.stack([_LEVELS.repeat(16), np.tile(_LEVELS, 16)], axis=1)  # by byte


def code_bytes(width: int, bits: int = 4) -> int:
    """Of the code of a vector of so many numbers."""
    return -(-width * bits // 8)


def encode(vector: Float32[ndarray, "d"], centre: Float32[ndarray, "d"]) -> tuple[bytes, float]:
    """(D,) to the code, two numbers a byte, and the scale."""
    offset = vector - centre
    scale = float(np.sqrt(np.square(offset).mean()))
    levels = np.zeros(2 * code_bytes(len(offset)), np.uint8)
    levels[: len(offset)] = np.searchsorted(_BETWEEN, offset / max(scale, 1e-12))
    return (levels[::2] << 4 | levels[1::2]).tobytes(), scale


def decode(code: bytes, scale: float, centre: Float32[ndarray, "d"]) -> Float32[ndarray, "d"]:
    """The unit vector that a code stands for; a code of one bit a number, as memories had before, is of signs."""
    (vector,) = decode_all(np.frombuffer(code, np.uint8)[None], np.array([scale], np.float32), centre)
    return np.asarray(vector)


def decode_all(
    codes: UInt8[ndarray, "n b"], scales: Float32[ndarray, "n"], centre: Float32[ndarray, "d"]
) -> Float32[ndarray, "n d"]:
    """The unit vectors that codes of one length stand for."""
    width = len(centre)
    if codes.shape[1] == code_bytes(width):
        levels = _PAIRS[codes].reshape(len(codes), -1)[:, :width]
    else:
        levels = 2 * np.unpackbits(codes, axis=1, count=width).astype(np.float32) - 1
    vectors = centre + scales[:, None] * levels
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)[:, None], dtype=np.float32)


class Decoder:
    """Stored codes to vectors, through one connection; a centre never changes, so each is read once."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._centres: dict[int, Float32[ndarray, "d"]] = {}

    def vector(self, scale: float, code: bytes, centre: int | None) -> Float32[ndarray, "d"]:
        """(D,) float32 from an int8 code, or from a coarse one around a centre."""
        if centre is None:
            return dequantise(np.frombuffer(code, np.int8), scale)
        return decode(code, scale, self.centre(centre))

    def centre(self, row: int) -> Float32[ndarray, "d"]:
        """(D,) float32.

        Raises:
            MemoryStoreError: it went between reading the code and reading this.
        """
        if row not in self._centres:
            found = self._db.execute("SELECT value FROM centre WHERE id = ?", (row,)).fetchone()
            if found is None:
                raise MemoryStoreError("what was being read has just been forgotten: read again")
            self._centres[row] = np.frombuffer(found[0], np.float32)
        return self._centres[row]

    def as_int8(self, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Rows that end in (scale, code, centre), with the int8 scale and code instead of the three."""
        found = [row[:-1] for row in rows]
        alike: dict[tuple[int, int], list[int]] = {}
        for place, row in enumerate(rows):
            if row[-1] is not None:
                alike.setdefault((row[-1], len(row[-2])), []).append(place)
        for (centre, length), places in alike.items():
            packed = np.frombuffer(b"".join(rows[place][-2] for place in places), np.uint8).reshape(-1, length)
            scales = np.array([rows[place][-3] for place in places], np.float32)
            codes, int8_scales = quantise_all(decode_all(packed, scales, self.centre(centre)))
            for place, code, scale in zip(places, codes, int8_scales.tolist(), strict=True):
                found[place] = (*rows[place][:-3], scale, code.tobytes())
        return found


def recode(db: sqlite3.Connection, table: Literal["vector", "sentence"], observations: list[int]) -> int:
    """Vectors of some observations become coarse codes, in the transaction that is open; return how many did.

    Those of an encoder with fewer than 64 vectors stay as they are: a mean of few would be one of them.
    """
    centres: dict[int, tuple[int, Float32[ndarray, "d"]] | None] = {}
    part = "part" if table == "sentence" else "0"
    changed: list[tuple[float, bytes, int, int, int]] = []
    for observation in observations:
        rows = db.execute(
            f"SELECT {part}, encoder, scale, code FROM {table} WHERE observation = ? AND centre IS NULL", (observation,)
        ).fetchall()
        for number, encoder, scale, code in rows:
            if encoder not in centres:
                centres[encoder] = _centre_of(db, encoder)
            centre = centres[encoder]
            if centre is not None and scale > 0:
                coarse, coarse_scale = encode(dequantise(np.frombuffer(code, np.int8), scale), centre[1])
                changed.append((coarse_scale, coarse, centre[0], observation, number))
    which = "observation = ? AND part = ?" if table == "sentence" else "observation = ? AND 0 = ?"
    db.executemany(f"UPDATE {table} SET scale = ?, code = ?, centre = ? WHERE {which}", changed)
    return len(changed)


def _centre_of(db: sqlite3.Connection, encoder: int) -> tuple[int, Float32[ndarray, "d"]] | None:
    known = db.execute("SELECT id, value FROM centre WHERE encoder = ?", (encoder,)).fetchone()
    if known is not None:
        return known[0], np.frombuffer(known[1], np.float32)
    rows = db.execute(
        "SELECT scale, code FROM vector WHERE encoder = ? AND centre IS NULL ORDER BY observation DESC LIMIT ?",
        (encoder, _MOST),
    ).fetchall()
    if len(rows) < FEWEST:
        return None
    return add_centre(db, encoder, np.stack([dequantise(np.frombuffer(code, np.int8), scale) for scale, code in rows]))


def add_centre(
    db: sqlite3.Connection, encoder: int, vectors: Float32[ndarray, "n d"]
) -> tuple[int, Float32[ndarray, "d"]]:
    """The centre of an encoder that has none yet, from at least `FEWEST` of its vectors: its row, and itself."""
    mean = np.asarray(vectors.mean(axis=0), dtype=np.float32)
    cursor = db.execute(
        "INSERT INTO centre (encoder, num_vectors, value) VALUES (?, ?, ?)", (encoder, len(vectors), mean.tobytes())
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid, mean
