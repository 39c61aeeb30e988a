"""From the features of a piece of evidence to the probability that it holds what was asked for.

One logistic model for each channel (Platt 1999): text (speech, writing, music), things (tracks) and
pictures (classes and vectors). The coefficients live in a frozen config; `fit` learns them from
labelled examples by penalised maximum likelihood, pulled towards the coefficients it starts from, so
that a few examples refine a channel and none leave it alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from pydantic import BaseModel, ConfigDict, Field


class Channel(StrEnum):
    """Where evidence comes from; each has its own features."""

    TEXT = "text"
    THING = "thing"
    PICTURE = "picture"


# What each coefficient multiplies, in order, after the constant.
FEATURES: Mapping[Channel, tuple[str, ...]] = MappingProxyType(
    {
        Channel.TEXT: (
            "coverage",  # share of the cue's content words that the text has, in [0, 1]
            "lexical",  # Hit.lexical: share of term weight, in [0, 1]
            "dense",  # Hit.dense: cosine of cue and text
            "verbatim",  # 1 if the cue's words stand together in the text (two words at least)
            "names_missing",  # share of the cue's names and numbers that the text lacks
            "head_missing",  # 1 if the cue's longest word is not in the text
        ),
        Channel.THING: (
            "fit",  # 1 if the cue names the thing, less if it says more than the detector knows ("puppy")
            "score",  # best detector score of the visit, in [0, 1]
            "log_seconds",  # natural log of 1 + its length in seconds
            "support",  # the same as of a picture, of its name and the best class of pictures that overlap it
            "unsupported",  # 1 if the classifier knows such things and saw none, down to 0 for a support of 0.5
        ),
        Channel.PICTURE: (
            "fit",  # how well the cue fits the best class, in [0, 1] (names.py)
            "support",  # fit times the square root of that class's probability
            "share",  # fit times that probability over the highest of all classes
            "dense",  # cosine of cue and picture vector
            "log_seconds",  # natural log of 1 + the length of the run in seconds
        ),
    }
)


class Calibration(BaseModel):
    """Logistic coefficients: a constant, then one for each of `FEATURES`.

    The defaults stand after `python benchmarks/fit_calibration.py --seed 7`: what it learned from that one stream
    answered 3 points more, but let 10 % of the unanswerable questions through instead of none, so they were kept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: tuple[float, ...] = Field(default=(-5.8, 5.3, 1.9, 3.9, 1.4, -3.0, -1.5), min_length=7, max_length=7)
    """Speech, writing and music."""
    thing: tuple[float, ...] = Field(default=(-6.0, 4.5, 3.0, 0.3, 2.5, -0.5), min_length=6, max_length=6)
    """Tracked things whose name fits the cue."""
    picture: tuple[float, ...] = Field(default=(-5.0, 1.0, 3.0, 2.0, 4.0, 0.5), min_length=6, max_length=6)
    """Runs of pictures."""

    def coefficients(self, channel: Channel) -> tuple[float, ...]:
        return {Channel.TEXT: self.text, Channel.THING: self.thing, Channel.PICTURE: self.picture}[channel]

    def probability(self, channel: Channel, features: Sequence[float]) -> float:
        """The probability, in (0, 1), that evidence with these features holds the cue."""
        constant, *weights = self.coefficients(channel)
        return _logistic(constant + sum(w * x for w, x in zip(weights, features, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """Features of one piece of evidence, and whether it really held what was asked for."""

    channel: Channel
    features: tuple[float, ...]
    present: bool


def fit(examples: Iterable[Example], start: Calibration | None = None, pull: float = 0.05) -> Calibration:
    """Learn coefficients from examples.

    Minimises the summed logistic loss plus `pull`/2 times the squared distance from `start`; the
    result is unique. A channel without examples of both kinds keeps its coefficients.
    """
    start = start or Calibration()
    examples = list(examples)
    learned: dict[str, tuple[float, ...]] = {}
    for channel in Channel:
        chosen = [example for example in examples if example.channel is channel]
        if len({example.present for example in chosen}) == 2:
            learned[channel.value] = _fit_channel(chosen, np.array(start.coefficients(channel)), pull)
    return Calibration(**{**start.model_dump(), **learned})


def _fit_channel(examples: Sequence[Example], start: np.ndarray, pull: float) -> tuple[float, ...]:
    from scipy.optimize import minimize

    inputs = np.array([(1.0, *example.features) for example in examples])
    signs = np.array([1.0 if example.present else -1.0 for example in examples])

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margins = signs * (inputs @ weights)
        away = weights - start
        value = np.logaddexp(0.0, -margins).sum() + 0.5 * pull * (away @ away)
        slope = -(signs / (1.0 + np.exp(np.clip(margins, -60, 60)))) @ inputs + pull * away
        return float(value), slope

    result = minimize(loss, start, jac=True, method="L-BFGS-B")
    return tuple(round(float(weight), 4) for weight in result.x)


def _logistic(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-z)) if z >= 0 else math.exp(z) / (1.0 + math.exp(z))
