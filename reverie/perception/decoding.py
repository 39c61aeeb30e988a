"""One pass over a container: packets in, pictures and sound with media time out.

A packet that does not decode is skipped and reported as a `Fault`; so is a picture that the decoder
marks as damaged. Sound becomes mono here (a surround mix keeps its centre, the voices); pictures stay
as the decoder left them until somebody asks for RGB, because most of them are not sampled.

A position is the raw time stamp and the number of the last item of each track. `resume` seeks to a
key frame before it, decodes forward, and goes on after that very item; where the container does not
land as asked, it goes back further, and at last to the start, counting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from jaxtyping import Float32, UInt8
from numpy import ndarray

from reverie.perception.downmix import to_mono
from reverie.perception.media import Media
from reverie.perception.timeline import Timeline, to_ns
from reverie.perception.upright import to_rgb
from reverie.types import NS_PER_S, ns

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.packet import Packet
    from av.video.frame import VideoFrame

# A decoder of sound needs what came before: overlapping windows, bit reservoirs, priming (Opus: 80 ms).
_PREROLL_NS = ns(1.0)
_MAX_READ_ERRORS = 100
# Decoders whose noise is drawn from one generator for the whole stream. Sound decodes 1,000 times faster than real
# time, so it is decoded from the start up to this far; beyond, only that noise differs after a restart.
_NOISY = frozenset({"aac", "aac_latm", "aac_fixed", "ac3", "eac3"})
_MAX_HISTORY_NS = ns(2 * 3600.0)


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture. `rgb(max_side_px)` makes the upright RGB picture; call it only if it is wanted."""

    pts_ns: int
    duration_ns: int
    rgb: Callable[[int], UInt8[ndarray, "h w 3"]]


@dataclass(frozen=True, slots=True)
class Sound:
    """Decoded sound: (T,) float32 mono."""

    pts_ns: int
    samples: Float32[ndarray, "t"]
    rate_hz: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Something of a track that could not be used; "" is any track."""

    track: str
    reason: str


Decoded = Picture | Sound | Fault


@dataclass(slots=True)
class Position:
    """The last item that a track gave: its raw time stamp, its media time, and how many came up to it."""

    raw: int | None = None
    media_ns: int = -1
    count: int = 0


class SeekMissed(Exception):
    """A seek did not land before the position that was asked for."""


@dataclass(slots=True)
class _Resume:
    """What a track must skip: up to the item of this raw time stamp, or this many items."""

    raw: int | None = None
    count: int = 0
    lenient: bool = False  # nothing of this track was expected near the position
    key: int | None = None  # dts of the key frame to decode from; None takes the first one
    keyed: bool = False


@dataclass
class ContainerReader:
    """Reads the tracks of `media` on one `timeline`. `reopen` gives the same media again, from the start."""

    media: Media
    timeline: Timeline
    reopen: Callable[[], Media]
    decode_threads: int = 1
    positions: dict[str, Position] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._resumes: dict[str, _Resume] = {}
        self._held: list[Decoded] = []
        self._key: int | None = None
        self._begin()

    def read(self) -> list[Decoded] | None:
        """What the next packet decodes to, or None at the end."""
        if self._held:
            held = self._held
            self._held = []
            return held
        packet = self._next_packet()
        if packet is None:
            return None
        if isinstance(packet, Fault):
            return [packet]
        return list(self._decode(packet))

    def resume(self, positions: dict[str, Position], max_skew_ns: int) -> None:
        """Go on after these positions; the timeline must be restored first."""
        newest_ns = max((position.media_ns for position in positions.values()), default=-1)
        if newest_ns < 0:
            return
        saved = self.timeline.snapshot()
        target_ns = min(max(p.media_ns, newest_ns - max_skew_ns) for p in positions.values())
        for back_ns in (0, ns(10.0), ns(60.0)):
            offset_ns = target_ns - _PREROLL_NS - back_ns
            if self.timeline.rebased or offset_ns <= 0:
                break
            try:
                self._seek(positions, offset_ns, newest_ns - max_skew_ns)
                if self._sound_has_history(positions):
                    self.timeline.restore(saved)
                    self._read_up_to(positions, newest_ns - max_skew_ns)
            except SeekMissed:
                self.timeline.restore(saved)
                continue
            return
        self._replace(self.reopen())
        self._skip_to(positions, {name: _Resume(count=position.count) for name, position in positions.items()})

    def close(self) -> None:
        self.media.close()

    # --- reading ----------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self.media.video is not None:
            context = self.media.video.codec_context
            if not context.is_open:
                context.thread_type = "AUTO" if self.decode_threads != 1 else "SLICE"
                context.thread_count = self.decode_threads
        self._packets: Iterator[Packet[Any]] = iter(self.media.container.demux(self.media.streams))
        self._held = []
        self._num_read_errors = 0

    def _next_packet(self) -> Packet[Any] | Fault | None:
        import av

        if self._num_read_errors > _MAX_READ_ERRORS:
            return None
        try:
            packet = next(self._packets, None)
        except IndexError:
            return None  # PyAV 18.1 fails so at the end, after all our flushes, if a stream appeared on the way
        except av.FFmpegError as error:
            self._num_read_errors += 1
            if isinstance(error, (av.error.TimeoutError, av.error.ExitError, av.error.OSError)):
                self._num_read_errors = _MAX_READ_ERRORS + 1
            self._packets = iter(self.media.container.demux(self.media.streams))
            return Fault(track="", reason=f"the container cannot be read here ({error.strerror})")
        if packet is not None and packet.size:
            self._num_read_errors = 0
        return packet

    def _decode(self, packet: Packet[Any]) -> Iterator[Decoded]:
        import av

        name = packet.stream.type
        if packet.is_corrupt and packet.size:
            yield Fault(track=name, reason=f"a damaged part of the {name} was skipped")
            return
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            yield Fault(track=name, reason=f"a part of the {name} does not decode ({error.strerror})")
            return
        for frame in frames:
            if frame.is_corrupt:
                yield Fault(track=name, reason=f"a damaged part of the {name} was skipped")
                continue
            decoded = self._place(name, frame, packet)
            if decoded is not None:
                yield decoded

    def _place(self, name: str, frame: VideoFrame | AudioFrame, packet: Packet[Any]) -> Decoded | None:
        """Give a frame its media time; None if it comes too late or lies before the position to resume from."""
        time_base = frame.time_base or packet.stream.time_base or Fraction(1, NS_PER_S)
        raw = frame.pts if frame.pts is not None else frame.dts
        if not self._past(name, raw):
            return None
        duration_ns = _duration_ns(name, frame, packet, time_base)
        position = self.positions.setdefault(name, Position())
        position.raw, position.count = raw, position.count + 1
        raw_ns = None if raw is None else to_ns(raw, time_base)
        pts_ns = self.timeline.place(name, raw_ns, duration_ns)
        if pts_ns is None:
            return None
        position.media_ns = pts_ns
        if name == "video":
            picture: VideoFrame = frame  # type: ignore[assignment]
            return Picture(pts_ns, duration_ns, lambda max_side_px: to_rgb(picture, max_side_px))
        sound: AudioFrame = frame  # type: ignore[assignment]
        return Sound(pts_ns, to_mono(sound), sound.sample_rate)

    # --- resuming ---------------------------------------------------------------------------------

    def _seek(self, positions: dict[str, Position], offset_ns: int, parked_before_ns: int) -> None:
        """Seek to before `offset_ns` of media time and skip up to the positions; raise SeekMissed if that fails."""
        import av

        self._replace(self.reopen())
        offset_us = (offset_ns + self.timeline.zero_ns) // 1000
        try:
            self.media.container.seek(offset_us, backward=True)
        except av.FFmpegError as error:
            raise SeekMissed from error
        self._begin()
        self._skip_to(positions, self._exact(positions, parked_before_ns))

    def _sound_has_history(self, positions: dict[str, Position]) -> bool:
        """Whether the decoder invents noise that depends on all it decoded before (AAC's PNS, AC-3's dither)."""
        audio = self.media.audio
        if audio is None or positions.get("audio", Position()).media_ns > _MAX_HISTORY_NS:
            return False
        return audio.codec_context.name in _NOISY and "audio" in positions

    def _read_up_to(self, positions: dict[str, Position], parked_before_ns: int) -> None:
        """Decode all sound from the start, and pictures from the key frame that a seek found."""
        resumes = self._exact(positions, parked_before_ns)
        resumes["audio"] = _Resume(count=positions["audio"].count)
        if "video" in resumes:
            resumes["video"].key = self._key
        self._replace(self.reopen())
        self._skip_to(positions, resumes)

    def _exact(self, positions: dict[str, Position], parked_before_ns: int) -> dict[str, _Resume]:
        """Resume each track behind the item of this very time stamp, unless the track had long been silent."""
        if any(position.raw is None for position in positions.values()):
            raise SeekMissed
        return {
            name: _Resume(raw=position.raw, lenient=position.media_ns < parked_before_ns)
            for name, position in positions.items()
        }

    def _skip_to(self, positions: dict[str, Position], resumes: dict[str, _Resume]) -> None:
        """Read until every track that must has passed its position; what other tracks give meanwhile is held."""
        self._resumes = {name: resume for name, resume in resumes.items() if resume.raw is not None or resume.count}
        self.positions = {name: replace(position) for name, position in positions.items()}
        held: list[Decoded] = []
        while any(not resume.lenient for resume in self._resumes.values()):
            packet = self._next_packet()
            if packet is None:
                if any(resume.raw is not None for resume in self._resumes.values()):
                    raise SeekMissed
                break
            if isinstance(packet, Fault):
                continue
            resume = self._resumes.get(packet.stream.type)
            if resume is not None and not self._decodable(resume, packet):
                continue
            decoded = list(self._decode(packet))
            held += [item for item in decoded if resume is None or not isinstance(item, Fault)]
        self._held = held
        self._resumes = {name: resume for name, resume in self._resumes.items() if resume.lenient}

    def _decodable(self, resume: _Resume, packet: Packet[Any]) -> bool:
        """After a seek a decoder of pictures starts at a key frame, and that must not lie behind the position."""
        if packet.stream.type != "video" or resume.raw is None or resume.keyed:
            return True
        if not packet.is_keyframe or (resume.key is not None and packet.dts != resume.key):
            return False
        if packet.pts is None or packet.pts > resume.raw:
            raise SeekMissed
        self._key, resume.keyed = packet.dts, True
        return True

    def _past(self, name: str, raw: int | None) -> bool:
        """Whether a frame lies after the position to resume from."""
        resume = self._resumes.get(name)
        if resume is None:
            return True
        if resume.raw is None:
            resume.count -= 1
            if resume.count < 0:
                del self._resumes[name]
                return True
            if resume.count == 0:
                del self._resumes[name]
            return False
        if raw is None:
            raise SeekMissed
        if raw == resume.raw:
            del self._resumes[name]
            return False
        if raw > resume.raw:
            if not resume.lenient:
                raise SeekMissed
            del self._resumes[name]
            return True
        return False

    def _replace(self, media: Media) -> None:
        self.media.close()
        self.media = media
        self._begin()


def _duration_ns(name: str, frame: VideoFrame | AudioFrame, packet: Packet[Any], time_base: Fraction) -> int:
    """How long a frame lasts: by its samples, its own word, or the rate of its stream."""
    if name == "audio":
        sound: AudioFrame = frame  # type: ignore[assignment]
        return sound.samples * NS_PER_S // max(1, sound.sample_rate)
    if frame.duration:
        return to_ns(frame.duration, time_base)
    rate = packet.stream.average_rate or packet.stream.guessed_rate
    return round(NS_PER_S / rate) if rate else NS_PER_S // 25
