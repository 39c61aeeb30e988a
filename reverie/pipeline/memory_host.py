"""The one writer of a memory: merges what the stages perceived and commits it, then acknowledges.

When the disk is full it keeps what it could not write and tries again; meanwhile the edges in front
of it fill up and hold the stages back, while readers go on reading.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from reverie.errors import MemoryFull
from reverie.pipeline.host import Report, States, timed
from reverie.pipeline.merge import OrderedMerge
from reverie.types import Cut, EndOfStream, Item, Watermark

RETRY_AFTER_S = 1.0


class Writer(Protocol):
    """What memory offers to its host (see `reverie.memory.Memory`)."""

    def write(self, items: Sequence[Item]) -> Any: ...

    def close(self) -> None: ...


class MemoryHost:
    """Steps a memory. `inputs` names every edge, with its stream when only one comes through it."""

    def __init__(self, make: Callable[[], Writer], inputs: Mapping[str, str | None]) -> None:
        self._make, self._inputs = make, dict(inputs)

    def setup(self) -> None:
        self._memory = self._make()
        self._merge = OrderedMerge(self._inputs)
        self._waiting: list[Item] = []

    def step(self, names: Sequence[str], *batches: Sequence[Item]) -> tuple[Any, ...]:
        report = Report()
        with timed(report):
            for name, batch in zip(names, batches, strict=True):
                report.num_items += len(batch)
                self._waiting += self._merge.push(name, batch)
            try:
                self._commit(report)
            except MemoryFull as error:
                report.paused, report.retry_after_s = str(error), RETRY_AFTER_S
        return (report,)

    def _commit(self, report: Report) -> None:
        items = [item for item in self._waiting if not isinstance(item, Cut)]
        if items:
            report.counters = dict(self._memory.write(items).counters)
        for item in self._waiting:
            if isinstance(item, Cut):
                report.cuts.append(item)
            elif isinstance(item, EndOfStream):
                report.ended.append(item.stream_id)
            if isinstance(item, Watermark | EndOfStream):
                report.watched_ns[item.stream_id] = item.pts_ns
        self._waiting = []

    def restore(self, states: States) -> None:
        """Drop what has not been committed: it will be sent again."""
        self._merge = OrderedMerge(self._inputs)
        self._waiting = []

    def close(self) -> None:
        self._memory.close()
