"""Text on screen: what was written, and from when until when, with few readings.

    Frame (H, W, 3) uint8  ->  Observation(modality=WRITING, text, span=[onset, end), thumbnail) for each block

Reading is dear and looking is cheap, so each picture is only looked at (`strokes`): areas that look like
text and were not there before are captured, and captures are read together at most once in `min_interval_s`
and at shot cuts. What was read keeps the strokes of its place; the first later picture without
them ends its span, the earlier pictures of a short ring give its onset. So a span is exact to one
sampling step however late it was read. A picture that the content gate skipped shows what the one before
it shows.

A block is emitted when it ends, and every `max_hold_s` while it stands: parts of one block have the same
text and touch. `horizon` is the earliest start that is still open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from reverie.perception.captures import Capture, cut_strips, group_lines, read_captures, within_budget
from reverie.perception.ocr import PpOcr, TextReader
from reverie.perception.rgb import jpeg
from reverie.perception.shots import ShotConfig, ShotDetector
from reverie.perception.standing import ScreenState, StandingText, Tentative
from reverie.perception.strokes import Area, Strokes, TextMap, likeness, text_map
from reverie.stage import Stage
from reverie.types import Frame, Observation, ns


class WritingConfig(BaseModel):
    """Options of the writing stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_interval_s: float = Field(default=10.0, ge=0, description="Time between two readings.")
    min_cut_interval_s: float = Field(default=2.0, ge=0, description="The same when the second is at a shot cut.")
    max_hold_s: float = Field(default=15.0, gt=0, description="A standing text is emitted in parts of this length.")
    frame_interval_s: float = Field(default=0.5, gt=0, description="Time between sampled frames.")
    min_likeness: float = Field(default=0.45, ge=0, le=1, description="Correlation of strokes of a text that stands.")
    max_waiting_rows: int = Field(
        default=1080, ge=64, description="Rows that may wait to be read, or one and a half pictures if that is more."
    )
    thumbnail_px: int = Field(default=480, ge=16, description="Longer side of the picture kept with a text.")
    jpeg_quality: int = Field(default=80, ge=1, le=100, description="JPEG quality of it.")
    shots: ShotConfig = Field(default=ShotConfig(), description="When a cut is a cut.")


class WritingStage(Stage[Frame, Observation]):
    """Reads what is written on screen."""

    def __init__(self, reader: TextReader | None = None, config: WritingConfig | None = None) -> None:
        super().__init__()
        self._reader, self._config = reader or PpOcr(), config or WritingConfig()
        self._streams: dict[str, ScreenState] = {}
        self._waiting_since: dict[str, int] = {}  # monotonic; by the wall, not by the stream, so in no snapshot

    def setup(self) -> None:
        self._reader.load()

    def process(self, items: Sequence[Frame]) -> Iterator[Observation]:
        for frame in items:
            if frame.stream_id not in self._streams:
                self._streams[frame.stream_id] = ScreenState(stream_id=frame.stream_id)
            self._waiting_since.pop(frame.stream_id, None)
            yield from self._look(self._streams[frame.stream_id], frame)

    def flush(self, stream_id: str, end_ns: int | None = None) -> Iterator[Observation]:
        stream = self._streams.pop(stream_id, None)
        self._waiting_since.pop(stream_id, None)
        if stream is None:
            return
        self._settle(stream)
        yield from self._read(stream)
        last_ns = stream.last_ns + ns(self._config.frame_interval_s)
        for text in stream.standing:
            yield from stream.end(text, last_ns if end_ns is None else max(last_ns, end_ns))

    def tick(self, now_ns: int) -> Iterator[Observation]:
        """Read what waits when a live picture stands still and no frame comes to do it."""
        for stream_id, stream in self._streams.items():
            if stream.waiting or stream.tentative is not None:
                since_ns = self._waiting_since.setdefault(stream_id, now_ns)
                if now_ns - since_ns >= ns(self._config.min_interval_s):
                    self._settle(stream)
                    yield from self._read(stream)

    def horizon(self, stream_id: str) -> int | None:
        stream = self._streams.get(stream_id)
        return None if stream is None else stream.horizon()

    def snapshot(self, stream_id: str) -> Any:
        stream = self._streams.get(stream_id)
        return None if stream is None else stream.copy()

    def restore(self, stream_id: str, state: Any) -> None:
        self._waiting_since.pop(stream_id, None)
        if state is None:
            self._streams.pop(stream_id, None)
        else:
            self._streams[stream_id] = state.copy()

    # --- one picture ---------------------------------------------------------------------------

    def _look(self, stream: ScreenState, frame: Frame) -> Iterator[Observation]:
        config = self._config
        found = text_map(frame.image)
        detector = ShotDetector(config.shots, stream.shots)
        cut = detector.is_cut(frame.image)
        stream.shots = detector.state
        floor_ns = stream.horizon()
        floor_ns = frame.pts_ns if floor_ns is None else floor_ns
        yield from self._end_gone(stream, found.strokes, frame.pts_ns)
        self._confirm(stream, found.strokes, frame.pts_ns, cut)
        stream.remember(frame.pts_ns, found.strokes)
        new = self._new_areas(stream, found)
        since_read_ns = None if stream.read_ns is None else frame.pts_ns - stream.read_ns
        due = since_read_ns is None or since_read_ns >= ns(config.min_interval_s)
        due_at_cut = cut and (since_read_ns is None or since_read_ns >= ns(config.min_cut_interval_s))
        if (due or due_at_cut) and (stream.waiting or new):
            if new:
                seen = Tentative(image=frame.image, found=found, areas=new, floor_ns=floor_ns)
                self._capture(stream, seen, frame.pts_ns, new)
            yield from self._read(stream)
            new = self._new_areas(stream, found)  # a text that was read as gone by now may be back
        if new:
            stream.tentative = Tentative(image=frame.image.copy(), found=found, areas=new, floor_ns=floor_ns)
        yield from self._emit_long(stream, frame.pts_ns)

    def _end_gone(self, stream: ScreenState, strokes: Strokes, pts_ns: int) -> Iterator[Observation]:
        """Emit the blocks whose strokes are no longer there."""
        for text in list(stream.standing):
            if likeness(text.strokes, strokes, text.block.area) < self._config.min_likeness:
                stream.standing.remove(text)
                yield from stream.end(text, pts_ns)

    def _confirm(self, stream: ScreenState, strokes: Strokes, pts_ns: int, cut: bool) -> None:
        """Capture what looked like text in the picture before and held still since (or was not even sent again)."""
        seen, stream.tentative = stream.tentative, None
        if seen is None:
            return
        skipped = pts_ns - stream.last_ns > 1.5 * ns(self._config.frame_interval_s)
        stable = [
            area
            for area in seen.areas
            if skipped or (not cut and likeness(seen.found.strokes, strokes, area) >= self._config.min_likeness)
        ]
        if stable:
            self._capture(stream, seen, stream.last_ns, stable)

    def _new_areas(self, stream: ScreenState, found: TextMap) -> list[Area]:
        """Areas that were not examined as they look now, and hold no text that is known."""
        return [
            area
            for area in found.areas
            if (stream.examined is None or likeness(stream.examined, found.strokes, area) < self._config.min_likeness)
            and all(area.shared(text.block.area) < 0.5 for text in stream.standing)
        ]

    def _capture(self, stream: ScreenState, seen: Tentative, pts_ns: int, areas: Sequence[Area]) -> None:
        strokes = seen.found.strokes
        capture = Capture(
            pts_ns=pts_ns,
            floor_ns=seen.floor_ns,
            areas=tuple(areas),
            strips=cut_strips(seen.image, areas),
            strokes=strokes,
            thumbnail=jpeg(seen.image, self._config.thumbnail_px, self._config.jpeg_quality),
        )
        max_rows = max(self._config.max_waiting_rows, len(seen.image) * 3 // 2)
        stream.waiting, dropped = within_budget(
            [*stream.waiting, capture], max_rows, lambda capture, area: self._stood_ns(stream, capture, area)
        )
        if stream.examined is None or stream.examined.shape != strokes.shape:
            stream.examined = np.zeros_like(strokes)
        examined = stream.examined.copy()
        for area in areas:
            place = area.slices(*examined.shape)
            examined[place] = strokes[place]
        for area in dropped:  # not read, so worth another look if it still stands
            examined[area.slices(*examined.shape)] = 0
        stream.examined = examined

    def _stood_ns(self, stream: ScreenState, capture: Capture, area: Area) -> int:
        """How long a place has looked as it was captured, so far."""
        onset_ns, end_ns = self._span(stream, capture, area)
        return (stream.last_ns if end_ns is None else end_ns) - onset_ns

    def _settle(self, stream: ScreenState) -> None:
        """No picture follows, so what was seen in the last one stands."""
        if stream.tentative is not None:
            self._capture(stream, stream.tentative, stream.last_ns, stream.tentative.areas)
            stream.tentative = None

    # --- reading -------------------------------------------------------------------------------

    def _read(self, stream: ScreenState) -> Iterator[Observation]:
        """Read all that waits; emit the blocks that are gone by now, keep those that stand."""
        captures, stream.waiting = stream.waiting, []
        if not captures:
            return
        stream.read_ns = stream.last_ns
        lines = read_captures(self._reader, captures)
        self.counters.add("frames_read")
        for capture, found in zip(captures, lines, strict=True):
            for block in group_lines([line for line in found if not stream.knows(line.area, capture.pts_ns)]):
                self.counters.add("words_read", len(block.text.split()))
                onset_ns, end_ns = self._span(stream, capture, block.area)
                text = StandingText(
                    block=block,
                    strokes=capture.strokes,
                    thumbnail=capture.thumbnail,
                    onset_ns=onset_ns,
                    from_ns=onset_ns,
                )
                if end_ns is None:
                    stream.standing.append(text)
                else:
                    yield from stream.end(text, end_ns)

    def _span(self, stream: ScreenState, capture: Capture, area: Area) -> tuple[int, int | None]:
        """When the strokes of a place first stood there, and the first picture without them, if it came already."""
        onset_ns, end_ns = capture.pts_ns, None
        for pts_ns, strokes in reversed(stream.ring):
            if pts_ns < capture.pts_ns:
                if pts_ns < capture.floor_ns or likeness(capture.strokes, strokes, area) < self._config.min_likeness:
                    break
                onset_ns = pts_ns
        for pts_ns, strokes in stream.ring:
            if pts_ns > capture.pts_ns and likeness(capture.strokes, strokes, area) < self._config.min_likeness:
                end_ns = pts_ns
                break
        return onset_ns, end_ns

    def _emit_long(self, stream: ScreenState, pts_ns: int) -> Iterator[Observation]:
        for index, text in enumerate(stream.standing):
            if pts_ns - text.from_ns >= ns(self._config.max_hold_s):
                yield from stream.emit(text, pts_ns)
                stream.standing[index] = replace(text, from_ns=pts_ns)
