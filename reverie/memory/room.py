"""Making room: the least retained events are demoted, in small transactions, until a write fits the budget.

Between the low and the high mark every write demotes a little more than it brings, so that none waits long: when that
takes many demotions, because thousands of events come to the same level, it makes do with some, the more the nearer the
high mark is. Above that it demotes until it fits. Each transaction demotes about as many rows as one part of a write
brings, and the log is folded in between, so a kill anywhere leaves a memory that opens and goes on, and the log stays
in its share of the budget. A reader that holds the log stops this: then the writer waits for it (the busy timeout) and,
if there is no room left, says so instead of breaking the promise.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Literal

from reverie.errors import ConfigError, MemoryFull
from reverie.memory import facts, familiarity, lexical, merging, names
from reverie.memory.budget import Budget
from reverie.memory.demotion import WORD_BITS, Need, demote
from reverie.memory.retention import Policy, Ranking, Victim
from reverie.memory.store import Store
from reverie.memory.stretches import ROW_BYTES, Demoted

_MERGE_BYTES = 8 << 10  # of texts, for which the text index is merged in one transaction
_KEPT_REVISIONS = (128, 8192)
_FAMILIARITY_SHARE = 16  # of what is stored: what the filters of hours take at most; the newest stay
_LABEL_SHARE = 8  # of it may be taken by labels before those go that nothing names any more
_FACT_SHARE = 8  # of it: what facts take at most; superseded ones go first
_VACUUM_PAGES = 64  # given back in one transaction
_FRESH_SHARE = 16  # of the budget may be written before all events are ranked anew, new ones among the old
_BYTES_A_RANK = 64  # brought by a write, for which it ranks an event
_WITHOUT_PICTURE = 0.9  # of the events at level 2: those that stand out less
_EPISODE_SHARE = 64  # of it: an episode's sentences take at most this, halved until they do: joining has to fit the log
_SHORT_TERM_SHARE = 8  # of it: what is spared of the short term at most
_SPARE_SHARE = 64  # of the budget may stand empty in the database, for the next writes
_HASTE = 40  # halfway between the marks demotions may write so many times what a write brings
_FOLDED_PARTS = 8  # between demotions the log is kept in so small a part of its share: one may take most of it
_ALL_BYTES = 1 << 62


class Room:
    """Keeps one open memory within its budget. Not thread-safe: `Memory` holds its write lock around it."""

    def __init__(
        self, store: Store, budget: Budget, policy: Policy, short_term_ns: int, word_bits: int = WORD_BITS
    ) -> None:
        self._store, self.budget, self._policy, self._short_term_ns = store, budget, policy, short_term_ns
        self._word_bits = word_bits
        self._max_text_bytes = merging.MAX_TEXT_BYTES
        while self._max_text_bytes * _EPISODE_SHARE > max(budget.stored_bytes, 1):
            self._max_text_bytes //= 2
        self._used_labels = self._unmerged_bytes = 0
        self.rank_again()

    def rank_again(self) -> None:
        """What is ranked does not hold any more: events came, were pinned, recalled, joined or erased."""
        self._ranked: list[Victim] | None = None
        self._next_ranking: Ranking | None = None
        self._fresh_bytes = 0

    def fit(self) -> bool:
        """Bring a memory into its budget that was kept with a larger one. Return whether anything was made coarser.

        Raises:
            ConfigError: what cannot fade takes more. Nothing was made coarser.
            MemoryFull: a reader holds the log.
        """
        budget = self.budget
        if budget.filled() <= budget.max_bytes:
            return False
        if (least_bytes := budget.least()) > budget.high_bytes:
            raise ConfigError(
                f"what cannot fade of the memory at {self._store.root} (tables, pins, what was taught and noted) takes "
                f"{least_bytes} bytes with the log, and the budget is {budget.max_bytes}: open it with max_bytes of at "
                f"least {budget.enough(least_bytes)}, or let some of it go: reverie memory unpin, reverie forget; "
                "nothing was made coarser, and until then it can be read"
            )
        self._drop_labels()
        self.demote(budget.high_bytes)
        self._used_labels = 0  # fewer are now
        self.make_room(0)
        return True

    def make_room(self, needed_bytes: int, indivisible: bool = False) -> bool:
        """Before a transaction that brings so many bytes. Return whether the short term or labels were touched.

        `indivisible`: one item brings them. If it can never fit nothing is made coarser for it.

        Raises:
            MemoryFull: there is no room, and none can be made now.
        """
        budget, touched = self.budget, False
        if indivisible and needed_bytes > budget.part_bytes:
            needed_bytes *= 2  # the log's share is not made for so much: it is there once more until the log is folded
            if budget.least() + needed_bytes > budget.high_bytes:
                raise MemoryFull(
                    f"this takes about {needed_bytes} bytes with its index and in the log, with what cannot fade more "
                    f"than the budget of {budget.max_bytes}; nothing was made coarser for it: write it in pieces, or "
                    "raise max_bytes"
                )
        reader_holds_log = not self.fold_log()
        self._fresh_bytes += needed_bytes
        if self._fresh_bytes > budget.max_bytes // _FRESH_SHARE and self._ranked is not None:
            self._rank_ahead(1 + needed_bytes // _BYTES_A_RANK)
        if not reader_holds_log:
            over = budget.filled() + needed_bytes - budget.low_bytes
            if over > 0:
                left = budget.high_bytes - budget.filled() - needed_bytes
                most_bytes = int(_HASTE * needed_bytes * over / max(left, 1))
                self.demote(budget.filled() - min(over, 2 * needed_bytes), most_bytes=most_bytes)
                touched = self._drop_labels()
            if budget.filled() + needed_bytes > budget.high_bytes:
                touched |= self.demote(budget.high_bytes - needed_bytes, at_all_costs=True)
            self._give_back(budget.max_bytes // _SPARE_SHARE)
        if self._would_pass(needed_bytes):
            if reader_holds_log or not self._store.reclaim():
                raise MemoryFull(
                    f"a reader has held the log of the memory at {self._store.root}, and without it there is no room "
                    f"in the budget of {budget.max_bytes} bytes: end what reads there for long, then try again"
                )
            if self._would_pass(needed_bytes):
                raise MemoryFull(
                    f"the memory at {self._store.root} fills its budget of {budget.max_bytes} bytes and can be kept no "
                    "coarser: raise max_bytes, unpin or forget something"
                )
        return touched

    def demote(self, target_bytes: int, at_all_costs: bool = False, most_bytes: int = _ALL_BYTES) -> bool:
        """Sink the water level until no more than this is filled. Return whether the short term was touched.

        `at_all_costs`: when all else is not enough the short term is not spared, nor what is alone in its stream.
        `most_bytes`: what demotions may write at most, about (see `Demoted.num_bytes`), whether or not that is enough.
        """
        demoted = Demoted()
        was_ranked = self._ranked is not None
        outcome = self._sink(target_bytes, demoted, most_bytes=most_bytes)
        if outcome == "used up" and was_ranked and (at_all_costs or self._fresh_bytes > self.budget.part_bytes):
            self.rank_again()  # events came since
            outcome = self._sink(target_bytes, demoted, most_bytes=most_bytes)
        if outcome == "used up" and at_all_costs:
            self.rank_again()
            outcome = self._sink(target_bytes, demoted, "more")
        touched = outcome == "used up" and at_all_costs
        if touched:
            self._rank(None)
            self._sink(target_bytes - self.budget.part_bytes, demoted, "all")  # not in every write
            self.rank_again()
        self._unmerged_bytes += demoted.text_bytes
        while self._unmerged_bytes >= _MERGE_BYTES:
            self._unmerged_bytes -= _MERGE_BYTES
            self._merge_index()
        return touched

    def tidy(self) -> bool:
        """Drop what the text index only marks as removed, and give free space back. False: a reader held the log."""
        while self._merge_index():
            pass
        return self._store.reclaim()

    def in_steps(self, step: Callable[[sqlite3.Connection, int], bool], at_most: int = 1 << 30) -> None:
        """Repeat a step that takes about so many rows, each in a transaction of its own, until it returns False."""
        for _ in range(at_most):
            with self._store.transaction() as db:
                going_on = step(db, max(self.budget.part_bytes // ROW_BYTES, 1))
            self.fold_log()
            if not going_on:
                break

    def fold_log(self, share: int = 2) -> bool:
        """Keep the log within half (a `share`-th) of its share. False when it is larger and a reader holds it."""
        return self.budget.log_size <= self.budget.log_bytes // share or self._store.checkpoint()

    def _would_pass(self, needed_bytes: int) -> bool:
        return self.budget.used() + needed_bytes + self.budget.log_bytes // 2 > self.budget.max_bytes

    def _rank(self, short_term_ns: int | None) -> list[Victim]:
        limit = self.budget.stored_bytes // _FAMILIARITY_SHARE
        self.in_steps(lambda db, _: familiarity.trim(db, limit, self.budget.part_bytes))
        self.in_steps(lambda db, most: facts.trim(db, self.budget.stored_bytes // _FACT_SHARE, most))
        most_rows = self.budget.stored_bytes // _SHORT_TERM_SHARE // ROW_BYTES
        self._ranking = self._next_ranking or Ranking(self._store.writer, self._policy)
        ranked = self._ranking.victims(short_term_ns, most_rows)
        heapify(ranked)
        self._ranked, self._next_ranking, self._fresh_bytes = ranked, None, 0
        self._frame_strength = self._ranking.outstanding(_WITHOUT_PICTURE)
        return ranked

    def _rank_ahead(self, num_events: int) -> None:
        """Score so many events anew; what is ranked holds until all are."""
        if self._next_ranking is None:
            self._next_ranking = Ranking(self._store.writer, self._policy)
        if not self._next_ranking.read(num_events):
            self._rank(self._short_term_ns)

    def _sink(
        self, target_bytes: int, demoted: Demoted, need: Need = "some", most_bytes: int = _ALL_BYTES
    ) -> Literal["met", "spent", "used up", "held"]:
        """Demote what is ranked until the target is met, so much is written, all is used up, or a reader holds the log.

        What joins an episode may free nothing yet: the next transaction is twice as large then, so that few are synced.
        """
        ranked = self._rank(self._short_term_ns) if self._ranked is None else self._ranked
        wanted_bytes = 0
        while (excess_bytes := self.budget.filled() - target_bytes) > 0:
            if not ranked:
                return "used up"
            if demoted.num_bytes >= most_bytes:
                return "spent"
            wanted_bytes = min(max(excess_bytes, 2 * wanted_bytes), self.budget.part_bytes)
            self._demote_some(ranked, min(wanted_bytes, most_bytes - demoted.num_bytes), demoted, need)
            if not self.fold_log(_FOLDED_PARTS):
                return "held"
        return "met"

    def _demote_some(self, ranked: list[Victim], wanted_bytes: int, total: Demoted, need: Need) -> None:
        """One transaction, that takes about as many bytes of rows as are wanted."""
        demoted = Demoted()
        with self._store.transaction(synced=True) as db:
            while ranked and demoted.num_bytes < wanted_bytes:
                value, _, event = heappop(ranked)
                again = self._ranking.again(event)
                if again is not None and again[0] <= value:  # else it was recalled or took in others since
                    left = demote(db, event, demoted, self._frame_strength, self._word_bits, self._max_text_bytes, need)
                    again = None if left is None else self._ranking.again(left)
                if again is not None:
                    heappush(ranked, again)
            low, high = _KEPT_REVISIONS
            kept = min(max(self.budget.max_bytes >> 14, low), high)
            db.execute("DELETE FROM revision WHERE id <= (SELECT max(id) FROM revision) - ?", (kept,))
        self._store.pictures.remove(sorted(demoted.pictures), lasting=False)
        total.add(demoted)

    def _drop_labels(self) -> bool:
        """Labels that no row names any more go, when all take much of the budget. Return whether any did."""
        limit = self.budget.stored_bytes // _LABEL_SHARE // names.LABEL_BYTES
        count: int = self._store.writer.execute("SELECT count(*) FROM label").fetchone()[0]
        if count <= max(limit, self._used_labels + limit // 4):
            return False
        self._used_labels = count - self.drop_unused_labels()
        return self._used_labels < count

    def drop_unused_labels(self) -> int:
        """Labels that no row names any more go, in steps. Return how many did."""
        unused = names.unused_labels(self._store.writer)
        count = len(unused)

        def drop_some(db: sqlite3.Connection, most: int) -> bool:
            some, unused[:most] = unused[:most], []
            names.drop_labels(db, some)
            return bool(unused)

        self.in_steps(drop_some)
        return count

    def _merge_index(self) -> bool:
        """Let the text index drop a few pages of what was removed from it. False when there is no more (for now)."""
        if not self.fold_log(4):
            return False
        with self._store.transaction() as db:
            more = lexical.merge_some(db, _MERGE_BYTES)
        return self.fold_log() and more

    def _give_back(self, spare_bytes: int) -> None:
        """Free pages beyond these return to the disk, a few in each write."""
        if self.budget.free() > spare_bytes + _VACUUM_PAGES * 4096:
            self._store.writer.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
            self.fold_log()
