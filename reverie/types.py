"""Everything that flows through reverie, in one leaf file that imports nothing of ours.

Time is integer nanoseconds of media time (`pts_ns`), computed from pts x time_base and never
from a frame count. Spans are half-open, [start_ns, end_ns). The wall clock of a stream is kept
beside it, once, as `StreamStart.wall_anchor_ns`: the Unix time of media time zero.

Two kinds of items travel along an edge:

- data: `Frame`, `AudioChunk`, `Observation`
- control: `StreamStart`, `Watermark`, `Gap`, `Cut`, `EndOfStream`

Arrays are NumPy, and read-only to whoever receives them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

NS_PER_S = 1_000_000_000


def zone_named(name: str) -> ZoneInfo:
    """The time zone of an IANA name. Raises ValueError."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(f"{name!r} is no time zone") from error
    except KeyError:
        raise ValueError(f'there is no time zone {name!r}; give an IANA name such as "Europe/Berlin"') from None


def ns(seconds: float) -> int:
    """Seconds to integer nanoseconds, rounded to the nearest."""
    return round(seconds * NS_PER_S)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class TimeSpan:
    """A half-open interval of media time, [start_ns, end_ns)."""

    start_ns: int
    end_ns: int

    def __post_init__(self) -> None:
        if self.end_ns < self.start_ns:
            raise ValueError(f"a span cannot end ({self.end_ns} ns) before it starts ({self.start_ns} ns)")

    @property
    def duration_ns(self) -> int:
        return self.end_ns - self.start_ns

    @property
    def start_s(self) -> float:
        return self.start_ns / NS_PER_S

    @property
    def end_s(self) -> float:
        return self.end_ns / NS_PER_S

    def overlaps(self, other: TimeSpan) -> bool:
        return self.start_ns < other.end_ns and other.start_ns < self.end_ns

    def union(self, other: TimeSpan) -> TimeSpan:
        """The smallest span that covers both."""
        return TimeSpan(start_ns=min(self.start_ns, other.start_ns), end_ns=max(self.end_ns, other.end_ns))

    def iou(self, other: TimeSpan) -> float:
        """Temporal intersection over union, in [0, 1]."""
        shared = min(self.end_ns, other.end_ns) - max(self.start_ns, other.start_ns)
        if shared <= 0:
            return 0.0
        return shared / (self.duration_ns + other.duration_ns - shared)


class Modality(StrEnum):
    """What a sense perceived. The value is what is stored and printed."""

    VISION = "vision"  # the whole picture: a vector, classes, colours
    OBJECTS = "objects"  # things in it: tracked boxes
    WRITING = "writing"  # text on screen
    SPEECH = "speech"  # what was said
    SOUND = "sound"  # music, singing, and other sounds that stand out


# --- data ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One sampled picture. `image` is (H, W, 3) uint8 RGB, upright (rotation already applied)."""

    stream_id: str
    seq: int
    pts_ns: int
    image: UInt8[ndarray, "h w 3"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioChunk:
    """A stretch of sound. `samples` is (T,) or (T, C) float32 in [-1, 1], its first sample at `pts_ns`."""

    stream_id: str
    seq: int
    pts_ns: int
    samples: Float32[ndarray, "t"] | Float32[ndarray, "t c"]
    sample_rate_hz: int

    @property
    def span(self) -> TimeSpan:
        duration_ns = len(self.samples) * NS_PER_S // self.sample_rate_hz
        return TimeSpan(start_ns=self.pts_ns, end_ns=self.pts_ns + duration_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A name that an encoder gave to what it perceived, with its probability or share in [0, 1]."""

    name: str
    score: float
    kind: Literal["class", "colour", "sound"] = "class"


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A tracked thing in one frame. Corners are fractions of the picture's width and height, in [0, 1].

    `since_ns` is the pts of the frame in which the track was first detected: a track is reported
    only once it is confirmed, and the frames before that belong to it too.
    """

    track_id: int
    name: str
    score: float
    x0: float
    y0: float
    x1: float
    y1: float
    since_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A spoken word with its own span and the recogniser's probability."""

    text: str
    span: TimeSpan
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one encoder perceived over one span: the only thing that perception hands to memory.

    `embedding` is (D,) float32 of unit L2 norm in the space named by `encoder`; text is embedded by
    memory, so only encoders of pictures and sounds fill it. `thumbnail` is a JPEG. `starts_shot`
    marks the first picture after a hard cut. `arousal` says how excited a voice was, in [0, 1], 0.5 being usual in
    its stream; None where nobody measured it. (stream_id, modality, seq) is unique and, for a file,
    the same in every run: memory ignores what it already holds.
    """

    stream_id: str
    seq: int
    span: TimeSpan
    modality: Modality
    confidence: float = 1.0
    text: str = ""
    labels: tuple[Label, ...] = ()
    boxes: tuple[Box, ...] = ()
    words: tuple[Word, ...] = ()
    embedding: Float32[ndarray, "d"] | None = None
    encoder: str = ""
    thumbnail: bytes | None = None
    starts_shot: bool = False
    arousal: float | None = None


# --- control ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStart:
    """Opens a stream. `wall_anchor_ns` is the Unix time in nanoseconds of media time zero, if known.

    `place` names where it was recorded, the same for all streams from there; empty when nobody says. `timezone` is
    the IANA name ("Europe/Berlin") of the zone in which its days are counted; empty: the reasoner's. `imagined`: nobody
    saw this, it was generated; it is remembered, but never answers what was seen or said.

    Raises:
        ValueError: no such time zone.
    """

    stream_id: str
    uri: str
    live: bool
    has_video: bool
    has_audio: bool
    duration_ns: int | None = None
    wall_anchor_ns: int | None = None
    place: str = ""
    timezone: str = ""
    imagined: bool = False

    def __post_init__(self) -> None:
        if self.timezone:
            zone_named(self.timezone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watermark:
    """A promise: the sender will send nothing of this stream with a pts before `pts_ns` any more."""

    stream_id: str
    pts_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What a source lost: a live stream that was dropped or cut off, a part of a file that would not decode."""

    stream_id: str
    span: TimeSpan
    reason: str
    num_dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A consistent point of a stream, sent down every edge: all that came before it belongs before it.

    Aligned checkpoints after Carbone et al. 2015 (Flink), from Chandy and Lamport 1985. Once every
    stage has passed it and memory has committed what lies before it, work can resume from here.
    """

    stream_id: str
    index: int
    pts_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndOfStream:
    """The last item of a stream."""

    stream_id: str
    pts_ns: int


Control = StreamStart | Watermark | Gap | Cut | EndOfStream
Item = Frame | AudioChunk | Observation | Control


# --- what memory keeps and gives back -----------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRecord:
    """A remembered stream. `watched` is the media time that memory has committed so far."""

    stream_id: str
    uri: str
    live: bool
    watched: TimeSpan
    ended: bool
    wall_anchor_ns: int | None
    place: str = ""
    timezone: str = ""
    imagined: bool = False


def offsets_ns(streams: Iterable[StreamRecord]) -> dict[str, int]:
    """What to add to the media time of each stream so that their times compare: the wall time of its zero.

    Empty where one of them does not know its own, because then only media times are alike.
    """
    anchors = {stream.stream_id: stream.wall_anchor_ns for stream in streams}
    known = {name: anchor_ns for name, anchor_ns in anchors.items() if anchor_ns is not None}
    return known if len(known) == len(anchors) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A stretch of a stream in which little changed: the unit of long-term memory.

    `text` joins what was said and written in it; `thumbnail` is the path of its key frame, from the
    memory's directory (so it is of tracks, hits and citations). `level` says how coarsely it is kept:
    0 whole, 1 representatives, 2 those with coarse codes for vectors, 3 one with what is left of its
    neighbours, 4 to 9 half as much of that each time.
    """

    event_id: int
    stream_id: str
    span: TimeSpan
    text: str
    labels: tuple[Label, ...]
    thumbnail: str | None
    open: bool = False
    level: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """5 to 15 minutes of a stream (later longer): consecutive events that are most alike, summed up.

    `text` is a few sentences of what was said and written, word for word; `thumbnail` the key frame of its most
    surprising event, from the memory's directory; `surprise` the highest of its events.
    """

    episode_id: int
    stream_id: str
    span: TimeSpan
    text: str
    labels: tuple[Label, ...]
    thumbnail: str | None
    num_events: int
    surprise: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One visit of one thing: from the frame in which it was first seen to the last one."""

    stream_id: str
    track_id: int
    name: str
    span: TimeSpan
    score: float
    thumbnail: str | None
    box: Box


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to search for. Empty filters mean everything; `k` bounds the hits, neighbours included.

    `places`: only streams that were recorded there (`StreamStart.place`).
    `arousal` (low, high) asks for voices that excited: with a text those are preferred that are nearer to the range,
    without one only those inside it are given. Only what was said has it.
    """

    text: str = ""
    k: int = 10
    modalities: tuple[Modality, ...] = ()
    stream_ids: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    span: TimeSpan | None = None
    neighbours: int = 0
    arousal: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A remembered span that answers a query.

    `score` is the fused score that ranks hits, in [0, 1]; `dense` is the cosine of the query's and
    the hit's vectors, `lexical` the share of the query's term weight that the hit's text covers, in
    [0, 1]. `neighbour` marks a hit that came along because it lies beside one that matched.
    """

    stream_id: str
    span: TimeSpan
    modality: Modality
    text: str
    score: float
    dense: float
    lexical: float
    labels: tuple[Label, ...] = ()
    thumbnail: str | None = None
    event_id: int | None = None
    neighbour: bool = False
    arousal: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """Evidence for an answer: where in which stream, and what was perceived there, quoted."""

    stream_id: str
    span: TimeSpan
    modality: Modality
    text: str
    thumbnail: str | None
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer with its evidence, best citation first. `searched` says where it looked."""

    text: str
    citations: tuple[Citation, ...]
    confidence: float
    abstained: bool
    searched: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What held of a subject for a time, as it was said or written: (subject, predicate, object) with evidence.

    Bi-temporal: it is valid from `valid_from_ns` to `valid_to_ns` (None: still), and memory has known it since
    `learned_at_ns`. All three are Unix time in nanoseconds: the wall clock of a stream's media time zero (of its first
    write, where no source told it) plus media time. What ended it is the fact `superseded_by`, if any. `evidence`
    quotes every passage that says it, in time order; a passage may have been made coarser since, its quote stays.
    """

    fact_id: int
    subject: str
    predicate: str
    object: str
    valid_from_ns: int
    valid_to_ns: int | None
    learned_at_ns: int
    superseded_by: int | None
    evidence: tuple[Citation, ...]


# --- what is imagined ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A stretch of a generated video: (T, H, W, 3) uint8 RGB, of which `first_frame` is the first one's number."""

    frames: UInt8[ndarray, "t h w 3"]
    first_frame: int
    rate_hz: float
    prompt: str


# --- what siblings share ------------------------------------------------------------------------


IMAGINED = "reverie-imagined"  # the key of a generated file's JSON comment by which it is known again


def was_imagined(comment: str) -> bool:
    """Whether a file's comment says that reverie made it up."""
    try:
        told = json.loads(comment)
    except ValueError:
        return False
    return isinstance(told, dict) and IMAGINED in told


class TextEncoder(Protocol):
    """Sentences to vectors. Shared by memory (what it keeps) and reasoning (what is asked)."""

    @property
    def encoder_id(self) -> str:
        """Name and version of the space, stored beside every vector."""
        ...

    def encode(self, texts: Sequence[str]) -> Float32[np.ndarray, "n d"]:
        """(N,) sentences to (N, D) float32 rows of unit L2 norm."""
        ...
