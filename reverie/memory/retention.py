"""Which event is made coarser next: the one with the lowest score, by one of five policies.

`retention`, the default, is e^(-t/5S), t in days since the event's end or its last recall by the wall clock of its
stream: MemoryBank's formula as printed (Zhong et al. 2024, section 3.3; its code has the inverse). There S starts at 1
and grows by 1 with every recall; here also by what makes an event stand out: its surprise, the repeats that it took in,
and its links, which are what was derived and rests on it (statements of valid facts, notes, showings of taught
entities). As a factor beside the exponential these would be worth days, and nothing over months. A form of level l is
c = 4^l times as worth keeping as the whole, and a merged episode more the longer it is, so that one water level sinks
through all levels. Scores are logarithms: years do not underflow.

The others are those of the Spatially-Aware Transformer (Cho et al. 2024, section 4.2) for comparison: the oldest first
(`fifo`), the newest first (`lifo`), and what was visited least or most often first, the oldest of equals. Each takes an
event through all levels; episodes are joined with each other when there is nothing else. An event is visited when
it is recalled; where streams name their place, it was visited as often as that place was watched or recalled.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from math import log
from typing import Any, Literal

import numpy as np

from reverie.memory import facts
from reverie.memory.pins import pinned_events
from reverie.memory.schema import EVERY_MODALITY, MODALITY_CODES
from reverie.types import NS_PER_S, Modality

Policy = Literal["retention", "fifo", "lifo", "least_visited", "most_visited"]
Victim = tuple[float, int, int]  # score, wall time of its end, event

_DAY_S = 86_400.0
_FADES_IN_DAYS = 5.0
_LEVEL_FACTOR = log(4.0)
_EPISODE_S = 600.0
_ALL = 1 << 62
_LAST = 1e15  # beyond every time in seconds and every count
EPISODE_LEVEL, LAST_LEVEL = 3, 9

# The wall time of media time zero. No stream was recorded after it was first written: an anchor that says so is a clock
# that leapt into the future, and would make all others look old.
_ZERO = "min(coalesce(s.wall_anchor_ns, s.started_ns), s.started_ns - coalesce(s.watched_start_ns, 0))"
_EVENTS = (
    f"SELECT e.id, e.stream, e.start_ns, e.end_ns, e.level, e.surprise, e.strength, e.recalled_ns, e.repeats, {_ZERO}, "
    "s.place FROM event e JOIN stream s ON s.id = e.stream WHERE NOT e.open "
)
_CONCLUDED = (
    "SELECT stream, start_ns, end_ns FROM note "
    "UNION ALL SELECT stream, start_ns, end_ns FROM template WHERE stream IS NOT NULL"
)


@dataclass(frozen=True, slots=True)
class _Links:
    """Where the evidence of what was derived begins and ends in one stream, each sorted."""

    starts_ns: list[int] = field(default_factory=list)
    ends_ns: list[int] = field(default_factory=list)

    def num_in(self, start_ns: int, end_ns: int) -> int:
        """How much of it overlaps a span: what begins before its end, less what has ended by its start."""
        return bisect_left(self.starts_ns, end_ns) - bisect_right(self.ends_ns, start_ns)


class Ranking:
    """Scores the events of one open memory under one policy, as of when it was made. Equal memories give equal scores.

    It may be made a few events at a time, by `read`, so that no write waits for all; asking it reads the rest.
    """

    def __init__(self, db: sqlite3.Connection, policy: Policy) -> None:
        self._db, self._policy, self._now_ns = db, policy, now_ns(db)
        by_visits = policy in ("least_visited", "most_visited")
        self._visits = _visits_by_place(db) if by_visits else Counter[str]()
        self._links = _links_by_stream(db) if policy == "retention" else dict[int, _Links]()
        self._read: list[Victim] = []
        self._strengths: list[float] = []
        self._last_event = 0

    def read(self, most: int = _ALL) -> bool:
        """Score so many more closed events. False when these were the last."""
        rows = self._db.execute(_EVENTS + "AND e.id > ? ORDER BY e.id LIMIT ?", (self._last_event, most)).fetchall()
        self._read.extend(self._scored(rows))
        self._strengths.extend(strength_of(row[5], row[8], row[6]) for row in rows)
        self._last_event = rows[-1][0] if rows else self._last_event
        return len(rows) == most

    def victims(self, short_term_ns: int | None, most_rows: int = 0) -> list[Victim]:
        """Every closed event that may be demoted, in no order; pinned ones never are.

        `short_term_ns`: events that end this shortly before what was watched of a stream that goes on are spared,
        and so are those that hold its last picture and boxes, from which segmentation goes on. None: none is.
        `most_rows`: of the former the newest of all streams, that have no more observations than this.
        """
        self.read()
        spared = pinned_events(self._db)
        if short_term_ns is not None:
            spared |= _needed_to_go_on(self._db) | _short_term(self._db, short_term_ns, most_rows)
        return [victim for victim in self._read if victim[2] not in spared]

    def outstanding(self, share: float) -> float:
        """The strength, links apart, that this share of the closed events do not pass; 0 when there is none."""
        self.read()
        place = int(len(self._strengths) * share)
        return float(np.partition(self._strengths, place)[place]) if self._strengths else 0.0

    def again(self, event: int) -> Victim | None:
        """An event with the score that it has now, by the links of the last ranking, None when it is no more."""
        rows = self._db.execute(_EVENTS + "AND e.id = ?", (event,)).fetchall()
        return next(self._scored(rows), None)

    def _scored(self, rows: list[Any]) -> Iterator[Victim]:
        for event, stream, start, end, level, surprise, strength, recalled, repeats, anchor, place in rows:
            wall_ns = anchor + end
            if self._policy == "retention":
                days = max(self._now_ns - max(wall_ns, recalled or wall_ns), 0) / NS_PER_S / _DAY_S
                links = self._links.get(stream)
                num_links = links.num_in(start, end) if links else 0
                total = strength_of(surprise, repeats, strength) + num_links
                value = score(days, total, level, (end - start) / NS_PER_S)
            else:
                value = self._order_of(wall_ns, self._visits[place] if place else strength - 1)
                value += _LAST if level >= EPISODE_LEVEL else 0.0
            yield value, wall_ns, event

    def _order_of(self, wall_ns: int, visits: int) -> float:
        ordered = {"fifo": wall_ns / NS_PER_S, "lifo": -wall_ns / NS_PER_S, "least_visited": visits}
        return float(ordered.get(self._policy, -visits))


def score(age_days: float, strength: float, level: int, duration_s: float) -> float:
    """Logarithm of retention times the factor of the level."""
    longer = log(max(duration_s, 1.0) / _EPISODE_S) if level >= EPISODE_LEVEL else 0.0
    return -age_days / (_FADES_IN_DAYS * strength) + level * _LEVEL_FACTOR + longer


def strength_of(surprise: float, repeats: int, recalled: int) -> float:
    """S without links; `recalled` is 1 and 1 more with each recall. It decides which key frames outlive level 1."""
    return recalled + repeats + max(surprise, 0.0)


def now_ns(db: sqlite3.Connection) -> int:
    """The latest wall time that any stream was watched at: ages are counted from it, so they follow from the rows."""
    latest = f"SELECT max({_ZERO} + s.watched_end_ns) FROM stream s"
    return int(db.execute(latest).fetchone()[0] or 0)


def _links_by_stream(db: sqlite3.Connection) -> dict[int, _Links]:
    """Where the evidence of all that was derived lies, in one pass."""
    links: dict[int, _Links] = {}
    for stream, start_ns, end_ns in chain(facts.valid_evidence(db), db.execute(_CONCLUDED)):
        of_stream = links.setdefault(stream, _Links())
        of_stream.starts_ns.append(start_ns)
        of_stream.ends_ns.append(max(end_ns, start_ns + 1))
    for of_stream in links.values():
        of_stream.starts_ns.sort()
        of_stream.ends_ns.sort()
    return links


def _visits_by_place(db: sqlite3.Connection) -> Counter[str]:
    """How many streams came from each place, and recalls of what was seen there."""
    rows = db.execute(
        "SELECT s.place, count(DISTINCT s.id) + coalesce(sum(e.strength - 1), 0) FROM stream s "
        "LEFT JOIN event e ON e.stream = s.id WHERE s.place != '' GROUP BY s.place"
    )
    return Counter(dict(rows.fetchall()))


def _short_term(db: sqlite3.Connection, short_term_ns: int, most_rows: int) -> set[int]:
    """Events of the newest part of streams that go on, the newest first, as far as their rows are not too many."""
    newest = db.execute(
        "SELECT e.id, (SELECT count(*) FROM observation o WHERE o.stream = e.stream "
        f"AND o.{EVERY_MODALITY} AND o.start_ns >= e.start_ns AND o.start_ns < e.end_ns) "
        "FROM event e JOIN stream s ON s.id = e.stream "
        f"WHERE NOT s.ended AND NOT e.open AND e.end_ns > s.watched_end_ns - ? ORDER BY {_ZERO} + e.end_ns DESC, e.id",
        (short_term_ns,),
    )
    spared, left = set[int](), most_rows
    for event, num_rows in newest:
        left -= num_rows
        if left < 0:
            break
        spared.add(event)
    return spared


def _needed_to_go_on(db: sqlite3.Connection) -> set[int]:
    """Events with the last picture or the last boxes of a stream that goes on."""
    needed: set[int] = set()
    for (stream,) in db.execute("SELECT id FROM stream WHERE NOT ended").fetchall():
        for modality in (Modality.VISION, Modality.OBJECTS):
            row = db.execute(
                "SELECT id FROM event WHERE stream = ?1 AND start_ns <= (SELECT max(start_ns) FROM observation "
                "WHERE stream = ?1 AND modality = ?2) ORDER BY start_ns DESC LIMIT 1",
                (stream, MODALITY_CODES[modality]),
            ).fetchone()
            needed.update(row or ())
    return needed
