"""A live URL or camera as a source, read by a thread of its own.

The thread decodes, samples by time and puts what it took into a mailbox where the newest pictures win.
When the stream is lost it is opened again after a wait that doubles with jitter (full jitter on the upper
half); the outage becomes one `Gap`, and what follows is placed by the time at which it arrived, so media
time and wall time stay together. An http(s) URL of a file with a length is read as the file it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from reverie.clock import Clock, SystemClock
from reverie.errors import SourceError
from reverie.perception.addresses import check_address, scheme, shown
from reverie.perception.decoding import ContainerReader, Fault, Picture, Sound
from reverie.perception.files import FileSource, url_identity
from reverie.perception.mailbox import MailboxSource
from reverie.perception.media import Media, connect, examine, open_media
from reverie.perception.source_config import SourceConfig
from reverie.perception.timeline import Timeline
from reverie.types import NS_PER_S, Item, StreamStart, ns

_NAP_S = 0.25


class UrlSource(MailboxSource):
    """rtsp, rtsps, rtmp, srt, udp, tcp, http and https URLs, and `camera:N`."""

    def __init__(
        self,
        url: str,
        config: SourceConfig | None = None,
        *,
        stream_id: str = "",
        clock: Clock | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        config = config or SourceConfig()
        super().__init__(shown(url), stream_id or _identity(url), config)
        self._url, self._clock = url, clock or SystemClock()
        self._rng = rng or np.random.default_rng()
        self._file: FileSource | None = None
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._media: Media | None = None
        self._start_ns, self._end_ns = 0, 0
        self._anchor_ns = self._opened_ns = 0
        self._loss = ""

    def open(self) -> StreamStart:
        """Connect and probe; SourceError if that fails within `open_timeout_s`."""
        self._anchor_ns, self._opened_ns = self._clock.wall_ns(), self._clock.monotonic_ns()
        media = self._connect()
        if scheme(self._url) in ("http", "https") and media.length_ns is not None:
            media.close()
            self._file = FileSource(self._url, self._config, stream_id=self.stream_id, clock=self._clock)
            self._file.counters = self.counters
            return self._file.open()
        self._media = media
        tracks = tuple(stream.type for stream in media.streams)
        self._expect(tracks)
        return StreamStart(
            stream_id=self.stream_id,
            uri=self.uri,
            live=True,
            has_video="video" in tracks,
            has_audio="audio" in tracks,
            wall_anchor_ns=self._anchor_ns,
        )

    def pull(self) -> list[Item]:
        if self._file is not None:
            return self._file.pull()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"reverie-{self.stream_id}", daemon=True)
            self._thread.start()
        return super().pull()

    def snapshot(self) -> Any:
        if self._file is not None:
            return self._file.snapshot()
        return {**super().snapshot(), "anchor_ns": self._anchor_ns, "end_ns": self._intake.end_ns}

    def restore(self, state: Any) -> None:
        """Take the stream up again, at the time that it is now; what was missed becomes a gap."""
        if self._file is not None:
            self._file.restore(state)
            return
        super().restore(state)
        self._start_ns = max(state["end_ns"], self._anchor_ns - state["anchor_ns"])
        self._anchor_ns = state["anchor_ns"]
        self._opened_ns -= self._start_ns
        self._mailbox.outage(state["end_ns"], self._start_ns, "the process that watched was restarted")

    def close(self) -> None:
        self._stopped.set()
        if self._file is not None:
            self._file.close()
        if self._thread is not None:
            self._thread.join(self._config.network.read_timeout_s + 1.0)
        elif self._media is not None:
            self._media.close()
            self._media = None

    # --- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        media, num_failed = self._media, 0
        try:
            while media is not None:
                num_failed = 0 if self._watch(media) else num_failed + 1
                if self._stopped.is_set():
                    break
                media = self._reconnect(num_failed)
        except Exception as error:  # whatever ends this thread must reach the one that pulls
            self._mailbox.end(f"reading failed ({error!r}); open it again")
            return
        self._mailbox.end()

    def _watch(self, media: Media) -> bool:
        """Read until the stream ends or is lost. Returns whether anything came."""
        timeline = Timeline(zero_ns=media.zero_ns)
        reader = ContainerReader(media, timeline, self._connect, self._config.decode_threads)
        shift_ns: int | None = None
        fault = ""
        try:
            while not self._stopped.is_set():
                decoded = reader.read()
                if decoded is None:
                    break
                for item in decoded:
                    if isinstance(item, Fault):
                        fault = item.reason
                        continue
                    if shift_ns is None:
                        shift_ns = self._start_ns - item.pts_ns
                    self._deliver(item, shift_ns)
        finally:
            reader.close()
        self._loss = fault or "the stream ended"
        return shift_ns is not None

    def _deliver(self, item: Picture | Sound, shift_ns: int) -> None:
        pts_ns = item.pts_ns + shift_ns
        if pts_ns < self._start_ns:
            return  # the other track began earlier: before the first item that came
        if isinstance(item, Picture):
            self._mailbox.picture(pts_ns, item.duration_ns, item.rgb)
            self._end_ns = max(self._end_ns, pts_ns + item.duration_ns)
        else:
            self._mailbox.sound(pts_ns, item.samples, item.rate_hz)
            self._end_ns = max(self._end_ns, pts_ns + len(item.samples) * NS_PER_S // item.rate_hz)

    def _reconnect(self, num_failed: int) -> Media | None:
        """Open the stream again, with growing waits; None when stopped or out of attempts."""
        network = self._config.network
        while network.max_retries is None or num_failed < network.max_retries:
            longest_s = min(network.max_retry_s, network.retry_s * 2.0 ** min(num_failed, 30))
            if not self._nap(longest_s * float(self._rng.uniform(0.5, 1.0))):
                return None
            try:
                media = self._connect()
            except SourceError:
                num_failed += 1
                continue
            now_ns = max(self._end_ns, self._clock.monotonic_ns() - self._opened_ns)
            self._mailbox.outage(self._end_ns, now_ns, f"the stream was lost: {self._loss}")
            self._start_ns = self._end_ns = now_ns
            return media
        return None

    def _nap(self, seconds: float) -> bool:
        """Sleep in short steps; False when the source is closed meanwhile."""
        while seconds > 0 and not self._stopped.is_set():
            self._clock.sleep(min(_NAP_S, seconds))
            seconds -= _NAP_S
        return not self._stopped.is_set()

    def _connect(self) -> Media:
        if self._url.startswith("camera:"):
            return _open_camera(self._url, self._config, self._clock.wall_ns)
        check_address(self._url, self._config.network)
        return open_media(self._url, self._config, self._clock.wall_ns(), self._options())

    def _options(self) -> dict[str, str]:
        """Options of FFmpeg for streams that must not lag; those of other protocols are ignored."""
        probe_us = str(ns(self._config.network.probe_s) // 1000)
        options = {"analyzeduration": probe_us, "max_redirects": "0"}
        if scheme(self._url) in ("rtsp", "rtsps"):
            options["rtsp_transport"] = "tcp"
        return options


def _open_camera(uri: str, config: SourceConfig, wall_ns: Callable[[], int]) -> Media:
    """`camera:0` is /dev/video0, through Video4Linux."""
    number = uri.partition(":")[2]
    device = Path(f"/dev/video{number}")
    if not number.isdigit() or not device.exists():
        raise SourceError(uri, f"there is no camera {device}; list them with `ls /dev/video*`")
    return examine(uri, connect(str(device), config, format_name="v4l2"), config, wall_ns())


def _identity(url: str) -> str:
    return url.replace(":", "-") if url.startswith("camera:") else url_identity(url)
