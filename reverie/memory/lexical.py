"""Words: FTS5 indexes over texts and label names, BM25 and term coverage.

Both indexes use the porter stemmer over unicode61 (case and accents folded). Their content is the row
itself, so an entry is deleted by giving FTS5 the old text back.

A query becomes a set of quoted terms joined by OR, so no character of it is ever read as FTS5 syntax.
English function words are skipped. Of a question whose terms are in very many texts the rarer ones are read, and the
others only add to what these found (`search_texts`). Two terms that follow each other in a question are looked for as a
phrase, too, with the words that stand between them there: the ordered windows of the sequential dependence model
(Metzler and Croft 2005).

Erasure: deleting leaves delete markers beside the old entries until segments merge. `purge` merges all
segments into one, which drops both; with `secure_delete` the old pages are zeros then. FTS5's own
`secure-delete` option needs SQLite 3.42 and writes files that an older FTS5 refuses to read, so it is not
used: the promise holds the same with every SQLite from 3.37.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy import ndarray

Table = Literal["observation_text", "label_text"]
_COLUMN = {"observation_text": "text", "label_text": "name"}
_MERGE_PAGES, _MERGE_BYTES_A_PAGE = 4, 1024  # a term is written anew at each of a few levels
_K1_PLUS_1 = 2.2  # FTS5's bm25() has k1 = 1.2
_MAX_TERMS = 48
_MAX_PHRASE_WORDS = 5

FUNCTION_WORDS = """
a about after all am an and any anybody anyone anything are as at be been before being but by can could did do
does doing during each for from had has have having he her here him his how i if in into is it its just let may
me might moment moments more most my of off on or our out over own please say see seen shall she should show so
some someone something such tell than that the their them then there these they this those time times to under
until up us video very was we were what when where which while who whom whose why will with would you your
"""
_SKIPPED = frozenset(FUNCTION_WORDS.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class TermMatches:
    """The M texts that hold one term or phrase, by row id in ascending order.

    `bm25` is what it gives them, as a share of the most that the query's terms could give, in [0, 1]; `coverage` is
    the term's share of the query's weight (inverse document frequency), in [0, 1], and 0 for a phrase.
    """

    ids: Int64[ndarray, "m"]
    bm25: Float32[ndarray, "m"]
    coverage: float
    is_phrase: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LexicalQuery:
    """The terms of a question with their weights in one memory, how many texts hold each, and its phrases."""

    weights: Mapping[str, float]
    num_with: Mapping[str, int]
    num_texts: int
    phrases: Sequence[tuple[str, ...]]

    @property
    def total(self) -> float:
        return sum(self.weights.values())

    @property
    def best_bm25(self) -> float:
        """What a text would get that said nothing but every term, time and again."""
        return _K1_PLUS_1 * sum(_fts5_idf(self.num_texts, num) for num in self.num_with.values()) or 1.0


def terms_of(text: str) -> list[str]:
    """The distinct words of a query that are worth looking for, in order, lower case."""
    words = _words(text)
    kept = [word for word in dict.fromkeys(words) if word not in _SKIPPED and (len(word) > 1 or not word.isascii())]
    return (kept or [word for word in dict.fromkeys(words) if word.isdigit()])[:_MAX_TERMS]


def phrases_of(text: str, terms: Container[str]) -> list[tuple[str, ...]]:
    """The distinct stretches of a text from one of the terms to the next, both with it: "head of state"."""
    words = _words(text)
    places = [place for place, word in enumerate(words) if word in terms]
    near = (pair for pair in pairwise(places) if pair[1] - pair[0] < _MAX_PHRASE_WORDS)
    return list(dict.fromkeys(tuple(words[first : last + 1]) for first, last in near))[:_MAX_TERMS]


def match_expression(terms: Sequence[str]) -> str:
    """FTS5 syntax for any of the terms, each as a quoted string."""
    return " OR ".join('"' + term.replace('"', '""') + '"' for term in terms)


def all_of(text: str) -> str:
    """FTS5 syntax for every word of a text, function words too; "" when it has none."""
    words = [word for word in text.split() if any(character.isalnum() for character in word)]
    return " AND ".join('"' + word.replace('"', '""') + '"' for word in words)


class TextCount:
    """How many texts the index of one connection holds; counting a million takes longer than searching them."""

    def __init__(self) -> None:
        self._num = self._last_id = 0
        self._state: tuple[int, int] | None = None  # erasures and demotions, after which all are counted anew

    def of(self, connection: sqlite3.Connection) -> int:
        state = connection.execute(
            "SELECT erasures, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'revision'), 0) FROM memory"
        ).fetchone()
        if state != self._state:
            self._num, self._last_id, self._state = 0, 0, state
        num, last_id = connection.execute(
            "SELECT count(*), coalesce(max(id), ?1) FROM observation_text_docsize WHERE id > ?1", (self._last_id,)
        ).fetchone()
        self._num, self._last_id = self._num + num, last_id
        return self._num


def weigh(connection: sqlite3.Connection, text: str, num_texts: int) -> LexicalQuery:
    """Look up the query's terms and weigh each by its inverse document frequency in the texts of this memory.

    A term that no text holds keeps its weight: what the memory lacks must lower the coverage.
    """
    found = {term: _num_with(connection, term) for term in terms_of(text)}
    weights = {term: log(1 + (num_texts - num + 0.5) / (num + 0.5)) for term, num in found.items()}
    return LexicalQuery(weights=weights, num_with=found, num_texts=num_texts, phrases=phrases_of(text, found))


def search_texts(connection: sqlite3.Connection, query: LexicalQuery, max_postings: int) -> list[TermMatches]:
    """Observations whose text holds a term, term by term: BM25 is a sum over terms.

    Terms are read from the rarest on until they have named `max_postings` texts (one at least is read). The others
    are commoner, so they tell less and cost more: each is looked for only in the texts that were named (after
    MaxScore, Turtle and Flood 1995: terms that alone bring nothing to the top only add to what is there).
    """
    terms = sorted((term for term in query.weights if query.num_with[term]), key=lambda term: query.num_with[term])
    num_read = np.cumsum([query.num_with[term] for term in terms])
    num_whole = max(1, int(np.searchsorted(num_read, max_postings, side="right")))
    named = match_expression(terms[:num_whole])
    read = [_matching(connection, match_expression([term])) for term in terms[:num_whole]]
    if num_whole < len(terms):
        named = match_expression(terms[:num_whole])
        ids, where = np.unique(np.concatenate([own for own, _ in read]), return_inverse=True)
        known = np.bincount(where, weights=np.concatenate([worth for _, worth in read]), minlength=len(ids))
        for term in terms[num_whole:]:
            own, worth = _matching(connection, f"{match_expression([term])} AND ({named})")
            read.append((own, worth - known[np.searchsorted(ids, own)]))
    found = dict(zip(terms, read, strict=True))
    return [
        TermMatches(
            ids=ids,
            bm25=np.clip(worth / query.best_bm25, 0.0, 1.0).astype(np.float32),
            coverage=query.weights[term] / query.total,
        )
        for term in query.weights
        if term in found
        for ids, worth in (found[term],)
    ]


def search_phrases(
    connection: sqlite3.Connection, query: LexicalQuery, share: float, max_postings: int
) -> list[TermMatches]:
    """Observations in which two terms stand as they do in the question: `share` of the phrase's own BM25.

    A phrase costs about as much as the rarer of its terms, the words between are only looked up where both are. Those
    that cost least are read, up to `max_postings` texts in all.
    """
    num_read = {phrase: min(query.num_with[phrase[0]], query.num_with[phrase[-1]]) for phrase in query.phrases}
    found = []
    for phrase in sorted((phrase for phrase, num in num_read.items() if num and share > 0), key=num_read.__getitem__):
        max_postings -= num_read[phrase]
        if max_postings < 0:
            break
        ids, worth = _matching(connection, match_expression([" ".join(phrase)]))
        bm25 = np.clip(share * worth / query.best_bm25, 0.0, 1.0).astype(np.float32)
        found.append(TermMatches(ids=ids, bm25=bm25, coverage=0.0, is_phrase=True))
    return found


def _matching(connection: sqlite3.Connection, expression: str) -> tuple[Int64[ndarray, "m"], Float64[ndarray, "m"]]:
    """Ids of the texts that match, ascending, and BM25 of all terms of the expression, positive."""
    rows = connection.execute(
        "SELECT rowid, bm25(observation_text) FROM observation_text WHERE observation_text MATCH ? ORDER BY rowid",
        (expression,),
    ).fetchall()
    columns = np.array(rows, dtype=np.float64).reshape(-1, 2)
    return columns[:, 0].astype(np.int64), -columns[:, 1]


def search_labels(connection: sqlite3.Connection, query: LexicalQuery) -> dict[int, float]:
    """Coverage of every label whose name holds a term, by label id: "cat" finds "tabby cat"."""
    covered: dict[int, float] = {}
    for term, weight in query.weights.items():
        for (row,) in connection.execute(
            "SELECT rowid FROM label_text WHERE label_text MATCH ?", (match_expression([term]),)
        ):
            covered[row] = covered.get(row, 0.0) + weight / query.total
    return covered


def add(connection: sqlite3.Connection, table: Table, row: int, text: str) -> None:
    """Enter the text of a row that is already in the content table."""
    connection.execute(f"INSERT INTO {table} (rowid, {_COLUMN[table]}) VALUES (?, ?)", (row, text))


def remove(connection: sqlite3.Connection, table: Table, row: int, text: str) -> None:
    """Take one entry out. `text` must be what was added, and the content row must still be there or just gone."""
    connection.execute(f"INSERT INTO {table} ({table}, rowid, {_COLUMN[table]}) VALUES ('delete', ?, ?)", (row, text))


def merge_some(connection: sqlite3.Connection, num_bytes: int) -> bool:
    """Merge about as many pages of segments as so many bytes of text, entered or removed, will cost in all.

    Left to itself FTS5 merges a level of segments whole when it is full, within the write that fills it, and the log
    has to hold all of that: megabytes, however short the text. False when there was nothing to merge.
    """
    before = connection.total_changes
    num_pages = _MERGE_PAGES + num_bytes // _MERGE_BYTES_A_PAGE
    connection.execute("INSERT INTO observation_text (observation_text, rank) VALUES ('merge', ?)", (num_pages,))
    return connection.total_changes - before > 1  # the statement itself counts as one change


def purge(connection: sqlite3.Connection) -> None:
    """Merge each index into one segment, so that nothing of a removed text stays behind."""
    for table in _COLUMN:
        connection.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")


def purge_some(connection: sqlite3.Connection, num_pages: int) -> bool:
    """A few pages of what `purge` does, in the transaction that is open. False when there was nothing to merge.

    The first step takes a negative number, which tells FTS5 that all segments are to become one.
    """
    before = connection.total_changes
    for table in _COLUMN:
        connection.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('merge', ?)", (num_pages,))
    return connection.total_changes - before > len(_COLUMN)  # the statement itself counts as one change


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def _num_with(connection: sqlite3.Connection, term: str) -> int:
    """How many texts hold a term."""
    (num,) = connection.execute(
        "SELECT count(*) FROM observation_text WHERE observation_text MATCH ?", (match_expression([term]),)
    ).fetchone()
    return int(num)


def _fts5_idf(num_texts: int, num_with: int) -> float:
    """As FTS5 computes it: never negative, 1e-6 for terms in more than half of the texts."""
    return max(1e-6, log((num_texts - num_with + 0.5) / (num_with + 0.5)))
