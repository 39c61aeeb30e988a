"""One question being answered: what every kind of answer starts from, and the draft that it ends in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

from reverie.reasoning.calibration import Calibration
from reverie.reasoning.evidence import Candidate, Locator, Scope, joined
from reverie.reasoning.phrasing import (
    SENSE_PLACES,
    article,
    at,
    clock,
    counted,
    listing,
    quote,
    sentence,
    through,
    upper_first,
    wall_clock,
)
from reverie.reasoning.question import Cue, Question
from reverie.reasoning.retriever import Retriever
from reverie.reasoning.senses import Senses
from reverie.types import NS_PER_S, Modality, StreamRecord, TimeSpan, offsets_ns, zone_named


class ReasonerConfig(BaseModel):
    """How answers are found and when none is given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(default=0.4, gt=0, lt=1)
    """Evidence less probable than this is no answer. Set on seed 7 with benchmarks/fit_calibration.py, as the lowest
    that lets no more unanswerable questions through than 0.5 does; 0.35 still does not, 0.3 does."""
    agreement: float = Field(default=0.7, gt=0, le=1)
    """Further occurrences count if they reach this share of the best one's probability."""
    mention: float = Field(default=0.15, gt=0, lt=1)
    """An abstention names the nearest evidence if it is at least this probable."""
    join_gap_s: float = Field(default=2.0, ge=0)
    """Sightings of one name closer than this are one stretch of time. (Things are counted by track.)"""
    order_tolerance_s: float = Field(default=1.0, ge=0)
    """Starts closer than this are called simultaneous: two sampling steps."""
    now_s: float = Field(default=5.0, gt=0)
    """How far back "now" reaches."""
    after_s: float = Field(default=20.0, gt=0)
    """How far "what happened after X" and "before X" reach."""
    k: int = Field(default=12, ge=1, le=100)
    """Passages looked at, for each search."""
    max_citations: int = Field(default=8, ge=1, le=50)
    max_quotes: int = Field(default=3, ge=1, le=10)
    """Quotes in the text of one answer; the rest is cited only."""
    max_observations: int = Field(default=5000, ge=100)
    """Rows read when something is counted."""
    max_question_chars: int = Field(default=1000, ge=10)
    timezone: str | None = None
    """Zone in which days are counted and wall times told, by its IANA name ("Europe/Berlin"); null: the machine's.

    A stream that names its own (`StreamStart.timezone`) is counted and told in that.
    """
    calibration: Calibration = Calibration()

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, name: str | None) -> str | None:
        return name and zone_named(name).key


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An answer before it is checked: its text, the evidence in the order of its weight, and what was looked at."""

    text: str
    evidence: tuple[Candidate, ...] = ()
    confidence: float = 0.0
    abstained: bool = False
    computed: bool = False  # counted or compared: no reader may put it in other words
    searched: str = ""  # where, if not where the inquiry as a whole looks


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """A question with where to look and what to look with. `watched` covers all streams in scope."""

    question: Question
    scope: Scope
    streams: tuple[StreamRecord, ...]
    watched: TimeSpan
    now_ns: int
    several: bool
    config: ReasonerConfig
    retriever: Retriever
    locator: Locator
    senses: Senses
    anchored: Candidate | None = field(default=None)
    voices: str = ""  # "excited voices", if only those count

    @property
    def gap_ns(self) -> int:
        return round(self.config.join_gap_s * NS_PER_S)

    @property
    def span(self) -> TimeSpan:
        return self.scope.span or self.watched

    def credible(self, found: Sequence[Candidate]) -> list[Candidate]:
        """Those that reach the threshold, and a share of the best; best first."""
        best = found[0].probability if found else 0.0
        floor = max(self.config.threshold, best * self.config.agreement)
        return [candidate for candidate in found if candidate.probability >= floor]

    def occurrences(self, found: Sequence[Candidate]) -> list[Candidate]:
        """Credible evidence of the best one's kind (said and written, seen, or heard), in the order of `in_order`.

        Joined over short gaps; where a tracked thing and a picture show the same sight, the thing stands
        for both, because it has a place and a name.
        """
        chosen = self.credible(found)
        if not chosen:
            return []
        if chosen[0].is_text:
            return self.in_order(joined([c for c in chosen if c.is_text], 0))
        if chosen[0].modality is Modality.SOUND:
            return self.in_order(joined([c for c in chosen if c.modality is Modality.SOUND], self.gap_ns))
        things = joined([c for c in chosen if c.modality is Modality.OBJECTS], self.gap_ns)
        pictures = joined([c for c in chosen if c.modality is Modality.VISION], self.gap_ns)
        alone = [p for p in pictures if not any(p.stream_id == t.stream_id and p.span.overlaps(t.span) for t in things)]
        return self.in_order([*things, *alone])

    def in_order(self, found: Iterable[Candidate], *, by_end: bool = False) -> list[Candidate]:
        """By when each began (or ended): in wall time where all their streams know it, else in media time."""
        found = list(found)
        concerned = {candidate.stream_id for candidate in found}
        offsets = offsets_ns(stream for stream in self.streams if stream.stream_id in concerned)

        def place(c: Candidate) -> tuple[int, str, Modality]:
            edge_ns = c.span.end_ns if by_end else c.span.start_ns
            return offsets.get(c.stream_id, 0) + edge_ns, c.stream_id, c.modality

        return sorted(found, key=place)

    def stream(self, candidate: Candidate) -> str:
        """The words that name its stream, when several streams are asked."""
        return f" of stream {candidate.stream_id!r}" if self.several else ""

    def zone_of(self, stream_id: str) -> tzinfo | None:
        """The zone of a stream: its own, else the profile's; None is the machine's."""
        own = next((stream.timezone for stream in self.streams if stream.stream_id == stream_id), "")
        name = own or self.config.timezone
        return zone_named(name) if name else None

    def wall_ns(self, candidate: Candidate) -> int | None:
        """The Unix time at which it began, where its stream knows."""
        anchors = {stream.stream_id: stream.wall_anchor_ns for stream in self.streams}
        anchor_ns = anchors.get(candidate.stream_id)
        return None if anchor_ns is None else anchor_ns + candidate.span.start_ns

    def beside_clock(self, candidate: Candidate, brackets: str = "()") -> str:
        """The wall time in brackets, and the stream, to stand after media time."""
        wall_ns = self.wall_ns(candidate)
        if wall_ns is None:
            return self.stream(candidate)
        moment = datetime.fromtimestamp(wall_ns // NS_PER_S, self.zone_of(candidate.stream_id))
        return f" {brackets[0]}{wall_clock(moment)}{brackets[1]}" + self.stream(candidate)

    def bracketed(self, time: str, candidate: Candidate) -> str:
        """Media time with what stands beside it, to be put in brackets itself: "1:00 [Mon 23 Nov 2026, 14:03:20]"."""
        return time + self.beside_clock(candidate, "[]")

    def when(self, candidate: Candidate) -> str:
        return at(candidate.span) + self.beside_clock(candidate)

    def tell(self, candidate: Candidate, cue: Cue | None = None) -> str:
        """One sentence that says what a piece of evidence holds, and when."""
        when = self.when(candidate)
        if candidate.modality is Modality.SPEECH:
            start = f"at {clock(candidate.span.start_ns)}{self.beside_clock(candidate)}"
            return sentence(f"{upper_first(start)} someone said", candidate.text)
        if candidate.modality is Modality.WRITING:
            return sentence(f"{upper_first(when)} the screen showed", candidate.text)
        if candidate.modality is Modality.OBJECTS:
            return f"{upper_first(article(candidate.name))} was seen {when}."
        if candidate.modality is Modality.SOUND:
            return f"{upper_first(candidate.name or 'sound')} was heard {when}."
        return self._tell_picture(candidate, cue, when)

    @staticmethod
    def _tell_picture(candidate: Candidate, cue: Cue | None, when: str) -> str:
        name = candidate.name
        if not name:
            return f"{upper_first(when)} there was a picture."
        if cue is None or cue.is_empty or set(name.split()) & set(cue.text.split()):
            return f"{upper_first(when)} the picture showed {article(name)}."
        return f"{upper_first(when)} the picture fits {quote(cue.text)}: it looks like {article(name)}."

    def also(self, others: Sequence[Candidate]) -> str:
        """A sentence with the times of further occurrences, in order: "Also from 0:30 to 0:36 and at 1:02"."""
        if not others:
            return ""
        shown = [self.when(candidate) for candidate in self.in_order(others)[:5]]
        rest = len(others) - len(shown)
        return f" Also {listing(shown + ([counted(rest, 'more time')] if rest else []))}."

    def searched(self, modalities: Sequence[Modality] = ()) -> str:
        """Which senses, which span and which streams were looked at."""
        asked = modalities or self.question.cue.modalities or self.question.modalities
        senses = [SENSE_PLACES[m] for m in self.senses.modalities if not asked or m in asked]
        streams = f"{len(self.streams)} streams" if len(self.streams) != 1 else f"stream {self.streams[0].stream_id!r}"
        voices = f", {self.voices} only" if self.voices else ""
        return f"{listing(senses)} {through(self.span)} of {streams}{voices}"


def abstention(inquiry: Inquiry, wanted: str, found: Sequence[Candidate] = (), reason: str = "") -> Draft:
    """Say that nothing was found, what was searched, and what came nearest."""
    nearest = max(found, key=lambda c: c.probability, default=None)
    text = reason or (f"Nothing was found for {quote(wanted)}." if wanted else "Nothing was found.")
    text += f" Searched {inquiry.searched()}."
    if nearest is not None and nearest.probability >= inquiry.config.mention:
        text += f" The nearest, but too unlike: {inquiry.tell(nearest)}"
    return Draft(text=text, abstained=True, confidence=1.0 - (nearest.probability if nearest else 0.0))
