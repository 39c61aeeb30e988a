"""Search: three kinds of evidence, fused by documented weights, returned as passages in time order.

Evidence, each in [0, 1]:

- dense: cosine of the question's and the row's vectors (exact int8 scan), brought to [0, 1] by a ramp
  between the cosine of unrelated pairs and that of good ones;
- words: BM25 over texts, as a share of the most that the question could get, and of its phrases. Texts that were said
  close together lend each other their words and their cosines (`contiguity`), because an answer often stands beside
  its question, but not its phrases: they tell which text is meant;
- looks and sounds (`entities`): a question that holds the name of something that was taught is compared with its
  templates, too, and what is alike enough bears its name;
- arousal, if asked for: how near the voice was to it, added as Emotional RAG adds the mood (Huang et al. 2024, C-A);
- labels (pictures and things): each known name is worth max(share of the question's terms that it holds,
  exp((cos - best cos) / T) * ramp(cos)), and a picture max-or-sum over its names of that worth times
  1 - log p / log p_min. This is ConSE read the other way round (question to class softmax times log
  probability), which ranks pictures better than the one summed vector does.

A passage is an utterance, a block of writing (adjacent equal texts are one), a sound, a visit of a tracked
thing, or a run of adjacent pictures of one event that all score at least half of its peak. Hits come in
time order; `Hit.score` tells the rank. No MMR and no pseudo-relevance feedback: both lose evidence when a
question needs more than one passage.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from jaxtyping import Bool, Float32, Int64
from numpy import ndarray

from reverie.memory import entities, lexical
from reverie.memory.anchors import ANCHOR_SET, Anchors, carry_over, embed_anchors, unpack_anchors
from reverie.memory.database import snapshot
from reverie.memory.index import Index
from reverie.memory.label_index import LabelEvidence, LabelIndex
from reverie.memory.passage_table import PassageTable
from reverie.memory.passages import Passages
from reverie.memory.retention import EPISODE_LEVEL
from reverie.memory.schema import MODALITY_CODES
from reverie.memory.search_config import SearchConfig
from reverie.memory.shortlist import Scores, TextScores, ramp, score_texts, with_rows
from reverie.memory.variety import varied
from reverie.types import Hit, Label, Modality, Query, TextEncoder, TimeSpan

_ALL = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A passage before its row is read: row numbers [first, last] in the order of its table, or a track."""

    score: float
    dense: float
    lexical: float
    kind: Modality
    peak: int = -1
    first: int = -1
    last: int = -1
    track: tuple[int, int] | None = None
    entity: str = ""


class Search:
    """Searches through one reader connection. Not thread-safe: `Memory` holds a lock around it."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        text_encoder: TextEncoder,
        query_encoders: Mapping[str, TextEncoder],
        config: SearchConfig,
        gap_s: float,
    ) -> None:
        self._db, self._config, self._gap_s = connection, config, gap_s
        self._encoders: dict[str, TextEncoder] = {**query_encoders, text_encoder.encoder_id: text_encoder}
        self._text_encoder = text_encoder
        self._asked: Anchors | None = None  # in the space of questions, made when another space needs it
        self._stored: dict[str, Anchors] = {}
        self._num_texts = lexical.TextCount()
        self.index = Index(connection)
        self.passages = Passages(connection)
        self._labels = LabelIndex(connection, text_encoder)

    def search(self, query: Query) -> list[Hit]:
        """The k best passages, neighbours included, in time order."""
        self.index.refresh()
        streams = self.passages.stream_rows(query.stream_ids, query.places)
        with snapshot(self._db):  # counts of one moment: a write in between would make shares of more than all
            num_texts = self._num_texts.of(self._db)
            words = lexical.weigh(self._db, query.text, self._config.common_share, num_texts)
            most = self._config.max_postings if num_texts > self._config.exact_rows else _ALL
            matches = lexical.search_texts(self._db, words, most)
            matches += lexical.search_phrases(self._db, words, self._config.pair_share, most)
            named = lexical.search_labels(self._db, words)
        vectors = self._embed(query.text)
        by_row = self._by_row(vectors)
        labels = self._labels.evidence(vectors[self._text_encoder.encoder_id], named, self._config)
        looks = entities.named_in(self._db, query.text)
        found = list(self._texts(query, streams, matches, by_row, looks))
        if query.arousal is None:  # nothing that is seen has it
            found += self._pictures(query, streams, labels, by_row, looks)
            found += self._things(query, streams, labels)
        found.sort(key=lambda passage: (-passage.score, passage.kind, passage.peak))
        primary = query.k if query.neighbours <= 0 else max(1, query.k - int(self._config.neighbour_share * query.k))
        hits = self._hits(found[: query.k])
        chosen = hits[:primary]
        if query.neighbours > 0:
            beside = self._neighbours(found[:primary], query, streams)
            for hit in [*beside, *hits[primary:]]:
                if len(chosen) < query.k and not any(_is_same(hit, other) for other in chosen):
                    chosen.append(hit)
        return self.passages.in_time_order(chosen)

    def _embed(self, text: str) -> dict[str, Float32[ndarray, "d"]]:
        """The question in every space that can be asked, each encoder used once."""
        made: dict[int, Float32[ndarray, "d"]] = {}
        for encoder in self._encoders.values():
            if id(encoder) not in made:
                made[id(encoder)] = encoder.encode([text])[0]
        return {name: made[id(encoder)] for name, encoder in self._encoders.items()}

    def _by_row(self, vectors: Mapping[str, Float32[ndarray, "d"]]) -> dict[int, Float32[ndarray, "d"]]:
        """The question for each encoder of the memory; carried over by the anchors to those that are not here."""
        found = {}
        for row, name, anchor_set in self._db.execute("SELECT id, name, anchor_set FROM encoder").fetchall():
            if name in vectors:
                found[row] = vectors[name]
            elif anchor_set == ANCHOR_SET:
                if self._asked is None:
                    self._asked = embed_anchors(self._text_encoder)
                if name not in self._stored:
                    (packed, width) = self._db.execute(
                        "SELECT anchors, width FROM encoder WHERE id = ?", (row,)
                    ).fetchone()
                    self._stored[name] = unpack_anchors(packed, width)
                found[row] = carry_over(vectors[self._text_encoder.encoder_id], self._asked, self._stored[name])
        return found

    # --- kinds of passages --------------------------------------------------------------------

    def _texts(
        self,
        query: Query,
        streams: tuple[int, ...] | None,
        matches: Sequence[lexical.TermMatches],
        vectors: dict[int, Float32[ndarray, "d"]],
        looks: Sequence[entities.Look],
    ) -> Iterator[_Found]:
        table, config = self.index.texts, self._config
        if not len(table):
            return
        keep = table.kept(table.ends_ns.rows, streams, query.modalities, _bounds(query.span))
        if query.arousal is not None:
            keep &= ~np.isnan(table.arousals.rows)
        wanted = query.k
        while True:
            scored = score_texts(table, vectors, matches, None if keep.all() else keep, wanted, config, query)
            found = self._blocks(table, scored, looks, keep, query.k)
            if len(found) == query.k or not scored.more:
                yield from found
                return
            wanted *= 8  # much of the shortlist is one long block of writing

    def _blocks(
        self, table: PassageTable, scored: TextScores, looks: Sequence[entities.Look], keep: Bool[ndarray, "n"], k: int
    ) -> list[_Found]:
        """The best passages of scored texts, and of those that are like what an entity sounds like."""
        best, whose = entities.likeness(table, looks)
        if looks:
            scored = with_rows(scored, np.flatnonzero(keep & (best > self._config.sound_cosine_range[0])))
        rows = scored.rows
        score, dense, whose = self._alike(
            best[rows],
            whose[rows],
            np.where(keep[rows], scored.score, 0),
            scored.dense,
            self._config.sound_cosine_range,
        )
        taken = np.zeros(len(table), dtype=bool)
        found: list[_Found] = []
        for place, worth in varied(table, np.where(keep[rows], score, 0), rows, taken, self._config.copy_share):
            row = int(rows[place])
            first, last = self._block(table, row)
            taken[table.order[first : last + 1]] = True
            found.append(_Found(
                score=worth, dense=float(dense[place]), lexical=float(scored.coverage[place]),
                kind=self.passages.modality(int(table.modalities.rows[row])), peak=row, first=first, last=last,
                entity=looks[whose[place]].name if whose[place] >= 0 else "",
            ))  # fmt: skip
            if len(found) == k:
                break
        return found

    def _block(self, table: PassageTable, row: int) -> tuple[int, int]:
        """The places in `order` of a passage: one row, or adjacent writing of equal text."""
        first = last = int(table.rank[row])
        if int(table.modalities.rows[row]) != MODALITY_CODES[Modality.WRITING]:
            return first, last
        order, gap_ns = table.order, int(self._config.writing_gap_s * 1e9)

        def follows(a: int, b: int) -> bool:
            i, j = order[a], order[b]
            same = (
                table.streams.rows[i] == table.streams.rows[j]
                and table.modalities.rows[i] == table.modalities.rows[j]
                and table.text_hashes.rows[i] == table.text_hashes.rows[j]
            )
            return bool(same and table.starts_ns.rows[j] - table.ends_ns.rows[i] <= gap_ns)

        while first > 0 and follows(first - 1, first):
            first -= 1
        while last + 1 < len(order) and follows(last, last + 1):
            last += 1
        return first, last

    def _pictures(
        self,
        query: Query,
        streams: tuple[int, ...] | None,
        labels: LabelEvidence,
        vectors: dict[int, Float32[ndarray, "d"]],
        looks: Sequence[entities.Look],
    ) -> Iterator[_Found]:
        table, config = self.index.pictures, self._config
        if not len(table) or (query.modalities and Modality.VISION not in query.modalities):
            return
        dense = table.dense(vectors, sentence_share=0.0)
        named, coverage = labels.of_rows(table)
        score = (
            config.picture_dense_weight * ramp(dense, config.picture_cosine_range) + config.picture_label_weight * named
        )
        likeness = entities.likeness(table, looks)
        score, dense, whose = self._alike(*likeness, score, dense, config.look_cosine_range)
        keep = table.kept(self.index.shown_until_ns(self._gap_s), streams, (), _bounds(query.span))
        score = np.where(keep, score, 0.0).astype(np.float32)
        taken = np.zeros(len(table), dtype=bool)
        ranked = varied(table, score, np.arange(len(table)), taken, config.copy_share)
        for row, worth in islice(ranked, query.k):
            first, last = self._run(table, score, taken, row)
            taken[table.order[first : last + 1]] = True
            yield _Found(
                score=worth, dense=float(dense[row]), lexical=float(coverage[row]),
                kind=Modality.VISION, peak=row, first=first, last=last,
                entity=looks[whose[row]].name if whose[row] >= 0 else "",
            )  # fmt: skip

    @staticmethod
    def _alike(
        best: Scores, whose: Int64[ndarray, "n"], score: Scores, dense: Scores, cosine_range: tuple[float, float]
    ) -> tuple[Scores, Scores, Int64[ndarray, "n"]]:
        """Scores and cosines with the looks asked for, and which of these a row owes its score to (-1: none)."""
        alike = ramp(best, cosine_range)
        owed = alike > score
        return np.where(owed, alike, score), np.where(owed, best, dense), np.where(owed, whose, -1)

    def _run(self, table: PassageTable, score: Scores, taken: ndarray, row: int) -> tuple[int, int]:
        """The places in `order` of the free pictures around a peak, in its event, above a share of it.

        In an episode each stands for a run of its own already, so there it is the peak alone.
        """
        event = self.passages.event_at(int(table.streams.rows[row]), int(table.starts_ns.rows[row]))
        if event and event[3] >= EPISODE_LEVEL:
            return int(table.rank[row]), int(table.rank[row])
        start_ns, end_ns = (event[1], event[2]) if event else (int(table.starts_ns.rows[row]),) * 2
        order, least = table.order, self._config.run_share * float(score[row])

        def belongs(place: int) -> bool:
            member = order[place]
            if table.streams.rows[member] != table.streams.rows[row] or taken[member]:
                return False
            inside = start_ns <= table.starts_ns.rows[member] < end_ns
            return bool(inside and score[member] >= least)

        first = last = int(table.rank[row])
        while first > 0 and belongs(first - 1):
            first -= 1
        while last + 1 < len(order) and belongs(last + 1):
            last += 1
        return first, last

    def _things(self, query: Query, streams: tuple[int, ...] | None, labels: LabelEvidence) -> Iterator[_Found]:
        if query.modalities and Modality.OBJECTS not in query.modalities:
            return
        worth = labels.of_things()
        if not worth:
            return
        marks = ",".join("?" * len(worth))
        sql = f"SELECT stream, track, name, score FROM track WHERE name IN ({marks})"
        values: list[int | str] = list(worth)
        if streams is not None:
            sql += f" AND stream IN ({','.join('?' * len(streams))})"
            values += streams
        if query.span is not None:
            sql += " AND start_ns < ? AND end_ns > ?"
            values += [query.span.end_ns, query.span.start_ns]
        rows = self._db.execute(sql, values).fetchall()
        scored = [
            (worth[name].strength * (0.5 + 0.5 * score), stream, track, name) for stream, track, name, score in rows
        ]
        scored.sort(key=lambda row: (-row[0], row[1], row[2]))
        for score, stream, track, name in scored[: query.k]:
            yield _Found(
                score=score, dense=worth[name].cosine, lexical=worth[name].coverage, kind=Modality.OBJECTS,
                track=(stream, track),
            )  # fmt: skip

    # --- hits ---------------------------------------------------------------------------------

    def _hits(self, found: Sequence[_Found]) -> list[Hit]:
        until_ns = self.index.shown_until_ns(self._gap_s) if any(f.kind is Modality.VISION for f in found) else None
        return [hit for passage in found if (hit := self._hit(passage, until_ns)) is not None]

    def _hit(self, found: _Found, until_ns: Int64[ndarray, "n"] | None) -> Hit | None:
        if found.track is not None:
            hit = self.passages.of_track(*found.track)
        elif found.kind is Modality.VISION and until_ns is not None:
            table = self.index.pictures
            members = table.order[found.first : found.last + 1]
            span = TimeSpan(start_ns=int(table.starts_ns.rows[members].min()), end_ns=int(until_ns[members].max()))
            hit = self.passages.of_pictures(
                table.ids.rows[members].tolist(),
                int(table.ids.rows[found.peak]),
                int(table.streams.rows[found.peak]),
                span,
            )
        else:
            table = self.index.texts
            hit = self.passages.of_texts(table.ids.rows[table.order[found.first : found.last + 1]].tolist())
        if hit is None:  # forgotten since the index was read
            return None
        score, lexical_share = min(1.0, found.score), min(1.0, found.lexical)
        labels = hit.labels
        if found.entity:  # as probable as it is alike: that it was there before takes nothing from that
            pictorial = found.kind is Modality.VISION
            limits = self._config.look_cosine_range if pictorial else self._config.sound_cosine_range
            alike = float(ramp(np.array([found.dense], np.float32), limits)[0])
            labels = (Label(name=found.entity, score=alike), *labels)
        return replace(hit, score=score, dense=found.dense, lexical=lexical_share, labels=labels)

    def _neighbours(self, found: Sequence[_Found], query: Query, streams: tuple[int, ...] | None) -> list[Hit]:
        """Passages beside the best ones, nearest first: of the same sense, or the events beside a run of pictures."""
        until_ns = self.index.shown_until_ns(self._gap_s)
        beside: list[Hit] = []
        for passage in found:
            table = self.index.pictures if passage.kind is Modality.VISION else self.index.texts
            if passage.track is not None:
                continue
            before, after = passage.first, passage.last
            for _ in range(query.neighbours):
                for step in (-1, 1):
                    place = before - 1 if step < 0 else after + 1
                    if not 0 <= place < len(table) or not _is_beside(table, place, passage.peak):
                        continue
                    row = int(table.order[place])
                    if passage.kind is Modality.VISION:
                        first, last = self._run(table, np.ones(len(table), np.float32), np.zeros(len(table), bool), row)
                    else:
                        first, last = self._block(table, row)
                    before, after = (first, after) if step < 0 else (before, last)
                    moved = replace(passage, score=0.0, dense=0.0, lexical=0.0, peak=row, first=first, last=last)
                    hit = self._hit(moved, until_ns)
                    if hit is not None and (query.span is None or hit.span.overlaps(query.span)):
                        beside.append(replace(hit, neighbour=True))
        return beside


def _bounds(span: TimeSpan | None) -> tuple[int, int] | None:
    return None if span is None else (span.start_ns, span.end_ns)


def _is_beside(table: PassageTable, place: int, row: int) -> bool:
    other = table.order[place]
    same_stream = table.streams.rows[other] == table.streams.rows[row]
    return bool(same_stream and table.modalities.rows[other] == table.modalities.rows[row])


def _is_same(a: Hit, b: Hit) -> bool:
    return a.stream_id == b.stream_id and a.modality == b.modality and a.span == b.span and a.text == b.text
