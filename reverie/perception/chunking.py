"""Sound as it comes from decoders, made into contiguous chunks of 16 kHz mono.

`Resampler` is a polyphase filter (Crochiere and Rabiner 1983; Kaiser-windowed sinc) on the absolute
index of samples. Its whole state is a short tail of input, so a restored source goes on with the same
samples; libswresample's state cannot be saved.

`SoundChunker` trusts the count of samples for what is contiguous, and time stamps for what is not:
a hole longer than `max_hole_s` becomes a `Gap` and starts a new segment at its own pts; smaller
differences are averaged over about a second, and a drift beyond `max_drift_s` is filled with silence
or cut. An overlap is cut.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import ceil, gcd

import numpy as np
from jaxtyping import Float32
from numpy import ndarray
from numpy.lib.stride_tricks import sliding_window_view
from pydantic import BaseModel, ConfigDict, Field

from reverie.types import NS_PER_S, AudioChunk, Gap, TimeSpan, ns

_ZERO_CROSSINGS = 16
_KAISER_BETA = 8.0  # about 80 dB of stop band
_MIN_OUT = 2_000  # fewer outputs wait: decoders give 20 ms at a time, and one call costs more than its work
_PASSBAND = 0.94  # of the lower Nyquist frequency


class SoundConfig(BaseModel):
    """How sound is cut and corrected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sample_rate_hz: int = Field(default=16_000, ge=8_000, le=48_000, description="Rate of the chunks that are sent.")
    chunk_s: float = Field(default=0.5, gt=0, le=10, description="Length of a chunk.")
    max_hole_s: float = Field(default=0.1, gt=0, description="A longer hole between time stamps is recorded as a gap.")
    max_drift_s: float = Field(
        default=0.04, gt=0, description="Drift of time stamps against samples that is corrected."
    )


@dataclass(slots=True)
class _ResamplerState:
    """`tail` starts at input sample `first`; `num_in` came in, `num_out` went out."""

    tail: Float32[ndarray, "t"] = field(default_factory=lambda: np.zeros(0, np.float32))
    first: int = 0
    num_in: int = 0
    num_out: int = 0


class Resampler:
    """One channel from `from_hz` to `to_hz`; output n stands at the time of input n * from_hz / to_hz."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        if not 1_000 <= from_hz <= 768_000:
            raise ValueError(f"a sample rate of {from_hz} Hz is outside 1-768 kHz")
        common = gcd(from_hz, to_hz)
        self._up, self._down = to_hz // common, from_hz // common
        self._reach, self._taps = _low_pass(self._up, self._down)
        self.state = _ResamplerState(tail=np.zeros(self._reach, np.float32), first=-self._reach)

    def feed(self, samples: Float32[ndarray, "t"]) -> Float32[ndarray, "t2"]:
        """What can be put out now; the rest waits for its right neighbours."""
        state = self.state
        state.num_in += len(samples)
        if self._up == self._down:
            return samples
        state.tail = np.concatenate((state.tail, samples))
        ready = ((state.num_in - self._reach) * self._up - 1) // self._down + 1
        return self._put_out(ready) if ready - state.num_out >= _MIN_OUT else np.zeros(0, np.float32)

    def flush(self) -> Float32[ndarray, "t2"]:
        """The last samples, as if silence followed. Only a new resampler may go on from here."""
        if self._up == self._down:
            return np.zeros(0, np.float32)
        self.state.tail = np.concatenate((self.state.tail, np.zeros(self._reach, np.float32)))
        return self._put_out(ceil(self.state.num_in * self._up / self._down))

    def _put_out(self, ready: int) -> Float32[ndarray, "t2"]:
        """Outputs up to number `ready`: each a window of inputs times the taps of its phase."""
        state = self.state
        if ready <= state.num_out:
            return np.zeros(0, np.float32)
        centres, phases = np.divmod(np.arange(state.num_out, ready, dtype=np.int64) * self._down, self._up)
        windows = sliding_window_view(state.tail, 2 * self._reach + 1)[centres - self._reach - state.first]
        out = np.vecdot(windows, self._taps if self._up == 1 else self._taps[phases])
        first = ready * self._down // self._up - self._reach
        # a copy, or the tail would keep everything that came before it
        state.tail, state.first, state.num_out = state.tail[first - state.first :].copy(), first, ready
        return np.asarray(out, np.float32)


def _low_pass(up: int, down: int) -> tuple[int, Float32[ndarray, "phases taps"]]:
    """Inputs on each side of an output, and the filter's taps for each phase of an output between two inputs."""
    half = _ZERO_CROSSINGS * max(up, down)  # in steps of the rate that both share
    reach = ceil(half / up)
    steps = np.arange(up)[:, None] - np.arange(-reach, reach + 1)[None, :] * up
    cutoff = _PASSBAND / max(up, down)
    window = np.i0(_KAISER_BETA * np.sqrt(np.clip(1.0 - (steps / half) ** 2, 0.0, None))) * (np.abs(steps) <= half)
    taps = np.sinc(cutoff * steps) * window
    return reach, (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)


@dataclass(slots=True)
class _Segment:
    """A contiguous stretch: where it starts, how much of it was sent, and what waits to fill a chunk."""

    start_ns: int
    rate_hz: int
    num_sent: int = 0
    waiting: Float32[ndarray, "t"] = field(default_factory=lambda: np.zeros(0, np.float32))
    drift_ns: float = 0.0
    resampled: _ResamplerState = field(default_factory=_ResamplerState)


class SoundChunker:
    """Mono samples with time stamps in, `AudioChunk`s and `Gap`s out, in order."""

    def __init__(self, stream_id: str, config: SoundConfig) -> None:
        self._stream_id, self._config = stream_id, config
        self._chunk_len = max(1, round(config.chunk_s * config.sample_rate_hz))
        self._segment: _Segment | None = None
        self._resampler: Resampler | None = None
        self._seq = 0
        self.end_ns = 0

    @property
    def frontier_ns(self) -> int:
        """No chunk that is still to come starts before this."""
        segment = self._segment
        return self.end_ns if segment is None else segment.start_ns + self._out_ns(segment.num_sent)

    def feed(
        self, pts_ns: int, samples: Float32[ndarray, "t"], rate_hz: int, fault: str = ""
    ) -> list[AudioChunk | Gap]:
        """Add samples. `fault` says that something before them could not be decoded."""
        out: list[AudioChunk | Gap] = []
        off_ns = pts_ns - self.end_ns
        if self._segment is None or self._segment.rate_hz != rate_hz or off_ns > ns(self._config.max_hole_s):
            out += self.flush()
            if off_ns > ns(self._config.max_hole_s) and (self._seq or fault):
                out.append(self._gap(self.end_ns, pts_ns, fault or "no sound in the source"))
            # a change of rate goes on where the last segment ended; only a hole moves on in time
            contiguous = self._seq > 0 and off_ns <= ns(self._config.max_hole_s)
            self._open(self.end_ns if contiguous else max(pts_ns, self.end_ns), rate_hz)
            off_ns = pts_ns - self.end_ns
        elif fault and off_ns > 0:
            out.append(self._gap(self.end_ns, pts_ns, fault))
        return out + self._cut(self._corrected(samples, off_ns, bool(fault)))

    def flush(self) -> list[AudioChunk | Gap]:
        """End the segment: send what waits as a last, shorter chunk."""
        if self._segment is None or self._resampler is None:
            return []
        self._segment.waiting = np.concatenate((self._segment.waiting, self._resampler.flush()))
        out = self._cut_chunks(1)
        self._segment = self._resampler = None
        return out

    def snapshot(self) -> tuple[_Segment | None, int, int]:
        segment = self._segment
        if segment is not None and self._resampler is not None:
            segment = replace(segment, resampled=replace(self._resampler.state))
        return segment, self._seq, self.end_ns

    def restore(self, state: tuple[_Segment | None, int, int]) -> None:
        segment, self._seq, self.end_ns = state
        self._segment = None if segment is None else replace(segment)
        self._resampler = None
        if segment is not None:
            self._resampler = Resampler(segment.rate_hz, self._config.sample_rate_hz)
            self._resampler.state = replace(segment.resampled)

    def _open(self, start_ns: int, rate_hz: int) -> None:
        self._segment = _Segment(start_ns=start_ns, rate_hz=rate_hz)
        self._resampler = Resampler(rate_hz, self._config.sample_rate_hz)
        self.end_ns = start_ns

    def _corrected(self, samples: Float32[ndarray, "t"], off_ns: int, faulty: bool) -> Float32[ndarray, "t"]:
        """Samples with silence before them, or without their beginning, where time stamps ask for it."""
        assert self._segment is not None
        segment = self._segment
        share = min(1.0, len(samples) / segment.rate_hz)
        segment.drift_ns += share * (off_ns - segment.drift_ns)
        overlap_ns = -off_ns if -off_ns > ns(self._config.max_hole_s) else 0
        if faulty or overlap_ns:
            shift_ns: float = off_ns
        elif abs(segment.drift_ns) > ns(self._config.max_drift_s):
            shift_ns = segment.drift_ns
        else:
            return samples
        segment.drift_ns = 0.0
        shift = round(shift_ns * segment.rate_hz / NS_PER_S)
        if shift < 0:
            return samples[-shift:]
        return np.concatenate((np.zeros(shift, np.float32), samples))

    def _cut(self, samples: Float32[ndarray, "t"]) -> list[AudioChunk | Gap]:
        assert self._segment is not None
        assert self._resampler is not None
        resampled = self._resampler.feed(samples)
        if resampled.size:
            self._segment.waiting = np.concatenate((self._segment.waiting, resampled))
        num_in, rate_hz = self._resampler.state.num_in, self._segment.rate_hz
        self.end_ns = self._segment.start_ns + num_in * NS_PER_S // rate_hz
        return self._cut_chunks(self._chunk_len)

    def _cut_chunks(self, min_len: int) -> list[AudioChunk | Gap]:
        assert self._segment is not None
        segment, out = self._segment, list[AudioChunk | Gap]()
        while len(segment.waiting) >= min_len:
            samples, segment.waiting = segment.waiting[: self._chunk_len].copy(), segment.waiting[self._chunk_len :]
            out.append(
                AudioChunk(
                    stream_id=self._stream_id,
                    seq=self._seq,
                    pts_ns=segment.start_ns + self._out_ns(segment.num_sent),
                    samples=samples,
                    sample_rate_hz=self._config.sample_rate_hz,
                )
            )
            self._seq += 1
            segment.num_sent += len(samples)
        return out

    def _out_ns(self, num_samples: int) -> int:
        return num_samples * NS_PER_S // self._config.sample_rate_hz

    def _gap(self, start_ns: int, end_ns: int, reason: str) -> Gap:
        return Gap(stream_id=self._stream_id, span=TimeSpan(start_ns=start_ns, end_ns=end_ns), reason=reason)
