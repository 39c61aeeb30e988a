"""What memory gives back besides the types that all of reverie shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from reverie.types import Modality, TimeSpan


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteReceipt:
    """What one `Memory.write` committed.

    `repeated` observations were there already, had been forgotten, or lie where memory has become coarser, where late
    ones cannot be told from those sent again; `rejected` ones carried a vector or
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
class CopyRecord:
    """A copy that was made from a memory, or what it was copied from, and that forgetting cannot reach.

    `kind`: backup, encrypted copy, original, or the format of an export. `path` is "" for an export that was handed
    to a program. `there`: something still lies at the path, None where that cannot be told.
    """

    kind: str
    path: str
    made_ns: int
    there: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgettable:
    """One observation that a dry run of `Memory.forget` found."""

    stream_id: str
    span: TimeSpan
    modality: Modality
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetReceipt:
    """What one `Memory.forget` deleted, or with `dry_run` would delete (`bytes_freed` is 0 then).

    `senses` counts the observations by sense; `vectors` are theirs and those of their sentences; `labels` the names
    that nothing uses any more; `pictures` the key frames; `facts`, `notes` and `entities` what was derived or taught,
    and `templates` what entities looked and sounded like. `found` lists the first observations that a dry run found; a
    receipt of what is gone does not quote it. `copies` are out of reach: delete them where you have to.
    `complete` is False while a reader of another process holds the log, so that deleted bytes may still stand in
    it: an open writer folds it in as soon as the reader lets go, else the next one does when it opens.
    `less_familiar_hours`: hours of which some moments are not recognised any more though they were not forgotten,
    because they had been demoted and the hour's filter was made anew (see `Memory.familiarity`).
    `word_filters`: stretches of which it is not known any more what words they held (see `Memory.when_said`), more than
    were forgotten where their filter could not rule that out.
    """

    senses: Mapping[str, int]
    vectors: int
    tracks: int
    events: int
    labels: int
    pictures: int
    bytes_freed: int
    complete: bool
    facts: int = 0
    notes: int = 0
    entities: int = 0
    templates: int = 0
    less_familiar_hours: int = 0
    word_filters: int = 0
    dry_run: bool = False
    found: tuple[Forgettable, ...] = ()
    copies: tuple[CopyRecord, ...] = ()

    @property
    def observations(self) -> int:
        """How many observations went."""
        return sum(self.senses.values())


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
class Entity:
    """Something that was taught: its names, and how many looks and sounds are known of it.

    `kind` is thing, face or voice; `taught_ns` the Unix time of the first showing, in nanoseconds.
    """

    name: str
    kind: str
    aliases: tuple[str, ...]
    num_looks: int
    num_sounds: int
    taught_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A conclusion about a span of a stream: derived, so nothing that was seen or heard.

    `links` are the ids of its nearest notes, nearest first; `made_ns` is Unix time in nanoseconds.
    """

    note_id: int
    stream_id: str
    about: TimeSpan
    text: str
    keywords: tuple[str, ...]
    links: tuple[int, ...]
    made_ns: int


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
    """How much is remembered and what it takes. `observations` and `bytes_on_disk` are by kind and part.

    `statements` are the passages that facts rest on: one fact may be said several times.
    """

    streams: int
    observations: Mapping[str, int]
    events: int
    episodes: int
    tracks: int
    labels: int
    pictures: int
    gaps: int
    entities: int
    statements: int
    notes: int
    hours_watched: float
    bytes_on_disk: Mapping[str, int]
    schema_version: int

    @property
    def total_bytes(self) -> int:
        return sum(self.bytes_on_disk.values())
