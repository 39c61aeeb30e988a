"""Small media made with PyAV for tests: pictures whose time can be read back, and a tone that chirps.

The time of a picture is written into it as 16 black or white squares (its number in binary), so that a
test can tell which picture it got after any codec.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from reverie.perception.sources import FileSource, SamplingConfig, SourceConfig
from reverie.types import AudioChunk, EndOfStream, Frame, Gap, StreamStart, Watermark

BITS = 16
SIDE = (192, 144)
PLAIN = SourceConfig(sampling=SamplingConfig(gate=False))
EVERY_FRAME = SourceConfig(sampling=SamplingConfig(fps=100, gate=False))


def numbered(number: int, size: tuple[int, int] = SIDE, *, still: bool = False) -> np.ndarray:
    """(H, W, 3) uint8: a moving bar, and `number` in binary along the top."""
    width, height = size
    image = np.full((height, width, 3), 90, np.uint8)
    image[:, :, 2] = np.linspace(0, 160, height, dtype=np.uint8)[:, None]
    left = 0 if still else number * 7 % (width - 40)
    image[height // 2 :, left : left + 40] = (250, 200, 30)
    side = width // BITS
    for bit in range(BITS):
        image[:side, bit * side : (bit + 1) * side] = 255 if number >> bit & 1 else 0
    return image


def number_of(image: np.ndarray) -> int:
    """The number written by `numbered`, from an upright picture of any size."""
    side = image.shape[1] // BITS
    middles = [image[side // 2, bit * side + side // 2].mean() for bit in range(BITS)]
    return sum(1 << bit for bit, level in enumerate(middles) if level > 127)


def chirp(seconds: float, rate_hz: int) -> np.ndarray:
    """(T,) float32: a tone that rises from 200 to 3,000 Hz, so that every moment sounds different."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return (0.4 * np.sin(2 * np.pi * (200 * t + 1400 * t * t / max(seconds, 1e-9)))).astype(np.float32)


def write_media(
    path: Path,
    *,
    times_s: Sequence[float] = (),
    pictures: Iterable[np.ndarray] | None = None,
    vcodec: str = "libx264",
    size: tuple[int, int] = SIDE,
    gop: int = 30,
    b_frames: int = 0,
    rotation: int | None = None,
    seconds: float = 0.0,
    samples: np.ndarray | None = None,
    acodec: str = "aac",
    rate_hz: int = 44_100,
    start_s: float = 0.0,
    metadata: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    **video_options: str,
) -> Path:
    """Write a container with pictures at `times_s` and/or sound; the suffix chooses the format."""
    with av.open(str(path), "w", options=options or {}) as container:
        container.metadata.update(metadata or {})
        streams: list[tuple[Any, Iterator[Any]]] = []
        if times_s:
            images = pictures if pictures is not None else (numbered(i, size) for i in range(len(times_s)))
            stream = _video_stream(container, vcodec, size, gop, b_frames, video_options)
            if rotation is not None:
                stream.set_display_rotation(rotation)
            streams.append((stream, _video_frames(stream, times_s, images, start_s)))
        if seconds or samples is not None:
            sound = chirp(seconds, rate_hz) if samples is None else samples
            stream = container.add_stream(acodec, rate=rate_hz)
            stream.layout = "mono"
            streams.append((stream, _audio_frames(stream, sound, rate_hz, start_s)))
        _mux(container, streams)
    return path


def _mux(container: Any, streams: list[tuple[Any, Iterator[Any]]]) -> None:
    """Encode the streams side by side, always the one that is behind."""
    heads = [[0.0, stream, frames] for stream, frames in streams]
    while heads:
        head = min(heads, key=lambda entry: entry[0])
        frame = next(head[2], None)
        for packet in head[1].encode(frame):
            container.mux(packet)
        if frame is None:
            heads.remove(head)
        else:
            head[0] = float(frame.pts * frame.time_base)


def _video_stream(container: Any, codec: str, size: tuple[int, int], gop: int, b_frames: int, more: dict) -> Any:
    options = dict(more)
    if codec == "libx264":
        options = {"bf": str(b_frames), "preset": "ultrafast", "crf": "18", "g": str(gop)} | options
    if codec == "libvpx":
        options = {"cpu-used": "8", "deadline": "realtime", "g": str(gop)} | options
    stream = container.add_stream(codec, rate=30, options=options)
    stream.width, stream.height = size
    stream.pix_fmt = {"gif": "rgb8", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
    stream.codec_context.time_base = Fraction(1, 100 if codec == "gif" else 1000)
    return stream


def _video_frames(stream: Any, times_s: Sequence[float], images: Iterable[np.ndarray], start_s: float) -> Iterator[Any]:
    time_base = stream.codec_context.time_base
    for time_s, image in zip(times_s, images, strict=False):
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=stream.pix_fmt)
        frame.time_base = time_base
        frame.pts = round((time_s + start_s) / time_base)
        yield frame


def _audio_frames(stream: Any, samples: np.ndarray, rate_hz: int, start_s: float) -> Iterator[Any]:
    format_name = stream.codec_context.format.name
    for first in range(0, len(samples), 1024):
        block = samples[None, first : first + 1024]
        if format_name[0] == "s":
            dtype = np.int16 if format_name.startswith("s16") else np.int32
            block = (block * np.iinfo(dtype).max).astype(dtype)
        frame = av.AudioFrame.from_ndarray(block, format=format_name, layout="mono")
        frame.sample_rate, frame.time_base = rate_hz, Fraction(1, rate_hz)
        frame.pts = first + round(start_s * rate_hz)
        yield frame


def every(fps: float, seconds: float) -> list[float]:
    """Times of a constant frame rate."""
    return [i / fps for i in range(round(fps * seconds))]


def pull_all(source: Any, *, max_pulls: int = 10_000) -> list[Any]:
    """Pull an opened source to its end."""
    items: list[Any] = []
    for _ in range(max_pulls):
        items += source.pull()
        if items and isinstance(items[-1], EndOfStream):
            return items
    raise AssertionError(f"no EndOfStream in {max_pulls} pulls")


def of(kind: type, items: Iterable[Any]) -> list[Any]:
    return [item for item in items if isinstance(item, kind)]


def heard(chunks: Iterable[Any]) -> np.ndarray:
    """All samples of the chunks, one after the other."""
    return np.concatenate([chunk.samples for chunk in chunks] or [np.zeros(0, np.float32)])


def watch(path: Path | str, config: SourceConfig = PLAIN) -> tuple[StreamStart, list]:
    """Open a file, pull all of it, close it."""
    source = FileSource(path, config)
    start = source.open()
    items = pull_all(source)
    source.close()
    return start, items


def check_order(items: list) -> None:
    """Pts rise, nothing comes before a watermark, one end."""
    promised = last = -1
    for item in items:
        if isinstance(item, Watermark):
            assert item.pts_ns >= promised
            promised = item.pts_ns
        elif isinstance(item, EndOfStream):
            assert item is items[-1]
            assert item.pts_ns >= max(last, promised)
        else:
            at = item.span.start_ns if isinstance(item, Gap) else item.pts_ns
            assert at >= max(last, promised)
            last = at


def same_items(left: list, right: list) -> None:
    """Equal items: pictures to the byte, samples to 1e-4."""
    assert [type(i) for i in left] == [type(i) for i in right]
    for a, b in zip(left, right, strict=True):
        if isinstance(a, Frame):
            assert (a.seq, a.pts_ns) == (b.seq, b.pts_ns)
            assert (a.image == b.image).all()
        elif isinstance(a, AudioChunk):
            assert (a.seq, a.pts_ns, len(a.samples)) == (b.seq, b.pts_ns, len(b.samples))
            assert np.abs(a.samples - b.samples).max() < 1e-4
        else:
            assert a == b


def damaged(tmp_path: Path) -> Path:
    """Ten seconds with a few hundred bytes in the middle overwritten."""
    path = write_media(tmp_path / "whole.mkv", times_s=every(12.5, 10), seconds=10, gop=10, rate_hz=48_000)
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(3)
    middle = len(data) // 2
    data[middle : middle + 3_000] = rng.bytes(3_000)
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(data)
    return broken


def drained(source, *, wanted_end: bool = False, limit: int = 20_000) -> list:
    """Pull a live source until nothing more comes, or to its end."""
    items: list = []
    for _ in range(limit):
        got = source.pull()
        items += got
        if (not got and not wanted_end) or (items and isinstance(items[-1], EndOfStream)):
            return items
    raise AssertionError("the source does not come to rest")
