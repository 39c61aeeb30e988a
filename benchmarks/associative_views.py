"""Real vectors for benchmarks/associative.py: two views of each of many scenes, and consecutive frames of clips.

A scene is a random part of a photograph or of a clip's frame; its second view is that part moved by up to 3 %, up
to 7 % brighter or darker, and with noise. Vectors are ConSE's, computed once and kept beside the other benchmark
streams.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks.report import progress
from demos.sample.catalogue import CLIPS, PHOTOS, SURFACES, locate
from demos.sample.picture import load_picture
from reverie.perception.conse import Conse

Floats = NDArray[np.float32]
_SEED = 5
_FRAMES = 48  # of each clip that scenes are cut from
_EVERY = 6  # frame of a clip, for consecutive ones: about 4 a second
_BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """`scenes` (N, 2, D) and `sources` (N,), the picture each is of; `clips` (T, D) by name."""

    scenes: Floats
    sources: NDArray[np.str_]
    clips: dict[str, Floats]


def load_views(work: Path, videos: list[Path], num_scenes: int) -> Views:
    """Read the vectors back, or perceive them."""
    kept = work / f"associative-{num_scenes}-{'-'.join(path.stem for path in videos) or 'none'}.npz"
    if not kept.exists():
        clips = {path.stem: path for path in (*map(locate, CLIPS), *videos)}
        encoder = Conse()
        frames = {name: list(_frames(path)) for name, path in clips.items()}
        pictures = [(asset.asset_id, load_picture(asset)) for asset in (*PHOTOS, *SURFACES)]
        pictures += [(name, frame) for name, own in frames.items() for frame in own[:_FRAMES:_EVERY]]
        parts = _parts(pictures, num_scenes)
        scenes = _encoded(encoder, (view for _, views in parts for view in views), 2 * num_scenes)
        stored = {f"clip {name}": _encoded(encoder, iter(own), len(own)) for name, own in frames.items()}
        sources = np.array([name for name, _ in parts])
        np.savez(kept, scenes=scenes.reshape(num_scenes, 2, -1), sources=sources, **stored)
    with np.load(kept) as file:
        clips_kept = {name[5:]: file[name] for name in file.files if name.startswith("clip ")}
        return Views(scenes=file["scenes"], sources=file["sources"], clips=clips_kept)


def _frames(path: Path) -> Iterator[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % _EVERY == 0 and number < 600:
                yield frame.to_ndarray(format="rgb24")


def _parts(
    pictures: list[tuple[str, NDArray[np.uint8]]], num_scenes: int
) -> list[tuple[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]]:
    rng = np.random.default_rng(_SEED)
    found = []
    for number in range(num_scenes):
        name, picture = pictures[number % len(pictures)]
        size = rng.uniform(0.2, 0.6)
        height, width = (int(size * side) for side in picture.shape[:2])
        y, x = rng.uniform(0, 1 - size, 2) * picture.shape[:2]
        moved_y, moved_x = (y, x) + rng.uniform(-0.03, 0.03, 2) * (height, width)
        first = _cut(picture, y, x, height, width)
        second = _cut(picture, moved_y, moved_x, height, width) * rng.uniform(0.93, 1.07)
        second += rng.normal(0, 4, second.shape)
        found.append((name, (first.astype(np.uint8), np.clip(second, 0, 255).astype(np.uint8))))
    return found


def _cut(picture: NDArray[np.uint8], y: float, x: float, height: int, width: int) -> Floats:
    top = int(np.clip(y, 0, picture.shape[0] - height))
    left = int(np.clip(x, 0, picture.shape[1] - width))
    return picture[top : top + height, left : left + width].astype(np.float32)


def _encoded(encoder: Conse, images: Iterator[NDArray[np.uint8]], total: int) -> Floats:
    found: list[Floats] = []
    batch: list[NDArray[np.uint8]] = []
    for number, image in enumerate(images, 1):
        batch.append(image)
        if len(batch) == _BATCH or number == total:
            found.append(encoder.encode(batch).embedding)
            batch = []
            if number % 320 == 0:
                progress(f"{number} of {total} pictures perceived")
    return np.concatenate(found)
