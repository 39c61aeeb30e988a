"""From the time stamps of a container to one monotone media time, in nanoseconds from its earliest start.

Containers are joined, wrap around, or are damaged. A step back of up to a second is a picture out of
order: it is dropped. A longer step back, or a jump ahead of more than an hour that the declared
length does not explain, starts the clock of that track anew: what follows is placed right after
what came before. A track that jumps soon after another one takes over its new origin, so that sound
and pictures stay together.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction

from reverie.types import NS_PER_S, ns

_MAX_STEP_BACK_NS = ns(1.0)
_MAX_JUMP_NS = ns(3600.0)
_TOGETHER_NS = ns(2.0)


def to_ns(pts: int, time_base: Fraction) -> int:
    """A time stamp in nanoseconds, rounded to the nearest, in exact integers."""
    scaled, base = pts * time_base.numerator * NS_PER_S, time_base.denominator
    return (2 * scaled + base) // (2 * base)


@dataclass(slots=True)
class _Track:
    """Where the next item of a track is expected, and what is added to its time stamps."""

    last_ns: int = -1
    expected_ns: int = 0
    offset_ns: int = 0
    jumps: int = 0


@dataclass(slots=True)
class Timeline:
    """Places items of each track (`video`, `audio`) on media time.

    `zero_ns` is the container's earliest time stamp, `declared_end_ns` the media time of its end, if
    it says so.
    """

    zero_ns: int = 0
    declared_end_ns: int | None = None
    tracks: dict[str, _Track] = field(default_factory=dict)

    @property
    def rebased(self) -> bool:
        """Whether a clock was started anew: then a raw time stamp may stand for two times."""
        return any(track.jumps for track in self.tracks.values())

    def place(self, name: str, raw_ns: int | None, duration_ns: int) -> int | None:
        """Media time of an item, or None if it lies less than a second before one that came already.

        Pictures at an equal time are duplicates and dropped too. `raw_ns` None takes the expected time.
        """
        track = self.tracks.setdefault(name, _Track())
        pts_ns = track.expected_ns if raw_ns is None else raw_ns - self.zero_ns + track.offset_ns
        if raw_ns is not None and self._jumped(track, pts_ns):
            track.offset_ns = self._new_offset(name, track, raw_ns)
            track.jumps += 1
            pts_ns = raw_ns - self.zero_ns + track.offset_ns
        if pts_ns < 0 and track.last_ns < 0:
            pts_ns = 0
        if pts_ns <= track.last_ns:
            return None
        track.last_ns, track.expected_ns = pts_ns, pts_ns + max(duration_ns, 1)
        return pts_ns

    def snapshot(self) -> dict[str, _Track]:
        return {name: replace(track) for name, track in self.tracks.items()}

    def restore(self, state: dict[str, _Track]) -> None:
        self.tracks = {name: replace(track) for name, track in state.items()}

    def _jumped(self, track: _Track, pts_ns: int) -> bool:
        if track.last_ns < 0:
            return pts_ns > _MAX_JUMP_NS and not self._declared(pts_ns)
        if pts_ns < track.last_ns - _MAX_STEP_BACK_NS:
            return True
        return pts_ns > track.expected_ns + _MAX_JUMP_NS and not self._declared(pts_ns)

    def _declared(self, pts_ns: int) -> bool:
        return self.declared_end_ns is not None and pts_ns <= self.declared_end_ns

    def _new_offset(self, name: str, track: _Track, raw_ns: int) -> int:
        """The origin of another track that jumped and fits, or one that makes this item follow its predecessor."""
        for other_name, other in self.tracks.items():
            placed_ns = raw_ns - self.zero_ns + other.offset_ns
            if other_name != name and other.jumps and abs(placed_ns - track.expected_ns) < _TOGETHER_NS:
                return max(other.offset_ns, track.expected_ns - (raw_ns - self.zero_ns))
        return track.expected_ns - (raw_ns - self.zero_ns)
