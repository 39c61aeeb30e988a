"""Embedding a memory anew after a change of encoder, from the rows: texts, names, and pictures whose key frame is kept.

Small transactions, each of which leaves a memory that can be searched (a row's old vector is carried over by the
anchors until its new one is there). What is done is told from what is left by the encoder that a vector names, so
a job that was cut short goes on where it stopped, and a second one finds nothing to do. Room is made before each, for
its new codes and for the pages of the old ones, which it deletes. A picture of an event that is still open keeps its
vector, because segmentation goes on from it; one without a key frame cannot get another.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from reverie.errors import MemoryFull
from reverie.memory import sentences
from reverie.memory.anchors import anchor_texts
from reverie.memory.coarse_codes import FEWEST, add_centre, recode
from reverie.memory.erase import drop_unused
from reverie.memory.names import Names
from reverie.memory.room import Room
from reverie.memory.schema import MODALITY_CODES, TEXT_MODALITIES
from reverie.memory.store import Store
from reverie.memory.vectors import quantise
from reverie.types import Modality, TextEncoder

_BATCH_ROWS = 32  # a quarter of a second of a small encoder
_BESIDE_BYTES = 40  # of a row with a code
_PAGE_BYTES, _MOST_INSIDE_BYTES, _LEAST_INSIDE_BYTES = 4096, 1002, 489  # of a longer row the rest has pages of its own
_VISION = MODALITY_CODES[Modality.VISION]
_TEXT_CODES = ",".join(str(MODALITY_CODES[modality]) for modality in TEXT_MODALITIES)

_Row = tuple[int, str, int, int]  # id, text or picture, width of its old vectors, whether its vector is of the text
_Vectors = Float32[ndarray, "n d"]

# Of rows that have an id beyond ?2 and vectors of another encoder than ?1, the first ?3. A text whose vector is not
# the memory's own embedding of it (a sound's, say) keeps that; its sentences are the memory's.
_OLD_TEXTS = (
    "SELECT o.id, o.text, e.width, e.of_texts FROM observation o JOIN vector v ON v.observation = o.id "
    f"JOIN encoder e ON e.id = v.encoder WHERE o.modality IN ({_TEXT_CODES}) AND o.text != '' "
    "AND (e.of_texts AND e.name != ?1 OR EXISTS (SELECT 1 FROM sentence s JOIN encoder f ON f.id = s.encoder "
    "WHERE s.observation = o.id AND f.name != ?1)) AND o.id > ?2 ORDER BY o.id LIMIT ?3"
)
_OLD_NAMES = (
    "SELECT l.id, l.name, coalesce(max(e.width), 0), 1 FROM label l LEFT JOIN label_vector v ON v.label = l.id "
    "LEFT JOIN encoder e ON e.id = v.encoder WHERE l.id > ?2 GROUP BY l.id "
    "HAVING count(e.id) != 1 OR max(e.name) != ?1 ORDER BY l.id LIMIT ?3"
)
_OLD_PICTURES = (
    "SELECT o.id, o.picture, coalesce(e.width, 0), 0 FROM observation o LEFT JOIN vector v ON v.observation = o.id "
    f"LEFT JOIN encoder e ON e.id = v.encoder WHERE o.modality = {_VISION} AND o.picture IS NOT NULL "
    "AND e.name IS NOT ?1 AND o.id > ?2 AND o.start_ns < (SELECT coalesce(max(p.start_ns), 1 << 62) FROM event p "
    "WHERE p.stream = o.stream AND p.open) ORDER BY o.id LIMIT ?3"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureEncoder:
    """Key frames to vectors, as `reencode` needs it: JPEGs to (N, D) float32 unit rows of the named space."""

    encoder_id: str
    encode: Callable[[Sequence[bytes]], Float32[ndarray, "n d"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReencodeReceipt:
    """What one run embedded anew, and how many vectors of observations are still another encoder's."""

    texts: int
    names: int
    pictures: int
    left: int


def reencode(
    store: Store, names: Names, text_encoder: TextEncoder, pictures: PictureEncoder | None, room: Room | None
) -> ReencodeReceipt:
    """Give texts, names and (with `pictures`) key frames the vectors of these encoders.

    The caller holds the writer's lock; `room` keeps the budget, if there is one.

    Raises:
        MemoryFull: no space on the disk or in the budget. What is done stays.
    """
    texts = text_encoder.encoder_id
    spaces = [texts, *([pictures.encoder_id] if pictures else [])]
    names.prepare(spaces)
    if room is not None:
        _require_room(store, names, spaces, room)
    # Names first: they cannot fade, and texts are not embedded that would have to make room for them.
    num_names = _anew(store, names, room, _OLD_NAMES, texts, lambda rows: _embed_names(text_encoder, rows), _put_name)
    _add_centre(store, names, text_encoder, room)
    num_texts = _anew(store, names, room, _OLD_TEXTS, texts, lambda rows: _embed_texts(text_encoder, rows), _put_text)
    num_pictures = 0
    if pictures is not None:
        encode = pictures.encode
        num_pictures = _anew(
            store,
            names,
            room,
            _OLD_PICTURES,
            spaces[-1],
            lambda rows: _embed_pictures(store, encode, rows),
            _put_vector,
        )
    if room is not None:
        room.fold_log(room.budget.log_bytes)  # whole: the anchors that go now are zeroed in it
    with store.transaction() as db:
        db.execute("UPDATE memory SET erasures = erasures + 1")  # caches read all anew
        drop_unused(db)
        (left,) = db.execute(
            "SELECT count(*) FROM vector v JOIN encoder e ON e.id = v.encoder WHERE e.name NOT IN (?, ?)",
            (texts, spaces[-1]),
        ).fetchone()
    names.reload()
    return ReencodeReceipt(texts=num_texts, names=num_names, pictures=num_pictures, left=left)


def _anew(
    store: Store,
    names: Names,
    room: Room | None,
    select: str,
    encoder: str,
    embed: Callable[[list[_Row]], list[_Vectors]],
    put: Callable[[sqlite3.Connection, int, _Row, _Vectors], None],
) -> int:
    """Embed what `select` finds, and put it into the rows part by part. Return how many rows were."""
    num_rows = last = 0
    while rows := store.writer.execute(select, (encoder, last, _BATCH_ROWS)).fetchall():
        for part, needed_bytes in _parts(rows, embed(rows), room):
            width = part[0][1].shape[1]
            _add_space(store, names, encoder, width, room)
            if room is not None:
                room.make_room(needed_bytes)
            there = set(store.writer.execute(select, (encoder, last, _BATCH_ROWS)))  # room was made of the others
            with store.transaction() as db:
                space = names.encoder(encoder, width)
                for row, vectors in part:
                    if row in there:
                        put(db, space, row, vectors)
                        num_rows += 1
            last = part[-1][0][0]
        last = rows[-1][0]
    return num_rows


def _parts(
    rows: list[_Row], vectors: list[_Vectors], room: Room | None
) -> Iterator[tuple[list[tuple[_Row, _Vectors]], int]]:
    """Rows that have vectors, in parts that one transaction can take, each with the bytes that it needs."""
    part: list[tuple[_Row, _Vectors]] = []
    part_bytes = 0
    for row, own in zip(rows, vectors, strict=True):
        row_bytes = len(own) * (_code_bytes(own.shape[1]) + _code_bytes(row[2]))
        if part and room is not None and part_bytes + row_bytes > room.budget.part_bytes:
            yield part, part_bytes
            part, part_bytes = [], 0
        if len(own):
            part.append((row, own))
            part_bytes += row_bytes
    if part:
        yield part, part_bytes


def _code_bytes(width: int) -> int:
    """Of a row with a code of so many numbers, and the pages that it spills to."""
    num_bytes = width + _BESIDE_BYTES
    if num_bytes <= _MOST_INSIDE_BYTES:
        return num_bytes
    return _MOST_INSIDE_BYTES - (_LEAST_INSIDE_BYTES - num_bytes) // _PAGE_BYTES * _PAGE_BYTES


def _require_room(store: Store, names: Names, spaces: list[str], room: Room) -> None:
    """Refuse a space whose anchors and names cannot fit, before anything is made coarser for them."""
    old = store.writer.execute(_OLD_NAMES, (spaces[0], 0, -1)).fetchall()
    width = names.width_of(spaces[0]) or names.new_anchor_bytes(spaces[0]) // len(anchor_texts())
    needed_bytes = sum(_anchor_bytes(names, space, room) for space in spaces) + len(old) * _code_bytes(width)
    least_bytes = room.budget.least() + needed_bytes
    if needed_bytes and least_bytes > room.budget.high_bytes:
        raise MemoryFull(
            f"the anchors and names of {spaces[0]} take about {needed_bytes} bytes, with what cannot fade more than "
            f"the budget of {room.budget.max_bytes}; nothing was changed: raise max_bytes to at least "
            f"{room.budget.enough(least_bytes)}, or keep the encoder"
        )


def _anchor_bytes(names: Names, space: str, room: Room) -> int:
    """What the anchors of a new space need: the log has to hold them, too, when half of its share is in use."""
    num_bytes = names.new_anchor_bytes(space)
    return num_bytes + max(0, num_bytes - room.budget.log_bytes // 2)


def _add_space(store: Store, names: Names, space: str, width: int, room: Room | None) -> None:
    if names.new_anchor_bytes(space):
        if room is not None:
            room.make_room(_anchor_bytes(names, space, room))
        with store.transaction():
            names.encoder(space, width)


def _add_centre(store: Store, names: Names, encoder: TextEncoder, room: Room | None) -> None:
    """Where texts have faded, a centre before their vectors come: else the first would be wide codes for good."""
    there = store.writer.execute("SELECT e.name FROM centre c JOIN encoder e ON e.id = c.encoder").fetchall()
    rows = store.writer.execute(_OLD_TEXTS, (encoder.encoder_id, 0, FEWEST)).fetchall()
    if not there or (encoder.encoder_id,) in there or len(rows) < FEWEST:
        return
    vectors = encoder.encode([text for _, text, _, _ in rows])
    width = vectors.shape[1]
    _add_space(store, names, encoder.encoder_id, width, room)
    if room is not None:
        room.make_room(_code_bytes(vectors[0].nbytes))
    with store.transaction() as db:
        add_centre(db, names.encoder(encoder.encoder_id, width), vectors)


def _embed_texts(encoder: TextEncoder, rows: list[_Row]) -> list[_Vectors]:
    """Of each row the text's vector and those of its sentences; of one with its own vector that of the text alone."""
    return _embed(encoder, [[text, *(sentences.split(text) if of_texts else [])] for _, text, _, of_texts in rows])


def _embed_names(encoder: TextEncoder, rows: list[_Row]) -> list[_Vectors]:
    return _embed(encoder, [[name] for _, name, _, _ in rows])


def _embed(encoder: TextEncoder, texts: list[list[str]]) -> list[_Vectors]:
    wanted = list(dict.fromkeys(text for own in texts for text in own))
    vectors = dict(zip(wanted, encoder.encode(wanted), strict=True))
    return [np.stack([vectors[text] for text in own]) for own in texts]


def _embed_pictures(store: Store, encode: Callable[[Sequence[bytes]], _Vectors], rows: list[_Row]) -> list[_Vectors]:
    """(1, D) of each picture, (0, 0) where its file is gone."""
    there = [name for _, name, _, _ in rows if store.pictures.path_of(name).is_file()]
    vectors = iter(encode([store.pictures.read(name) for name in there]) if there else ())
    none = np.zeros((0, 0), np.float32)
    return [np.asarray(next(vectors))[None] if name in there else none for _, name, _, _ in rows]


def _put_text(db: sqlite3.Connection, space: int, row: _Row, vectors: _Vectors) -> None:
    observation, _, _, of_texts = row
    faded = _has_faded(db, observation)
    if of_texts:
        _replace_vector(db, space, observation, vectors[0])
    db.execute("DELETE FROM sentence WHERE observation = ?", (observation,))
    for part, vector in enumerate(vectors[1:] if of_texts else vectors):
        code, scale = quantise(vector)
        db.execute(
            "INSERT INTO sentence (observation, part, encoder, scale, code) VALUES (?, ?, ?, ?, ?)",
            (observation, part, space, scale, code.tobytes()),
        )
    if faded:
        recode(db, "vector", [observation])
        recode(db, "sentence", [observation])


def _put_name(db: sqlite3.Connection, space: int, row: _Row, vectors: _Vectors) -> None:
    code, scale = quantise(vectors[0])
    db.execute("DELETE FROM label_vector WHERE label = ?", (row[0],))
    db.execute("INSERT INTO label_vector VALUES (?, ?, ?, ?)", (row[0], space, scale, code.tobytes()))


def _put_vector(db: sqlite3.Connection, space: int, row: _Row, vectors: _Vectors) -> None:
    faded = _has_faded(db, row[0])
    _replace_vector(db, space, row[0], vectors[0])
    if faded:
        recode(db, "vector", [row[0]])


def _replace_vector(db: sqlite3.Connection, space: int, observation: int, vector: Float32[ndarray, "d"]) -> None:
    code, scale = quantise(vector)
    db.execute(
        "INSERT OR REPLACE INTO vector (observation, encoder, scale, code) VALUES (?, ?, ?, ?)",
        (observation, space, scale, code.tobytes()),
    )


def _has_faded(db: sqlite3.Connection, observation: int) -> bool:
    """Whether its vectors have faded to coarse codes: the new ones will be such codes, too."""
    coarse = "observation = ?1 AND centre IS NOT NULL"
    found = db.execute(
        f"SELECT 1 FROM vector WHERE {coarse} UNION SELECT 1 FROM sentence WHERE {coarse}", (observation,)
    )
    return found.fetchone() is not None
