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
time order; `Hit.score` tells the rank. What says the same as a better passage counts less (`variety`): maximal
marginal relevance, but for near-duplicates alone. In full it loses evidence when a question needs more than one
passage, and so does pseudo-relevance feedback, of which there is none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
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
from reverie.memory.picture_scores import PictureEvidence, PictureScores
from reverie.memory.retention import EPISODE_LEVEL
from reverie.memory.schema import MODALITY_CODES
from reverie.memory.search_config import SearchConfig
from reverie.memory.shortlist import widened
from reverie.memory.text_scores import TextScores, score_texts
from reverie.memory.variety import varied
from reverie.memory.vectors import ramp
from reverie.types import Hit, Label, Modality, Query, TextEncoder, TimeSpan

_RUN_ROWS = 16  # pictures beside a peak that are looked at first
Rows = Int64[ndarray, "m"]


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
            words = lexical.weigh(self._db, query.text, num_texts)
            most = self._config.max_postings
            matches = lexical.search_texts(self._db, words, most)
            matches += lexical.search_phrases(self._db, words, self._config.pair_share, most)
            named = lexical.search_labels(self._db, words)
        vectors = self._embed(query.text)
        by_row = self._by_row(vectors)
        labels = self._labels.evidence(vectors[self._text_encoder.encoder_id], named, self._config)
        looks = entities.named_in(self._db, query.text)
        found = self._texts(query, streams, matches, by_row, looks)
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
    ) -> list[_Found]:
        table, config = self.index.texts, self._config
        if not len(table):
            return []
        keep = table.kept(table.ends_ns.rows, streams, query.modalities, _bounds(query.span))
        if query.arousal is not None:
            keep &= ~np.isnan(table.arousals.rows)
        passing = None if keep.all() else keep

        def search(wanted: int | None) -> tuple[list[_Found], float]:
            scored = score_texts(table, vectors, matches, passing, wanted, config, query, looks)
            return self._blocks(table, scored, looks, keep, query.k), scored.left

        return widened(query.k, search)

    def _blocks(
        self, table: PassageTable, scored: TextScores, looks: Sequence[entities.Look], keep: Bool[ndarray, "n"], k: int
    ) -> list[_Found]:
        """The best passages of scored texts."""
        rows, config = scored.rows, self._config
        score, dense, whose = entities.with_looks(
            table, looks, rows, scored.score, scored.dense, config.sound_cosine_range
        )
        taken = np.zeros(len(table), dtype=bool)
        found: list[_Found] = []
        for place, worth in islice(varied(table, np.where(keep[rows], score, 0), rows, taken, config.copy_share), k):
            row = int(rows[place])
            first, last = self._block(table, row)
            taken[table.order[first : last + 1]] = True
            found.append(_Found(
                score=worth, dense=float(dense[place]), lexical=float(scored.coverage[place]),
                kind=self.passages.modality(int(table.modalities.rows[row])), peak=row, first=first, last=last,
                entity=looks[whose[place]].name if whose[place] >= 0 else "",
            ))  # fmt: skip
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
    ) -> list[_Found]:
        table = self.index.pictures
        if not len(table) or (query.modalities and Modality.VISION not in query.modalities):
            return []
        keep = self.index.pictures_kept(streams, _bounds(query.span), self._gap_s)
        scores = PictureScores(table, vectors, labels, looks, keep, self._config)

        def search(wanted: int | None) -> tuple[list[_Found], float]:
            evidence = scores.best(wanted)
            return self._runs(table, scores, evidence, looks, query.k), evidence.left

        return widened(query.k, search)

    def _runs(
        self,
        table: PassageTable,
        scores: PictureScores,
        best: PictureEvidence,
        looks: Sequence[entities.Look],
        k: int,
    ) -> list[_Found]:
        """The best runs of pictures, around those whose evidence is there."""
        taken = np.zeros(len(table), dtype=bool)
        found: list[_Found] = []
        for place, worth in islice(varied(table, best.score, best.rows, taken, self._config.copy_share), k):
            row = int(best.rows[place])
            least = self._config.run_share * float(best.score[place])
            first, last = self._run(table, row, partial(_belong, scores, taken, least))
            taken[table.order[first : last + 1]] = True
            found.append(_Found(
                score=worth, dense=float(best.dense[place]), lexical=float(best.coverage[place]),
                kind=Modality.VISION, peak=row, first=first, last=last,
                entity=looks[best.looks[place]].name if best.looks[place] >= 0 else "",
            ))  # fmt: skip
        return found

    def _run(self, table: PassageTable, row: int, belongs: Callable[[Rows], Bool[ndarray, "m"]]) -> tuple[int, int]:
        """The places in `order` of the pictures around a peak, in its event, that belong to it.

        In an episode each stands for a run of its own already, so there it is the peak alone.
        """
        place, stream = int(table.rank[row]), int(table.streams.rows[row])
        event = self.passages.event_at(stream, int(table.starts_ns.rows[row]))
        if event is None or event[3] >= EPISODE_LEVEL:
            return place, place

        def end(step: int) -> int:
            here, size = place, _RUN_ROWS
            while True:
                beside = np.arange(here + step, here + step * (size + 1), step)
                members = table.order[beside[(beside >= 0) & (beside < len(table))]]
                starts_ns = table.starts_ns.rows[members]
                inside = (table.streams.rows[members] == stream) & (starts_ns >= event[1]) & (starts_ns < event[2])
                members = members[: _num_first(inside)]
                num_more = _num_first(belongs(members))
                here += step * num_more
                if num_more < size:
                    return here
                size *= 4

        return end(-1), end(1)

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
        return [hit for passage in found if (hit := self._hit(passage)) is not None]

    def _hit(self, found: _Found) -> Hit | None:
        if found.track is not None:
            hit = self.passages.of_track(*found.track)
        elif found.kind is Modality.VISION:
            table = self.index.pictures
            members = table.order[found.first : found.last + 1]
            until_ns = self.index.shown_until_ns(members, self._gap_s)
            span = TimeSpan(start_ns=int(table.starts_ns.rows[members].min()), end_ns=int(until_ns.max()))
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
        beside: list[Hit] = []
        for passage in found:
            table = self.index.pictures if passage.kind is Modality.VISION else self.index.texts
            if passage.track is not None:
                continue
            before, after = passage.first, passage.last
            for _ in range(min(query.neighbours, len(table))):
                reached = before, after
                for step in (-1, 1):
                    place = before - 1 if step < 0 else after + 1
                    if not 0 <= place < len(table) or not _is_beside(table, place, passage.peak):
                        continue
                    row = int(table.order[place])
                    if passage.kind is Modality.VISION:
                        first, last = self._run(table, row, lambda rows: np.ones(len(rows), bool))
                    else:
                        first, last = self._block(table, row)
                    before, after = (first, after) if step < 0 else (before, last)
                    moved = replace(passage, score=0.0, dense=0.0, lexical=0.0, peak=row, first=first, last=last)
                    hit = self._hit(moved)
                    if hit is not None and (query.span is None or hit.span.overlaps(query.span)):
                        beside.append(replace(hit, neighbour=True))
                if (before, after) == reached:
                    break
        return beside


def _bounds(span: TimeSpan | None) -> tuple[int, int] | None:
    return None if span is None else (span.start_ns, span.end_ns)


def _num_first(true: Bool[ndarray, "n"]) -> int:
    """How many there are before the first that is not."""
    return len(true) if true.all() else int(true.argmin())


def _belong(scores: PictureScores, taken: Bool[ndarray, "n"], least: float, rows: Rows) -> Bool[ndarray, "m"]:
    """Which pictures are free and score enough."""
    free: Bool[ndarray, "m"] = ~taken[rows]
    return free & (scores.of(rows) >= least)


def _is_beside(table: PassageTable, place: int, row: int) -> bool:
    other = table.order[place]
    same_stream = table.streams.rows[other] == table.streams.rows[row]
    return bool(same_stream and table.modalities.rows[other] == table.modalities.rows[row])


def _is_same(a: Hit, b: Hit) -> bool:
    return a.stream_id == b.stream_id and a.modality == b.modality and a.span == b.span and a.text == b.text
