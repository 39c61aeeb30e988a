"""A text encoder that keeps its vectors on disk, so that a second run of a benchmark embeds nothing."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np

from benchmarks.report import progress
from reverie.types import TextEncoder

_SOME = 512  # texts between two lines of progress


class VectorCache:
    """A `TextEncoder` over another; `save` writes what is new. Keyed by a digest of the text."""

    def __init__(self, encoder: TextEncoder, path: Path) -> None:
        self._encoder, self._path, self._fresh = encoder, path, False
        self._vectors: dict[str, np.ndarray] = {}
        if path.exists():
            with np.load(path, allow_pickle=False) as kept:
                if str(kept["encoder"]) == encoder.encoder_id:
                    self._vectors = dict(zip(kept["keys"].tolist(), kept["vectors"], strict=True))

    @property
    def encoder_id(self) -> str:
        return self._encoder.encoder_id

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        keys = [blake2b(text.encode(), digest_size=16).hexdigest() for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._vectors}
        wanted = list(missing)
        for begin in range(0, len(wanted), _SOME):
            part = wanted[begin : begin + _SOME]
            self._vectors.update(zip(part, self._encoder.encode([missing[key] for key in part]), strict=True))
            self._fresh = True
            if len(wanted) > _SOME:
                progress(f"embedded {begin + len(part)} of {len(wanted)}")
        return np.stack([self._vectors[key] for key in keys]) if texts else self._encoder.encode(texts)

    def save(self) -> None:
        if self._fresh:
            keys, vectors = np.array(list(self._vectors)), np.stack(list(self._vectors.values()))
            np.savez(self._path, keys=keys, vectors=vectors, encoder=self.encoder_id)
            self._fresh = False
