"""Did the camera go where it was told to? Measured by shifting: no classifier that could be fooled is asked.

For every pair of neighbouring frames each action of the measurable world is tried: the one whose move explains the
second frame best, over the pixels that both then show, is the one that was made. Exact on the world's own films, but
for places so plain that moves cannot be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from reverie.generation.world import ACTIONS, MOVES, Action


def moved(video: UInt8[ndarray, "t h w 3"]) -> list[Action]:
    """The action that explains each pair of neighbouring frames best: the least mean absolute difference."""
    float_video = video.astype(np.float32)
    return [min(ACTIONS, key=lambda action: _unlike(now, then, action)) for now, then in pairwise(float_video)]


def action_accuracy(video: UInt8[ndarray, "t h w 3"], actions: Sequence[Action]) -> float:
    """The share of moves that were made as told.

    Raises:
        ValueError: not one action for each pair of frames.
    """
    if len(actions) != len(video) - 1:
        raise ValueError(f"{len(actions)} actions for {len(video)} frames: one less than frames is needed")
    return float(np.mean([made == told for made, told in zip(moved(video), actions, strict=True)]))


def direction_errors(video: UInt8[ndarray, "t h w 3"], actions: Sequence[Action]) -> list[float]:
    """The angle in degrees between the move made and the one told, of each pair; 90 where one of them stands still."""
    angles = []
    for made, told in zip(moved(video), actions, strict=True):
        (y, x), (v, u) = MOVES[made], MOVES[told]
        still = not (y or x), not (v or u)
        angle = abs(np.degrees(np.arctan2(y, x) - np.arctan2(v, u))) % 360
        angles.append((0.0 if all(still) else 90.0) if any(still) else float(min(angle, 360 - angle)))
    return angles


def _unlike(now: ndarray, then: ndarray, action: Action) -> float:
    y, x = MOVES[action]
    height, width = now.shape[:2]
    before = now[max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)]
    after = then[max(-y, 0) : height + min(-y, 0), max(-x, 0) : width + min(-x, 0)]
    return float(np.abs(before - after).mean())
