"""Hosts run stages: they read the control items, so that a stage sees data alone.

A host lives where its stage runs (a thread, or a Ray actor) and is stepped from outside: batches
in, a report and one list of items for each port out. There are three: `SourceHost` pulls,
`StageHost` processes, `MemoryHost` (in `memory_host.py`) merges its inputs and commits them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Protocol, cast

from reverie.errors import ReverieError, StageError
from reverie.pipeline.graph import Port, route
from reverie.stage import Stage
from reverie.telemetry import Counters
from reverie.types import NS_PER_S, AudioChunk, Cut, EndOfStream, Frame, Item, Observation, StreamStart, Watermark

Data = Frame | AudioChunk | Observation
States = Mapping[str, Any]  # by stream_id; a missing stream starts afresh


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What the executor has to know of a batch that it passes on without opening it.

    `items` are the control items; `num_data` the others, which lie in [start_ns, end_ns) of `stream_id`.
    """

    num_data: int
    control: tuple[Item, ...]
    spans: Mapping[str, tuple[int, int, int]]  # stream_id -> (data items, first pts_ns, last pts_ns)


@dataclass(slots=True, kw_only=True)
class Report:
    """What one step did. `snapshots` are by (stream_id, cut index), `cuts` those that memory has committed."""

    num_items: int = 0
    batches: dict[Port, Batch] = field(default_factory=dict)
    snapshots: dict[tuple[str, int], Any] = field(default_factory=dict)
    cuts: list[Cut] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    watched_ns: dict[str, int] = field(default_factory=dict)
    counters: dict[str, float] = field(default_factory=dict)
    wall_s: float = 0.0
    cpu_s: float = 0.0
    paused: str = ""
    retry_after_s: float = 0.0


class Host(Protocol):
    """What a runner needs of a host. All calls come from one thread."""

    def setup(self) -> None: ...

    def step(self, names: Sequence[str], *batches: Sequence[Item]) -> tuple[Any, ...]:
        """Take one batch from each named edge; return (Report, items of each port, in the order of ports)."""
        ...

    def restore(self, states: States) -> None:
        """Forget everything, and go on from these states of streams."""
        ...

    def close(self) -> None: ...


@contextmanager
def timed(report: Report) -> Iterator[None]:
    """Add the wall and processor time of the block to the report."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    report.wall_s += time.perf_counter() - wall
    report.cpu_s += time.process_time() - cpu


def describe(items: Sequence[Item]) -> Batch:
    """Summarise a batch for whoever passes it on."""
    spans: dict[str, tuple[int, int, int]] = {}
    control: list[Item] = []
    for item in items:
        if isinstance(item, Data):
            pts_ns = item.span.start_ns if isinstance(item, Observation) else item.pts_ns
            count, first_ns, last_ns = spans.get(item.stream_id, (0, pts_ns, pts_ns))
            spans[item.stream_id] = (count + 1, min(first_ns, pts_ns), max(last_ns, pts_ns))
        else:
            control.append(item)
    return Batch(num_data=len(items) - len(control), control=tuple(control), spans=spans)


def packed(report: Report, items: Sequence[Item], ports: Sequence[Port]) -> tuple[Any, ...]:
    """The answer of a step: the report, then the items of each port."""
    routed = route(items, ports)
    report.batches = {port: describe(queue) for port, queue in routed.items()}
    return (report, *(routed[port] for port in ports))


class Source(Protocol):
    """What perception's sources offer (see `reverie.perception.sources`)."""

    counters: Counters

    def open(self) -> StreamStart: ...

    def pull(self) -> Sequence[Item]: ...

    def snapshot(self) -> Any: ...

    def restore(self, state: Any) -> None: ...

    def close(self) -> None: ...


class Pushed(Protocol):
    """What a source that is pushed to offers beside."""

    def push(self, item: Frame | AudioChunk) -> None: ...


class SourceHost:
    """Pulls a source, and cuts its stream every `cut_interval_s` of media, so that work can resume there.

    A live source cannot be asked again for what it sent, so it is not cut. `push` passes a user's
    own items on to a source that takes them; `finish` ends the stream where it stands.
    `place`, `timezone` and `imagined` are told in the stream's start where the source does not know them.
    """

    def __init__(
        self,
        make: Callable[[], Source],
        ports: Sequence[Port],
        cut_interval_s: float,
        place: str = "",
        timezone: str = "",
        imagined: bool = False,
    ) -> None:
        self._make, self._ports, self._place, self._timezone = make, tuple(ports), place, timezone
        self._imagined = imagined
        self._cut_interval_ns = round(cut_interval_s * NS_PER_S)

    def setup(self) -> None:
        self._source = self._make()
        start = self._source.open()
        self._start: StreamStart | None = replace(
            start,
            place=self._place or start.place,
            timezone=self._timezone or start.timezone,
            imagined=self._imagined or start.imagined,
        )
        self._stream_id, self._live = start.stream_id, start.live
        self._num_cuts, self._cut_ns, self._read_ns = 0, 0, 0
        self._finishing = self._ended = False

    def step(self, names: Sequence[str], *batches: Sequence[Item]) -> tuple[Any, ...]:
        report = Report()
        with timed(report):
            items: list[Item] = [self._start] if self._start else []
            self._start = None
            if self._finishing and not self._ended:
                items.append(EndOfStream(stream_id=self._stream_id, pts_ns=self._read_ns))
            elif not self._ended:
                items += self._pull()
            for item in items:
                if isinstance(item, Watermark | EndOfStream):
                    self._read_ns = max(self._read_ns, item.pts_ns)
                if isinstance(item, EndOfStream):
                    self._ended = True
                    report.ended.append(self._stream_id)
                elif isinstance(item, Frame):
                    item.image.flags.writeable = False
            if not self._live and not self._ended and self._read_ns - self._cut_ns >= self._cut_interval_ns:
                self._cut(items, report)
        report.num_items = len(items)
        report.watched_ns[self._stream_id] = self._read_ns
        report.counters = self._source.counters.drain()
        if self._live and not items:
            report.retry_after_s = 0.02
        return packed(report, items, self._ports)

    def _pull(self) -> Sequence[Item]:
        try:
            return list(self._source.pull())
        except ReverieError:
            raise
        except Exception as error:
            raise StageError("source", repr(error), self._stream_id, self._read_ns) from error

    def _cut(self, items: list[Item], report: Report) -> None:
        self._num_cuts, self._cut_ns = self._num_cuts + 1, self._read_ns
        items.append(Cut(stream_id=self._stream_id, index=self._num_cuts, pts_ns=self._cut_ns))
        state = (self._source.snapshot(), self._num_cuts, self._cut_ns)
        report.snapshots[self._stream_id, self._num_cuts] = state

    def push(self, items: Sequence[Frame | AudioChunk]) -> None:
        """Hand items to a source that takes them (`PushSource`); no other is wired to this."""
        source = cast(Pushed, self._source)
        for item in items:
            source.push(item)

    def finish(self) -> None:
        """End the stream where it stands; what was pushed before is still sent."""
        end = getattr(self._source, "end", None)
        if end is None:
            self._finishing = True
        else:
            end()

    def restore(self, states: States) -> None:
        if self._live:
            self._finishing, self._ended = self._finishing or self._ended, False
            return
        state = states.get(self._stream_id)
        self._source.close()
        self._source = self._make()
        self._start = self._source.open()
        self._ended = False
        self._num_cuts, self._cut_ns, self._read_ns = 0, 0, 0
        if state is not None:
            source_state, self._num_cuts, self._cut_ns = state
            self._source.restore(source_state)
            self._read_ns = self._cut_ns

    def close(self) -> None:
        self._source.close()


class StageHost:
    """Runs one perception stage: data to `process`, control around it, watermarks held to its horizon."""

    def __init__(self, name: str, make: Callable[[], Stage[Any, Any]], ports: Sequence[Port]) -> None:
        self._name, self._make, self._ports = name, make, tuple(ports)
        self._seen_ns: dict[str, int] = {}
        self._sent_ns: dict[str, int] = {}

    def setup(self) -> None:
        self._stage = self._make()
        self._stage.setup()

    def step(self, names: Sequence[str], *batches: Sequence[Item]) -> tuple[Any, ...]:
        report = Report()
        out: list[Item] = []
        with timed(report):
            if not batches:
                out += self._stage.tick(time.monotonic_ns())
            for batch in batches:
                report.num_items += len(batch)
                for is_data, run in groupby(batch, key=lambda item: isinstance(item, Data)):
                    if is_data:
                        out += self._process(list(run))
                    else:
                        for item in run:
                            out += self._control(item, report)
            out += self._watermarks()
        report.counters = self._stage.counters.drain()
        return packed(report, out, self._ports)

    def _process(self, items: list[Item]) -> Iterator[Item]:
        for first in range(0, len(items), self._stage.max_batch):
            batch = items[first : first + self._stage.max_batch]
            try:
                yield from self._stage.process(batch)
            except ReverieError:
                raise
            except Exception as error:
                pts_ns = getattr(batch[0], "pts_ns", None)
                raise StageError(self._name, repr(error), batch[0].stream_id, pts_ns) from error

    def _control(self, item: Item, report: Report) -> Iterator[Item]:
        stream_id = item.stream_id
        if isinstance(item, Watermark):
            self._seen_ns[stream_id] = max(item.pts_ns, self._seen_ns.get(stream_id, item.pts_ns))
        elif isinstance(item, Cut):
            # What was promised before the cut is part of the state: after a restart it is promised again.
            yield from self._watermarks()
            report.snapshots[stream_id, item.index] = (self._stage.snapshot(stream_id), self._seen_ns.get(stream_id))
            yield item
        elif isinstance(item, EndOfStream):
            yield from self._stage.flush(stream_id, item.pts_ns)
            self._seen_ns.pop(stream_id, None)
            self._sent_ns.pop(stream_id, None)
            yield item

    def _watermarks(self) -> Iterator[Item]:
        for stream_id, seen_ns in self._seen_ns.items():
            horizon_ns = self._stage.horizon(stream_id)
            pts_ns = seen_ns if horizon_ns is None else min(seen_ns, horizon_ns)
            if stream_id not in self._sent_ns or pts_ns > self._sent_ns[stream_id]:
                self._sent_ns[stream_id] = pts_ns
                yield Watermark(stream_id=stream_id, pts_ns=pts_ns)

    def restore(self, states: States) -> None:
        for stream_id in {*self._seen_ns, *states}:
            stage_state, seen_ns = states.get(stream_id) or (None, None)
            self._stage.restore(stream_id, stage_state)
            self._sent_ns.pop(stream_id, None)
            self._seen_ns.pop(stream_id, None)
            if seen_ns is not None:
                self._seen_ns[stream_id] = seen_ns

    def close(self) -> None:
        self._stage.close()
