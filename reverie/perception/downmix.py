"""Decoded sound of any layout and sample format as one channel of float32.

Weights follow ITU-R BS.775 for surround: the centre, which carries the voices, whole, front left and right by
0.7071, the rest by half, without the low-frequency channel; they are scaled to sum to one. One or two channels
are averaged.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

_WEIGHTS = {"FC": 1.0, "FL": 0.7071, "FR": 0.7071, "LFE": 0.0, "LFE2": 0.0}
_OTHER_WEIGHT = 0.5


def to_mono(frame: AudioFrame) -> Float32[ndarray, "t"]:
    """(T,) float32 in [-1, 1]."""
    weights = _weights(tuple(channel.name for channel in frame.layout.channels))
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, len(weights)).T
    mono = weights @ _as_float(samples)
    if not np.isfinite(mono.sum()):  # damaged sound decodes to anything
        mono = np.nan_to_num(mono, nan=0.0, posinf=1.0, neginf=-1.0)
    return np.asarray(np.clip(mono, -1.0, 1.0), np.float32)


@lru_cache(maxsize=64)
def _weights(channels: tuple[str, ...]) -> Float32[ndarray, "c"]:
    weights = np.array([_WEIGHTS.get(channel, _OTHER_WEIGHT) for channel in channels], np.float32)
    if len(channels) <= 2 or not weights.any():
        weights = np.ones(len(channels), np.float32)
    return np.asarray(weights / weights.sum(), np.float32)


def _as_float(samples: ndarray) -> Float32[ndarray, "c t"]:
    """Integer samples scaled to [-1, 1]; unsigned bytes are centred at 128."""
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128.0) / 128.0
    if np.issubdtype(samples.dtype, np.integer):
        return (samples / float(-np.iinfo(samples.dtype).min)).astype(np.float32)
    return samples.astype(np.float32, copy=False)
