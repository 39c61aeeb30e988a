"""Embedding a memory anew after a change of encoder, from the rows: texts, names, and pictures whose key frame is kept.

Small transactions, each of which leaves a memory that can be searched (a row's old vector is carried over by the
anchors until its new one is there). What is done is told from what is left by the encoder that a vector names, so
a job that was cut short goes on where it stopped, and a second one finds nothing to do. A picture of an event that
is still open keeps its vector, because segmentation goes on from it; one without a key frame cannot get another.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from reverie.memory import sentences
from reverie.memory.coarse_codes import recode
from reverie.memory.erase import drop_unused
from reverie.memory.names import Names
from reverie.memory.schema import MODALITY_CODES, TEXT_MODALITIES
from reverie.memory.store import Store
from reverie.memory.vectors import quantise
from reverie.types import Modality, TextEncoder

_BATCH_ROWS = 32  # a quarter of a second of a small encoder
_BATCH_BYTES = 16 << 10
_VISION = MODALITY_CODES[Modality.VISION]
_TEXT_CODES = ",".join(str(MODALITY_CODES[modality]) for modality in TEXT_MODALITIES)
# A text whose vector is not the memory's own embedding of it (a sound's, say) is left as it came.
_OLD_TEXTS = (
    "SELECT o.id, o.text FROM observation o JOIN vector v ON v.observation = o.id JOIN encoder e ON e.id = v.encoder "
    f"WHERE o.modality IN ({_TEXT_CODES}) AND o.text != '' AND e.of_texts AND e.name != ? AND o.id > ? "
    "ORDER BY o.id LIMIT ?"
)
_OLD_PICTURES = (
    "SELECT o.id, o.picture FROM observation o LEFT JOIN vector v ON v.observation = o.id "
    "LEFT JOIN encoder e ON e.id = v.encoder WHERE o.modality = ? AND o.picture IS NOT NULL AND e.name IS NOT ? "
    "AND o.id > ? AND o.start_ns < (SELECT coalesce(max(p.start_ns), 1 << 62) FROM event p WHERE p.stream = o.stream "
    "AND p.open) ORDER BY o.id LIMIT ?"
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
    store: Store,
    names: Names,
    text_encoder: TextEncoder,
    pictures: PictureEncoder | None,
    make_room: Callable[[int], object],
) -> ReencodeReceipt:
    """Give texts, names and (with `pictures`) key frames the vectors of these encoders.

    The caller holds the writer's lock; `make_room` is called with the bytes that each transaction may need.
    """
    names.prepare([text_encoder.encoder_id, *([pictures.encoder_id] if pictures else [])])
    num_texts = num_pictures = last = 0
    make_room(_BATCH_BYTES)
    while rows := store.writer.execute(_OLD_TEXTS, (text_encoder.encoder_id, last, _BATCH_ROWS)).fetchall():
        _texts(store, names, text_encoder, rows)
        num_texts, last = num_texts + len(rows), rows[-1][0]
        make_room(_BATCH_BYTES)
    num_names = _names(store, names, text_encoder)
    last = 0
    while pictures is not None and (
        rows := store.writer.execute(_OLD_PICTURES, (_VISION, pictures.encoder_id, last, _BATCH_ROWS)).fetchall()
    ):
        num_pictures, last = num_pictures + _pictures(store, names, pictures, rows), rows[-1][0]
        make_room(_BATCH_BYTES)
    current = (text_encoder.encoder_id, pictures.encoder_id if pictures else text_encoder.encoder_id)
    with store.transaction() as db:
        if num_texts + num_names + num_pictures:
            db.execute("UPDATE memory SET erasures = erasures + 1")  # caches read all anew
        drop_unused(db)
        (left,) = db.execute(
            "SELECT count(*) FROM vector v JOIN encoder e ON e.id = v.encoder WHERE e.name NOT IN (?, ?)", current
        ).fetchone()
    names.reload()
    return ReencodeReceipt(texts=num_texts, names=num_names, pictures=num_pictures, left=left)


def _texts(store: Store, names: Names, encoder: TextEncoder, rows: list[tuple[int, str]]) -> None:
    parts = {row: sentences.split(text) for row, text in rows}
    wanted = dict.fromkeys([text for _, text in rows] + [part for own in parts.values() for part in own])
    vectors = dict(zip(wanted, encoder.encode(list(wanted)), strict=True))
    with store.transaction() as db:
        faded = _faded(db, [row for row, _ in rows])
        for row, text in rows:
            space = _replace_vector(db, names, row, encoder.encoder_id, vectors[text])
            db.execute("DELETE FROM sentence WHERE observation = ?", (row,))
            for number, part in enumerate(parts[row]):
                code, scale = quantise(vectors[part])
                db.execute(
                    "INSERT INTO sentence (observation, part, encoder, scale, code) VALUES (?, ?, ?, ?, ?)",
                    (row, number, space, scale, code.tobytes()),
                )
        for table in ("vector", "sentence"):
            recode(db, table, faded)


def _names(store: Store, names: Names, encoder: TextEncoder) -> int:
    """Names get a vector of the encoder, and lose those of others."""
    rows = store.writer.execute("SELECT name, kind FROM label").fetchall()
    missing = [(name, kind) for name, kind in rows if not names.has_vector(name, kind)]
    if missing:
        texts = list(dict.fromkeys(name for name, _ in missing))
        names.adopt(dict(zip(texts, encoder.encode(texts), strict=True)))
    with store.transaction() as db:
        for name, kind in missing:
            names.id_of(name, kind)
        db.execute(
            "DELETE FROM label_vector WHERE encoder NOT IN (SELECT id FROM encoder WHERE name = ?)",
            (encoder.encoder_id,),
        )
    return len(missing)


def _pictures(store: Store, names: Names, encoder: PictureEncoder, rows: list[tuple[int, str]]) -> int:
    there = [(row, name) for row, name in rows if store.pictures.path_of(name).is_file()]
    if there:
        vectors = encoder.encode([store.pictures.read(name) for _, name in there])
        with store.transaction() as db:
            faded = _faded(db, [row for row, _ in there])
            for (row, _), vector in zip(there, vectors, strict=True):
                _replace_vector(db, names, row, encoder.encoder_id, np.asarray(vector))
            recode(db, "vector", faded)
    return len(there)


def _replace_vector(db: sqlite3.Connection, names: Names, row: int, encoder: str, vector: Float32[ndarray, "d"]) -> int:
    code, scale = quantise(vector)
    space = names.encoder(encoder, len(vector))
    db.execute(
        "INSERT OR REPLACE INTO vector (observation, encoder, scale, code) VALUES (?, ?, ?, ?)",
        (row, space, scale, code.tobytes()),
    )
    return space


def _faded(db: sqlite3.Connection, rows: list[int]) -> list[int]:
    """Those of the observations whose vectors have faded to coarse codes: the new ones will be such codes, too."""
    marks = ",".join("?" * len(rows))
    found = db.execute(f"SELECT observation FROM vector WHERE observation IN ({marks}) AND centre IS NOT NULL", rows)
    return [row for (row,) in found]
