"""Consolidation: what memory does with what it has, beside taking in more. Every 10 minutes of stream, or when asked.

    recalls     what searches found grows stronger
    expiry      what is past its time to live is erased for good
    repeats     neighbouring events that differ in nothing become one
    episodes    consecutive events are summed up, while they are still there
    demotion    the least retained become coarser, down to the low mark (while it writes, `room` sees to that)

In small transactions, each of which leaves a whole memory: a consolidation that was killed or ran out of time goes on
where it stopped when it is next asked for, because what is left to do is read from the rows.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator

from reverie.clock import Clock
from reverie.memory import recalls
from reverie.memory.episodes import Event, build, partition, ready_runs, settled
from reverie.memory.expiry import expired
from reverie.memory.records import ConsolidationReceipt
from reverie.memory.repeats import merge_repeats
from reverie.memory.room import Room
from reverie.memory.store import Store
from reverie.types import NS_PER_S, TimeSpan

_SLACK_SHARE = 100  # of the time to live: erasing goes through all words, so it is not done for every minute
_CHUNK_EVENTS = 100  # compared in one transaction
EraseSpan = Callable[[str, TimeSpan], int]  # erases for good, returns how many observations went


class Consolidation:
    """Of one open memory. Not thread-safe: `Memory` holds its write lock around it."""

    def __init__(
        self, store: Store, room: Room | None, clock: Clock, ttl_ns: int | None, every_ns: int, erase_span: EraseSpan
    ) -> None:
        self._store, self._room, self._clock = store, room, clock
        self._ttl_ns, self._every_ns, self._erase_span = ttl_ns, every_ns, erase_span

    def is_due(self) -> bool:
        """Whether enough was watched since the last one, counted over all streams."""
        watched_ns, last_ns = self._watched()
        return abs(watched_ns - last_ns) >= self._every_ns

    def run(self, max_s: float | None = None, thorough: bool = True) -> ConsolidationReceipt:
        """All of it, or as many steps as begin within `max_s`.

        Without `thorough` it stays quick: a little past the time to live is left for later, and so is demotion.
        """
        began_ns, counts, complete = self._clock.monotonic_ns(), Counter[str](), True
        bytes_before = self._room.budget.filled() if self._room else 0
        steps = self._steps(counts, thorough)
        while True:
            if max_s is not None and self._clock.monotonic_ns() - began_ns > max_s * NS_PER_S:
                complete = False
                break
            if next(steps, None) is None:
                break
            if self._room is not None:
                self._room.fold_log()
        if self._room is not None:
            self._room.rank_again()
        bytes_after = self._room.budget.filled() if self._room else 0
        return ConsolidationReceipt(
            recalls=counts["recalls"], expired=counts["expired"], repeats=counts["repeats"],
            episodes=counts["episodes"], bytes_freed=max(0, bytes_before - bytes_after), complete=complete,
        )  # fmt: skip

    def _steps(self, counts: Counter[str], thorough: bool) -> Iterator[bool]:
        """One small transaction after another; each yield is a point where it may stop."""
        with self._store.transaction() as db:
            counts["recalls"] += recalls.fold(db, self._store.root)
            db.execute("UPDATE memory SET consolidated_ns = ?", (self._watched()[0],))
        recalls.empty(self._store.root)
        yield True
        if self._ttl_ns is not None:
            slack_ns = 0 if thorough else self._ttl_ns // _SLACK_SHARE
            if expired(self._store.writer, self._clock.wall_ns(), self._ttl_ns + slack_ns):
                for name, span in expired(self._store.writer, self._clock.wall_ns(), self._ttl_ns):
                    counts["expired"] += self._erase_span(name, span)
                    yield True
        for stream, run, goes_on in list(ready_runs(self._store.writer)):
            if self._room is not None:
                self._room.make_room(0)
            run = self._as_it_is(run)
            yield from self._sum_up(stream, run, goes_on, counts)
        if thorough and self._room is not None:
            yield from self._sink(self._room)

    def _sum_up(self, stream: int, run: list[Event], goes_on: bool, counts: Counter[str]) -> Iterator[bool]:
        """Merge what repeats in a run and build its episodes, as far as they are settled."""
        loose: list[Event] = []
        while run:
            chunk, run = run[:_CHUNK_EVENTS], run[_CHUNK_EVENTS:]
            more = goes_on or bool(run)
            with self._store.transaction() as db:
                loose, merged = merge_repeats(db, stream, loose + chunk)
            counts["repeats"] += merged
            yield True
            while window := settled(loose, more):
                parts = partition(self._store.writer, stream, window)
                if len(parts) > 1 and (more or len(window) < len(loose)):
                    del parts[-1]  # what follows may belong to it
                for events in parts:
                    with self._store.transaction() as db:
                        build(db, events)
                    counts["episodes"] += 1
                    yield True
                loose = loose[sum(map(len, parts)) :]
            if run and self._room is not None:
                self._room.make_room(0)
                loose, run = self._as_it_is(loose), self._as_it_is(run)

    def _as_it_is(self, run: list[Event]) -> list[Event]:
        """A run after some of its events may have been joined."""
        find = "SELECT id, start_ns, end_ns FROM event WHERE id = ?"
        found = [self._store.writer.execute(find, (event,)).fetchone() for event, _, _ in run]
        return [row for row in found if row is not None]

    def _sink(self, room: Room) -> Iterator[bool]:
        """Demote down to the low mark, a part at a time."""
        filled = room.budget.filled()
        while filled > room.budget.low_bytes:
            room.demote(max(room.budget.low_bytes, filled - room.budget.part_bytes))
            yield True
            left = room.budget.filled()
            if left >= filled:
                break
            filled = left
        room.tidy()

    def _watched(self) -> tuple[int, int]:
        """Stream time watched, and how much of it at the last consolidation."""
        row: sqlite3.Row = self._store.writer.execute(
            "SELECT coalesce(sum(watched_end_ns - watched_start_ns), 0), (SELECT consolidated_ns FROM memory) "
            "FROM stream"
        ).fetchone()
        return row[0], row[1]
