"""Where text may stand in a picture, and whether it still stands there: cheap, before any recognition.

Letters are strokes: thin, brighter or darker than what lies on both sides. On a grey copy of 480 px a white
top-hat less a black top-hat answers to them with a sign; joined along the line (Wu et al. 1999; the map is
what old licence-plate readers used) they make boxes whose shape and density tell words from most
textures. Textures that pass are found out by the recogniser, which costs a thousand times more.

The same signed map compares a place between pictures: strokes of a caption stay while the video behind
it moves, so their correlation says whether the text still stands.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Int8, Int16, UInt8
from numpy import ndarray

from reverie.perception.rgb import Grey, Rgb, grey

Strokes = Int8[ndarray, "h w"]

_LONG_SIDE_PX = 480
_KERNEL_PX = 9  # wider than the strokes of letters up to about 50 px
_MIN_CONTRASTS = (24, 72)  # levels, of a pixel
_MIN_STRENGTH = 45.0  # levels, mean of a line's ink
_MIN_HEIGHT_PX, _MIN_WIDTH_PX = 5, 14
_MIN_ASPECT = 1.6
_MAX_LINES = 40  # of one sign and level, the largest: the rest are crumbs of a texture


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A rectangle as fractions of width and height."""

    x0: float
    y0: float
    x1: float
    y1: float

    def grown(self, by_x: float, by_y: float) -> Area:
        return Area(
            x0=max(0.0, self.x0 - by_x),
            y0=max(0.0, self.y0 - by_y),
            x1=min(1.0, self.x1 + by_x),
            y1=min(1.0, self.y1 + by_y),
        )

    def union(self, other: Area) -> Area:
        return Area(
            x0=min(self.x0, other.x0), y0=min(self.y0, other.y0), x1=max(self.x1, other.x1), y1=max(self.y1, other.y1)
        )

    def shared(self, other: Area) -> float:
        """The share of this area that the other covers."""
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        own = (self.x1 - self.x0) * (self.y1 - self.y0)
        return 0.0 if width <= 0 or height <= 0 or own <= 0 else width * height / own

    def slices(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of an array, at least one of each."""
        x0, y0 = min(width - 1, round(self.x0 * width)), min(height - 1, round(self.y0 * height))
        return slice(y0, max(y0 + 1, round(self.y1 * height))), slice(x0, max(x0 + 1, round(self.x1 * width)))


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMap:
    """The strokes of one picture, and the areas in which they look like text."""

    strokes: Strokes = field(repr=False)
    areas: tuple[Area, ...]


def text_map(image: Rgb) -> TextMap:
    """Look for text-like areas; about 2 ms."""
    small = grey(image, _LONG_SIDE_PX)
    strokes = _strokes(small)
    half_size = (max(1, small.shape[1] // 2), max(1, small.shape[0] // 2))
    half = cv2.resize(small, half_size, interpolation=cv2.INTER_AREA)
    areas = list(_areas(strokes))
    areas += [area for area in _areas(_strokes(half)) if all(area.shared(known) < 0.5 for known in areas)]
    return TextMap(strokes=strokes, areas=tuple(areas))


def likeness(a: Strokes, b: Strokes, area: Area) -> float:
    """Correlation of the strokes of two pictures in an area, in [-1, 1]; 0 where either has none."""
    if a.shape != b.shape:
        return 0.0
    place = area.slices(*a.shape)
    x, y = a[place].astype(np.float32), b[place].astype(np.float32)
    norm = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum()) / norm if norm > 0 else 0.0


def _strokes(small: Grey) -> Strokes:
    kernel = np.ones((_KERNEL_PX, _KERNEL_PX), np.uint8)
    bright = cv2.morphologyEx(small, cv2.MORPH_TOPHAT, kernel)
    dark = cv2.morphologyEx(small, cv2.MORPH_BLACKHAT, kernel)
    signed: Strokes = np.clip(bright.astype(np.int16) - dark, -127, 127).astype(np.int8)
    return signed


def _areas(strokes: Strokes) -> list[Area]:
    """Lines of bright ink and of dark ink, faint or strong.

    Apart, because an outline or a shadow glues letters to the scenery, and on two levels, because grass and foliage
    glue them too, but seldom as strongly as letters stand out.
    """
    strength = np.abs(strokes.astype(np.int16))
    found: list[Area] = []
    for level in _MIN_CONTRASTS:
        for sign in (1, -1):
            for area in _lines(((strokes * np.int16(sign)) >= level).astype(np.uint8), strength):
                if all(area.shared(known) < 0.8 for known in found):
                    found.append(area)
    return found


def _lines(ink: UInt8[ndarray, "h w"], strength: Int16[ndarray, "h w"]) -> list[Area]:
    height, width = ink.shape
    joined = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((3, 11), np.uint8))
    joined = cv2.morphologyEx(joined, cv2.MORPH_OPEN, np.ones((3, 7), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8, ltype=cv2.CV_16U)
    wide, high, size = (stats[:, column] for column in (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_AREA))
    shaped = (high >= _MIN_HEIGHT_PX) & (wide >= np.maximum(_MIN_WIDTH_PX, _MIN_ASPECT * high))
    shaped &= (high <= height / 3) & (size >= 0.45 * wide * high)
    shaped[0] = False  # the ground
    largest = sorted(np.flatnonzero(shaped).tolist(), key=lambda index: -int(size[index]))[:_MAX_LINES]
    found = []
    for x, y, w, h, _ in stats[largest].tolist():
        place = slice(y, y + h), slice(x, x + w)
        if _looks_written(ink[place], strength[place]):
            found.append(Area(x0=x / width, y0=y / height, x1=(x + w) / width, y1=(y + h) / height))
    return found


def _looks_written(ink: UInt8[ndarray, "h w"], strength: Int16[ndarray, "h w"]) -> bool:
    """Neither solid nor sparse, strong, and alternating along the line about as often as letters do."""
    height, width = ink.shape
    share = float(ink.mean())
    if not 0.12 <= share <= 0.75 or float((strength * ink).mean()) < _MIN_STRENGTH * share:
        return False
    middle = ink[height // 4 : max(height // 4 + 1, 3 * height // 4)].astype(np.int8)
    strokes_per_row = float(np.abs(np.diff(middle, axis=1)).sum(axis=1).mean()) / 2
    return bool(0.5 <= strokes_per_row / (width / height) <= 5.0)
