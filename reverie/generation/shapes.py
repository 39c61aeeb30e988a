"""What the measurable world is painted of: colours, shapes and terrains, all by formula."""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

COLOURS = {  # RGB in [0, 1]
    "red": (0.90, 0.10, 0.10),
    "orange": (0.98, 0.55, 0.05),
    "yellow": (0.98, 0.92, 0.15),
    "green": (0.10, 0.75, 0.20),
    "blue": (0.10, 0.25, 0.95),
    "purple": (0.60, 0.15, 0.80),
    "white": (0.98, 0.98, 0.98),
    "black": (0.03, 0.03, 0.03),
}
SHAPES = ("circle", "square", "triangle", "cross", "ring", "diamond")
TERRAINS = {  # mean colour, how far it varies, and over how many pixels (y, x) it does
    "grass": ((0.28, 0.55, 0.22), 0.10, (2, 2)),
    "sand": ((0.78, 0.66, 0.44), 0.09, (1, 4)),
    "water": ((0.18, 0.42, 0.66), 0.10, (2, 8)),
    "stone": ((0.50, 0.50, 0.52), 0.14, (5, 5)),
    "snow": ((0.84, 0.87, 0.93), 0.08, (5, 3)),
}
_FINE = 8  # samples of a pixel's side, over which a shape's edge is averaged
_BLOTCH_PX, _BLOTCH = 16, 0.10  # slow changes of brightness, by which a place is known again


@cache
def coverage(shape: str, size: int) -> Float32[ndarray, "s s"]:
    """The share of each pixel that the shape covers, in [0, 1]."""
    axis = (np.arange(size * _FINE) + 0.5) / (size * _FINE) * 2 - 1
    y, x = np.meshgrid(axis, axis, indexing="ij")
    radius = np.hypot(y, x)
    inside = {
        "circle": radius < 1,
        "square": np.maximum(abs(y), abs(x)) < 0.88,
        "triangle": (abs(x) < (y + 1) / 2) & (y < 0.8),
        "cross": (np.minimum(abs(y), abs(x)) < 0.34) & (np.maximum(abs(y), abs(x)) < 1),
        "ring": (radius < 1) & (radius > 0.5),
        "diamond": abs(y) + abs(x) < 1,
    }[shape]
    covered: Float32[ndarray, "s s"] = inside.reshape(size, _FINE, size, _FINE).mean(axis=(1, 3)).astype(np.float32)
    covered.flags.writeable = False
    return covered


def terrain_texture(terrain: str, size: int, random: np.random.Generator) -> Float32[ndarray, "s s 3"]:
    """A torus of this terrain, RGB in [0, 1]."""
    mean, spread, grain = TERRAINS[terrain]
    bright = spread * _noise(size, grain, random) + _BLOTCH * _noise(size, (_BLOTCH_PX, _BLOTCH_PX), random)
    tint = 0.15 * spread * np.stack([_noise(size, grain, random) for _ in range(3)], axis=-1)
    return np.clip(np.array(mean) + bright[..., None] + tint, 0, 1).astype(np.float32)


def _noise(size: int, grain: tuple[int, int], random: np.random.Generator) -> Float32[ndarray, "s s"]:
    """White noise smoothed by a Gaussian of this deviation around the torus: mean 0, deviation 1."""
    frequency = np.fft.fftfreq(size)
    falls = [np.exp(-2 * (np.pi * frequency * px) ** 2) for px in grain]
    smooth = np.fft.ifft2(np.fft.fft2(random.standard_normal((size, size))) * falls[0][:, None] * falls[1]).real
    return np.asarray((smooth - smooth.mean()) / smooth.std(), dtype=np.float32)
