"""The reading half of `Memory`: finding, listing, exporting what was perceived.

`Memory` inherits these methods. Each sees all that was committed before the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from pathlib import Path

from jaxtyping import Float32
from numpy import ndarray

from reverie.errors import UsageError
from reverie.memory import entities, facts, notes, recalls
from reverie.memory import export as exports
from reverie.memory.completion import Scope
from reverie.memory.copies import note_copy
from reverie.memory.cues import Cue, cue_of
from reverie.memory.familiarity import Familiarity, recognise
from reverie.memory.open_memory import OpenMemory
from reverie.memory.records import GapRecord, LabelCount, MemoryStats, PinRecord
from reverie.memory.schema import MODALITY_CODES
from reverie.memory.word_filters import Saying, when_said
from reverie.types import Episode, Event, Hit, Modality, Observation, Query, StreamRecord, TimeSpan, Track

_MOST = 1 << 31  # hits: more than any memory has


class Reading(OpenMemory):
    """What any reader of a memory may ask."""

    def committed(self, stream_id: str) -> int | None:
        """The media time before which all of a stream is here; None when nothing says so yet."""
        with self._reading():
            row = self._store.reader.execute("SELECT committed_ns FROM stream WHERE name = ?", (stream_id,)).fetchone()
            return row[0] if row else None

    def search(self, query: Query) -> list[Hit]:
        """The `k` best passages, in time order; `Hit.score` ranks them. Without text: the `k` latest.

        Raises:
            UsageError: `Query.arousal` is no range, k is no whole number, or there is no such sense.
        """
        with self._reading():
            if not isinstance(query.k, Integral):
                raise UsageError(f"k is a whole number of hits, and {query.k!r} is none")
            if unknown := [sense for sense in query.modalities if sense not in MODALITY_CODES]:
                raise UsageError(f"there is no sense {unknown[0]!r}; choose of {', '.join(MODALITY_CODES)}")
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
            hits = self._search.search(replace(query, k=min(query.k, _MOST)))
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
        """Events that overlap the span, in time order: wall time where all their streams know it, else media time.

        The one still going on has `open` set.
        """
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
            stream_ids: only these, with the facts and notes that rest on them; entities belong to no stream.
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
            events, episodes = self.timeline(stream_ids=stream_ids), self.episodes(stream_ids=stream_ids)
            with self._reading():
                db = self._store.reader
                taught = [] if stream_ids else entities.read(db)
                said = facts.of_streams(facts.read(db, None, None, None, None, True), stream_ids)
                noted = [note for note in notes.read(db) if not stream_ids or note.stream_id in stream_ids]
            gaps = self.gaps(stream_ids)
            return exports.as_json(streams, events, rows, tracks, gaps, episodes, taught, said, noted)
        speech = self.rows(modalities=(Modality.SPEECH,), stream_ids=stream_ids)
        spoken = sorted({said.stream_id for said in speech})
        if len(spoken) > 1:
            raise UsageError(f"subtitles belong to one stream: choose one of {', '.join(spoken)}")
        return exports.subtitles(speech, kind)

    def note_copy(self, kind: str, path: Path | None) -> bool:
        """Remember that something of the memory was copied to `path` (None: not known), for receipts of `forget`.

        Backups and exports do so by themselves. Readers can, too. False where the directory cannot be written to.
        """
        place = None if path is None else path.absolute()
        return note_copy(self.root, kind, place, self._clock.wall_ns(), self._store.cipher)

    def _cue(self, given: str | Float32[ndarray, "d"], encoder: str) -> Cue:
        return cue_of(self._store.reader, self._text_encoder, given, encoder)
