"""What is spoken and written in the sample streams, and what never is: the pools that the planner draws from.

Topics are distinct over sentences, captions and absent ones, so that a question has one right answer or none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

SPEECH_DIR = Path(__file__).parent / "speech"
CAPTIONS_FILE = Path(__file__).parent / "captions.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A recorded sentence. Any one of `answer` in a reply shows that `question` was understood.

    `topic` completes "What was said about ...?".
    """

    sentence_id: str
    voice: str
    text: str
    topic: str
    question: str
    answer: tuple[str, ...]

    @property
    def path(self) -> Path:
        return SPEECH_DIR / f"{self.sentence_id}.ogg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """A text burned into the picture. `topic` completes "What did the text about ... say?"."""

    caption_id: str
    text: str
    topic: str
    question: str
    answer: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A topic of the same style that no sentence or caption has, with a question nobody can answer."""

    topic: str
    question: str


@lru_cache(maxsize=1)
def load_sentences() -> tuple[Sentence, ...]:
    """All recorded sentences."""
    rows = json.loads((SPEECH_DIR / "sentences.json").read_text())
    return tuple(
        Sentence(sentence_id=row.pop("id"), answer=tuple(row.pop("answer")), **row) for row in rows["sentences"]
    )


@lru_cache(maxsize=1)
def load_absent_sentences() -> tuple[Absent, ...]:
    """Topics that nobody ever speaks of."""
    return tuple(Absent(**row) for row in json.loads((SPEECH_DIR / "sentences.json").read_text())["absent"])


@lru_cache(maxsize=1)
def load_captions() -> tuple[Caption, ...]:
    """All texts that may be burned in."""
    rows = json.loads(CAPTIONS_FILE.read_text())["captions"]
    return tuple(Caption(caption_id=row.pop("id"), answer=tuple(row.pop("answer")), **row) for row in rows)


@lru_cache(maxsize=1)
def load_absent_captions() -> tuple[Absent, ...]:
    """Topics that no caption has."""
    return tuple(Absent(**row) for row in json.loads(CAPTIONS_FILE.read_text())["absent"])


def decode_mono(path: Path, rate_hz: int) -> NDArray[np.float32]:
    """The first sound track of a file, (T,) float32, mixed down to mono at `rate_hz`."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate_hz)
    parts: list[NDArray[np.float32]] = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            parts += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
        parts += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    return np.concatenate(parts).astype(np.float32)


@lru_cache(maxsize=256)
def recording(sentence: Sentence, rate_hz: int) -> NDArray[np.float32]:
    """A sentence as it was recorded, (T,) float32, read-only."""
    samples = decode_mono(sentence.path, rate_hz)
    samples.flags.writeable = False
    return samples
