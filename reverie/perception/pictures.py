"""Still pictures as a source: one file, a directory, or a numbered sequence such as `shot_%04d.png`.

Pictures are played in natural order (2 before 10) at a configured rate and read by Pillow, one at a
time: upright by their EXIF orientation, in RGB. A sequence with holes in its numbers plays without
pauses. A picture that does not decode is a `Fault`, its place in time stays empty.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from reverie.errors import SourceError
from reverie.perception.decoding import Decoded, Fault, Picture, Position
from reverie.perception.media import check_file, file_identity
from reverie.perception.sampling import fit
from reverie.types import NS_PER_S, was_imagined

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "PPM")
_NUMBER = re.compile(r"%(?:0?\d+)?d")


def find_pictures(path: Path) -> list[Path] | None:
    """The pictures that a path means, in order; None if it means a media file. SourceError if there are none."""
    if path.is_dir():
        found = [file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file()]
        if not found:
            raise SourceError(str(path), f"no pictures in this directory (looked for {', '.join(sorted(SUFFIXES))})")
        return sorted(found, key=_natural)
    if not path.exists() and _NUMBER.search(path.name) and path.parent.is_dir():
        wanted = re.compile(r"(\d+)".join(re.escape(part) for part in _NUMBER.split(path.name)))
        found = [file for file in path.parent.iterdir() if wanted.fullmatch(file.name)]
        if not found:
            raise SourceError(str(path), "no picture has a name of this pattern; check the pattern and the directory")
        return sorted(found, key=_natural)
    return [path] if path.suffix.lower() in SUFFIXES and path.is_file() else None


def sequence_identity(paths: list[Path]) -> str:
    """A short hash of all names and sizes and of the first and last picture."""
    digest = sha256()
    for path in paths:
        digest.update(f"{path.name}:{path.stat().st_size}\n".encode())
    digest.update(file_identity(paths[0]).encode() + file_identity(paths[-1]).encode())
    return digest.hexdigest()[:10]


class PictureReader:
    """Reads pictures as a container reader would."""

    def __init__(self, paths: list[Path], fps: float, max_pixels: int) -> None:
        self._paths, self._fps, self._max_pixels = paths, fps, max_pixels
        self.positions: dict[str, Position] = {}
        self._next = 0
        check_file(paths[0])
        try:
            with self._load(paths[0]) as first:
                xmp = first.info.get("xmp", b"")
                self.imagined = was_imagined(str(first.info.get("comment", xmp.decode(errors="replace"))))
        except (OSError, ValueError, SyntaxError) as error:
            raise SourceError(str(paths[0]), f"not a picture that can be read ({error})") from error

    @property
    def length_ns(self) -> int:
        return self._pts_ns(len(self._paths))

    def read(self) -> list[Decoded] | None:
        if self._next == len(self._paths):
            return None
        index, self._next = self._next, self._next + 1
        pts_ns = self._pts_ns(index)
        self.positions = {"video": Position(raw=index, media_ns=pts_ns, count=self._next)}
        try:
            rgb = self._reader(self._paths[index])
        except (SourceError, OSError, ValueError, SyntaxError) as error:
            return [Fault(track="video", reason=f"{self._paths[index].name} cannot be read ({error})")]
        return [Picture(pts_ns, self._pts_ns(self._next) - pts_ns, rgb)]

    def resume(self, positions: dict[str, Position], max_skew_ns: int) -> None:
        self.positions = dict(positions)
        self._next = positions["video"].count if "video" in positions else 0

    def close(self) -> None:
        """Nothing stays open between pictures."""

    def _pts_ns(self, index: int) -> int:
        return round(index * NS_PER_S / self._fps)

    def _reader(self, path: Path) -> Callable[[int], UInt8[ndarray, "h w 3"]]:
        """Decode now, so that damage shows here; scale and turn when asked."""
        from PIL import Image, ImageOps

        with self._load(path) as image:
            image.load()
            loaded = _eight_bits(image)

        def rgb(max_side_px: int) -> UInt8[ndarray, "h w 3"]:
            upright = ImageOps.exif_transpose(loaded).convert("RGB")
            size = fit(upright.width, upright.height, max_side_px)
            if size != upright.size:
                upright = upright.resize(size, Image.Resampling.BOX)
            return np.ascontiguousarray(upright, np.uint8)

        return rgb

    def _load(self, path: Path) -> Image:
        """Open a picture and read its size, no more."""
        from PIL import Image

        with warnings.catch_warnings():
            # Pillow's own budget; ours is checked below
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            try:
                image = Image.open(path, formats=_FORMATS)
            except Image.DecompressionBombError as error:
                raise SourceError(str(path), f"more pixels than the {self._max_pixels} allowed ({error})") from error
        if image.width * image.height > self._max_pixels:
            image.close()
            raise SourceError(
                str(path),
                f"{image.width} x {image.height} pixels are more than the {self._max_pixels} allowed; scale it down",
            )
        return image


def _eight_bits(image: Image) -> Image:
    """16-bit grey as 8-bit grey; Pillow's own conversion would clip it to white."""
    from PIL import Image

    if not image.mode.startswith(("I", "F")):
        return image
    levels = np.asarray(image).astype(np.float64)
    return Image.fromarray((levels / max(levels.max(), 255.0) * 255).astype(np.uint8))


def _natural(path: Path) -> list[tuple[int, str]]:
    """Digits compare as numbers."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name) if part]
