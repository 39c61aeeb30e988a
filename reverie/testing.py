"""Public fakes: sources, stages and memories small enough to read, real enough to run a graph with.

They hold state across items on purpose, so that a test notices when state is lost or doubled.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from reverie.clock import ManualClock
from reverie.stage import Stage
from reverie.telemetry import Counters
from reverie.types import (
    NS_PER_S,
    AudioChunk,
    EndOfStream,
    Frame,
    Item,
    Label,
    Modality,
    Observation,
    StreamStart,
    TimeSpan,
    Watermark,
)

__all__ = ["FakeEncoder", "FakeListener", "FakeSource", "ManualClock", "RecordingMemory", "run_stage"]

In = TypeVar("In")
Out = TypeVar("Out")


def run_stage(stage: Stage[In, Out], items: Sequence[In], *, batch: int = 1, stream_id: str = "s") -> list[Out]:
    """Set a stage up, give it all items in batches, flush its stream and close it; return what came out."""
    stage.setup()
    out: list[Out] = []
    for first in range(0, len(items), batch):
        out += stage.process(items[first : first + batch])
    out += stage.flush(stream_id)
    stage.close()
    return out


class FakeSource:
    """A stream of `seconds`: two frames and two chunks of sound a second, one second in each pull.

    Frame k is filled with the value k % 256; chunk k holds the constant (k % 100) / 100.
    """

    def __init__(self, stream_id: str = "s", seconds: int = 10, live: bool = False, size_px: int = 8) -> None:
        self.stream_id, self.seconds, self.live, self.size_px = stream_id, seconds, live, size_px
        self.counters = Counters()
        self._second = 0

    def open(self) -> StreamStart:
        return StreamStart(
            stream_id=self.stream_id,
            uri=f"fake:{self.stream_id}",
            live=self.live,
            has_video=True,
            has_audio=True,
            duration_ns=self.seconds * NS_PER_S,
            wall_anchor_ns=0,
        )

    def pull(self) -> Sequence[Item]:
        if self._second >= self.seconds:
            return [EndOfStream(stream_id=self.stream_id, pts_ns=self.seconds * NS_PER_S)]
        items: list[Item] = []
        for seq in (2 * self._second, 2 * self._second + 1):
            pts_ns = seq * NS_PER_S // 2
            image = np.full((self.size_px, self.size_px, 3), seq % 256, np.uint8)
            samples = np.full(8000, (seq % 100) / 100, np.float32)
            items.append(Frame(stream_id=self.stream_id, seq=seq, pts_ns=pts_ns, image=image))
            items.append(
                AudioChunk(stream_id=self.stream_id, seq=seq, pts_ns=pts_ns, samples=samples, sample_rate_hz=16_000)
            )
        self._second += 1
        self.counters.add("frames_sampled", 2)
        return [*items, Watermark(stream_id=self.stream_id, pts_ns=self._second * NS_PER_S)]

    def snapshot(self) -> int:
        return self._second

    def restore(self, state: int) -> None:
        self._second = state

    def close(self) -> None:
        """Nothing to release."""


class FakeEncoder(Stage[Frame, Observation]):
    """A vector for each frame, and a label that counts the frames seen so far: lost state shows in it."""

    def __init__(self, dim: int = 4) -> None:
        super().__init__()
        self._dim = dim
        self._num_seen: dict[str, int] = {}

    def process(self, items: Sequence[Frame]) -> Iterator[Observation]:
        for frame in items:
            count = self._num_seen[frame.stream_id] = self._num_seen.get(frame.stream_id, 0) + 1
            vector = np.random.default_rng(int(frame.image[0, 0, 0])).normal(size=self._dim).astype(np.float32)
            self.counters.add("frames_encoded")
            yield Observation(
                stream_id=frame.stream_id,
                seq=frame.seq,
                span=TimeSpan(start_ns=frame.pts_ns, end_ns=frame.pts_ns + NS_PER_S // 2),
                modality=Modality.VISION,
                labels=(Label(name=f"frame {count}", score=1.0),),
                embedding=vector / np.float32(np.linalg.norm(vector)),
                encoder="fake",
            )

    def flush(self, stream_id: str, end_ns: int | None = None) -> Iterator[Observation]:
        self._num_seen.pop(stream_id, None)
        yield from ()

    def snapshot(self, stream_id: str) -> int | None:
        return self._num_seen.get(stream_id)

    def restore(self, stream_id: str, state: int | None) -> None:
        self._num_seen.pop(stream_id, None)
        if state is not None:
            self._num_seen[stream_id] = state


class FakeListener(Stage[AudioChunk, Observation]):
    """Holds `hold` chunks back and then says their sum as one utterance: a stage with a horizon."""

    def __init__(self, hold: int = 7) -> None:
        super().__init__()
        self._hold = hold
        self._held: dict[str, list[tuple[int, int, float]]] = {}

    def process(self, items: Sequence[AudioChunk]) -> Iterator[Observation]:
        for chunk in items:
            held = self._held.setdefault(chunk.stream_id, [])
            held.append((chunk.pts_ns, chunk.span.end_ns, float(chunk.samples[0])))
            if len(held) == self._hold:
                yield from self.flush(chunk.stream_id)

    def flush(self, stream_id: str, end_ns: int | None = None) -> Iterator[Observation]:
        held = self._held.pop(stream_id, [])
        if held:
            self.counters.add("words_heard", len(held))
            yield Observation(
                stream_id=stream_id,
                seq=held[0][0],
                span=TimeSpan(start_ns=held[0][0], end_ns=held[-1][1]),
                modality=Modality.SPEECH,
                text=f"the sum is {sum(level for _, _, level in held):.2f}",
            )

    def horizon(self, stream_id: str) -> int | None:
        held = self._held.get(stream_id)
        return held[0][0] if held else None

    def snapshot(self, stream_id: str) -> list[tuple[int, int, float]]:
        return list(self._held.get(stream_id, []))

    def restore(self, stream_id: str, state: list[tuple[int, int, float]] | None) -> None:
        self._held.pop(stream_id, None)
        if state:
            self._held[stream_id] = list(state)


@dataclass(frozen=True, slots=True)
class _Receipt:
    counters: Mapping[str, float] = field(default_factory=dict)


class RecordingMemory:
    """A memory that is a file of JSON lines: one for each observation or record, a repeat ignored."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys = {json.dumps(row["key"]) for row in self.rows(path)}

    @staticmethod
    def rows(path: Path) -> list[dict[str, Any]]:
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def write(self, items: Iterable[Item]) -> _Receipt:
        counters = Counters()
        with self._path.open("a") as file:
            for item in items:
                if not isinstance(item, Observation):
                    continue
                key = [item.stream_id, item.modality, item.seq]
                if json.dumps(key) in self._keys:
                    counters.add("observations_repeated")
                    continue
                self._keys.add(json.dumps(key))
                counters.add("observations")
                said = item.text or item.labels[0].name
                file.write(json.dumps({"key": key, "start_ns": item.span.start_ns, "said": said}) + "\n")
        return _Receipt(counters.values())

    def close(self) -> None:
        """The file is closed after every write."""
