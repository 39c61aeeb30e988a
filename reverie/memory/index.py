"""What searching needs, held in RAM: times, vectors and label scores of everything that was committed.

The rows stay the record; this is a cache of them, read when it is first needed and then extended by what
was committed since. Rows are appended; a demotion notes its stretch in `revision`, and what the cache holds of
it is read again; an erasure bumps `memory.erasures`, and everything is. Reading goes in short transactions, so
a reader never holds the writer's log for long.

Two tables: pictures (VISION), with label scores, and texts (WRITING, SPEECH, SOUND). Per row: 34 bytes
Two tables: pictures (VISION), with label scores, and texts (WRITING, SPEECH, SOUND). Per row: 37 bytes
and D for each vector, 6 for each label.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any
from zlib import crc32

import numpy as np
from jaxtyping import Bool, Float32, Int64
from numpy import ndarray

from reverie.memory.rows import LABEL_DTYPE, label_rows
from reverie.memory.schema import A_LOSS, MODALITY_CODES, TEXT_MODALITIES
from reverie.memory.sign_codes import Decoder
from reverie.memory.speakers import meant_role, role_of
from reverie.memory.vectors import GrowingArray, cosines
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


class VectorColumn:
    """The vectors of one encoder in one table: row numbers, codes (N, D) int8, scales (N,) float32."""

    def __init__(self, width: int) -> None:
        self.rows = GrowingArray(np.int64)
        self.codes = GrowingArray(np.int8, width)
        self.scales = GrowingArray(np.float32)


def _extend_vectors(
    columns: dict[int, VectorColumn], rows: Iterable[tuple[int, int | None, float | None, bytes | None]]
) -> None:
    """Append (row number, encoder, scale, code) to the column of each encoder."""
    by_encoder: dict[int, list[tuple[int, float, bytes]]] = {}
    for number, encoder, scale, code in rows:
        if encoder is not None and scale is not None and code is not None:
            by_encoder.setdefault(encoder, []).append((number, scale, code))
    for encoder, own in by_encoder.items():
        width = len(own[0][2])
        column = columns.setdefault(encoder, VectorColumn(width))
        column.rows.extend([number for number, _, _ in own])
        column.scales.extend([scale for _, scale, _ in own])
        joined = b"".join(code for _, _, code in own)
        column.codes.extend(np.frombuffer(joined, dtype=np.int8).reshape(len(own), width))


def _merge_vectors(
    columns: dict[int, VectorColumn],
    fresh: dict[int, VectorColumn],
    moved: Int64[ndarray, "n"],
    arrived: Int64[ndarray, "m"],
) -> None:
    """Row `i` becomes `moved[i]` (-1: it goes), and row `i` of the fresh ones becomes `arrived[i]`."""
    for encoder in sorted(columns.keys() | fresh.keys()):
        new = fresh.get(encoder)
        own = columns.setdefault(encoder, VectorColumn(new.codes.rows.shape[1] if new else 0))
        stays = moved[own.rows.rows] >= 0
        places = [moved[own.rows.rows[stays]]] + ([arrived[new.rows.rows]] if new else [])
        own.codes.assign(np.concatenate([own.codes.rows[stays]] + ([new.codes.rows] if new else [])))
        own.scales.assign(np.concatenate([own.scales.rows[stays]] + ([new.scales.rows] if new else [])))
        own.rows.assign(np.concatenate(places))


class PassageTable:
    """Observations of some modalities in commit order; row numbers count from 0."""

    def __init__(self) -> None:
        self.ids = GrowingArray(np.int64)
        self.streams = GrowingArray(np.int64)
        self.modalities = GrowingArray(np.int8)
        self.starts_ns = GrowingArray(np.int64)
        self.ends_ns = GrowingArray(np.int64)
        self.text_hashes = GrowingArray(np.uint32)
        self.roles = GrowingArray(np.int8)
        self.arousals = GrowingArray(np.float32)  # NaN where there is none
        self.vectors: dict[int, VectorColumn] = {}
        self.sentences: dict[int, VectorColumn] = {}
        self.label_row = GrowingArray(np.int64)
        self.label_id = GrowingArray(np.int64)
        self.label_score = GrowingArray(np.float32)
        self._order: Int64[ndarray, "n"] | None = None
        self._rank: Int64[ndarray, "n"] | None = None
        self._runs: tuple[int, Int64[ndarray, "n"]] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def extend(self, rows: list[tuple[Any, ...]]) -> None:
        """Append (id, stream, modality, start, end, text, labels, arousal, encoder, scale, code) rows."""
        first = len(self)
        columns = list(zip(*rows, strict=True))
        for column, values in zip(
            (self.ids, self.streams, self.modalities, self.starts_ns, self.ends_ns), columns, strict=False
        ):
            column.extend(values)
        self.text_hashes.extend([crc32(text.encode()) for text in columns[5]])
        self.roles.extend([role_of(text) for text in columns[5]])
        self.arousals.extend([np.nan if arousal is None else arousal for arousal in columns[7]])
        labels = label_rows(b"".join(packed or b"" for packed in columns[6]))
        counts = [len(packed or b"") // LABEL_DTYPE.itemsize for packed in columns[6]]
        self.label_row.extend(np.repeat(np.arange(first, first + len(rows)), counts))
        self.label_id.extend(labels["label"].astype(np.int64))
        self.label_score.extend(labels["score"].astype(np.float32))
        numbers = range(first, first + len(rows))
        _extend_vectors(self.vectors, zip(numbers, columns[8], columns[9], columns[10], strict=True))
        self._order = self._rank = self._runs = None

    def extend_sentences(self, rows: list[tuple[Any, ...]]) -> None:
        """Append (observation id, encoder, scale, code) of rows that are here."""
        numbers = np.searchsorted(self.ids.rows, [row[0] for row in rows]).tolist()
        _extend_vectors(self.sentences, ((number, *row[1:]) for number, row in zip(numbers, rows, strict=True)))

    def replace(self, gone: Bool[ndarray, "n"], rows: list[tuple[Any, ...]], sentences: list[tuple[Any, ...]]) -> None:
        """Drop some rows and take in others with their sentences, keeping all in commit order."""
        kept = np.flatnonzero(~gone)
        fresh = PassageTable()
        if rows:
            fresh.extend(sorted(rows, key=lambda row: row[0]))
            fresh.extend_sentences(sentences)
        ids = np.concatenate([self.ids.rows[kept], fresh.ids.rows])
        order = np.argsort(ids, kind="stable")
        place = np.empty(len(order), dtype=np.int64)  # of each row, after the merge
        place[order] = np.arange(len(order))
        moved = np.full(len(self), -1, dtype=np.int64)
        moved[kept] = place[: len(kept)]
        arrived = place[len(kept) :]
        for name in ("ids", "streams", "modalities", "starts_ns", "ends_ns", "text_hashes", "roles", "arousals"):
            column = getattr(self, name)
            column.assign(np.concatenate([column.rows[kept], getattr(fresh, name).rows])[order])
        stays = moved[self.label_row.rows] >= 0
        for name in ("label_id", "label_score"):
            column = getattr(self, name)
            column.assign(np.concatenate([column.rows[stays], getattr(fresh, name).rows]))
        self.label_row.assign(np.concatenate([moved[self.label_row.rows[stays]], arrived[fresh.label_row.rows]]))
        for own, new in ((self.vectors, fresh.vectors), (self.sentences, fresh.sentences)):
            _merge_vectors(own, new, moved, arrived)
        self._order = self._rank = self._runs = None

    def dense(self, queries: dict[int, Float32[ndarray, "d"]], sentence_share: float) -> Float32[ndarray, "n"]:
        """Cosine of every row with the query in its encoder's space; 0 where there is none.

        Where a text has sentences, the best of theirs makes up `sentence_share` of it.
        """
        found = np.zeros(len(self), dtype=np.float32)
        for encoder, query in queries.items():
            column = self.vectors.get(encoder)
            if column is not None and column.codes.rows.shape[1] == len(query):
                found[column.rows.rows] = cosines(column.codes.rows, column.scales.rows, query)
            parts = self.sentences.get(encoder)
            if parts is not None and parts.codes.rows.shape[1] == len(query):
                best = np.full(len(self), -1.0, dtype=np.float32)
                np.maximum.at(best, parts.rows.rows, cosines(parts.codes.rows, parts.scales.rows, query))
                split = best > -1.0
                found[split] += np.float32(sentence_share) * (best[split] - found[split])
        return found

    def said_by_another(self, query: str) -> Bool[ndarray, "n"]:
        """Which texts another role said than the one that the query means; what has no role was not."""
        meant, roles = meant_role(query), self.roles.rows
        return (roles != meant) & (roles != 0) if meant else np.zeros(len(self), dtype=bool)

    @property
    def order(self) -> Int64[ndarray, "n"]:
        """Row numbers by (stream, modality, start)."""
        if self._order is None:
            keys = (self.ids.rows, self.starts_ns.rows, self.modalities.rows, self.streams.rows)
            self._order = np.lexsort(keys).astype(np.int64)
        return self._order

    @property
    def rank(self) -> Int64[ndarray, "n"]:
        """Where each row stands in `order`."""
        if self._rank is None:
            self._rank = np.empty(len(self), dtype=np.int64)
            self._rank[self.order] = np.arange(len(self))
        return self._rank

    def runs(self, gap_ns: int) -> Int64[ndarray, "n"]:
        """The run of each place in `order`: a new one where the stream or sense changes, or a gap is this long."""
        if self._runs is None or self._runs[0] != gap_ns:
            order = self.order
            streams, modalities = self.streams.rows[order], self.modalities.rows[order]
            silent = self.starts_ns.rows[order][1:] - self.ends_ns.rows[order][:-1] >= gap_ns
            begins = (streams[1:] != streams[:-1]) | (modalities[1:] != modalities[:-1]) | silent
            self._runs = gap_ns, np.concatenate((np.zeros(1, np.int64), np.cumsum(begins)))[: len(self)]
        return self._runs[1]

    def kept(
        self,
        ends_ns: Int64[ndarray, "n"],
        streams: tuple[int, ...] | None,
        modalities: tuple[Modality, ...],
        span: tuple[int, int] | None,
    ) -> Bool[ndarray, "n"]:
        """Which rows pass the filters. A row without duration counts as an instant."""
        keep = np.ones(len(self), dtype=bool)
        if streams is not None:
            keep &= np.isin(self.streams.rows, streams)
        if modalities:
            keep &= np.isin(self.modalities.rows, [MODALITY_CODES[modality] for modality in modalities])
        if span is not None:
            starts_ns = self.starts_ns.rows
            keep &= (starts_ns < span[1]) & (np.maximum(ends_ns, starts_ns + 1) > span[0])
        return keep


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
        self._db.execute("BEGIN")
        try:
            return self._decoder.as_int8(self._db.execute(query, values).fetchall())
        finally:
            self._db.execute("COMMIT")

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
