"""What the speech stage needs from a recogniser of speech; `Whisper` is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from reverie.perception.samples import Samples
from reverie.types import Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """Words with times from the first sample on. `separator` stands between words: none in Chinese or Japanese."""

    words: tuple[Word, ...] = ()
    separator: str = " "


class Recogniser(Protocol):
    """Speech to words. Cheap to construct and to pickle before `setup`."""

    def setup(self) -> None:
        """Load weights."""
        ...

    def recognise(self, samples: Samples) -> Transcript:
        """(T,) float32 samples at 16 kHz, at most 30 s of them, to words; none where nobody speaks.

        MUST give the same words for the same samples, and words in order of time.
        """
        ...

    def close(self) -> None:
        """Release what `setup` took. Idempotent."""
        ...
