"""From decoded pictures and sound to what is sent, in one order.

Pictures go through the time sampler and the content gate, sound through the chunker, and both wait
until nothing earlier can come of the other track: then they leave in order of pts, and the source
may promise so with a `Watermark`. A track that lags more than `max_skew_ns` behind is not waited for;
what it brings later than promised is left out and recorded as a `Gap`. Every source, file or live, is
a reader in front of one intake.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from jaxtyping import Float32, UInt8
from numpy import ndarray

from reverie.perception.chunking import SoundChunker
from reverie.perception.sampling import ContentGate, GateState, TimeSampler
from reverie.perception.source_config import SourceConfig
from reverie.telemetry import Counters
from reverie.types import AudioChunk, Frame, Gap, TimeSpan, ns

_NEVER = 2**63 - 1
_FAULT_SHOWS_NS = ns(2.0)
Sent = Frame | AudioChunk | Gap


@dataclass(slots=True)
class _State:
    """All that an intake remembers, apart from the chunker."""

    frontiers: dict[str, int]
    last_cell: int = -1
    gate: GateState = field(default_factory=GateState)
    seq: int = 0
    expected_ns: int = 0
    end_ns: int = 0
    faults: dict[str, tuple[str, int]] = field(default_factory=dict)  # reason, and the end of media then
    promised_ns: int = 0
    pending: list[tuple[int, int, int, Sent]] = field(default_factory=list)
    late: int = 0
    late_end_ns: int = 0


class Intake:
    """One stream's way from decoded media to items. `tracks` are those that are waited for."""

    def __init__(
        self, stream_id: str, config: SourceConfig, counters: Counters, tracks: Sequence[str], max_skew_ns: int
    ) -> None:
        self._stream_id, self._config, self._counters = stream_id, config, counters
        self._max_skew_ns = max_skew_ns
        self._sampler = TimeSampler(config.sampling.fps)
        self._gate = ContentGate(config.sampling)
        self._chunker = SoundChunker(stream_id, config.sound)
        self._state = _State(frontiers=dict.fromkeys(tracks, 0))

    @property
    def end_ns(self) -> int:
        """Where the media that came in so far ends."""
        return max(self._state.end_ns, self._chunker.end_ns)

    @property
    def safe_ns(self) -> int:
        """Nothing with an earlier pts will be sent, apart from what waits here."""
        frontiers = self._state.frontiers.values()
        return max(min(frontiers), max(frontiers) - self._max_skew_ns) if frontiers else 0

    @property
    def num_late(self) -> int:
        """Items left out since the last `take` because they came later than promised."""
        return self._state.late

    def picture(self, pts_ns: int, duration_ns: int, rgb: Callable[[int], UInt8[ndarray, "h w 3"]]) -> None:
        """A decoded picture; `rgb(max_side_px)` is called only if it is sampled."""
        state = self._state
        self._counters.add("frames_decoded")
        self._video_gap(pts_ns, duration_ns)
        state.expected_ns = pts_ns + duration_ns
        state.end_ns = max(state.end_ns, state.expected_ns)
        if self._sampler.takes(pts_ns):
            self._counters.add("frames_sampled")
            image = rgb(self._config.sampling.max_side_px)
            if self._gate.passes(pts_ns, image):
                frame = Frame(stream_id=self._stream_id, seq=state.seq, pts_ns=pts_ns, image=image)
                state.seq += 1
                self._hold(frame)
            else:
                self._counters.add("frames_unchanged")
        self._advance("video", pts_ns + 1)

    def sound(self, pts_ns: int, samples: Float32[ndarray, "t"], rate_hz: int) -> None:
        """Decoded mono sound."""
        self._counters.add("audio_seconds", len(samples) / rate_hz)
        for item in self._chunker.feed(pts_ns, samples, rate_hz, self._state.faults.pop("audio", ("", 0))[0]):
            self._hold(item)
        self._advance("audio", self._chunker.frontier_ns)

    def fault(self, track: str, reason: str) -> None:
        """Something could not be decoded; the hole that it leaves, if any, becomes a gap. "" is any track."""
        for name in [track] if track else self._state.frontiers:
            self._state.faults[name] = (reason, self.end_ns)

    def gap(self, span: TimeSpan, reason: str, num_dropped: int = 0) -> None:
        """Record a loss."""
        start_ns = max(span.start_ns, self._state.promised_ns)
        span = TimeSpan(start_ns=start_ns, end_ns=max(start_ns, span.end_ns))
        self._hold(Gap(stream_id=self._stream_id, span=span, reason=reason, num_dropped=num_dropped))

    def outage(self, span: TimeSpan, reason: str) -> None:
        """Nothing at all came over this span: one gap for both tracks, and sound starts anew after it."""
        for item in self._chunker.flush():
            self._hold(item)
        self._chunker.end_ns = max(self._chunker.end_ns, span.end_ns)
        self.gap(span, reason)
        for track in self._state.frontiers:
            self._advance(track, span.end_ns)

    def finish(self) -> None:
        """No more is coming: send what the chunker holds, and name what was lost at the end."""
        for item in self._chunker.flush():
            self._hold(item)
        state, end_ns = self._state, self.end_ns
        for track, track_end_ns in (("video", state.expected_ns), ("audio", self._chunker.end_ns)):
            if track in state.faults and track_end_ns < end_ns:
                self.gap(TimeSpan(start_ns=track_end_ns, end_ns=end_ns), state.faults[track][0])
        state.frontiers = dict.fromkeys(state.frontiers, _NEVER)

    def pending_from(self, pts_ns: int) -> bool:
        """Whether anything at or after this time waits."""
        return any(start_ns >= pts_ns for start_ns, *_ in self._state.pending)

    def take(self, before_ns: int) -> list[Sent]:
        """What waits with a pts before this time, in order. Nothing earlier will be sent afterwards."""
        state = self._state
        if state.late:
            span = TimeSpan(start_ns=state.promised_ns, end_ns=max(state.promised_ns, state.late_end_ns))
            state.pending.append(self._keyed(self._late_gap(span)))
            state.late = 0
        state.pending.sort(key=lambda entry: entry[:3])
        taken = [entry[3] for entry in state.pending if entry[0] < before_ns]
        state.pending = [entry for entry in state.pending if entry[0] >= before_ns]
        state.promised_ns = max(state.promised_ns, before_ns)
        for item in taken:
            if isinstance(item, Gap):
                self._counters.add("gaps")
        return taken

    def snapshot(self) -> tuple[_State, Any]:
        state = self._state
        copied = replace(
            state,
            frontiers=dict(state.frontiers),
            faults=dict(state.faults),
            pending=list(state.pending),
            last_cell=self._sampler.last_cell,
            gate=self._gate.state,
        )
        return copied, self._chunker.snapshot()

    def restore(self, state: tuple[_State, Any]) -> None:
        copied, chunker = state
        self._state = replace(
            copied, frontiers=dict(copied.frontiers), faults=dict(copied.faults), pending=list(copied.pending)
        )
        self._sampler.last_cell, self._gate.state = copied.last_cell, copied.gate
        self._chunker.restore(chunker)

    def _advance(self, track: str, frontier_ns: int) -> None:
        self._state.frontiers[track] = max(frontier_ns, self._state.frontiers.get(track, 0))

    def _video_gap(self, pts_ns: int, duration_ns: int) -> None:
        """Close a fault with the hole it left. A reordering decoder reports it some pictures before the hole."""
        state = self._state
        if "video" not in state.faults:
            return
        reason, since_ns = state.faults["video"]
        if pts_ns - state.expected_ns > duration_ns // 2:
            span = TimeSpan(start_ns=state.expected_ns, end_ns=pts_ns)
            self.gap(span, reason, max(1, round(span.duration_ns / max(duration_ns, 1))))
            del state.faults["video"]
        elif pts_ns > since_ns + _FAULT_SHOWS_NS:
            del state.faults["video"]  # concealed by the decoder: no picture is missing

    def _hold(self, item: Sent) -> None:
        entry = self._keyed(item)
        if entry[0] >= self._state.promised_ns:
            self._state.pending.append(entry)
            return
        self._state.late += 1
        end_ns = item.pts_ns if isinstance(item, Frame) else item.span.end_ns
        self._state.late_end_ns = max(self._state.late_end_ns, end_ns)

    def _keyed(self, item: Sent) -> tuple[int, int, int, Sent]:
        """(pts, gaps before sound before pictures, seq, item)"""
        if isinstance(item, Gap):
            return item.span.start_ns, 0, 0, item
        return item.pts_ns, 2 if isinstance(item, Frame) else 1, item.seq, item

    def _late_gap(self, span: TimeSpan) -> Gap:
        reason = "came too long after what belongs beside it"
        return Gap(stream_id=self._stream_id, span=span, reason=reason, num_dropped=self._state.late)
