"""A file, or a file behind a URL, as a source: everything in it once, in order, and from any point again.

One call of `pull` sends all items of the next `batch_s` of media time, then a `Watermark` at its end. The
bounds are multiples of `batch_s`, so batches do not depend on how a container interleaves its tracks.

`snapshot` between two pulls holds the position of each track, what waits to be sent, and the states of
the sampler, the gate and the resampler; `restore` gives the items that an uninterrupted source would have
sent: equal pts, seq and pictures, and samples equal to within 1e-4.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from reverie.clock import Clock, SystemClock
from reverie.errors import SourceError
from reverie.perception.addresses import check_address, scheme, shown
from reverie.perception.decoding import ContainerReader, Decoded, Fault, Picture, Position, Sound
from reverie.perception.intake import Intake
from reverie.perception.media import Media, check_file, file_identity, open_media
from reverie.perception.pictures import PictureReader, find_pictures, sequence_identity
from reverie.perception.source_config import SourceConfig
from reverie.perception.timeline import Timeline
from reverie.telemetry import Counters
from reverie.types import EndOfStream, Item, StreamStart, TimeSpan, Watermark, ns

_NEVER = 2**63 - 1
_CUT_OFF_NS = ns(0.5)
_MAX_BATCH_PICTURES = 32


class Reader(Protocol):
    """What decodes: a container or a sequence of pictures."""

    positions: dict[str, Position]

    def read(self) -> Sequence[Decoded] | None: ...

    def resume(self, positions: dict[str, Position], max_skew_ns: int) -> None: ...

    def close(self) -> None: ...


class FileSource:
    """Reads a media file, a picture, a directory or numbered sequence of pictures, or an http(s) file.

    `stream_id` names the stream; by default it is made of the name and content of the file, so that
    the same file is the same stream wherever it lies.
    """

    def __init__(
        self,
        path: str | Path,
        config: SourceConfig | None = None,
        *,
        stream_id: str = "",
        clock: Clock | None = None,
    ) -> None:
        self.uri, self.stream_id = str(path), stream_id
        self.counters = Counters()
        self._config, self._clock = config or SourceConfig(), clock or SystemClock()
        self._reader: Reader | None = None
        self._timeline = Timeline()
        self._declared_end_ns: int | None = None
        self._edge_ns, self._exhausted, self._ended = 0, False, False
        sampling = self._config.sampling
        self._step_ns = ns(min(self._config.batch_s, _MAX_BATCH_PICTURES / sampling.fps))

    def open(self) -> StreamStart:
        """Probe, and raise SourceError if it cannot be watched."""
        pictures = None if scheme(self.uri) else self._find_pictures()
        start = self._open_pictures(pictures) if pictures else self._open_media()
        tracks = [name for name, there in (("video", start.has_video), ("audio", start.has_audio)) if there]
        self._intake = Intake(self.stream_id, self._config, self.counters, tracks, ns(self._config.max_skew_s))
        return start

    def pull(self) -> list[Item]:
        """The items of the next `batch_s`; `EndOfStream` last of all, and then nothing."""
        if self._ended:
            return []
        edge_ns = self._edge_ns + self._step_ns
        while not self._exhausted and self._intake.safe_ns < edge_ns:
            self._advance()
        self._edge_ns = edge_ns
        if self._exhausted and not self._intake.pending_from(edge_ns):
            self._ended = True
            end_ns = max(self._intake.end_ns, self._declared_end_ns or 0, edge_ns - self._step_ns)
            return [*self._intake.take(_NEVER), EndOfStream(stream_id=self.stream_id, pts_ns=end_ns)]
        return [*self._intake.take(edge_ns), Watermark(stream_id=self.stream_id, pts_ns=edge_ns)]

    def snapshot(self) -> Any:
        """A picklable copy of the exact position, between two pulls."""
        positions = {} if self._reader is None else dict(self._reader.positions)
        return {
            "positions": {name: (p.raw, p.media_ns, p.count) for name, p in positions.items()},
            "timeline": self._timeline.snapshot(),
            "intake": self._intake.snapshot(),
            "edge_ns": self._edge_ns,
            "exhausted": self._exhausted,
            "ended": self._ended,
        }

    def restore(self, state: Any) -> None:
        """Go on from a snapshot of this file; call after `open`."""
        assert self._reader is not None, "open before restore"
        self._intake.restore(state["intake"])
        self._timeline.restore(state["timeline"])
        self._edge_ns, self._exhausted, self._ended = state["edge_ns"], state["exhausted"], state["ended"]
        if not self._exhausted:
            positions = {name: Position(*values) for name, values in state["positions"].items()}
            self._reader.resume(positions, ns(self._config.max_skew_s))

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _advance(self) -> None:
        """Read one packet or picture into the intake."""
        assert self._reader is not None, "open before pull"
        decoded = self._reader.read()
        if decoded is None:
            self._exhaust()
            return
        for item in decoded:
            match item:
                case Picture():
                    self._intake.picture(item.pts_ns, item.duration_ns, item.rgb)
                case Sound():
                    self._intake.sound(item.pts_ns, item.samples, item.rate_hz)
                case Fault():
                    self._intake.fault(item.track, item.reason)

    def _exhaust(self) -> None:
        self._intake.finish()
        self._exhausted = True
        end_ns, declared_ns = self._intake.end_ns, self._declared_end_ns
        if declared_ns is not None and declared_ns - end_ns > _CUT_OFF_NS:
            self._intake.gap(TimeSpan(start_ns=end_ns, end_ns=declared_ns), "the file is cut off or damaged here")

    def _find_pictures(self) -> list[Path] | None:
        try:
            return find_pictures(Path(self.uri))
        except OSError as error:
            raise SourceError(self.uri, f"it cannot be read ({error.strerror}); check its permissions") from error

    def _open_pictures(self, paths: list[Path]) -> StreamStart:
        reader = PictureReader(paths, self._config.pictures_fps, self._config.max_pixels)
        self._reader = reader
        self.stream_id = self.stream_id or f"{_slug(Path(self.uri).stem)}-{sequence_identity(paths)}"
        return StreamStart(
            stream_id=self.stream_id,
            uri=self.uri,
            live=False,
            has_video=True,
            has_audio=False,
            duration_ns=reader.length_ns,
            imagined=reader.imagined,
        )

    def _open_media(self) -> StreamStart:
        media = self._connect()
        self._declared_end_ns = media.length_ns if media.length_is_exact else None
        self._timeline = Timeline(zero_ns=media.zero_ns, declared_end_ns=media.length_ns)
        self._reader = ContainerReader(media, self._timeline, self._connect, self._config.decode_threads)
        self.stream_id = self.stream_id or self._identity()
        return StreamStart(
            stream_id=self.stream_id,
            uri=shown(self.uri),
            live=False,
            has_video=media.video is not None,
            has_audio=media.audio is not None,
            duration_ns=media.length_ns,
            wall_anchor_ns=media.wall_anchor_ns,
            imagined=media.imagined,
        )

    def _connect(self) -> Media:
        if scheme(self.uri):
            check_address(self.uri, self._config.network)
            return open_media(self.uri, self._config, self._clock.wall_ns(), {"max_redirects": "0"})
        check_file(Path(self.uri))
        return open_media(self.uri, self._config, self._clock.wall_ns())

    def _identity(self) -> str:
        if scheme(self.uri):
            return url_identity(self.uri)
        return f"{_slug(Path(self.uri).stem)}-{file_identity(Path(self.uri))}"


def url_identity(url: str) -> str:
    """A stream's name from its URL, without the password in it."""
    parts = urlsplit(url)
    stem = Path(parts.path).stem or parts.hostname or parts.scheme
    return f"{_slug(stem)}-{sha256(shown(url).encode()).hexdigest()[:10]}"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40] or "stream"
