"""A 4-second event in an hour, a day, a week, a month, under one byte budget: is it found again?

    python benchmarks/needle.py [--data FOLDER] [--seeds 0 1 2] [--max-bytes 2500000] [--json]

Streams are composed from pictures that were perceived before (benchmarks/composed.py); longer ones are watched for a
smaller part of the time (column "watched"). In each, rare pictures and sentences occur once; each is asked for by a
question about the sentence, about the picture, or about both. Key frames are left out everywhere:
only vectors and texts are compared.

What is kept is decided by reverie under the budget, by append only (no budget), and by four policies that get the bytes
which reverie's directory takes once closed (benchmarks/stream_policies.py); all are searched alike.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.report import arguments, progress, publish, table
from benchmarks.stream_runs import REPLAYED, Asked, Bench, Run, budget, found_share

BASELINES = ("fifo", "thinning", "merging", "deletion")
LENGTHS = ("hour", "day", "week", "month")
KINDS = ("sentence", "picture", "both")


def main() -> None:
    args = arguments(
        __doc__,
        seeds={"type": int, "nargs": "+", "default": [0, 1, 2]},
        lengths={"nargs": "+", "default": list(LENGTHS), "choices": LENGTHS},
        max_bytes={"type": int, "default": 2_500_000, "help": "the budget of reverie"},
    )
    bench = Bench(args.work, args.data)
    figures: dict[str, object] = {}
    rows: list[tuple[object, ...]] = []
    for length in args.lengths:
        runs: dict[str, list[Run]] = {}
        for seed in args.seeds:
            progress(f"{length}, seed {seed}")
            stream = bench.stream(length, seed)
            watched_h = stream.watched_s / 3600
            whole = bench.reverie("append only", stream, budget(None))
            ours = bench.reverie("reverie", stream, budget(args.max_bytes))
            runs.setdefault("append only", []).append(whole)
            runs.setdefault("reverie", []).append(ours)
            for name in BASELINES:
                fits = ours.num_bytes >= whole.num_bytes
                runs.setdefault(name, []).append(whole if fits else bench.baseline(name, stream, ours.num_bytes, whole))
        figures[length] = {name: summary(own) for name, own in runs.items()}
        rows += [(f"{length}, {watched_h:.1f} h", name, *cells(own)) for name, own in runs.items()]
    headings = ("stream, watched", "policy", "MB", *(f"by {kind} @1 / @5" for kind in KINDS), "@5 tight", "chance @5")
    body = table(headings, rows)
    body += "\n\nTight: the hit is no longer than a minute. Chance: the five hits overlap another needle's span."
    publish("needle", "A needle in an hour, a day, a week, a month", body + REPLAYED, figures, args.json)


def summary(runs: list[Run]) -> dict[str, object]:
    asked = [row for run in runs for row in run.asked]
    return {
        "bytes": round(sum(run.num_bytes for run in runs) / len(runs)),
        "asked": len(asked),
        **{kind: {f"@{k}": round(found_share(of(asked, kind), k), 3) for k in (1, 5)} for kind in KINDS},
        "tight@5": round(found_share(asked, 5, tight=True), 3),
        "chance@5": round(sum(row.chance for row in asked) / len(asked), 3),
    }


def cells(runs: list[Run]) -> tuple[str, ...]:
    asked = [row for run in runs for row in run.asked]
    kinds = [f"{found_share(of(asked, kind), 1):.2f} / {found_share(of(asked, kind), 5):.2f}" for kind in KINDS]
    megabytes = sum(run.num_bytes for run in runs) / len(runs) / 1e6
    chance = sum(row.chance for row in asked) / len(asked)
    return f"{megabytes:.2f}", *kinds, f"{found_share(asked, 5, tight=True):.2f}", f"{chance:.3f}"


def of(asked: list[Asked], kind: str) -> list[Asked]:
    return [row for row in asked if row.by == kind]


if __name__ == "__main__":
    main()
