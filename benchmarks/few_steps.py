"""What fewer steps cost: the base by DDIM, its student by LCM, against the base's fifty steps and the truth.

    python benchmarks/few_steps.py [--weights FILE] [--student FILE] [--rewarded FILE] [--seeds 30] [--json]

One chunk after eight given frames. Error: root mean square, as a share of the range of brightness, from the video that
the base makes in fifty steps from the same noise. Against the truth: PSNR of the first four frames that follow. The
reward that `rglcd` is trained with is how well a frame, shifted as was told, explains the next; what it never saw are
the distance of frames from the world (generation/belonging), the truth, and the frame difference: a reward that is paid
for with blur shows there.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.imagined import GIVEN, Figures, Studio, column, episode, gate, interval, means, verdict
from benchmarks.report import arguments, publish, table
from reverie.generation.belonging import Belonging
from reverie.generation.checkpoint import SHIPPED
from reverie.generation.latent_chunks import LatentChunksConfig
from reverie.generation.metrics.consistency import frame_differences, psnr
from reverie.generation.training.distillation import told_motion
from reverie.generation.world_model import action_indices, to_tensor

STUDENT, REWARDED = SHIPPED.with_name("student.safetensors"), SHIPPED.with_name("rewarded.safetensors")
TEACHER = LatentChunksConfig(num_steps=50)
BASE = {f"base, {steps} steps": LatentChunksConfig(num_steps=steps) for steps in (50, 10, 4, 2, 1)}
FEW = {steps: LatentChunksConfig(solver="lcm", num_steps=steps, text_scale=1.0) for steps in (8, 4, 2, 1)}


def measure(studio: Studio, base: Studio, config: LatentChunksConfig, belonging: Belonging, seed: int) -> Figures:
    """Figures of one chunk."""
    told = episode(seed, GIVEN)
    started = time.perf_counter()
    made = studio.video(config, told)
    spent = time.perf_counter() - started
    taught = base.video(TEACHER, told)
    joined = np.concatenate([told.first[-1:], made])
    actions = torch.tensor([action_indices(["stay", *told.actions[GIVEN - 1 : GIVEN - 1 + len(made)]])])
    return {
        "error": float(np.sqrt(np.mean((made.astype(float) - taught) ** 2)) / 255),
        "psnr": min(psnr(made[:4], told.truth[:4]), 60.0),
        "reward": float(told_motion(to_tensor(joined)[None], actions)),
        "far": belonging.distance(made),
        "change": float(frame_differences(joined).mean()),
        "ms": 1e3 * spent,
    }


def main() -> None:
    args = arguments(
        __doc__, weights={"type": Path, "default": SHIPPED}, student={"type": Path, "default": STUDENT},
        rewarded={"type": Path, "default": REWARDED}, seeds={"type": int, "default": 30},
    )  # fmt: skip
    base, seeds = Studio(args.weights, args.work), range(args.seeds)
    passed, told_gate = gate(base, seeds)
    belonging = Belonging(base.model())
    arms = {arm: partial(measure, base, base, config, belonging) for arm, config in BASE.items()}
    rows = base.runs("few", arms, seeds)
    for name, path in (("student", args.student), ("rewarded student", args.rewarded)):
        if path.is_file():
            studio = Studio(args.weights, args.work, path)
            few = {
                f"{name}, {steps}": partial(measure, studio, base, config, belonging) for steps, config in FEW.items()
            }
            rows |= studio.runs("few", few, seeds)
    mean_of, lines = means(rows), []
    for arm, mean in mean_of.items():
        low, high = interval(column(rows[arm], "psnr"), column(rows["base, 10 steps"], "psnr"))
        note = "" if arm == "base, 10 steps" else verdict(passed, low, high)
        cells = (mean["error"], mean["psnr"], mean["reward"], mean["far"], mean["change"], mean["ms"])
        forms = ("{:.3f}", "{:.1f}", "{:.3f}", "{:.1f}", "{:.1f}", "{:.0f}")
        lines.append((arm, *(form.format(cell) for form, cell in zip(forms, cells, strict=True)), note))
    headings = (
        "way", "error from 50 steps", "PSNR, dB", "reward", "far from the world", "frame difference", "ms a chunk",
        "PSNR less that of 10 steps, 95 %",
    )  # fmt: skip
    publish(
        "few_steps", "What fewer steps cost", f"{told_gate}\n\n{table(headings, lines)}",
        {"passed": passed, **mean_of}, args.json,
    )  # fmt: skip


if __name__ == "__main__":
    main()
