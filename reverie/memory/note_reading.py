"""Notes by a reader, such as a language model: what follows from what was perceived, and from which of it.

A reader gets the passages of a stretch and gives back conclusions. One is stored only if it names the passages that it
is about, all of them given; the rest is counted as refused. What it is about then is the span of these passages, so it
goes when any of that is forgotten. Passages stay as they are, and those of imagined streams are not read.

A stretch is some consecutive events with about `BATCH` passages. Up to where a stream was read is kept
(`stream.noted_ns`), in the transaction that stores the notes, so nothing is read twice; an event that a note is about
from its beginning to its end is not read either. It never runs inside of a write: `Memory.read_notes` asks with no lock
held, and takes a stretch anew if anything was forgotten meanwhile.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Protocol

from reverie.memory.browse import Browse
from reverie.memory.schema import MODALITIES, MODALITY_CODES
from reverie.types import Citation, Modality, TimeSpan

BATCH = 16  # passages in one call of a reader, more where one event has more
_MAX_CHARS = 400  # of a note
_CODES = ", ".join(str(MODALITY_CODES[modality]) for modality in (Modality.SPEECH, Modality.WRITING))
_TEXTS = (
    f"SELECT modality, start_ns, end_ns, text FROM observation WHERE stream = ? AND modality IN ({_CODES}) "
    "AND start_ns >= ? AND start_ns < ? AND trim(text) != '' ORDER BY start_ns, id"
)
_UNREAD = (
    "SELECT s.id, s.name, max(e.start_ns, coalesce(s.noted_ns, e.start_ns)), e.end_ns, "
    f"(SELECT count(*) FROM observation o WHERE o.stream = e.stream AND o.modality IN ({_CODES}) "
    "AND o.start_ns >= e.start_ns AND o.start_ns < e.end_ns) "
    "FROM event e JOIN stream s ON s.id = e.stream WHERE NOT e.open AND NOT s.imagined "
    "AND (s.noted_ns IS NULL OR e.end_ns > s.noted_ns) AND NOT EXISTS (SELECT 1 FROM note n WHERE n.stream = e.stream "
    "AND n.start_ns <= e.start_ns AND n.end_ns >= e.end_ns) ORDER BY s.id, e.start_ns"
)

Told = tuple[str, Sequence[int]]


class NoteReader(Protocol):
    """Concludes notes from passages."""

    def read_notes(self, passages: Sequence[Citation]) -> Sequence[Told]:
        """(text, places among the passages of those that it is about) of each note."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteReceipt:
    """What one reading brought: `refused` notes named no passage, or one that was not given."""

    passages: int
    stored: int
    refused: int


@dataclass(frozen=True, slots=True)
class Unread:
    """Consecutive closed events of which no note is known."""

    stream: int
    stream_id: str
    span: TimeSpan

    @property
    def bounds_ns(self) -> tuple[int, int]:
        return self.span.start_ns, self.span.end_ns


def unread(db: sqlite3.Connection, stream_ids: tuple[str, ...]) -> list[Unread]:
    """What a reader has to read yet, in time order of each stream (none named: of all)."""
    found, num_passages = list[Unread](), BATCH
    for stream, stream_id, start_ns, end_ns, num_told in db.execute(_UNREAD):
        if stream_ids and stream_id not in stream_ids:
            continue
        span, last = TimeSpan(start_ns=start_ns, end_ns=end_ns), found[-1] if found else None
        num_passages += num_told + 1  # and the names of what was seen
        if last and num_passages <= BATCH and (last.stream, last.span.end_ns) == (stream, start_ns):
            found[-1] = Unread(stream, stream_id, last.span.union(span))
        else:
            found.append(Unread(stream, stream_id, span))
            num_passages = num_told + 1
    return found


def passages(db: sqlite3.Connection, browse: Browse, stretch: Unread) -> list[Citation]:
    """What was said, written and seen in a stretch, in time order; equal writing is one passage, and so is an event's
    list of names.
    """
    told: dict[tuple[int, str, int], TimeSpan] = {}
    for code, start_ns, end_ns, text in db.execute(_TEXTS, (stretch.stream, *stretch.bounds_ns)):
        key = (code, text, 0 if MODALITIES[code] is Modality.WRITING else start_ns)
        span = TimeSpan(start_ns=start_ns, end_ns=end_ns)
        told[key] = told[key].union(span) if key in told else span
    found = [_passage(stretch, span, MODALITIES[code], text) for (code, text, _), span in told.items()]
    found += [
        _passage(stretch, event.span, Modality.VISION, ", ".join(label.name for label in event.labels))
        for event in browse.timeline(stretch.span, (stretch.stream_id,))
        if event.labels
    ]
    return sorted(found, key=lambda passage: passage.span.start_ns)


def _passage(stretch: Unread, span: TimeSpan, modality: Modality, text: str) -> Citation:
    return Citation(stream_id=stretch.stream_id, span=span, modality=modality, text=text, thumbnail=None, score=1.0)


def borne_out(told: Sequence[Told], given: Sequence[Citation]) -> list[tuple[str, TimeSpan]]:
    """The notes that name passages which were given, each with the span of these; no more notes than passages."""
    return [
        (text.strip(), reduce(TimeSpan.union, (given[place].span for place in about)))
        for text, about in told[: len(given)]
        if 0 < len(text.strip()) <= _MAX_CHARS and about and all(0 <= place < len(given) for place in about)
    ]


def num_erasures(db: sqlite3.Connection) -> int:
    """How often anything was forgotten: what was read before the last time may be gone."""
    return int(db.execute("SELECT erasures FROM memory").fetchone()[0])


def mark(db: sqlite3.Connection, stretch: Unread) -> None:
    """A stretch was read, in the transaction that is open."""
    db.execute("UPDATE stream SET noted_ns = ? WHERE id = ?", (stretch.span.end_ns, stretch.stream))
