"""Generated frames to a file, chunk by chunk: what is written plays, also after a kill or on a full disk.

    .mp4    H.264 in fragments: each chunk begins with a key frame and can be played as soon as the next one begins
    .webp   an animated preview, written at the end
    a folder (no suffix): one PNG a frame, numbered from 0

The provenance of a video (model, seed, prompt, what it was made from) stands in its metadata as JSON: of an MP4 and a
PNG as `comment`, of a WebP as XMP.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from reverie.errors import GenerationError, UsageError

SUFFIXES = (".mp4", ".webp", "")
Frames = UInt8[ndarray, "t h w 3"]


class FrameSink(Protocol):
    """Where frames go."""

    def write(self, frames: Frames) -> None: ...

    def close(self) -> None: ...


class VideoWriter:
    """A file that grows with every chunk.

    Args:
        path: `.mp4`, `.webp`, or the path of a folder.
        rate_hz: frames a second.
        provenance: what made it, as JSON.
        scale: every pixel becomes a square of so many.

    Raises:
        UsageError: another suffix, or a file that is there already.
    """

    def __init__(self, path: Path, rate_hz: float, provenance: Mapping[str, Any], scale: int = 1) -> None:
        if path.suffix.lower() not in SUFFIXES:
            raise UsageError(f"cannot write {path.name}: name a .mp4, a .webp, or a folder for PNG files")
        if path.exists():
            raise UsageError(f"{path} is there already: name another file, or delete it first")
        self.path, self._scale = path, scale
        kinds: dict[str, Callable[[Path, float, str], FrameSink]] = {".mp4": _Mp4, ".webp": _Webp, "": _Pngs}
        self._sink = kinds[path.suffix.lower()](path, rate_hz, json.dumps(provenance))

    def write(self, frames: Frames) -> None:
        """Add frames to the end. Raises GenerationError if the disk is full; what was written before plays."""
        with _naming(self.path):
            self._sink.write(frames.repeat(self._scale, axis=1).repeat(self._scale, axis=2))

    def close(self) -> None:
        with _naming(self.path):
            self._sink.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors of the disk become ours, with the file's name."""
    try:
        yield
    except OSError as error:
        raise GenerationError(
            f"{path} cannot be written on ({error.strerror or error}): what was written plays; make room, "
            f"and go on from the session's state"
        ) from error


class _Mp4:
    def __init__(self, path: Path, rate_hz: float, provenance: str) -> None:
        import av

        self._av = av
        self._container = av.open(
            str(path),
            "w",
            options={"movflags": "frag_keyframe+empty_moov+default_base_moof+use_metadata_tags", "flush_packets": "1"},
        )
        self._container.metadata["comment"] = provenance
        self._rate = Fraction(rate_hz).limit_denominator(1000)
        self._stream: Any = None
        self._written = 0

    def write(self, frames: Frames) -> None:
        if self._stream is None:
            self._stream = self._container.add_stream("libx264", rate=self._rate)
            self._stream.height, self._stream.width = (side + side % 2 for side in frames.shape[1:3])
            self._stream.pix_fmt = "yuv420p"
            self._stream.options = {"crf": "16", "g": "100000", "tune": "zerolatency"}  # it holds no frames back
        even = np.pad(frames, [(0, 0), *((0, side % 2) for side in frames.shape[1:3]), (0, 0)], mode="edge")
        for index, image in enumerate(even):
            frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = self._written, 1 / self._rate
            frame.pict_type = (
                self._av.video.frame.PictureType.I if index == 0 else self._av.video.frame.PictureType.NONE
            )
            self._container.mux(self._stream.encode(frame))
            self._written += 1

    def close(self) -> None:
        if self._stream is not None:
            self._container.mux(self._stream.encode())
        self._container.close()


class _Pngs:
    def __init__(self, path: Path, rate_hz: float, provenance: str) -> None:
        path.mkdir(parents=True)
        self._path, self._provenance, self._written = path, provenance, 0

    def write(self, frames: Frames) -> None:
        from PIL import Image
        from PIL.PngImagePlugin import PngInfo

        for image in frames:
            told = PngInfo()
            told.add_itxt("comment", self._provenance)
            Image.fromarray(image).save(self._path / f"{self._written:06}.png", pnginfo=told)
            self._written += 1

    def close(self) -> None:
        return None


class _Webp:
    """The library wants all pictures at once: a preview is short."""

    def __init__(self, path: Path, rate_hz: float, provenance: str) -> None:
        self._path, self._rate_hz, self._provenance = path, rate_hz, provenance
        self._images: list[Any] = []

    def write(self, frames: Frames) -> None:
        from PIL import Image

        self._images += [Image.fromarray(image) for image in frames]

    def close(self) -> None:
        if self._images:
            first, *others = self._images
            first.save(
                self._path, save_all=True, append_images=others, duration=round(1000 / self._rate_hz), loop=0,
                quality=80, xmp=self._provenance.encode(),
            )  # fmt: skip
