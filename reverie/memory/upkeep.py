"""The upkeep of a `Memory`, which inherits it: consolidating, pinning, copying, checking, embedding anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reverie.errors import ConfigError, UsageError
from reverie.memory import pins
from reverie.memory.backup import BackupReceipt, copy_memory
from reverie.memory.reading import Reading
from reverie.memory.records import ConsolidationReceipt, PinRecord
from reverie.memory.reencode import PictureEncoder, ReencodeReceipt, reencode
from reverie.memory.verify import VerifyReport, verify
from reverie.memory.verify import repair as mend
from reverie.types import TimeSpan


class Upkeep(Reading):
    """What keeps an open memory small, safe and sound."""

    def consolidate(self, max_s: float | None = None) -> ConsolidationReceipt:
        """Fold in recalls, erase what expired, merge repeats, build episodes, and demote down to the low mark.

        Writing does so by itself every `consolidate_every_s`, apart from the last. With `max_s` it stops at the first
        point after that many seconds; calling it again goes on.
        """
        with self._writing() as ingest:
            assert self._consolidation is not None
            try:
                return self._consolidation.run(max_s)
            finally:
                ingest.reset()

    def pin(self, span: TimeSpan | None = None, stream_ids: Sequence[str] = ()) -> list[PinRecord]:
        """Never make a span coarser: of all streams or of some; whole streams without one. Return all pins.

        A pin covers what has been watched by now, spares every event that it touches, and does not expire.

        Raises:
            UsageError: what is pinned would take more than half of the budget, nothing lies there, or a stream is not
                there.
        """
        self.require_streams(stream_ids)
        with self._writing():
            with self._store.transaction() as db:
                there = [pins.add(db, row, span) for row in self._rows_of(stream_ids)]
                if not any(there):
                    raise UsageError("nothing was watched there: pin a span that was, see `reverie timeline`")
                taken, limit = pins.pinned_bytes(db, self.root), self._config.max_bytes
                if limit is not None and taken * pins.SHARE > limit:
                    raise UsageError(
                        f"with this, pins would take {taken} bytes, more than half of the budget of {limit}: pin less, "
                        "unpin something, or raise max_bytes"
                    )
            self._rank_again()
        return self.pins()

    def unpin(self, span: TimeSpan | None = None, stream_ids: Sequence[str] = ()) -> list[PinRecord]:
        """Let a span fade again: of all streams or of some; all of them without one. Return what stays pinned.

        Raises:
            UsageError: a stream that is not there.
        """
        self.require_streams(stream_ids)
        with self._writing():
            with self._store.transaction() as db:
                for row in self._rows_of(stream_ids):
                    pins.cut(db, row, span)
            self._rank_again()
        return self.pins()

    @property
    def settled(self) -> bool:
        """Whether no byte of what was forgotten may still stand in the log, because a reader held it."""
        return self._store.settled

    def backup(self, target: str | Path) -> BackupReceipt:
        """Copy the memory, as it is at one moment, into a new directory that is a memory itself.

        Writing and reading go on meanwhile. The copy is there whole and on disk when this returns, or not at all.
        Key frames on the same file system are hard links: they take no space, but a broken disk takes both.

        Raises:
            UsageError: `target` is there and not empty, or inside of the memory.
            MemoryDamaged: the memory cannot be read; see `verify`.
            MemoryFull: no space for the copy.
        """
        return copy_memory(self.root, Path(target), key=self._key, clock=self._clock)

    def verify(self, repair: bool = False) -> VerifyReport:
        """Find and name damage; see `reverie.memory.verify`.

        With `repair` (mode "w") also mend what loses nothing: text indexes made anew, names of key frames that are
        gone dropped, files that no row names removed.
        """
        if not repair:
            return verify(self.root, key=self._key, quiet=self._paused if self._ingest is not None else None)
        with self._writing() as ingest:
            try:
                return mend(self._store, self._key)
            finally:
                ingest.reset()

    def reencode(self, pictures: PictureEncoder | None = None) -> ReencodeReceipt:
        """Embed what is kept anew, after a change of encoder: texts and names by the memory's text encoder.

        Args:
            pictures: embeds kept key frames; None leaves the vectors of pictures as they are.

        In small transactions; one that was cut short goes on at the next call. Until then, and for what cannot be
        embedded again, questions are carried over to the old vectors (see `reverie.memory.anchors`).

        Raises:
            MemoryFull: no space on the disk or in the budget; where anchors and names cannot fit, nothing was changed.
            MemoryStoreError: opened for reading, or closed.
        """
        with self._writing() as ingest:
            try:
                return reencode(self._store, ingest.names, self._text_encoder, pictures, self._room)
            finally:
                ingest.reset()

    def _check_pins(self) -> None:
        taken, limit = pins.pinned_bytes(self._store.writer, self.root), self._config.max_bytes
        if limit is not None and taken * pins.SHARE > limit:
            raise ConfigError(
                f"what is pinned in the memory at {self.root} takes {taken} bytes, more than half of the budget of "
                f"{limit}: open it with max_bytes of at least {taken * pins.SHARE}, or let some of it fade "
                "again: reverie memory unpin; until then it can be read"
            )

    def _rank_again(self) -> None:
        if self._room is not None:
            self._room.rank_again()

    def _rows_of(self, stream_ids: Sequence[str]) -> list[int]:
        """Numbers of the named streams, of all without names."""
        rows = self._store.writer.execute("SELECT name, id FROM stream ORDER BY id").fetchall()
        return [row for name, row in rows if not stream_ids or name in stream_ids]
