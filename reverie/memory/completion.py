"""Completion from a fragment: what was heard finds what was seen with it, and the other way round.

Events bind the senses. A cue in one sense (a sentence, a vector, a span of the memory) recalls the events that hold
something like it, best first, and from each what another sense perceived at that moment. The store is addressed
by content, by the single nearest row: a modern Hopfield network (Ramsauer et al. 2021, x' = X softmax(beta X^T x))
as beta grows. Finite betas, which blend events, were measured with one step and two (benchmarks/associative.py): they
gain a few points at the first place where one association repeats among wrong ones, and lose everywhere else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from reverie.errors import UsageError
from reverie.memory.coarse_codes import Decoder
from reverie.memory.cues import Cue
from reverie.memory.index import Index
from reverie.memory.passage_table import PassageTable
from reverie.memory.passages import EventRow, Passages
from reverie.memory.schema import MODALITY_CODES
from reverie.types import Hit, Modality, TimeSpan

Vectors = Mapping[int, Float32[ndarray, "d"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where to look: streams by number (None: all), and a span of media time (None: all)."""

    streams: tuple[int, ...] | None
    span: TimeSpan | None


class Completion:
    """Reads through one connection. Not thread-safe: `Memory` holds a lock around it."""

    def __init__(self, connection: sqlite3.Connection, index: Index, passages: Passages, sentence_share: float) -> None:
        self._db, self._index, self._passages, self._sentence_share = connection, index, passages, sentence_share

    def complete(self, cue: Cue | TimeSpan, find: Modality, k: int, scope: Scope) -> list[Hit]:
        """The k best completions by a sense, best first, one of each event.

        Raises:
            UsageError: `find` is a sense without vectors (things), or a span in which no other sense has a vector.
        """
        if find is Modality.OBJECTS:
            raise UsageError("things have no vectors: complete by vision, speech, writing or sound")
        self._index.refresh()
        if isinstance(cue, Cue):
            row = self._db.execute("SELECT id FROM encoder WHERE name = ?", (cue.encoder,)).fetchone()
            vectors: Vectors = {row[0]: cue.vector} if row else {}
            without = None
        else:
            vectors, without = self._perceived(cue, find, scope), cue
        hits: list[Hit] = []
        taken: set[int] = set()
        for table, row, cosine in self._nearest(vectors, find, scope):
            if len(hits) >= k:
                break
            stream, at_ns = int(table.streams.rows[row]), int(table.starts_ns.rows[row])
            event = self._passages.event_at(stream, at_ns)
            if event is None or event[0] in taken:
                continue
            if without is not None and event[1] < without.end_ns and event[2] > without.start_ns:
                continue
            taken.add(event[0])
            hit = self._other_sense(find, stream, event, at_ns)
            if hit is not None:
                hits.append(replace(hit, score=min(1.0, max(0.0, cosine)), dense=cosine))
        return hits

    def _perceived(self, span: TimeSpan, find: Modality, scope: Scope) -> Vectors:
        """The mean unit vector, in each space, of what the other senses perceived in a span."""
        sums: dict[int, Float32[ndarray, "d"]] = {}
        decoder = Decoder(self._db)
        for stream, encoder, scale, code, centre in self._db.execute(
            "SELECT o.stream, v.encoder, v.scale, v.code, v.centre FROM observation o "
            "JOIN vector v ON v.observation = o.id "
            "WHERE o.start_ns < ? AND max(o.end_ns, o.start_ns + 1) > ? AND o.modality != ?",
            (span.end_ns, span.start_ns, MODALITY_CODES[find]),
        ):
            if scope.streams is None or stream in scope.streams:
                vector = decoder.vector(scale, code, centre)
                sums[encoder] = sums[encoder] + vector if encoder in sums else vector
        if not sums:
            raise UsageError("nothing with a vector was perceived by another sense there: take another span")
        return {encoder: total / max(float(np.linalg.norm(total)), 1e-6) for encoder, total in sums.items()}

    def _nearest(self, vectors: Vectors, find: Modality, scope: Scope) -> Iterator[tuple[PassageTable, int, float]]:
        """Rows of the other senses, the nearest to the cue first."""
        tables, rows, cosines = [], list[ndarray](), list[ndarray]()
        bounds = (scope.span.start_ns, scope.span.end_ns) if scope.span else None
        for table in (self._index.pictures, self._index.texts):
            if not len(table):
                continue
            keep = table.kept(table.ends_ns.rows, scope.streams, (), bounds)
            keep &= table.modalities.rows != MODALITY_CODES[find]
            keep &= np.isin(np.arange(len(table)), _embedded(table, vectors))
            dense = table.dense(dict(vectors), self._sentence_share)
            tables.append(table)
            rows.append(np.flatnonzero(keep))
            cosines.append(dense[keep])
        if not tables:
            return
        owner = np.repeat(np.arange(len(tables)), [len(part) for part in rows])
        all_rows, all_cosines = np.concatenate(rows), np.concatenate(cosines)
        for place in np.argsort(-all_cosines, kind="stable").tolist():
            yield tables[owner[place]], int(all_rows[place]), float(all_cosines[place])

    def _other_sense(self, find: Modality, stream: int, event: EventRow, at_ns: int) -> Hit | None:
        """What a sense perceived in an event: the run of its pictures, or the text nearest to a time."""
        table = self._index.pictures if find is Modality.VISION else self._index.texts
        starts_ns = table.starts_ns.rows
        inside = (table.streams.rows == stream) & (starts_ns >= event[1]) & (starts_ns < event[2])
        rows = np.flatnonzero(inside & (table.modalities.rows == MODALITY_CODES[find]))
        if not len(rows):
            return None
        nearest = int(rows[np.argmin(np.abs(starts_ns[rows] - at_ns))])
        if find is not Modality.VISION:
            return self._passages.of_texts([int(table.ids.rows[nearest])])
        span = TimeSpan(start_ns=int(starts_ns[rows].min()), end_ns=int(table.ends_ns.rows[rows].max()))
        return self._passages.of_pictures(table.ids.rows[rows].tolist(), int(table.ids.rows[nearest]), stream, span)


def _embedded(table: PassageTable, vectors: Vectors) -> ndarray:
    """Numbers of the rows that have a vector in one of the cue's spaces, of their own or of a sentence."""
    columns = [
        column.rows.rows
        for encoder, vector in vectors.items()
        for own in (table.vectors, table.sentences)
        if (column := own.get(encoder)) is not None and column.codes.rows.shape[1] == len(vector)
    ]
    return np.concatenate(columns) if columns else np.zeros(0, np.int64)
