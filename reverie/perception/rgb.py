"""Small operations on pictures that the senses of sight share. All take (H, W, 3) uint8 RGB."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

Rgb = UInt8[ndarray, "h w 3"]
Grey = UInt8[ndarray, "h w"]

cv2.setNumThreads(1)  # parallelism is the runner's: one stage, one core


def shrink(image: Rgb, long_side_px: int) -> Rgb:
    """A copy whose longer side is at most `long_side_px`, by area averaging."""
    return _reduce(image, long_side_px)


def grey(image: Rgb, long_side_px: int) -> Grey:
    """A small grey copy. Grey first, then small: half the time of the other way round."""
    return _reduce(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), long_side_px)


def _reduce(image: UInt8[ndarray, "..."], long_side_px: int) -> UInt8[ndarray, "..."]:
    height, width = image.shape[:2]
    scale = long_side_px / max(height, width)
    if scale >= 1:
        return image.copy()
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small: UInt8[ndarray, "..."] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return small


def jpeg(image: Rgb, long_side_px: int, quality: int) -> bytes:
    """A JPEG whose longer side is at most `long_side_px`."""
    bgr = cv2.cvtColor(shrink(image, long_side_px), cv2.COLOR_RGB2BGR)
    written, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not written:
        raise ValueError(f"cannot encode a picture of shape {image.shape} as JPEG")
    return np.asarray(encoded).tobytes()
