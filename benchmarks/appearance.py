"""Who is in a long video after many chunks: StreamingT2V's APM, with the right anchor, a wrong one and none.

    python benchmarks/appearance.py [--weights FILE] [--seeds 30] [--chunks 12] [--json]

Chunks follow each other by CAM. The anchor is the first given frame; the wrong one is the first frame of another
episode, which has a hero of another colour. Distance to a hero: of its colour, the nearest that any patch of three by
three pixels comes (RGB in [0, 1], a root mean square), mean over frames; about 0 where it is there as it was. Also to
the wrong anchor's hero, towards which a wrong anchor should pull. The camera goes to and fro: the place stays in view.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.imagined import (
    GIVEN,
    Episode,
    Figures,
    Studio,
    column,
    episode,
    gate,
    interval,
    means,
    verdict,
)
from benchmarks.report import arguments, publish, table
from reverie.generation.checkpoint import SHIPPED
from reverie.generation.latent_chunks import LatentChunksConfig
from reverie.generation.shapes import COLOURS
from reverie.generation.world import Action

NEW = 8
PATCH = 3
ARMS = ("anchor", "wrong anchor", "none")


def to_and_fro(num_frames: int) -> list[Action]:
    """Four frames to the left, four to the right."""
    return [Action.LEFT if frame // 4 % 2 else Action.RIGHT for frame in range(GIVEN + num_frames - 1)]


def hero_distance(frames: np.ndarray, colour: str) -> float:
    """The mean over frames of the distance of the nearest patch from a hero's colour."""
    apart = ((frames / 255.0 - np.array(COLOURS[colour])) ** 2).mean(axis=-1)
    windows = np.lib.stride_tricks.sliding_window_view(apart, (PATCH, PATCH), axis=(1, 2)).mean(axis=(-2, -1))
    return float(np.sqrt(windows.min(axis=(1, 2))).mean())


def measure(studio: Studio, arm: str, num_frames: int, seed: int) -> Figures:
    """Distances by third of the video."""
    told, other = pair(seed, num_frames)
    anchors = {"anchor": told.first[0], "wrong anchor": other.first[0]}
    config = LatentChunksConfig(way="cam", anchor=arm != "none")
    made = studio.video(config, told, anchor=anchors.get(arm))
    thirds = np.array_split(made, 3)
    own, theirs = told.place.hero.colour, other.place.hero.colour
    return {f"own {part}": hero_distance(frames, own) for part, frames in enumerate(thirds)} | {
        f"other {part}": hero_distance(frames, theirs) for part, frames in enumerate(thirds)
    }


def pair(seed: int, num_frames: int) -> tuple[Episode, Episode]:
    """An episode, and the next one whose hero has another colour."""
    told = episode(seed, num_frames, to_and_fro(num_frames))
    others = (episode(1000 + 50 * seed + step, GIVEN) for step in range(50))
    return told, next(other for other in others if other.place.hero.colour != told.place.hero.colour)


def main() -> None:
    args = arguments(
        __doc__, weights={"type": Path, "default": SHIPPED}, seeds={"type": int, "default": 30},
        chunks={"type": int, "default": 12},
    )  # fmt: skip
    studio, seeds = Studio(args.weights, args.work), range(args.seeds)
    passed, told_gate = gate(studio, seeds)
    num_frames = NEW * args.chunks
    rows = studio.runs(
        f"appearance {num_frames}", {arm: partial(measure, studio, arm, num_frames) for arm in ARMS}, seeds
    )
    mean_of = means(rows)
    films = [pair(seed, num_frames)[0] for seed in seeds]
    truth = np.mean([hero_distance(told.truth, told.place.hero.colour) for told in films])
    lines = [("truth", f"{truth:.3f}", "", "", "", "")]
    for arm, mean in mean_of.items():
        note = ""
        if arm != "none":
            key = "own 2" if arm == "anchor" else "other 2"
            low, high = interval(column(rows[arm], key), column(rows["none"], key))
            note = f"{'own' if arm == 'anchor' else 'wrong'} hero, last third: {verdict(passed, low, high)}"
        cells = [f"{mean[f'{whose} {part}']:.3f}" for whose in ("own", "other") for part in (0, 2)]
        lines.append((arm, *cells, note))
    headings = (
        "anchor",
        "own hero, first third",
        "last third",
        "wrong hero, first third",
        "last third",
        "less none, 95 %",
    )
    publish(
        "appearance", "Who is there after many chunks", f"{told_gate}\n\n{table(headings, lines)}",
        {"passed": passed, "truth": float(truth), **mean_of}, args.json,
    )  # fmt: skip


if __name__ == "__main__":
    main()
