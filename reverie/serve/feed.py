"""From what a browser captures to frames and chunks of sound with media time.

The page stamps every picture and every stretch of sound with its own monotonic clock
(`performance.now`, ms), one clock for both, so network and queues between the page and here do not
shift them. Media time zero is the moment at which the feed was opened.

    picture   JPEG                              -> Frame (H, W, 3) uint8 RGB
    sound     little-endian int16, mono (T,)    -> AudioChunk (T,) float32 in [-1, 1]

Sound is made contiguous by counting samples: the stamp of a chunk says when the page got it, which
jitters by some ms and would tear words apart. Only a hole above `MAX_JITTER_NS` moves it on.
"""

from __future__ import annotations

import io

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image, UnidentifiedImageError

from reverie.errors import SourceError
from reverie.types import NS_PER_S, AudioChunk, Frame

MAX_JITTER_NS = 250_000_000
EARLY_MS = 60_000.0  # what was captured while the feed was opened stands at its start
MAX_LENGTH_MS = 366 * 86_400_000.0
MAX_PICTURE_BYTES = 8 << 20
MAX_PICTURE_PX = 4096 * 4096
MAX_SOUND_BYTES = 4 << 20
SAMPLE_RATES_HZ = range(8_000, 192_001)


class Feed:
    """One page's camera and microphone. `zero_ms` is the page's clock at media time zero."""

    def __init__(self, stream_id: str, zero_ms: float) -> None:
        self.stream_id = stream_id
        self._zero_ms = zero_ms
        self._num_frames = self._num_chunks = 0
        self._rate_hz, self._sound_from_ns, self._num_samples = 0, 0, 0

    def picture(self, at_ms: float, jpeg: bytes) -> Frame:
        """Decode a picture taken at `at_ms`. SourceError if it is none, or too large."""
        frame = Frame(
            stream_id=self.stream_id, seq=self._num_frames, pts_ns=self._pts_ns(at_ms), image=self._decoded(jpeg)
        )
        self._num_frames += 1
        return frame

    def sound(self, at_ms: float, rate_hz: int, pcm: bytes) -> AudioChunk:
        """A stretch of sound whose first sample was taken at `at_ms`. SourceError if it cannot be."""
        if rate_hz not in SAMPLE_RATES_HZ or not pcm or len(pcm) % 2 or len(pcm) > MAX_SOUND_BYTES:
            raise SourceError(self.stream_id, f"{len(pcm)} bytes at {rate_hz} Hz are not 16-bit mono sound")
        samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32) / 32768
        pts_ns = self._sound_pts_ns(self._pts_ns(at_ms), rate_hz)
        self._num_samples += len(samples)
        self._num_chunks += 1
        return AudioChunk(
            stream_id=self.stream_id,
            seq=self._num_chunks - 1,
            pts_ns=pts_ns,
            samples=samples,
            sample_rate_hz=rate_hz,
        )

    def _pts_ns(self, at_ms: float) -> int:
        if not 0 <= at_ms - self._zero_ms + EARLY_MS < MAX_LENGTH_MS:  # NaN fails too
            raise SourceError(
                self.stream_id, f"{at_ms:g} ms is no time of this feed, which began at {self._zero_ms:g} ms"
            )
        return max(0, round((at_ms - self._zero_ms) * 1e6))

    def _sound_pts_ns(self, stamp_ns: int, rate_hz: int) -> int:
        """Where the last chunk ended, unless the stamp lies well after that."""
        expected_ns = self._sound_from_ns + self._num_samples * NS_PER_S // max(self._rate_hz, 1)
        if not self._rate_hz or rate_hz != self._rate_hz or stamp_ns - expected_ns > MAX_JITTER_NS:
            self._rate_hz, self._num_samples = rate_hz, 0
            self._sound_from_ns = max(stamp_ns, expected_ns)
            return self._sound_from_ns
        return expected_ns

    def _decoded(self, jpeg: bytes) -> UInt8[ndarray, "h w 3"]:
        try:
            with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as picture:
                if picture.width * picture.height > MAX_PICTURE_PX:
                    raise SourceError(self.stream_id, f"a picture of {picture.width} x {picture.height} is too large")
                return np.asarray(picture.convert("RGB"))
        except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise SourceError(self.stream_id, f"the page sent a picture that is not a JPEG ({error})") from error
