"""JPEGs of known content."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def jpeg_of(image: np.ndarray, quality: int = 90) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, "JPEG", quality=quality)
    return out.getvalue()


def plain(level: int = 120, size: tuple[int, int] = (320, 180)) -> bytes:
    """A grey picture of (width, height)."""
    return jpeg_of(np.full((size[1], size[0], 3), level, np.uint8))


def half(size: tuple[int, int] = (320, 180)) -> bytes:
    """Black on the left, white on the right."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    image[:, size[0] // 2 :] = 255
    return jpeg_of(image)


def opened(jpeg: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(jpeg)) as picture:
        return np.asarray(picture.convert("RGB"))
