"""Erasure within the byte budget: what would be too much for the log at once goes in several transactions.

Small erasures are one transaction, whole or not at all. A large one deletes the observations that lie inside of the
span part by part, then all else at once (events, visits, derived rows, what lies across an edge), and then merges the
text index in steps until it holds no removed word. Killed in between, it has erased a part; asked again, it goes on.
"""

from __future__ import annotations

from reverie.memory import lexical
from reverie.memory.erase import Erased, bytes_to_change, erase, erase_some
from reverie.memory.room import Room
from reverie.memory.store import Store
from reverie.types import TimeSpan

_MERGE_PAGES = 32


def erase_within(
    store: Store,
    room: Room | None,
    span: TimeSpan | None,
    stream_ids: tuple[str, ...],
    everything: bool,
    gap_ns: int,
) -> Erased:
    """Delete for good: see `erase`. Files of key frames are left to the caller."""
    begun = None
    if room is not None and bytes_to_change(store.writer, span, stream_ids, everything) > room.budget.log_bytes // 2:
        begun = Erased()
        room.in_steps(lambda db, most: erase_some(db, span, stream_ids, everything, most, begun))
    with store.transaction(synced=True) as db:
        erased = erase(db, span, stream_ids, everything, gap_ns, begun)
    if room is not None and begun is not None:
        room.in_steps(lambda db, _: lexical.purge_some(db, -_MERGE_PAGES), at_most=1)
        room.in_steps(lambda db, _: lexical.purge_some(db, _MERGE_PAGES))
    return erased
