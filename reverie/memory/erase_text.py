"""Forgetting by words: every utterance, writing, sound, moment and visit whose text or name holds all of them.

Words match as in the text indexes: whole, in any case, accent and inflection that share a stem, in one text or one
name. Of names those of classes, sounds and things count, not those of colours. What matches goes:

    utterance, writing, sound, moment   the row with its vectors, also when its timed words hold them; its number stays,
                                        so that it cannot be sent again
    boxes                               those of the name; the others of the frame stay
    visit                               the row, and votes for the name in the rows of other visits
    fact, note                          the row, when its quote, its names or its text hold the words; a note also
                                        when it is about any of that
    entity                              with its templates, when no span is named
    words of minutes                    whose filter says yes to all of them, or that held one of these
    gap                                 its reason
    key frames                          of all that was in sight while one of these was heard or seen

Nothing else of that time goes: no gap in the stream, but for pictures where a moment went.

Where that is too much for one transaction, rows, boxes and visits go before all else (`erase_some_matches`).
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reverie.errors import UsageError
from reverie.memory import episodes, familiarity, lexical, notes, word_filters
from reverie.memory.derived import erase_derived, erase_named, matching
from reverie.memory.erase import Erased, erase_rows, fewer_of, still_standing, sum_up_anew
from reverie.memory.erase_faded import drop_faded_pictures
from reverie.memory.priming import drop_surprise
from reverie.memory.rows import box_rows, label_rows
from reverie.memory.schema import FORGOTTEN_PICTURES, MODALITY_CODES
from reverie.types import Modality, TimeSpan

_VISION = MODALITY_CODES[Modality.VISION]
_FAR_NS = 1 << 62
_OVERLAPPING = "stream = ? AND start_ns < ? AND max(end_ns, start_ns + 1) > ?"
_UNINDEXED = (  # timed words, and the text of what is no text
    "SELECT id, text || ' ' || coalesce((SELECT group_concat(json_extract(value, '$[0]'), ' ') FROM json_each(words)), "
    "'') FROM observation WHERE (words IS NOT NULL OR text != '')"
)


@dataclass(frozen=True, slots=True)
class Match:
    """What holds the words: a row, a frame with boxes of the name (those that are `left` stay), or a visit."""

    stream: int
    span: TimeSpan
    kind: Literal["row", "frame", "visit"]
    row: int
    left: bytes = b""


def erase_text(
    db: sqlite3.Connection, text: str, span: TimeSpan | None, streams: Iterable[int], gap_ns: int, erased: Erased
) -> None:
    """Delete in the transaction that is open, inside `erasing`; `span` limits the matches to those that overlap it.

    Raises:
        UsageError: the text has no word.
    """
    expression = _expression([text])
    names = _names(db, expression)
    for stream in streams:
        erase_derived(db, expression, stream, span)
        _erase_matches(db, stream, _find(db, expression, names, stream, span), gap_ns, erased)
        erased.word_filters += word_filters.erase_words(db, stream, text, span)
        _drop_votes(db, stream, set(names.values()), span)
        _drop_named_episodes(db, stream, set(names), span)
    if span is None:
        erase_named(db, expression)


def find_matches(
    db: sqlite3.Connection, texts: Iterable[str], span: TimeSpan | None, streams: Iterable[int]
) -> list[Match]:
    """What holds all the words of one of the texts, by stream and time: for `erase_some_matches`.

    Raises:
        UsageError: a text has no word.
    """
    expression = _expression(texts)
    names = _names(db, expression)
    found = [match for stream in streams for match in _find(db, expression, names, stream, span)]
    return sorted(found, key=lambda match: (match.stream, match.span.start_ns))


def erase_some_matches(db: sqlite3.Connection, found: list[Match], most: int, gap_ns: int, erased: Erased) -> bool:
    """Delete at most so many and take them off the list's end; `erase_text` does the rest. False when none are left.

    The latest go first: what stood before an earlier one, and so was in sight, is then still known.
    """
    if not found:
        return False
    some = [match for match in found[-most:] if match.stream == found[-1].stream]
    some = some[-fewer_of(db, (match.row for match in reversed(some) if match.kind != "visit"), most) :]
    del found[-len(some) :]
    _erase_matches(db, some[0].stream, some, gap_ns, erased)
    db.execute("UPDATE memory SET erasures = erasures + 1")
    return True


def _expression(texts: Iterable[str]) -> str:
    """FTS5 syntax for all the words of one of the texts."""
    expressions = []
    for text in texts:
        if not (expression := lexical.all_of(text)):
            raise UsageError(f"{text!r} has no word to look for: name at least one")
        expressions.append(f"({expression})")
    return " OR ".join(expressions)


def _names(db: sqlite3.Connection, expression: str) -> dict[int, str]:
    """The labels, but for colours, whose name matches."""
    named = db.execute(
        "SELECT id, name FROM label WHERE kind != 'colour' AND id IN "
        "(SELECT rowid FROM label_text WHERE label_text MATCH ?)",
        (expression,),
    )
    return dict(named.fetchall())


def _find(
    db: sqlite3.Connection, expression: str, names: dict[int, str], stream: int, span: TimeSpan | None
) -> list[Match]:
    bounds = (stream, span.end_ns, span.start_ns) if span else (stream, _FAR_NS, -_FAR_NS)
    found = []
    worded = {row for (row,) in db.execute(
        f"SELECT id FROM observation WHERE {_OVERLAPPING} AND id IN "
        "(SELECT rowid FROM observation_text WHERE observation_text MATCH ?)",
        (*bounds, expression),
    )}  # fmt: skip
    with matching(db, f"{_UNINDEXED} AND {_OVERLAPPING}", bounds, expression) as rows:
        worded.update(rows)
    for row, start_ns, end_ns, labels, boxes in db.execute(
        f"SELECT id, start_ns, end_ns, labels, boxes FROM observation WHERE {_OVERLAPPING} ORDER BY id", bounds
    ):
        named = not names.keys().isdisjoint(label_rows(labels)["label"].tolist())
        things = box_rows(boxes)
        left = things[~np.isin(things["name"], list(names))]
        if row in worded or named:
            found.append(Match(stream, TimeSpan(start_ns=start_ns, end_ns=end_ns), "row", row))
        elif len(left) < len(things):
            found.append(Match(stream, TimeSpan(start_ns=start_ns, end_ns=end_ns), "frame", row, left.tobytes()))
    for row, name, start_ns, end_ns in db.execute(
        f"SELECT rowid, name, start_ns, end_ns FROM track WHERE {_OVERLAPPING}", bounds
    ):
        if name in names.values():
            found.append(Match(stream, TimeSpan(start_ns=start_ns, end_ns=end_ns), "visit", row))
    return found


def _erase_matches(db: sqlite3.Connection, stream: int, matches: list[Match], gap_ns: int, erased: Erased) -> None:
    rows = [match.row for match in matches if match.kind == "row"]
    frames = [(match.left, match.row) for match in matches if match.kind == "frame"]
    visits = [(match.row,) for match in matches if match.kind == "visit"]
    spans = _joined(match.span for match in matches)
    touched = [span.union(_drop_pictures(db, stream, span, gap_ns)) for span in spans]
    moments = []
    for row in rows:
        modality, seq, start_ns = db.execute(
            "SELECT modality, seq, start_ns FROM observation WHERE id = ?", (row,)
        ).fetchone()
        db.execute("INSERT OR IGNORE INTO forgotten VALUES (?, ?, ?)", (stream, modality, seq))
        if modality == _VISION:
            moments.append(start_ns)
    erase_rows(db, rows, erased)
    db.executemany("UPDATE observation SET boxes = ? WHERE id = ?", frames)
    db.executemany("DELETE FROM track WHERE rowid = ?", visits)
    erased.tracks += len(visits)
    touched += _leave_no_picture(db, stream, moments)
    for span in spans:
        notes.erase(db, stream, span)
    erased.word_filters += sum(word_filters.erase_span(db, stream, span) for span in spans)
    for hours in _joined(familiarity.whole_hours(span) for span in spans):
        erased.less_familiar |= familiarity.rebuild(db, stream, hours)
    for span in _joined(touched):
        episodes.drop_touched(db, stream, span.start_ns, span.end_ns)
        sum_up_anew(db, stream, span)


def _drop_pictures(db: sqlite3.Connection, stream: int, span: TimeSpan, gap_ns: int) -> TimeSpan:
    """Let no row hold a key frame that was in sight during a span; return what it covers then."""
    touched = drop_faded_pictures(db, stream, span)
    seen = {
        name
        for table in ("observation", "track")
        for (name,) in db.execute(
            f"SELECT picture FROM {table} WHERE {_OVERLAPPING} AND picture IS NOT NULL",
            (stream, span.end_ns, span.start_ns),
        )
    }
    for row, start_ns in still_standing(db, stream, span.start_ns, gap_ns):
        (name,) = db.execute("SELECT picture FROM observation WHERE id = ?", (row,)).fetchone()
        seen.add(name)
        touched = touched.union(TimeSpan(start_ns=start_ns, end_ns=start_ns))
    for name in seen - {None}:
        for table in ("observation", "track", "event"):
            db.execute(f"UPDATE {table} SET picture = NULL WHERE picture = ?", (name,))
    return touched


def _leave_no_picture(db: sqlite3.Connection, stream: int, moments: list[int]) -> list[TimeSpan]:
    """Note the times of moments that went as times without a picture: no earlier one stood there."""
    (watched_ns,) = db.execute("SELECT watched_end_ns FROM stream WHERE id = ?", (stream,)).fetchone()
    since_ns: defaultdict[int, int] = defaultdict(lambda: _FAR_NS)  # by the time of the next moment that is left
    for start_ns in moments:
        (next_ns,) = db.execute(
            "SELECT min(start_ns) FROM observation WHERE stream = ? AND modality = ? AND start_ns >= ?",
            (stream, _VISION, start_ns),
        ).fetchone()
        until_ns = max(start_ns, watched_ns) if next_ns is None else next_ns
        if until_ns > start_ns:
            since_ns[until_ns] = min(since_ns[until_ns], start_ns)
    for until_ns, start_ns in since_ns.items():
        where = (stream, start_ns, until_ns, FORGOTTEN_PICTURES)
        db.execute("DELETE FROM gap WHERE stream = ? AND start_ns > ? AND end_ns = ? AND reason = ?", where)
        db.execute("INSERT OR IGNORE INTO gap VALUES (?, ?, ?, ?, 0)", where)
        drop_surprise(db, stream, start_ns)
    return [TimeSpan(start_ns=start_ns, end_ns=until_ns) for until_ns, start_ns in since_ns.items()]


def _drop_votes(db: sqlite3.Connection, stream: int, names: set[str], span: TimeSpan | None) -> None:
    """Visits that bear another name may have been taken for this one in some frames."""
    bounds = (stream, span.end_ns, span.start_ns) if span else (stream, _FAR_NS, -_FAR_NS)
    for row, packed in db.execute(f"SELECT rowid, votes FROM track WHERE {_OVERLAPPING}", bounds).fetchall():
        votes = json.loads(packed)
        if not names.isdisjoint(votes):
            left = {name: count for name, count in votes.items() if name not in names}
            db.execute("UPDATE track SET votes = ? WHERE rowid = ?", (json.dumps(left), row))


def _drop_named_episodes(db: sqlite3.Connection, stream: int, names: set[int], span: TimeSpan | None) -> None:
    """An episode may name what no row that is left of it shows."""
    bounds = (stream, span.end_ns, span.start_ns) if span else (stream, _FAR_NS, -_FAR_NS)
    rows = db.execute(f"SELECT id, labels FROM episode WHERE {_OVERLAPPING}", bounds).fetchall()
    episodes.drop(db, [row for row, labels in rows if not names.isdisjoint(label_rows(labels)["label"].tolist())])


def _joined(spans: Iterable[TimeSpan]) -> list[TimeSpan]:
    """Spans that overlap or touch become one, in time order."""
    joined: list[TimeSpan] = []
    for span in sorted(spans, key=lambda span: span.start_ns):
        if joined and span.start_ns <= joined[-1].end_ns:
            joined[-1] = joined[-1].union(span)
        else:
            joined.append(span)
    return joined
