"""Things in a picture: 80 kinds, as boxes.

SSD with MobileNetV2 (Liu et al. 2016; Sandler et al. 2018), trained on COCO (Lin et al. 2014), the frozen
graph of TensorFlow's model zoo run by OpenCV's dnn. The graph takes 300 x 300 RGB in [0, 255], scales it
itself, and gives up to 100 boxes as (picture, class, score, x0, y0, x1, y1) in fractions of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from reverie.perception.models import resolve
from reverie.perception.rgb import Rgb

# COCO's category ids run from 1 to 90 and skip ten; the place in this tuple is the id.
COCO_NAMES = tuple(
    """- person bicycle car motorcycle airplane bus train truck boat traffic_light fire_hydrant - stop_sign
    parking_meter bench bird cat dog horse sheep cow elephant bear zebra giraffe - backpack umbrella - - handbag
    tie suitcase frisbee skis snowboard sports_ball kite baseball_bat baseball_glove skateboard surfboard
    tennis_racket bottle - wine_glass cup fork knife spoon bowl banana apple sandwich orange broccoli carrot
    hot_dog pizza donut cake chair couch potted_plant bed - dining_table - - toilet - tv laptop mouse remote
    keyboard cell_phone microwave oven toaster sink refrigerator - book clock vase scissors teddy_bear hair_drier
    toothbrush""".split()  # noqa: SIM905 (a list of 91 would take 91 lines)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """A thing found in one picture. Corners are fractions of its width and height, in [0, 1]."""

    name: str
    score: float
    x0: float
    y0: float
    x1: float
    y1: float


class Detector(Protocol):
    """Pictures to things. Picklable before `load`."""

    def load(self) -> None:
        """Load weights. Raises ModelError."""
        ...

    def detect(self, images: Sequence[Rgb]) -> list[tuple[Detection, ...]]:
        """The things in each of N pictures, best first."""
        ...


class SsdConfig(BaseModel):
    """Options of the SSD detector."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: str = Field(default="ssd-mobilenet-v2", description="Model name of the folder with graph and its text.")
    min_score: float = Field(
        default=0.35,
        ge=0,
        le=1,
        description="Detections below it are dropped; those below the tracker's start_score start nothing.",
    )
    max_overlap: float = Field(
        default=0.6, ge=0, le=1, description="IoU above which two boxes of one name, or 0.1 more of two, are one thing."
    )
    min_area: float = Field(default=0.0004, ge=0, le=1, description="Smallest box, as a share of the picture.")


_SIDE_PX = 300
_GRAPH, _TEXT = "frozen_inference_graph.pb", "ssd_mobilenet_v2_coco_2018_03_29.pbtxt"


class Ssd:
    """The embedded profile's `Detector`."""

    def __init__(self, config: SsdConfig | None = None) -> None:
        self._config = config or SsdConfig()
        self._net: Any = None

    def __reduce__(self) -> tuple[type[Ssd], tuple[SsdConfig]]:
        return type(self), (self._config,)

    def load(self) -> None:
        """Read the graph, and run it once: the first run plans it, and takes ten times as long. Raises ModelError."""
        folder = resolve(self._config.weights)
        self._net = cv2.dnn.readNetFromTensorflow(str(folder / _GRAPH), str(folder / _TEXT))
        self._detect_one(np.zeros((_SIDE_PX, _SIDE_PX, 3), np.uint8))

    def detect(self, images: Sequence[Rgb]) -> list[tuple[Detection, ...]]:
        """The things in each picture, best first. One picture at a time: this network gains nothing from batches."""
        if self._net is None:
            self.load()
        return [self._detect_one(image) for image in images]

    def _detect_one(self, image: Rgb) -> tuple[Detection, ...]:
        padded, margin_x, margin_y = _pad(image)
        self._net.setInput(cv2.dnn.blobFromImage(padded, size=(_SIDE_PX, _SIDE_PX), swapRB=False))
        rows = self._net.forward()[0, 0]
        found: list[Detection] = []
        for _, kind, score, *corners in rows[np.argsort(-rows[:, 2], kind="stable")]:
            if score < self._config.min_score or not 0 < kind < len(COCO_NAMES):
                continue
            x0, x1 = (_unpad(float(value), margin_x) for value in corners[::2])
            y0, y1 = (_unpad(float(value), margin_y) for value in corners[1::2])
            name = COCO_NAMES[int(kind)].replace("_", " ")
            thing = Detection(name=name, score=min(1.0, float(score)), x0=x0, y0=y0, x1=x1, y1=y1)
            if min(x1 - x0, y1 - y0) <= 0 or (x1 - x0) * (y1 - y0) < self._config.min_area:
                continue
            if not self._is_known(thing, found):
                found.append(thing)
        return tuple(found)

    def _is_known(self, thing: Detection, found: Sequence[Detection]) -> bool:
        """Non-maximum suppression, a little laxer between names: a truck where a car is is the car."""
        limit = self._config.max_overlap
        return any(iou(thing, other) > limit + 0.1 * (thing.name != other.name) for other in found)


def _pad(image: Rgb) -> tuple[Rgb, float, float]:
    """Grey bars to 4:3 at most, so that squeezing to a square distorts no more than COCO's own pictures were.

    Returns the picture and the share of its width and height that one bar takes.
    """
    height, width = image.shape[:2]
    rows = max(0, round((width * 3 / 4 - height) / 2))
    columns = max(0, round((height * 3 / 4 - width) / 2))
    if not rows and not columns:
        return image, 0.0, 0.0
    padded: Rgb = cv2.copyMakeBorder(
        image, rows, rows, columns, columns, cv2.BORDER_CONSTANT, value=(127.0, 127.0, 127.0)
    )
    return padded, columns / padded.shape[1], rows / padded.shape[0]


def _unpad(value: float, margin: float) -> float:
    return min(1.0, max(0.0, (value - margin) / (1 - 2 * margin)))


def iou(a: Detection, b: Detection) -> float:
    """Intersection over union of two boxes."""
    width, height = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0) - shared)
