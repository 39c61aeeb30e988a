"""Notes: conclusions about what was perceived, linked to the notes nearest in meaning.

After A-MEM (Xu et al. 2025, sections 3.1 and 3.2) and the thoughts of Think-in-Memory (Liu et al. 2023): a note has a
text, keywords and links to at most 5 nearest notes. Unlike the published code a link names a note by its id, never by
its rank in a result, it holds both ways, and a neighbour is never rewritten. Links are kept and shown, and search does
not follow them: see benchmarks/results/notes.md.

A note is derived. It is no observation, so no answer cites it as seen or heard; it names the span that it is about,
and goes when any of that is forgotten.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from math import log

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from reverie.memory.lexical import terms_of
from reverie.memory.records import Note
from reverie.memory.vectors import cosines, quantise
from reverie.types import TimeSpan

MAX_LINKS = 5
MIN_COSINE = 0.5
_MAX_KEYWORDS = 6
_SELECT = (
    "SELECT n.id, s.name, n.start_ns, n.end_ns, n.text, n.keywords, n.made_ns FROM note n "
    "JOIN stream s ON s.id = n.stream"
)


def add(
    db: sqlite3.Connection,
    stream: int,
    about: TimeSpan,
    text: str,
    vector: Float32[ndarray, "d"],
    encoder: int,
    now_ns: int,
) -> int:
    """Store a note with its keywords and links, in the transaction that is open; return its id."""
    texts = [other for (other,) in db.execute("SELECT text FROM note")]
    code, scale = quantise(vector)
    near = sorted(_near(db, vector, encoder), key=lambda pair: (-pair[1], pair[0]))[:MAX_LINKS]
    values = (stream, about.start_ns, about.end_ns, text, json.dumps(keywords(text, texts)), now_ns, encoder, scale)
    (note,) = db.execute(
        "INSERT INTO note (stream, start_ns, end_ns, text, keywords, made_ns, encoder, scale, code) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (*values, code.tobytes()),
    ).fetchone()
    db.executemany(
        "INSERT INTO note_link VALUES (?, ?, ?)",
        [(other, note, cosine) for other, cosine in near if cosine >= MIN_COSINE],
    )
    return int(note)


def keywords(text: str, others: Sequence[str]) -> list[str]:
    """The rarest words of a text among those of other texts, in the order of the text."""
    terms = terms_of(text)
    frequency = Counter(term for other in others for term in set(terms_of(other)))
    rarest = sorted(terms, key=lambda term: (frequency[term], -len(term), terms.index(term)))[:_MAX_KEYWORDS]
    return [term for term in terms if term in rarest]


def _near(db: sqlite3.Connection, vector: Float32[ndarray, "d"], encoder: int) -> list[tuple[int, float]]:
    """(id, cosine) of every note in the same space."""
    rows = db.execute("SELECT id, scale, code FROM note WHERE encoder = ? ORDER BY id", (encoder,)).fetchall()
    if not rows:
        return []
    codes = np.frombuffer(b"".join(row[2] for row in rows), np.int8).reshape(len(rows), -1)
    near = cosines(codes, np.array([row[1] for row in rows], np.float32), vector)
    return [(row[0], cosine) for row, cosine in zip(rows, near.tolist(), strict=True)]


def read(db: sqlite3.Connection, ids: Sequence[int] | None = None) -> list[Note]:
    """Notes by id, in the order given; all of them in the order in which they were made when none is given."""
    found = {row[0]: _note(db, row) for row in db.execute(f"{_SELECT} ORDER BY n.id").fetchall()}
    return list(found.values()) if ids is None else [found[number] for number in ids if number in found]


def _note(db: sqlite3.Connection, row: tuple[int, str, int, int, str, str, int]) -> Note:
    note, stream_id, start_ns, end_ns, text, packed, made_ns = row
    linked = db.execute(
        "SELECT CASE WHEN a = ?1 THEN b ELSE a END FROM note_link WHERE a = ?1 OR b = ?1 ORDER BY cosine DESC, a, b",
        (note,),
    )
    return Note(
        note_id=note,
        stream_id=stream_id,
        about=TimeSpan(start_ns=start_ns, end_ns=end_ns),
        text=text,
        keywords=tuple(json.loads(packed)),
        links=tuple(other for (other,) in linked),
        made_ns=made_ns,
    )


def search(
    db: sqlite3.Connection, text: str, vector: Float32[ndarray, "d"], encoder: int, dense_weight: float, k: int
) -> list[Note]:
    """The k best notes for a question, best first: cosine, and the share of its term weight that a note holds."""
    near = dict(_near(db, vector, encoder))
    held = {row: set(terms_of(words)) for row, words in db.execute("SELECT id, text FROM note")}
    asked = terms_of(text)
    weights = {term: log(1 + len(held) / (1 + sum(term in own for own in held.values()))) for term in asked}
    total = sum(weights.values()) or 1.0

    def score(note: int) -> float:
        share = sum(weight for term, weight in weights.items() if term in held[note]) / total
        return dense_weight * near.get(note, 0.0) + (1 - dense_weight) * share

    best = sorted(held, key=lambda note: (-score(note), note))
    return read(db, [note for note in best[:k] if score(note) > 0])


def erase(db: sqlite3.Connection, stream: int, span: TimeSpan | None) -> None:
    """Notes about any part of a span of a stream (None: all of it) go, with their links."""
    inside, values = "stream = ?", [stream]
    if span is not None:
        inside += " AND start_ns < ? AND max(end_ns, start_ns + 1) > ?"
        values += [span.end_ns, span.start_ns]
    for (note,) in db.execute(f"SELECT id FROM note WHERE {inside}", values).fetchall():
        drop(db, note)


def drop(db: sqlite3.Connection, note: int) -> None:
    """Delete one note with its links."""
    db.execute("DELETE FROM note_link WHERE a = ?1 OR b = ?1", (note,))
    db.execute("DELETE FROM note WHERE id = ?", (note,))
