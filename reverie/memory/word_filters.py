"""Words that outlive their text: of each minute a filter of the words in it, kept when most sentences go.

Which words a minute held costs few bits. When an event goes to level 3, of which only the sentences that say most stay
(see `merging`), the words of all its texts enter a Bloom filter with one hash function for each minute (Bloom 1970): a
row of m bits, and each word sets one of them. With n words it says yes to a word that was not there with the
probability 1 - e^(-n/m): 0.4 for the 70 words of a minute of speech in 128 bits. One word tells little; the ten of a
sentence, each weighed by log P(yes | there) / P(yes | not there), tell one minute from hundreds. The second
probability is the share of all the minutes asked that say yes: words that are said all the time weigh nothing.

64 minutes are one row, a block. While a merged event has more than 8192 bytes of them (nearly nine hours of speech),
blocks halve: by or-ing neighbouring minutes (a filter of half as many bits a word for two of them) or, where little was
said, the two halves of each filter. One that would be nine tenths full says nothing and goes.

Words are those of the text index, so stems; function words are left out. Hashes are keyed by the memory's own 16 random
bytes, so that two memories cannot be compared; who has the file can still try words. Bits cannot be told apart, so an
erasure empties every minute that what is forgotten may have been in. A text longer than a minute enters none.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from reverie.memory.lexical import FUNCTION_WORDS
from reverie.memory.stretches import TEXT_CODES, Stretch, select
from reverie.types import TimeSpan, ns

MINUTE_NS = ns(60.0)
NUM_MINUTES = 64
BLOCK_NS = NUM_MINUTES * MINUTE_NS
MAX_EVENT_BYTES = 8192
_FEW, _FULL = 0.25, 0.9  # fill: below the first, filters are folded; above the second, a block is worthless
_MISSED = 0.25  # share of a cue's words that the right stretch lacks: cut by its edge, or told in other words
_RAREST = 0.02  # share of minutes that a word is taken to be in, at least

Filters = Bool[ndarray, "n m"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """A stretch of a stream in which words were probably said or read; their text is gone, or most of it.

    `probability`: that it was there, if it was told once among the stretches that were asked or, as likely, never.
    """

    stream_id: str
    span: TimeSpan
    probability: float


# --- writing, in the transaction that is open ---------------------------------------------------


def take_in(db: sqlite3.Connection, stretch: Stretch, num_bits: int) -> None:
    """Let the filters know the words of every text that begins in a stretch. `num_bits`: of a minute in a new block."""
    texts: dict[int, list[str]] = {}
    for start_ns, end_ns, text in select(db, "start_ns, end_ns, text", stretch, TEXT_CODES, "AND text != ''"):
        if end_ns - start_ns <= MINUTE_NS:
            texts.setdefault(start_ns // MINUTE_NS, []).append(text)
    if not texts or not num_bits:
        return
    salt = _salt(db)
    words = _words(db, ["\n".join(minute) for minute in texts.values()])
    for minute, held in zip(texts, words, strict=True):
        block, place = divmod(minute, NUM_MINUTES)
        filters = _read(db, stretch.stream, block)
        if filters is None:
            filters = np.zeros((NUM_MINUTES, num_bits), bool)
        filters[place * len(filters) // NUM_MINUTES, _places(held, salt, filters.shape[1])] = True
        _write(db, stretch.stream, block, filters)


def fit(db: sqlite3.Connection, stretch: Stretch, max_bytes: int = MAX_EVENT_BYTES) -> None:
    """Halve the blocks of a merged event, those that begin in it or after the one before, until they take no more."""
    (first,) = db.execute(
        "SELECT coalesce(max(end_ns) / ? + 1, 0) FROM event WHERE stream = ? AND start_ns < ?",
        (BLOCK_NS, stretch.stream, stretch.start_ns),
    ).fetchone()
    rows = db.execute(
        "SELECT block, length(bits) FROM word_filter WHERE stream = ? AND block >= ? AND block < ?",
        (stretch.stream, first, -(-stretch.end_ns // BLOCK_NS)),
    )
    blocks: dict[int, int] = dict(rows.fetchall())
    while blocks and sum(blocks.values()) > max_bytes:
        block = min(blocks, key=lambda block: (-blocks[block], block))
        filters = _read(db, stretch.stream, block)
        halved = None if filters is None else _halved(filters)
        if halved is None:
            _delete(db, stretch.stream, block)
            del blocks[block]
        else:
            blocks[block] = _write(db, stretch.stream, block, halved)


def _halved(filters: Filters) -> Filters | None:
    """In half as many bytes; None when that would say nothing."""
    num, width = filters.shape
    held = filters[filters.any(axis=1)]
    halved: Filters
    if width > 8 and held.mean() < _FEW:
        halved = filters[:, : width // 2] | filters[:, width // 2 :]
        return halved
    if num == 1:
        return None
    halved = filters[0::2] | filters[1::2]
    return halved if halved[halved.any(axis=1)].mean() <= _FULL else None


def erase_span(db: sqlite3.Connection, stream: int, span: TimeSpan) -> int:
    """Empty the filters of all that may have held a text which overlaps the span; return how many."""
    return _empty(db, stream, span, None)


def erase_words(db: sqlite3.Connection, stream: int, text: str, span: TimeSpan | None) -> int:
    """Empty the filters that say yes to all words of a text, be it by chance; return how many."""
    return _empty(db, stream, span, _words(db, [text])[0])


def _empty(db: sqlite3.Connection, stream: int, span: TimeSpan | None, words: Sequence[str] | None) -> int:
    salt, emptied = _salt(db), 0
    for (block,) in db.execute("SELECT block FROM word_filter WHERE stream = ? ORDER BY block", (stream,)).fetchall():
        filters = _read(db, stream, block)
        assert filters is not None
        gone = [bool(own.any() and own[_places(words or (), salt, len(own))].all()) for own in filters]
        if span is not None:
            reached = TimeSpan(start_ns=span.start_ns - MINUTE_NS, end_ns=max(span.end_ns, span.start_ns + 1))
            parts = _spans(block, len(filters))
            gone = [own and part.overlaps(reached) for own, part in zip(gone, parts, strict=True)]
        if any(gone):
            filters[gone] = False
            _write(db, stream, block, filters)
            emptied += sum(gone)
    return emptied


# --- reading ------------------------------------------------------------------------------------


def when_said(
    db: sqlite3.Connection, text: str, streams: tuple[int, ...] | None, span: TimeSpan | None, at_least: float
) -> list[Saying]:
    """Stretches that probably held the words of a text, the surest first, then by stream and time."""
    salt, names = _salt(db), dict(db.execute("SELECT id, name FROM stream"))
    words = _words(db, [text])[0]
    where: list[tuple[str, TimeSpan]] = []
    hits, fills, lengths = [], [], []
    for stream, block in db.execute("SELECT stream, block FROM word_filter ORDER BY stream, block").fetchall():
        if streams is not None and stream not in streams:
            continue
        filters = _read(db, stream, block)
        assert filters is not None
        for part, own in zip(_spans(block, len(filters)), filters, strict=True):
            asked_ns = part.duration_ns
            if span is not None:
                asked_ns = min(part.end_ns, span.end_ns) - max(part.start_ns, span.start_ns)
            if asked_ns > 0 and own.any():
                where.append((names[stream], part))
                hits.append(own[_places(words, salt, len(own))])
                fills.append(own.mean())
                lengths.append(asked_ns)
    if not where or not words:
        return []
    hit, fill = np.stack(hits), np.array(fills)[:, None]
    rate = (hit.sum(axis=0) + 0.5) / (len(hit) + 1)
    elsewhere = np.clip(np.maximum(rate, fill), _RAREST, 1 - _RAREST)
    there = 1 - _MISSED + _MISSED * elsewhere
    ratio = np.where(hit, np.log(there / elsewhere), np.log((1 - there) / (1 - elsewhere))).sum(axis=1)
    weight = ratio + np.log(np.array(lengths) / sum(lengths))
    top = max(float(weight.max()), 0.0)  # that it was never told weighs log 1
    weight = np.exp(weight - top)
    probability = weight / (weight.sum() + np.exp(-top))
    found = [
        Saying(stream_id=stream, span=part, probability=float(own))
        for (stream, part), own in zip(where, probability, strict=True)
        if own >= at_least
    ]
    return sorted(found, key=lambda saying: -saying.probability)


# --- rows ---------------------------------------------------------------------------------------


def _read(db: sqlite3.Connection, stream: int, block: int) -> Filters | None:
    row = db.execute(
        "SELECT num_filters, bits FROM word_filter WHERE stream = ? AND block = ?", (stream, block)
    ).fetchone()
    if row is None:
        return None
    filters: Filters = np.unpackbits(np.frombuffer(zlib.decompress(row[1]), np.uint8)).reshape(row[0], -1).astype(bool)
    return filters


def _write(db: sqlite3.Connection, stream: int, block: int, filters: Filters) -> int:
    """Return how many bytes it takes."""
    _delete(db, stream, block)
    packed = zlib.compress(np.packbits(filters).tobytes())  # a clip of a minute leaves all others empty
    if filters.any():
        db.execute("INSERT INTO word_filter VALUES (?, ?, ?, ?)", (stream, block, len(filters), packed))
    return len(packed)


def _delete(db: sqlite3.Connection, stream: int, block: int) -> None:
    db.execute("DELETE FROM word_filter WHERE stream = ? AND block = ?", (stream, block))


def _spans(block: int, num: int) -> Iterator[TimeSpan]:
    """Of each of the filters of a block."""
    length_ns = BLOCK_NS // num
    for start_ns in range(block * BLOCK_NS, (block + 1) * BLOCK_NS, length_ns):
        yield TimeSpan(start_ns=start_ns, end_ns=start_ns + length_ns)


def _salt(db: sqlite3.Connection) -> bytes:
    return bytes(db.execute("SELECT word_salt FROM memory").fetchone()[0])


def _places(words: Sequence[str], salt: bytes, width: int) -> list[int]:
    """The bit of each word, in a filter of a power of two of bits: that of one half as wide is the same, modulo it."""
    digests = (blake2b(word.encode(), digest_size=8, key=salt).digest() for word in words)
    return [int.from_bytes(digest, "little") % width for digest in digests]


def _words(db: sqlite3.Connection, texts: Sequence[str]) -> list[list[str]]:
    """The distinct words of each text as the text index has them, but for function words and single letters."""
    skipped = _function_words()
    return [
        [word for word in own if word not in skipped and (len(word) > 1 or not word.isascii())]
        for own in _terms(db, texts)
    ]


@cache
def _function_words() -> frozenset[str]:
    """As the text index has them."""
    with closing(sqlite3.connect(":memory:")) as db:
        return frozenset(_terms(db, [FUNCTION_WORDS])[0])


def _terms(db: sqlite3.Connection, texts: Sequence[str]) -> list[list[str]]:
    """The distinct terms of each text, through an index that stays beside the connection, empty: making one is slow."""
    if db.execute("SELECT 1 FROM temp.sqlite_schema WHERE name = 'worded_terms'").fetchone() is None:
        db.execute("CREATE VIRTUAL TABLE temp.worded USING fts5(text, content='', tokenize='porter unicode61')")
        db.execute("CREATE VIRTUAL TABLE temp.worded_terms USING fts5vocab(temp, worded, instance)")
    found: list[list[str]] = [[] for _ in texts]
    try:
        db.executemany("INSERT INTO temp.worded (rowid, text) VALUES (?, ?)", enumerate(texts))
        for number, term in db.execute("SELECT DISTINCT doc, term FROM temp.worded_terms ORDER BY doc, term"):
            found[number].append(term)
    finally:
        db.execute("INSERT INTO temp.worded (worded) VALUES ('delete-all')")
    return found
