"""From a probability for each short window to spans in which something goes on.

Hysteresis as in silero-vad's own segmenter: a span opens at a window of `open_at` or more and closes where the
probability fell below `close_at` and stayed below `open_at` for `min_pause` windows. A span that would grow longer
than `max_length` is cut in its second half at its weakest point, so that what waits for it is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Lengths are counted in windows."""

    open_at: float
    close_at: float
    min_length: int
    min_pause: int
    max_length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """Windows [start, end) and their probabilities. A cut side goes on in the neighbouring span."""

    start: int
    end: int
    probabilities: tuple[float, ...]
    cut_before: bool = False
    cut_after: bool = False


@dataclass(slots=True)
class ActivitySegmenter:
    """Feed it windows, get the spans that closed. All of its state is in its fields."""

    thresholds: Thresholds
    next_window: int = 0
    start: int | None = None
    _pause_from: int | None = None
    _cut_before: bool = False
    _open: list[float] = field(default_factory=list)

    def feed(self, probabilities: Iterable[float]) -> list[Activity]:
        closed: list[Activity] = []
        for probability in probabilities:
            activity = self._feed_one(float(probability))
            if activity is not None:
                closed.append(activity)
        return closed

    def flush(self) -> Activity | None:
        """Close the open span where its sound ended, as if silence followed."""
        if self.start is None:
            return None
        return self._close(self.next_window if self._pause_from is None else self._pause_from)

    def _feed_one(self, probability: float) -> Activity | None:
        limits, window = self.thresholds, self.next_window
        self.next_window += 1
        if self.start is None:
            if probability >= limits.open_at:
                self.start, self._open = window, [probability]
            return None
        self._open.append(probability)
        if probability >= limits.open_at:
            self._pause_from = None
        elif probability < limits.close_at and self._pause_from is None:
            self._pause_from = window
        if self._pause_from is not None and self.next_window - self._pause_from >= limits.min_pause:
            return self._close(self._pause_from)
        if len(self._open) >= limits.max_length:
            return self._cut()
        return None

    def _close(self, end: int) -> Activity | None:
        assert self.start is not None
        activity = Activity(
            start=self.start,
            end=end,
            probabilities=tuple(self._open[: end - self.start]),
            cut_before=self._cut_before,
        )
        long_enough = end - self.start >= self.thresholds.min_length or (self._cut_before and end > self.start)
        self.start, self._pause_from, self._cut_before, self._open = None, None, False, []
        return activity if long_enough else None

    def _cut(self) -> Activity:
        """Cut at the weakest three windows of the second half; the rest stays open."""
        assert self.start is not None
        half = len(self._open) // 2
        weakness = {index: sum(self._open[index - 1 : index + 2]) for index in range(half, len(self._open) - 1)}
        at = min(weakness, key=lambda index: (weakness[index], -index), default=len(self._open) - 1)
        activity = Activity(
            start=self.start,
            end=self.start + at,
            probabilities=tuple(self._open[:at]),
            cut_before=self._cut_before,
            cut_after=True,
        )
        self.start, self._open, self._cut_before = activity.end, self._open[at:], True
        if self._pause_from is not None:
            self._pause_from = max(self._pause_from, self.start)
        return activity
