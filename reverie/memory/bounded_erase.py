"""Erasure within the byte budget: what would be too much for the log at once goes in several transactions.

Small erasures are one transaction, whole or not at all. A large one deletes the observations that lie inside of the
span, with visits and notes, or what holds the words, part by part, then all else at once (events, derived rows, what
lies across an edge), then names that nothing uses, and merges the text index in steps until it holds no removed word.
Killed in between, it has erased a part; asked again, it goes on.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import Final

from reverie.memory import entities, lexical
from reverie.memory.erase import (
    Erased,
    Target,
    bytes_to_change,
    drop_unused,
    erase,
    erase_some,
    erasing,
    pictures_of,
    streams_of,
)
from reverie.memory.erase_text import erase_some_matches, erase_text, find_matches
from reverie.memory.room import Room
from reverie.memory.store import Store

_MERGE_PAGES = 32
_DERIVED: Final = ("fact", "note", "entity", "template")


def erase_within(store: Store, room: Room | None, target: Target, gap_ns: int, dry_run: bool = False) -> Erased:
    """Delete for good: see `erase` and `erase_text`. Files of key frames are left to the caller.

    `dry_run`: in one transaction that is undone, in RAM.
    """
    derived_before, texts = _derived(store.writer), _texts(store.writer, target)
    begun, stepwise = Erased() if dry_run else None, False
    if room is not None and not dry_run and bytes_to_change(store.writer, target) > room.budget.log_bytes // 2:
        begun, stepwise = _begin(store, room, target, texts, gap_ns), True
    with store.transaction(synced=not dry_run, undone=dry_run) as db, erasing(db, begun, stepwise) as erased:
        streams = streams_of(db, target)
        if target.entity is not None:
            entities.erase_entity(db, target.entity)
        for text in texts:
            erase_text(db, text, target.span, streams, gap_ns, erased)
        if not texts:
            erase(db, target.span, streams, gap_ns, erased)
            if target == Target():  # everything
                entities.erase_all(db)
        erased.derived = derived_before - _derived(db)
    if dry_run:
        store.checkpoint()
    elif room is not None and stepwise:
        _end(store, room, erased)
    return erased


def _begin(store: Store, room: Room, target: Target, texts: list[str], gap_ns: int) -> Erased:
    """Delete in steps what is the most of a large erasure."""
    erased = Erased(pictures=pictures_of(store.writer))
    if target.entity is not None:
        with store.transaction() as db:
            entities.unbind(db, target.entity)
    if texts:
        found = find_matches(store.writer, texts, target.span, streams_of(store.writer, target))
        room.in_steps(lambda db, most: erase_some_matches(db, found, most, gap_ns, erased))
    else:
        room.in_steps(lambda db, most: erase_some(db, target, most, erased))
    return erased


def _end(store: Store, room: Room, erased: Erased) -> None:
    """Let go of names that nothing uses any more, and of what the text index marks as removed, in steps."""
    erased.labels += room.drop_unused_labels()
    with store.transaction() as db:
        drop_unused(db)
    room.in_steps(lambda db, _: lexical.purge_some(db, -_MERGE_PAGES), at_most=1)
    room.in_steps(lambda db, _: lexical.purge_some(db, _MERGE_PAGES))


def _texts(db: sqlite3.Connection, target: Target) -> list[str]:
    """Whose words are meant, if any: an entity's names are read before its showings go, and it with the last."""
    if target.entity is not None:
        return entities.names_of(db, target.entity)
    return [target.text] if target.text is not None else []


def _derived(db: sqlite3.Connection) -> Counter[str]:
    """How many facts, notes, entities and templates there are."""
    return Counter({table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in _DERIVED})
