"""What searching needs, held in RAM: times, vectors and label scores of everything that was committed.

The rows stay the record; this is a cache of them, read when it is first needed and then extended by what
was committed since. Rows are appended; a demotion notes its stretch in `revision`, and what the cache holds of
it is read again; an erasure bumps `memory.erasures`, and everything is. Reading goes in short transactions, so
a reader never holds the writer's log for long.

Two tables: pictures (VISION), with label scores, and texts (WRITING, SPEECH, SOUND). Per row: 37 bytes
and D for each vector, 6 for each label.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from reverie.memory.coarse_codes import Decoder
from reverie.memory.database import snapshot
from reverie.memory.passage_table import PassageTable
from reverie.memory.schema import A_LOSS, MODALITY_CODES, TEXT_MODALITIES
from reverie.types import Modality, ns

_PAGE_ROWS = 20_000
_FAR_NS = 1 << 62
_ROWS = (
    "SELECT o.id, o.stream, o.modality, o.start_ns, o.end_ns, o.text, o.labels, o.arousal, v.encoder, v.scale, v.code, "
    "v.centre FROM observation o LEFT JOIN vector v ON v.observation = o.id"
)
_SENTENCES = (
    "SELECT s.observation, s.encoder, s.scale, s.code, s.centre FROM sentence s "
    "JOIN observation o ON o.id = s.observation"
)


class Index:
    """The cache of one reader connection; `refresh` before use."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._erasures = -1
        self._decoder = Decoder(connection)
        self._clear()

    def _clear(self) -> None:
        self.pictures, self.texts = PassageTable(), PassageTable()
        self._last_id = 0
        self._revision: int | None = None

    def refresh(self) -> None:
        """Catch up with what was committed; start anew after an erasure, or too many demotions."""
        while True:
            erasures, first, last = self._state()
            lost = self._revision is not None and self._revision + 1 < (first or last + 1)
            if erasures != self._erasures or lost:
                self._clear()
                self._erasures = erasures
            if self._revision is not None and last > self._revision:
                self._read_again(self._revision)
            self._revision = last
            while self._read_page() == _PAGE_ROWS:
                pass
            erasures, _, last = self._state()
            if (erasures, last) == (self._erasures, self._revision):
                return

    def _state(self) -> tuple[int, int | None, int]:
        """Number of erasures, first revision that is noted, and last one that ever was."""
        row: tuple[int, int | None, int] = self._db.execute(
            "SELECT erasures, (SELECT min(id) FROM revision), "
            "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'revision'), 0) FROM memory"
        ).fetchone()
        return row

    def _read_again(self, since: int) -> None:
        """Take up what demotions left of their stretches."""
        spans: list[tuple[int, int, int]] = []
        for stream, start_ns, end_ns in self._db.execute(
            "SELECT stream, start_ns, end_ns FROM revision WHERE id > ? ORDER BY stream, start_ns", (since,)
        ).fetchall():
            if spans and spans[-1][0] == stream and start_ns <= spans[-1][2]:
                spans[-1] = (stream, spans[-1][1], max(spans[-1][2], end_ns))
            else:
                spans.append((stream, start_ns, end_ns))
        for table, codes in self._tables():
            marks = ",".join("?" * len(codes))
            gone = np.zeros(len(table), dtype=bool)
            rows, sentences = list[tuple[Any, ...]](), list[tuple[Any, ...]]()
            inside = (
                f"WHERE o.stream = ? AND o.modality IN ({marks}) AND o.start_ns >= ? AND o.start_ns < ? AND o.id <= ?"
            )
            for stream, start_ns, end_ns in spans:
                starts_ns = table.starts_ns.rows
                gone |= (table.streams.rows == stream) & (starts_ns >= start_ns) & (starts_ns < end_ns)
                bounds = (stream, *codes, start_ns, end_ns, self._last_id)
                rows += self._read(f"{_ROWS} {inside}", bounds)
                sentences += self._read(f"{_SENTENCES} {inside} ORDER BY s.observation, s.part", bounds)
            if gone.any() or rows:
                table.replace(gone, rows, sentences)

    def _tables(self) -> tuple[tuple[PassageTable, tuple[int, ...]], ...]:
        texts = tuple(MODALITY_CODES[modality] for modality in TEXT_MODALITIES)
        return (self.pictures, (MODALITY_CODES[Modality.VISION],)), (self.texts, texts)

    def _read_page(self) -> int:
        rows = self._read(
            f"{_ROWS} WHERE o.id > ? AND o.modality != ? ORDER BY o.id LIMIT ?",
            (self._last_id, MODALITY_CODES[Modality.OBJECTS], _PAGE_ROWS),
        )
        for table, codes in self._tables():
            chosen = [row for row in rows if row[2] in codes]
            if chosen:
                table.extend(chosen)
        if rows:
            self.texts.extend_sentences(
                self._read(
                    f"{_SENTENCES} WHERE s.observation > ? AND s.observation <= ? ORDER BY s.observation, s.part",
                    (self._last_id, rows[-1][0]),
                )
            )
            self._last_id = rows[-1][0]
        return len(rows)

    def _read(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Rows with vectors as int8, whatever they are kept as; in one snapshot with the centres that they need."""
        with snapshot(self._db):
            return self._decoder.as_int8(self._db.execute(query, values).fetchall())

    def shown_until_ns(self, gap_s: float) -> Int64[ndarray, "n"]:
        """When each picture stopped being what was seen.

        A scene that does not change sends no pictures, so a picture stands until the next one of its stream,
        a loss of at least `gap_s`, or the end of what was watched.
        """
        table = self.pictures
        order = table.order
        streams, starts_ns = table.streams.rows[order], table.starts_ns.rows[order]
        until_ns = np.full(len(table), _FAR_NS, dtype=np.int64)
        if len(order) > 1:
            until_ns[:-1] = np.where(streams[1:] == streams[:-1], starts_ns[1:], _FAR_NS)
        for stream, watched_ns in self._db.execute("SELECT id, watched_end_ns FROM stream").fetchall():
            own = slice(np.searchsorted(streams, stream), np.searchsorted(streams, stream, side="right"))
            if own.start == own.stop:
                continue
            lost_ns = np.array(
                [
                    start_ns
                    for (start_ns,) in self._db.execute(
                        f"SELECT start_ns FROM gap WHERE stream = ? AND {A_LOSS} ORDER BY start_ns",
                        (stream, ns(gap_s)),
                    )
                ]
                + [watched_ns if watched_ns is not None else _FAR_NS, _FAR_NS],
                dtype=np.int64,
            )
            lost_ns.sort()
            next_loss_ns = lost_ns[np.searchsorted(lost_ns[:-1], starts_ns[own], side="right")]
            until_ns[own] = np.minimum(until_ns[own], next_loss_ns)
        found = np.empty(len(table), dtype=np.int64)
        found[order] = until_ns
        return np.where(found == _FAR_NS, table.ends_ns.rows, found)
