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
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

from jaxtyping import Float32
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field

from reverie.clock import Clock, SystemClock
from reverie.errors import ConfigError, MemoryStoreError, UsageError
from reverie.memory import export as exports
from reverie.memory import pins, recalls
from reverie.memory.backup import BackupReceipt, copy_memory
from reverie.memory.bounded_erase import erase_within
from reverie.memory.browse import Browse
from reverie.memory.budget import Budget
from reverie.memory.completion import Completion, Scope
from reverie.memory.consolidation import Consolidation
from reverie.memory.copies import copies_of, drop_copies, note_copy
from reverie.memory.cues import Cue, cue_of
from reverie.memory.demotion import WORD_BITS
from reverie.memory.erase import Target
from reverie.memory.familiarity import Familiarity, recognise
from reverie.memory.finisher import Finisher
from reverie.memory.ingest import Ingest
from reverie.memory.names import Names
from reverie.memory.picture_check import named_pictures
from reverie.memory.records import (
    ConsolidationReceipt,
    ForgetReceipt,
    GapRecord,
    LabelCount,
    MemoryStats,
    PinRecord,
    Tally,
    WriteReceipt,
)
from reverie.memory.reencode import PictureEncoder, ReencodeReceipt, reencode
from reverie.memory.retention import Policy, Ranking
from reverie.memory.room import Room
from reverie.memory.schema import MODALITIES
from reverie.memory.search import Search
from reverie.memory.search_config import SearchConfig
from reverie.memory.segmentation import SegmentationConfig
from reverie.memory.semantic import Semantic
from reverie.memory.store import Store, StoreConfig
from reverie.memory.verify import VerifyReport, verify
from reverie.memory.verify import repair as mend
from reverie.memory.word_filters import Saying, when_said
from reverie.types import (
    Episode,
    Event,
    Hit,
    Item,
    Modality,
    Observation,
    Query,
    StreamRecord,
    TextEncoder,
    TimeSpan,
    Track,
    ns,
)


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
    extract_facts: bool = Field(
        True, description="Whether plain statements in what is said and written become facts (see `Memory.facts`)."
    )
    word_filter_bits: Literal[0, 64, 128, 256] = Field(
        WORD_BITS,
        description="Bits that keep which words a minute held when its texts fade; speech has about 70 that count. "
        "0: nothing is kept of them.",
    )
    forgetting: Policy = Field(
        "retention",
        description="What becomes coarser first: the least retained, or for comparison the oldest (fifo), the newest "
        "(lifo), the least or the most visited.",
    )
    ttl_s: float | None = Field(
        None, gt=0, description="Events that ended longer ago are erased for good. None: nothing expires."
    )
    remember_recalls: bool = Field(True, description="What a search finds is kept longer.")
    consolidate_every_s: float = Field(
        600.0, gt=0, description="Stream time after which a write consolidates: merges repeats, builds episodes."
    )
    max_picture_bytes: int = Field(256 * 1024, ge=0, description="A larger thumbnail is not kept as a key frame.")


class Memory(Semantic):
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
        self._note_dense_weight = config.search.text_dense_weight
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
                ranking = Ranking(store.writer, config.forgetting)
                budget = Budget(store, config.max_bytes, config.max_picture_bytes)
                self._room = Room(store, budget, ranking, ns(config.short_term_s), config.word_filter_bits)
            ttl_ns = None if config.ttl_s is None else ns(config.ttl_s)
            every_ns = ns(config.consolidate_every_s)
            self._consolidation = Consolidation(store, self._room, clock, ttl_ns, every_ns, self._expire)
        self._finisher = Finisher(self._finish)
        if not store.settled:
            self._finisher.start()

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
            MemoryFull: no space to create it.
            MemoryStoreError: mode "r" and nothing is there.
            MemoryKeyError: the key is missing or wrong, or the memory is not encrypted.
            ConfigError: mode "w", and what is pinned takes more than half of `max_bytes`.
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
        with self._writing() as ingest:
            tally = Tally()
            kept = ingest.sift(items, tally)
            vectors = ingest.embed(kept)
            bytes_before = self._store.num_database_bytes()
            num_pictures = picture_bytes = 0
            for part, needed_bytes in self._parts(kept):
                if self._room is not None and self._room.make_room(needed_bytes):
                    ingest.reset()  # what is kept in mind is read back from the rows that are left
                written = self._commit(ingest, part, vectors, tally)
                num_pictures += len(written)
                picture_bytes += sum(len(tally.pictures[name]) for name in written)
                tally.pictures.clear()
            grown = self._store.num_database_bytes() - bytes_before
            if self._consolidation is not None and self._consolidation.is_due():
                self._consolidation.run(thorough=False)
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

    # --- reading ------------------------------------------------------------------------------

    def committed(self, stream_id: str) -> int | None:
        """The media time before which all of a stream is here; None when nothing says so yet."""
        with self._reading():
            row = self._store.reader.execute("SELECT committed_ns FROM stream WHERE name = ?", (stream_id,)).fetchone()
            return row[0] if row else None

    def search(self, query: Query) -> list[Hit]:
        """The `k` best passages, in time order; `Hit.score` ranks them. Without text: the `k` latest.

        Raises:
            UsageError: `Query.arousal` is no range.
        """
        with self._reading():
            if query.arousal is not None and not 0 <= query.arousal[0] <= query.arousal[1] <= 1:
                raise UsageError(f"{query.arousal} is no range of arousal: give (low, high), each from 0 to 1")
            if query.k <= 0:
                return []
            if not query.text.strip():
                streams = query.stream_ids
                if query.places:
                    there = [record.stream_id for record in self._browse.streams() if record.place in query.places]
                    streams = tuple(name for name in there if not streams or name in streams)
                    if not streams:
                        return []
                return self._browse.observations(
                    query.modalities, streams, query.span, query.k, newest=True, arousal=query.arousal
                )
            hits = self._search.search(query)
            if self._config.remember_recalls:
                rows = dict(self._store.reader.execute("SELECT name, id FROM stream").fetchall())
                found = [hit for hit in hits if not hit.neighbour and hit.event_id is not None]
                recalls.note(self.root, ((rows[hit.stream_id], hit.span.start_ns) for hit in found))
            return hits

    def familiarity(
        self,
        cue: str | Float32[ndarray, "d"],
        encoder: str = "",
        span: TimeSpan | None = None,
        stream_ids: tuple[str, ...] = (),
    ) -> list[Familiarity]:
        """Whether something was seen, heard or read before: the hours that know it, the surest first.

        Each hour of media time is kept as codes of 16 bytes for its distinct moments, at most 16 KiB, and answers
        also when its events have been merged. The event that is still open is not asked.

        Args:
            cue: a sentence, compared with what was said and written; or a unit vector (D,) of the space `encoder`.
            encoder: the `Observation.encoder` of pictures or sounds like the one that the vector is of.
            span: only hours that overlap it.
            stream_ids: only these streams.

        Raises:
            UsageError: an empty sentence; a vector without an encoder, not of unit length, or of another width.
        """
        with self._reading():
            streams = self._search.passages.stream_rows(stream_ids)
            return recognise(self._store.reader, self._cue(cue, encoder), streams, span)

    def when_said(
        self,
        text: str,
        span: TimeSpan | None = None,
        stream_ids: tuple[str, ...] = (),
        at_least: float = 0.5,
    ) -> list[Saying]:
        """When words were said or read whose text has faded: the stretches that probably held them, the surest first.

        Each minute keeps a filter of its words when only the sentences that say most are left of its event
        (see `reverie.memory.word_filters`). There is no text to quote, so these are no hits of `search`. Ten words as
        they were said find their minute; one or two seldom do.

        Args:
            text: the words, in any inflection that shares a stem.
            span: only stretches that overlap it.
            stream_ids: only these streams.
            at_least: the probability of what is given back.

        Raises:
            UsageError: a probability outside of [0, 1].
        """
        if not 0 <= at_least <= 1:
            raise UsageError(f"a probability of at least {at_least} cannot be: give one from 0 to 1")
        with self._reading():
            streams = self._search.passages.stream_rows(stream_ids)
            return when_said(self._store.reader, text, streams, span, at_least)

    def complete(
        self,
        cue: str | Float32[ndarray, "d"] | TimeSpan,
        encoder: str = "",
        find: Modality = Modality.VISION,
        k: int = 5,
        span: TimeSpan | None = None,
        stream_ids: tuple[str, ...] = (),
    ) -> list[Hit]:
        """What went with a fragment: what one sense perceived in the `k` events in which another perceived the cue.

        Best first, one hit of each event; `Hit.dense` is the cosine of the cue and what it was taken for.

        Args:
            cue: a sentence that was said, written or heard; a unit vector (D,) of the space `encoder`; or a span of
                the memory, whose other senses are the cue and whose own events are left out.
            encoder: the `Observation.encoder` of the vector.
            find: the sense that completes it.
            k: how many at most.
            span: only what lies in it.
            stream_ids: only these streams.

        Raises:
            UsageError: a cue that cannot be, a span in which nothing has a vector, or `find` things.
        """
        with self._reading():
            scope = Scope(streams=self._search.passages.stream_rows(stream_ids), span=span)
            fragment = cue if isinstance(cue, TimeSpan) else self._cue(cue, encoder)
            return self._completion.complete(fragment, find, k, scope)

    def timeline(self, span: TimeSpan | None = None, stream_ids: tuple[str, ...] = ()) -> list[Event]:
        """Events that overlap the span, in time order. The one still going on has `open` set."""
        with self._reading():
            return self._browse.timeline(span, stream_ids)

    def episodes(self, span: TimeSpan | None = None, stream_ids: tuple[str, ...] = ()) -> list[Episode]:
        """Episodes that overlap the span, in time order. Of a stream that goes on, the last half an hour is in none."""
        with self._reading():
            return self._browse.episodes(span, stream_ids)

    def pins(self) -> list[PinRecord]:
        """What is pinned, by stream and time."""
        with self._reading():
            return self._browse.pins()

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

    def surprises(self, stream_id: str, span: TimeSpan | None = None) -> list[tuple[int, float]]:
        """(start_ns, surprise) of the moments of a stream in time order, where it was measured; see `segmentation`."""
        with self._reading():
            return self._browse.surprises(stream_id, span)

    def picture(self, thumbnail: str) -> bytes:
        """The JPEG behind the `thumbnail` of a hit, an event, a track or a citation, decrypted if need be.

        Raises:
            FileNotFoundError: it is not there (any more).
            MemoryDamaged: it cannot be decrypted.
        """
        return self._store.pictures.read(Path(thumbnail).stem)

    def stats(self) -> MemoryStats:
        """How much is remembered, and the bytes it takes."""
        with self._reading():
            return self._browse.stats(self.root)

    def export(self, format: str, stream_ids: tuple[str, ...] = (), path: Path | None = None) -> bytes:
        """The memory, or some of its streams, as srt or vtt (speech), json, or parquet (observations).

        Args:
            format: srt, vtt, json or parquet.
            stream_ids: only these.
            path: where the caller keeps it; the receipt of `forget` names it.

        Raises:
            UsageError: unknown format or stream, or subtitles of several streams in one file.
        """
        kind = exports.check_format(format)
        self.require_streams(stream_ids)
        self.note_copy(kind, path)
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
        return copy_memory(self.root, Path(target), key=self._key, clock=self._clock)

    def note_copy(self, kind: str, path: Path | None) -> bool:
        """Remember that something of the memory was copied to `path` (None: not known), for receipts of `forget`.

        Backups and exports do so by themselves. Readers can, too. False where the directory cannot be written to.
        """
        place = None if path is None else path.absolute()
        return note_copy(self.root, kind, place, self._clock.wall_ns(), self._store.cipher)

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
            MemoryFull: no space on the disk or in the budget.
            MemoryStoreError: opened for reading, or closed.
        """
        with self._writing() as ingest:
            room = self._room.make_room if self._room is not None else int
            try:
                return reencode(self._store, ingest.names, self._text_encoder, pictures, room)
            finally:
                ingest.reset()

    # --- inside -------------------------------------------------------------------------------

    def _erase(self, target: Target, dry_run: bool = False) -> ForgetReceipt:
        assert self._ingest is not None
        bytes_before = _directory_bytes(self.root)
        gap_ns = ns(self._config.segmentation.gap_s)
        erased = erase_within(self._store, self._room, target, gap_ns, dry_run)
        complete = True
        if not dry_run:
            self._ingest.reset()
            recalls.empty(self.root)
            self._rank_again()
            self._store.pictures.remove(erased.pictures)
            with self._read_lock:
                self._search.passages.forget_names()
                complete = self._store.reclaim()
            if not complete:
                self._finisher.start()
        return ForgetReceipt(
            senses={str(MODALITIES[code]): count for code, count in sorted(erased.senses.items())},
            vectors=erased.vectors,
            tracks=erased.tracks,
            events=erased.events,
            labels=erased.labels,
            pictures=len(erased.pictures),
            templates=erased.templates,
            bytes_freed=0 if dry_run else max(0, bytes_before - _directory_bytes(self.root)),
            complete=complete,
            less_familiar_hours=erased.less_familiar_hours,
            word_filters=erased.word_filters,
            dry_run=dry_run,
            found=tuple(erased.found) if dry_run else (),
        )

    def _expire(self, stream_id: str, span: TimeSpan) -> int:
        return self._erase(Target(span=span, stream_ids=(stream_id,))).observations

    def _rank_again(self) -> None:
        if self._room is not None:
            self._room.rank_again()

    def _rows_of(self, stream_ids: Sequence[str]) -> list[int]:
        """Numbers of the named streams, of all without names."""
        rows = self._store.writer.execute("SELECT name, id FROM stream ORDER BY id").fetchall()
        return [row for name, row in rows if not stream_ids or name in stream_ids]

    def _check_pins(self) -> None:
        taken, limit = pins.pinned_bytes(self._store.writer, self.root), self._config.max_bytes
        if limit is not None and taken * pins.SHARE > limit:
            raise ConfigError(
                f"what is pinned in the memory at {self.root} takes {taken} bytes, more than half of the budget of "
                f"{limit}: open it with max_bytes of at least {taken * pins.SHARE}, or let some of it fade "
                "again: reverie memory unpin; until then it can be read"
            )

    def _cue(self, given: str | Float32[ndarray, "d"], encoder: str) -> Cue:
        return cue_of(self._store.reader, self._text_encoder, given, encoder)

    def _parts(self, items: list[Item]) -> Iterable[tuple[list[Item], int]]:
        if self._room is not None:
            return self._room.budget.parts(items)
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

    def _finish(self) -> bool:
        """One try to fold what was forgotten out of the log."""
        with self._write_lock, self._read_lock:
            return self._closed or self._store.reclaim(patient=False)

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
