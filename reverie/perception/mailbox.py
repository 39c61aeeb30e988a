"""Between the thread that receives a live stream and the one that pulls it.

A `Mailbox` is bounded: of the pictures that were sampled it keeps the newest `live_pictures` (an older
one gives way and is counted in a `Gap`), of the sound the newest `live_sound_s`, far more than one
pull waits, so that sound is lost only when perception stands still.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from jaxtyping import Float32, UInt8
from numpy import ndarray

from reverie.errors import SourceError
from reverie.perception.intake import Intake
from reverie.perception.sampling import TimeSampler
from reverie.perception.source_config import SourceConfig
from reverie.telemetry import Counters
from reverie.types import NS_PER_S, EndOfStream, Item, TimeSpan, Watermark, ns

_NEVER = 2**63 - 1
_WAIT_S = 0.05
_TOO_SLOW = "dropped: more came in than could be perceived"


@dataclass(frozen=True, slots=True)
class Waiting:
    """One entry of a mailbox: a picture, mono sound, or an outage up to which nothing came."""

    kind: str
    pts_ns: int
    duration_ns: int
    data: Any = None
    rate_hz: int = 0


@dataclass(slots=True)
class Delivery:
    """What a mailbox held."""

    entries: list[Waiting]
    num_unsampled: int = 0
    num_dropped: int = 0
    dropped: TimeSpan | None = None
    sound_dropped: bool = False
    ended: bool = False
    failure: str = ""


class Mailbox:
    """Between the thread that receives and the one that pulls. Bounded; the newest pictures win."""

    def __init__(self, config: SourceConfig) -> None:
        self._config = config
        self._sampler = TimeSampler(config.sampling.fps)
        self._entries: deque[Waiting] = deque()
        self._news = threading.Condition()
        self._out = Delivery(entries=[])
        self._num_pictures, self._sound_ns = 0, 0

    def picture(self, pts_ns: int, duration_ns: int, rgb: Callable[[int], UInt8[ndarray, "h w 3"]]) -> None:
        """Keep a picture if it is sampled; `rgb` is called only then, outside the lock."""
        if not self._sampler.takes(pts_ns):
            with self._news:
                self._out.num_unsampled += 1
            return
        image = rgb(self._config.sampling.max_side_px)
        with self._news:
            self._entries.append(Waiting("picture", pts_ns, duration_ns, image))
            self._num_pictures += 1
            if self._num_pictures > self._config.live_pictures:
                self._drop_oldest_picture()
            self._news.notify_all()

    def sound(self, pts_ns: int, samples: Float32[ndarray, "t"], rate_hz: int) -> None:
        with self._news:
            duration_ns = len(samples) * NS_PER_S // rate_hz
            self._entries.append(Waiting("sound", pts_ns, duration_ns, samples, rate_hz))
            self._sound_ns += duration_ns
            while self._sound_ns > ns(self._config.live_sound_s):
                oldest = next(entry for entry in self._entries if entry.kind == "sound")
                self._entries.remove(oldest)
                self._sound_ns -= oldest.duration_ns
                self._out.sound_dropped = True
            self._news.notify_all()

    def outage(self, start_ns: int, end_ns: int, reason: str) -> None:
        """Nothing came between these times."""
        with self._news:
            self._entries.append(Waiting("outage", start_ns, end_ns - start_ns, reason))
            self._news.notify_all()

    def refuse(self, pts_ns: int) -> None:
        """Count a picture that came too late."""
        with self._news:
            self._count_dropped(pts_ns)

    def end(self, failure: str = "") -> None:
        with self._news:
            self._out.ended, self._out.failure = True, failure
            self._news.notify_all()

    def empty(self, wait_s: float) -> Delivery:
        """All that is there; waits up to `wait_s` for something."""
        with self._news:
            self._news.wait_for(lambda: self._entries or self._out.ended, timeout=wait_s)
            out = self._out
            out.entries = list(self._entries)
            self._entries.clear()
            self._num_pictures = self._sound_ns = 0
            self._out = Delivery(entries=[], ended=out.ended, failure=out.failure)
            return out

    def _drop_oldest_picture(self) -> None:
        oldest = next(entry for entry in self._entries if entry.kind == "picture")
        for index, entry in enumerate(self._entries):
            if entry is oldest:
                del self._entries[index]
                break
        self._num_pictures -= 1
        self._count_dropped(oldest.pts_ns)

    def _count_dropped(self, pts_ns: int) -> None:
        span = TimeSpan(start_ns=pts_ns, end_ns=pts_ns + round(NS_PER_S / self._config.sampling.fps))
        self._out.dropped = span if self._out.dropped is None else self._out.dropped.union(span)
        self._out.num_dropped += 1


class MailboxSource:
    """What live sources share: everything that came in, in order, with what was lost recorded."""

    def __init__(self, uri: str, stream_id: str, config: SourceConfig) -> None:
        self.uri, self.stream_id = uri, stream_id
        self.counters = Counters()
        self._config = config
        self._mailbox = Mailbox(config)
        self._promised_ns, self._ended = 0, False

    def _expect(self, tracks: tuple[str, ...]) -> None:
        self._intake = Intake(self.stream_id, self._config, self.counters, tracks, ns(self._config.live_skew_s))

    def pull(self) -> list[Item]:
        """What is there, in order; waits at most 50 ms, and may return nothing."""
        if self._ended:
            return []
        delivery = self._mailbox.empty(_WAIT_S)
        self._take_in(delivery)
        if delivery.failure:
            self._ended = True
            raise SourceError(self.uri, delivery.failure)
        if delivery.ended:
            self._ended = True
            self._intake.finish()
            end_ns = max(self._intake.end_ns, self._promised_ns)
            return [*self._intake.take(_NEVER), EndOfStream(stream_id=self.stream_id, pts_ns=end_ns)]
        safe_ns = self._intake.safe_ns
        items: list[Item] = [*self._intake.take(safe_ns)]
        if safe_ns > self._promised_ns:
            self._promised_ns = safe_ns
            items.append(Watermark(stream_id=self.stream_id, pts_ns=safe_ns))
        return items

    def snapshot(self) -> Any:
        """What was sent so far; a live stream cannot be asked for it again."""
        return {"intake": self._intake.snapshot(), "promised_ns": self._promised_ns, "ended": self._ended}

    def restore(self, state: Any) -> None:
        self._intake.restore(state["intake"])
        self._promised_ns, self._ended = state["promised_ns"], state["ended"]

    def _take_in(self, delivery: Delivery) -> None:
        if delivery.num_unsampled:
            self.counters.add("frames_decoded", delivery.num_unsampled)
        if delivery.dropped is not None:
            self.counters.add("frames_dropped", delivery.num_dropped)
            self._intake.gap(delivery.dropped, _TOO_SLOW, delivery.num_dropped)
        if delivery.sound_dropped:
            self._intake.fault("audio", _TOO_SLOW)
        for entry in delivery.entries:
            if entry.kind == "picture":
                self._intake.picture(entry.pts_ns, entry.duration_ns, partial(_already, entry.data))
            elif entry.kind == "sound":
                self._intake.sound(entry.pts_ns, entry.data, entry.rate_hz)
            else:
                span = TimeSpan(start_ns=entry.pts_ns, end_ns=entry.pts_ns + entry.duration_ns)
                self._intake.outage(span, entry.data)


def _already(image: UInt8[ndarray, "h w 3"], max_side_px: int) -> UInt8[ndarray, "h w 3"]:
    """A picture that was scaled before it was put into the mailbox."""
    return image
