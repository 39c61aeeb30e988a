"""A memory seen through a window of wall time: each stream through its own stretch of media time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from reverie.reasoning.retriever import LabelCount, Retriever
from reverie.types import Event, Hit, Modality, Query, StreamRecord, TimeSpan, Track

_T = TypeVar("_T")


class Windows:
    """A `Retriever` that shows of each stream what its window holds, and nothing of streams that have none."""

    def __init__(self, retriever: Retriever, windows: Mapping[str, TimeSpan]) -> None:
        self._retriever, self._windows = retriever, windows

    def search(self, query: Query) -> list[Hit]:
        found = self._each(
            query.stream_ids,
            query.span,
            lambda stream, span: self._retriever.search(replace(query, stream_ids=(stream,), span=span)),
        )
        return sorted(found, key=lambda hit: -hit.score)[: query.k]

    def tracks(
        self, name: str | None = None, stream_ids: tuple[str, ...] = (), span: TimeSpan | None = None
    ) -> list[Track]:
        return self._each(stream_ids, span, lambda stream, own: self._retriever.tracks(name, (stream,), own))

    def timeline(self, span: TimeSpan | None = None, stream_ids: tuple[str, ...] = ()) -> list[Event]:
        return self._each(stream_ids, span, lambda stream, own: self._retriever.timeline(own, (stream,)))

    def latest(self, duration_ns: int, stream_ids: tuple[str, ...] = ()) -> list[Hit]:
        """The newest seconds of the windows, not of the streams."""

        def newest(stream: str, own: TimeSpan) -> list[Hit]:
            last = TimeSpan(start_ns=max(own.start_ns, own.end_ns - duration_ns), end_ns=own.end_ns)
            return self._retriever.observations((), (stream,), last)

        return self._each(stream_ids, None, newest)

    def streams(self) -> list[StreamRecord]:
        return [record for record in self._retriever.streams() if record.stream_id in self._windows]

    def labels(self) -> Sequence[LabelCount]:
        return self._retriever.labels()

    def observations(
        self,
        modalities: tuple[Modality, ...] = (),
        stream_ids: tuple[str, ...] = (),
        span: TimeSpan | None = None,
        limit: int = 1000,
    ) -> list[Hit]:
        found = self._each(
            stream_ids, span, lambda stream, own: self._retriever.observations(modalities, (stream,), own, limit)
        )
        return found[:limit]

    def _each(
        self, stream_ids: Sequence[str], span: TimeSpan | None, read: Callable[[str, TimeSpan], list[_T]]
    ) -> list[_T]:
        found: list[_T] = []
        for stream, own in self._windows.items():
            low, high = (own.start_ns, own.end_ns) if span is None else (
                max(own.start_ns, span.start_ns), min(own.end_ns, span.end_ns)
            )  # fmt: skip
            if (not stream_ids or stream in stream_ids) and low < high:
                found += read(stream, TimeSpan(start_ns=low, end_ns=high))
        return found
