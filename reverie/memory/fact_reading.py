"""Facts by a reader, such as a language model: it may say what the patterns miss, and is checked against the words.

A reader gets passages and gives back statements. A statement is stored only if its quote stands in its passage, word
for word, and its object in the quote; the rest is counted as refused. It never runs inside of a write:
`Memory.read_facts` takes passages that are there, asks with no lock held, and stores what holds if the passage is still
there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from reverie.memory import facts
from reverie.memory.fact_patterns import Statement
from reverie.memory.schema import MODALITY_CODES
from reverie.types import Observation

BATCH = 16  # passages in one call of a reader
_MAX_CHARS = 200  # of a subject, a predicate or an object


class FactReader(Protocol):
    """Reads what passages state."""

    def read_facts(self, passages: Sequence[str]) -> Sequence[Sequence[tuple[str, str, str, str]]]:
        """For each passage its statements: (subject, predicate, object, quote)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FactReceipt:
    """What one reading brought: `refused` statements did not stand in their passage."""

    passages: int
    stored: int
    refused: int


def verbatim(told: Sequence[tuple[str, str, str, str]], text: str) -> list[Statement]:
    """The statements that their passage bears out."""
    return [
        Statement(subject=subject.strip(), predicate=predicate.strip().lower(), object=thing.strip(), quote=quote)
        for subject, predicate, thing, quote in told
        if facts.key_of(subject) and quote in text and thing.strip() in quote
        and all(0 < len(part.strip()) <= _MAX_CHARS for part in (subject, predicate, thing))
    ]  # fmt: skip


def store(db: sqlite3.Connection, passage: Observation, told: Sequence[Statement], now_ns: int) -> int:
    """Store what a passage states, in the transaction that is open, unless it is gone or changed; return how many."""
    row = db.execute(
        "SELECT s.id, o.text FROM observation o JOIN stream s ON s.id = o.stream "
        "WHERE s.name = ? AND o.modality = ? AND o.seq = ?",
        (passage.stream_id, MODALITY_CODES[passage.modality], passage.seq),
    ).fetchone()
    if row is None or row[1] != passage.text:
        return 0
    return facts.add(db, row[0], passage.modality, passage.span, told, now_ns)
