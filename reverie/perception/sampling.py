"""Which decoded pictures are sent: one for each step of a time grid, and of these only the ones that changed.

`TimeSampler` cuts media time into cells of 1/fps and takes the first picture in each cell. A cell
without a picture (a low or variable frame rate) sends nothing, and no cell sends two.

`ContentGate` compares a sampled picture with the last one that it passed, on thumbnails of at most
256 px, in blocks of 4 x 4 px of the thumbnail (20 x 20 px of a picture 1280 px wide). One block that
changed is enough: a mean over the picture would miss a caption or a small thing far away. It
compares with the last *passed* picture, so a slow change adds up until it passes too.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field

from reverie.types import NS_PER_S, ns

_THUMB_PX = 256
_BLOCK_PX = 4
# Matroska and FLV store whole milliseconds: a picture of 1/3 s stands at 0.333 and belongs to the next cell.
_ROUNDING_NS = 1_000_000


class SamplingConfig(BaseModel):
    """Which pictures of a stream are sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fps: float = Field(
        default=2.0, gt=0, le=240, description="Cells of the time grid per second; at most one picture each."
    )
    max_side_px: int = Field(default=1280, ge=16, description="Larger pictures are scaled down right after decoding.")
    gate: bool = Field(default=True, description="Skip pictures that differ little from the last one sent.")
    block_change: float = Field(
        default=10.0, ge=0, le=255, description="Mean change of one block, in levels, that passes."
    )
    mean_change: float = Field(
        default=2.5, ge=0, le=255, description="Mean change of the levels of all blocks that passes."
    )
    max_still_s: float = Field(default=10.0, gt=0, description="A picture is sent at least this often, changed or not.")


class TimeSampler:
    """First picture of each cell [k/fps, (k+1)/fps) of media time."""

    def __init__(self, fps: float) -> None:
        rate = Fraction(fps).limit_denominator(1000)
        self._cells, self._per_ns = rate.numerator, rate.denominator * NS_PER_S
        self.last_cell = -1

    def cell(self, pts_ns: int) -> int:
        """The cell of a time, with a tolerance of 1 ms for containers that round."""
        return (pts_ns + _ROUNDING_NS) * self._cells // self._per_ns

    def takes(self, pts_ns: int) -> bool:
        """Whether the picture is the first of a new cell; if so the cell is used up."""
        cell = self.cell(pts_ns)
        if cell <= self.last_cell:
            return False
        self.last_cell = cell
        return True


@dataclass(slots=True)
class GateState:
    """What the gate remembers: the thumbnail of the last picture it passed, and when."""

    thumb: UInt8[ndarray, "h w 3"] | None = None
    passed_ns: int = 0


class ContentGate:
    """Passes pictures that differ from the last one passed, or come `max_still_s` after it."""

    def __init__(self, config: SamplingConfig) -> None:
        self._config, self._max_still_ns = config, ns(config.max_still_s)
        self.state = GateState()

    def passes(self, pts_ns: int, image: UInt8[ndarray, "h w 3"]) -> bool:
        if not self._config.gate:
            return True
        thumb = _thumbnail(image)
        if not self._changed(thumb) and pts_ns - self.state.passed_ns < self._max_still_ns:
            return False
        self.state = GateState(thumb=thumb, passed_ns=pts_ns)
        return True

    def _changed(self, thumb: UInt8[ndarray, "h w 3"]) -> bool:
        if self.state.thumb is None or self.state.thumb.shape != thumb.shape:
            return True
        if block_change(self.state.thumb, thumb).max() >= self._config.block_change:
            return True
        return level_change(self.state.thumb, thumb) >= self._config.mean_change


def block_change(before: UInt8[ndarray, "h w 3"], after: UInt8[ndarray, "h w 3"]) -> Float32[ndarray, "y x"]:
    """Mean absolute change of each block, in levels of 0-255, of the colour channel that changed most.

    Colour counts as well as brightness: a traffic light turns from red to green at nearly equal luma.
    """
    red, green, blue = cv2.split(cv2.absdiff(before, after))
    change = cv2.max(cv2.max(red, green), blue)
    # float first: averaging in uint8 would round small blocks away
    return _blocks(change.astype(np.float32))


def level_change(before: UInt8[ndarray, "h w 3"], after: UInt8[ndarray, "h w 3"]) -> float:
    """Mean over the picture of how far the level of each block moved: light that changes, not noise.

    Signs are kept within a block, so the noise of a camera averages out.
    """
    moved = _blocks(after.astype(np.float32) - before.astype(np.float32))
    return float(np.abs(moved).max(axis=2).mean())


def fit(width: int, height: int, max_side_px: int) -> tuple[int, int]:
    """Width and height scaled down, if need be, so that neither is longer than `max_side_px`."""
    longest = max(width, height)
    if longest <= max_side_px:
        return width, height
    return max(1, round(width * max_side_px / longest)), max(1, round(height * max_side_px / longest))


def shrink(image: UInt8[ndarray, "h w 3"], max_side_px: int) -> UInt8[ndarray, "h2 w2 3"]:
    """The picture with no side longer than `max_side_px`, averaged over areas."""
    height, width = image.shape[:2]
    size = fit(width, height, max_side_px)
    if size == (width, height):
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _thumbnail(image: UInt8[ndarray, "h w 3"]) -> UInt8[ndarray, "h2 w2 3"]:
    """Averages of squares of whole pixels: several times as quick as any other scale."""
    height, width = image.shape[:2]
    side = -(-max(height, width) // _THUMB_PX)
    if side == 1 or min(height, width) < side:
        return image.copy()
    size = (width // side, height // side)
    return np.asarray(
        cv2.resize(image[: size[1] * side, : size[0] * side], size, interpolation=cv2.INTER_AREA), np.uint8
    )


def _blocks(levels: Float32[ndarray, "h w"] | Float32[ndarray, "h w 3"]) -> ndarray:
    """Means of blocks of 4 x 4 px."""
    height, width = levels.shape[:2]
    size = (max(1, round(width / _BLOCK_PX)), max(1, round(height / _BLOCK_PX)))
    return np.asarray(cv2.resize(levels, size, interpolation=cv2.INTER_AREA), np.float32)
