"""What the benchmarks of imagination share: episodes with their truth, videos made from them, runs that are kept.

An episode is a film of the measurable world. A video begins with the film's first frames and is told its prompt and its
actions; what it should have shown is known. A run is kept in the work folder under the digest of its weights, so a
benchmark that was cut off goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.report import progress
from reverie.generation import checkpoint
from reverie.generation.chunks import Beginning
from reverie.generation.latent_chunks import LatentChunksConfig
from reverie.generation.metrics.actions import action_accuracy
from reverie.generation.metrics.consistency import psnr
from reverie.generation.session import Imagination
from reverie.generation.world import Film, Place, wander
from reverie.generation.world_chunks import RATE_HZ, WorldChunks
from reverie.generation.world_model import WorldModel

GIVEN = 8  # frames of the film that a video begins with
FIRST_SEED = 50_000  # places that no training saw
GATE_ACTIONS, GATE_PSNR = 0.5, 18.0  # of what follows the given frames; a base below them is undertrained
Figures = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A film, and what a video of it is told."""

    seed: int
    place: Place
    actions: tuple[Any, ...]
    film: Film

    @property
    def first(self) -> np.ndarray:
        return self.film.frames[:GIVEN]

    @property
    def truth(self) -> np.ndarray:
        return self.film.frames[GIVEN:]


def episode(seed: int, num_frames: int, actions: Sequence[Any] | None = None) -> Episode:
    """`num_frames` follow the given ones."""
    place = Place(FIRST_SEED + seed)
    told = tuple(actions or wander(np.random.default_rng((seed, 1)), GIVEN + num_frames - 1))
    return Episode(seed=seed, place=place, actions=told, film=place.film(told))


class Studio:
    """Makes videos with one set of weights, and keeps figures of them.

    Args:
        weights: of the small model.
        work: where figures are kept.
        student: an adapter that is merged.
    """

    def __init__(self, weights: Path, work: Path, student: Path | None = None) -> None:
        torch.set_num_threads(1)  # so that equal calls give equal videos on any machine
        self._paths = [path for path in (weights, student) if path is not None]
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in self._paths)).hexdigest()[:12]
        self._kept = work / f"imagined-{digest}.jsonl"
        lines = self._kept.read_text().splitlines() if self._kept.exists() else []
        self._known: dict[str, Figures] = dict(map(json.loads, lines))

    def model(self) -> WorldModel:
        """A model of its own: an adapter of one arm does not reach another."""
        return checkpoint.load(*self._paths)

    def video(self, config: LatentChunksConfig, told: Episode, seed: int | None = None, **beginning: Any) -> np.ndarray:
        """(T, H, W, 3) as long as the truth."""
        begins = Beginning(first=told.first, **beginning)
        session = Imagination(
            WorldChunks(self.model(), config), prompt=told.place.prompt, actions=told.actions[GIVEN - 1 :],
            seconds=len(told.truth) / RATE_HZ, seed=told.seed if seed is None else seed, beginning=begins,
        )  # fmt: skip
        return np.concatenate([clip.frames for clip in session])

    def figures(self, name: str, make: Callable[[], Figures]) -> Figures:
        """Made now, or kept from before."""
        if name not in self._known:
            self._known[name] = {key: round(float(value), 5) for key, value in make().items()}
            with self._kept.open("a") as file:
                file.write(json.dumps([name, self._known[name]]) + "\n")
            progress(f"{name}: {self._known[name]}")
        return self._known[name]

    def runs(
        self, what: str, arms: Mapping[str, Callable[[int], Figures]], seeds: Sequence[int]
    ) -> dict[str, list[Figures]]:
        """Of every arm the figures of every seed."""
        return {
            arm: [self.figures(f"{what} {arm} {seed}", partial(make, seed)) for seed in seeds]
            for arm, make in arms.items()
        }


def means(rows: Mapping[str, Sequence[Figures]]) -> dict[str, Figures]:
    """Of every arm, over its seeds; a NaN is left out."""
    return {arm: {key: float(np.nanmean([run[key] for run in runs])) for key in runs[0]} for arm, runs in rows.items()}


def column(runs: Sequence[Figures], key: str) -> list[float]:
    """One figure of every seed."""
    return [run[key] for run in runs]


def gate(studio: Studio, seeds: Sequence[int]) -> tuple[bool, str]:
    """Whether the base does what the comparisons stand on, and a sentence that says so."""

    def measure(seed: int) -> Figures:
        told = episode(seed, GIVEN)
        made = studio.video(LatentChunksConfig(way="concat"), told)
        return {
            "actions": action_accuracy(np.concatenate([told.first[-1:], made]), told.actions[GIVEN - 1 :]),
            "psnr": min(psnr(made[:4], told.truth[:4]), 60.0),
        }

    mean = means(studio.runs("gate", {"base": measure}, seeds))["base"]
    actions, quality = mean["actions"], mean["psnr"]
    passed = actions >= GATE_ACTIONS and quality >= GATE_PSNR
    told = (
        f"The base {'passes' if passed else 'misses'} the gate: of the eight frames after the given ones {actions:.0%} "
        f"move as told (at least {GATE_ACTIONS:.0%}; by chance 20 %), and the first four are {quality:.1f} dB from the "
        f"truth (at least {GATE_PSNR:g})."
    )
    return passed, told


def interval(one: Sequence[float], other: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """95 % of the mean difference, by a paired bootstrap over episodes; pairs with a NaN are left out."""
    apart = np.asarray(one) - np.asarray(other)
    apart = apart[np.isfinite(apart)]
    drawn = np.random.default_rng(seed).integers(len(apart), size=(10_000, len(apart)))
    low, high = np.quantile(apart[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def verdict(passed: bool, low: float, high: float) -> str:
    """What an interval says."""
    if not passed:
        return "undertrained"
    return "no difference shown" if low <= 0 <= high else f"{low:+.3f} to {high:+.3f}"
