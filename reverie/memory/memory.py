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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Self

from jaxtyping import Float32
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field

from reverie.clock import Clock, SystemClock
from reverie.errors import MemoryStoreError, UsageError
from reverie.memory import export as exports
from reverie.memory.backup import BackupReceipt, copy_memory
from reverie.memory.browse import Browse
from reverie.memory.budget import Budget
from reverie.memory.consolidation import Consolidation
from reverie.memory.erase import erase
from reverie.memory.ingest import Ingest
from reverie.memory.names import Names
from reverie.memory.picture_check import named_pictures
from reverie.memory.records import ForgetReceipt, GapRecord, LabelCount, MemoryStats, Tally, WriteReceipt
from reverie.memory.reencode import PictureEncoder, ReencodeReceipt, reencode
from reverie.memory.search import Search
from reverie.memory.search_config import SearchConfig
from reverie.memory.segmentation import SegmentationConfig
from reverie.memory.store import Store, StoreConfig
from reverie.memory.verify import VerifyReport, verify
from reverie.memory.verify import repair as mend
from reverie.types import Event, Hit, Item, Modality, Observation, Query, StreamRecord, TextEncoder, TimeSpan, Track, ns


class MemoryConfig(BaseModel):
    """All options of a memory."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    store: StoreConfig = StoreConfig()
    segmentation: SegmentationConfig = SegmentationConfig()
    search: SearchConfig = SearchConfig()
    max_bytes: int | None = Field(
        4 << 30,
        ge=1 << 20,
        description="Disk that the directory may take (kept within 5 %): older events become coarser. None: no limit.",
    )
    short_term_s: float = Field(
        600.0, ge=0, description="The newest part of a stream, made coarser only when all else is not enough."
    )
    max_picture_bytes: int = Field(256 * 1024, ge=0, description="A larger thumbnail is not kept as a key frame.")


class Memory:
    """An open memory; made by `Memory.open`."""

    def __init__(
        self,
        store: Store,
        text_encoder: TextEncoder,
        query_encoders: Mapping[str, TextEncoder],
        clock: Clock,
        config: MemoryConfig,
    ) -> None:
        self._store, self._config, self._text_encoder = store, config, text_encoder
        self._write_lock, self._read_lock = threading.Lock(), threading.RLock()
        self._closed = False
        gap_s = config.segmentation.gap_s
        self._search = Search(store.reader, text_encoder, query_encoders, config.search, gap_s)
        self._browse = Browse(
            store.reader, self._search.index, self._search.passages, gap_s, config.search.writing_gap_s
        )
        self._ingest: Ingest | None = None
        self._consolidation: Consolidation | None = None
        if store.mode == "w":
            names = Names(store.writer, text_encoder, query_encoders)
            self._ingest = Ingest(
                store.writer, names, text_encoder, clock, config.segmentation, config.max_picture_bytes
            )
            if config.max_bytes is not None:
                budget = Budget(store, config.max_bytes)
                self._consolidation = Consolidation(store, budget, ns(config.short_term_s))

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
    ) -> Memory:
        """Open the memory in a directory; mode "w" makes it if need be.

        Args:
            path: the directory, on a local disk.
            text_encoder: embeds what is said and written, names, and questions.
            mode: "w" for the one writer, "r" for a reader.
            query_encoders: by the `encoder` of picture and sound vectors, what embeds a question into their
                space. Vectors named by `text_encoder.encoder_id` need none; others without one are
                not compared with questions (their labels still are).
            clock: gives the wall time of a stream's first write.
            config: options; the defaults suit the embedded profile.

        Raises:
            MemoryLocked: another writer has it.
            MemoryDamaged, MemoryTooNew: the file cannot be read; it stays as it is.
            MemoryFull: no space to create it.
            MemoryStoreError: mode "r" and nothing is there.
        """
        config = config or MemoryConfig()
        store = Store(Path(path), mode, config.store)
        try:
            with store.errors():
                memory = cls(store, text_encoder, query_encoders or {}, clock or SystemClock(), config)
                if mode == "w":
                    memory._remove_orphans()
            return memory
        except BaseException:
            store.close()
            raise

    @property
    def root(self) -> Path:
        """The directory, which the `thumbnail` of hits, events and tracks is relative to."""
        return self._store.root

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close. Idempotent; a call that is under way ends first."""
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
        with self._writing() as ingest:
            tally = Tally()
            kept = ingest.sift(items, tally)
            vectors = ingest.embed(kept)
            bytes_before = self._store.num_database_bytes()
            num_pictures = picture_bytes = 0
            for part, needed_bytes in self._parts(kept):
                if self._consolidation is not None and self._consolidation.make_room(needed_bytes):
                    ingest.reset()  # what is kept in mind is read back from the rows that are left
                written = self._commit(ingest, part, vectors, tally)
                num_pictures += len(written)
                picture_bytes += sum(len(tally.pictures[name]) for name in written)
                tally.pictures.clear()
            grown = self._store.num_database_bytes() - bytes_before
            return tally.receipt(num_pictures, max(0, grown) + picture_bytes)

    def forget(
        self,
        *,
        span: TimeSpan | None = None,
        stream_ids: Sequence[str] = (),
        everything: bool = False,
    ) -> ForgetReceipt:
        """Delete for good: a span (of all streams, or of some), whole streams, or everything.

        What overlaps the span goes whole. Afterwards no file of the directory holds a byte of it, unless the
        receipt says that it is not complete.

        Raises:
            UsageError: nothing was named, or a stream that is not there.
        """
        if not (span or stream_ids or everything):
            raise UsageError("say what to forget: a span, a stream, or everything")
        self.require_streams(stream_ids)
        with self._writing() as ingest:
            bytes_before = _directory_bytes(self.root)
            with self._store.transaction(synced=True) as connection:
                gap_ns = ns(self._config.segmentation.gap_s)
                erased = erase(connection, None if everything else span, tuple(stream_ids), everything, gap_ns)
            ingest.reset()
            self._store.pictures.remove(erased.pictures)
            with self._read_lock:
                self._search.passages.forget_names()
                complete = self._store.reclaim()
            return ForgetReceipt(
                observations=erased.observations,
                tracks=erased.tracks,
                events=erased.events,
                labels=erased.labels,
                pictures=len(erased.pictures),
                bytes_freed=max(0, bytes_before - _directory_bytes(self.root)),
                complete=complete,
            )

    # --- reading ------------------------------------------------------------------------------

    def committed(self, stream_id: str) -> int | None:
        """The media time before which all of a stream is here; None when nothing says so yet."""
        with self._reading():
            row = self._store.reader.execute("SELECT committed_ns FROM stream WHERE name = ?", (stream_id,)).fetchone()
            return row[0] if row else None

    def search(self, query: Query) -> list[Hit]:
        """The `k` best passages, in time order; `Hit.score` ranks them. Without text: the `k` latest."""
        with self._reading():
            if query.k <= 0:
                return []
            if not query.text.strip():
                return self._browse.observations(query.modalities, query.stream_ids, query.span, query.k, newest=True)
            return self._search.search(query)

    def timeline(self, span: TimeSpan | None = None, stream_ids: tuple[str, ...] = ()) -> list[Event]:
        """Events that overlap the span, in time order. The one still going on has `open` set."""
        with self._reading():
            return self._browse.timeline(span, stream_ids)

    def streams(self) -> list[StreamRecord]:
        """Every stream, in the order in which they were first written."""
        with self._reading():
            return self._browse.streams()

    def require_streams(self, stream_ids: Sequence[str]) -> None:
        """Raise UsageError if one of these streams is not there."""
        known = [record.stream_id for record in self.streams()]
        if unknown := [name for name in stream_ids if name not in known]:
            there = ", ".join(map(repr, known)) or "none"
            raise UsageError(f"no stream is called {unknown[0]!r}; the memory has {there}")

    def tracks(
        self, name: str | None = None, stream_ids: tuple[str, ...] = (), span: TimeSpan | None = None
    ) -> list[Track]:
        """Visits of things, by exact name (None: any), that overlap the span, in time order."""
        with self._reading():
            return self._browse.tracks(name, stream_ids, span)

    def labels(self) -> list[LabelCount]:
        """Every name that was seen or heard, commonest first."""
        with self._reading():
            return self._browse.labels()

    def gaps(self, stream_ids: tuple[str, ...] = ()) -> list[GapRecord]:
        """What was lost or forgotten."""
        with self._reading():
            return self._browse.gaps(stream_ids)

    def observations(
        self,
        modalities: tuple[Modality, ...] = (),
        stream_ids: tuple[str, ...] = (),
        span: TimeSpan | None = None,
        limit: int = 1000,
        newest: bool = False,
    ) -> list[Hit]:
        """All passages of some senses in time order, at most `limit`, the oldest (or newest) of them."""
        with self._reading():
            return self._browse.observations(modalities, stream_ids, span, limit, newest)

    def latest(self, duration_ns: int, stream_ids: tuple[str, ...] = ()) -> list[Hit]:
        """What was perceived in the last `duration_ns` of the newest stream, or of each that is named."""
        with self._reading():
            return self._browse.latest(duration_ns, stream_ids)

    def rows(
        self,
        span: TimeSpan | None = None,
        modalities: tuple[Modality, ...] = (),
        stream_ids: tuple[str, ...] = (),
        vectors: bool = False,
    ) -> list[Observation]:
        """Observations as they are kept: no thumbnails, text embedded, vectors decoded if asked for."""
        with self._reading():
            return list(self._browse.rows(span, modalities, stream_ids, vectors))

    def stats(self) -> MemoryStats:
        """How much is remembered, and the bytes it takes."""
        with self._reading():
            return self._browse.stats(self.root)

    def export(self, format: str, stream_ids: tuple[str, ...] = ()) -> bytes:
        """The memory, or some of its streams, as srt or vtt (speech), json, or parquet (observations).

        Raises:
            UsageError: unknown format or stream, or subtitles of several streams in one file.
        """
        kind = exports.check_format(format)
        self.require_streams(stream_ids)
        if kind == "parquet":
            return exports.as_parquet(self.rows(stream_ids=stream_ids, vectors=True))
        if kind == "json":
            streams = [record for record in self.streams() if not stream_ids or record.stream_id in stream_ids]
            rows, tracks = self.rows(stream_ids=stream_ids), self.tracks(stream_ids=stream_ids)
            return exports.as_json(streams, self.timeline(stream_ids=stream_ids), rows, tracks, self.gaps(stream_ids))
        speech = self.rows(modalities=(Modality.SPEECH,), stream_ids=stream_ids)
        spoken = sorted({said.stream_id for said in speech})
        if len(spoken) > 1:
            raise UsageError(f"subtitles belong to one stream: choose one of {', '.join(spoken)}")
        return exports.subtitles(speech, kind)

    # --- keeping it safe ----------------------------------------------------------------------

    def backup(self, target: str | Path) -> BackupReceipt:
        """Copy the memory, as it is at one moment, into a new directory that is a memory itself.

        Writing and reading go on meanwhile. The copy is there whole and on disk when this returns, or not at all.
        Key frames on the same file system are hard links: they take no space, but a broken disk takes both.

        Raises:
            UsageError: `target` is there and not empty, or inside of the memory.
            MemoryDamaged: the memory cannot be read; see `verify`.
            MemoryFull: no space for the copy.
        """
        return copy_memory(self.root, Path(target))

    def verify(self, repair: bool = False) -> VerifyReport:
        """Find and name damage; see `reverie.memory.verify`.

        With `repair` (mode "w") also mend what loses nothing: text indexes made anew, names of key frames that are
        gone dropped, files that no row names removed.
        """
        if not repair:
            return verify(self.root, quiet=self._paused if self._ingest is not None else None)
        with self._writing() as ingest:
            try:
                return mend(self._store)
            finally:
                ingest.reset()

    def reencode(self, pictures: PictureEncoder | None = None) -> ReencodeReceipt:
        """Embed what is kept anew, after a change of encoder: texts and names by the memory's text encoder.

        Args:
            pictures: embeds kept key frames; None leaves the vectors of pictures as they are.

        In small transactions; one that was cut short goes on at the next call. Until then, and for what cannot be
        embedded again, questions are carried over to the old vectors (see `reverie.memory.anchors`).

        Raises:
            MemoryFull: no space on the disk or in the budget.
            MemoryStoreError: opened for reading, or closed.
        """
        with self._writing() as ingest:
            room = self._consolidation.make_room if self._consolidation is not None else int
            try:
                return reencode(self._store, ingest.names, self._text_encoder, pictures, room)
            finally:
                ingest.reset()

    # --- inside -------------------------------------------------------------------------------

    def _parts(self, items: list[Item]) -> Iterable[tuple[list[Item], int]]:
        if self._consolidation is not None:
            return self._consolidation.budget.parts(items)
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
    def _reading(self) -> Iterator[None]:
        with self._read_lock, self._store.errors():
            if self._closed:
                raise MemoryStoreError(f"the memory at {self.root} is closed: open it again")
            self._search.passages.begin()
            yield

    @contextmanager
    def _writing(self) -> Iterator[Ingest]:
        with self._write_lock, self._store.errors():
            if self._closed:
                raise MemoryStoreError(f"the memory at {self.root} is closed: open it again")
            if self._ingest is None:
                raise MemoryStoreError(f"the memory at {self.root} is open for reading: open it with mode='w'")
            yield self._ingest

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
