"""Facts: statements as they came, and what was valid when, computed from them.

A row is one statement with its evidence, and is never changed by another: what is stored only grows. Which fact was
valid from when to when follows from the rows when they are read. All statements about one (subject, predicate), in the
order of the times at which they were made, form a chain; a run of equal objects is one fact, valid from its first
statement to the next run's, which supersedes it. So

- a contradiction that arrives late but was said earlier takes its place in the past;
- what is forgotten leaves no trace: the fact that it superseded is valid again;
- `known_at_ns` leaves out what was learned later, which gives the chain as it stood then.

(The bi-temporal model of Snodgrass and Ahn 1985; as used for memories by Zep, Rasmussen et al. 2025, which stores and
rewrites the ends of intervals instead.)

A quote stays when its passage is made coarser, and goes when its passage is forgotten.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from reverie.memory.fact_patterns import NAME, SPEAKER, Statement
from reverie.memory.schema import MODALITIES, MODALITY_CODES
from reverie.types import NS_PER_S, Citation, Fact, Modality, TimeSpan

_STANDING_NS = 2 * NS_PER_S  # writing that stands is read again and again
_ROW_BYTES = "100 + length(subject) + length(predicate) + length(object) + 2 * length(key) + length(quote)"
_ARTICLES = re.compile(r"^(?:the|my|our|your|this|that|an?) ")


@dataclass(frozen=True, slots=True)
class _Row:
    """A statement as stored, with the name of its stream and the Unix time at which it was made."""

    row: int
    stream_id: str
    modality: int
    start_ns: int
    end_ns: int
    subject: str
    predicate: str
    object: str
    key: str
    quote: str
    learned_ns: int
    said_ns: int

    @property
    def chain(self) -> tuple[str, str, str]:
        """Statements of one chain supersede each other. Different voices say "my name is ..."."""
        own = key_of(self.object) if (self.key, self.predicate) == (SPEAKER, NAME) else ""
        return self.key, self.predicate, own

    @property
    def citation(self) -> Citation:
        return Citation(
            stream_id=self.stream_id,
            span=TimeSpan(start_ns=self.start_ns, end_ns=self.end_ns),
            modality=MODALITIES[self.modality],
            text=self.quote,
            thumbnail=None,
            score=1.0,
        )


def key_of(phrase: str) -> str:
    """A phrase as it is looked up and compared: lower case, no article, no possessive, single spaces."""
    plain = re.sub(r"[^\w\s@#:.+-]", "", re.sub(r"['’]s\b", "", phrase.lower()))
    return _ARTICLES.sub("", " ".join(plain.split())).strip(" .")


def add(
    db: sqlite3.Connection,
    stream: int,
    modality: Modality,
    span: TimeSpan,
    statements: Iterable[Statement],
    now_ns: int,
) -> int:
    """Store what a passage states, in the transaction that is open. Writing that stands only lasts longer.

    Return how many statements are new: what the passage is known to state is left as it is, and what was imagined
    states nothing.
    """
    if db.execute("SELECT imagined FROM stream WHERE id = ?", (stream,)).fetchone()[0]:
        return 0
    code, num_new = MODALITY_CODES[modality], 0
    for told in statements:
        if modality is Modality.WRITING:
            last = db.execute(
                "SELECT id, object, quote, end_ns FROM fact WHERE key = ? AND predicate = ? AND stream = ? "
                "AND modality = ? AND start_ns <= ? ORDER BY start_ns DESC, id DESC LIMIT 1",
                (key_of(told.subject), told.predicate, stream, code, span.start_ns),
            ).fetchone()
            if last and last[1:3] == (told.object, told.quote) and last[3] + _STANDING_NS >= span.start_ns:
                db.execute("UPDATE fact SET end_ns = max(end_ns, ?) WHERE id = ?", (span.end_ns, last[0]))
                continue
        known = db.execute(
            "SELECT 1 FROM fact WHERE key = ? AND predicate = ? AND stream = ? AND start_ns = ? AND object = ?",
            (key_of(told.subject), told.predicate, stream, span.start_ns, told.object),
        ).fetchone()
        if known is not None:
            continue
        num_new += 1
        db.execute(
            "INSERT INTO fact (stream, modality, start_ns, end_ns, subject, predicate, object, key, quote, learned_ns) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                stream, code, span.start_ns, span.end_ns, told.subject, told.predicate, told.object,
                key_of(told.subject), told.quote, now_ns,
            ),
        )  # fmt: skip
    return num_new


def of_streams(found: Sequence[Fact], stream_ids: tuple[str, ...]) -> list[Fact]:
    """The facts that these streams say, with the evidence that is theirs; all of them when no stream is named."""
    if not stream_ids:
        return list(found)
    own = [replace(fact, evidence=tuple(e for e in fact.evidence if e.stream_id in stream_ids)) for fact in found]
    return [fact for fact in own if fact.evidence]


def read(
    db: sqlite3.Connection,
    subject: str | None,
    predicate: str | None,
    at_ns: int | None,
    known_at_ns: int | None,
    history: bool,
) -> list[Fact]:
    """Facts of a subject and a predicate (None: any), by when they became valid; see `Memory.facts`."""
    conditions, values = ["1"], list[str | int]()
    if subject is not None:
        conditions.append("f.key = ?")
        values.append(key_of(subject))
    if predicate is not None:
        conditions.append("f.predicate = ?")
        values.append(predicate)
    if known_at_ns is not None:
        conditions.append("f.learned_ns <= ?")
        values.append(known_at_ns)
    rows = db.execute(
        "SELECT f.id, s.name, f.modality, f.start_ns, f.end_ns, f.subject, f.predicate, f.object, f.key, f.quote, "
        "f.learned_ns, coalesce(s.wall_anchor_ns, s.started_ns) + f.start_ns FROM fact f JOIN stream s "
        f"ON s.id = f.stream WHERE {' AND '.join(conditions)}",
        values,
    )
    found: list[Fact] = []
    told = sorted((_Row(*row) for row in rows), key=lambda row: (row.chain, row.said_ns, row.learned_ns, row.row))
    for _, chain in groupby(told, key=lambda row: row.chain):
        found += _valid(chain)
    if at_ns is not None:
        found = [fact for fact in found if _holds_at(fact, at_ns)]
    elif not history:
        found = [fact for fact in found if fact.valid_to_ns is None]
    return sorted(found, key=lambda fact: (fact.valid_from_ns, fact.fact_id))


def _holds_at(fact: Fact, at_ns: int) -> bool:
    return fact.valid_from_ns <= at_ns and (fact.valid_to_ns is None or at_ns < fact.valid_to_ns)


def _valid(chain: Iterable[_Row]) -> Iterator[Fact]:
    """The facts of one chain, each superseded by the next."""
    runs = [list(run) for _, run in groupby(chain, key=lambda row: key_of(row.object))]
    for number, run in enumerate(runs):
        first, later = run[0], runs[number + 1][0] if number + 1 < len(runs) else None
        yield Fact(
            fact_id=first.row,
            subject=first.subject,
            predicate=first.predicate,
            object=first.object,
            valid_from_ns=first.said_ns,
            valid_to_ns=later.said_ns if later else None,
            learned_at_ns=min(row.learned_ns for row in run),
            superseded_by=later.row if later else None,
            evidence=tuple(row.citation for row in run),
        )


def valid_evidence(db: sqlite3.Connection) -> Iterator[tuple[int, int, int]]:
    """(stream, start, end) of every statement of the facts that are valid."""
    rows = db.execute(
        "SELECT f.key, f.predicate, f.object, f.stream, f.start_ns, f.end_ns FROM fact f JOIN stream s "
        "ON s.id = f.stream ORDER BY f.key, f.predicate, coalesce(s.wall_anchor_ns, s.started_ns) + f.start_ns DESC, "
        "f.learned_ns DESC, f.id DESC"
    )
    for (key, predicate), chain in groupby(rows, key=lambda row: (row[0], row[1])):
        latest = None
        for _, _, thing, stream, start_ns, end_ns in chain:
            latest = thing if latest is None else latest
            if (key, predicate) != (SPEAKER, NAME) and thing != latest and key_of(thing) != key_of(latest):
                break
            yield stream, start_ns, end_ns


def trim(db: sqlite3.Connection, max_bytes: int, most: int) -> bool:
    """While all take more than this, drop up to `most`: the earliest of those that others followed, then of the rest.

    Return whether any was dropped, in the transaction that is open.
    """
    (held,) = db.execute(f"SELECT coalesce(sum({_ROW_BYTES}), 0) FROM fact").fetchone()
    if held <= max_bytes:
        return False
    later = "SELECT 1 FROM fact g WHERE g.key = f.key AND g.predicate = f.predicate AND g.id > f.id"
    for which in (f"WHERE EXISTS ({later}) ", ""):
        ids = db.execute(f"SELECT id, {_ROW_BYTES} FROM fact f {which}ORDER BY id LIMIT ?", (most,)).fetchall()
        for row, num_bytes in ids:
            if held > max_bytes:
                db.execute("DELETE FROM fact WHERE id = ?", (row,))
                held -= num_bytes
        if ids:
            return True
    return False


def erase_span(db: sqlite3.Connection, stream: int, span: TimeSpan) -> None:
    """What was stated in a span goes; what it had superseded is valid again."""
    db.execute(
        "DELETE FROM fact WHERE stream = ? AND start_ns < ? AND max(end_ns, start_ns + 1) > ?",
        (stream, span.end_ns, span.start_ns),
    )


def erase_stream(db: sqlite3.Connection, stream: int) -> None:
    """What was stated in a stream goes."""
    db.execute("DELETE FROM fact WHERE stream = ?", (stream,))


def erase_of(db: sqlite3.Connection, observation: int) -> None:
    """What one passage stated, while its row is still there: also where writing that stood has been made one row."""
    db.execute(
        "DELETE FROM fact WHERE id IN (SELECT f.id FROM fact f JOIN observation o ON o.id = ? "
        "AND f.stream = o.stream AND f.modality = o.modality AND f.start_ns <= o.end_ns AND f.end_ns >= o.start_ns "
        "AND instr(o.text, f.quote))",
        (observation,),
    )
