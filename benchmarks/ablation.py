"""Each part of the byte budget's policy on and off: what it is worth in recall, at what bytes.

    python benchmarks/ablation.py [--data FOLDER] [--seeds 8 9 10] [--length day] [--max-bytes 1400000] [--json]

The composed streams of needle.py with other seeds than those on which constants were chosen (0 to 7). What is no option
of `MemoryConfig` is changed in the module that holds it while the stream is written.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from math import log
from pathlib import Path
from unittest.mock import patch

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.report import arguments, progress, publish, table
from benchmarks.retention import drawn_anew
from benchmarks.stream_runs import FOREVER_S, REPLAYED, Around, Bench, Run, budget, found_share, signs
from reverie.memory import MemoryConfig, demotion, merging, retention, thinning
from reverie.memory.search_config import SearchConfig

K = 5


def weighted(age: float = 1.0, surprise: float = 1.0, repeats: float = 1.0) -> Around:
    """How old an event is, how surprising, how often it was repeated: each counts so many times as much."""
    score, strength_of = retention.score, retention.strength_of
    return lambda: patch.multiple(
        retention,
        score=lambda days, *others: score(age * days, *others),
        strength_of=lambda own, taken_in, recalled: strength_of(surprise * own, repeats * taken_in, recalled),
    )


@contextmanager
def sized(moments: int, episode_moments: int, text_bytes: int) -> Iterator[None]:
    """What is kept of an event at level 1, and of an episode."""
    with (
        patch.multiple(thinning, _MAX_MOMENTS=moments, _MAX_EPISODE_MOMENTS=episode_moments),
        patch.object(merging, "MAX_TEXT_BYTES", text_bytes),
    ):
        yield


@contextmanager
def unpacked() -> Iterator[None]:
    """What is left of events is not written anew, so pages keep their holes."""
    with patch.object(demotion, "pack", lambda *_: 0):
        yield


@contextmanager
def factor(of_a_level: float) -> Iterator[None]:
    """How much longer a coarser level is kept."""
    with patch.object(retention, "_LEVEL_FACTOR", log(of_a_level)):
        yield


def variants(config: MemoryConfig) -> dict[str, tuple[MemoryConfig, Around]]:
    most, episode, text = thinning._MAX_MOMENTS, thinning._MAX_EPISODE_MOMENTS, merging.MAX_TEXT_BYTES

    def option(**values: object) -> tuple[MemoryConfig, Around]:
        return config.model_copy(update=values), nullcontext

    return {
        "shipped": (config, nullcontext),
        "surprise off": (config, weighted(surprise=0.0)),
        "repeats off": (config, weighted(repeats=0.0)),
        "surprise and repeats ten times": (config, weighted(surprise=10.0, repeats=10.0)),
        "age off": (config, weighted(age=0.0)),
        "forgetting = fifo": option(forgetting="fifo"),
        "forgetting = lifo": option(forgetting="lifo"),
        "level factor 2": (config, lambda: factor(2.0)),
        "level factor 16": (config, lambda: factor(16.0)),
        "events: 2 moments": (config, lambda: sized(2, episode, text)),
        "events: 8 moments": (config, lambda: sized(8, episode, text)),
        "episodes: 32 moments, 3200 bytes": (config, lambda: sized(most, 32, 3200)),
        "episodes: 64 moments, 6400 bytes": (config, lambda: sized(most, 64, 6400)),
        "episodes: 256 moments, 25600 bytes": (config, lambda: sized(most, 256, 25600)),
        "short term not spared": option(short_term_s=0.0),
        "signs": (config, signs),
        "holes stay": (config, unpacked),
        "copies count as much": option(search=SearchConfig(copy_share=1.0)),
        "no repeats, no episodes": option(consolidate_every_s=FOREVER_S),
    }


def main() -> None:
    args = arguments(
        __doc__,
        seeds={"type": int, "nargs": "+", "default": [8, 9, 10]},
        length={"default": "day", "choices": ("hour", "day", "week", "month")},
        max_bytes={"type": int, "default": 1_400_000},
    )
    bench = Bench(args.work, args.data)
    runs: dict[str, list[Run]] = {}
    for seed in args.seeds:
        progress(f"{args.length}, seed {seed}")
        stream = bench.stream(args.length, seed)
        whole = bench.reverie("append only", stream, budget(None))
        for name, (config, around) in variants(budget(args.max_bytes)).items():
            label = "reverie" if name == "shipped" else f"ablation: {name}"
            runs.setdefault(name, []).append(bench.reverie(label, stream, config, around))
        aim_bytes = runs["shipped"][-1].num_bytes
        runs.setdefault("levels off: deletion", []).append(bench.baseline("deletion", stream, aim_bytes, whole))
    rows = [(name, *row(own, runs["shipped"])) for name, own in runs.items()]
    body = table(("what is changed", "MB", f"recall @{K}", "shipped less this, 95 %", "tight", "habits"), rows)
    figures = {name: {"bytes": num_bytes(own), "recall": round(recall(own), 4)} for name, own in runs.items()}
    publish("ablation", f"Parts of the byte budget's policy, a {args.length} each", body + REPLAYED, figures, args.json)


def row(runs: list[Run], shipped: list[Run]) -> tuple[str, ...]:
    ours, theirs = (np.array([0 < a.rank <= K for run in own for a in run.asked], float) for own in (shipped, runs))
    difference = ours - theirs
    interval = drawn_anew(lambda rng: float(difference[rng.integers(0, len(difference), len(difference))].mean()))
    asked = [question for run in runs for question in run.asked]
    habits = float(np.mean([right for run in runs for _, right in run.habits]))
    return (
        f"{num_bytes(runs) / 1e6:.2f}", f"{recall(runs):.3f}", "" if runs is shipped else interval,
        f"{found_share(asked, K, tight=True):.3f}", f"{habits:.3f}",
    )  # fmt: skip


def recall(runs: list[Run]) -> float:
    return found_share([question for run in runs for question in run.asked], K)


def num_bytes(runs: list[Run]) -> int:
    return round(float(np.mean([run.num_bytes for run in runs])))


if __name__ == "__main__":
    main()
