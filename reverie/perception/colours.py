"""Which basic colours fill a picture.

The eleven basic colour terms of English (Berlin and Kay 1969). A pixel with little chroma is black,
grey or white by its lightness; any other takes the term of the nearest focal colour in CIELAB, with
lightness counting half, since a term covers light and dark shades of its hue.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from reverie.perception.rgb import Rgb, shrink
from reverie.types import Label

_ACHROMATIC = ("black", "grey", "white")
_FOCAL: tuple[tuple[str, tuple[int, int, int]], ...] = (
    ("red", (200, 25, 35)),
    ("red", (130, 20, 25)),
    ("red", (235, 60, 55)),
    ("orange", (250, 140, 20)),
    ("orange", (225, 105, 30)),
    ("yellow", (250, 220, 40)),
    ("yellow", (215, 195, 90)),
    ("yellow", (245, 235, 150)),
    ("green", (0, 130, 40)),
    ("green", (85, 160, 60)),
    ("green", (40, 75, 40)),
    ("green", (155, 195, 95)),
    ("green", (90, 105, 45)),
    ("green", (60, 180, 140)),
    ("blue", (20, 40, 200)),
    ("blue", (0, 0, 110)),
    ("blue", (50, 100, 180)),
    ("blue", (130, 185, 230)),
    ("blue", (25, 40, 90)),
    ("blue", (0, 160, 210)),
    ("green", (120, 125, 20)),
    ("purple", (115, 25, 130)),
    ("purple", (225, 20, 225)),
    ("purple", (105, 75, 160)),
    ("purple", (175, 135, 205)),
    ("pink", (255, 160, 185)),
    ("pink", (230, 95, 150)),
    ("pink", (240, 190, 195)),
    ("brown", (110, 70, 40)),
    ("brown", (150, 105, 70)),
    ("brown", (75, 48, 32)),
    ("brown", (185, 150, 115)),
)
_BLACK_BELOW, _WHITE_ABOVE = 22.0, 82.0  # CIE lightness of a pixel without chroma
_GREY_CHROMA = 11.0
_LIGHTNESS_WEIGHT = 0.5
_SIDE_PX = 64


def dominant_colours(image: Rgb, min_share: float = 0.15) -> tuple[Label, ...]:
    """The colours that fill at least `min_share` of the picture, largest first; score is the share."""
    shares = colour_shares(image)
    named = sorted(((share, name) for name, share in shares.items() if share >= min_share), reverse=True)
    return tuple(Label(name=name, score=round(share, 4), kind="colour") for share, name in named)


def colour_shares(image: Rgb) -> dict[str, float]:
    """The share of the picture that each of the eleven terms covers; they add up to 1."""
    lab = _lab(shrink(image, _SIDE_PX)).reshape(-1, 3)
    lightness, chroma = lab[:, 0].copy(), np.hypot(lab[:, 1], lab[:, 2])
    names, focal = _focal_lab()
    lab[:, 0] *= _LIGHTNESS_WEIGHT
    nearest = (np.square(focal).sum(axis=1) - 2 * lab @ focal.T).argmin(axis=1)  # |p - f|^2 less |p|^2
    # In the dark, chroma is mostly noise: what counts as coloured rises as lightness falls.
    colourless = (chroma < _GREY_CHROMA) | (lightness < 8)
    counts = dict.fromkeys((*_ACHROMATIC, *names), 0)
    for index, count in enumerate(np.bincount(nearest[~colourless], minlength=len(names))):
        counts[names[index]] += int(count)
    levels = np.digitize(lightness[colourless], (_BLACK_BELOW, _WHITE_ABOVE))
    for index, count in enumerate(np.bincount(levels, minlength=3)):
        counts[_ACHROMATIC[index]] += int(count)
    return {name: count / len(lab) for name, count in counts.items()}


def _lab(image: Rgb) -> Float32[ndarray, "h w 3"]:
    lab: Float32[ndarray, "h w 3"] = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return lab


@functools.cache
def _focal_lab() -> tuple[tuple[str, ...], Float32[ndarray, "n 3"]]:
    """Names and colours, lightness already weighted."""
    rgb = np.array([[colour for _, colour in _FOCAL]], np.uint8)
    focal = _lab(rgb)[0]
    focal[:, 0] *= _LIGHTNESS_WEIGHT
    return tuple(name for name, _ in _FOCAL), focal
