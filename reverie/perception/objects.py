"""Things: detector and tracker behind one stage.

    Frame (H, W, 3) uint8  ->  Observation(modality=OBJECTS, boxes of the tracks seen in it, labels their names)

Every frame gets one observation, an empty one too, so that memory knows when a thing left. A track is
reported from its confirmation on; `Box.since_ns` says when it was first detected. The frame in which a
track is confirmed carries a thumbnail. Nothing is held back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from reverie.perception.detector import Detection, Detector, Ssd
from reverie.perception.rgb import jpeg
from reverie.perception.shots import ShotConfig, ShotDetector
from reverie.perception.tracking import BoxTracker, Tracked, TrackingConfig
from reverie.stage import Stage
from reverie.types import Box, Frame, Label, Modality, Observation, TimeSpan, ns


class ObjectsConfig(BaseModel):
    """Options of the objects stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frame_interval_s: float = Field(default=0.5, gt=0, description="Time between sampled frames.")
    thumbnail_px: int = Field(default=480, ge=16, description="Longer side of the thumbnail.")
    jpeg_quality: int = Field(default=80, ge=1, le=100, description="JPEG quality of the thumbnail.")
    max_batch: int = Field(default=4, ge=1, description="Pictures per call.")
    tracking: TrackingConfig = Field(default=TrackingConfig(), description="How detections become tracks.")
    shots: ShotConfig = Field(default=ShotConfig(), description="A cut ends all tracks.")


@dataclass(slots=True)
class _Stream:
    tracker: BoxTracker
    shots: ShotDetector


class ObjectsStage(Stage[Frame, Observation]):
    """Finds and follows things."""

    def __init__(self, detector: Detector | None = None, config: ObjectsConfig | None = None) -> None:
        super().__init__()
        self._detector, self._config = detector or Ssd(), config or ObjectsConfig()
        self.max_batch = self._config.max_batch
        self._streams: dict[str, _Stream] = {}

    def setup(self) -> None:
        self._detector.load()
        BoxTracker(self._config.tracking)  # imports its library, which the first picture would have to wait for

    def process(self, items: Sequence[Frame]) -> Iterator[Observation]:
        found = self._detector.detect([frame.image for frame in items])
        self.counters.add("frames_detected", len(items))
        for frame, detections in zip(items, found, strict=True):
            yield self._follow(frame, detections)

    def flush(self, stream_id: str, end_ns: int | None = None) -> Iterator[Observation]:
        self._streams.pop(stream_id, None)
        yield from ()

    def snapshot(self, stream_id: str) -> Any:
        stream = self._streams.get(stream_id)
        return None if stream is None else (stream.tracker.state(), stream.shots.state)

    def restore(self, stream_id: str, state: Any) -> None:
        if state is None:
            self._streams.pop(stream_id, None)
            return
        tracks, shots = state
        self._streams[stream_id] = _Stream(
            tracker=BoxTracker.from_state(tracks), shots=ShotDetector(self._config.shots, shots)
        )

    def _follow(self, frame: Frame, detections: Sequence[Detection]) -> Observation:
        stream = self._streams.get(frame.stream_id)
        if stream is None:
            stream = _Stream(tracker=BoxTracker(self._config.tracking), shots=ShotDetector(self._config.shots))
            self._streams[frame.stream_id] = stream
        if stream.shots.is_cut(frame.image):
            stream.tracker.end_all()
        tracked = stream.tracker.update(frame.pts_ns, detections)
        self.counters.add("tracks", tracked.num_new)
        return self._observe(frame, tracked)

    def _observe(self, frame: Frame, tracked: Tracked) -> Observation:
        return Observation(
            stream_id=frame.stream_id,
            seq=frame.seq,
            span=TimeSpan(start_ns=frame.pts_ns, end_ns=frame.pts_ns + ns(self._config.frame_interval_s)),
            modality=Modality.OBJECTS,
            confidence=max((box.score for box in tracked.boxes), default=1.0),
            labels=_names(tracked.boxes),
            boxes=tracked.boxes,
            thumbnail=jpeg(frame.image, self._config.thumbnail_px, self._config.jpeg_quality)
            if tracked.num_new
            else None,
        )


def _names(boxes: Sequence[Box]) -> tuple[Label, ...]:
    """Distinct names with their best score, best first."""
    best: dict[str, float] = {}
    for box in boxes:
        best[box.name] = max(best.get(box.name, 0.0), box.score)
    return tuple(Label(name=name, score=score) for name, score in sorted(best.items(), key=lambda item: -item[1]))
