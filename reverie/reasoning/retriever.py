"""What reasoning needs from a memory: eight questions that return spans. Memory satisfies it structurally.

All times are media time in nanoseconds. Lists are in time order; an empty filter means everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from reverie.types import Event, Fact, Hit, Modality, Query, StreamRecord, TimeSpan, Track


class LabelCount(Protocol):
    """A name that some encoder gave, its kind (class, object, colour or sound) and how often it was given."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def count(self) -> int: ...


class Retriever(Protocol):
    """Reads a memory. Every call sees what was committed before it."""

    def search(self, query: Query) -> list[Hit]:
        """The best passages for a query, in time order; `Hit.score` ranks them."""
        ...

    def tracks(
        self, name: str | None = None, stream_ids: tuple[str, ...] = (), span: TimeSpan | None = None
    ) -> list[Track]:
        """Visits of things, by exact name (None: any), that overlap the span."""
        ...

    def timeline(self, span: TimeSpan | None = None, stream_ids: tuple[str, ...] = ()) -> list[Event]:
        """Events that overlap the span."""
        ...

    def latest(self, duration_ns: int, stream_ids: tuple[str, ...] = ()) -> list[Hit]:
        """What was perceived in the last `duration_ns` of the newest stream."""
        ...

    def streams(self) -> list[StreamRecord]:
        """Everything that was watched."""
        ...

    def labels(self) -> Sequence[LabelCount]:
        """Every name that was ever given."""
        ...

    def facts(self, subject: str | None = None, predicate: str | None = None, *, history: bool = False) -> list[Fact]:
        """What was said to be so, by when it became valid; with `history`, also what was superseded."""
        ...

    def observations(
        self,
        modalities: tuple[Modality, ...] = (),
        stream_ids: tuple[str, ...] = (),
        span: TimeSpan | None = None,
        limit: int = 1000,
    ) -> list[Hit]:
        """All that was perceived by some senses, in time order, at most `limit`."""
        ...
