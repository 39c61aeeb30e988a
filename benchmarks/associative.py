"""Small associative memories: "seen before?" and completion from a fragment, each beside other ways.

    python benchmarks/associative.py [--data FOLDER] [--scenes 2000] [--seeds 1 2 3] [--json]

Familiarity: an hour has seen 1000 scenes of half of the pictures (benchmarks/associative_views.py). Recognised: their
second views, of all and of those whose vector stayed within a cosine of 0.9. False: scenes of the other pictures, of
which those within a cosine of 0.8 of something stored are left out (and all of them, in brackets). Frames: every
second frame of each clip is stored, the others are asked for. All filters take at most 16 KiB.

Completion: scenes and sentences (demos/sample) are paired at random, each pair an event; words are dropped from what is
heard (20 %) and from the cue. Recall of the scene that belongs to the sentence, among the first and first five events.
"repeated": each pair occurs in 4 events; "off-screen": 30 % of these show something else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import familiarity_filters as filters
from benchmarks.associative_views import Floats, Views, load_views
from benchmarks.report import arguments, progress, publish, table
from demos.sample.words import load_sentences
from reverie.perception.minilm import MiniLM

NUM_STORED = 1000
FILTERS: dict[str, Callable[[Floats], filters.Filter]] = {
    "shipped: 128 signs of each distinct moment": filters.shipped,
    "64 signs": partial(filters.signs, num_bits=64),
    "256 signs": partial(filters.signs, num_bits=256),
    "int8 vectors, exact nearest neighbour": filters.nearest,
    "Bloom filter of 12 signs": partial(filters.bloom, num_signs=12),
    "Bloom filter of 24 signs": partial(filters.bloom, num_signs=24),
    "union of sparse codes, 16 of 131072": partial(filters.union, num_modules=16, num_winners=1, num_units=4096),
    "the same, units that are conjunctions of 4": partial(filters.union, num_modules=16, num_winners=4, num_units=32),
    "the same, 32 of 131072": partial(filters.union, num_modules=32, num_winners=4, num_units=32),
}


def mean(values: Iterable[Any]) -> float:
    found = list(values)
    return float(np.mean(found)) if found else float("nan")


# --- familiarity ----------------------------------------------------------------------------------


def familiarity(views: Views, seeds: list[int]) -> dict[str, dict[str, float]]:
    """Rates by filter."""
    names = np.unique(views.sources)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in FILTERS}
    for seed in seeds:
        rng = np.random.default_rng(seed)
        known = np.isin(views.sources, rng.permutation(names)[: (len(names) + 1) // 2])
        stored = rng.permutation(np.flatnonzero(known))[:NUM_STORED]
        first, again = views.scenes[stored, 0], views.scenes[stored, 1]
        new = views.scenes[~known, 0]
        kept = (first * again).sum(axis=1) >= 0.9
        apart = (new @ first.T).max(axis=1) < 0.8
        for name, build in FILTERS.items():
            seen = build(first)
            recognised, false = seen(again), seen(new)
            rates = {
                "stored": len(first),
                "recognised": mean(recognised),
                "recognised_cos90": mean(recognised[kept]),
                "false_apart": mean(false[apart]),
                "false": mean(false),
                "num_apart": int(apart.sum()),
            }
            rates |= {f"frames {clip}": mean(build(own[::2])(own[1::2])) for clip, own in views.clips.items()}
            found[name].append(rates)
        progress(f"familiarity: seed {seed} done")
    return {name: {key: mean(one[key] for one in runs) for key in runs[0]} for name, runs in found.items()}


# --- completion -----------------------------------------------------------------------------------

CONDITIONS = {
    "each pair once, half of the words": (1, 0.0, 0.5),
    "each pair once, 30 % of the words": (1, 0.0, 0.7),
    "repeated, 30 % of the words": (4, 0.0, 0.7),
    "repeated, off-screen, half of the words": (4, 0.3, 0.5),
    "repeated, off-screen, 30 % of the words": (4, 0.3, 0.7),
}


def recall(vectors: Views, seeds: list[int]) -> dict[str, dict[str, tuple[float, float]]]:
    """(recall@1, recall@5) by way and condition."""
    texts = [sentence.text for sentence in load_sentences()]
    encoder = MiniLM()
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for condition, (repeats, off_screen, dropped) in CONDITIONS.items():
        for seed in seeds:
            rng = np.random.default_rng(seed)
            scenes = rng.permutation(len(vectors.scenes))[: len(texts)]
            owner = np.repeat(np.arange(len(texts)), repeats)
            elsewhere = rng.random(len(owner)) < off_screen
            shown = np.where(elsewhere, rng.integers(0, len(texts), len(owner)), owner)
            sights = vectors.scenes[scenes[shown], np.arange(len(owner)) % 2]
            heard = encoder.encode([_without(texts[index], 0.2, rng) for index in owner])
            cues = encoder.encode([_without(text, dropped, rng) for text in texts])
            for way, scores in _ways(cues, heard, sights):
                ranked = shown[np.argsort(-scores, axis=1, kind="stable")[:, :5]] == np.arange(len(texts))[:, None]
                found.setdefault(way, {}).setdefault(condition, []).append(
                    (mean(ranked[:, 0]), mean(ranked.any(axis=1)))
                )
    progress("completion done")
    return {
        way: {name: (mean(one for one, _ in runs), mean(five for _, five in runs)) for name, runs in rows.items()}
        for way, rows in found.items()
    }


def _ways(cues: Floats, heard: Floats, sights: Floats) -> Iterable[tuple[str, Floats]]:
    """Scores (cues, events) of each way to complete a cue."""
    near = cues @ heard.T
    yield "shipped: nearest neighbour", near
    for beta in (10, 20, 40, 80):
        weights = _softmax(beta * near)
        sight = _unit(weights @ sights)
        yield f"Hopfield, one step, beta {beta}", sight @ sights.T
        yield f"Hopfield, two steps, beta {beta}", _unit(_softmax(beta * (near + sight @ sights.T)) @ sights) @ sights.T
        yield f"nearest neighbour + half of one step, beta {beta}", near + 0.5 * sight @ sights.T


def _without(text: str, share: float, rng: np.random.Generator) -> str:
    words = text.split()
    return " ".join(word for word in words if rng.random() >= share) or words[0]


def _softmax(values: Floats) -> Floats:
    raised = np.exp(values - values.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def _unit(rows: Floats) -> Floats:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


# --- all ------------------------------------------------------------------------------------------


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


def main() -> None:
    args = arguments(
        __doc__, scenes={"type": int, "default": 2000}, seeds={"type": int, "nargs": "+", "default": [1, 2, 3]}
    )
    videos = sorted((args.data / "videos").glob("*.*")) if args.data else []
    views = load_views(args.work, [path for path in videos if path.suffix in (".mp4", ".gif")], args.scenes)
    known = familiarity(views, args.seeds)
    completed = recall(views, args.seeds)
    clips = list(views.clips)
    body = "## Seen before?\n\n" + table(
        ("", "recognised %", "of cosine >= 0.9", "false % (all)", *(f"frames of {clip}" for clip in clips)),
        [
            (
                name, percent(rates["recognised"]), percent(rates["recognised_cos90"]),
                f"{percent(rates['false_apart'])} ({percent(rates['false'])})",
                *(percent(rates[f"frames {clip}"]) for clip in clips),
            )
            for name, rates in known.items()
        ],
    )  # fmt: skip
    body += "\n\n## Completion: recall@1 / @5, %\n\n" + table(
        ("", *CONDITIONS),
        [
            (way, *(f"{percent(rows[name][0])} / {percent(rows[name][1])}" for name in CONDITIONS))
            for way, rows in completed.items()
        ],
    )
    figures = {"familiarity": known, "completion": completed}
    publish("associative", "Associative memories", body, figures, args.json)


if __name__ == "__main__":
    main()
