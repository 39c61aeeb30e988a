"""Are pictures of the measurable world? Told by statistics whose spread in the world is measured.

Of a frame: how its brightness and colour lie and spread, how much neighbouring pixels differ, and how far the
autoencoder misses it. Of each terrain they have a mean and a covariance, from places drawn with a seed. A frame is as
far from the world as from the nearest terrain, in Mahalanobis distance; of several frames the median counts. Places of
the world lie at 3 to 6, photographs as small as a view at 6 and more (tests/generation/test_belonging.py).
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32, Float64, UInt8
from numpy import ndarray

from reverie.generation.shapes import TERRAINS
from reverie.generation.world import Place
from reverie.generation.world_model import WorldModel, reconstruction_errors, to_tensor

PLACES, LIMIT = 100, 6.0
_SEED = 20_000
_SHRINKAGE = 1e-3  # of a covariance towards its diagonal
Statistics = Float64[ndarray, "n s"]


class Belonging:
    """Distances from the world, as one model's autoencoder sees it."""

    def __init__(self, model: WorldModel) -> None:
        self._model = model
        self._terrains = [self._fit(terrain, number) for number, terrain in enumerate(TERRAINS)]

    def distance(self, frames: UInt8[ndarray, "n h w 3"]) -> float:
        """The median over frames of the distance from the nearest terrain."""
        of_each = self._statistics(frames)
        apart = [_mahalanobis(of_each, *terrain) for terrain in self._terrains]
        return float(np.median(np.min(apart, axis=0)))

    def _fit(self, terrain: str, number: int) -> tuple[Float64[ndarray, "s"], Float64[ndarray, "s s"]]:
        places = [Place(_SEED + number * PLACES + index, terrain=terrain) for index in range(PLACES)]
        known = self._statistics(np.concatenate([place.film([]).frames for place in places]))
        covariance = np.cov(known.T)
        return known.mean(axis=0), np.linalg.inv(covariance + _SHRINKAGE * np.diag(np.diag(covariance)))

    @torch.no_grad()
    def _statistics(self, frames: UInt8[ndarray, "n h w 3"]) -> Statistics:
        shown = to_tensor(frames[:, None]).to(next(self._model.parameters()).device)
        missed = reconstruction_errors(self._model.decode(self._model.encode(shown)), shown).cpu().double().numpy()
        return np.column_stack([_looks(frames), np.log(missed + 1e-3)])


def _looks(frames: UInt8[ndarray, "n h w 3"]) -> Statistics:
    colours = frames.astype(np.float64) / 255
    grey = colours.mean(axis=-1)
    tints = colours - grey[..., None]
    middle = np.median(tints, axis=(1, 2))
    edges = [np.abs(np.diff(grey, axis=axis)) for axis in (1, 2)]
    return np.column_stack(
        [np.median(edge, axis=(1, 2)) for edge in edges]
        + [np.log(edge.mean(axis=(1, 2)) + 1e-3) for edge in edges]
        + [grey.std(axis=(1, 2)), np.median(colours, axis=(1, 2)), middle[:, [0, 2]]]
        + [np.median(np.abs(tints - middle[:, None, None]), axis=(1, 2, 3))]
    )


def _mahalanobis(
    of_each: Statistics, mean: Float64[ndarray, "s"], precision: Float64[ndarray, "s s"]
) -> Float32[ndarray, "n"]:
    apart = of_each - mean
    return np.asarray(np.sqrt(np.einsum("ns,st,nt->n", apart, precision, apart)), dtype=np.float32)
