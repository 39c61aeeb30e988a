"""The semantic half of `Memory`: what was taught, what was said to be so, what was concluded.

`Memory` inherits these methods; they go through its locks, its reader and its one writer like all others.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from reverie.errors import UsageError
from reverie.memory import entities, fact_reading, facts, note_reading, notes
from reverie.memory.entities import Kind, Sense, Showing, Template
from reverie.memory.fact_reading import FactReader, FactReceipt
from reverie.memory.ingest import Ingest
from reverie.memory.names import drop_unused_encoders
from reverie.memory.note_reading import NoteReader, NoteReceipt
from reverie.memory.open_memory import OpenMemory
from reverie.memory.records import Entity, Note
from reverie.memory.schema import MODALITY_CODES
from reverie.memory.vectors import dequantise
from reverie.types import NS_PER_S, Fact, Modality, TimeSpan

_MAX_SHOWN = 8  # pictures of one showing that are taken from memory
_SHOWING_BYTES, _NOTE_BYTES, _FACT_BYTES, _ALIAS_BYTES = 4096, 8192, 2048, 256  # of rows and pages, about


class Semantic(OpenMemory):
    """Entities, facts and notes of an open memory."""

    # --- entities -----------------------------------------------------------------------------

    def teach(
        self,
        name: str,
        *,
        looks: Sequence[Float32[ndarray, "d"]] = (),
        sounds: Sequence[Float32[ndarray, "d"]] = (),
        encoder: str = "",
        aliases: Sequence[str] = (),
        stream_id: str | None = None,
        span: TimeSpan | None = None,
        sense: Sense = "look",
        kind: Kind = "thing",
    ) -> Entity:
        """Bind a name to how something looks or sounds. One showing is enough; each further one adds to it.

        Args:
            name: what a question will call it. Teaching a known name again adds looks, sounds and aliases.
            looks: (D,) float32 unit vectors of pictures, in the space named by `encoder`.
            sounds: the same of sounds.
            encoder: the `encoder` of the vectors, as in `Observation.encoder`.
            aliases: other names of it.
            stream_id: with `span`, where in this memory it was shown; what is learned there is forgotten with it.
            span: without looks and sounds, what memory keeps of this span is learned.
            sense: then, whether that is the pictures ("look") or the sounds ("sound").
            kind: "thing", or "face" or "voice" (see `allow_templates`).

        Raises:
            UsageError: it cannot be learned so, and why.
        """
        named_bytes = sum(_ALIAS_BYTES + 2 * len(alias) for alias in aliases)
        shown_bytes = _SHOWING_BYTES * (1 + len(looks) + len(sounds))
        with self._writing(needed_bytes=shown_bytes + named_bytes) as ingest:
            try:
                with self._store.transaction() as db:
                    showing = self._showing(db, stream_id, span)
                    shown: list[Template] = [("look", encoder, look) for look in looks]
                    shown += [("sound", encoder, sound) for sound in sounds]
                    if not shown and showing is not None:
                        shown, span = (_kept_looks if sense == "look" else _kept_sounds)(db, showing)
                        showing = replace(showing, span=span)
                    now_ns = self._clock.wall_ns()
                    entities.teach(db, ingest.names, name, kind, aliases, shown, showing, now_ns)
            except BaseException:
                ingest.reset()
                raise
            return entities.read(self._store.writer, name)[0]

    @staticmethod
    def _showing(db: sqlite3.Connection, stream_id: str | None, span: TimeSpan | None) -> Showing | None:
        if (stream_id is None) != (span is None):
            raise UsageError("a showing has a stream and a span: give both, or neither")
        if stream_id is None or span is None:
            return None
        found = "SELECT id, watched_start_ns, watched_end_ns FROM stream WHERE name = ?"
        row = db.execute(found, (stream_id,)).fetchone()
        if row is None:
            raise UsageError(f"no stream is called {stream_id!r}")
        if row[2] is None or span.start_ns >= row[2] or span.end_ns < row[1]:
            raise UsageError(f"{stream_id!r} was not watched at {span.start_s:g} s: {_watched(row[1], row[2])}")
        return Showing(stream=row[0], span=span)

    def entities(self, name: str | None = None) -> list[Entity]:
        """What was taught, by name; with `name` (or an alias), that one alone."""
        with self._reading():
            return entities.read(self._store.reader, name)

    def recognise(self, vector: Float32[ndarray, "d"], encoder: str) -> list[tuple[Entity, float]]:
        """What something is, by its look or sound: entities with the cosine of their nearest template, best first."""
        with self._reading():
            return entities.recognise(self._store.reader, vector, encoder)

    def allow_templates(self, kind: Kind, *, by: str, reason: str) -> None:
        """Put a consent to templates of faces or voices on record. Without one, teaching them is refused."""
        with self._writing(needed_bytes=_NOTE_BYTES + 4 * len(by + reason)), self._store.transaction() as db:
            entities.allow(db, kind, by, reason, self._clock.wall_ns())

    def revoke_templates(self, kind: Kind) -> int:
        """Take a consent back. What was learned under it is erased for good; return how many entities that were."""
        with self._writing() as ingest:
            with self._store.transaction(synced=True) as db:
                gone = entities.revoke(db, kind)
                drop_unused_encoders(db)
            ingest.reset()
            self._store.reclaim(erased=True)
            return gone

    def consents(self) -> Mapping[str, tuple[int, str, str]]:
        """By kind ("face", "voice"): the Unix time of the consent in nanoseconds, who gave it, and why."""
        with self._reading():
            return entities.consents(self._store.reader)

    # --- facts --------------------------------------------------------------------------------

    def facts(
        self,
        subject: str | None = None,
        predicate: str | None = None,
        *,
        at_ns: int | None = None,
        known_at_ns: int | None = None,
        history: bool = False,
    ) -> list[Fact]:
        """What was said to be so, and is valid: facts in the order in which they became valid.

        Args:
            subject: whose facts; "the front door" and "front door" are one.
            predicate: which, such as "location" or "code" (see `fact_patterns`).
            at_ns: those that were valid at this Unix time; without it, those that still are.
            known_at_ns: as memory knew it then, leaving out what it learned later (Unix time).
            history: also those that were superseded.
        """
        with self._reading():
            return facts.read(self._store.reader, subject, predicate, at_ns, known_at_ns, history)

    def read_facts(
        self, reader: FactReader, *, stream_ids: tuple[str, ...] = (), span: TimeSpan | None = None
    ) -> FactReceipt:
        """Let a reader, such as a language model, state facts of what was said and written.

        Passages are asked in batches with no lock held, and what one states is stored in one transaction; a statement
        that does not stand in its passage word for word is refused. Reading the same passages again adds only what is
        new. What the reader raises ends it; what was stored before stays.
        """
        with self._reading():
            found = self._browse.rows(span, (Modality.SPEECH, Modality.WRITING), stream_ids, False)
            passages = [passage for passage in found if passage.text.strip()]
        stored = refused = 0
        for first in range(0, len(passages), fact_reading.BATCH):
            batch = passages[first : first + fact_reading.BATCH]
            told = reader.read_facts([passage.text for passage in batch])
            for passage, said in zip(batch, told, strict=True):
                holding = fact_reading.verbatim(said, passage.text)
                refused += len(said) - len(holding)
                needed_bytes = sum(_FACT_BYTES + 4 * len(fact.quote) for fact in holding)
                with self._writing(needed_bytes=needed_bytes), self._store.transaction() as db:
                    stored += fact_reading.store(db, passage, holding, self._clock.wall_ns())
        return FactReceipt(passages=len(passages), stored=stored, refused=refused)

    # --- notes --------------------------------------------------------------------------------

    def note(self, text: str, *, stream_id: str, about: TimeSpan) -> Note:
        """Keep a conclusion about a span of a stream. It is searched by `notes` alone, and never cited as perceived.

        Raises:
            UsageError: no text, or no such stream.
        """
        if not text.strip():
            raise UsageError("a note needs a text")
        with self._errors():
            vectors = self._text_encoder.encode([text.strip()])
        with self._writing(needed_bytes=_NOTE_BYTES + 4 * len(text.encode())) as ingest:
            try:
                with self._store.transaction() as db:
                    showing = self._showing(db, stream_id, about)
                    assert showing is not None
                    (made,) = self._add_notes(db, ingest, showing.stream, [(text.strip(), about)], vectors)
            except BaseException:
                ingest.reset()
                raise
            return notes.read(self._store.writer, [made])[0]

    def read_notes(self, reader: NoteReader, *, stream_ids: tuple[str, ...] = ()) -> NoteReceipt:
        """Let a reader, such as a language model, conclude notes from what was perceived and not read for notes yet.

        Stretches of closed events are asked one by one with no lock held, and stored in one transaction each; a note
        that does not name the passages that it is about is refused. Imagined streams are not read. What the reader
        raises ends it; what was stored before stays, and the next call goes on there.
        """
        num_passages = stored = refused = 0
        with self._reading():
            stretches = note_reading.unread(self._store.reader, stream_ids)
        for stretch in stretches:
            kept = False
            while not kept:
                with self._reading():
                    erasures = note_reading.num_erasures(self._store.reader)
                    given = note_reading.passages(self._store.reader, self._browse, stretch)
                told = reader.read_notes(given) if given else ()
                holding = note_reading.borne_out(told, given)
                vectors = self._text_encoder.encode([text for text, _ in holding])
                needed_bytes = sum(_NOTE_BYTES + 4 * len(text.encode()) for text, _ in holding)
                with self._writing(needed_bytes=needed_bytes) as ingest:
                    try:
                        with self._store.transaction() as db:
                            kept = note_reading.num_erasures(db) == erasures
                            if kept:
                                self._add_notes(db, ingest, stretch.stream, holding, vectors)
                                note_reading.mark(db, stretch)
                    except BaseException:
                        ingest.reset()
                        raise
            num_passages += len(given)
            stored += len(holding)
            refused += len(told) - len(holding)
        return NoteReceipt(passages=num_passages, stored=stored, refused=refused)

    def _add_notes(
        self,
        db: sqlite3.Connection,
        ingest: Ingest,
        stream: int,
        concluded: Sequence[tuple[str, TimeSpan]],
        vectors: Float32[ndarray, "n d"],
    ) -> list[int]:
        """Store notes about spans of a stream with the vectors of their texts; return their ids."""
        if not concluded:
            return []
        encoder = ingest.names.encoder(self._text_encoder.encoder_id, vectors.shape[1])
        now_ns = self._clock.wall_ns()
        return [
            notes.add(db, stream, about, text, vector, encoder, now_ns)
            for (text, about), vector in zip(concluded, vectors, strict=True)
        ]

    def notes(self, text: str = "", k: int = 10) -> list[Note]:
        """The k notes that fit a text best; without one, all in the order in which they were made."""
        with self._reading():
            db = self._store.reader
            row = db.execute("SELECT id FROM encoder WHERE name = ?", (self._text_encoder.encoder_id,)).fetchone()
            if not text.strip() or row is None:
                return notes.read(db)
            vector = self._text_encoder.encode([text])[0]
            return notes.search(db, text, vector, row[0], self._config.search.text_dense_weight, k)


def _watched(start_ns: int | None, end_ns: int | None) -> str:
    if start_ns is None or end_ns is None:
        return "nothing of it is remembered"
    return f"name a time from {start_ns / NS_PER_S:g} to {end_ns / NS_PER_S:g} s"


def _kept_looks(db: sqlite3.Connection, showing: Showing) -> tuple[list[Template], TimeSpan]:
    """The vectors that memory keeps of the pictures in a span and of the one that stood there, and all they span."""
    rows = db.execute(
        "SELECT e.name, v.scale, v.code, o.start_ns FROM observation o JOIN vector v ON v.observation = o.id "
        "JOIN encoder e ON e.id = v.encoder WHERE o.stream = ?1 AND o.modality = ?2 AND v.centre IS NULL "
        "AND o.start_ns < ?3 "
        "AND o.start_ns >= (SELECT coalesce(max(start_ns), ?4) FROM observation WHERE stream = ?1 AND modality = ?2 "
        "AND start_ns <= ?4) ORDER BY o.start_ns DESC LIMIT ?5",
        (
            showing.stream, MODALITY_CODES[Modality.VISION], max(showing.span.end_ns, showing.span.start_ns + 1),
            showing.span.start_ns, _MAX_SHOWN,
        ),
    ).fetchall()  # fmt: skip
    if not rows:
        raise UsageError("memory keeps no picture of that time: name another time, or give a picture")
    looks: list[Template] = [
        ("look", name, dequantise(np.frombuffer(code, np.int8), scale)) for name, scale, code, _ in rows
    ]
    first_ns = min(start_ns for *_, start_ns in rows)
    return looks, showing.span.union(TimeSpan(start_ns=first_ns, end_ns=first_ns))


def _kept_sounds(db: sqlite3.Connection, showing: Showing) -> tuple[list[Template], TimeSpan]:
    """The vectors that memory keeps of the sounds in a span, and all that they span.

    A text is no sound, so the vector of an older memory's "music" is none.
    """
    rows = db.execute(
        "SELECT e.name, v.scale, v.code, o.start_ns, o.end_ns FROM observation o JOIN vector v ON v.observation = o.id "
        "JOIN encoder e ON e.id = v.encoder WHERE o.stream = ? AND o.modality = ? AND v.centre IS NULL "
        "AND e.of_texts IS NOT 1 AND o.start_ns < ? AND o.end_ns > ? ORDER BY o.start_ns DESC LIMIT ?",
        (
            showing.stream, MODALITY_CODES[Modality.SOUND], max(showing.span.end_ns, showing.span.start_ns + 1),
            showing.span.start_ns, _MAX_SHOWN,
        ),
    ).fetchall()  # fmt: skip
    if not rows:
        raise UsageError("memory keeps no sound of that time: name another time, or give a file")
    sounds: list[Template] = [
        ("sound", name, dequantise(np.frombuffer(code, np.int8), scale)) for name, scale, code, *_ in rows
    ]
    heard = TimeSpan(start_ns=min(row[3] for row in rows), end_ns=max(row[4] for row in rows))
    return sounds, showing.span.union(heard)
