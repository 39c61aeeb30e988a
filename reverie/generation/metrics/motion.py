"""Warp error, and motion-aware warp error (MAWE, StreamingT2V section 5.1).

A flow (T - 1, H, W, 2) says for each pixel of frame t where it lies in frame t + 1, less where it was: (x, y) in
pixels. The warp error is the mean squared difference, of values in [0, 255], between frame t and frame t + 1 looked
up there, over pixels that are seen in both. A still video has none, so MAWE divides by how much moves.

`mawe_paper` is the paper's: W / OFS with OFS the mean squared magnitude of flow. `mawe_released` is what the released
script computes: the mean over pairs of frames of W_t / (9.5 * mean magnitude), of a video scaled to 720 pixels with
RAFT's flow; give it that flow to compare with its figures. Both grow without bound for a still video with noise, and
are NaN for one without (0 / 0).
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8
from numpy import ndarray

RELEASED_SCALE = 9.5
_FORWARD_BACKWARD = (0.01, 0.5)  # Sundaram et al. 2010: |f + b|^2 < 0.01 (|f|^2 + |b|^2) + 0.5


class Motion(NamedTuple):
    """Flow, and which pixels of frame t are seen in frame t + 1."""

    flow: Float32[ndarray, "u h w 2"]
    visible: Bool[ndarray, "u h w"]


def farneback(video: UInt8[ndarray, "t h w 3"]) -> Motion:
    """Estimated flow (Farneback 2003, as in OpenCV); seen is what flow forward and backward agrees on."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in video]
    flows, seen = [], []
    for now, then in pairwise(grey):
        forward, backward = (
            cv2.calcOpticalFlowFarneback(a, b, np.zeros((*a.shape, 2), np.float32), 0.5, 3, 15, 3, 5, 1.2, 0)
            for a, b in ((now, then), (then, now))
        )
        returned = _look_up(backward, forward)
        error = ((forward + returned) ** 2).sum(-1)
        allowed = _FORWARD_BACKWARD[0] * ((forward**2).sum(-1) + (returned**2).sum(-1)) + _FORWARD_BACKWARD[1]
        flows.append(forward)
        seen.append((error < allowed) & _inside(forward))
    return Motion(np.stack(flows).astype(np.float32), np.stack(seen))


def warp_errors(video: UInt8[ndarray, "t h w 3"], motion: Motion) -> Float32[ndarray, "u"]:
    """Of each pair of frames; NaN where nothing is seen in both.

    Raises:
        ValueError: not one flow for each pair of frames.
    """
    if len(motion.flow) != len(video) - 1:
        raise ValueError(f"{len(motion.flow)} flows for {len(video)} frames: one less than frames is needed")
    errors = np.full(len(motion.flow), np.nan, np.float32)
    for index, (flow, visible) in enumerate(zip(*motion, strict=True)):
        if visible.any():
            difference = _look_up(video[index + 1].astype(np.float32), flow) - video[index]
            errors[index] = (difference[visible] ** 2).mean()
    return errors


def warp_error(video: UInt8[ndarray, "t h w 3"], motion: Motion) -> float:
    """The mean over pairs of frames."""
    return float(np.nanmean(warp_errors(video, motion)))


def mawe_paper(video: UInt8[ndarray, "t h w 3"], motion: Motion | None = None) -> float:
    """Warp error over the mean squared magnitude of flow."""
    motion = motion or farneback(video)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.float64(warp_error(video, motion)) / (motion.flow**2).sum(-1).mean())


def mawe_released(video: UInt8[ndarray, "t h w 3"], motion: Motion | None = None) -> float:
    """The mean over pairs of frames of warp error over 9.5 times the mean magnitude of flow."""
    motion = motion or farneback(video)
    magnitude = np.linalg.norm(motion.flow, axis=-1).mean(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.mean(warp_errors(video, motion) / (RELEASED_SCALE * magnitude)))


def flow_magnitudes(motion: Motion) -> Float32[ndarray, "u"]:
    """The mean magnitude of each pair's flow, in pixels; its deviation tells how jerky a video is."""
    return np.asarray(np.linalg.norm(motion.flow, axis=-1).mean(axis=(1, 2)), dtype=np.float32)


def _look_up(image: Float32[ndarray, "h w c"], flow: Float32[ndarray, "h w 2"]) -> Float32[ndarray, "h w c"]:
    y, x = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
    return cv2.remap(image, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _inside(flow: Float32[ndarray, "h w 2"]) -> Bool[ndarray, "h w"]:
    y, x = np.mgrid[: flow.shape[0], : flow.shape[1]]
    to_x, to_y = x + flow[..., 0], y + flow[..., 1]
    return np.asarray((to_x >= 0) & (to_x <= flow.shape[1] - 1) & (to_y >= 0) & (to_y <= flow.shape[0] - 1))
