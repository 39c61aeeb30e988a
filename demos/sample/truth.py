"""What is seen, said and written in a stream, and when: the ground truth beside every sample stream (x.truth.json).

Times are seconds of media time, half-open. Kinds of facts:

- scene    a stretch between two transitions, whatever it shows
- seen     things that are visible; `names` are what a viewer would call the main thing, `also` what else is in sight
- visit    one thing crosses the picture: from when two fifths of it are in sight until less is; `position` is its way
- said     a spoken sentence, from its first to its last sound
- written  a text that stands in the picture
- heard    music

`position` is "left" or "right" for a thing that stands there, "left to right" or "right to left" for a visit, else "".
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

FactKind = Literal["scene", "seen", "visit", "said", "written", "heard"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One true thing about a span. `source_id` names the asset, sentence or caption; `text` quotes or describes it."""

    kind: FactKind
    start_s: float
    end_s: float
    source_id: str
    text: str
    names: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    position: str = ""

    @property
    def span_s(self) -> tuple[float, float]:
        return self.start_s, self.end_s

    def shows(self, name: str) -> bool:
        """Whether a thing of this name is in sight, main or by the way."""
        return name in self.names or name in self.also


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """All facts of one stream, in the order of time."""

    seed: int
    profile: str
    duration_s: float
    fps: int
    width_px: int
    height_px: int
    facts: tuple[Fact, ...]

    def of(self, *kinds: FactKind) -> tuple[Fact, ...]:
        return tuple(fact for fact in self.facts if fact.kind in kinds)

    def showing(self, name: str) -> tuple[Fact, ...]:
        """The facts during which a thing of this name is in sight."""
        return tuple(fact for fact in self.of("seen", "visit") if fact.shows(name))

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> Truth:
        data = json.loads(path.read_text())
        return cls(**{**data, "facts": tuple(_fact(row) for row in data["facts"])})


def _fact(row: dict[str, object]) -> Fact:
    return Fact(**{key: tuple(value) if isinstance(value, list) else value for key, value in row.items()})  # type: ignore[arg-type]


def in_order(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """By start, then end."""
    return tuple(sorted(facts, key=lambda fact: (fact.start_s, fact.end_s, fact.kind, fact.source_id)))
