"""Making room: the least retained events are demoted, in small transactions, until a write fits the budget.

Each transaction demotes about as many rows as one part of a write brings, and the log is folded in between,
so a kill anywhere leaves a memory that opens and goes on, and the log stays in its share of the budget. A
reader that holds the log stops this: then the writer waits for it (the busy timeout) and, if there is no room
left, says so instead of breaking the promise.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import log

from reverie.errors import MemoryFull
from reverie.memory import familiarity
from reverie.memory.budget import Budget
from reverie.memory.demotion import Demoted, demote
from reverie.memory.retention import Victim, victims
from reverie.memory.store import Store

_ROW_BYTES = 700  # of a moment with its vector and index entries
_MERGE_PAGES = 32
_FAMILIARITY_SHARE = 16  # of the budget: what the filters of hours take at most, the newest stay
_KEPT_REVISIONS = (128, 8192)


class Consolidation:
    """Keeps one open memory within its budget. Not thread-safe: `Memory` holds its write lock around it."""

    def __init__(self, store: Store, budget: Budget, short_term_ns: int) -> None:
        self._store, self.budget, self._short_term_ns = store, budget, short_term_ns

    def make_room(self, needed_bytes: int) -> bool:
        """Before a transaction that brings so many bytes. Return whether anything was demoted.

        Raises:
            MemoryFull: there is no room, and none can be made now.
        """
        budget = self.budget
        reader_holds_log = budget.log_size > budget.log_bytes // 2 and not self._store.checkpoint()
        wanted = budget.filled() + needed_bytes > budget.high_bytes
        changed = wanted and not reader_holds_log and self._demote_until(budget.low_bytes - needed_bytes)
        if budget.used() + needed_bytes + budget.log_bytes // 2 > budget.max_bytes:
            if reader_holds_log or not self._store.checkpoint():
                raise MemoryFull(
                    f"a reader has held the log of the memory at {self._store.root}, and without it there is no room "
                    f"in the budget of {budget.max_bytes} bytes: end what reads there for long, then write again"
                )
            if budget.used() + needed_bytes + budget.log_bytes // 2 > budget.max_bytes:
                raise MemoryFull(
                    f"the memory at {self._store.root} fills its budget of {budget.max_bytes} bytes and can be kept no "
                    "coarser: raise max_bytes, or forget something"
                )
        return changed

    def _demote_until(self, target_bytes: int) -> bool:
        """Sink the water level; spare the short term unless all else is not enough."""
        demoted = Demoted()
        with self._store.transaction() as db:
            familiarity.trim(db, self.budget.max_bytes // _FAMILIARITY_SHARE)
        for short_term_ns in (self._short_term_ns, None):
            heap = victims(self._store.reader, short_term_ns)
            heapify(heap)
            while heap and self.budget.filled() > target_bytes:
                if not self._demote_some(heap, demoted):
                    break
            if self.budget.filled() <= target_bytes:
                break
        if demoted.texts:
            self._merge_index()
        if demoted.rows:
            self._store.reclaim()
        return demoted.rows > 0

    def _demote_some(self, heap: list[Victim], total: Demoted) -> bool:
        """One transaction. False when a reader holds the log, so that nothing more can be gained."""
        demoted = Demoted()
        with self._store.transaction(synced=True) as db:
            while heap and demoted.rows * _ROW_BYTES < self.budget.part_bytes:
                score, wall_ns, event = heappop(heap)
                left = demote(db, event, demoted)
                if left is not None:
                    heappush(heap, (score + log(4.0), wall_ns, left))
            low, high = _KEPT_REVISIONS
            kept = min(max(self.budget.max_bytes >> 14, low), high)
            db.execute("DELETE FROM revision WHERE id <= (SELECT max(id) FROM revision) - ?", (kept,))
        self._store.pictures.remove(sorted(demoted.pictures))
        total.rows, total.texts = total.rows + demoted.rows, total.texts + demoted.texts
        return self.budget.log_size <= self.budget.log_bytes // 2 or self._store.checkpoint()

    def _merge_index(self) -> None:
        """Let the text index drop what was removed from it, a few pages in each transaction."""
        while True:
            with self._store.transaction() as db:
                before = db.total_changes
                db.execute(f"INSERT INTO observation_text (observation_text, rank) VALUES ('merge', {_MERGE_PAGES})")
                done = db.total_changes - before < 2  # FTS5's sign that there was nothing to merge
            if self.budget.log_size > self.budget.log_bytes // 2 and not self._store.checkpoint():
                return
            if done:
                return
