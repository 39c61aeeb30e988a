"""`Memory`: one directory that keeps what was perceived, and gives it back.

    with Memory.open("my.memory", text_encoder=MiniLM(), mode="w") as memory:
        memory.write([StreamStart(...), Observation(...), Watermark(...), EndOfStream(...)])
        hits = memory.search(Query(text="a red car", k=5))

One writer, any number of readers, in any processes. A write is one transaction that is on disk when the call
returns; sending the same items again changes nothing. Reads see all that was committed before the call.
Every method may be called from any thread; writing does not hold up reading.
"""

from __future__ import annotations

import threading
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

from jaxtyping import Float32
from numpy import ndarray

from reverie.clock import Clock, SystemClock
from reverie.errors import MemoryStoreError, UsageError, half_a_character
from reverie.memory import recalls
from reverie.memory.bounded_erase import erase_within
from reverie.memory.browse import Browse
from reverie.memory.budget import Budget
from reverie.memory.completion import Completion
from reverie.memory.config import MemoryConfig
from reverie.memory.consolidation import Consolidation
from reverie.memory.copies import copies_of, drop_copies
from reverie.memory.erase import Target
from reverie.memory.finisher import Finisher
from reverie.memory.ingest import Ingest
from reverie.memory.names import Names
from reverie.memory.picture_check import named_pictures
from reverie.memory.records import ForgetReceipt, Tally, WriteReceipt
from reverie.memory.room import Room
from reverie.memory.schema import MODALITIES
from reverie.memory.search import Search
from reverie.memory.semantic import Semantic
from reverie.memory.store import Store
from reverie.memory.upkeep import Upkeep
from reverie.types import Item, TextEncoder, TimeSpan, ns


class Memory(Upkeep, Semantic):
    """An open memory; made by `Memory.open`."""

    def __init__(
        self,
        store: Store,
        text_encoder: TextEncoder,
        query_encoders: Mapping[str, TextEncoder],
        clock: Clock,
        config: MemoryConfig,
        key: bytes | None = None,
    ) -> None:
        self._store, self._config, self._text_encoder = store, config, text_encoder
        self._clock, self._key = clock, key
        self._write_lock, self._read_lock = threading.Lock(), threading.RLock()
        self._closed = False
        gap_s = config.segmentation.gap_s
        self._search = Search(store.reader, text_encoder, query_encoders, config.search, gap_s)
        self._browse = Browse(
            store.reader, self._search.index, self._search.passages, gap_s, config.search.writing_gap_s
        )
        self._completion = Completion(
            store.reader, self._search.index, self._search.passages, config.search.sentence_share
        )
        self._ingest: Ingest | None = None
        self._room: Room | None = None
        self._consolidation: Consolidation | None = None
        if store.mode == "w":
            names = Names(store.writer, text_encoder, query_encoders)
            self._ingest = Ingest(
                store.writer,
                names,
                text_encoder,
                clock,
                config.segmentation,
                config.max_picture_bytes,
                store.pictures.name_of,
                config.extract_facts,
            )
            if config.max_bytes is not None:
                budget = Budget(store, config.max_bytes, config.max_picture_bytes)
                self._room = Room(store, budget, config.forgetting, ns(config.short_term_s), config.word_filter_bits)
            ttl_ns = None if config.ttl_s is None else ns(config.ttl_s)
            every_ns = ns(config.consolidate_every_s)
            self._consolidation = Consolidation(store, self._room, clock, ttl_ns, every_ns, self._expire)
        self._finisher = Finisher(self._finish)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        text_encoder: TextEncoder,
        mode: Literal["r", "w"] = "r",
        query_encoders: Mapping[str, TextEncoder] | None = None,
        clock: Clock | None = None,
        config: MemoryConfig | None = None,
        key: bytes | str | None = None,
    ) -> Memory:
        """Open the memory in a directory; mode "w" makes it if need be.

        Opened for writing, one that takes more than `max_bytes` is made coarser until it fits.

        Args:
            path: the directory, on a local disk.
            text_encoder: embeds what is said and written, names, and questions.
            mode: "w" for the one writer, "r" for a reader.
            query_encoders: by the `encoder` of picture and sound vectors, what embeds a question into their
                space. Vectors named by `text_encoder.encoder_id` need none; others without one are
                not compared with questions (their labels still are).
            clock: gives the wall time of a stream's first write.
            config: options; the defaults suit the embedded profile.
            key: encrypts a new memory, opens an encrypted one (see `reverie.memory.encryption`).

        Raises:
            MemoryLocked: another writer has it.
            MemoryDamaged, MemoryTooNew: the file cannot be read; it stays as it is.
            MemoryFull: no space to create it, or a reader holds the log of one that has to shrink to `max_bytes`.
            MemoryStoreError: mode "r" and nothing is there.
            MemoryKeyError: the key is missing or wrong, or the memory is not encrypted.
            ConfigError: mode "w", and what is pinned takes more than half of `max_bytes`, or, with all else that cannot
                fade, more than it. Nothing was made coarser.
        """
        config = config or MemoryConfig()
        key = key.encode() if isinstance(key, str) else key
        store = Store(Path(path), mode, config.store, key)
        try:
            with store.errors():
                memory = cls(store, text_encoder, query_encoders or {}, clock or SystemClock(), config, key)
                if mode == "w":
                    memory._remove_orphans()
                    memory._check_pins()
                    memory._fit()
            if not store.settled:
                memory._finisher.start()
            return memory
        except BaseException:
            store.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close. Idempotent; a call that is under way ends first."""
        self._finisher.stop()
        with self._write_lock, self._read_lock:
            self._closed = True
            self._store.close()

    # --- writing ------------------------------------------------------------------------------

    def write(self, items: Sequence[Item]) -> WriteReceipt:
        """Commit a batch, whole or not at all; it is durable when this returns.

        A batch too large for one transaction in the byte budget is committed in parts: when one fails, those
        before it stay, and sending the batch again adds the rest.

        Observations are expected in (pts, modality, seq) order of their stream. One that comes out of order is
        kept and counted as `late`; one that is there already is ignored; one that carries a vector or number
        that cannot be is refused and counted. Watermarks say how far the stream was watched.

        Raises:
            MemoryFull: no space on the disk or in the budget; the same call may succeed later.
            MemoryStoreError: opened for reading, or closed.
            TypeError: for frames and chunks of sound.
        """
        with self._writing(consolidating=True) as ingest:
            tally = Tally()
            kept = ingest.sift(items, tally)
            vectors = ingest.embed(kept)
            bytes_before = self._store.num_database_bytes()
            num_pictures = picture_bytes = 0
            for part, needed_bytes in self._parts(kept, vectors):
                if self._room is not None and self._room.make_room(needed_bytes, len(part) == 1):
                    ingest.reset()  # what is kept in mind is read back from the rows that are left
                written = self._commit(ingest, part, vectors, tally)
                num_pictures += len(written)
                picture_bytes += sum(len(tally.pictures[name]) for name in written)
                tally.pictures.clear()
            grown = self._store.num_database_bytes() - bytes_before
            if self._consolidation is not None and self._consolidation.advance(len(items)):
                ingest.reset()
            return tally.receipt(num_pictures, max(0, grown) + picture_bytes)

    def forget(
        self,
        *,
        span: TimeSpan | None = None,
        stream_ids: Sequence[str] = (),
        text: str | None = None,
        entity: str | None = None,
        everything: bool = False,
        copies_too: bool = False,
        dry_run: bool = False,
    ) -> ForgetReceipt:
        """Delete for good: a span (of all streams, or some), whole streams, what holds words, an entity, or everything.

        With no `text`, what overlaps the span goes whole. With `text`, what holds all of its words does, and the key
        frames of these moments (see `reverie.memory.erase_text`), in the span and streams if any are named.
        Afterwards no file of the directory holds a byte of it, unless the receipt says that it is not complete: then a
        reader holds the log, and it is finished in the background as soon as that lets go.

        Args:
            span: media time.
            stream_ids: only of these.
            text: words, all of which one text or name has to hold.
            entity: a name that was taught. Its looks and sounds go, and all that holds the name or an alias, as with
                `text`; what merely looks like it stays.
            everything: all streams, whole.
            copies_too: with `everything`, also the list of copies that were made.
            dry_run: only count what would go.

        Raises:
            UsageError: nothing was named, or a stream or an entity that is not there, a text without words, or an
                entity together with something else.
        """
        if not (span or stream_ids or everything or text is not None or entity is not None):
            raise UsageError("say what to forget: a span, a stream, words, an entity, or everything")
        if entity is not None and (span or stream_ids or everything or text is not None):
            raise UsageError("an entity is forgotten whole: name nothing beside it")
        if copies_too and not everything:
            raise UsageError("the list of copies can be forgotten only together with everything")
        self.require_streams(stream_ids)
        target = Target(
            span=None if everything else span,
            stream_ids=() if everything else tuple(stream_ids),
            text=None if everything else text,
            entity=entity,
        )
        with self._writing():
            copies = copies_of(self.root, self._store.cipher)
            receipt = self._erase(target, dry_run)
            if copies_too and not dry_run:
                drop_copies(self.root)
            return replace(receipt, copies=copies)

    # --- keeping it safe ----------------------------------------------------------------------

    # --- inside -------------------------------------------------------------------------------

    def _erase(self, target: Target, dry_run: bool = False, expired: bool = False) -> ForgetReceipt:
        """`expired`: one of many spans, after which consolidation looks through the pages once."""
        assert self._ingest is not None
        bytes_before = _directory_bytes(self.root)
        gap_ns = ns(self._config.segmentation.gap_s)
        try:
            erased = erase_within(self._store, self._room, target, gap_ns, dry_run)
        except BaseException:  # a part may have gone
            self._ingest.reset()
            self._rank_again()
            self._remove_orphans()
            raise
        complete = True
        if not dry_run:
            self._ingest.reset()
            recalls.empty(self.root)
            self._rank_again()
            self._store.pictures.remove(erased.pictures)
            with self._read_lock:
                self._search.passages.forget_names()
                complete = self._store.reclaim(erased=not expired)
            if not complete:
                self._finisher.start()
        return ForgetReceipt(
            senses={str(MODALITIES[code]): count for code, count in sorted(erased.senses.items())},
            vectors=erased.vectors,
            tracks=erased.tracks,
            events=erased.events,
            labels=erased.labels,
            pictures=len(erased.pictures),
            facts=erased.derived["fact"],
            notes=erased.derived["note"],
            entities=erased.derived["entity"],
            templates=erased.derived["template"],
            bytes_freed=0 if dry_run else max(0, bytes_before - _directory_bytes(self.root)),
            complete=complete,
            less_familiar_hours=len(erased.less_familiar),
            word_filters=erased.word_filters,
            dry_run=dry_run,
            found=tuple(erased.found) if dry_run else (),
        )

    def _expire(self, stream_id: str, span: TimeSpan) -> int:
        return self._erase(Target(span=span, stream_ids=(stream_id,)), expired=True).observations

    def _parts(self, items: list[Item], embedded: Container[str]) -> Iterable[tuple[list[Item], int]]:
        if self._room is not None:
            return self._room.budget.parts(items, embedded)
        return [(items, 0)] if items else []

    def _commit(
        self, ingest: Ingest, items: list[Item], vectors: Mapping[str, Float32[ndarray, "d"]], tally: Tally
    ) -> list[str]:
        """One transaction; return the names of the pictures that are new."""
        written: list[str] = []
        try:
            with self._store.transaction():
                ingest.apply(items, vectors, tally)
                written = self._store.pictures.write(sorted(tally.pictures.items()))
        except BaseException:
            ingest.reset()
            # Ctrl+C may come after the commit: what rows name stays.
            self._store.pictures.remove(set(written) - named_pictures(self._store.writer))
            raise
        return written

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with self._store.errors():
                yield
        except UnicodeEncodeError as error:
            raise half_a_character(error) from error

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._read_lock, self._errors():
            if self._closed:
                raise MemoryStoreError(f"the memory at {self.root} is closed: open it again")
            self._search.passages.begin()
            yield

    @contextmanager
    def _writing(self, consolidating: bool = False, needed_bytes: int = 0) -> Iterator[Ingest]:
        with self._write_lock, self._errors():
            if self._closed:
                raise MemoryStoreError(f"the memory at {self.root} is closed: open it again")
            if self._ingest is None:
                raise MemoryStoreError(f"the memory at {self.root} is open for reading: open it with mode='w'")
            if self._consolidation is not None and not consolidating:
                self._consolidation.stop()
            if needed_bytes and self._room is not None and self._room.make_room(needed_bytes, True):
                self._ingest.reset()
            yield self._ingest
            if self._room is not None:
                self._room.fold_log()

    def _finish(self) -> bool:
        """One try to fold what was forgotten out of the log."""
        with self._write_lock, self._read_lock:
            return self._closed or self._store.reclaim(patient=False, erased=True)

    def _fit(self) -> None:
        """Into the budget, where a larger one has been used."""
        with self._writing() as ingest:
            if self._room is not None and self._room.fit():
                ingest.reset()

    def _remove_orphans(self) -> None:
        """Pictures whose row was never committed."""
        self._store.pictures.remove_orphans(named_pictures(self._store.writer))

    @contextmanager
    def _paused(self) -> Iterator[bool]:
        """No write of this process goes on meanwhile, and there is no other writer."""
        with self._write_lock:
            yield True


def _directory_bytes(root: Path) -> int:
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
