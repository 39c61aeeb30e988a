"""The whole picture: one observation a frame, with its vector, classes, colours, thumbnail and cuts.

    Frame (H, W, 3) uint8  ->  Observation(modality=VISION, embedding (D,), labels, thumbnail, starts_shot)

An observation covers [pts, pts + frame interval). It is emitted at once, so the stage holds nothing back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from reverie.perception.colours import dominant_colours
from reverie.perception.frame_encoder import FrameEncoder
from reverie.perception.rgb import jpeg
from reverie.perception.shots import ShotConfig, ShotDetector
from reverie.stage import Stage
from reverie.types import Frame, Modality, Observation, TimeSpan, ns


class VisionConfig(BaseModel):
    """Options of the vision stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frame_interval_s: float = Field(
        default=0.5, gt=0, description="Time between sampled frames: what one observation covers."
    )
    min_colour_share: float = Field(default=0.15, gt=0, le=1, description="A colour is named when it fills this much.")
    thumbnail_px: int = Field(default=480, ge=16, description="Longer side of the thumbnail.")
    jpeg_quality: int = Field(default=80, ge=1, le=100, description="JPEG quality of the thumbnail.")
    max_batch: int = Field(default=8, ge=1, description="Pictures encoded at once.")
    shots: ShotConfig = Field(default=ShotConfig(), description="When a cut is a cut.")


class VisionStage(Stage[Frame, Observation]):
    """Encodes every frame it gets; the content gate before it drops those that did not change."""

    def __init__(self, encoder: FrameEncoder, config: VisionConfig | None = None) -> None:
        super().__init__()
        self._encoder, self._config = encoder, config or VisionConfig()
        self.max_batch = self._config.max_batch
        self._shots: dict[str, ShotDetector] = {}

    def setup(self) -> None:
        self._encoder.load()

    def process(self, items: Sequence[Frame]) -> Iterator[Observation]:
        if not items:
            return
        encoded = self._encoder.encode([frame.image for frame in items])
        self.counters.add("frames_encoded", len(items))
        for frame, embedding, classes in zip(items, encoded.embedding, encoded.labels, strict=True):
            starts_shot = self._detector(frame.stream_id).is_cut(frame.image)
            self.counters.add("shots", int(starts_shot))
            yield Observation(
                stream_id=frame.stream_id,
                seq=frame.seq,
                span=TimeSpan(start_ns=frame.pts_ns, end_ns=frame.pts_ns + ns(self._config.frame_interval_s)),
                modality=Modality.VISION,
                confidence=classes[0].score if classes else 1.0,
                labels=classes + dominant_colours(frame.image, self._config.min_colour_share),
                embedding=np.array(embedding, np.float32),
                encoder=self._encoder.encoder_id,
                thumbnail=jpeg(frame.image, self._config.thumbnail_px, self._config.jpeg_quality),
                starts_shot=starts_shot,
            )

    def flush(self, stream_id: str, end_ns: int | None = None) -> Iterator[Observation]:
        self._shots.pop(stream_id, None)
        yield from ()

    def snapshot(self, stream_id: str) -> Any:
        return self._shots[stream_id].state if stream_id in self._shots else None

    def restore(self, stream_id: str, state: Any) -> None:
        if state is None:
            self._shots.pop(stream_id, None)
        else:
            self._shots[stream_id] = ShotDetector(self._config.shots, state)

    def _detector(self, stream_id: str) -> ShotDetector:
        if stream_id not in self._shots:
            self._shots[stream_id] = ShotDetector(self._config.shots)
        return self._shots[stream_id]
