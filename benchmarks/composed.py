"""Streams of an hour to a month, composed from real pictures that were perceived before, with needles to be found.

Days and weeks replay pre-encoded observations: nothing is perceived while a benchmark runs. A camera watches in
sittings that recur every day; in between it is off (a `Gap`). In a sitting the scenes of the library follow one
another for 20 to 60 s each, a moment a second from a random place of the clip, each vector with a little noise of its
own, so no two are equal; somebody says something every 8 s or so, small talk by Zipf's law and the habits once a day.

A needle happens once: 4 s of a rare picture, or a sentence that is never said again, or both. Each has a question and
its true span. The same seed and length give the same stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from benchmarks.composed_library import Library, Scene
from benchmarks.composed_words import HABITS, Told, small_talk, tell
from reverie.types import EndOfStream, Gap, Item, Modality, Observation, StreamStart, TimeSpan, Watermark, ns

STREAM = "composed"
HOUR_S, DAY_S = 3600, 86_400
NEEDLE_S = 4
NOISE = 0.15  # length of what is added to a unit vector: a cosine of about 0.99
EVERY_S = 8.0  # between utterances
_SENSES = tuple(Modality)  # the order in which memory takes what happens at one time
Length = Literal["hour", "day", "week", "month", "long week", "long month"]
Kind = Literal["sentence", "picture", "both"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """When the camera watches: `sittings` a day of `sitting_s`, spread over 7:00 to 23:00, and `last_s` at the end."""

    days: int
    sittings: int
    sitting_s: int
    last_s: int = HOUR_S // 2


TIMETABLES: dict[Length, Timetable] = {
    "hour": Timetable(days=0, sittings=0, sitting_s=0, last_s=HOUR_S),
    "day": Timetable(days=1, sittings=8, sitting_s=900),
    "week": Timetable(days=7, sittings=4, sitting_s=600),
    "month": Timetable(days=30, sittings=4, sitting_s=240),
    "long week": Timetable(days=7, sittings=12, sitting_s=900),
    "long month": Timetable(days=28, sittings=12, sitting_s=900),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Needle:
    """What happened once, and how it can be asked for. `age_s`: from its end to the end of the stream.

    One that was shown and told is asked for by its picture, by its sentence, and by both in one question.
    """

    questions: Mapping[Kind, str]
    span: TimeSpan
    age_s: float
    literal: bool  # the question uses the word that was said


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """A question about what happens every day, asked about one day: what is true of it then, and the day."""

    question: str
    spans: tuple[TimeSpan, ...]
    day: TimeSpan
    age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """A stream and what can be asked about it. `watched_s` is how long the camera was on."""

    observations: tuple[Observation, ...]
    sittings: tuple[TimeSpan, ...]
    needles: tuple[Needle, ...]
    habits: tuple[Habit, ...]

    @property
    def watched_s(self) -> float:
        return sum(sitting.duration_ns for sitting in self.sittings) / 1e9

    @property
    def end_ns(self) -> int:
        return self.sittings[-1].end_ns


@dataclass(slots=True)
class _Bout:
    """One scene of a sitting, at seconds of the stream."""

    scene: Scene
    start_s: int
    end_s: int
    told: Told | None = None
    rare: bool = False


def compose(library: Library, length: Length, seed: int, num_told: int, ages_s: Sequence[float] = ()) -> Composed:
    """A stream with `num_told` sentences and each rare picture once.

    Args:
        library: the scenes.
        length: how long, see TIMETABLES.
        seed: of everything that is drawn.
        num_told: how many rare sentences; some of the rare pictures come with one of them.
        ages_s: ascending bounds of ages among which the needles are dealt out evenly; none: anywhere.
    """
    rng = np.random.default_rng(seed)
    sittings = list(_sittings(TIMETABLES[length]))
    bouts = [bout for sitting in sittings for bout in _common(rng, library, sitting)]
    bouts = _with_needles(rng, library, bouts, num_told, ages_s, sittings[-1][1])
    return _observe(rng, bouts, sittings)


def _sittings(table: Timetable) -> Iterator[tuple[int, int]]:
    for day in range(table.days):
        for number in range(table.sittings):
            start_s = day * DAY_S + 7 * HOUR_S + int(16 * HOUR_S * number / table.sittings)
            yield start_s, start_s + table.sitting_s
    last_s = table.days * DAY_S + 7 * HOUR_S
    yield last_s, last_s + table.last_s


def _common(rng: np.random.Generator, library: Library, sitting: tuple[int, int]) -> Iterator[_Bout]:
    at_s, before = sitting[0], -1
    while at_s < sitting[1]:
        chosen = int(rng.integers(len(library.common)))
        if chosen == before:
            continue
        end_s = min(at_s + int(rng.integers(20, 61)), sitting[1])
        yield _Bout(library.common[chosen], at_s, end_s)
        at_s, before = end_s, chosen


# --- needles --------------------------------------------------------------------------------------


def _with_needles(
    rng: np.random.Generator, library: Library, bouts: list[_Bout], num_told: int, ages_s: Sequence[float], end_s: int
) -> list[_Bout]:
    """Put needles into bouts that are long enough, one in each, which splits it."""
    told = list(tell(rng, num_told))
    wanted: list[tuple[Scene | None, Told | None]] = []
    for number, place in enumerate(rng.permutation(len(library.rare))):
        wanted.append((library.rare[place], told.pop() if number % 8 >= 4 and told else None))
    wanted += [(None, own) for own in told]
    free: list[list[_Bout]] = [[] for _ in range(max(len(ages_s) - 1, 1))]
    for place in rng.permutation(len(bouts)):
        bout = bouts[place]
        group = int(np.searchsorted(ages_s, end_s - bout.end_s, side="right")) - 1 if ages_s else 0
        if bout.end_s - bout.start_s >= 20 and 0 <= group < len(free):
            free[group].append(bout)
    taken: dict[int, tuple[Scene | None, Told | None]] = {}
    for number, needle in enumerate(wanted):
        group_free = free[number % len(free)]
        if not group_free:
            raise ValueError("the stream is too short for so many needles: ask for fewer")
        taken[id(group_free.pop())] = needle
    out: list[_Bout] = []
    for bout in bouts:
        out += _split(rng, bout, *taken[id(bout)]) if id(bout) in taken else [bout]
    return out


def _split(rng: np.random.Generator, bout: _Bout, scene: Scene | None, told: Told | None) -> list[_Bout]:
    at_s = int(rng.integers(bout.start_s + 8, bout.end_s - 11))
    middle = _Bout(scene or bout.scene, at_s, at_s + NEEDLE_S, told, rare=scene is not None)
    return [_Bout(bout.scene, bout.start_s, at_s), middle, _Bout(bout.scene, at_s + NEEDLE_S, bout.end_s)]


def _needle(bout: _Bout, end_s: int) -> Needle:
    questions: dict[Kind, str] = {}
    if bout.told is not None:
        questions["sentence"] = bout.told.question
    if bout.rare:
        questions["picture"] = f"When was {bout.scene.phrase} seen?"
    if bout.told is not None and bout.rare:
        questions["both"] = f"{bout.told.question} {bout.scene.phrase.capitalize()} was seen then."
    return Needle(
        questions=questions, span=_span(bout.start_s, bout.end_s), age_s=end_s - bout.end_s,
        literal=bout.told is None or bout.told.literal,
    )  # fmt: skip


# --- observations -----------------------------------------------------------------------------------


def _observe(rng: np.random.Generator, bouts: Sequence[_Bout], sittings: Sequence[tuple[int, int]]) -> Composed:
    found: list[Observation] = []
    needles: list[Needle] = []
    num_tracks, end_s = 0, sittings[-1][1]
    shown: dict[tuple[int, str], list[TimeSpan]] = {}  # by day
    phrases: dict[str, str] = {}
    talk = small_talk()
    rank = rng.permutation(len(talk))
    for bout in bouts:
        num_tracks = _show(rng, bout, found, num_tracks)
        if bout.told is not None:
            found.append(_said(bout.start_s + 0.2, bout.told.text))
        if bout.told is not None or bout.rare:
            needles.append(_needle(bout, end_s))
        else:
            found += _talk(rng, bout, talk, rank)
        if not bout.rare:
            span = _span(bout.start_s, bout.end_s)
            shown.setdefault((bout.start_s // DAY_S, bout.scene.scene_id), []).append(span)
            phrases[bout.scene.scene_id] = bout.scene.phrase
    habits = [
        Habit(
            question=f"When was {phrases[scene]} seen?", spans=tuple(spans), day=_day(day), age_s=_age_s(day, end_s)
        )
        for (day, scene), spans in shown.items()
    ]  # fmt: skip
    for day in sorted({start_s // DAY_S for start_s, _ in sittings}):
        own = [sitting for sitting in sittings if sitting[0] // DAY_S == day]
        for text, question in HABITS:
            start_s, stop_s = own[int(rng.integers(len(own)))]
            said = _said(float(rng.integers(start_s + 2, stop_s - 5)) + 0.4, text)
            found.append(said)
            habits.append(Habit(question=question, spans=(said.span,), day=_day(day), age_s=_age_s(day, end_s)))
    found.sort(key=lambda item: (item.span.start_ns, _SENSES.index(item.modality)))
    return Composed(
        observations=tuple(replace(item, seq=number) for number, item in enumerate(found)),
        sittings=tuple(_span(*sitting) for sitting in sittings), needles=tuple(needles), habits=tuple(habits),
    )  # fmt: skip


def _show(rng: np.random.Generator, bout: _Bout, found: list[Observation], num_tracks: int) -> int:
    """Moments of the scene, forwards and backwards from a random one; return the first number for tracks to come."""
    moments, count = bout.scene.moments, len(bout.scene.moments)
    first = int(rng.integers(2 * count))
    most = num_tracks
    for at_s in range(bout.start_s, bout.end_s):
        place = (first + at_s - bout.start_s) % (2 * count)
        for item in moments[place if place < count else 2 * count - 1 - place]:
            boxes = tuple(replace(box, track_id=num_tracks + box.track_id, since_ns=ns(at_s)) for box in item.boxes)
            most = max([most, *(box.track_id + 1 for box in boxes)])
            vector = item.embedding
            if vector is not None:
                noise = rng.standard_normal(len(vector))
                vector = vector + NOISE * noise / np.linalg.norm(noise)
                vector = (vector / np.linalg.norm(vector)).astype(np.float32)
            starts_shot = item.modality is Modality.VISION and at_s == bout.start_s
            found.append(
                replace(
                    item, stream_id=STREAM, seq=0, span=_span(at_s, at_s + 1), embedding=vector, boxes=boxes,
                    starts_shot=starts_shot,
                )
            )  # fmt: skip
    return most


def _talk(rng: np.random.Generator, bout: _Bout, talk: Sequence[str], rank: np.ndarray) -> Iterator[Observation]:
    at_s = bout.start_s + float(rng.uniform(1, EVERY_S))
    while at_s + 3 < bout.end_s:
        number = int(rng.zipf(1.3)) - 1
        yield _said(at_s, talk[rank[number % len(talk)]])
        at_s += 3 + float(rng.exponential(EVERY_S - 3))


def _said(at_s: float, text: str) -> Observation:
    return Observation(
        stream_id=STREAM, seq=0, span=_span(at_s, at_s + 2.5), modality=Modality.SPEECH, text=text, confidence=0.9
    )


def _span(start_s: float, end_s: float) -> TimeSpan:
    return TimeSpan(start_ns=ns(start_s), end_ns=ns(end_s))


def _day(day: int) -> TimeSpan:
    return _span(day * DAY_S, (day + 1) * DAY_S)


def _age_s(day: int, end_s: int) -> float:
    return max(0.0, end_s - (day * DAY_S + 15 * HOUR_S))


def in_batches(
    observations: Sequence[Observation], sittings: Sequence[TimeSpan], size: int = 200
) -> Iterator[list[Item]]:
    """What a memory is sent: the start, batches of observations with a watermark, gaps between sittings, the end."""
    yield [StreamStart(stream_id=STREAM, uri="composed:", live=True, has_video=True, has_audio=True, wall_anchor_ns=0)]
    place = 0
    for number, sitting in enumerate(sittings):
        own: list[Item] = []
        while place < len(observations) and observations[place].span.start_ns < sitting.end_ns:
            own.append(observations[place])
            place += 1
        for first in range(0, len(own), size):
            yield own[first : first + size]
        yield [Watermark(stream_id=STREAM, pts_ns=sitting.end_ns)]
        if number + 1 < len(sittings):
            off = TimeSpan(start_ns=sitting.end_ns, end_ns=sittings[number + 1].start_ns)
            yield [Gap(stream_id=STREAM, span=off, reason="the camera was off")]
    yield [EndOfStream(stream_id=STREAM, pts_ns=sittings[-1].end_ns)]
