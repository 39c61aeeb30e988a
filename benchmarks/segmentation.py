"""Where events end: how well, and what each part of the segmentation does for it.

    python benchmarks/segmentation.py [--seeds 21 22 ...] [--cameras 21 22 ...] [--latent-seeds 30] [--json]

Streams (benchmarks/segmentation_streams.py) tell when a scene, a shot or a visit begins or ends. Scores, of events that
are joined where only the longest duration split them:

- F1 of boundaries within a second of a true change, each matched once
- purity, the share of time that is of the commonest truth of its event; coverage, the share that is in the commonest
  event of its truth; and the harmonic mean of the two

Every row is a change to the first. Options of the variants were chosen on the seeds 7 (moving, camera) and 100-203
(latent). Two choices were made with a first run on the default seeds in view: refinement, which had won on seed 7, was
left out, and the floor of surprise is 0.1. Boundaries at visits shipped until four of the five cameras had
a better F1 without, four a better mean.
Intervals are of the difference to the first row, of a paired bootstrap over streams.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.refinement_variants import candidates, conductance_split, modularity_split
from benchmarks.report import arguments, progress, publish, table
from benchmarks.segmentation_streams import Stream, camera, drifting, moving, quiet
from benchmarks.surprise_variants import PredictiveSegmenter, Variant
from reverie.memory.segmentation import Boundary, SegmentationConfig, Segmenter
from reverie.types import NS_PER_S, Box, Modality, ns

TOLERANCE_S = 1.0
NEVER = 1e9
MIN_VISIT_S, LOST_S, SALIENT_AREA = 8.0, 3.0, 0.05  # shortest event before one, unseen for this long, share of picture
SHIPPED = SegmentationConfig()
Split = Callable[[np.ndarray, np.ndarray], int]


class Visits(Segmenter):
    """The coming or going of a large thing ends an event too, once that is `MIN_VISIT_S` old."""

    def __init__(self, config: SegmentationConfig, audio_only: bool = False) -> None:
        super().__init__(config, audio_only)
        self._seen_ns: dict[int, int] = {}

    def things(self, pts_ns: int, salient: Iterable[int]) -> tuple[Boundary, ...]:
        boundaries = self._reach(pts_ns)
        present = set(salient)
        came = present - self._seen_ns.keys()
        self._seen_ns.update(dict.fromkeys(present, pts_ns))
        lost_ns = {track: at for track, at in self._seen_ns.items() if pts_ns - at > ns(LOST_S)}
        for track in lost_ns:
            del self._seen_ns[track]
        # A picture without it may come long after it left: an event that began since then has told its going already.
        went = [at for at in lost_ns.values() if self.start_ns is not None and at >= self.start_ns]
        if self.is_boundary(came, went, present) and self._age_ns(pts_ns) >= ns(MIN_VISIT_S):
            boundaries.append(self._cut(pts_ns, "change", carry=True))
        return tuple(boundaries)

    def is_boundary(self, came: set[int], went: Sequence[int], present: set[int]) -> bool:
        return bool(came or went)


class FirstAndLast(Visits):
    """Only what comes into an empty scene, or leaves one behind."""

    def is_boundary(self, came: set[int], went: Sequence[int], present: set[int]) -> bool:
        return bool((came and self._seen_ns.keys() == came) or (went and not self._seen_ns))


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One way to segment; the defaults are what ships."""

    config: SegmentationConfig = SHIPPED
    segmenter: Callable[[SegmentationConfig], Segmenter] = Segmenter
    split: Split | None = None


def predictive(variant: Variant, split: Split | None = None) -> Policy:
    return Policy(segmenter=partial(PredictiveSegmenter, variant=variant), split=split)


POLICIES = {
    "shipped: 1 - cosine to the event's centroid": Policy(),
    "refined by modularity": Policy(split=modularity_split),
    "refined by conductance": Policy(split=conductance_split),
    "visits too: things that come or go": Policy(segmenter=Visits),
    "visits too, of an empty scene": Policy(segmenter=FirstAndLast),
    "floor of surprise 0.15, not 0.1": Policy(config=SegmentationConfig(surprise_floor=0.15)),
    "gamma 2, not 1": Policy(config=SegmentationConfig(gamma=2)),
    "no surprise: cuts, visits, longest": Policy(segmenter=Visits, config=SegmentationConfig(surprise_floor=NEVER)),
    "no surprise: hard cuts, longest": Policy(config=SegmentationConfig(surprise_floor=NEVER)),
    "Titans-like memory, 32 dimensions": predictive(Variant()),
    "the same, refined by modularity": predictive(Variant(), split=modularity_split),
    "the same, 8 dimensions": predictive(Variant(num_dims=8)),
    "the same, 64 dimensions": predictive(Variant(num_dims=64)),
    "the same, re-interpreted over 8 steps": predictive(Variant(reinterpret_steps=8)),
    "the same, fused with what is said: max": predictive(Variant(fusion="max")),
    "the same, fused with what is said: sum": predictive(Variant(fusion="sum")),
    "ridge, 32 dimensions": predictive(Variant(predictor="ridge")),
    "persistence, 32 dimensions": predictive(Variant(predictor="persistence")),
    "centroid in nats, 32 dimensions": predictive(Variant(predictor="centroid")),
}


# --- segmenting ---------------------------------------------------------------------------------


def salient(boxes: Iterable[Box]) -> frozenset[int]:
    """Tracks of the things that cover enough of the picture."""
    return frozenset(box.track_id for box in boxes if (box.x1 - box.x0) * (box.y1 - box.y0) >= SALIENT_AREA)


def segment(stream: Stream, policy: Policy, hide_cuts: bool = False) -> list[float]:
    """Starts of the events in seconds, as a memory would have them, without those at the longest duration."""
    config, segmenter = policy.config, policy.segmenter(policy.config)
    pictures = [item for item in stream.observations if item.modality is Modality.VISION]
    times_ns = np.array([item.span.start_ns for item in pictures])
    starts_ns: list[int] = []
    causes: list[str] = []

    def take(boundaries: Iterable[Boundary]) -> None:
        for boundary in boundaries:
            if policy.split is not None and len(starts_ns) > 1 and causes[-1] == "change":
                low, high = np.searchsorted(times_ns, (starts_ns[-2], boundary.pts_ns))
                begins = candidates(times_ns[low:high], *starts_ns[-2:], boundary.pts_ns, config)
                if len(begins):
                    vectors = np.stack([item.embedding for item in pictures[low:high]])
                    starts_ns[-1] = int(times_ns[low + policy.split(vectors, begins)])
            if boundary.opens:
                starts_ns.append(boundary.pts_ns)
                causes.append(boundary.cause)

    for item in stream.observations:
        at_ns = item.span.start_ns
        if segmenter.is_late(at_ns):
            continue
        if item.modality is Modality.VISION:
            starts_shot = item.starts_shot and not hide_cuts
            take(segmenter.moment(at_ns, item.embedding, starts_shot, True).boundaries)
        elif item.modality is Modality.OBJECTS and isinstance(segmenter, Visits):
            take(segmenter.things(at_ns, salient(item.boxes)))
        elif item.modality is Modality.SPEECH:
            take(segmenter.utterance(item.span))
            if isinstance(segmenter, PredictiveSegmenter) and item.embedding is not None:
                take(segmenter.words(at_ns, item.embedding))
        else:
            take(segmenter.other(at_ns))
    take(segmenter.end(ns(stream.duration_s)))
    return [start / NS_PER_S for start, cause in zip(starts_ns, causes, strict=True) if cause != "longest"]


# --- scores -------------------------------------------------------------------------------------


def score(stream: Stream, starts_s: Sequence[float]) -> dict[str, float]:
    """Shares in [0, 1], and events a minute."""
    free, hits = sorted(starts_s)[1:], 0  # the first of both is the start of the stream
    num_found, wanted = len(free), stream.changes_s[1:]
    for true_s in wanted:
        near = [at_s for at_s in free if abs(at_s - true_s) <= TOLERANCE_S]
        if near:
            free.remove(min(near, key=lambda at_s: abs(at_s - true_s)))
            hits += 1
    at_s = np.arange(0.125, stream.duration_s, 0.25)
    event, truth = np.searchsorted(sorted(starts_s), at_s), np.searchsorted(stream.changes_s, at_s)
    shared = np.zeros((event.max() + 1, truth.max() + 1))
    np.add.at(shared, (event, truth), 1)
    purity, coverage = shared.max(1).sum() / len(at_s), shared.max(0).sum() / len(at_s)
    return {
        "precision": hits / max(1, num_found),
        "recall": hits / max(1, len(wanted)),
        "f1": 2 * hits / max(1, num_found + len(wanted)),
        "purity": float(purity),
        "coverage": float(coverage),
        "mean": float(2 * purity * coverage / (purity + coverage)),
        "events_a_minute": 60 * len(starts_s) / stream.duration_s,
    }


Scores = list[dict[str, float]]  # one for each stream of a set


def mean(scores: Scores, name: str) -> float:
    return float(np.mean([one[name] for one in scores]))


def interval(scores: Scores, reference: Scores, name: str) -> tuple[float, float]:
    """The middle 95 % of the mean difference, resampling the streams."""
    differences = np.array([one[name] - other[name] for one, other in zip(scores, reference, strict=True)])
    rng = np.random.default_rng(0)
    means = differences[rng.integers(len(differences), size=(4000, len(differences)))].mean(1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def main() -> None:
    args = arguments(
        __doc__,
        seeds={"type": int, "nargs": "+", "default": [21, 22, 23, 24, 25, 26]},
        cameras={"type": int, "nargs": "+", "default": [21, 22, 23, 24, 25]},
        latent_seeds={"type": int, "default": 30},
    )
    composed, cameras = [moving(seed, args.work) for seed in args.seeds], [camera(s, args.work) for s in args.cameras]
    latent = range(1000, 1000 + args.latent_seeds)
    sets: dict[str, tuple[list[Stream], bool]] = {
        "moving": (composed, False),
        "moving, cuts hidden": (composed, True),
        "camera": (cameras, False),
        "drifting": ([drifting(seed) for seed in latent], False),
        "drifting, noisy": ([drifting(seed, noise=0.6) for seed in latent], False),
        "quiet": ([quiet(seed) for seed in latent], False),
    }
    results: dict[str, dict[str, Scores]] = {}
    for name, policy in POLICIES.items():
        progress(name)
        results[name] = {
            key: [score(stream, segment(stream, policy, hide)) for stream in streams]
            for key, (streams, hide) in sets.items()
        }
    results["fixed 10 s"] = {
        key: [score(stream, np.arange(0, stream.duration_s, 10).tolist()) for stream in streams]
        for key, (streams, _) in sets.items()
    }
    publish("segmentation", "Segmentation", report(sets, results), figures(results), args.json)


def figures(results: dict[str, dict[str, Scores]]) -> dict[str, dict[str, dict[str, float]]]:
    return {
        policy: {key: {name: round(mean(scores, name), 3) for name in scores[0]} for key, scores in sets.items()}
        for policy, sets in results.items()
    }


def report(sets: dict[str, tuple[list[Stream], bool]], results: dict[str, dict[str, Scores]]) -> str:
    reference = next(iter(results.values()))
    counted = ", ".join(f"{len(streams)} {key}" for key, (streams, _) in sets.items())
    body = f"Streams: {counted}. Each cell: F1 of boundaries / harmonic mean of purity and coverage.\n\n"
    body += (
        "What is said has nothing to do with what is seen in these streams, so fusing the two is harmless at best.\n\n"
    )
    rows = [
        [policy, *(f"{mean(scores, 'f1'):.3f} / {mean(scores, 'mean'):.3f}" for scores in found.values())]
        for policy, found in results.items()
    ]
    body += table(["", *sets], rows)
    body += "\n\nDifference to the first row, 95 % interval (one stream: the difference): F1; harmonic mean.\n\n"
    differences = [
        [policy, *(differs(found[key], reference[key]) for key in sets)] for policy, found in list(results.items())[1:]
    ]
    body += table(["", *sets], differences)
    names = ("precision", "recall", "purity", "coverage", "events_a_minute")
    for key in ("moving", "camera"):
        body += f"\n\n{key.capitalize()} streams in detail.\n\n"
        detail = [[policy, *(f"{mean(found[key], name):.3f}" for name in names)] for policy, found in results.items()]
        body += table(["", *(name.replace("_", " ") for name in names)], detail)
    return body


def differs(scores: Scores, reference: Scores) -> str:
    parts = []
    for name in ("f1", "mean"):
        if len(scores) == 1:
            parts.append(f"{mean(scores, name) - mean(reference, name):+.3f}")
            continue
        low, high = interval(scores, reference, name)
        parts.append(f"{low:+.3f} to {high:+.3f}")
    return "; ".join(parts)


if __name__ == "__main__":
    main()
