"""What memory is reminded by: a sentence, or a vector of something seen or heard."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from reverie.errors import UsageError
from reverie.memory.vectors import is_unit
from reverie.types import TextEncoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """A unit vector (D,) and the name of its space."""

    vector: Float32[ndarray, "d"]
    encoder: str


def cue_of(db: sqlite3.Connection, text_encoder: TextEncoder, given: str | Float32[ndarray, "d"], encoder: str) -> Cue:
    """A sentence embedded, or a vector checked against what memory holds of its space.

    Raises:
        UsageError: an empty sentence; a vector without the name of its encoder, not of unit length, or of another
            width than the vectors that memory has of that encoder.
    """
    if isinstance(given, str):
        if not given.strip():
            raise UsageError("an empty sentence reminds of nothing: say something, or give a vector and its encoder")
        return Cue(vector=text_encoder.encode([given])[0], encoder=text_encoder.encoder_id)
    if not encoder:
        raise UsageError("a vector needs the name of its encoder: the `Observation.encoder` that made it")
    vector = np.asarray(given, np.float32)
    if not is_unit(vector):
        raise UsageError(f"the vector of {encoder!r} is not one finite vector of unit length: divide it by its norm")
    row = db.execute("SELECT width FROM encoder WHERE name = ?", (encoder,)).fetchone()
    if row is not None and row[0] != len(vector):
        raise UsageError(f"vectors of {encoder!r} have {row[0]} numbers here, and this one has {len(vector)}")
    return Cue(vector=vector, encoder=encoder)
