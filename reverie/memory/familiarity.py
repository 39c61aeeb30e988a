"""Seen before? A small filter for each hour of a stream, which outlives the moments that it was made of.

A moment's vector v becomes a code of 128 signs, bit i = [a_i . v > 0] with fixed random a_i in {-1, 1}^D (random
hyperplanes: Charikar 2002). Two vectors at an angle of t differ in Binomial(128, t / pi) bits, so the cosine of a pair
is about cos(pi * differing / 128). An hour keeps the codes of its distinct moments: one that differs from a kept one in
at most `_SAME_BITS` adds nothing (leader clustering: Hartigan 1975), so a quiet hour takes a few hundred bytes, and
no hour more than 1024 codes, 16 KiB; one that is fuller keeps every second code and goes on.

A cue was seen when a code differs from its own in at most `MATCH_BITS` = 18, a cosine of about 0.9. A never-seen cue
at a cosine of c to each of 1024 moments matches by chance with 1024 * P[Binomial(128, acos(c) / pi) <= 18]: 1e-14 at
c = 0, 9e-8 at 0.3, 9e-6 at 0.4, 6e-4 at 0.5. A union of sparse codes (Ahmad and Hawkins 2016) was
tried first: real vectors share a direction, so the union fills with common bits and matches nearly everything, and with
units sharp enough not to, it recognises half as many second looks. benchmarks/associative.py puts both beside Bloom
filters and exact nearest neighbours of as many bytes.

Moments enter when their event closes, so what is looked at now does not seem familiar by itself. Demotion leaves the
filters as they are. An erasure makes those of the hours it touches anew from the rows that are left, which knows
less of hours whose moments had been demoted.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from functools import lru_cache
from hashlib import shake_256
from math import cos, pi

import numpy as np
from jaxtyping import Float32, UInt64
from numpy import ndarray

from reverie.memory.coarse_codes import Decoder
from reverie.memory.cues import Cue
from reverie.memory.schema import MODALITIES
from reverie.types import Modality, TimeSpan, ns

HOUR_NS = ns(3600.0)
NUM_BITS = 128
MATCH_BITS = 18
MAX_CODES = 1024
CODE_BYTES = NUM_BITS // 8
_SAME_BITS = MATCH_BITS // 2
_ROWS = (
    "SELECT o.start_ns, o.modality, v.encoder, v.scale, v.code, v.centre FROM observation o "
    f"JOIN vector v ON v.observation = o.id WHERE o.stream = ? AND o.modality IN ({','.join(map(str, MODALITIES))}) "
    "AND o.start_ns >= ? AND o.start_ns < ? ORDER BY o.start_ns, o.id"
)

Codes = UInt64[ndarray, "n 2"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Familiarity:
    """An hour of a stream that knows the cue: `cosine` to the nearest moment of it, estimated from 128 bits."""

    stream_id: str
    span: TimeSpan
    modality: Modality
    cosine: float


def codes_of(vectors: Float32[ndarray, "n d"]) -> Codes:
    """(N, D) unit vectors to (N, 2) words of 64 signs each."""
    signs = vectors @ _hyperplanes(vectors.shape[1]) > 0
    return np.packbits(signs, axis=1).view("<u8").astype(np.uint64)


@lru_cache(maxsize=8)
def _hyperplanes(width: int) -> Float32[ndarray, "d 128"]:
    """The same in every version of NumPy: stored codes were made with them."""
    bits = np.frombuffer(shake_256(b"reverie familiarity").digest(width * CODE_BYTES), np.uint8)
    return np.unpackbits(bits).reshape(width, NUM_BITS).astype(np.float32) * 2 - 1


def distinct(known: Codes, fresh: Codes) -> Codes:
    """The known codes and those of the fresh ones, in order, that differ enough from all before them."""
    kept = np.empty((MAX_CODES + 1, 2), np.uint64)
    count = len(known)
    kept[:count] = known
    for code in fresh:
        if count and _differing(kept[:count], code).min() <= _SAME_BITS:
            continue
        kept[count] = code
        count += 1
        if count > MAX_CODES:
            thinned = kept[::2].copy()
            count = len(thinned)
            kept[:count] = thinned
    return kept[:count]


def _differing(codes: Codes, code: UInt64[ndarray, "2"]) -> ndarray:
    return np.asarray(np.bitwise_count(codes ^ code).sum(axis=1))


def unpack(packed: bytes) -> Codes:
    """Codes as they are stored: 16 bytes each, little-endian."""
    return np.frombuffer(packed, "<u8").reshape(-1, 2).astype(np.uint64)


def _pack(codes: Codes) -> bytes:
    return codes.astype("<u8").tobytes()


# --- writing, in the transaction that is open ---------------------------------------------------


def take_in(db: sqlite3.Connection, stream: int, start_ns: int, end_ns: int) -> None:
    """Let the filters know the moments that start in [start_ns, end_ns), a span of closed events.

    What was imagined was never seen: nothing of it is taken in.
    """
    if db.execute("SELECT imagined FROM stream WHERE id = ?", (stream,)).fetchone()[0]:
        return
    groups: dict[tuple[int, int, int], list[Float32[ndarray, "d"]]] = {}
    decoder = Decoder(db)
    for at_ns, modality, encoder, scale, code, centre in db.execute(_ROWS, (stream, start_ns, end_ns)):
        vector = decoder.vector(scale, code, centre)
        groups.setdefault((at_ns // HOUR_NS, modality, encoder), []).append(vector)
    for (hour, modality, encoder), vectors in groups.items():
        key = (stream, hour, modality, encoder)
        row = db.execute(
            "SELECT codes FROM familiarity WHERE stream = ? AND hour = ? AND modality = ? AND encoder = ?", key
        ).fetchone()
        known = unpack(row[0] if row else b"")
        codes = distinct(known, codes_of(np.stack(vectors)))
        if not np.array_equal(codes, known):
            db.execute("INSERT OR REPLACE INTO familiarity VALUES (?, ?, ?, ?, ?)", (*key, _pack(codes)))


def whole_hours(span: TimeSpan) -> TimeSpan:
    """The hours that a span reaches into."""
    last = max(span.start_ns, span.end_ns - 1) // HOUR_NS
    return TimeSpan(start_ns=span.start_ns // HOUR_NS * HOUR_NS, end_ns=(last + 1) * HOUR_NS)


def rebuild(db: sqlite3.Connection, stream: int, span: TimeSpan) -> set[tuple[int, int]]:
    """After an erasure in a span: make the hours it touches anew. Return (stream, hour) of those that know less.

    They are the hours of which some moments had been demoted: no row is left of them.
    """
    hours = whole_hours(span)
    first, last = hours.start_ns // HOUR_NS, hours.end_ns // HOUR_NS - 1
    held = db.execute(
        "DELETE FROM familiarity WHERE stream = ? AND hour BETWEEN ? AND ? RETURNING hour", (stream, first, last)
    ).fetchall()
    low_ns, high_ns = hours.start_ns, hours.end_ns
    events = db.execute(
        "SELECT start_ns, end_ns FROM event WHERE stream = ? AND NOT open AND start_ns < ? AND end_ns > ? "
        "ORDER BY start_ns",
        (stream, high_ns, low_ns),
    ).fetchall()
    for start_ns, end_ns in events:
        take_in(db, stream, max(start_ns, low_ns), min(end_ns, high_ns))
    faded = db.execute(
        "SELECT start_ns, end_ns FROM faded WHERE stream = ? AND start_ns < ? AND end_ns > ?",
        (stream, high_ns, low_ns),
    ).fetchall()
    return {
        (stream, hour)
        for (hour,) in held
        if any(start_ns < (hour + 1) * HOUR_NS and end_ns > hour * HOUR_NS for start_ns, end_ns in faded)
    }


def trim(db: sqlite3.Connection, max_bytes: int, step_bytes: int) -> bool:
    """Drop filters of the oldest hours, by wall clock, until the others take at most so many bytes.

    At most about `step_bytes` of them. Return whether more have to go.
    """
    rows = db.execute(
        "SELECT f.stream, f.hour, f.modality, f.encoder, length(f.codes) FROM familiarity f "
        "JOIN stream s ON s.id = f.stream ORDER BY coalesce(s.wall_anchor_ns, s.started_ns) + f.hour * ?, "
        "f.stream, f.modality, f.encoder",
        (HOUR_NS,),
    ).fetchall()
    total: int = sum(row[4] for row in rows)
    least = total - step_bytes
    for *key, num_bytes in rows:
        if total <= max(max_bytes, least):
            break
        db.execute("DELETE FROM familiarity WHERE stream = ? AND hour = ? AND modality = ? AND encoder = ?", key)
        total -= num_bytes
    return total > max_bytes


# --- reading ------------------------------------------------------------------------------------


def recognise(
    db: sqlite3.Connection,
    cue: Cue,
    streams: tuple[int, ...] | None,
    span: TimeSpan | None,
) -> list[Familiarity]:
    """Every hour that knows a cue, the surest first, then by stream and time."""
    rows = [
        (name, TimeSpan(start_ns=hour * HOUR_NS, end_ns=(hour + 1) * HOUR_NS), modality, packed)
        for name, stream, hour, modality, packed in db.execute(
            "SELECT s.name, f.stream, f.hour, f.modality, f.codes FROM familiarity f JOIN stream s ON s.id = f.stream "
            "JOIN encoder e ON e.id = f.encoder WHERE e.name = ? ORDER BY f.stream, f.hour, f.modality",
            (cue.encoder,),
        )
        if streams is None or stream in streams
    ]
    rows = [row for row in rows if span is None or span.overlaps(row[1])]
    if not rows:
        return []
    differing = _differing(unpack(b"".join(row[3] for row in rows)), codes_of(cue.vector[None])[0])
    firsts = np.cumsum([0] + [len(row[3]) // CODE_BYTES for row in rows[:-1]])
    found = [
        Familiarity(stream_id=name, span=hour, modality=MODALITIES[modality], cosine=cos(pi * nearest / NUM_BITS))
        for (name, hour, modality, _), nearest in zip(
            rows, np.minimum.reduceat(differing, firsts).tolist(), strict=True
        )
        if nearest <= MATCH_BITS
    ]
    return sorted(found, key=lambda known: -known.cosine)
