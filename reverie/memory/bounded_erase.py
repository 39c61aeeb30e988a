"""Erasure within the byte budget: what would be too much for the log at once goes in several transactions.

Small erasures are one transaction, whole or not at all. A large one deletes the observations that lie inside of the
span part by part, then all else at once (events, visits, derived rows, what lies across an edge), and then merges the
text index in steps until it holds no removed word. Killed in between, it has erased a part; asked again, it goes on.
What holds some words is few rows: they go in one transaction, and only the index is merged in steps.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import Final

from reverie.memory import entities, lexical
from reverie.memory.erase import Erased, Target, bytes_to_change, erase, erase_some, erasing, streams_of
from reverie.memory.erase_text import erase_text
from reverie.memory.room import Room
from reverie.memory.store import Store

_MERGE_PAGES = 32
_DERIVED: Final = ("fact", "note", "entity", "template")


def erase_within(store: Store, room: Room | None, target: Target, gap_ns: int, dry_run: bool = False) -> Erased:
    """Delete for good: see `erase` and `erase_text`. Files of key frames are left to the caller.

    `dry_run`: in one transaction that is undone, whatever it takes of the log.
    """
    begun, derived_before = None, _derived(store.writer)
    large = room is not None and bytes_to_change(store.writer, target) > room.budget.log_bytes // 2
    if large or dry_run:
        begun = Erased()
    by_words = target.text is not None or target.entity is not None
    if room is not None and large and not dry_run and not by_words:
        room.in_steps(lambda db, most: erase_some(db, target, most, begun or Erased()))
    with store.transaction(synced=not dry_run, undone=dry_run) as db, erasing(db, begun) as erased:
        streams = streams_of(db, target)
        if target.entity is not None:
            names = entities.names_of(db, target.entity)
            entities.erase_entity(db, target.entity)
            for name in names:
                erase_text(db, name, None, streams, gap_ns, erased)
        elif target.text is not None:
            erase_text(db, target.text, target.span, streams, gap_ns, erased)
        else:
            erase(db, target.span, streams, gap_ns, erased)
            if target == Target():  # everything
                entities.erase_all(db)
        erased.derived = derived_before - _derived(db)
    if dry_run:
        store.checkpoint()
    elif room is not None and large:
        room.in_steps(lambda db, _: lexical.purge_some(db, -_MERGE_PAGES), at_most=1)
        room.in_steps(lambda db, _: lexical.purge_some(db, _MERGE_PAGES))
    return erased


def _derived(db: sqlite3.Connection) -> Counter[str]:
    """How many facts, notes, entities and templates there are."""
    return Counter({table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in _DERIVED})
