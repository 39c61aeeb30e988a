"""What is left of a month: recall by age and by bytes an hour, and which of two events came first.

    python benchmarks/retention.py [--data FOLDER] [--seeds 0 1] [--budgets 2500000 1050000] [--json]

A month is watched (benchmarks/composed.py: pre-encoded observations are replayed, some minutes of every day).
Needles of the last hour, day, week and month are asked for; habits, which recur every day, are asked for on one day.
Policies get equal bytes, as in needle.py; no key frames are kept.

Order: of every two needles of a stream, the one is said to be first whose best hit lies earlier; equal is half right.
An interval draws needles (of order: needles of each stream) anew 2,000 times.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.needle import BASELINES
from benchmarks.report import arguments, progress, publish, table
from benchmarks.stream_runs import AGES_S, REPLAYED, Asked, Bench, Run, budget, found_share

K, ROUNDS = 5, 2_000
Runs = dict[str, list[Run]]  # of each policy, by seed


def main() -> None:
    args = arguments(
        __doc__,
        seeds={"type": int, "nargs": "+", "default": [0, 1]},
        budgets={"type": int, "nargs": "+", "default": [2_500_000, 1_050_000]},
    )
    bench = Bench(args.work, args.data)
    whole: list[Run] = []
    by_budget: dict[int, Runs] = {limit: {} for limit in args.budgets}
    for seed in args.seeds:
        progress(f"month, seed {seed}")
        stream = bench.stream("month", seed)
        hours = stream.watched_s / 3600
        whole.append(bench.reverie("append only", stream, budget(None)))
        for limit, runs in by_budget.items():
            ours = bench.reverie("reverie", stream, budget(limit))
            runs.setdefault("reverie", []).append(ours)
            for name in BASELINES:
                runs.setdefault(name, []).append(bench.baseline(name, stream, ours.num_bytes, whole[-1]))
    body = f"{hours:.1f} hours were watched in 30 days; {len(args.seeds)} stream(s).\n"
    rows = [row(None, "append only", whole, whole, hours)]
    rows += [row(limit, name, own, whole, hours) for limit, runs in by_budget.items() for name, own in runs.items()]
    needles, habits = ([f"{kind}: {age}" for age in AGES_S] for kind in ("needle", "habit"))
    body += table(("budget", "policy", "kB an hour", "of all bytes", *needles, "tight", *habits[1:], "order"), rows)
    body += f"\n\nRecall at {K}; tight: by a hit of at most a minute. Reverie less another policy, 95 % intervals:\n\n"
    body += table(
        ("budget", "policy", "recall of needles", "order"),
        [
            (f"{limit / 1e6:g} MB", name, *(f(runs["reverie"], runs[name]) for f in (interval, order_interval)))
            for limit, runs in by_budget.items()
            for name in BASELINES
        ],
    )  # fmt: skip
    figures = {
        "append only": figures_of(whole, whole, hours),
        **{
            str(limit): {name: figures_of(own, whole, hours) for name, own in runs.items()}
            for limit, runs in by_budget.items()
        },
    }
    publish("retention", "What is left of a month", body + REPLAYED, figures, args.json)


def row(limit: int | None, name: str, runs: list[Run], whole: list[Run], hours: float) -> tuple[str, ...]:
    made = figures_of(runs, whole, hours)
    return (
        "none" if limit is None else f"{limit / 1e6:g} MB", name, f"{made['kb_per_hour']:.0f}",
        f"1/{1 / made['share']:.1f}", *(f"{made[f'needle {age}']:.2f}" for age in AGES_S), f"{made['tight']:.2f}",
        *(f"{made[f'habit {age}']:.2f}" for age in list(AGES_S)[1:]), f"{made['order']:.2f}",
    )  # fmt: skip


def figures_of(runs: list[Run], whole: list[Run], hours: float) -> dict[str, float]:
    num_bytes = float(np.mean([run.num_bytes for run in runs]))
    asked = [question for run in runs for question in run.asked]
    habits = [habit for run in runs for habit in run.habits]
    found = {
        "kb_per_hour": num_bytes / hours / 1000,
        "share": num_bytes / float(np.mean([run.num_bytes for run in whole])),
        "tight": found_share(asked, K, tight=True),
        "order": float(np.mean([order(one_each(run), range(len(one_each(run)))) for run in runs])),
    }
    for age, (low_s, high_s) in AGES_S.items():
        found[f"needle {age}"] = found_share([own for own in asked if low_s <= own.age_s < high_s], K)
        aged = [right for age_s, right in habits if low_s <= age_s < high_s]
        found[f"habit {age}"] = float(np.mean(aged)) if aged else float("nan")
    return {name: round(value, 4) for name, value in found.items()}


# --- order and intervals ----------------------------------------------------------------------------


def one_each(run: Run) -> list[Asked]:
    """One question for each needle: the fullest that it has."""
    chosen: dict[float, Asked] = {}
    for asked in run.asked:
        chosen[asked.at_s] = asked  # "both" comes last
    return list(chosen.values())


def order(asked: Sequence[Asked], drawn: Sequence[int] | np.ndarray) -> float:
    """The share of pairs of different needles that are put in the right order."""
    at, best = (np.array([getattr(asked[place], name) for place in drawn]) for name in ("at_s", "best_s"))
    truth, said = np.sign(at[:, None] - at), np.sign(best[:, None] - best)
    pairs = truth != 0
    return float(np.where(said == 0, 0.5, said == truth)[pairs].mean())


def interval(ours: list[Run], theirs: list[Run]) -> str:
    """Of the mean difference over questions."""
    ranks = [[question.rank for run in runs for question in run.asked] for runs in (ours, theirs)]
    right, other = ((np.array(own) > 0) & (np.array(own) <= K) for own in ranks)
    difference = right.astype(float) - other
    return drawn_anew(lambda rng: float(difference[rng.integers(0, len(difference), len(difference))].mean()))


def order_interval(ours: list[Run], theirs: list[Run]) -> str:
    pairs = [(one_each(own), one_each(other)) for own, other in zip(ours, theirs, strict=True)]

    def draw(rng: np.random.Generator) -> float:
        differences = []
        for own, other in pairs:
            drawn = rng.integers(0, len(own), len(own))
            differences.append(order(own, drawn) - order(other, drawn))
        return float(np.mean(differences))

    return drawn_anew(draw)


def drawn_anew(draw: Callable[[np.random.Generator], float]) -> str:
    rng = np.random.default_rng(0)
    low, high = np.percentile([draw(rng) for _ in range(ROUNDS)], (2.5, 97.5))
    return f"{low:+.2f} to {high:+.2f}"


if __name__ == "__main__":
    main()
