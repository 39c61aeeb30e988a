"""Which event is demoted next: the lowest retention, cheap forms being kept longer.

Retention is e^(-t/5S) (1 + surprise) with t in days since the event's end by the wall clock of its stream:
MemoryBank's formula as printed (Zhong et al. 2024, section 3.3; its code has the inverse), with surprise on
top; S is 1. A form of level l is c = 4^l times as worth keeping as the whole, and a merged episode more
the longer it is, so that one water level sinks through all levels. Scores are logarithms: years do not underflow.
"""

from __future__ import annotations

import sqlite3
from math import log, log1p

from reverie.memory.schema import MODALITY_CODES
from reverie.types import NS_PER_S, Modality

_DAY_S = 86_400.0
_FADES_IN_DAYS = 5.0
_LEVEL_FACTOR = log(4.0)
_EPISODE_S = 600.0
EPISODE_LEVEL = 3

Victim = tuple[float, int, int]  # score, wall time of its end, event


def victims(db: sqlite3.Connection, short_term_ns: int | None) -> list[Victim]:
    """Every closed event that may be demoted, in no order; equal memories give equal lists.

    `short_term_ns`: events that end this shortly before what was watched of a stream that goes on are spared,
    and so are those that hold its last picture and boxes, from which segmentation goes on. None: none is.
    """
    rows = db.execute(
        "SELECT e.id, e.stream, e.start_ns, e.end_ns, e.level, e.surprise, "
        "coalesce(s.wall_anchor_ns, s.started_ns), s.watched_end_ns, s.ended "
        "FROM event e JOIN stream s ON s.id = e.stream WHERE NOT e.open ORDER BY e.id"
    ).fetchall()
    needed = set() if short_term_ns is None else _needed_to_go_on(db)
    now_ns = max((anchor + watched_ns for *_, anchor, watched_ns, _ in rows), default=0)
    found: list[Victim] = []
    for event, _, start_ns, end_ns, level, surprise, anchor, watched_ns, ended in rows:
        if short_term_ns is not None and not ended and (end_ns > watched_ns - short_term_ns or event in needed):
            continue
        wall_ns = anchor + end_ns
        days = (now_ns - wall_ns) / NS_PER_S / _DAY_S
        found.append((score(days, surprise, level, (end_ns - start_ns) / NS_PER_S), wall_ns, event))
    return found


def score(age_days: float, surprise: float, level: int, duration_s: float) -> float:
    """Logarithm of retention times the factor of the level."""
    longer = log(max(duration_s, 1.0) / _EPISODE_S) if level == EPISODE_LEVEL else 0.0
    return -age_days / _FADES_IN_DAYS + log1p(max(surprise, 0.0)) + level * _LEVEL_FACTOR + longer


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
