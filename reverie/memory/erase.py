"""Forgetting for good: rows, indexes, log, pictures. (By words: see `erase_text`.)

What overlaps the span goes whole: an utterance half inside is deleted, and so is a picture that was shown
before the span and still stood in it. Events keep the time that is left. The span is noted as a gap with the
reason "forgotten" (and the time that lost its picture with it as "forgotten pictures"), so that sending
the same observations again does not bring them back, and no earlier picture seems to stand there. Of an
event that was made coarser, the moment that stands for the span goes whole, and so does the key frame.

Deleted cells and pages are zeroed (`secure_delete`), the text indexes are merged so that no marker keeps a
word, the log is folded into the database and emptied, free pages return to the disk, and what SQLite left in the unused
middle of pages when it moved cells is zeroed, too (`page_gaps`).
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from reverie.memory import entities, episodes, facts, familiarity, lexical, notes, pins, word_filters
from reverie.memory.budget import INDEXED_BYTES
from reverie.memory.erase_faded import drop_faded_pictures, drop_faded_visits
from reverie.memory.events import summarise
from reverie.memory.names import LABEL_BYTES, drop_labels, drop_unused_encoders, unused_labels
from reverie.memory.priming import drop_surprise
from reverie.memory.records import Forgettable
from reverie.memory.schema import (
    A_LOSS,
    EVERY_MODALITY,
    FORGOTTEN,
    FORGOTTEN_PICTURES,
    MODALITIES,
    MODALITY_CODES,
    TEXT_MODALITIES,
)
from reverie.memory.stretches import ROW_BYTES
from reverie.types import Modality, TimeSpan

_TEXT_CODES = tuple(MODALITY_CODES[modality] for modality in TEXT_MODALITIES)
_FAR_NS = 1 << 62
_MAX_FOUND = 100
_LOG_BYTES = 1500  # of deleting one observation: pages of the table, of its vectors and of three indexes
_VISIT_BYTES, _NOTE_BYTES, _TAUGHT_BYTES = 1200, 4096, 1000  # the same of a visit, a note, and a template or an alias
_LABELS_A_ROW, _ROWS_A_NOTE = 12, 6  # at most; a note counts as so many rows in a step
_LASTING = (MODALITY_CODES[Modality.VISION], MODALITY_CODES[Modality.OBJECTS])


@dataclass(slots=True)
class Erased:
    """What one erasure took: rows by sense, and by table; `pictures` are the names that no row holds any more."""

    senses: Counter[int] = field(default_factory=Counter)
    vectors: int = 0
    tracks: int = 0
    events: int = 0
    labels: int = 0
    derived: Counter[str] = field(default_factory=Counter)  # by table
    less_familiar: set[tuple[int, int]] = field(default_factory=set)  # stream and hour
    word_filters: int = 0
    pictures: set[str] = field(default_factory=set)
    found: list[Forgettable] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What to forget: what overlaps a span (None: all time) of some streams (none named: of all), or holds words.

    `entity`: what was taught under a name, and all that holds one of its names.
    """

    span: TimeSpan | None = None
    stream_ids: tuple[str, ...] = ()
    text: str | None = None
    entity: str | None = None


def erase(db: sqlite3.Connection, span: TimeSpan | None, streams: Iterable[int], gap_ns: int, erased: Erased) -> None:
    """Delete in the transaction that is open, inside `erasing`. With no span, whole streams go, and their names too."""
    for stream in streams:
        if span is None:
            _erase_stream(db, stream, erased)
        else:
            _erase_span(db, stream, span, gap_ns, erased)


@contextmanager
def erasing(db: sqlite3.Connection, begun: Erased | None = None, stepwise: bool = False) -> Iterator[Erased]:
    """What every erasure ends with: names, index entries and pictures that nothing uses any more go.

    `begun`: what was taken before, when all of it would be too much for one transaction, with all pictures that were
    held before that. Then the text index is left for the caller to purge, in steps too; `stepwise`: so are names.
    """
    erased = begun or Erased()
    before = pictures_of(db) | erased.pictures
    yield erased
    if not stepwise:
        unused = unused_labels(db)
        drop_labels(db, unused)
        erased.labels += len(unused)
    drop_unused(db)
    if begun is None:
        lexical.purge(db)
    db.execute("UPDATE memory SET erasures = erasures + 1")
    erased.pictures = before - pictures_of(db)
    db.executemany("UPDATE event SET picture = NULL WHERE picture = ?", [(name,) for name in erased.pictures])


def erase_some(db: sqlite3.Connection, target: Target, most: int, erased: Erased) -> bool:
    """Delete about so many observations that lie inside of the span whole; then visits, notes, and, when all is meant,
    what was taught. Long texts count as several. False when there are none (left).
    """
    low_ns, high_ns = _bounds(target)
    inside = "stream = ? AND start_ns >= ? AND max(end_ns, start_ns + 1) <= ? LIMIT ?"
    for stream in streams_of(db, target):
        bounds = (stream, low_ns, high_ns)
        if rows := [row for (row,) in db.execute(f"SELECT id FROM observation WHERE {inside}", (*bounds, most))]:
            erase_rows(db, rows[: fewer_of(db, rows, most)], erased)
        elif visits := db.execute(f"SELECT rowid FROM track WHERE {inside}", (*bounds, most)).fetchall():
            db.executemany("DELETE FROM track WHERE rowid = ?", visits)
            erased.tracks += len(visits)
        elif found := db.execute(f"SELECT id FROM note WHERE {inside}", (*bounds, most // _ROWS_A_NOTE + 1)).fetchall():
            for (note,) in found:
                notes.drop(db, note)
        else:
            continue
        db.execute("UPDATE memory SET erasures = erasures + 1")
        return True
    return target == Target() and entities.erase_some(db, most)


def fewer_of(db: sqlite3.Connection, rows: Iterable[int], most: int) -> int:
    """How many of these observations count as `most` rows without text do; one at least."""
    left, size = most * ROW_BYTES, "SELECT length(text) + coalesce(length(words), 0) FROM observation WHERE id = ?"
    for number, row in enumerate(rows):
        left -= ROW_BYTES + INDEXED_BYTES * int(db.execute(size, (row,)).fetchone()[0])
        if left < 0:
            return max(number, 1)
    return most


def bytes_to_change(db: sqlite3.Connection, target: Target) -> int:
    """About what the log takes when it is all erased at once: rows of all tables, and the text index that is merged."""
    low_ns, high_ns = _bounds(target)
    rows = text_bytes = num_bytes = 0
    within = "WHERE stream = ? AND start_ns >= ? AND start_ns < ?"
    for stream in streams_of(db, target):
        bounds = (stream, low_ns, high_ns)
        several = "SELECT count(*), coalesce(sum(length(text) + coalesce(length(words), 0)), 0) FROM observation "
        count, long = db.execute(f"{several} {within} AND {EVERY_MODALITY}", bounds).fetchone()
        (visits,) = db.execute(f"SELECT count(*) FROM track {within}", bounds).fetchone()
        (noted,) = db.execute(f"SELECT count(*) FROM note {within}", bounds).fetchone()
        rows, text_bytes = rows + count, text_bytes + long
        num_bytes += visits * _VISIT_BYTES + noted * _NOTE_BYTES
    (labels,) = db.execute("SELECT count(*) FROM label").fetchone()
    (index_bytes,) = db.execute("SELECT coalesce(sum(length(block)), 0) FROM observation_text_data").fetchone()
    num_bytes += rows * _LOG_BYTES + INDEXED_BYTES * text_bytes + min(labels, rows * _LABELS_A_ROW) * LABEL_BYTES
    if target == Target():
        taught = "SELECT (SELECT count(*) FROM template) + (SELECT count(*) FROM alias)"
        num_bytes += int(db.execute(taught).fetchone()[0]) * _TAUGHT_BYTES
    return int(num_bytes + index_bytes)


def streams_of(db: sqlite3.Connection, target: Target) -> list[int]:
    """Numbers of the streams that are meant."""
    names = target.stream_ids
    chosen = f" WHERE name IN ({','.join('?' * len(names))})" if names else ""
    return [row for (row,) in db.execute(f"SELECT id FROM stream{chosen} ORDER BY id", names)]


def _bounds(target: Target) -> tuple[int, int]:
    return (target.span.start_ns, target.span.end_ns) if target.span is not None else (-_FAR_NS, _FAR_NS)


def pictures_of(db: sqlite3.Connection) -> set[str]:
    """Every name that a row holds."""
    rows = db.execute(
        "SELECT picture FROM observation WHERE picture IS NOT NULL UNION "
        "SELECT picture FROM track WHERE picture IS NOT NULL"
    )
    return {name for (name,) in rows}


def _erase_stream(db: sqlite3.Connection, stream: int, erased: Erased) -> None:
    ids = [row for (row,) in db.execute("SELECT id FROM observation WHERE stream = ?", (stream,))]
    erase_rows(db, ids, erased)
    erased.tracks += db.execute("DELETE FROM track WHERE stream = ?", (stream,)).rowcount
    episodes.drop_touched(db, stream, -_FAR_NS, _FAR_NS)
    erased.events += db.execute("DELETE FROM event WHERE stream = ?", (stream,)).rowcount
    for table in ("gap", "faded", "revision", "pin", "familiarity", "word_filter", "forgotten"):
        db.execute(f"DELETE FROM {table} WHERE stream = ?", (stream,))
    facts.erase_stream(db, stream)
    entities.erase_shown(db, stream, None)
    notes.erase(db, stream, None)
    db.execute("DELETE FROM stream WHERE id = ?", (stream,))


def _erase_span(db: sqlite3.Connection, stream: int, span: TimeSpan, gap_ns: int, erased: Erased) -> None:
    (watched_ns,) = db.execute("SELECT watched_end_ns FROM stream WHERE id = ?", (stream,)).fetchone()
    if watched_ns is None:
        return
    at_the_end = f"SELECT 1 FROM observation WHERE stream = ? AND {EVERY_MODALITY} AND start_ns = ?"
    end_ns = watched_ns + (db.execute(at_the_end, (stream, watched_ns)).fetchone() is not None)  # a moment lasts 1 ns
    if span.start_ns >= end_ns:
        return
    span = TimeSpan(start_ns=span.start_ns, end_ns=min(span.end_ns, end_ns))
    overlapping = "stream = ?1 AND start_ns < ?2 AND max(end_ns, start_ns + 1) > ?3"
    bounds = (stream, span.end_ns, span.start_ns)
    ids = {row for (row,) in db.execute(f"SELECT id FROM observation WHERE {overlapping}", bounds)}
    standing = dict(still_standing(db, stream, span.start_ns, gap_ns))
    ids.update(standing)
    touched = known = _extent(db, ids, span)
    for start_ns, end_ns in db.execute(f"SELECT start_ns, end_ns FROM track WHERE {overlapping}", bounds):
        touched = touched.union(TimeSpan(start_ns=start_ns, end_ns=end_ns))
    erase_rows(db, ids, erased)
    erased.tracks += db.execute(f"DELETE FROM track WHERE {overlapping}", bounds).rowcount
    touched = touched.union(drop_faded_pictures(db, stream, span))
    touched = touched.union(drop_faded_visits(db, stream, span))
    episodes.drop_touched(db, stream, touched.start_ns, touched.end_ns)
    pins.cut(db, stream, span)
    facts.erase_span(db, stream, span)
    entities.erase_shown(db, stream, span)
    notes.erase(db, stream, span)
    _cut_events(db, stream, span, erased)
    drop_surprise(db, stream, span.end_ns)
    note = "INSERT OR IGNORE INTO gap VALUES (?, ?, ?, ?, 0)"
    db.execute(note, (stream, span.start_ns, span.end_ns, FORGOTTEN))
    if standing:
        db.execute(note, (stream, min(standing.values()), span.end_ns, FORGOTTEN_PICTURES))
    (next_ns,) = db.execute(
        "SELECT min(start_ns) FROM observation WHERE stream = ? AND modality = ? AND start_ns >= ?",
        (stream, MODALITY_CODES[Modality.VISION], span.end_ns),
    ).fetchone()
    until_ns = next_ns if next_ns is not None else watched_ns
    erased.less_familiar |= familiarity.rebuild(db, stream, known)
    erased.word_filters += word_filters.erase_span(db, stream, span)
    sum_up_anew(db, stream, touched.union(TimeSpan(start_ns=span.end_ns, end_ns=max(until_ns, span.end_ns))))


def _extent(db: sqlite3.Connection, ids: Iterable[int], span: TimeSpan) -> TimeSpan:
    """The span, widened to all that the rows cover."""
    for row in ids:
        start_ns, end_ns = db.execute("SELECT start_ns, end_ns FROM observation WHERE id = ?", (row,)).fetchone()
        span = span.union(TimeSpan(start_ns=start_ns, end_ns=end_ns))
    return span


def still_standing(db: sqlite3.Connection, stream: int, at_ns: int, gap_ns: int) -> Iterable[tuple[int, int]]:
    """(id, start_ns) of the last picture and of the last boxes before a time, unless a loss lies between."""
    (lost_ns,) = db.execute(
        f"SELECT max(start_ns) FROM gap WHERE stream = ? AND start_ns < ? AND {A_LOSS}",
        (stream, at_ns, gap_ns),
    ).fetchone()
    for code in _LASTING:
        row = db.execute(
            "SELECT id, start_ns FROM observation WHERE stream = ? AND modality = ? AND start_ns < ? "
            "ORDER BY start_ns DESC, id DESC LIMIT 1",
            (stream, code, at_ns),
        ).fetchone()
        if row is not None and (lost_ns is None or row[1] >= lost_ns):
            yield row[0], row[1]


def erase_rows(db: sqlite3.Connection, ids: Iterable[int], erased: Erased) -> None:
    """Delete observations with what hangs on them: index entry, vector, vectors of sentences."""
    for row in ids:
        name, stream, text, modality, start_ns, end_ns = db.execute(
            "SELECT s.name, o.stream, text, modality, start_ns, end_ns FROM observation o "
            "JOIN stream s ON s.id = o.stream WHERE o.id = ?",
            (row,),
        ).fetchone()
        if len(erased.found) < _MAX_FOUND:
            span = TimeSpan(start_ns=start_ns, end_ns=end_ns)
            erased.found.append(Forgettable(stream_id=name, span=span, modality=MODALITIES[modality], text=text))
        if modality == _LASTING[0]:  # a picture that stood into the span may have been shown as somebody's look
            entities.erase_shown(db, stream, TimeSpan(start_ns=start_ns, end_ns=max(end_ns, start_ns + 1)))
        if text and modality in _TEXT_CODES:
            lexical.remove(db, "observation_text", row, text)
            facts.erase_of(db, row)
        for table in ("vector", "sentence"):
            erased.vectors += db.execute(f"DELETE FROM {table} WHERE observation = ?", (row,)).rowcount
        db.execute("DELETE FROM observation WHERE id = ?", (row,))
        erased.senses[modality] += 1


def _cut_events(db: sqlite3.Connection, stream: int, span: TimeSpan, erased: Erased) -> None:
    """Events inside the span go; those across an edge end or begin there, and one around it becomes two."""
    rows = db.execute(
        "SELECT id, start_ns, CASE WHEN open THEN ?2 ELSE end_ns END AS until_ns, open, cause, previous, carries, "
        "level, strength, recalled_ns, repeats FROM event WHERE stream = ?1 AND start_ns < ?3 AND until_ns > ?4",
        (stream, _FAR_NS, span.end_ns, span.start_ns),
    ).fetchall()
    for event, start_ns, end_ns, is_open, cause, previous, carries, *kept in rows:
        db.execute("DELETE FROM event WHERE id = ?", (event,))
        erased.events += span.start_ns <= start_ns and end_ns <= span.end_ns
        if start_ns < span.start_ns:
            _insert_event(db, (stream, start_ns, span.start_ns, 0, cause, previous, carries, *kept))
            if is_open:
                familiarity.take_in(db, stream, start_ns, span.start_ns)
        if span.end_ns < end_ns:
            until_ns = span.end_ns if is_open else end_ns
            _insert_event(db, (stream, span.end_ns, until_ns, is_open, "start", previous, 0, *kept))
    db.execute("UPDATE event SET cause = 'start', carries = 0 WHERE stream = ? AND start_ns = ?", (stream, span.end_ns))


def _insert_event(db: sqlite3.Connection, row: tuple[int | str | None, ...]) -> None:
    db.execute(
        "INSERT INTO event (stream, start_ns, end_ns, open, cause, previous, carries, level, strength, recalled_ns, "
        "repeats) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        row,
    )


def sum_up_anew(db: sqlite3.Connection, stream: int, touched: TimeSpan) -> None:
    """Labels and key frames of the closed events that something erased had a part in."""
    rows = db.execute(
        "SELECT id, start_ns, end_ns, previous, carries FROM event WHERE stream = ? AND NOT open "
        "AND start_ns <= ? AND end_ns >= ?",
        (stream, touched.end_ns, touched.start_ns),
    ).fetchall()
    for event, start_ns, end_ns, previous, carries in rows:
        labels, picture = summarise(db, stream, start_ns, end_ns, previous if carries else None)
        (surprise,) = db.execute(
            "SELECT coalesce(max(surprise), 0) FROM observation WHERE stream = ? AND modality = ? AND start_ns >= ? "
            "AND start_ns < ?",
            (stream, MODALITY_CODES[Modality.VISION], start_ns, end_ns),
        ).fetchone()
        values = (labels, picture, surprise, event)
        db.execute("UPDATE event SET labels = ?, picture = ?, surprise = ? WHERE id = ?", values)


def drop_unused(db: sqlite3.Connection) -> None:
    """Centres and encoders that no row uses any more, in the transaction that is open."""
    db.execute(
        "DELETE FROM centre WHERE id NOT IN (SELECT centre FROM vector WHERE centre IS NOT NULL "
        "UNION SELECT centre FROM sentence WHERE centre IS NOT NULL)"
    )
    drop_unused_encoders(db)
