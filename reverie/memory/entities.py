"""Entities: a name bound to looks and sounds, learned from one showing, and found in both directions.

Dual coding (Hill et al. 2021, "Grounded language learning fast and slow", section 3): each showing is stored as a pair
of a perceptual key and a name. Asked by name, memory looks for what is like the keys; shown something, it gives the
names of the keys that are nearest. A key is the vector of one showing as it is, so one showing is enough, and another
adds to it instead of changing it.

    template = (entity, sense "look" or "sound", vector in its encoder's space, where it was shown)

Templates of faces and voices tell people apart, so they need a consent on record; see `allow`.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

from reverie.errors import UsageError
from reverie.memory.names import Names
from reverie.memory.passage_table import PassageTable
from reverie.memory.records import Entity
from reverie.memory.vectors import cosines, dequantise, is_unit, quantise, ramp
from reverie.types import TimeSpan

Kind = Literal["thing", "face", "voice"]
Sense = Literal["look", "sound"]
GUARDED: tuple[Kind, ...] = ("face", "voice")
Template = tuple[Sense, str, Float32[ndarray, "d"]]  # the sense, the name of the encoder, a unit vector
_MAX_NAME_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """Where in the memory something was shown: a row of `stream`, and a span of it."""

    stream: int
    span: TimeSpan


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A template that a question asks for by its entity's name; `encoder` is a row."""

    name: str
    encoder: int
    vector: Float32[ndarray, "d"]


def key_of(name: str) -> str:
    """A name as it is looked up: its words, in lower case."""
    return " ".join(re.findall(r"\w+", name.lower()))


def teach(
    db: sqlite3.Connection,
    names: Names,
    name: str,
    kind: Kind,
    aliases: Sequence[str],
    templates: Sequence[Template],
    showing: Showing | None,
    now_ns: int,
) -> None:
    """Bind a name to templates, in the transaction that is open. A known entity learns more.

    Raises:
        UsageError: no name or no template, a vector that is no unit vector or of another width than its encoder's,
            a name that another entity has, another kind than it had, or a kind that nobody allowed.
    """
    if kind not in get_args(Kind):
        raise UsageError(f"there is no kind {kind!r} of entity; use one of {', '.join(get_args(Kind))}")
    _require_consent(db, kind)
    if not templates:
        raise UsageError(f"show {name!r} at least once: give a look or a sound, or a time at which it was seen")
    entity = _entity(db, name, kind, now_ns)
    for alias in aliases:
        _name_also(db, entity, alias)
    place = (showing.stream, showing.span.start_ns, showing.span.end_ns) if showing else (None, None, None)
    for sense, encoder, vector in templates:
        width = names.width_of(encoder) or len(vector)
        if not encoder or not is_unit(vector) or width != len(vector):
            raise UsageError(f"a {sense} of {name!r} is no unit vector of {width} numbers with the name of its encoder")
        code, scale = quantise(vector)
        db.execute(
            "INSERT INTO template (entity, sense, stream, start_ns, end_ns, encoder, scale, code) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (entity, sense, *place, names.encoder(encoder, width), scale, code.tobytes()),
        )


def _entity(db: sqlite3.Connection, name: str, kind: Kind, now_ns: int) -> int:
    key = _usable(name)
    row = db.execute("SELECT id, kind FROM entity WHERE key = ?", (key,)).fetchone()
    if row is None:
        taken = db.execute("SELECT e.name FROM alias a JOIN entity e ON e.id = a.entity WHERE a.key = ?", (key,))
        if other := taken.fetchone():
            raise UsageError(f"{name!r} is another name of {other[0]!r} already: teach that, or use another name")
        values = (name.strip(), key, kind, now_ns)
        return int(
            db.execute("INSERT INTO entity (name, key, kind, taught_ns) VALUES (?, ?, ?, ?) RETURNING id", values)
            .fetchone()[0]
        )  # fmt: skip
    if row[1] != kind:
        raise UsageError(f"{name!r} was taught as a {row[1]}, not as a {kind}: use another name")
    return int(row[0])


def _name_also(db: sqlite3.Connection, entity: int, alias: str) -> None:
    key = _usable(alias)
    row = db.execute(
        "SELECT id, name FROM entity WHERE key = ?1 UNION "
        "SELECT e.id, e.name FROM alias a JOIN entity e ON e.id = a.entity WHERE a.key = ?1",
        (key,),
    ).fetchone()
    if row is None:
        db.execute("INSERT INTO alias VALUES (?, ?, ?)", (key, alias.strip(), entity))
    elif row[0] != entity:
        raise UsageError(f"{alias!r} is a name of {row[1]!r} already: use another one")


def _usable(name: str) -> str:
    key = key_of(name)
    if not key or len(name) > _MAX_NAME_CHARS:
        raise UsageError(f"{name!r} cannot be a name: use 1 to {_MAX_NAME_CHARS} characters, with letters or digits")
    return key


def read(db: sqlite3.Connection, name: str | None = None) -> list[Entity]:
    """Entities by name; with `name`, the one that has it or has it as an alias."""
    rows = db.execute("SELECT id, name, kind, taught_ns FROM entity ORDER BY key").fetchall()
    if name is not None:
        wanted = _row_of(db, name)
        rows = [row for row in rows if row[0] == wanted]
    return [_read_one(db, row) for row in rows]


def _read_one(db: sqlite3.Connection, row: tuple[int, str, Kind, int]) -> Entity:
    entity, name, kind, taught_ns = row
    aliases = db.execute("SELECT name FROM alias WHERE entity = ? ORDER BY key", (entity,)).fetchall()
    counts: dict[str, int] = dict(
        db.execute("SELECT sense, count(*) FROM template WHERE entity = ? GROUP BY sense", (entity,)).fetchall()
    )
    return Entity(
        name=name,
        kind=kind,
        aliases=tuple(alias for (alias,) in aliases),
        num_looks=counts.get("look", 0),
        num_sounds=counts.get("sound", 0),
        taught_ns=taught_ns,
    )


def _row_of(db: sqlite3.Connection, name: str) -> int | None:
    row = db.execute(
        "SELECT id FROM entity WHERE key = ?1 UNION SELECT entity FROM alias WHERE key = ?1", (key_of(name),)
    ).fetchone()
    return row[0] if row else None


def recognise(db: sqlite3.Connection, vector: Float32[ndarray, "d"], encoder: str) -> list[tuple[Entity, float]]:
    """Who or what is like a vector: every entity with templates of its encoder and the best cosine, nearest first."""
    rows = db.execute(
        "SELECT t.entity, t.scale, t.code FROM template t JOIN encoder e ON e.id = t.encoder "
        "WHERE e.name = ? AND e.width = ? ORDER BY t.id",
        (encoder, len(vector)),
    ).fetchall()
    if not rows:
        return []
    near = cosines(_codes(rows), np.array([row[1] for row in rows], np.float32), vector)
    best: dict[int, float] = {}
    for (entity, _, _), cosine in zip(rows, near.tolist(), strict=True):
        best[entity] = max(best.get(entity, -1.0), cosine)
    known = {row[0]: row for row in db.execute("SELECT id, name, kind, taught_ns FROM entity")}
    ranked = sorted(best, key=lambda entity: (-best[entity], entity))
    return [(_read_one(db, known[entity]), best[entity]) for entity in ranked]


def _codes(rows: Sequence[tuple[int, float, bytes]]) -> Any:
    return np.frombuffer(b"".join(code for _, _, code in rows), np.int8).reshape(len(rows), -1)


def named_in(db: sqlite3.Connection, text: str) -> list[Look]:
    """The templates of every entity that a question names."""
    asked = f" {key_of(text)} "
    names = db.execute("SELECT key, id FROM entity UNION ALL SELECT key, entity FROM alias").fetchall()
    entities = sorted({entity for key, entity in names if f" {key} " in asked})
    found: list[Look] = []
    for entity in entities:
        rows = db.execute(
            "SELECT e.name, t.encoder, t.scale, t.code FROM template t JOIN entity e ON e.id = t.entity "
            "WHERE t.entity = ? ORDER BY t.id",
            (entity,),
        )
        found += [
            Look(name=name, encoder=encoder, vector=dequantise(np.frombuffer(code, np.int8), scale))
            for name, encoder, scale, code in rows
        ]
    return found


def with_looks(
    table: PassageTable,
    looks: Sequence[Look],
    rows: Int64[ndarray, "n"] | None,
    score: Float32[ndarray, "n"],
    dense: Float32[ndarray, "n"],
    limits: tuple[float, float],
) -> tuple[Float32[ndarray, "n"], Float32[ndarray, "n"], Int64[ndarray, "n"]]:
    """Scores and cosines of rows (None: of all) that may be like looks, and the look that each is owed to (-1: none).

    `limits` are the cosines of other things and of the same thing.
    """
    best, which = np.zeros(len(score), np.float32), np.full(len(score), -1, np.int64)
    for number, look in enumerate(looks):
        near = table.dense({look.encoder: look.vector}, sentence_share=0.0, rows=rows)
        which[near > best] = number
        np.maximum(best, near, out=best)
    alike = ramp(best, limits)
    owed = alike > score
    return np.where(owed, alike, score), np.where(owed, best, dense), np.where(owed, which, -1)


# --- consent ---------------------------------------------------------------------------------------


def allow(db: sqlite3.Connection, kind: Kind, by: str, reason: str, now_ns: int) -> None:
    """Put on record who allowed templates of faces or of voices, when and why.

    Raises:
        UsageError: another kind, or nobody or no reason named.
    """
    _require_guarded(kind)
    if not by.strip() or not reason.strip():
        raise UsageError("say who allows it and why: the consent is kept on record")
    db.execute("INSERT OR REPLACE INTO consent VALUES (?, ?, ?, ?)", (kind, now_ns, by.strip(), reason.strip()))


def revoke(db: sqlite3.Connection, kind: Kind) -> int:
    """Take the consent back: every entity of the kind goes with its templates. Return how many entities went."""
    _require_guarded(kind)
    keys = [key for (key,) in db.execute("SELECT key FROM entity WHERE kind = ?", (kind,))]
    for key in keys:
        erase_entity(db, key)
    db.execute("DELETE FROM consent WHERE kind = ?", (kind,))
    return len(keys)


def consents(db: sqlite3.Connection) -> Mapping[str, tuple[int, str, str]]:
    """By kind: the wall time of the consent, who gave it and why."""
    return {kind: (at, by, why) for kind, at, by, why in db.execute("SELECT * FROM consent ORDER BY kind")}


def _require_guarded(kind: str) -> None:
    if kind not in GUARDED:
        raise UsageError(f"{kind!r} needs no consent; it is asked for {' and '.join(GUARDED)}")


def _require_consent(db: sqlite3.Connection, kind: Kind) -> None:
    if kind in GUARDED and kind not in consents(db):
        raise UsageError(
            f"templates of a {kind} are off: they tell people apart. Put a consent on record first, "
            f"with Memory.allow_templates({kind!r}, by=..., reason=...)"
        )


# --- erasure ---------------------------------------------------------------------------------------


def names_of(db: sqlite3.Connection, name: str) -> list[str]:
    """The name and the aliases of an entity.

    Raises:
        UsageError: nothing is known by that name.
    """
    found = read(db, name)
    if not found:
        raise UsageError(f"nothing was taught under the name {name!r}: see `reverie entities`")
    return [found[0].name, *found[0].aliases]


def erase_entity(db: sqlite3.Connection, name: str) -> None:
    """Delete an entity, if it is there, with its names and templates."""
    entity = _row_of(db, name)
    db.execute("DELETE FROM template WHERE entity = ?", (entity,))
    db.execute("DELETE FROM alias WHERE entity = ?", (entity,))
    db.execute("DELETE FROM entity WHERE id = ?", (entity,))


def unbind(db: sqlite3.Connection, name: str) -> None:
    """An entity that is erased in steps outlives its showings, so that whoever goes on with it finds its names."""
    unbound = "UPDATE template SET stream = NULL, start_ns = NULL, end_ns = NULL WHERE entity = ?"
    db.execute(unbound, (_row_of(db, name),))


def erase_shown(db: sqlite3.Connection, stream: int, span: TimeSpan | None) -> None:
    """What was learned in a span of a stream (None: all of it) goes; an entity that is left with nothing goes whole."""
    inside, values = "stream = ?", [stream]
    if span is not None:
        inside += " AND start_ns < ? AND max(end_ns, start_ns + 1) > ?"
        values += [span.end_ns, span.start_ns]
    touched = {entity for (entity,) in db.execute(f"SELECT entity FROM template WHERE {inside}", values)}
    db.execute(f"DELETE FROM template WHERE {inside}", values)
    for entity in touched:
        if db.execute("SELECT 1 FROM template WHERE entity = ?", (entity,)).fetchone() is None:
            db.execute("DELETE FROM alias WHERE entity = ?", (entity,))
            db.execute("DELETE FROM entity WHERE id = ?", (entity,))


def erase_some(db: sqlite3.Connection, most: int) -> bool:
    """Delete at most so many templates, then aliases. False when there are none (left)."""
    return any(
        db.execute(f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} LIMIT ?)", (most,)).rowcount
        for table, key in (("template", "id"), ("alias", "key"))
    )


def erase_all(db: sqlite3.Connection) -> None:
    """Everything that was taught, and every consent."""
    for table in ("template", "alias", "entity", "consent"):
        db.execute(f"DELETE FROM {table}")
