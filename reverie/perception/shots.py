"""Hard cuts between sampled pictures.

Shot detectors compare neighbouring frames at 25 fps; here pictures are half a second apart, where a
pan or a passing bus changes nearly every pixel and a flicker every colour. Two measures together tell
a cut from those:

- surprise of layout: how badly the best-placed quarter of one picture is found anywhere in the other
  (normalised cross-correlation, so a pan, a moving thing and a change of exposure all score low);
- surprise of palette: Hellinger distance of their HSV histograms.

Their weighted sum must pass a threshold, and stand out against the last seconds (the adaptive rule of
PySceneDetect), and enough pixels must have changed (a title on a plain ground is no cut). Pictures are
reduced to 96 x 54 first, so a test costs about two milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Float32
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field

from reverie.perception.rgb import Rgb


class ShotConfig(BaseModel):
    """When two sampled pictures belong to different shots."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(default=0.70, ge=0, description="Layout surprise plus weighted palette surprise of a cut.")
    palette_weight: float = Field(default=0.90, ge=0, description="Weight of the palette beside the layout.")
    min_changed: float = Field(default=0.35, ge=0, le=1, description="Share of the pixels that must have changed.")
    ratio_to_recent: float = Field(default=1.4, ge=1, description="How far a cut must exceed the recent median.")
    num_recent: int = Field(default=8, ge=1, description="Pictures that 'recent' means.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How far one picture is from the one before it; each in [0, 1]."""

    layout: float
    palette: float
    changed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is compared of a picture: 54 x 96 pixels, their grey, the HSV histogram."""

    pixels: Float32[ndarray, "h w 3"] = field(repr=False)
    grey: Float32[ndarray, "h w"] = field(repr=False)
    palette: Float32[ndarray, "b"] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotState:
    """What a stream's detector remembers; immutable and picklable."""

    last: Look | None = None
    recent: tuple[float, ...] = ()


class ShotDetector:
    """Cuts of one stream: call `is_cut` with each of its pictures in order."""

    def __init__(self, config: ShotConfig | None = None, state: ShotState | None = None) -> None:
        self._config = config or ShotConfig()
        self.state = state or ShotState()

    def is_cut(self, image: Rgb) -> bool:
        """True when a hard cut lies between the picture before and this one; never for the first."""
        config, last, recent = self._config, self.state.last, self.state.recent
        look = look_at(image)
        if last is None:
            self.state = ShotState(last=look)
            return False
        change = compare(last, look)
        surprise = change.layout + config.palette_weight * change.palette
        usual = float(np.median(recent)) if recent else 0.0
        cut = (
            change.changed >= config.min_changed
            and surprise >= config.threshold
            and surprise >= config.ratio_to_recent * usual
        )
        recent = () if cut else (*recent, surprise)[-config.num_recent :]
        self.state = ShotState(last=look, recent=recent)
        return cut


_WIDTH, _HEIGHT = 96, 54
_MIN_TEXTURE = 2.0  # grey levels of standard deviation; flatter parts match everything
_MIN_STEP = 12.0  # colour levels by which a pixel has changed


def look_at(image: Rgb) -> Look:
    """Reduce a picture to what is compared."""
    small = cv2.resize(image, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
    grey = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1.0)
    hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV)
    histogram = cv2.calcHist([hsv], [0, 1, 2], None, [12, 4, 6], [0, 180, 0, 256, 0, 256])
    # Neighbouring bins share, so that a little more light does not move all mass by a bin.
    histogram = histogram + 0.5 * (_spread(histogram, 1) + _spread(histogram, 2))
    palette = (histogram / histogram.sum()).astype(np.float32).ravel()
    return Look(pixels=small.astype(np.float32), grey=grey, palette=palette)


def compare(before: Look, after: Look) -> Change:
    """Measure the change from one picture to the next."""
    changed = float((np.abs(after.pixels - before.pixels).max(axis=2) > _MIN_STEP).mean())
    palette = float(np.sqrt(max(0.0, 1 - float(np.sqrt(before.palette * after.palette).sum()))))
    found = max(_best_match(before.grey, after.grey), _best_match(after.grey, before.grey))
    # Two plain grounds have nothing to match: then the share of changed pixels speaks.
    layout = changed if found < -1 else 1 - max(found, 0.0)
    return Change(layout=layout, palette=palette, changed=changed)


def _best_match(source: Float32[ndarray, "h w"], target: Float32[ndarray, "h w"]) -> float:
    """The best correlation, in [-1, 1], of a part of `source` with any place of `target`; -2 if all parts are flat."""
    best, rows = -2.0, slice(_HEIGHT // 4, 3 * _HEIGHT // 4)
    for left in (0, _WIDTH // 4, _WIDTH // 2):
        part = source[rows, left : left + _WIDTH // 2]
        if part.std() >= _MIN_TEXTURE:
            best = max(best, float(cv2.matchTemplate(target, part, cv2.TM_CCOEFF_NORMED).max()))
    return best


def _spread(histogram: Float32[ndarray, "h s v"], axis: int) -> Float32[ndarray, "h s v"]:
    """What each bin gets from its two neighbours along an axis; the ends count twice."""
    padded = np.pad(histogram, [(1, 1) if i == axis else (0, 0) for i in range(3)], mode="edge")
    size = histogram.shape[axis]
    mixed: Float32[ndarray, "h s v"] = np.take(padded, np.arange(size), axis=axis) + np.take(
        padded, np.arange(2, size + 2), axis=axis
    )
    return mixed
