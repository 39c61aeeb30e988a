"""Names of labels and of encoders: each is stored once and known by a number.

New names are embedded by the text encoder, so that a question can find "tabby cat" when it asks for a
kitten: see the label channel in `search`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Final

from jaxtyping import Float32
from numpy import ndarray

from reverie.memory import lexical
from reverie.memory.anchors import ANCHOR_SET, embed_anchors, pack_anchors
from reverie.memory.rows import LabelKey, box_rows, label_rows
from reverie.memory.vectors import quantise
from reverie.types import TextEncoder

LABEL_BYTES: Final = 600  # of a row, its vector and its index entries, about


def unused_labels(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    """(id, name) of the labels that no row names."""
    used: set[int] = set()
    for labels, boxes in connection.execute(
        "SELECT labels, boxes FROM observation WHERE labels NOT NULL OR boxes NOT NULL "
        "UNION ALL SELECT labels, NULL FROM event UNION ALL SELECT labels, NULL FROM episode"
    ):
        used.update(label_rows(labels)["label"].tolist())
        used.update(box_rows(boxes)["name"].tolist())
    visits = "SELECT v.key FROM track t, json_each(t.votes) v"
    labels = connection.execute(f"SELECT id, name FROM label WHERE kind != 'object' OR name NOT IN ({visits})")
    return [(row, name) for row, name in labels if row not in used]


def drop_labels(connection: sqlite3.Connection, labels: Iterable[tuple[int, str]]) -> None:
    """Delete (id, name) labels that no row names, in the transaction that is open."""
    for row, name in labels:
        lexical.remove(connection, "label_text", row, name)
        connection.execute("DELETE FROM label_vector WHERE label = ?", (row,))
        connection.execute("DELETE FROM label WHERE id = ?", (row,))


def drop_unused_encoders(connection: sqlite3.Connection) -> None:
    """Forget the names of spaces in which no vector is left."""
    tables = ("vector", "sentence", "label_vector", "centre", "episode_vector", "familiarity", "template", "note")
    used = " UNION ".join(f"SELECT encoder FROM {table}" for table in tables)
    connection.execute(f"DELETE FROM encoder WHERE id NOT IN ({used})")


class Names:
    """Writes labels and encoders as they turn up; one per writer."""

    def __init__(
        self, connection: sqlite3.Connection, text_encoder: TextEncoder, query_encoders: Mapping[str, TextEncoder]
    ) -> None:
        self._db, self._encoder_id = connection, text_encoder.encoder_id
        self._makers: dict[str, TextEncoder] = {**query_encoders, self._encoder_id: text_encoder}
        self._anchors: dict[str, bytes] = {}
        self.reload()

    def reload(self) -> None:
        self._encoders: dict[str, tuple[int, int]] = {
            name: (row, width) for row, name, width in self._db.execute("SELECT id, name, width FROM encoder")
        }
        self._anchored = {name for (name,) in self._db.execute("SELECT name FROM encoder WHERE anchors IS NOT NULL")}
        self._of_texts = {name for (name,) in self._db.execute("SELECT name FROM encoder WHERE of_texts")}
        self._labels: dict[LabelKey, int] = {
            (name, kind): row for row, name, kind in self._db.execute("SELECT id, name, kind FROM label")
        }
        encoder, _ = self._encoders.get(self._encoder_id, (-1, 0))
        self._embedded: set[int] = {
            row for (row,) in self._db.execute("SELECT label FROM label_vector WHERE encoder = ?", (encoder,))
        }
        self._vectors: Mapping[str, Float32[ndarray, "d"]] = {}

    def width_of(self, encoder: str) -> int | None:
        known = self._encoders.get(encoder)
        return known[1] if known else None

    def prepare(self, encoders: Iterable[str]) -> None:
        """Before the transaction: embed the anchors of spaces that are used for the first time."""
        for name in encoders:
            if name in self._makers and name not in self._anchored and name not in self._anchors:
                self._anchors[name] = pack_anchors(embed_anchors(self._makers[name]))

    def new_anchor_bytes(self, name: str) -> int:
        """Of the anchors that are written when the space is used for the first time; 0 afterwards."""
        return 0 if name in self._anchored else len(self._anchors.get(name, b""))

    def encoder(self, name: str, width: int) -> int:
        if name not in self._encoders:
            cursor = self._db.execute("INSERT INTO encoder (name, width) VALUES (?, ?)", (name, width))
            assert cursor.lastrowid is not None
            self._encoders[name] = (cursor.lastrowid, width)
        row = self._encoders[name][0]
        if name in self._anchors and name not in self._anchored:
            self._db.execute(
                "UPDATE encoder SET anchor_set = ?, anchors = ? WHERE id = ?", (ANCHOR_SET, self._anchors[name], row)
            )
            self._anchored.add(name)
        if name == self._encoder_id and name not in self._of_texts:  # it may have been known for questions before
            self._db.execute("UPDATE encoder SET of_texts = 1 WHERE id = ?", (row,))
            self._of_texts.add(name)
        return row

    def has_vector(self, name: str, kind: str) -> bool:
        return self._labels.get((name, kind)) in self._embedded

    def adopt(self, vectors: Mapping[str, Float32[ndarray, "d"]]) -> None:
        """Vectors for the names that the coming items may bring."""
        self._vectors = vectors

    def id_of(self, name: str, kind: str) -> int:
        row = self._labels.get((name, kind))
        if row is None:
            cursor = self._db.execute("INSERT INTO label (name, kind) VALUES (?, ?)", (name, kind))
            row = cursor.lastrowid
            assert row is not None
            self._labels[(name, kind)] = row
            lexical.add(self._db, "label_text", row, name)
        if row not in self._embedded and name in self._vectors:
            vector = self._vectors[name]
            code, scale = quantise(vector)
            encoder = self.encoder(self._encoder_id, len(vector))
            self._db.execute("INSERT INTO label_vector VALUES (?, ?, ?, ?)", (row, encoder, scale, code.tobytes()))
            self._embedded.add(row)
        return row
