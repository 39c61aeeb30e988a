"""Streams to events: where one stretch in which little changed ends and the next begins.

Follows event segmentation by prediction error (Zacks and Tversky 2001) with the threshold of EM-LLM
(Fountas et al. 2024, section 3.2): a boundary where surprise exceeds mean + gamma * std of a trailing
window. Surprise is 1 - cosine of a moment's vector to the running centroid of the event; a floor keeps a
still scene from being cut by noise. Hard cuts, pauses of speech (streams without pictures) and a longest duration cut
too. Surprise as the error of online predictors, boundaries refined afterwards, and boundaries where a large thing comes
or goes were tried and did no better: benchmarks/results/segmentation.md. A visit is found by its track all the same.

`Segmenter` is a pure function of what it is fed, one stream in time order: no clock, no randomness, no
rows. Events tile the time from the first thing fed to the last, except for long gaps. What is fed again
after a crash gives the same boundaries, because `restored` brings back exactly the state that the stored
rows imply.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field

from reverie.types import TimeSpan, ns

Vector = Float32[ndarray, "d"]
Cause = Literal["start", "cut", "change", "pause", "longest", "gap", "end"]


class SegmentationConfig(BaseModel):
    """When an event ends, and which of its pictures are kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_s: float = Field(4.0, gt=0, description="Shortest event, except after a hard cut.")
    max_s: float = Field(60.0, gt=0, description="Longest event.")
    cut_min_s: float = Field(1.0, ge=0, description="Shortest event before a hard cut.")
    gamma: float = Field(
        1.0, ge=0, description="Standard deviations above the mean at which surprise cuts (EM-LLM: 1)."
    )
    surprise_floor: float = Field(0.1, ge=0, description="Surprise below this never cuts.")
    window_s: float = Field(300.0, gt=0, description="Trailing time over which mean and deviation are taken.")
    pause_s: float = Field(2.0, gt=0, description="Silence that ends an event of a stream without pictures.")
    gap_s: float = Field(5.0, gt=0, description="A loss of at least this length belongs to no event.")
    jump_s: float = Field(86_400.0, gt=0, description="A leap of the stream's time by more than this is a loss.")
    max_pictures: int = Field(3, ge=1, le=16, description="Key frames kept for an event.")
    picture_novelty: float = Field(
        0.1, ge=0, description="How far (1 - cosine) a moment must be from the event's key frames to become one."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """The open event, if any, ends at `pts_ns`. With `opens`, the next begins there.

    `carries`: it begins without a picture of its own, so the one that was showing goes on into it.
    """

    pts_ns: int
    cause: Cause
    opens: bool = True
    carries: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the segmenter made of one moment. `representative`: worth a key frame."""

    boundaries: tuple[Boundary, ...]
    surprise: float | None
    representative: bool


class Segmenter:
    """Segments one stream. `audio_only` streams are also cut at pauses of speech."""

    def __init__(self, config: SegmentationConfig, audio_only: bool = False) -> None:
        self._config, self.audio_only = config, audio_only
        self.start_ns: int | None = None  # of the open event
        self.position_ns: int | None = None  # the latest time fed; what comes before it is late
        self._times_ns: deque[int] = deque()  # of the trailing window, with their surprise in the other
        self._surprises: deque[float] = deque()
        self._sum: Vector | None = None
        self._last: Vector | None = None
        self._kept: list[Vector | None] = []
        self._speech_end_ns: int | None = None

    def is_late(self, pts_ns: int) -> bool:
        return self.position_ns is not None and pts_ns < self.position_ns

    def moment(self, pts_ns: int, vector: Vector | None, starts_shot: bool, has_picture: bool) -> Reading:
        """Feed one picture. `vector` is as it is stored (decoded from its code)."""
        boundaries = self._reach(pts_ns)
        surprise = self._surprise(vector)
        is_first = vector is not None and self._last is None  # what was heard before it belongs to it
        cause = self._moment_cause(pts_ns, surprise, starts_shot and not is_first)
        if cause is not None:
            boundaries.append(self._cut(pts_ns, cause, carry=False))
        if surprise is not None:
            self._remember_surprise(pts_ns, surprise)
        self._add(vector)
        representative = has_picture and self._is_representative(vector)
        if representative:
            self._kept.append(vector)
        return Reading(boundaries=tuple(boundaries), surprise=surprise, representative=representative)

    def utterance(self, span: TimeSpan) -> tuple[Boundary, ...]:
        """Feed a stretch of speech."""
        boundaries = self._reach(span.start_ns)
        silent_ns = span.start_ns - self._speech_end_ns if self._speech_end_ns is not None else 0
        old_enough = self._age_ns(span.start_ns) >= ns(self._config.min_s)
        if self.audio_only and old_enough and silent_ns >= ns(self._config.pause_s):
            boundaries.append(self._cut(span.start_ns, "pause", carry=True))
        self._speech_end_ns = max(span.end_ns, self._speech_end_ns or span.end_ns)
        return tuple(boundaries)

    def other(self, pts_ns: int) -> tuple[Boundary, ...]:
        """Feed the time of anything else: it opens the first event."""
        return tuple(self._reach(pts_ns))

    def advance(self, pts_ns: int) -> tuple[Boundary, ...]:
        """The stream was watched up to `pts_ns`: cut what has become too long."""
        if self.is_late(pts_ns):
            return ()
        boundaries = tuple(self._split_long(pts_ns))
        self.position_ns = pts_ns
        return boundaries

    def gap(self, span: TimeSpan) -> tuple[Boundary, ...]:
        """Part of the stream was lost: a long loss ends the event, and the next thing fed opens one."""
        if span.duration_ns < ns(self._config.gap_s) or self.start_ns is None or self.is_late(span.start_ns):
            return ()
        return self._close(span.start_ns, "gap")

    def end(self, pts_ns: int) -> tuple[Boundary, ...]:
        """The stream is over."""
        return self._close(max(pts_ns, self.position_ns or pts_ns), "end") if self.start_ns is not None else ()

    @classmethod
    def restored(
        cls,
        config: SegmentationConfig,
        audio_only: bool,
        *,
        start_ns: int | None,
        position_ns: int | None,
        window: Iterable[tuple[int, float]],
        moments: Iterable[tuple[Vector | None, bool]],
        last: Vector | None,
        speech_end_ns: int | None,
    ) -> Segmenter:
        """A segmenter in the state that the rows imply.

        Args:
            config: as for the constructor.
            audio_only: as for the constructor.
            start_ns: start of the open event, None if none is open.
            position_ns: the latest time that was fed.
            window: (pts_ns, surprise) of the trailing window, in order.
            moments: vector and whether its picture was kept, of the open event's moments (a carried one
                first, its picture counting as not kept), in order.
            last: the latest vector since the last long gap.
            speech_end_ns: where the latest speech ended.
        """
        segmenter = cls(config, audio_only)
        segmenter.start_ns, segmenter.position_ns, segmenter._speech_end_ns = start_ns, position_ns, speech_end_ns
        for pts_ns, surprise in window:
            segmenter._remember_surprise(pts_ns, surprise)
        for vector, kept in moments:
            segmenter._add(vector)
            if kept:
                segmenter._kept.append(vector)
        segmenter._last = last
        return segmenter

    def _reach(self, pts_ns: int) -> list[Boundary]:
        boundaries = list(self._split_long(pts_ns))
        self.position_ns = pts_ns
        if self.start_ns is None:
            self.start_ns = pts_ns
            boundaries.append(Boundary(pts_ns=pts_ns, cause="start"))
        return boundaries

    def _split_long(self, pts_ns: int) -> Iterator[Boundary]:
        if self.start_ns is not None and self._age_ns(pts_ns) > ns(self._config.jump_s):
            yield from self._close(self.start_ns + ns(self._config.max_s), "gap")
        while self._age_ns(pts_ns) >= ns(self._config.max_s):
            assert self.start_ns is not None
            yield self._cut(self.start_ns + ns(self._config.max_s), "longest", carry=True)

    def _cut(self, pts_ns: int, cause: Cause, carry: bool) -> Boundary:
        self.start_ns, self._sum, self._kept = pts_ns, None, []
        if carry:
            self._add(self._last)
        return Boundary(pts_ns=pts_ns, cause=cause, carries=carry)

    def _close(self, pts_ns: int, cause: Cause) -> tuple[Boundary, ...]:
        boundaries = list(self._split_long(pts_ns))
        boundaries.append(Boundary(pts_ns=pts_ns, cause=cause, opens=False))
        self.start_ns, self._sum, self._last, self._kept, self.position_ns = None, None, None, [], pts_ns
        return tuple(boundaries)

    def _age_ns(self, pts_ns: int) -> int:
        return pts_ns - self.start_ns if self.start_ns is not None else 0

    def _surprise(self, vector: Vector | None) -> float | None:
        if vector is None or self._sum is None or vector.shape != self._sum.shape:
            return None
        return _distance(vector, self._sum)

    def _moment_cause(self, pts_ns: int, surprise: float | None, starts_shot: bool) -> Cause | None:
        age_ns = self._age_ns(pts_ns)
        if starts_shot and age_ns >= ns(self._config.cut_min_s) and age_ns > 0:
            return "cut"
        if surprise is None or age_ns < ns(self._config.min_s):
            return None
        return "change" if surprise > self._threshold(pts_ns) else None

    def _threshold(self, pts_ns: int) -> float:
        self._trim(pts_ns - ns(self._config.window_s))
        if not self._surprises:
            return self._config.surprise_floor
        values = np.array(self._surprises)
        return max(self._config.surprise_floor, float(values.mean() + self._config.gamma * values.std()))

    def _remember_surprise(self, pts_ns: int, surprise: float) -> None:
        self._times_ns.append(pts_ns)
        self._surprises.append(surprise)
        self._trim(pts_ns - ns(self._config.window_s))

    def _trim(self, since_ns: int) -> None:
        while self._times_ns and self._times_ns[0] < since_ns:
            self._times_ns.popleft()
            self._surprises.popleft()

    def _add(self, vector: Vector | None) -> None:
        if vector is None:
            return
        if self._sum is None or self._sum.shape != vector.shape:  # another encoder: its own centroid
            self._sum = np.zeros_like(vector)
        self._sum = self._sum + vector
        self._last = vector

    def _is_representative(self, vector: Vector | None) -> bool:
        if not self._kept:
            return True
        if vector is None or len(self._kept) >= self._config.max_pictures:
            return False
        same_space = [kept for kept in self._kept if kept is not None and kept.shape == vector.shape]
        return all(_distance(vector, kept) > self._config.picture_novelty for kept in same_space)


def _distance(a: Vector, b: Vector) -> float:
    """1 - cosine, in [0, 2]."""
    norms = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    return 1.0 - float(a @ b) / norms if norms > 0 else 0.0
