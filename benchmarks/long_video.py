"""Twelve hundred frames in one go: does memory grow, and what is left of the picture after so many chunks?

    python benchmarks/long_video.py [--weights FILE] [--frames 1200] [--seeds 3] [--json]

One session for each way, told a prompt and a camera that wanders, written chunk by chunk and not kept. Resident memory
of the process after each tenth of the video. Quality by tenth: how far frames lie from the world (generation/belonging:
its own at 3 to 6), moves made as told, and motion over that of the truth. Beside: the same figures of the true film.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.imagined import GIVEN, Episode, Figures, Studio, episode, gate
from benchmarks.report import arguments, publish, table
from reverie.generation.belonging import Belonging
from reverie.generation.checkpoint import SHIPPED
from reverie.generation.chunks import Beginning
from reverie.generation.latent_chunks import LatentChunksConfig
from reverie.generation.metrics.actions import action_accuracy
from reverie.generation.metrics.consistency import frame_differences
from reverie.generation.session import Imagination
from reverie.generation.world_chunks import RATE_HZ, WorldChunks

WAYS = {
    "concat": LatentChunksConfig(way="concat"),
    "cam and anchor": LatentChunksConfig(way="cam", anchor=True),
}
TENTHS = 10


def measure(studio: Studio, config: LatentChunksConfig, told: Episode, belonging: Belonging) -> Figures:
    """Figures by tenth; frames of one tenth are held at a time."""
    session = Imagination(
        WorldChunks(studio.model(), config), prompt=told.place.prompt, actions=told.actions[GIVEN - 1 :],
        seconds=len(told.truth) / RATE_HZ, seed=told.seed, beginning=Beginning(first=told.first),
    )  # fmt: skip
    process, figures, held, part = psutil.Process(), dict[str, float](), [told.first[-1:]], 0
    bounds = np.linspace(0, len(told.truth), TENTHS + 1).astype(int)
    for clip in session:
        held.append(clip.frames)
        if session.made >= bounds[part + 1]:
            frames = np.concatenate(held)
            first = session.made - len(frames) + GIVEN
            figures |= {
                f"far {part}": belonging.distance(frames[::4]),
                f"actions {part}": action_accuracy(frames, told.actions[first : first + len(frames) - 1]),
                f"change {part}": float(frame_differences(frames).mean()),
                f"mb {part}": process.memory_info().rss / 1e6,
            }
            held, part = [frames[-1:]], part + 1
    return figures


def main() -> None:
    args = arguments(
        __doc__, weights={"type": Path, "default": SHIPPED}, seeds={"type": int, "default": 3},
        frames={"type": int, "default": 1200},
    )  # fmt: skip
    studio, seeds = Studio(args.weights, args.work), range(args.seeds)
    passed, told_gate = gate(studio, range(30))
    belonging = Belonging(studio.model())
    lines, means = [], {}
    for way, config in WAYS.items():
        runs = [
            studio.figures(
                f"long {way} {args.frames} {seed}",
                lambda seed=seed, config=config: measure(studio, config, episode(seed, args.frames), belonging),
            )
            for seed in seeds
        ]
        mean = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
        means[way] = mean
        for name, kind, form in (
            ("far from the world", "far", "{:.1f}"), ("moves as told", "actions", "{:.0%}"),
            ("frame difference", "change", "{:.1f}"), ("resident, MB", "mb", "{:.0f}"),
        ):  # fmt: skip
            lines.append((way, name, *(form.format(mean[f"{kind} {part}"]) for part in range(TENTHS))))
    films = [episode(seed, args.frames).film.frames for seed in seeds]
    far = float(np.mean([belonging.distance(film[::16]) for film in films]))
    change = float(np.mean([frame_differences(film).mean() for film in films]))
    body = f"{told_gate} {args.frames} frames, {args.seeds} episodes. The true films lie {far:.1f} from the world, "
    body += f"their frame difference is {change:.1f}.\n\n"
    body += table(("way", "by tenth of the video", *map(str, range(1, TENTHS + 1))), lines)
    publish("long_video", "Twelve hundred frames in one go", body, {"passed": passed, **means}, args.json)


if __name__ == "__main__":
    main()
