"""Surprise as the error of an online predictor in a latent space: what was tried beside the shipped rule.

An embedding is projected to a few dimensions by a fixed orthonormal matrix; a predictor guesses the next latent,
and with error e_t the surprise is |e_t|^2 / s^2 / 2, a Gaussian's negative log-likelihood up to what s^2 alone says.
s^2 is an exponential average of |e|^2, in which no error counts for more than three deviations, or one cut would
blind it to the next; hard cuts enter neither it nor the trailing window.

- ridge        x_t - x_(t-1) = W [x_(t-1), 1], least squares with forgetting and a ridge that never fades
- titans       M <- (1 - alpha) M + S, S <- eta S - theta grad |M x_(t-1) - x_t|^2 (Behrouz et al. 2025, eq. 9-14)
- persistence  x_(t-1)
- centroid     the mean of the event so far

Re-interpretation after PV-RNN (Ahmadi and Tani 2019): a mixing of the last W latents, inferred by least squares with
the last latent as its prior, that explains the moment takes a boundary back.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from reverie.memory.segmentation import Boundary, Reading, SegmentationConfig, Segmenter
from reverie.types import ns

_OUTLIER = 9.0  # in variances
_ADAPTATION = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """`noise` is the least |e|^2 that counts as one variance; `floor` the least excess of surprise, in nats."""

    predictor: Literal["ridge", "titans", "persistence", "centroid"] = "titans"
    num_dims: int = 32
    noise: float = 0.1
    floor: float = 0.5
    fusion: Literal["vision", "max", "sum"] = "vision"
    reinterpret_steps: int = 0


@lru_cache(maxsize=16)
def projection(width: int, num_dims: int) -> np.ndarray:
    """(D, K) orthonormal columns, scaled so that a projected unit vector has an expected norm of 1."""
    num_dims = min(width, num_dims)
    gaussian = np.random.default_rng(width).standard_normal((width, num_dims))
    return np.linalg.qr(gaussian)[0] * np.sqrt(width / num_dims)


class Persistence:
    def __init__(self, first: np.ndarray) -> None:
        self.last = first

    def predict(self) -> np.ndarray:
        return self.last

    def learn(self, latent: np.ndarray) -> None:
        self.last = latent

    def begin_event(self) -> None:
        pass


class Centroid(Persistence):
    num = 1

    def learn(self, latent: np.ndarray) -> None:
        self.num += 1
        self.last = self.last + (latent - self.last) / self.num

    def begin_event(self) -> None:
        self.num = 0


class Ridge(Persistence):
    forgetting, ridge = 0.98, 1.0

    def __init__(self, first: np.ndarray) -> None:
        super().__init__(first)
        self.gram, self.cross = np.zeros((len(first) + 1,) * 2), np.zeros((len(first) + 1, len(first)))

    def predict(self) -> np.ndarray:
        weights = np.linalg.solve(self.gram + self.ridge * np.eye(len(self.gram)), self.cross)
        return self.last + np.append(self.last, 1) @ weights

    def learn(self, latent: np.ndarray) -> None:
        inputs = np.append(self.last, 1)
        self.gram = self.forgetting * self.gram + np.outer(inputs, inputs)
        self.cross = self.forgetting * self.cross + np.outer(inputs, latent - self.last)
        self.last = latent


class Titans(Persistence):
    alpha, eta, theta = 0.01, 0.6, 0.1

    def __init__(self, first: np.ndarray) -> None:
        super().__init__(first)
        self.memory, self.momentum = np.eye(len(first)), np.zeros((len(first),) * 2)

    def predict(self) -> np.ndarray:
        return self.memory @ self.last

    def learn(self, latent: np.ndarray) -> None:
        gradient = 2 * np.outer(self.memory @ self.last - latent, self.last)
        self.momentum = self.eta * self.momentum - self.theta * gradient
        self.memory = (1 - self.alpha) * self.memory + self.momentum
        self.last = latent


_PREDICTORS = {"ridge": Ridge, "titans": Titans, "persistence": Persistence, "centroid": Centroid}


class Meter:
    """Surprise of one sense, in nats, and its trailing window."""

    def __init__(self, variant: Variant, window_ns: int, gamma: float) -> None:
        self._variant, self._window_ns, self._gamma = variant, window_ns, gamma
        self._window: deque[tuple[int, float]] = deque()
        self._recent: deque[np.ndarray] = deque(maxlen=max(2, variant.reinterpret_steps))
        self._predictor: Persistence | None = None
        self._variance = variant.noise

    def begin_event(self) -> None:
        if self._predictor is not None:
            self._predictor.begin_event()

    def measure(self, pts_ns: int, vector: np.ndarray, is_cut: bool = False) -> tuple[float, float]:
        """(deviations above the mean, the same once re-interpreted); `learn` follows."""
        self._latent = vector @ projection(len(vector), self._variant.num_dims)
        if self._predictor is None:
            self._predictor = _PREDICTORS[self._variant.predictor](self._latent)
            return 0.0, 0.0
        while self._window and self._window[0][0] < pts_ns - self._window_ns:
            self._window.popleft()
        error = float(np.sum((self._latent - self._predictor.predict()) ** 2))
        score = self._deviations(error)
        again = self._deviations(self._reinterpreted_error()) if self._variant.reinterpret_steps else score
        if not is_cut:
            self._window.append((pts_ns, error / self._variance / 2))
            change = min(error, _OUTLIER * self._variance) - self._variance
            self._variance = max(self._variant.noise, self._variance + _ADAPTATION * change)
        return score, min(score, again)

    def learn(self) -> None:
        if self._predictor is not None:
            self._predictor.learn(self._latent)
            self._recent.append(self._latent)

    def _reinterpreted_error(self) -> float:
        if not self._recent:
            return float("inf")
        basis, last = np.stack(self._recent), self._recent[-1]
        mixing = np.linalg.solve(basis @ basis.T + np.eye(len(basis)), basis @ (self._latent - last))
        return float(np.sum((self._latent - last - mixing @ basis) ** 2))

    def _deviations(self, error: float) -> float:
        if len(self._window) < 4:
            return 0.0
        values = np.array([nats for _, nats in self._window])
        return float(error / self._variance / 2 - values.mean()) / max(float(values.std()), self._variant.floor)


class PredictiveSegmenter(Segmenter):
    """The shipped segmenter with another surprise: everything that forces a boundary stays."""

    def __init__(self, config: SegmentationConfig, variant: Variant) -> None:
        super().__init__(config)
        self._variant, self._at_ns, self._shot = variant, 0, False
        self._pictures = Meter(variant, ns(config.window_s), config.gamma)
        self._texts = Meter(variant, ns(config.window_s), config.gamma)
        self._explained, self._heard = 0.0, (0, 0.0)

    def moment(self, pts_ns: int, vector: np.ndarray | None, starts_shot: bool, has_picture: bool) -> Reading:
        self._at_ns, self._shot = pts_ns, starts_shot
        reading = super().moment(pts_ns, vector, starts_shot, has_picture)
        if vector is not None:
            self._pictures.learn()
        return reading

    def words(self, pts_ns: int, vector: np.ndarray) -> tuple[Boundary, ...]:
        """Feed the vector of an utterance that has just been fed."""
        score, _ = self._texts.measure(pts_ns, vector)
        self._texts.learn()
        self._heard = (pts_ns, score)
        old_enough = self._age_ns(pts_ns) >= ns(self._config.min_s)
        if self._variant.fusion == "max" and old_enough and score > self._config.gamma:
            return (self._cut(pts_ns, "change", carry=True),)
        return ()

    def _surprise(self, vector: np.ndarray | None) -> float | None:
        if vector is None:
            return None
        score, self._explained = self._pictures.measure(self._at_ns, vector, self._shot)
        if self._variant.fusion == "sum" and self._at_ns - self._heard[0] <= ns(1):
            self._explained = (self._explained + self._heard[1]) / np.sqrt(2)
        return score

    def _threshold(self, pts_ns: int) -> float:
        return self._config.gamma if self._explained > self._config.gamma else float("inf")

    def _cut(self, pts_ns: int, cause, carry: bool) -> Boundary:
        self._pictures.begin_event()
        return super()._cut(pts_ns, cause, carry)
