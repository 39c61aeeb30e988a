"""WordLlama (MIT; its wheel carries 16 MB of weights): a second real text encoder, to change to and from.

The mean of its 256-dimensional token vectors, of unit length. Read from the wheel's files, without importing it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer


class WordLlama:
    """A `TextEncoder` with 256 dimensions.

    Raises:
        ModuleNotFoundError: wordllama is not installed.
    """

    encoder_id = "wordllama-l2-256"

    def __init__(self) -> None:
        spec = find_spec("wordllama")
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError("wordllama is not installed: pip install wordllama")
        folder = Path(spec.origin).parent
        weights = load_file(folder / "weights" / "l2_supercat_256.safetensors")
        self._vectors = weights["embedding.weight"].astype(np.float32)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizers" / "l2_supercat_tokenizer_config.json"))
        self._tokenizer.no_padding()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(N,) sentences to (N, 256) float32 rows of unit L2 norm."""
        if not texts:
            return np.zeros((0, self._vectors.shape[1]), np.float32)
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch([text or " " for text in texts])]
        means = np.stack([self._vectors[ids].mean(axis=0) for ids in tokens])
        return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)
