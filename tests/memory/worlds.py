"""Streams to remember, made from a seed, and a small text encoder: what the tests of memory share."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from reverie.types import (
    Box,
    EndOfStream,
    Gap,
    Item,
    Label,
    Modality,
    Observation,
    StreamStart,
    TimeSpan,
    Watermark,
    Word,
    ns,
)

WIDTH = 64
SCENES = ("tabby cat", "sports car", "mountain", "laptop", "umbrella", "pizza")
WORDS = ("river", "bridge", "lantern", "copper", "window", "garden", "engine", "pilot", "winter", "orange", "ticket")


class BagOfWords:
    """A `TextEncoder`: each word is a fixed random direction, a sentence the sum of its words."""

    def __init__(self, width: int = WIDTH, encoder_id: str = "bag-of-words") -> None:
        self.width, self._id, self.num_encoded = width, encoder_id, 0

    @property
    def encoder_id(self) -> str:
        return self._id

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.num_encoded += len(texts)
        return np.stack([self._one(text) for text in texts]) if texts else np.zeros((0, self.width), np.float32)

    def _one(self, text: str) -> np.ndarray:
        total = direction("", self.width) * 0.01
        for word in text.lower().split():
            total = total + direction(word.strip(".,?!"), self.width)
        return (total / np.linalg.norm(total)).astype(np.float32)


def direction(word: str, width: int = WIDTH) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
    vector = np.random.default_rng(seed).standard_normal(width)
    return vector / np.linalg.norm(vector)


def unit(vector: np.ndarray) -> np.ndarray:
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def jpeg(seed: int, size: int = 32) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (size, size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def span(start_s: float, end_s: float) -> TimeSpan:
    return TimeSpan(start_ns=ns(start_s), end_ns=ns(end_s))


def said(text: str, start_s: float, end_s: float, stream_id: str = "tv", seq: int | None = None) -> Observation:
    words = text.split()
    step = (end_s - start_s) / max(len(words), 1)
    return Observation(
        stream_id=stream_id,
        seq=ns(start_s) if seq is None else seq,
        span=span(start_s, end_s),
        modality=Modality.SPEECH,
        text=text,
        confidence=0.9,
        words=tuple(
            Word(text=word, span=span(start_s + i * step, start_s + (i + 1) * step), score=0.8)
            for i, word in enumerate(words)
        ),
    )


def written(text: str, start_s: float, end_s: float, stream_id: str = "tv", seq: int | None = None) -> Observation:
    return Observation(
        stream_id=stream_id,
        seq=ns(start_s) if seq is None else seq,
        span=span(start_s, end_s),
        modality=Modality.WRITING,
        text=text,
    )


def heard(name: str, start_s: float, end_s: float, stream_id: str = "tv") -> Observation:
    return Observation(
        stream_id=stream_id,
        seq=ns(start_s),
        span=span(start_s, end_s),
        modality=Modality.SOUND,
        labels=(Label(name=name, score=0.9, kind="sound"),),
    )


def seen(
    name: str,
    at_s: float,
    *,
    stream_id: str = "tv",
    seq: int | None = None,
    noise: float = 0.0,
    picture: int | None = None,
    cut: bool = False,
    encoder: str = "bag-of-words",
) -> Observation:
    """One picture of a scene: its vector is that of its name, bent by noise."""
    base = BagOfWords().encode([name])[0]
    rng = np.random.default_rng(abs(hash((ns(at_s), 7))) % 2**32)
    vector = unit(base + noise * rng.standard_normal(WIDTH) / np.sqrt(WIDTH))
    return Observation(
        stream_id=stream_id,
        seq=ns(at_s) if seq is None else seq,
        span=span(at_s, at_s + 0.5),
        modality=Modality.VISION,
        embedding=vector,
        encoder=encoder,
        labels=(Label(name=name, score=0.7), Label(name="red", score=0.3, kind="colour")),
        thumbnail=None if picture is None else jpeg(picture),
        starts_shot=cut,
    )


def things(
    at_s: float, tracks: dict[int, str], *, since_s: float | None = None, stream_id: str = "tv", size: float = 0.5
) -> Observation:
    return Observation(
        stream_id=stream_id,
        seq=ns(at_s),
        span=span(at_s, at_s + 0.5),
        modality=Modality.OBJECTS,
        boxes=tuple(
            Box(
                track_id=track, name=name, score=0.8, x0=0.1, y0=0.2, x1=0.1 + size, y1=0.2 + size,
                since_ns=ns(at_s if since_s is None else since_s),
            )
            for track, name in tracks.items()
        ),
    )  # fmt: skip


_ORDER = {modality: index for index, modality in enumerate(Modality)}


def in_order(observations: Sequence[Observation]) -> list[Observation]:
    return sorted(observations, key=lambda item: (item.span.start_ns, _ORDER[item.modality], item.seq))


def make_stream(
    seed: int, *, stream_id: str = "tv", duration_s: float = 120.0, gap: bool = False, pictures: bool = True
) -> list[Item]:
    """A stream of every sense, as perception's ordered merge would hand it over, watermarks included."""
    rng = np.random.default_rng(seed)
    observations: list[Observation] = []
    scene, scene_until_s, at_s, cut = str(rng.choice(SCENES)), float(rng.uniform(3, 25)), 0.0, True
    while at_s < duration_s:
        if at_s >= scene_until_s:
            scene, cut = str(rng.choice(SCENES)), bool(rng.random() < 0.5)
            scene_until_s = at_s + float(rng.uniform(3, 25))
        observations.append(
            seen(
                scene, at_s, stream_id=stream_id, noise=0.3, cut=cut,
                picture=int(rng.integers(1 << 30)) if pictures else None,
            )
        )  # fmt: skip
        present = {int(at_s // 15) * 2 + k: ("person", "car")[k] for k in range(2) if rng.random() < 0.7}
        observations.append(things(at_s, present, stream_id=stream_id))
        cut = False
        at_s += 0.5 if rng.random() < 0.93 else float(rng.uniform(5, 80))  # a still scene sends nothing
    for start_s in np.arange(1.0, duration_s - 4, 6.0):
        if rng.random() < 0.7:
            sentences = [" ".join(rng.choice(WORDS, size=6)) for _ in range(int(rng.integers(1, 3)))]
            observations.append(
                said(". ".join(sentences), float(start_s), float(start_s) + float(rng.uniform(1, 4)), stream_id)
            )
        if rng.random() < 0.2:
            observations.append(written(f"SALE {rng.integers(9)}", float(start_s), float(start_s) + 5.0, stream_id))
        if rng.random() < 0.2:
            observations.append(heard("music", float(start_s), float(start_s) + 3.0, stream_id))
    items: list[Item] = [
        StreamStart(stream_id=stream_id, uri="file:made.mp4", live=False, has_video=True, has_audio=True)
    ]
    lost = span(duration_s / 2, duration_s / 2 + 12) if gap else None
    told = False
    for index, item in enumerate(in_order(observations)):
        if lost is not None and lost.start_ns <= item.span.start_ns:
            if not told:
                items.append(Gap(stream_id=stream_id, span=lost, reason="link lost", num_dropped=24))
                told = True
            if item.span.start_ns < lost.end_ns:
                continue
        items.append(item)
        if index % 7 == 6:
            items.append(Watermark(stream_id=stream_id, pts_ns=item.span.start_ns))
    items.append(EndOfStream(stream_id=stream_id, pts_ns=ns(duration_s)))
    return items


def batches(items: Sequence[Item], sizes: np.random.Generator) -> list[list[Item]]:
    """Cut into batches of 1 to 20 items."""
    found, start = [], 0
    while start < len(items):
        size = int(sizes.integers(1, 21))
        found.append(list(items[start : start + size]))
        start += size
    return found
