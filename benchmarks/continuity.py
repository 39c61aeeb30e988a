"""How one chunk follows from the last: StreamingT2V's CAM against nothing, concatenation and VidRD.

    python benchmarks/continuity.py [--weights FILE] [--added FILE] [--seeds 30] [--json]

Five chunks after eight given frames of a place that no training saw, with its prompt and actions, 10 steps of DDIM.
The boundary ratio is the frame difference across seams over that inside chunks (1: seams cannot be told); direction
errors are angles between the move that was made and the one that was told, across seams and inside. Motion is the mean
length of estimated flow over that of the truth: below a half, continuity is that of standing still. Intervals are of
each way less `cam`, paired by episode. `--added`: weights of the stage `add`, what the paper compares CAM with.
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
from reverie.generation.metrics.actions import direction_errors
from reverie.generation.metrics.consistency import boundary_ratio
from reverie.generation.metrics.motion import farneback

NUM_FRAMES = 40
WAYS = {
    "cam": (LatentChunksConfig(way="cam"), 8),
    "none": (LatentChunksConfig(way="none"), 16),
    "concat": (LatentChunksConfig(way="concat"), 8),
    "vidrd": (LatentChunksConfig(way="vidrd"), 12),
}
STILL = 0.5


def measure(studio: Studio, config: LatentChunksConfig, new: int, seed: int) -> Figures:
    """Figures of one video; seams are counted from the given frames on."""
    told = episode(seed, NUM_FRAMES)
    made = np.concatenate([told.first, studio.video(config, told)])
    return figures_of(made, told, range(GIVEN, len(made), new))


def truth(seed: int) -> Figures:
    """Those of the film itself, at the seams of `cam`."""
    told = episode(seed, NUM_FRAMES)
    return figures_of(told.film.frames, told, range(GIVEN, len(told.film.frames), GIVEN))


def figures_of(made: np.ndarray, told: Episode, seams: range) -> Figures:
    """Of a video with the given frames before it."""
    errors = np.array(direction_errors(made, told.actions))
    at = np.array(seams) - 1
    inside = np.delete(np.arange(len(errors)), np.concatenate([at, np.arange(GIVEN - 1)]))
    moved, truth = (np.linalg.norm(farneback(video).flow, axis=-1).mean() for video in (made, told.film.frames))
    return {
        "ratio": boundary_ratio(made[GIVEN - 1 :], [seam - GIVEN + 1 for seam in seams]),
        "seam": float(errors[at].mean()),
        "inside": float(errors[inside].mean()),
        "motion": float(moved / truth),
    }


def main() -> None:
    args = arguments(
        __doc__, weights={"type": Path, "default": SHIPPED}, added={"type": Path}, seeds={"type": int, "default": 30}
    )
    studio, seeds = Studio(args.weights, args.work), range(args.seeds)
    passed, told_gate = gate(studio, seeds)
    arms = {name: partial(measure, studio, config, new) for name, (config, new) in WAYS.items()}
    if args.added:
        arms["add"] = partial(measure, Studio(args.added, args.work), *WAYS["cam"])
    rows = {"truth": [truth(seed) for seed in seeds]} | studio.runs("continuity", arms, seeds)
    mean_of = means(rows)
    lines = []
    for name, mean in mean_of.items():
        note = "stands still" if mean["motion"] < STILL else ""
        for key in ("ratio", "seam"):
            if name not in ("cam", "truth"):
                low, high = interval(column(rows[name], key), column(rows["cam"], key))
                note += f"; {key} {verdict(passed, low, high)}"
        cells = (f"{mean['ratio']:.2f}", f"{mean['seam']:.0f}", f"{mean['inside']:.0f}", f"{mean['motion']:.2f}")
        lines.append((name, *cells, note.strip("; ")))
    headings = ("way", "boundary ratio", "direction error at seams", "inside", "motion", "less cam, 95 %")
    publish(
        "continuity", "How chunks follow each other", f"{told_gate}\n\n{table(headings, lines)}",
        {"passed": passed, **mean_of}, args.json,
    )  # fmt: skip


if __name__ == "__main__":
    main()
