"""What memory gives back besides the types that all of reverie shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from reverie.types import TimeSpan


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteReceipt:
    """What one `Memory.write` committed.

    `repeated` observations were there already, or had been forgotten; `rejected` ones carried a vector or
    number that is not finite, not of unit length or of another width than its encoder's; `late` ones
    (counted in `committed` too) came out of order and took no part in segmentation.
    """

    committed: int = 0
    repeated: int = 0
    rejected: int = 0
    late: int = 0
    moments: int = 0
    events_closed: int = 0
    pictures: int = 0
    pictures_refused: int = 0
    gaps: int = 0
    bytes_kept: int = 0

    @property
    def counters(self) -> Mapping[str, float]:
        """The same under the names of `reverie.telemetry.METRICS`."""
        return {
            "observations": self.committed,
            "observations_repeated": self.repeated,
            "observations_rejected": self.rejected,
            "moments": self.moments,
            "events": self.events_closed,
            "pictures": self.pictures,
            "gaps": self.gaps,
            "bytes_kept": self.bytes_kept,
        }


@dataclass(slots=True)
class Tally:
    """Counts of one write, and the pictures that its rows name."""

    counts: Counter[str] = field(default_factory=Counter)
    pictures: dict[str, bytes] = field(default_factory=dict)

    def receipt(self, num_new_pictures: int, bytes_kept: int) -> WriteReceipt:
        return WriteReceipt(**self.counts, pictures=num_new_pictures, bytes_kept=bytes_kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetReceipt:
    """What one `Memory.forget` deleted.

    `complete` is False when a reader of another process held the log, so that deleted bytes may still stand in
    it; they go when the memory is next written or closed. Exports and backups are out of reach.
    `less_familiar_hours`: hours of which some moments are not recognised any more though they were not forgotten,
    because they had been demoted and the hour's filter was made anew (see `Memory.familiarity`).
    """

    observations: int
    tracks: int
    events: int
    labels: int
    pictures: int
    bytes_freed: int
    complete: bool
    less_familiar_hours: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsolidationReceipt:
    """What one `Memory.consolidate` did.

    `recalls` were folded in, `expired` observations erased, `repeats` merged into the event before them, `episodes`
    built. `complete` is False when the time ran out first: call it again.
    """

    recalls: int
    expired: int
    repeats: int
    episodes: int
    bytes_freed: int
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PinRecord:
    """A stretch of a stream that is never made coarser."""

    stream_id: str
    span: TimeSpan


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCount:
    """A name that was seen or heard: kind is class, colour, sound or object (counted in tracks)."""

    name: str
    kind: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GapRecord:
    """What is missing from a stream, and why. The reason "forgotten" marks what `Memory.forget` deleted."""

    stream_id: str
    span: TimeSpan
    reason: str
    num_dropped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryStats:
    """How much is remembered and what it takes. `observations` and `bytes_on_disk` are by kind and part."""

    streams: int
    observations: Mapping[str, int]
    events: int
    tracks: int
    labels: int
    pictures: int
    gaps: int
    hours_watched: float
    bytes_on_disk: Mapping[str, int]
    schema_version: int

    @property
    def total_bytes(self) -> int:
        return sum(self.bytes_on_disk.values())
