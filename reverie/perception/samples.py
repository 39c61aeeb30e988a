"""Sound as the stages that hear keep it: runs of contiguous 16 kHz mono samples.

Sources cut sound into chunks as it suits them; a stage must not depend on where. A `Run` is what lies
between two gaps: it counts its samples from its first one, whose pts is the anchor of all its times.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from reverie.errors import StageError
from reverie.types import NS_PER_S, AudioChunk

SAMPLE_RATE_HZ = 16_000
NS_PER_SAMPLE = NS_PER_S // SAMPLE_RATE_HZ
JOIN_TOLERANCE_NS = 40_000_000  # time stamps of containers are rounded; one picture's length is no gap

Samples = Float32[ndarray, "t"]


@dataclass(slots=True)
class Run:
    """Contiguous sound: sample `index` stands at `anchor_ns` + index x 62,500 ns. Those before `first` are gone."""

    anchor_ns: int
    first: int = 0
    kept: Samples = field(default_factory=lambda: np.zeros(0, np.float32))

    @property
    def end(self) -> int:
        """The index that the next sample will have."""
        return self.first + len(self.kept)

    def time_ns(self, index: int) -> int:
        return self.anchor_ns + index * NS_PER_SAMPLE

    def joins(self, pts_ns: int) -> bool:
        """Whether a chunk at `pts_ns` goes on where this run ends, or overlaps what was heard already."""
        return pts_ns <= self.time_ns(self.end) + JOIN_TOLERANCE_NS

    def append(self, pts_ns: int, samples: Samples) -> None:
        """Copy a chunk's samples to the end, without those that were heard already."""
        overlap_ns = self.time_ns(self.end) - pts_ns
        if overlap_ns > JOIN_TOLERANCE_NS:
            samples = samples[overlap_ns // NS_PER_SAMPLE :]
        self.kept = np.concatenate([self.kept, samples])

    def between(self, start: int, end: int) -> Samples:
        """The samples [start, end), by index; what is not kept must not be asked for."""
        return self.kept[start - self.first : end - self.first]

    def forget_before(self, index: int) -> None:
        if index > self.first:
            index = min(index, self.end)
            self.kept = self.kept[index - self.first :].copy()
            self.first = index


def mono_16k(chunk: AudioChunk, stage: str) -> Samples:
    """The samples of a chunk as (T,), channels averaged.

    Raises:
        StageError: the chunk has another sample rate; sources resample, so one of them is wrong.
    """
    if chunk.sample_rate_hz != SAMPLE_RATE_HZ:
        cause = f"it hears {SAMPLE_RATE_HZ} Hz and was given {chunk.sample_rate_hz} Hz; resample in the source"
        raise StageError(stage, cause, chunk.stream_id, chunk.pts_ns)
    samples = np.asarray(chunk.samples, dtype=np.float32)
    if samples.ndim == 2:
        samples = samples.mean(axis=1, dtype=np.float32)
    return np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
