"""Consolidation: what memory does with what it has, beside taking in more. Every 10 minutes of stream, or when asked.

    recalls     what searches found grows stronger
    expiry      what is past its time to live is erased for good
    repeats     neighbouring events that differ in nothing become one
    episodes    consecutive events are summed up, while they are still there
    demotion    the least retained become coarser, down to the low mark (while it writes, `room` sees to that)

In small transactions, each of which leaves a whole memory: a consolidation that was killed or ran out of time goes on
where it stopped when it is next asked for, because what is left to do is read from the rows. Beside writing it goes a
few steps with each write, as many as that has items for, so that none waits for all of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise

from reverie.clock import Clock
from reverie.memory import recalls
from reverie.memory.centroids import Sums, sums_of
from reverie.memory.coarse_codes import Decoder
from reverie.memory.episodes import Event, build, partition, ready_runs, settled
from reverie.memory.expiry import expired
from reverie.memory.records import ConsolidationReceipt
from reverie.memory.repeats import merge_repeats
from reverie.memory.room import Room
from reverie.memory.store import Store
from reverie.types import NS_PER_S, TimeSpan

_SLACK_SHARE = 100  # of the time to live: erasing goes through all words, so it is not done for every minute
_CHUNK_EVENTS = 16  # compared in one transaction
_MOST_SUMS = 8  # events whose vectors are added up in one step
_ITEMS_A_STEP = 8  # of a write
_FAR_NS = 1 << 62
EraseSpan = Callable[[str, TimeSpan], int]  # erases for good, returns how many observations went


class Consolidation:
    """Of one open memory. Not thread-safe: `Memory` holds its write lock around it."""

    def __init__(
        self, store: Store, room: Room | None, clock: Clock, ttl_ns: int | None, every_ns: int, erase_span: EraseSpan
    ) -> None:
        self._store, self._room, self._clock = store, room, clock
        self._ttl_ns, self._every_ns, self._erase_span = ttl_ns, every_ns, erase_span
        self._under_way: Iterator[bool] | None = None
        self._touched = False

    def advance(self, num_items: int) -> bool:
        """A few steps after a write of so many items, if one is due. Return whether the short term was touched.

        It stays quick: a little past the time to live is left for later, and so is demotion.
        """
        self._touched = False
        if self._under_way is None and self._is_due():
            self._under_way = self._steps(Counter[str](), thorough=False)
        if self._under_way is not None:
            for _ in range(1 + num_items // _ITEMS_A_STEP):
                if next(self._under_way, None) is None:
                    self._under_way = None
                    break
                if self._room is not None:
                    self._room.fold_log()
        return self._touched

    def stop(self) -> None:
        """Before rows change otherwise than by writing: what is left is done by the next one."""
        self._under_way = None

    def _is_due(self) -> bool:
        """Whether enough was watched since the last one, counted over all streams."""
        watched_ns, last_ns = self._watched()
        return abs(watched_ns - last_ns) >= self._every_ns

    def run(self, max_s: float | None = None) -> ConsolidationReceipt:
        """All of it, or as many steps as begin within `max_s`."""
        began_ns, counts, complete = self._clock.monotonic_ns(), Counter[str](), True
        bytes_before = self._room.budget.filled() if self._room else 0
        steps = self._steps(counts, thorough=True)
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
                self._store.reclaim(erased=True)
                yield True
        for stream, run, goes_on in list(ready_runs(self._store.writer)):
            yield from self._sum_up(stream, run, goes_on, counts)
        if thorough and self._room is not None:
            yield from self._sink(self._room)

    def _sum_up(self, stream: int, run: list[Event], goes_on: bool, counts: Counter[str]) -> Iterator[bool]:
        """Merge what repeats in a run and build its episodes, as far as they are settled."""
        loose: list[Event] = []
        sums: dict[Event, Sums] = {}
        while run:
            self._make_room()
            chunk, run = run[:_CHUNK_EVENTS], run[_CHUNK_EVENTS:]
            more = goes_on or bool(run)
            whole = self._as_it_is(loose + chunk)
            if not whole or (run and whole[-1][2] != run[0][1]):
                run = []  # broken since it was listed: what follows is another run
            compared_before = max(len(loose) - 1, 0)
            with self._store.transaction() as db:
                kept, merged = merge_repeats(db, stream, whole[compared_before:])
            counts["repeats"] += merged
            loose = whole[:compared_before] + kept
            yield True
            loose = self._as_it_is(loose)
            while window := settled(loose, more):
                if new := [event for event in window if event not in sums][:_MOST_SUMS]:
                    decoder = Decoder(self._store.writer)
                    sums |= {event: sums_of(self._store.writer, decoder, stream, *event[1:]) for event in new}
                    yield True
                    loose = self._as_it_is(loose)
                    continue
                parts = partition(window, sums)
                if len(parts) > 1 and (more or len(window) < len(loose)):
                    del parts[-1]  # what follows may belong to it
                yield True
                for part in parts:
                    if events := self._as_it_is([event for event in window if event[0] in part]):
                        with self._store.transaction() as db:
                            build(db, [event for event, _, _ in events])
                        counts["episodes"] += 1
                        yield True
                loose = self._as_it_is(loose[sum(map(len, parts)) :])

    def _make_room(self) -> None:
        if self._room is not None:
            self._touched |= self._room.make_room(0)

    def _as_it_is(self, run: list[Event]) -> list[Event]:
        """A run after others were written: some of its events may have been joined or let go. Up to the first break."""
        find = "SELECT id, start_ns, end_ns FROM event WHERE id = ? AND episode IS NULL"
        found = [self._store.writer.execute(find, (event,)).fetchone() for event, _, _ in run]
        left = [row for row in found if row is not None]
        broken = [place for place, (a, b) in enumerate(pairwise(left), 1) if a[2] != b[1]]
        return left[: broken[0]] if broken else left

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
        """Stream time watched (beyond what SQL sums, where clocks leapt), and how much at the last consolidation."""
        db = self._store.writer
        spans = db.execute("SELECT coalesce(watched_start_ns, watched_end_ns), watched_end_ns FROM stream")
        watched_ns = sum(end_ns - start_ns for start_ns, end_ns in spans if end_ns is not None)
        return watched_ns % _FAR_NS, db.execute("SELECT consolidated_ns FROM memory").fetchone()[0]
