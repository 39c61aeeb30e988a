"""Random wording: one generator behind all choices, so that a stream always gets the same questions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")
Draft = dict[str, object]  # the fields of a Question, its number still missing


class Phrasing:
    """Shuffles candidates and picks templates."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def shuffled(self, items: Sequence[T]) -> list[T]:
        return [items[index] for index in self._rng.permutation(len(items))]

    def chance(self, share: float) -> bool:
        return bool(self._rng.random() < share)

    def phrase(self, *templates: str, thing: str = "") -> str:
        """One of the templates, its blank filled."""
        return templates[self._rng.integers(len(templates))].format(thing)

    def either(self, one: str, other: str, first: str, second: str) -> str:
        """One of two templates, with two things in either order."""
        names = (first, second) if self.chance(0.5) else (second, first)
        return (one if self.chance(0.5) else other).format(*names)


def the(thing: str) -> str:
    """A thing with the definite article: "a cat" -> "the cat"."""
    return re.sub(r"^(a|an|the) ", "the ", thing) if re.match(r"(a|an|the) ", thing) else f"the {thing}"


def bare(topic: str) -> str:
    """A topic without its article."""
    return re.sub(r"^(a|an|the) ", "", topic)
