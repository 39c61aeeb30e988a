"""Fit the constants of the sound print: its mean, and the whitening of what one sound's renditions differ in.

    python benchmarks/fit_sound_print.py

Writes reverie/perception/sound_print.safetensors from 600 synthesised sounds of the `GENERIC` kinds, 6 renditions each,
seed 1. The kinds that tests and benchmarks/sounds.py recognise (`NAMED`) are not among them.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from safetensors.numpy import save_file

from benchmarks.report import progress
from benchmarks.sound_kinds import GENERIC, over_noise, rendition
from reverie.perception.sound_print import WHITENING, sound_features

SEED, NUM_SOUNDS, NUM_RENDITIONS = 1, 600, 6
SHRINKAGE = 0.1  # of the within-class covariance towards its mean variance


def main() -> None:
    rng = np.random.default_rng(SEED)
    groups = []
    for number in range(NUM_SOUNDS):
        sound = GENERIC[number % len(GENERIC)](rng)
        shown = [
            over_noise(rng, rendition(rng, sound), rng.uniform(10, 25), *rng.uniform(0, 0.2, 2))
            for _ in range(NUM_RENDITIONS)
        ]
        features = [found for samples in shown if (found := sound_features(samples)) is not None]
        groups.append(np.stack(features))
    mean = np.concatenate(groups).mean(axis=0)
    apart = np.concatenate([group - group.mean(axis=0) for group in groups])
    within = apart.T @ apart / (len(apart) - len(groups))
    within = (1 - SHRINKAGE) * within + SHRINKAGE * np.trace(within) / len(within) * np.eye(len(within))
    values, vectors = np.linalg.eigh(within)
    whitening = vectors @ np.diag(values**-0.5) @ vectors.T
    save_file({"mean": mean.astype(np.float32), "whitening": whitening.astype(np.float32)}, WHITENING)
    progress(f"{len(groups)} sounds, {len(apart)} renditions: {WHITENING.name} has {WHITENING.stat().st_size} bytes")


if __name__ == "__main__":
    main()
