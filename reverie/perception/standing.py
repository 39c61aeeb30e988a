"""What the writing stage remembers of one stream: texts that stand, parts that wait, the last pictures' strokes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from reverie.perception.captures import Capture, TextBlock
from reverie.perception.rgb import Rgb
from reverie.perception.shots import ShotState
from reverie.perception.strokes import Area, Strokes, TextMap
from reverie.types import Modality, Observation, TimeSpan, ns

RING_S = 12.0  # how far back an onset is sought; longer than captures wait
_RING_LENGTH = 128  # the same in pictures, where they come fast


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingText:
    """A block that was read. What lies before `from_ns` was emitted; `end_ns` is None while it stands."""

    block: TextBlock
    strokes: Strokes = field(repr=False)
    thumbnail: bytes = field(repr=False)
    onset_ns: int
    from_ns: int
    end_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tentative:
    """Areas of the last picture that look like text but have not yet held still. `image` is a copy."""

    image: Rgb = field(repr=False)
    found: TextMap
    areas: list[Area]
    floor_ns: int


@dataclass(slots=True, kw_only=True)
class ScreenState:
    """Everything about one stream. All that its lists hold is immutable, so `copy` is shallow."""

    stream_id: str
    shots: ShotState = field(default_factory=ShotState)
    standing: list[StandingText] = field(default_factory=list)
    ended: list[StandingText] = field(default_factory=list)
    waiting: list[Capture] = field(default_factory=list)
    tentative: Tentative | None = None
    examined: Strokes | None = None  # strokes as they were when each place was last captured
    ring: list[tuple[int, Strokes]] = field(default_factory=list)
    last_ns: int = 0
    read_ns: int | None = None
    next_seq: int = 0

    def copy(self) -> ScreenState:
        """A copy that no later picture changes."""
        return replace(
            self,
            standing=list(self.standing),
            ended=list(self.ended),
            waiting=list(self.waiting),
            ring=list(self.ring),
        )

    def horizon(self) -> int | None:
        """The earliest start that something emitted later can have."""
        open_ns = [text.from_ns for text in self.standing] + [capture.floor_ns for capture in self.waiting]
        if self.tentative is not None:
            open_ns.append(self.tentative.floor_ns)
        return min(open_ns, default=None)

    def remember(self, pts_ns: int, strokes: Strokes) -> None:
        """Add a picture to the ring, and forget what is too old to matter."""
        self.last_ns = pts_ns
        self.ring = [entry for entry in self.ring if pts_ns - entry[0] <= ns(RING_S)][1 - _RING_LENGTH :]
        self.ring.append((pts_ns, strokes))
        self.ended = [text for text in self.ended if text.end_ns is not None and pts_ns - text.end_ns <= ns(RING_S)]

    def knows(self, area: Area, pts_ns: int) -> bool:
        """Whether a text that was read already stood in this place then."""
        return any(
            area.shared(text.block.area) >= 0.5
            for text in self.standing + self.ended
            if text.onset_ns <= pts_ns and (text.end_ns is None or pts_ns < text.end_ns)
        )

    def end(self, text: StandingText, end_ns: int) -> Iterator[Observation]:
        """Emit what is left of a text that ends."""
        self.ended.append(replace(text, end_ns=end_ns))
        if self.examined is not None:  # the same text may come back
            self.examined = self.examined.copy()
            self.examined[text.block.area.slices(*self.examined.shape)] = 0
        yield from self.emit(text, end_ns)

    def emit(self, text: StandingText, until_ns: int) -> Iterator[Observation]:
        """Emit a text from where it was last emitted."""
        if until_ns <= text.from_ns:
            return
        yield Observation(
            stream_id=self.stream_id,
            seq=self.next_seq,
            span=TimeSpan(start_ns=text.from_ns, end_ns=until_ns),
            modality=Modality.WRITING,
            confidence=text.block.score,
            text=text.block.text,
            thumbnail=text.thumbnail,
        )
        self.next_seq += 1
