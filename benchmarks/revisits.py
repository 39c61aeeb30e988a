"""What the temporal adapter keeps of a place that left the context: SlowFast-VGen's fast learning, on and off.

    python benchmarks/revisits.py [--weights FILE] [--seeds 30] [--sweep] [--json]

The camera goes away for 32 frames, four chunks beyond the context of eight, and the same way back; chunks follow each
other by concatenation. Revisit PSNR: of each view against how the same view looked when it was first given or made.
Arms: no adapter; one that learns every chunk; that stops after the first; another episode's, which learns no more; the
original input-output form (the context clean, the rest noised). An adapter may help by standing still: so moves made as
told, and the PSNR of first visits against the truth, stand beside. `--sweep`: what the paper leaves open, i.e. inner
steps and rates; and, each changed alone at four steps at 1e-3, alpha, targets, and whether Adam's moments are kept.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

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
from reverie.generation.chunks import Beginning
from reverie.generation.latent_chunks import LatentChunksConfig
from reverie.generation.metrics.actions import action_accuracy
from reverie.generation.metrics.consistency import psnr, revisit_psnr, revisits
from reverie.generation.session import Imagination
from reverie.generation.temporal_lora import TemporalLoraConfig
from reverie.generation.world import MAP_PX, Action, out_and_back
from reverie.generation.world_chunks import RATE_HZ, WorldChunks

AWAY = 32
BEST_DB = 60.0
LORA = TemporalLoraConfig()
FOREIGN = "another episode's"
ARMS = {
    "off": None,
    "on": LORA,
    "stops after the first chunk": LORA.model_copy(update={"learns_chunks": 1}),
    FOREIGN: LORA.model_copy(update={"learns_chunks": 0}),
    "original form": LORA.model_copy(update={"form": "input-output"}),
}
STRONGER = LORA.model_copy(update={"steps": 4, "learning_rate": 1e-3})
SWEEP = {
    f"{steps} steps at {rate:g}": LORA.model_copy(update={"steps": steps, "learning_rate": rate})
    for steps in (1, 4, 16)
    for rate in (1e-4, 1e-3)
} | {
    f"4 at 0.001, {name}": STRONGER.model_copy(update=changed)
    for name, changed in {
        "alpha 8": {"alpha": 8},
        "alpha 128": {"alpha": 128},
        "queries and values only": {"targets": r".*(temp_attentions|transformer_in).*\.(to_q|to_v)"},
        "spatial attentions, too": {"targets": r".*(attentions|transformer_in).*\.(to_q|to_k|to_v|to_out\.0)"},
        "moments forgotten": {"keep_moments": False},
    }.items()
}


def there_and_back(seed: int) -> Episode:
    """All moves in one of four directions, and back."""
    return episode(seed, 2 * AWAY + 1 - GIVEN, out_and_back(list(Action)[seed % 4], AWAY))


def measure(studio: Studio, arm: str, lora: TemporalLoraConfig | None, seed: int) -> Figures:
    """Figures of one video, the given frames before it."""
    told = there_and_back(seed)
    adapter = learnt(studio, there_and_back(2000 + seed)) if arm == FOREIGN else None
    config = LatentChunksConfig(way="concat", lora=lora)
    made = np.concatenate([told.first, studio.video(config, told, adapter=adapter)])
    pairs = [(first, again) for first, again in revisits(told.film.camera, MAP_PX, 3 * GIVEN) if again >= GIVEN]
    out = slice(GIVEN, AWAY + 1)
    return {
        "revisit": revisit_psnr(made, pairs),
        "first": min(psnr(made[out], told.film.frames[out]), BEST_DB),
        "actions": action_accuracy(made[GIVEN - 1 :], told.actions[GIVEN - 1 :]),
    }


def learnt(studio: Studio, told: Episode) -> Mapping[str, Tensor]:
    """What an adapter has learnt of an episode."""
    model = WorldChunks(studio.model(), LatentChunksConfig(way="concat", lora=LORA))
    session = Imagination(
        model, prompt=told.place.prompt, actions=told.actions[GIVEN - 1 :], seconds=AWAY / RATE_HZ, seed=told.seed,
        beginning=Beginning(first=told.first),
    )  # fmt: skip
    list(session)
    state = session.snapshot().state
    return {name: tensor for name, tensor in state.items() if name.startswith(("lora.", "adam."))}


def main() -> None:
    args = arguments(
        __doc__, weights={"type": Path, "default": SHIPPED}, seeds={"type": int, "default": 30},
        sweep={"action": "store_true"},
    )  # fmt: skip
    studio, seeds = Studio(args.weights, args.work), range(args.seeds)
    passed, told_gate = gate(studio, seeds)
    arms = ARMS | (SWEEP if args.sweep else {})
    rows = studio.runs("revisits", {arm: partial(measure, studio, arm, lora) for arm, lora in arms.items()}, seeds)
    mean_of = means(rows)
    lines = []
    for arm, mean in mean_of.items():
        low, high = interval(column(rows[arm], "revisit"), column(rows["off"], "revisit"))
        cells = (f"{mean['revisit']:.2f}", f"{mean['first']:.2f}", f"{mean['actions']:.0%}")
        lines.append((arm, *cells, "" if arm == "off" else verdict(passed, low, high)))
    headings = ("adapter", "revisit PSNR, dB", "first visit against truth, dB", "moves as told", "less off, 95 %")
    publish(
        "revisits", "Places that left the context", f"{told_gate}\n\n{table(headings, lines)}",
        {"passed": passed, **mean_of}, args.json,
    )  # fmt: skip


if __name__ == "__main__":
    main()
