"""What was perceived lately in one stream, for showing: pictures with their boxes, and lines heard and read.

It listens to observations on their way to memory (`Session.watching(tap=...)`), so the page shows
them before they are committed. Boxes are drawn on the very frame in which they were found: on a
newer one they would trail behind what moves.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Float32
from numpy import ndarray
from PIL import Image

from reverie.types import Box, Item, Modality, Observation, TimeSpan

T = TypeVar("T")
MAX_PICTURES = 64
MAX_LINES = 200
# After so long without news of boxes the picture did not change (the content gate), or perception lags.
STALE_NS = 4_000_000_000
SAME_TEXT_NS = 2_000_000_000
SAME_LEVELS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Something that was said or was written on screen."""

    span: TimeSpan
    modality: Modality
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A picture (JPEG) and the boxes to draw on it. `key` tells two different ones apart."""

    pts_ns: int
    jpeg: bytes
    boxes: tuple[Box, ...]
    key: tuple[int, int]


class Witness:
    """Keeps the newest of what one stream shows and says. Thread-safe and bounded.

    A live stream gives its own pictures with `keep_picture`; of a file the thumbnails are shown.
    """

    def __init__(self, live: bool) -> None:
        self._live = live
        self._lock = threading.Lock()
        self._pictures: OrderedDict[int, bytes] = OrderedDict()
        self._boxes: OrderedDict[int, tuple[Box, ...]] = OrderedDict()
        self._lines: deque[Line] = deque(maxlen=MAX_LINES)

    def keep_picture(self, pts_ns: int, jpeg: bytes) -> None:
        with self._lock:
            _keep(self._pictures, pts_ns, jpeg)

    def perceive(self, items: Sequence[Item]) -> None:
        """Take note of observations; anything else is ignored."""
        with self._lock:
            for item in items:
                if isinstance(item, Observation):
                    self._note(item)

    def newest(self) -> Seen | None:
        """The newest picture whose boxes are known; if that is long ago, the newest one, boxed if it shows the same."""
        with self._lock:
            if not self._pictures:
                return None
            latest_ns = max(self._pictures)
            found_ns = max((pts_ns for pts_ns in self._boxes if pts_ns in self._pictures), default=-1)
            latest, found = self._pictures[latest_ns], self._pictures.get(found_ns)
            boxes = self._boxes.get(found_ns, ())
        if found is not None and latest_ns - found_ns <= STALE_NS:
            return Seen(pts_ns=found_ns, jpeg=found, boxes=boxes, key=(found_ns, found_ns))
        if found is None or not alike(found, latest):
            found_ns, boxes = -1, ()
        return Seen(pts_ns=latest_ns, jpeg=latest, boxes=boxes, key=(latest_ns, found_ns))

    def lines(self) -> tuple[Line, ...]:
        """What was heard and read, in the order of its time."""
        with self._lock:
            return tuple(sorted(self._lines, key=lambda line: line.span.start_ns))

    def _note(self, seen: Observation) -> None:
        pts_ns = seen.span.start_ns
        if seen.modality is Modality.OBJECTS:
            _keep(self._boxes, pts_ns, seen.boxes)
        elif seen.modality is Modality.VISION and seen.thumbnail and not self._live:
            _keep(self._pictures, pts_ns, seen.thumbnail)
        elif seen.modality in (Modality.SPEECH, Modality.WRITING) and seen.text.strip():
            self._say(Line(span=seen.span, modality=seen.modality, text=seen.text.strip()))

    def _say(self, line: Line) -> None:
        """Add a line, or lengthen the one it goes on: a text that stands is reported in parts."""
        for index, old in enumerate(self._lines):
            same = old.modality is line.modality and old.text == line.text
            if same and line.modality is Modality.WRITING and line.span.start_ns - old.span.end_ns <= SAME_TEXT_NS:
                self._lines[index] = Line(span=old.span.union(line.span), modality=line.modality, text=line.text)
                return
        self._lines.append(line)


def alike(jpeg: bytes, other: bytes) -> bool:
    """Whether two pictures show the same, by the mean difference of small grey copies."""
    small, small_other = (_small(picture) for picture in (jpeg, other))
    return float(np.abs(small - small_other).mean()) < SAME_LEVELS


def _small(jpeg: bytes) -> Float32[ndarray, "h w"]:
    with Image.open(io.BytesIO(jpeg)) as picture:
        picture.draft("L", (64, 36))  # the decoder scales down itself
        return np.asarray(picture.convert("L").resize((64, 36)), np.float32)


def _keep(store: OrderedDict[int, T], pts_ns: int, value: T) -> None:
    store[pts_ns] = value
    if len(store) > MAX_PICTURES:
        store.popitem(last=False)
