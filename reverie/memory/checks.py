"""What must hold of the rows of a memory. Each check reads one connection and names what does not hold.

`mend` is there where the rows themselves say what is right, so that nothing is lost by writing it anew.
"""

from __future__ import annotations

import json
import math
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from reverie.memory.anchors import ANCHOR_SET, unpack_anchors
from reverie.memory.coarse_codes import code_bytes
from reverie.memory.facts import key_of
from reverie.memory.familiarity import CODE_BYTES, MAX_CODES
from reverie.memory.level_checks import wrong_centres, wrong_episodes, wrong_levels, wrong_stretches
from reverie.memory.rows import BOX_DTYPE, LABEL_DTYPE, box_rows, label_rows
from reverie.memory.schema import MODALITIES, MODALITY_CODES
from reverie.memory.text_check import rebuild_texts, wrong_texts
from reverie.memory.vectors import UNIT_TOLERANCE, dequantise
from reverie.memory.word_filters import NUM_MINUTES
from reverie.types import Modality

Problem = tuple[str, str]  # what it is about, and what is wrong with it
_OBJECTS = MODALITY_CODES[Modality.OBJECTS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One property of the rows: `find` yields what breaks it, `mend` (in a transaction) restores it without a loss."""

    name: str
    find: Callable[[sqlite3.Connection], Iterator[Problem]]
    mend: Callable[[sqlite3.Connection], None] | None = None


def broken_references(db: sqlite3.Connection) -> Iterator[Problem]:
    """Rows that name a row which is not there."""
    for table, row, parent, _ in db.execute("PRAGMA foreign_key_check"):
        yield f"{table} {row if row is not None else ''}".strip(), f"names a row of {parent} that is not there"


def wrong_vectors(db: sqlite3.Connection) -> Iterator[Problem]:
    """Codes of another width than their encoder's, and vectors that are not finite or not of unit length."""
    tables = (
        ("vector", "observation", "v.centre"), ("sentence", "observation", "v.centre"),
        ("label_vector", "label", "NULL"), ("episode_vector", "episode", "NULL"),
        ("template", "entity", "NULL"), ("note", "id", "NULL"),
    )  # fmt: skip
    for table, key, centre in tables:
        rows = db.execute(
            f"SELECT v.{key}, e.name, e.width, v.scale, v.code, {centre} FROM {table} v "
            "JOIN encoder e ON e.id = v.encoder"
        )
        for row, encoder, width, scale, packed, coarse in rows:
            problem = _vector_problem(width, scale, packed) if coarse is None else _coarse_problem(width, scale, packed)
            if problem is not None:
                yield f"{table} of {key} {row} ({encoder})", problem


def wrong_anchors(db: sqlite3.Connection) -> Iterator[Problem]:
    """Anchors that cannot be unpacked; of a list that this version does not know, they cannot be judged."""
    for name, width, packed in db.execute(
        "SELECT name, width, anchors FROM encoder WHERE anchor_set = ?", (ANCHOR_SET,)
    ):
        try:
            lengths = np.linalg.norm(unpack_anchors(packed or b"", width), axis=1)
        except ValueError as error:
            yield f"encoder {name}", str(error)
            continue
        if not (np.abs(lengths - 1) < 0.2).all():
            yield f"encoder {name}", "has anchors that are not of unit length"


def _coarse_problem(width: int, scale: float, packed: bytes) -> str | None:
    if len(packed) not in (code_bytes(width), code_bytes(width, bits=1)):
        return f"has a code of {len(packed)} bytes instead of {code_bytes(width)}"
    return None if math.isfinite(scale) and scale > 0 else f"has the scale {scale}"


def _vector_problem(width: int, scale: float, packed: bytes) -> str | None:
    if len(packed) != width:
        return f"has {len(packed)} numbers instead of {width}"
    if not math.isfinite(scale) or scale < 0:
        return f"has the scale {scale}"
    code = np.frombuffer(packed, np.int8)
    if scale == 0:
        return "has a code without a scale" if code.any() else None
    length = float(np.linalg.norm(dequantise(code, scale).astype(np.float64)))
    if abs(length - 1) > UNIT_TOLERANCE + scale / 2 * math.sqrt(width):  # see vectors.py: what rounding can do
        return f"has the length {length:.3f} instead of 1"
    return None


def wrong_events(db: sqlite3.Connection) -> Iterator[Problem]:
    """Events that overlap, or that do not begin where the last one ended although nothing was lost in between.

    After a loss (a gap, something forgotten, an end that was none) an event begins with the cause "start".
    """
    held: tuple[int, int, int, bool] | None = None  # stream, id, end, open
    for row, stream, start, end, is_open, cause in db.execute(
        "SELECT id, stream, start_ns, end_ns, open, cause FROM event ORDER BY stream, start_ns"
    ):
        subject = f"event {row}"
        if end < start or (end == start and not is_open):
            yield subject, f"ends at {end} ns, and starts at {start} ns"
        if held is not None and held[0] == stream:
            if held[3]:
                yield f"event {held[1]}", "is open, and another comes after it"
            elif start < held[2]:
                yield subject, f"overlaps event {held[1]} by {held[2] - start} ns"
            elif start > held[2] and cause != "start":
                yield subject, f"begins {start - held[2]} ns after event {held[1]} ended, and nothing was lost there"
        held = (stream, row, end, bool(is_open))


def wrong_tracks(db: sqlite3.Connection) -> Iterator[Problem]:
    """Visits that end before they begin, without a known name, or with a box or votes that cannot be read."""
    names = {name for (name,) in db.execute("SELECT name FROM label WHERE kind = 'object'")}
    for stream, track, name, votes, start, end, score, box in db.execute(
        "SELECT stream, track, name, votes, start_ns, end_ns, score, box FROM track"
    ):
        subject = f"track {track} of stream {stream}"
        if end < start:
            yield subject, f"ends at {end} ns, and starts at {start} ns"
        if name not in names:
            yield subject, f"has the name {name!r}, which is no label of things"
        try:
            counts, corners = json.loads(votes), json.loads(box)
            readable = name in counts and len(corners) == 4 and all(math.isfinite(number) for number in corners)
        except (ValueError, TypeError):
            readable = False
        if not readable or not math.isfinite(score):
            yield subject, "has votes, a box or a score that cannot be read"


def wrong_packing(db: sqlite3.Connection) -> Iterator[Problem]:
    """Packed labels, boxes and words that cannot be unpacked, or name labels that are not there."""
    known = {row for (row,) in db.execute("SELECT id FROM label")}
    for row, modality, start, end, labels, boxes, words in db.execute(
        "SELECT id, modality, start_ns, end_ns, labels, boxes, words FROM observation"
    ):
        subject = f"observation {row}"
        if modality not in MODALITIES:
            yield subject, f"is of the unknown sense {modality}"
        if end < start:
            yield subject, f"ends at {end} ns, and starts at {start} ns"
        if modality == _OBJECTS and boxes is None:
            yield subject, "has no boxes"
        yield from ((subject, problem) for problem in _label_problems(labels, known))
        yield from ((subject, problem) for problem in _box_problems(boxes, known))
        if words is not None and not _are_words(words):
            yield subject, "has words that cannot be read"
    for table in ("event", "episode"):
        for row, labels in db.execute(f"SELECT id, labels FROM {table} WHERE labels IS NOT NULL"):
            yield from ((f"{table} {row}", problem) for problem in _label_problems(labels, known))


def _label_problems(packed: bytes | None, known: set[int]) -> Iterator[str]:
    if packed is None:
        return
    if len(packed) % LABEL_DTYPE.itemsize:
        yield f"has labels of {len(packed)} bytes, which is no multiple of {LABEL_DTYPE.itemsize}"
        return
    rows = label_rows(packed)
    if not known.issuperset(rows["label"].tolist()):
        yield "names a label that is not there"
    if not np.isfinite(rows["score"]).all():
        yield "has a label whose score is not finite"


def _box_problems(packed: bytes | None, known: set[int]) -> Iterator[str]:
    if packed is None:
        return
    if len(packed) % BOX_DTYPE.itemsize:
        yield f"has boxes of {len(packed)} bytes, which is no multiple of {BOX_DTYPE.itemsize}"
        return
    rows = box_rows(packed)
    if not known.issuperset(rows["name"].tolist()):
        yield "has a box whose label is not there"
    if not np.isfinite(rows["score"]).all():
        yield "has a box whose score is not finite"


def returned_observations(db: sqlite3.Connection) -> Iterator[Problem]:
    """Observations that were forgotten one by one, and are there."""
    for row, modality, seq in db.execute(
        "SELECT o.id, o.modality, o.seq FROM observation o JOIN forgotten USING (stream, modality, seq)"
    ):
        yield f"observation {row}", f"was forgotten (number {seq} of sense {modality}), and is there"


def _are_words(packed: str) -> bool:
    try:
        words = json.loads(packed)
        return all(isinstance(text, str) and start <= end and math.isfinite(score) for text, start, end, score in words)
    except (ValueError, TypeError):
        return False


def wrong_facts(db: sqlite3.Connection) -> Iterator[Problem]:
    """Facts that cannot be looked up, of no known sense, or whose quote does not hold their object."""
    for row, modality, start, end, subject, thing, key, quote in db.execute(
        "SELECT id, modality, start_ns, end_ns, subject, object, key, quote FROM fact"
    ):
        if key != key_of(subject):
            yield f"fact {row}", f"is looked up as {key!r}, and is about {subject!r}"
        if modality not in MODALITIES or end < start:
            yield f"fact {row}", "has a sense or a span that cannot be"
        if thing.replace("’", "'") not in quote.replace("’", "'"):
            yield f"fact {row}", "says what its quote does not"


def wrong_familiarity(db: sqlite3.Connection) -> Iterator[Problem]:
    """Filters of hours that are no list of codes, or of more codes than one holds."""
    for stream, hour, modality, num_bytes in db.execute(
        "SELECT stream, hour, modality, length(codes) FROM familiarity"
    ):
        if num_bytes % CODE_BYTES or not 0 < num_bytes <= MAX_CODES * CODE_BYTES or modality not in MODALITIES:
            yield f"familiarity of hour {hour} of stream {stream}", f"has {num_bytes} bytes of codes"


def wrong_word_filters(db: sqlite3.Connection) -> Iterator[Problem]:
    """Filters of words whose number or width is no power of two, or that do not fill their row."""
    for stream, block, num, bits in db.execute("SELECT stream, block, num_filters, bits FROM word_filter"):
        try:
            num_bytes = len(zlib.decompress(bits))
        except zlib.error:
            num_bytes = 0
        width, rest = divmod(num_bytes, num) if num > 0 else (0, 1)
        if rest or not width or num > NUM_MINUTES or num.bit_count() != 1 or width.bit_count() != 1:
            yield f"word_filter of block {block} of stream {stream}", f"has {num_bytes} bytes for {num} filters"


CHECKS: tuple[Check, ...] = (
    Check(name="references", find=broken_references),
    Check(name="texts", find=wrong_texts, mend=rebuild_texts),
    Check(name="vectors", find=wrong_vectors),
    Check(name="anchors", find=wrong_anchors),
    Check(name="events", find=wrong_events),
    Check(name="tracks", find=wrong_tracks),
    Check(name="packing", find=wrong_packing),
    Check(name="familiarity", find=wrong_familiarity),
    Check(name="word_filters", find=wrong_word_filters),
    Check(name="forgotten", find=returned_observations),
    Check(name="levels", find=wrong_levels),
    Check(name="stretches", find=wrong_stretches),
    Check(name="episodes", find=wrong_episodes),
    Check(name="centres", find=wrong_centres),
    Check(name="facts", find=wrong_facts),
)
