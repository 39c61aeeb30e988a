"""The stage: one class, one data method, no Ray, no threads, no clocks of its own.

A complete toy stage:

    class Brightness(Stage[Frame, Observation]):
        def process(self, items):
            for frame in items:
                level = float(frame.image.mean()) / 255
                yield Observation(stream_id=frame.stream_id, seq=frame.seq, span=..., modality=Modality.VISION,
                                  labels=(Label(name="bright", score=level),))

What the runner promises: `setup` is called once, on the thread that will call everything else.
Items of one stream arrive in the order in which they were sent; several streams may be mixed in
one batch. Control items never reach `process`: the host that runs the stage handles them.

What a stage MUST do:

- `process` MUST NOT keep a received array after it returns, except as a copy (under Ray it is a
  view of shared memory).
- `horizon` MUST name the earliest pts that a later output of the stream can still carry, or None
  when the stage holds nothing back; the host holds its watermark down to it.
- `flush` MUST emit whatever is held for the stream, and forget the stream. `end_ns` is where the stream
  ended, when that is known: its last picture may have stood until then.
- `snapshot` MUST return all state of the stream as a picklable copy, and `restore` MUST bring it
  back, so that the items that follow give the outputs they would have given. `restore(None)`
  forgets the stream.
- `close` MUST be idempotent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

from reverie.telemetry import Counters

In = TypeVar("In")
Out = TypeVar("Out")


class Stage(Generic[In, Out]):
    """Base of all stages. Stateless ones override `process` alone.

    `max_batch` bounds the items in one call of `process`, `max_wait_s` how long a batch may be
    gathered when fewer are there. `counters` is drained by the host after every call.
    """

    max_batch: int = 8
    max_wait_s: float = 0.0

    def __init__(self) -> None:
        self.counters = Counters()

    def setup(self) -> None:
        """Load weights. Constructors stay cheap: they also run where the stage will not."""

    def process(self, items: Sequence[In]) -> Iterator[Out]:
        raise NotImplementedError

    def flush(self, stream_id: str, end_ns: int | None = None) -> Iterator[Out]:
        yield from ()

    def tick(self, now_ns: int) -> Iterator[Out]:
        """Close what silence must close. `now_ns` is monotonic; called for live streams only."""
        yield from ()

    def horizon(self, stream_id: str) -> int | None:
        return None

    def snapshot(self, stream_id: str) -> Any:
        return None

    def restore(self, stream_id: str, state: Any) -> None:
        """Bring back what `snapshot` returned; None forgets the stream."""

    def close(self) -> None:
        """Release what `setup` took."""
