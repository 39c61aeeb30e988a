"""Detections to tracks: which box in this picture is the thing that was there half a second ago.

Norfair (Kalman filter per corner, greedy matching) with a distance made for two pictures a second, where
a thing may have moved by its own size: half (1 - IoU), half the distance of the centres in box sizes,
between things of one name only. As in ByteTrack (Zhang et al. 2022), a weak detection continues a track
but never starts one. A track is confirmed by its second hit, and keeps its name and number while it is
missed for a while. Time is counted in pictures, because a content gate sends none of a still scene.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field

from reverie.perception.detector import Detection
from reverie.types import Box

_UNITS = 1000.0  # the filter works on thousandths of the picture


class TrackingConfig(BaseModel):
    """How detections are joined into tracks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start_score: float = Field(default=0.5, ge=0, le=1, description="Score from which a detection starts a track.")
    max_distance: float = Field(default=0.75, gt=0, le=1, description="Distance above which nothing matches.")
    max_missed: int = Field(default=5, ge=2, description="Pictures in a row that a track survives without a hit.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """The confirmed tracks seen in one picture, oldest first, and how many of them are new."""

    boxes: tuple[Box, ...]
    num_new: int


class BoxTracker:
    """The tracks of one stream. Track ids count from 1 in the order of confirmation."""

    def __init__(self, config: TrackingConfig | None = None) -> None:
        from norfair import OptimizedKalmanFilterFactory, Tracker, VectorizedDistance

        self._config = config or TrackingConfig()
        self._tracker: Any = Tracker(
            distance_function="iou",
            distance_threshold=self._config.max_distance,
            hit_counter_max=self._config.max_missed,
            initialization_delay=1,
            past_detections_length=0,
            # Velocity is learnt from the second hit on: at this rate there may be only four.
            filter_factory=OptimizedKalmanFilterFactory(R=16, Q=25, pos_variance=16, vel_variance=2500),
        )
        self._tracker.distance_function = VectorizedDistance(box_distance)
        self._since_ns: dict[int, int] = {}
        self._known: set[int] = set()

    def update(self, pts_ns: int, detections: Sequence[Detection]) -> Tracked:
        """Take in the detections of the next picture."""
        from norfair import Detection as Measured

        strong = [thing for thing in detections if thing.score >= self._config.start_score]
        weak = [thing for thing in detections if thing.score < self._config.start_score]
        things = strong + self._near_tracks(weak)
        self._tracker.update([Measured(_corners(thing), data=thing, label=thing.name) for thing in things])
        alive = {track.initializing_id: track for track in self._tracker.tracked_objects}
        self._since_ns = {key: self._since_ns.get(key, pts_ns) for key in alive}
        seen = [track for track in alive.values() if track.id is not None and track.last_detection.age == track.age]
        boxes = tuple(self._box(track) for track in sorted(seen, key=lambda track: track.id))
        num_new = sum(box.track_id not in self._known for box in boxes)
        self._known = {track.id for track in alive.values() if track.id is not None}
        return Tracked(boxes=boxes, num_new=num_new)

    def end_all(self) -> None:
        """A hard cut: what comes next is something else, wherever it stands. Numbers go on."""
        self._tracker.tracked_objects = []

    def state(self) -> bytes:
        """Everything, pickled."""
        return pickle.dumps((self._config, self._tracker, self._since_ns, self._known))

    @staticmethod
    def from_state(state: bytes) -> BoxTracker:
        """The tracker that `state` was taken from."""
        tracker = BoxTracker.__new__(BoxTracker)
        tracker._config, tracker._tracker, tracker._since_ns, tracker._known = pickle.loads(state)
        return tracker

    def _near_tracks(self, weak: Sequence[Detection]) -> list[Detection]:
        """Weak detections close to where a track of their name is expected."""
        tracks = [track for track in self._tracker.tracked_objects if track.hit_counter_is_positive]
        kept = []
        for thing in weak:
            expected = [track.estimate.ravel() for track in tracks if track.label == thing.name]
            here = _corners(thing).reshape(1, 4)
            if expected and box_distance(here, np.stack(expected)).min() < self._config.max_distance:
                kept.append(thing)
        return kept

    def _box(self, track: Any) -> Box:
        thing: Detection = track.last_detection.data
        return Box(
            track_id=track.id,
            name=thing.name,
            score=thing.score,
            x0=thing.x0,
            y0=thing.y0,
            x1=thing.x1,
            y1=thing.y1,
            since_ns=self._since_ns[track.initializing_id],
        )


def box_distance(a: Float[ndarray, "n 4"], b: Float[ndarray, "m 4"]) -> Float[ndarray, "n m"]:
    """Distances in [0, 1] of boxes given as x0, y0, x1, y1 in any unit."""
    a, b = a[:, None], b[None]
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    area_a, area_b = (np.clip(box[..., 2:] - box[..., :2], 1e-6, None).prod(axis=-1) for box in (a, b))
    iou = shared / (area_a + area_b - shared)
    centres = np.linalg.norm((a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2, axis=-1)
    sizes = (np.sqrt(area_a) + np.sqrt(area_b)) / 2
    distance: Float[ndarray, "n m"] = 0.5 * (1 - iou) + 0.5 * np.minimum(1, centres / (2 * sizes))
    return distance


def _corners(thing: Detection) -> Float[ndarray, "2 2"]:
    return np.array([[thing.x0, thing.y0], [thing.x1, thing.y1]]) * _UNITS
