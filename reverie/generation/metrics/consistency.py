"""Does a long video hold together: at the seams of its chunks, where a place is seen again, in who is in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float32, Int64, UInt8
from numpy import ndarray

Embed = Callable[[UInt8[ndarray, "n h w 3"]], Float32[ndarray, "n d"]]


def frame_differences(video: UInt8[ndarray, "t h w 3"]) -> Float32[ndarray, "u"]:
    """The mean absolute difference of neighbouring frames, of values in [0, 255]."""
    return np.asarray(np.abs(np.diff(video.astype(np.float32), axis=0)).mean(axis=(1, 2, 3)))


def boundary_ratio(video: UInt8[ndarray, "t h w 3"], seams: Sequence[int]) -> float:
    """Mean frame difference across seams over that of all other neighbours; 1 where seams cannot be told.

    Args:
        video: its frames.
        seams: the first frame of every chunk but the first.

    Raises:
        ValueError: no seam, one outside of the video, or nothing but seams.
    """
    at = np.unique(np.asarray(seams, dtype=np.int64)) - 1
    if not len(at) or at.min() < 0 or at.max() >= len(video) - 1 or len(at) == len(video) - 1:
        raise ValueError(f"seams have to lie between the {len(video)} frames, and not between all of them")
    differences = frame_differences(video)
    return float(differences[at].mean() / np.delete(differences, at).mean())


def psnr(a: UInt8[ndarray, "*n h w 3"], b: UInt8[ndarray, "*n h w 3"]) -> float:
    """Peak signal to noise ratio in dB; infinite where both are equal."""
    error = float(((a.astype(np.float64) - b) ** 2).mean())
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def revisits(camera: Int64[ndarray, "t 2"], size: int, apart: int) -> list[tuple[int, int]]:
    """Pairs (first, again) of frames with the same view, at least `apart` frames from each other.

    Args:
        camera: corners of the views on the map, not wrapped.
        size: of the map, a torus, in pixels.
        apart: in frames.
    """
    first: dict[tuple[int, int], int] = {}
    pairs = []
    for frame, (y, x) in enumerate(camera % size):
        seen = first.setdefault((int(y), int(x)), frame)
        if frame - seen >= apart:
            pairs.append((seen, frame))
    return pairs


def revisit_psnr(video: UInt8[ndarray, "t h w 3"], pairs: Sequence[tuple[int, int]]) -> float:
    """The mean over pairs of the PSNR, in dB, of a place seen again against how it looked at first; at most 60 each."""
    return float(np.mean([min(psnr(video[first], video[again]), 60.0) for first, again in pairs]))


def revisit_cosine(video: UInt8[ndarray, "t h w 3"], pairs: Sequence[tuple[int, int]], embed: Embed) -> float:
    """Scene revisit consistency (SlowFast-VGen): the mean cosine of the embeddings of first and second visits."""
    first, again = (embed(video[list(side)]) for side in zip(*pairs, strict=True))
    return float((_unit(first) * _unit(again)).sum(-1).mean())


def identity_distances(
    video: UInt8[ndarray, "t h w 3"], anchor: UInt8[ndarray, "h w 3"], embed: Embed
) -> Float32[ndarray, "t"]:
    """1 - cosine of each frame's embedding and the anchor's: 0 the same, 2 the opposite."""
    return np.asarray(1 - _unit(embed(video)) @ _unit(embed(anchor[None]))[0])


def _unit(vectors: Float32[ndarray, "n d"]) -> Float32[ndarray, "n d"]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))
