"""What a stretch of a stream looked and sounded like on the whole: one mean vector for each sense and encoder.

Made from the rows when it is needed: what is left of an event after demotion stands for runs of moments, so each
vector counts for as long as its observation lasts, and nothing has to be stored and kept right beside them.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from reverie.memory.coarse_codes import Decoder
from reverie.memory.schema import EVERY_MODALITY

Sums = Mapping[tuple[int, int], Float64[ndarray, "d"]]  # by (modality code, encoder); not normalised
_SHORTEST_NS = 1_000_000


def sums_of(db: sqlite3.Connection, decoder: Decoder, stream: int, start_ns: int, end_ns: int) -> Sums:
    """Sum of the vectors of what starts in [start_ns, end_ns), each times its seconds."""
    codes: defaultdict[tuple[int, int], list[bytes]] = defaultdict(list)
    weights: defaultdict[tuple[int, int], list[float]] = defaultdict(list)
    sums: dict[tuple[int, int], Float64[ndarray, "d"]] = {}
    rows = db.execute(
        "SELECT o.modality, v.encoder, o.start_ns, o.end_ns, v.scale, v.code, v.centre FROM observation o "
        f"JOIN vector v ON v.observation = o.id WHERE o.stream = ? AND o.{EVERY_MODALITY} AND o.start_ns >= ? "
        "AND o.start_ns < ? ORDER BY o.id",
        (stream, start_ns, end_ns),
    )
    for modality, encoder, from_ns, until_ns, scale, code, centre in rows:
        seconds, key = max(until_ns - from_ns, _SHORTEST_NS) / 1e9, (modality, encoder)
        if centre is None:
            codes[key].append(code)
            weights[key].append(scale * seconds)
        else:
            weighted = decoder.vector(scale, code, centre).astype(np.float64) * seconds
            sums[key] = sums[key] + weighted if key in sums else weighted
    for key, own in codes.items():
        whole = np.frombuffer(b"".join(own), np.int8).reshape(len(own), -1)
        weighted = np.array(weights[key]) @ whole.astype(np.float64)
        sums[key] = sums[key] + weighted if key in sums else weighted
    return sums


def added(a: Sums, b: Sums) -> Sums:
    """Sums of two stretches together."""
    return {key: a[key] + b[key] if key in a and key in b else (a[key] if key in a else b[key]) for key in {*a, *b}}


def likeness(a: Sums, b: Sums) -> float:
    """Mean cosine over the senses that both have, 0 where they share none."""
    shared = sorted(a.keys() & b.keys())
    norms = [float(np.linalg.norm(a[key]) * np.linalg.norm(b[key])) for key in shared]
    cosines = [float(a[key] @ b[key]) / norm for key, norm in zip(shared, norms, strict=True) if norm > 0]
    return sum(cosines) / len(cosines) if cosines else 0.0
