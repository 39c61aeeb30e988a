"""What a user hands in: checked with an error that says what is wrong, and copied."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

from reverie.errors import SourceError
from reverie.perception.sampling import shrink
from reverie.types import AudioChunk, Frame


def check_item(item: object, uri: str) -> None:
    """Raise SourceError unless the item is a well-formed `Frame` or `AudioChunk`."""
    fault = _fault(item)
    if fault:
        raise SourceError(uri, fault)


def copied(image: UInt8[ndarray, "h w 3"]) -> Callable[[int], UInt8[ndarray, "h w 3"]]:
    """A reader of a picture that its owner may write to afterwards."""
    return lambda max_side_px: np.array(shrink(image, max_side_px), order="C")


def mono(chunk: AudioChunk) -> Float32[ndarray, "t"]:
    """A copy of the samples as one channel."""
    samples = chunk.samples if chunk.samples.ndim == 1 else chunk.samples.mean(axis=1)
    return np.asarray(np.clip(samples, -1.0, 1.0), np.float32)


def _fault(item: object) -> str:
    if isinstance(item, Frame):
        image = item.image
        if not isinstance(image, ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            return f"a frame's image must be (H, W, 3) uint8 RGB, not {_described(image)}"
        if image.size == 0:
            return f"a frame's image is empty: {_described(image)}"
    elif isinstance(item, AudioChunk):
        samples = item.samples
        if not isinstance(samples, ndarray) or samples.dtype != np.float32 or samples.ndim not in (1, 2):
            return f"a chunk's samples must be (T,) or (T, C) float32 in [-1, 1], not {_described(samples)}"
        if samples.size == 0 or not np.isfinite(samples).all():
            return "a chunk's samples are empty or not finite"
        if not 1_000 <= item.sample_rate_hz <= 768_000:
            return f"a sample rate of {item.sample_rate_hz} Hz is outside 1-768 kHz"
    else:
        return f"items must be Frame or AudioChunk, not {type(item).__name__}"
    if isinstance(item.pts_ns, bool) or not isinstance(item.pts_ns, int | np.integer) or item.pts_ns < 0:
        return f"pts_ns must be an integer of nanoseconds from 0, not {item.pts_ns!r}"
    return ""


def _described(value: object) -> str:
    return f"{value.shape} {value.dtype}" if isinstance(value, ndarray) else type(value).__name__
