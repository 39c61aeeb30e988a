"""Observations of some senses as columns in RAM: what filters, order and vectors of a search are read from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from zlib import crc32

import numpy as np
from jaxtyping import Bool, Float32, Int8, Int64
from numpy import ndarray

from reverie.memory.label_column import LabelColumn
from reverie.memory.schema import MODALITY_CODES
from reverie.memory.speakers import meant_role, role_of
from reverie.memory.vector_column import VectorColumn, extend_vectors, merge_vectors
from reverie.memory.vectors import GrowingArray
from reverie.types import Modality

_WRITING = MODALITY_CODES[Modality.WRITING]
_LANES = 1 << 20  # more senses than there will be: (stream, sense) as one number


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
        self.labels = LabelColumn()
        self._order, self._rank = np.zeros(0, np.int64), np.zeros(0, np.int64)

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
        self.text_hashes.extend(
            [crc32(row[5].encode()) if row[2] == _WRITING else 0 for row in rows]  # equal writing is one passage
        )
        self.roles.extend([role_of(text) for text in columns[5]])
        self.arousals.extend([np.nan if row[7] is None else row[7] for row in rows])
        self.labels.extend(first, columns[6])
        numbers = range(first, first + len(rows))
        extend_vectors(self.vectors, zip(numbers, columns[8], columns[9], columns[10], strict=True))

    def extend_sentences(self, rows: list[tuple[Any, ...]]) -> None:
        """Append (observation id, encoder, scale, code) of rows that are here."""
        numbers = np.searchsorted(self.ids.rows, [row[0] for row in rows]).tolist()
        extend_vectors(self.sentences, ((number, *row[1:]) for number, row in zip(numbers, rows, strict=True)))

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
        self.labels.merge(fresh.labels, moved, arrived)
        for own, new in ((self.vectors, fresh.vectors), (self.sentences, fresh.sentences)):
            merge_vectors(own, new, moved, arrived)
        self._order, self._rank = np.zeros(0, np.int64), np.zeros(0, np.int64)

    def dense(
        self,
        queries: dict[int, Float32[ndarray, "d"]],
        sentence_share: float,
        rows: Int64[ndarray, "m"] | None = None,
    ) -> Float32[ndarray, "n"]:
        """Cosine of each of the rows (default: of all) with the query in its encoder's space; 0 where there is none.

        Where a text has sentences, the best of theirs makes up `sentence_share` of it, or all where it has nothing else
        in that space.
        """
        found = np.zeros(len(self) if rows is None else len(rows), dtype=np.float32)
        for encoder, query in queries.items():
            share = np.ones(len(found), dtype=np.float32)
            column = self.vectors.get(encoder)
            if column is not None and column.width == len(query):
                places, own = column.cosines(query, rows)
                found[places], share[places] = own, sentence_share
            parts = self.sentences.get(encoder)
            if parts is not None and parts.width == len(query):
                best = np.full(len(found), -1.0, dtype=np.float32)
                places, own = parts.cosines(query, rows)
                np.maximum.at(best, places, own)
                split = best > -1.0
                found[split] += share[split] * (best[split] - found[split])
        return found

    def likeness(self, row: int, others: Int64[ndarray, "m"]) -> Float32[ndarray, "m"]:
        """Cosine of a row's vector with those of others in its space; 0 where there is none."""
        found = np.zeros(len(others), dtype=np.float32)
        for column in self.vectors.values():
            own = column.vector_of(row)
            if own is not None:
                places, near = column.cosines(own, others)
                found[places] = near
        return found

    def nearest(
        self, queries: Iterable[tuple[int, Float32[ndarray, "d"]]], most: int, kept: Bool[ndarray, "n"] | None
    ) -> Int64[ndarray, "m"]:
        """About the `most` rows nearest by sign codes to each (encoder, query), of whole texts and of sentences."""
        found = [
            column.nearest(query, most, kept)
            for encoder, query in queries
            for column in (self.vectors.get(encoder), self.sentences.get(encoder))
            if column is not None and column.width == len(query)
        ]
        return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)

    def rows_of(self, ids: Int64[ndarray, "m"]) -> tuple[Int64[ndarray, "k"], Bool[ndarray, "m"]]:
        """Row numbers of ascending observation ids, and which of the ids are here: one may have come just now."""
        own = self.ids.rows
        rows = np.searchsorted(own, ids)
        known = rows < len(own)
        known[known] = own[rows[known]] == ids[known]
        return rows[known], known

    @property
    def order(self) -> Int64[ndarray, "n"]:
        """Row numbers by (stream, modality, start)."""
        if len(self._order) < len(self):
            self._insert_new()
        return self._order

    @property
    def rank(self) -> Int64[ndarray, "n"]:
        """Where each row stands in `order`."""
        if len(self._order) < len(self):
            self._insert_new()
        return self._rank

    def _insert_new(self) -> None:
        """Put the rows since the last time into the order: mostly at the end of their stream."""
        starts_ns, known = self.starts_ns.rows, len(self._order)
        lanes = _lanes(self.streams.rows, self.modalities.rows)
        fresh = np.arange(known, len(self))
        fresh = fresh[np.lexsort((fresh, starts_ns[fresh], lanes[fresh]))]
        low = self._behind(lanes[fresh], starts_ns[fresh])
        self._order = np.insert(self._order, low, fresh)
        first = int(low.min(initial=known))
        rank = np.empty(len(self), np.int64)
        rank[:known] = self._rank
        rank[self._order[first:]] = np.arange(first, len(self))
        self._rank = rank

    def _behind(self, lanes: Int64[ndarray, "m"], starts_ns: Int64[ndarray, "m"]) -> Int64[ndarray, "m"]:
        """Places behind all rows of the order that are not later than some times of some lanes."""
        known = len(self._order)
        low, high = np.zeros(len(lanes), np.int64), np.full(len(lanes), known, np.int64)
        while (low < high).any():
            middle = (low + high) // 2
            other = self._order[np.minimum(middle, known - 1)]
            own = _lanes(self.streams.rows[other], self.modalities.rows[other])
            before = (own < lanes) | ((own == lanes) & (self.starts_ns.rows[other] <= starts_ns))
            open_ = low < high
            low, high = np.where(open_ & before, middle + 1, low), np.where(open_ & ~before, middle, high)
        return low

    def last_before(self, streams: Int64[ndarray, "s"], modality: Modality, at_ns: int) -> Int64[ndarray, "m"]:
        """The last row of each stream in one sense that began before a time, where there is one."""
        code = np.full(len(streams), MODALITY_CODES[modality], np.int8)
        order, lanes = self.order, _lanes(streams, code)
        places = self._behind(lanes, np.full(len(streams), at_ns - 1)) - 1
        rows, lanes = order[places[places >= 0]], lanes[places >= 0]
        own: Int64[ndarray, "m"] = rows[_lanes(self.streams.rows[rows], self.modalities.rows[rows]) == lanes]
        return own

    def runs(self, places: Int64[ndarray, "m"], gap_ns: int) -> Int64[ndarray, "m"]:
        """The run of each of some ascending places in `order`.

        A new one begins where the stream or sense changes, a gap is this long, or a place is left out.
        """
        rows = self.order[places]
        streams, modalities = self.streams.rows[rows], self.modalities.rows[rows]
        begins = self.starts_ns.rows[rows][1:] - self.ends_ns.rows[rows][:-1] >= gap_ns
        begins |= (streams[1:] != streams[:-1]) | (modalities[1:] != modalities[:-1]) | (np.diff(places) > 1)
        return np.concatenate((np.zeros(1, np.int64), np.cumsum(begins)))[: len(places)]

    def around(self, rows: Int64[ndarray, "m"], reach: int) -> Int64[ndarray, "k"]:
        """The places in `order` of some rows and of those within `reach` of them, ascending."""
        wide = self.rank[rows][:, None] + np.arange(-reach, reach + 1)
        return np.unique(wide[(wide >= 0) & (wide < len(self))])

    def said_by_another(self, query: str, rows: Int64[ndarray, "m"]) -> Bool[ndarray, "m"]:
        """Which of the texts another role said than the one that the query means; what has no role was not."""
        meant, roles = meant_role(query), self.roles.rows[rows]
        return (roles != meant) & (roles != 0) if meant else np.zeros(len(rows), dtype=bool)

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


def _lanes(streams: Int64[ndarray, "n"], modalities: Int8[ndarray, "n"]) -> Int64[ndarray, "n"]:
    lanes: Int64[ndarray, "n"] = streams * _LANES + modalities
    return lanes
