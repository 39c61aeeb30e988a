"""Anchors: how a question of one encoder is compared with vectors of another one.

Relative representations (Moschella et al. 2023): r(x) = cosines of x with K fixed texts means the same in every space
that knows those texts. The vectors that an encoder gives to the anchors are stored beside its id when a memory first
uses it, so that a later question needs the later encoder alone. With A and B the two encoders' anchors, each
without their mean, the similarity is linear in x:

    r_A(x) . r_B(q) = (A x) . (B q) = x . (A^T B q)

so the question is carried over once, and the stored vectors are scanned as they are. (The paper divides by |A x|,
which costs a second pass.) How much of the ranking is kept is measured in benchmarks/encoder_change.py.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from reverie.memory.vectors import dequantise, quantise
from reverie.types import TextEncoder

ANCHOR_SET = "plain-1"  # the name of the list; another list gets another name

Anchors = Float32[ndarray, "k d"]


@cache
def anchor_texts() -> tuple[str, ...]:
    """The K texts of `ANCHOR_SET`, in order."""
    return tuple((resources.files("reverie.memory.data") / "anchors_plain.txt").read_text().splitlines())


def embed_anchors(encoder: TextEncoder) -> Anchors:
    """(K, D) vectors of the anchors in an encoder's space."""
    return encoder.encode(list(anchor_texts()))


def pack_anchors(anchors: Anchors) -> bytes:
    """(K, D) unit rows to K int8 codes, and K float32 scales after them."""
    codes, scales = zip(*(quantise(anchor) for anchor in anchors), strict=True)
    return np.stack(codes).tobytes() + np.array(scales, dtype="<f4").tobytes()


def unpack_anchors(packed: bytes, width: int) -> Anchors:
    """What `pack_anchors` packed.

    Raises:
        ValueError: the bytes are not those of `ANCHOR_SET` at this width.
    """
    count = len(anchor_texts())
    if len(packed) != count * (width + 4):
        raise ValueError(f"has anchors of {len(packed)} bytes instead of {count * (width + 4)}")
    codes = np.frombuffer(packed, np.int8, count * width).reshape(count, width)
    scales = np.frombuffer(packed, "<f4", count, count * width)
    return np.stack([dequantise(code, scale) for code, scale in zip(codes, scales, strict=True)])


def carry_over(query: Float32[ndarray, "b"], asked: Anchors, stored: Anchors) -> Float32[ndarray, "a"]:
    """A unit query of the space of `asked` (K, B) as a unit vector of the space of `stored` (K, A)."""
    there = (asked - asked.mean(axis=0)) @ (query - asked.mean(axis=0))
    carried = (stored - stored.mean(axis=0)).T @ there
    return np.asarray(carried / max(float(np.linalg.norm(carried)), 1e-12), dtype=np.float32)
