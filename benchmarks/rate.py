"""Rate and distortion: what recall is left at how many bytes an hour, from all that came in down to 30 kB.

    python benchmarks/rate.py [--data FOLDER] [--seeds 0] [--json]

A week and four weeks are watched for three hours a day (benchmarks/composed.py: pre-encoded observations are
replayed). The database's own pages, its encoders, facts, labels and filters of hours take about 0.6 MB of the smallest
budget: all of 30 kB an hour for a week, a quarter of it for four. Needles lie anywhere, and are asked for by their
sentence, their picture, or both. Bytes are those of the closed directory; no key frames are kept. Two policies stand
beside at equal bytes: every n-th moment, and MovieChat-like merging of neighbours (benchmarks/stream_policies.py), and
reverie itself with one bit instead of four for a number of faded vectors.
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.composed import Length
from benchmarks.needle import KINDS, of
from benchmarks.report import arguments, progress, publish, table
from benchmarks.stream_runs import REPLAYED, Bench, Run, budget, found_share, signs

BASELINES = ("thinning", "merging")
BUDGETS: dict[Length, tuple[int, ...]] = {
    "long week": (20_000_000, 8_000_000, 4_000_000, 2_500_000, 1_600_000, 1_150_000),
    "long month": (3_500_000,),
}


def main() -> None:
    args = arguments(__doc__, seeds={"type": int, "nargs": "+", "default": [0]})
    bench = Bench(args.work, args.data)
    rows: dict[tuple[str, str, str], list[Run]] = {}
    hours: dict[str, float] = {}
    for length, seed in product(BUDGETS, args.seeds):
        stream = bench.stream(length, seed)
        hours[length] = stream.watched_s / 3600
        progress(f"{length}, seed {seed}: {len(stream.observations)} observations in {hours[length]:.1f} h")
        whole = bench.reverie("append only", stream, budget(None))
        rows.setdefault((length, "none", "append only"), []).append(whole)
        for limit in BUDGETS[length]:
            name = f"{limit / 1e6:g} MB"
            ours = bench.reverie("reverie", stream, budget(limit))
            rows.setdefault((length, name, "reverie"), []).append(ours)
            by_signs = bench.reverie("signs", stream, budget(limit), around=signs)
            rows.setdefault((length, name, "signs"), []).append(by_signs)
            for policy in BASELINES:
                kept = bench.baseline(policy, stream, ours.num_bytes, whole)
                rows.setdefault((length, name, policy), []).append(kept)
    figures = {", ".join(key): figures_of(runs, hours[key[0]]) for key, runs in rows.items()}
    headings = ("budget", "policy", "kB an hour", "recall@5", *(f"by {kind}" for kind in KINDS), "tight", "chance")
    lines = [
        (f"{length}, {limit}", policy, f"{made['kb_per_hour']:.0f}", *(f"{v:.2f}" for v in list(made.values())[1:]))
        for (length, limit, policy), made in zip(rows, figures.values(), strict=True)
    ]
    watched = ", ".join(f"{length}: {of_it:.1f} hours" for length, of_it in hours.items())
    body = f"{watched}; {len(args.seeds)} stream(s) of each.\n\n" + table(headings, lines)
    body += "\n\nTight: by a hit of at most a minute. Chance: the five hits overlap another needle's span." + REPLAYED
    publish("rate", "Recall against bytes an hour", body, figures, args.json)


def figures_of(runs: list[Run], hours: float) -> dict[str, float]:
    asked = [row for run in runs for row in run.asked]
    made = {
        "kb_per_hour": sum(run.num_bytes for run in runs) / len(runs) / hours / 1000,
        "recall": found_share(asked, 5),
        **{kind: found_share(of(asked, kind), 5) for kind in KINDS},
        "tight": found_share(asked, 5, tight=True),
        "chance": sum(row.chance for row in asked) / len(asked),
    }
    return {name: round(value, 4) for name, value in made.items()}


if __name__ == "__main__":
    main()
