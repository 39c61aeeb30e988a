"""Rows and questions for `scale.py`: made vectors and texts, the same for every store.

Vectors: 384 dimensions, unit length, float32. One in 200 rows is a topic; a topic's rows lie around its centre with
a cosine of about 0.7, all centres share a common part (as sentence encoders' do), and a topic goes on for 16 rows of
a stream. Texts: 8 words of a Zipf vocabulary of 50,000 and 2 of the topic's own 20. A question is a row's vector
bent by noise (cosine about 0.8), and 2 words of its topic with one common word.
"""

from __future__ import annotations

import numpy as np

WIDTH = 384
NUM_STREAMS = 8
STEP_S = 4.0
_VOCABULARY = 50_000
_STAY = 16


class World:
    """`num_rows` rows from a seed; row i belongs to stream i // 16 % 8."""

    def __init__(self, num_rows: int, seed: int = 5) -> None:
        rng = np.random.default_rng(seed)
        self.num_rows = num_rows
        num_topics = max(8, num_rows // 200)
        common = _unit(rng.standard_normal(WIDTH).astype(np.float32))
        centres = _unit(_unit(rng.standard_normal((num_topics, WIDTH)).astype(np.float32)) + 0.5 * common)
        self._stays = rng.integers(num_topics, size=num_rows // _STAY + 1)
        self.topics = np.repeat(self._stays, _STAY)[:num_rows]
        self.vectors = np.empty((num_rows, WIDTH), dtype=np.float32)
        for start in range(0, num_rows, 65_536):
            part = self.vectors[start : start + 65_536]
            noise = rng.standard_normal(part.shape, dtype=np.float32) / np.float32(WIDTH**0.5)
            part[:] = _unit(centres[self.topics[start : start + len(part)]] + noise)
        ranks = np.arange(1, _VOCABULARY + 1)
        chances = 1 / ranks
        self._words = rng.choice(_VOCABULARY, size=(num_rows, 8), p=chances / chances.sum())
        self._own = rng.integers(20, size=(num_rows, 2))

    def text(self, row: int) -> str:
        common = " ".join(f"w{word}" for word in self._words[row].tolist())
        return f"{common} {self._topic_words(row)}"

    def _topic_words(self, row: int) -> str:
        topic = int(self.topics[row])
        return " ".join(f"t{topic}x{word}" for word in self._own[row].tolist())

    def stream(self, row: int) -> str:
        return f"s{row // _STAY % NUM_STREAMS}"

    def start_s(self, row: int) -> float:
        return STEP_S * (row // (_STAY * NUM_STREAMS) * _STAY + row % _STAY)

    def questions(self, count: int, seed: int = 6) -> list[tuple[int, str, np.ndarray]]:
        """(row that is meant, words, vector) of some questions."""
        rng = np.random.default_rng(seed)
        rows = rng.integers(self.num_rows, size=count)
        noise = rng.standard_normal((count, WIDTH)).astype(np.float32) * np.float32(0.75 / WIDTH**0.5)
        vectors = _unit(self.vectors[rows] + noise)
        words = [f"{self._topic_words(int(row))} w{rng.integers(5, 2000)}" for row in rows]
        return list(zip(rows.tolist(), words, vectors, strict=True))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
