"""A decoded picture as upright RGB, no larger than asked.

Scaling and conversion to RGB happen in one call of swscale, averaging over areas. Rotation and
mirroring come from the display matrix of ISO/IEC 14496-12 (8.3.2), to the nearest quarter turn.
Pixels stay as coded: a sample aspect ratio other than 1 is not applied.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from reverie.perception.sampling import fit

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Turn = tuple[int, bool]


def to_rgb(frame: VideoFrame, max_side_px: int) -> UInt8[ndarray, "h w 3"]:
    """(H, W, 3) uint8 RGB, C-contiguous."""
    width, height = fit(frame.width, frame.height, max_side_px)
    interpolation = "AREA" if (width, height) != (frame.width, frame.height) else "BILINEAR"
    # one thread: swscale would start as many as there are cores for every single picture
    scaled = frame.reformat(width=width, height=height, format="rgb24", interpolation=interpolation, threads=1)
    image = scaled.to_ndarray()
    return turned(image, turn_of(frame))


def turned(image: UInt8[ndarray, "h w 3"], turn: Turn) -> UInt8[ndarray, "h2 w2 3"]:
    """The picture mirrored left to right, if asked, then turned counterclockwise by quarters."""
    quarters, mirrored = turn
    if mirrored:
        image = image[:, ::-1]
    return np.ascontiguousarray(np.rot90(image, quarters))


def turn_of(frame: VideoFrame) -> Turn:
    """Quarter turns counterclockwise and mirroring that make the picture upright."""
    found: list[Any] = list(frame.side_data)
    for side_data in found:
        if side_data.type.name == "DISPLAYMATRIX" and side_data.buffer_size >= 20:
            a, b, _, c, d = struct.unpack("=5i", bytes(side_data)[:20])
            return _turn(a, b, c, d)
    return 0, False


def _turn(a: int, b: int, c: int, d: int) -> Turn:
    """The matrix maps a point (x, y), y down, to (ax + cy, bx + dy)."""
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b  # what is left after mirroring x first is a rotation
    if abs(a) >= abs(b):
        return (0 if a >= 0 else 2), mirrored
    return (3 if b > 0 else 1), mirrored
