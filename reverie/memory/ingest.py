"""Items to rows: what one `Memory.write` does inside its transaction.

Ordered items of any streams come in; observations become rows with vectors, texts and labels enter the
indexes, the segmenter of each stream says where events end, tracks grow. Everything that an item changes
is in the rows, so a process that dies anywhere is continued by another that is sent the same items again:
(stream, modality, seq) tells what is there already, and the segmenter's state is read back from the rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from jaxtyping import Float32
from numpy import ndarray

from reverie.clock import Clock
from reverie.memory import facts, familiarity, lexical, sentences
from reverie.memory.demotion import has_faded
from reverie.memory.events import summarise
from reverie.memory.fact_patterns import statements
from reverie.memory.names import Names
from reverie.memory.pictures import is_jpeg
from reverie.memory.priming import open_event, prime
from reverie.memory.records import Tally
from reverie.memory.rows import pack_boxes, pack_labels, pack_words
from reverie.memory.schema import CAME_LATE, FORGOTTEN, FORGOTTEN_PICTURES, LEAPT, MODALITY_CODES, TEXT_MODALITIES
from reverie.memory.segmentation import Boundary, SegmentationConfig, Segmenter
from reverie.memory.sifting import is_sound, is_well_formed, with_plain_seq, with_text
from reverie.memory.vectors import dequantise, quantise
from reverie.memory.visits import extend, follow
from reverie.types import (
    Cut,
    EndOfStream,
    Gap,
    Item,
    Modality,
    Observation,
    StreamStart,
    TextEncoder,
    TimeSpan,
    Watermark,
    ns,
)

_TELLING = (Modality.SPEECH, Modality.WRITING)


@dataclass(slots=True)
class _Stream:
    """What the writer keeps in mind of one stream; all of it can be read back from the rows."""

    row: int
    segmenter: Segmenter
    forgotten: list[TimeSpan]
    no_pictures: list[TimeSpan]
    ended: bool
    event: int | None


class Ingest:
    """The writer's half of a memory. Not thread-safe: `Memory` holds a lock around it."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        names: Names,
        text_encoder: TextEncoder,
        clock: Clock,
        config: SegmentationConfig,
        max_picture_bytes: int,
        picture_name: Callable[[bytes], str],
        extract_facts: bool = True,
    ) -> None:
        self._db, self.names, self._text_encoder, self._clock = connection, names, text_encoder, clock
        self._config, self._max_picture_bytes, self._picture_name = config, max_picture_bytes, picture_name
        self._extract_facts = extract_facts
        self._streams: dict[str, _Stream] = {}

    def reset(self) -> None:
        """Forget what is kept in mind: after a write that was undone, or an erasure."""
        self._streams = {}
        self.names.reload()

    def sift(self, items: Sequence[Item], tally: Tally) -> list[Item]:
        """Take out what cannot or need not be written: refused, repeated and forgotten observations, cuts.

        Raises:
            TypeError: for a frame or a chunk of sound, which memory does not keep.
        """
        kept: list[Item] = []
        seen: set[tuple[str, int, int]] = set()
        widths: dict[str, int] = {}
        for item in items:
            if isinstance(item, Observation):
                if not is_sound(item):
                    tally.counts["rejected"] += 1
                    continue
                item = with_plain_seq(item)
                key = (item.stream_id, MODALITY_CODES[item.modality], item.seq)
                if key in seen or self._is_known(item):
                    tally.counts["repeated"] += 1
                elif not self._has_width(item, widths):
                    tally.counts["rejected"] += 1
                else:
                    seen.add(key)
                    kept.append(with_text(item))
            elif isinstance(item, StreamStart | Watermark | Gap | EndOfStream):
                if is_well_formed(item):
                    kept.append(item)
                else:
                    tally.counts["rejected"] += 1
            elif not isinstance(item, Cut):
                raise TypeError(f"memory keeps observations, not a {type(item).__name__}: send it through perception")
        return kept

    def embed(self, items: Iterable[Item]) -> Mapping[str, Float32[ndarray, "d"]]:
        """Vectors of every text and every new name in the items, before the transaction; anchors of new spaces, too."""
        texts: dict[str, None] = {}
        spaces: set[str] = set()
        for item in items:
            if isinstance(item, Observation):
                spaces.update([item.encoder] if item.embedding is not None else [])
                if item.text and item.modality in TEXT_MODALITIES:
                    texts.update(dict.fromkeys([item.text, *sentences.split(item.text)]))
                names = [(label.name, label.kind) for label in item.labels] + [
                    (box.name, "object") for box in item.boxes
                ]
                texts.update((name, None) for name, kind in names if not self.names.has_vector(name, kind))
        self.names.prepare(sorted(spaces | ({self._text_encoder.encoder_id} if texts else set())))
        if not texts:
            return {}
        return dict(zip(texts, self._text_encoder.encode(list(texts)), strict=True))

    def apply(self, items: Sequence[Item], vectors: Mapping[str, Float32[ndarray, "d"]], tally: Tally) -> None:
        """Write sifted items, in the transaction that is open."""
        self.names.adopt(vectors)
        for item in items:
            if isinstance(item, Observation):
                self._observe(item, vectors, tally)
            elif isinstance(item, StreamStart):
                self._start(item)
            elif isinstance(item, Gap):
                self._lose(item, tally)
            elif isinstance(item, Watermark):
                self._advance(item.stream_id, item.pts_ns, tally)
            elif isinstance(item, EndOfStream):
                self._end(item, tally)
        texts = [item.text for item in items if isinstance(item, Observation) and item.modality in TEXT_MODALITIES]
        if any(texts):
            lexical.merge_some(self._db, sum(len(text.encode()) for text in texts))

    # --- what is refused ----------------------------------------------------------------------

    def _is_known(self, item: Observation) -> bool:
        if item.stream_id not in self._streams:
            row = self._db.execute("SELECT id FROM stream WHERE name = ?", (item.stream_id,)).fetchone()
            if row is None:
                return False
        stream = self._stream(item.stream_id)
        pictorial = item.modality in (Modality.VISION, Modality.OBJECTS)
        instant = TimeSpan(start_ns=item.span.start_ns, end_ns=max(item.span.end_ns, item.span.start_ns + 1))
        if any(span.overlaps(instant) for span in stream.forgotten + (stream.no_pictures if pictorial else [])):
            return True
        if has_faded(self._db, stream.row, item.span.start_ns):
            return True
        key = (stream.row, MODALITY_CODES[item.modality], item.seq)
        number = "stream = ?1 AND modality = ?2 AND seq = ?3"
        found = self._db.execute(
            f"SELECT 1 FROM observation WHERE {number} UNION ALL SELECT 1 FROM forgotten WHERE {number}", key
        )
        return found.fetchone() is not None

    def _has_width(self, item: Observation, widths: dict[str, int]) -> bool:
        """Whether the vector has the width of its encoder's; `widths` learns those of new encoders."""
        if item.embedding is None:
            return True
        width = self.names.width_of(item.encoder) or widths.setdefault(item.encoder, len(item.embedding))
        return width == len(item.embedding)

    # --- items --------------------------------------------------------------------------------

    def _stream(self, name: str) -> _Stream:
        if name not in self._streams:
            find = "SELECT id, has_video, ended FROM stream WHERE name = ?"
            if self._db.execute(find, (name,)).fetchone() is None:
                self._db.execute(
                    "INSERT INTO stream (name, uri, live, has_video, has_audio, started_ns) VALUES (?, '', 0, 1, 1, ?)",
                    (name, self._clock.wall_ns()),
                )
            row, has_video, ended = self._db.execute(find, (name,)).fetchone()
            self._streams[name] = _Stream(
                row=row,
                segmenter=prime(self._db, row, self._config, audio_only=not has_video),
                forgotten=self._gaps(row, FORGOTTEN),
                no_pictures=self._gaps(row, FORGOTTEN_PICTURES),
                ended=bool(ended),
                event=open_event(self._db, row),
            )
        return self._streams[name]

    def _gaps(self, stream: int, reason: str) -> list[TimeSpan]:
        rows = self._db.execute("SELECT start_ns, end_ns FROM gap WHERE stream = ? AND reason = ?", (stream, reason))
        return [TimeSpan(start_ns=start_ns, end_ns=end_ns) for start_ns, end_ns in rows]

    def _start(self, item: StreamStart) -> None:
        stream = self._stream(item.stream_id)
        self._db.execute(
            "UPDATE stream SET uri = ?, live = ?, has_video = ?, has_audio = ?, duration_ns = ?, wall_anchor_ns = ?, "
            "place = ?, timezone = ?, imagined = max(imagined, ?) WHERE id = ?",
            (
                item.uri, item.live, item.has_video, item.has_audio, item.duration_ns, item.wall_anchor_ns, item.place,
                item.timezone, item.imagined, stream.row,
            ),
        )  # fmt: skip
        stream.segmenter.audio_only = not item.has_video

    def _observe(self, item: Observation, vectors: Mapping[str, Float32[ndarray, "d"]], tally: Tally) -> None:
        stream = self._stream(item.stream_id)
        if has_faded(self._db, stream.row, item.span.start_ns):  # since it was sifted: room was made for this write
            tally.counts["repeated"] += 1
            return
        self._note_leap(stream, item.span.start_ns, tally)
        packed = pack_boxes(item.boxes, self.names.id_of) if item.modality is Modality.OBJECTS else None
        late = stream.segmenter.is_late(item.span.start_ns)
        is_text = bool(item.text) and item.modality in TEXT_MODALITIES
        embedding = vectors[item.text] if is_text and item.embedding is None else item.embedding
        encoder = item.encoder if item.embedding is not None else self._text_encoder.encoder_id
        code, scale = quantise(embedding) if embedding is not None else (None, 0.0)
        picture = self._picture_of(item, tally)

        boundaries: Sequence[Boundary] = ()
        surprise, keep = None, item.modality is Modality.WRITING
        if item.modality is Modality.VISION:
            tally.counts["moments"] += 1
        if item.modality is Modality.OBJECTS:
            if not late:
                extend(self._db, stream.row, item.span.start_ns, ns(self._config.gap_s))
            keep = follow(self._db, stream.row, item, picture, stream.forgotten)
        if not late:
            if item.modality is Modality.VISION:
                vector = dequantise(code, scale) if code is not None else None
                reading = stream.segmenter.moment(item.span.start_ns, vector, item.starts_shot, picture is not None)
                boundaries, surprise, keep = reading.boundaries, reading.surprise, reading.representative
            elif item.modality is Modality.SPEECH:
                boundaries = stream.segmenter.utterance(item.span)
            else:
                boundaries = stream.segmenter.other(item.span.start_ns)
        self._bound(stream, boundaries, tally)
        if not keep or item.thumbnail is None:
            picture = None
        if picture is not None and item.thumbnail is not None:
            tally.pictures[picture] = item.thumbnail
        row = self._insert(stream, item, packed, late, surprise, picture)
        if code is not None:
            encoder_row = self.names.encoder(encoder, len(code))
            self._db.execute(
                "INSERT INTO vector (observation, encoder, scale, code) VALUES (?, ?, ?, ?)",
                (row, encoder_row, scale, code.tobytes()),
            )
            if is_text:
                self._add_sentences(row, item, vectors)
        if is_text:
            lexical.add(self._db, "observation_text", row, item.text)
            if self._extract_facts and item.modality in _TELLING and (told := statements(item.text)):
                facts.add(self._db, stream.row, item.modality, item.span, told, self._clock.wall_ns())
        self._widen(stream, item.span, late)
        if late:
            self._recognise_later(stream, item.span.start_ns)
        tally.counts["committed"] += 1
        tally.counts["late"] += late

    def _add_sentences(self, row: int, item: Observation, vectors: Mapping[str, Float32[ndarray, "d"]]) -> None:
        """Vectors of a long text's sentences; of the whole text, where the row's own vector is of what was heard."""
        if item.embedding is None:
            texts = sentences.split(item.text)
        else:
            texts = [item.text] if item.modality is Modality.SOUND else []
        for part, text in enumerate(texts):
            code, scale = quantise(vectors[text])
            self._db.execute(
                "INSERT INTO sentence (observation, part, encoder, scale, code) VALUES (?, ?, ?, ?, ?)",
                (row, part, self.names.encoder(self._text_encoder.encoder_id, len(code)), scale, code.tobytes()),
            )

    def _insert(
        self, stream: _Stream, item: Observation, boxes: bytes | None, late: bool, surprise: float | None,
        picture: str | None,
    ) -> int:  # fmt: skip
        cursor = self._db.execute(
            "INSERT INTO observation (stream, modality, seq, start_ns, end_ns, confidence, starts_shot, late, "
            "surprise, text, words, labels, boxes, picture, arousal) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                stream.row, MODALITY_CODES[item.modality], item.seq, item.span.start_ns, item.span.end_ns,
                float(item.confidence), item.starts_shot, late, surprise, item.text,
                pack_words(item.words, item.span.start_ns), pack_labels(item.labels, self.names.id_of), boxes, picture,
                item.arousal,
            ),
        )  # fmt: skip
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _widen(self, stream: _Stream, span: TimeSpan, late: bool) -> None:
        """Count the span as watched; a late one may lie before the first event."""
        self._db.execute(
            "UPDATE stream SET watched_start_ns = min(coalesce(watched_start_ns, ?1), ?1), "
            "watched_end_ns = max(coalesce(watched_end_ns, ?2), ?2) WHERE id = ?3",
            (span.start_ns, span.end_ns, stream.row),
        )
        if late:
            self._begin_earlier(stream.row, span)
        if stream.ended:
            self._db.execute("UPDATE stream SET ended = 0 WHERE id = ?", (stream.row,))
            stream.ended = False

    def _begin_earlier(self, stream: int, span: TimeSpan) -> None:
        """What came before the first event lengthens it, if it is still whole and stays short, or is one of its own."""
        first = self._db.execute(
            "SELECT id, start_ns, end_ns, level, episode FROM event WHERE stream = ? ORDER BY start_ns LIMIT 1",
            (stream,),
        ).fetchone()
        if first is None or first[1] <= span.start_ns:
            return
        event, first_ns, end_ns, level, episode = first
        if level == 0 and episode is None and end_ns - span.start_ns <= ns(self._config.max_s):
            self._db.execute("UPDATE event SET start_ns = ? WHERE id = ?", (span.start_ns, event))
            return
        end_ns = min(first_ns, max(span.end_ns, span.start_ns + ns(self._config.min_s)))
        labels, picture = summarise(self._db, stream, span.start_ns, end_ns, None)
        self._db.execute(
            "INSERT INTO event (stream, start_ns, end_ns, open, cause, previous, carries, labels, picture) "
            "VALUES (?, ?, ?, 0, 'start', 0, 0, ?, ?)",
            (stream, span.start_ns, end_ns, labels, picture),
        )
        if end_ns < first_ns:
            values = (stream, end_ns, first_ns, CAME_LATE)
            self._db.execute("INSERT OR IGNORE INTO gap VALUES (?, ?, ?, ?, 0)", values)

    def _recognise_later(self, stream: _Stream, at_ns: int) -> None:
        """A straggler of an event that is closed enters the filter of its hour now."""
        closed = "SELECT 1 FROM event WHERE stream = ?1 AND NOT open AND start_ns <= ?2 AND end_ns > ?2"
        if self._db.execute(closed, (stream.row, at_ns)).fetchone() is not None:
            familiarity.take_in(self._db, stream.row, at_ns, at_ns + 1)

    def _picture_of(self, item: Observation, tally: Tally) -> str | None:
        if item.thumbnail is None:
            return None
        if len(item.thumbnail) > self._max_picture_bytes or not is_jpeg(item.thumbnail):
            tally.counts["pictures_refused"] += 1
            return None
        return self._picture_name(item.thumbnail)

    def _lose(self, item: Gap, tally: Tally) -> None:
        stream = self._stream(item.stream_id)
        cursor = self._db.execute(
            "INSERT OR IGNORE INTO gap VALUES (?, ?, ?, ?, ?)",
            (stream.row, item.span.start_ns, item.span.end_ns, item.reason, item.num_dropped),
        )
        if cursor.rowcount:
            tally.counts["gaps"] += 1
            self._bound(stream, stream.segmenter.gap(item.span), tally)

    def _note_leap(self, stream: _Stream, pts_ns: int, tally: Tally) -> None:
        """Time that a stream's clock leapt over was not watched."""
        start_ns = stream.segmenter.start_ns
        since_ns = stream.segmenter.position_ns if start_ns is None else start_ns
        if since_ns is not None and pts_ns - since_ns > ns(self._config.jump_s):
            lost_ns = since_ns if start_ns is None else since_ns + ns(self._config.max_s)  # where the event ends
            values = (stream.row, lost_ns, pts_ns, LEAPT)
            note = self._db.execute("INSERT OR IGNORE INTO gap VALUES (?, ?, ?, ?, 0)", values)
            tally.counts["gaps"] += note.rowcount

    def _advance(self, name: str, pts_ns: int, tally: Tally) -> None:
        stream = self._stream(name)
        self._note_leap(stream, pts_ns, tally)
        if not stream.segmenter.is_late(pts_ns):  # sent again: the boxes that stood then may have been demoted
            self._bound(stream, stream.segmenter.advance(pts_ns), tally)
            extend(self._db, stream.row, pts_ns, ns(self._config.gap_s))
        self._db.execute(
            "UPDATE stream SET committed_ns = max(coalesce(committed_ns, ?1), ?1), "
            "watched_end_ns = max(coalesce(watched_end_ns, ?1), ?1) WHERE id = ?2",
            (pts_ns, stream.row),
        )

    def _end(self, item: EndOfStream, tally: Tally) -> None:
        stream = self._stream(item.stream_id)
        if stream.ended:
            return
        self._advance(item.stream_id, item.pts_ns, tally)
        (end_ns,) = self._db.execute("SELECT watched_end_ns FROM stream WHERE id = ?", (stream.row,)).fetchone()
        self._bound(stream, stream.segmenter.end(end_ns), tally)
        self._db.execute("UPDATE stream SET ended = 1 WHERE id = ?", (stream.row,))
        stream.ended = True

    # --- events -------------------------------------------------------------------------------

    def _bound(self, stream: _Stream, boundaries: Iterable[Boundary], tally: Tally) -> None:
        for boundary in boundaries:
            if stream.event is not None:
                tally.counts["events_closed"] += self._close(stream.event, boundary.pts_ns)
                stream.event = None
            if boundary.opens:
                cursor = self._db.execute(
                    "INSERT INTO event (stream, start_ns, end_ns, open, cause, carries, previous) "
                    "SELECT ?, ?, ?, 1, ?, ?, coalesce(max(id), 0) FROM observation",
                    (stream.row, boundary.pts_ns, boundary.pts_ns, boundary.cause, boundary.carries),
                )
                stream.event = cursor.lastrowid

    def _close(self, event: int, end_ns: int) -> bool:
        """Finish an event; one that a loss cut off at its very start is dropped."""
        stream, start_ns, previous, carries = self._db.execute(
            "SELECT stream, start_ns, previous, carries FROM event WHERE id = ?", (event,)
        ).fetchone()
        if end_ns <= start_ns:
            self._db.execute("DELETE FROM event WHERE id = ?", (event,))
            return False
        extend(self._db, stream, end_ns, ns(self._config.gap_s))
        labels, picture = summarise(self._db, stream, start_ns, end_ns, previous if carries else None)
        self._db.execute(
            "UPDATE event SET end_ns = ?1, open = 0, labels = ?2, picture = ?3, surprise = coalesce((SELECT "
            "max(o.surprise) FROM observation o WHERE o.stream = ?5 AND o.modality = ?6 AND o.start_ns >= ?7 "
            "AND o.start_ns < ?1), 0) WHERE id = ?4",
            (end_ns, labels, picture, event, stream, MODALITY_CODES[Modality.VISION], start_ns),
        )
        familiarity.take_in(self._db, stream, start_ns, end_ns)
        return True
