"""Reading without a question: events, everything a sense perceived, the last seconds, and what there is.

Each call reads what is committed at that moment and copies it out.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from reverie.memory.coarse_codes import Decoder
from reverie.memory.database import snapshot
from reverie.memory.events import summarise
from reverie.memory.index import Index
from reverie.memory.passage_table import PassageTable
from reverie.memory.passages import Passages, relative_path
from reverie.memory.records import GapRecord, LabelCount, MemoryStats, PinRecord
from reverie.memory.rows import label_rows, unpack_boxes, unpack_labels, unpack_words
from reverie.memory.schema import MODALITIES, MODALITY_CODES, SCHEMA_VERSION, TEXT_MODALITIES
from reverie.memory.store import DATABASE
from reverie.types import (
    NS_PER_S,
    Episode,
    Event,
    Hit,
    Label,
    Modality,
    Observation,
    StreamRecord,
    TimeSpan,
    Track,
    offsets_ns,
)

_TEXT_CODES = tuple(MODALITY_CODES[modality] for modality in TEXT_MODALITIES)


class Browse:
    """Reads through one reader connection. Not thread-safe: `Memory` holds a lock around it."""

    def __init__(
        self, connection: sqlite3.Connection, index: Index, passages: Passages, gap_s: float, writing_gap_s: float
    ) -> None:
        self._db, self._index, self._passages = connection, index, passages
        self._gap_s, self._writing_gap_ns = gap_s, round(writing_gap_s * NS_PER_S)

    def streams(self) -> list[StreamRecord]:
        rows = self._db.execute(
            "SELECT name, uri, live, coalesce(watched_start_ns, 0), "
            "coalesce(watched_end_ns, watched_start_ns, 0), ended, wall_anchor_ns, place, timezone, imagined "
            "FROM stream ORDER BY id"
        ).fetchall()
        return [
            StreamRecord(
                stream_id=name, uri=uri, live=bool(live), watched=TimeSpan(start_ns=min(start, end), end_ns=end),
                ended=bool(ended), wall_anchor_ns=anchor, place=place, timezone=zone, imagined=bool(imagined),
            )
            for name, uri, live, start, end, ended, anchor, place, zone, imagined in rows
        ]  # fmt: skip

    def gaps(self, stream_ids: tuple[str, ...] = ()) -> list[GapRecord]:
        rows = self._db.execute(
            "SELECT s.name, g.start_ns, g.end_ns, g.reason, g.num_dropped FROM gap g JOIN stream s ON s.id = g.stream "
            "ORDER BY s.id, g.start_ns"
        ).fetchall()
        return [
            GapRecord(stream_id=name, span=TimeSpan(start_ns=start, end_ns=end), reason=reason, num_dropped=dropped)
            for name, start, end, reason, dropped in rows
            if not stream_ids or name in stream_ids
        ]

    def surprises(self, stream_id: str, span: TimeSpan | None) -> list[tuple[int, float]]:
        low, high = (span.start_ns, span.end_ns) if span else (-(1 << 62), 1 << 62)
        return self._db.execute(
            "SELECT start_ns, surprise FROM observation WHERE stream = (SELECT id FROM stream WHERE name = ?) "
            "AND modality = ? AND surprise IS NOT NULL AND start_ns >= ? AND start_ns < ? ORDER BY start_ns",
            (stream_id, MODALITY_CODES[Modality.VISION], low, high),
        ).fetchall()

    def labels(self) -> list[LabelCount]:
        """Every name: classes, colours and sounds counted in observations, objects in visits; commonest first."""
        self._index.refresh()
        seen = np.concatenate([self._index.pictures.labels.ids.rows, self._index.texts.labels.ids.rows])
        counts = np.bincount(seen) if len(seen) else np.zeros(0, dtype=np.int64)
        visits = dict(self._db.execute("SELECT name, count(*) FROM track GROUP BY name").fetchall())
        found = []
        for row, name, kind in self._db.execute("SELECT id, name, kind FROM label").fetchall():
            count = visits.get(name, 0) if kind == "object" else int(counts[row]) if row < len(counts) else 0
            if count:
                found.append(LabelCount(name=name, kind=kind, count=count))
        return sorted(found, key=lambda label: (-label.count, label.name, label.kind))

    def tracks(self, name: str | None, stream_ids: tuple[str, ...], span: TimeSpan | None) -> list[Track]:
        return self._passages.tracks(name, self._passages.stream_rows(stream_ids), span)

    # --- events -------------------------------------------------------------------------------

    def timeline(self, span: TimeSpan | None, stream_ids: tuple[str, ...]) -> list[Event]:
        """Events that overlap the span, in time order (`offsets_ns`), the open ones included."""
        chosen = self._passages.stream_rows(stream_ids)
        events = []
        for stream, name, watched_ns in self._db.execute(
            "SELECT id, name, watched_end_ns FROM stream ORDER BY id"
        ).fetchall():
            if chosen is None or stream in chosen:
                events += self._events(stream, name, watched_ns, span)
        shown = {event.stream_id for event in events}
        offsets = offsets_ns(stream for stream in self.streams() if stream.stream_id in shown)
        return sorted(
            events, key=lambda event: (offsets.get(event.stream_id, 0) + event.span.start_ns, event.stream_id)
        )

    def _events(self, stream: int, name: str, watched_ns: int, span: TimeSpan | None) -> list[Event]:
        low, high = (span.start_ns, span.end_ns) if span else (-(1 << 62), 1 << 62)
        rows = self._db.execute(
            "SELECT id, start_ns, CASE WHEN open THEN max(?2, start_ns) ELSE end_ns END AS until_ns, open, "
            "previous, carries, labels, picture, level FROM event WHERE stream = ?1 AND start_ns < ?3 "
            "AND until_ns > ?4 ORDER BY start_ns",
            (stream, watched_ns, high, low),
        ).fetchall()
        if not rows:
            return []
        texts = self._texts_by_event(stream, [row[1] for row in rows], rows[-1][2])
        events = []
        for (row, start, end, is_open, previous, carries, labels, picture, level), text in zip(
            rows, texts, strict=True
        ):
            if is_open:
                labels, picture = summarise(self._db, stream, start, end + 1, previous if carries else None)
            events.append(
                Event(
                    event_id=row, stream_id=name, span=TimeSpan(start_ns=start, end_ns=end), text=text,
                    labels=self._passages.named(label_rows(labels).tolist()),
                    thumbnail=relative_path(picture), open=bool(is_open), level=level,
                )
            )  # fmt: skip
        return events

    def episodes(self, span: TimeSpan | None, stream_ids: tuple[str, ...]) -> list[Episode]:
        """Episodes that overlap the span, in time order."""
        low, high = (span.start_ns, span.end_ns) if span else (-(1 << 62), 1 << 62)
        rows = self._db.execute(
            "SELECT p.id, s.name, p.start_ns, p.end_ns, p.text, p.labels, p.num_events, p.surprise, (SELECT e.picture "
            "FROM event e WHERE e.episode = p.id AND e.picture IS NOT NULL ORDER BY e.surprise DESC, e.id LIMIT 1) "
            "FROM episode p JOIN stream s ON s.id = p.stream WHERE p.start_ns < ? AND p.end_ns > ? "
            "ORDER BY p.start_ns, s.name",
            (high, low),
        ).fetchall()
        return [
            Episode(
                episode_id=row, stream_id=name, span=TimeSpan(start_ns=start, end_ns=end), text=text,
                labels=self._passages.named(label_rows(labels).tolist()), thumbnail=relative_path(picture),
                num_events=num_events, surprise=surprise,
            )
            for row, name, start, end, text, labels, num_events, surprise, picture in rows
            if not stream_ids or name in stream_ids
        ]  # fmt: skip

    def pins(self) -> list[PinRecord]:
        """What is pinned, by stream and time."""
        rows = self._db.execute(
            "SELECT s.name, p.start_ns, p.end_ns FROM pin p JOIN stream s ON s.id = p.stream ORDER BY s.id, p.start_ns"
        ).fetchall()
        return [PinRecord(stream_id=name, span=TimeSpan(start_ns=start, end_ns=end)) for name, start, end in rows]

    def _texts_by_event(self, stream: int, starts_ns: list[int], end_ns: int) -> list[str]:
        """What was said and written in each event, in order, each text once."""
        parts: list[dict[str, None]] = [{} for _ in starts_ns]
        for start_ns, text in self._db.execute(
            "SELECT start_ns, text FROM observation WHERE stream = ? AND modality IN (?, ?) AND start_ns >= ? "
            "AND start_ns < ? AND text != '' ORDER BY start_ns, id",
            (stream, MODALITY_CODES[Modality.SPEECH], MODALITY_CODES[Modality.WRITING], starts_ns[0], end_ns + 1),
        ).fetchall():
            parts[bisect_right(starts_ns, start_ns) - 1][text] = None
        return [" ".join(part) for part in parts]

    # --- everything of a sense ----------------------------------------------------------------

    def observations(
        self,
        modalities: tuple[Modality, ...],
        stream_ids: tuple[str, ...],
        span: TimeSpan | None,
        limit: int,
        newest: bool,
        arousal: tuple[float, float] | None = None,
    ) -> list[Hit]:
        """Passages in time order, at most `limit` from the beginning, or with `newest` from the end.

        Pictures are not merged: each is a hit that lasts until the next. With `arousal`, only what was said so.
        """
        self._index.refresh()
        streams = self._passages.stream_rows(stream_ids)
        chosen = modalities or tuple(Modality)
        if arousal is not None:
            chosen = tuple(modality for modality in chosen if modality is Modality.SPEECH)
        spans: list[tuple[int, int, object]] = []
        if Modality.VISION in chosen:
            pictures = self._index.pictures
            until_ns = self._index.shown_until_ns(np.arange(len(pictures)), self._gap_s)
            spans += self._spans(pictures, until_ns, streams, (), span)
        text_modalities = tuple(modality for modality in chosen if modality in TEXT_MODALITIES)
        if text_modalities:
            texts = self._index.texts
            spans += self._spans(texts, texts.ends_ns.rows, streams, text_modalities, span, arousal)
        if Modality.OBJECTS in chosen:
            spans += [
                (visit.span.start_ns, visit.span.end_ns, visit) for visit in self._passages.tracks(None, streams, span)
            ]
        spans.sort(key=itemgetter(0, 1))
        picked = spans[-limit:] if newest else spans[:limit]
        hits = [self._passage(start_ns, end_ns, source) for start_ns, end_ns, source in picked if limit > 0]
        return self._passages.in_time_order(hit for hit in hits if hit is not None)

    def _spans(
        self,
        table: PassageTable,
        ends_ns: np.ndarray,
        streams: tuple[int, ...] | None,
        modalities: tuple[Modality, ...],
        span: TimeSpan | None,
        arousal: tuple[float, float] | None = None,
    ) -> Iterator[tuple[int, int, object]]:
        """(start, end, (modality, ids)) of each passage that passes; adjacent writing of equal text is one."""
        keep = table.kept(ends_ns, streams, modalities, (span.start_ns, span.end_ns) if span else None)
        if arousal is not None:
            keep &= (table.arousals.rows >= arousal[0]) & (table.arousals.rows <= arousal[1])
        writing = MODALITY_CODES[Modality.WRITING]
        held: tuple[int, int, list[int], int] | None = None  # start, end, ids, row of a block of writing
        for row in table.order[keep[table.order]].tolist():
            start, end, code = int(table.starts_ns.rows[row]), int(ends_ns[row]), int(table.modalities.rows[row])
            if held is not None:
                same = (
                    code == writing
                    and table.streams.rows[row] == table.streams.rows[held[3]]
                    and table.text_hashes.rows[row] == table.text_hashes.rows[held[3]]
                    and start - held[1] <= self._writing_gap_ns
                )
                if same:
                    held = (held[0], max(held[1], end), [*held[2], int(table.ids.rows[row])], row)
                    continue
                yield held[0], held[1], (Modality.WRITING, held[2])
                held = None
            if code == writing:
                held = (start, end, [int(table.ids.rows[row])], row)
            else:
                yield start, end, (MODALITIES[code], [int(table.ids.rows[row])])
        if held is not None:
            yield held[0], held[1], (Modality.WRITING, held[2])

    def _passage(self, start_ns: int, end_ns: int, source: object) -> Hit | None:
        if isinstance(source, Track):
            (row,) = self._passages.stream_rows((source.stream_id,)) or (0,)
            return self._passages.of_visit(row, source)
        assert isinstance(source, tuple)
        modality, ids = source
        if modality is Modality.VISION:
            number = int(np.searchsorted(self._index.pictures.ids.rows, ids[0]))
            stream = int(self._index.pictures.streams.rows[number])
            return self._passages.of_pictures(
                ids, ids[0], stream, TimeSpan(start_ns=start_ns, end_ns=max(start_ns, end_ns))
            )
        return self._passages.of_texts(ids)

    def latest(self, duration_ns: int, stream_ids: tuple[str, ...]) -> list[Hit]:
        """What was perceived in the last `duration_ns` of the newest stream, or of each of `stream_ids`.

        The newest stream is the one that was written last, streams that go on first. Pictures that follow
        one another in an event are one hit; `score` is nearness to the end, 1 at the end.
        """
        if not stream_ids:
            row = self._db.execute(
                "SELECT name FROM stream s "
                "ORDER BY ended, (SELECT max(id) FROM observation o WHERE o.stream = s.id) DESC LIMIT 1"
            ).fetchone()
            stream_ids = (row[0],) if row else ()
        ends_ns = {record.stream_id: record.watched.end_ns for record in self.streams()}
        hits: list[Hit] = []
        for name in stream_ids:
            if name in ends_ns:
                span = TimeSpan(start_ns=ends_ns[name] - duration_ns, end_ns=ends_ns[name] + 1)
                found = _merge_pictures(self.observations((), (name,), span, 10_000, newest=True))
                hits += [replace(hit, score=_nearness(hit, ends_ns[name], duration_ns)) for hit in found]
        return self._passages.in_time_order(hits)

    # --- rows as they were written ------------------------------------------------------------

    def rows(
        self, span: TimeSpan | None, modalities: tuple[Modality, ...], stream_ids: tuple[str, ...], vectors: bool
    ) -> Iterator[Observation]:
        """Observations as they are kept, by stream, time, sense and seq; thumbnails stay files."""
        codes = tuple(MODALITY_CODES[modality] for modality in modalities or tuple(Modality))
        marks = ",".join("?" * len(codes))
        low, high = (span.start_ns, span.end_ns) if span else (-(1 << 62), 1 << 62)
        decoder = Decoder(self._db)
        page, last = 5_000, (-1, -(1 << 62), -1, -(1 << 62))
        while True:
            found, names = self._with_names(
                "SELECT o.stream, o.start_ns, o.modality, o.seq, s.name, o.end_ns, o.confidence, o.text, o.labels, "
                "o.boxes, o.words, o.starts_shot, o.arousal, e.name, v.scale, v.code, "
                "v.centre FROM observation o JOIN stream s ON s.id = o.stream "
                "LEFT JOIN vector v ON v.observation = o.id LEFT JOIN encoder e ON e.id = v.encoder "
                f"WHERE (o.stream, o.start_ns, o.modality, o.seq) > (?, ?, ?, ?) AND o.modality IN ({marks}) "
                "AND o.start_ns < ? AND max(o.end_ns, o.start_ns + 1) > ? "
                "ORDER BY o.stream, o.start_ns, o.modality, o.seq LIMIT ?",
                (*last, *codes, high, low, page),
            )
            for _, start, code, seq, name, end, *rest in found:
                if stream_ids and name not in stream_ids:
                    continue
                confidence, text, labels, boxes, words, shot, arousal, encoder, scale, packed, centre = rest
                yield Observation(
                    stream_id=name, seq=seq, span=TimeSpan(start_ns=start, end_ns=end), modality=MODALITIES[code],
                    confidence=confidence, text=text, labels=unpack_labels(labels, names),
                    boxes=unpack_boxes(boxes, names),
                    words=unpack_words(words, start), starts_shot=bool(shot), encoder=encoder or "",
                    arousal=arousal,
                    embedding=decoder.vector(scale, packed, centre) if vectors and packed else None,
                )  # fmt: skip
            if len(found) < page:
                return
            last = found[-1][:4]

    def _with_names(
        self, query: str, values: tuple[Any, ...]
    ) -> tuple[list[tuple[Any, ...]], dict[int, tuple[str, str]]]:
        """Rows, and name and kind of every label, of one moment."""
        with snapshot(self._db):
            names = self._db.execute("SELECT id, name, kind FROM label").fetchall()
            return self._db.execute(query, values).fetchall(), {row: (name, kind) for row, name, kind in names}

    def stats(self, root: Path) -> MemoryStats:
        """Counts and bytes, by kind and part."""
        counts = dict(self._db.execute("SELECT modality, count(*) FROM observation GROUP BY modality").fetchall())
        watched_ns = sum(record.watched.duration_ns for record in self.streams())
        lost_ns = sum(gap.span.duration_ns for gap in self.gaps())
        tables = ("stream", "event", "episode", "track", "label", "gap", "entity", "fact", "note")
        counted = ", ".join(f"(SELECT count(*) FROM {table})" for table in tables)
        streams, events, episodes, tracks, labels, gaps, entities, statements, notes = self._db.execute(
            f"SELECT {counted}"
        ).fetchone()
        (pictures,) = self._db.execute(
            "SELECT count(*) FROM (SELECT picture FROM observation WHERE picture IS NOT NULL UNION "
            "SELECT picture FROM track WHERE picture IS NOT NULL)"
        ).fetchone()
        sizes = {"database": 0, "log": 0, "pictures": 0, "other": 0}
        for path in root.rglob("*"):
            part = {DATABASE: "database", DATABASE + "-wal": "log"}.get(path.name, "other")
            try:
                sizes["pictures" if path.suffix == ".jpg" else part] += path.stat().st_size if path.is_file() else 0
            except FileNotFoundError:
                continue  # a writer removed it meanwhile
        return MemoryStats(
            streams=streams,
            observations={str(MODALITIES[code]): count for code, count in sorted(counts.items())},
            events=events, episodes=episodes, tracks=tracks, labels=labels, pictures=pictures, gaps=gaps,
            entities=entities, statements=statements, notes=notes,
            hours_watched=max(0, watched_ns - lost_ns) / NS_PER_S / 3600,
            bytes_on_disk=sizes, schema_version=SCHEMA_VERSION,
        )  # fmt: skip


def _merge_pictures(hits: list[Hit]) -> list[Hit]:
    """Pictures that follow one another in one event become one hit, with the mean score of each label."""
    merged: list[Hit] = []
    held: dict[str, list[Hit]] = {}

    def close(stream_id: str) -> None:
        run = held.pop(stream_id, [])
        if run:
            names = {(label.name, label.kind) for hit in run for label in hit.labels}
            means = [
                Label(name=name, kind=kind, score=sum(lab.score for hit in run for lab in hit.labels
                                                      if (lab.name, lab.kind) == (name, kind)) / len(run))
                for name, kind in names
            ]  # fmt: skip
            ranked = tuple(sorted(means, key=lambda label: (-label.score, label.name)))
            text = ", ".join([label.name for label in ranked if label.kind == "class"][:5])
            span = run[0].span.union(run[-1].span)
            merged.append(replace(run[-1], span=span, labels=ranked, text=text))

    for hit in hits:
        if hit.modality is not Modality.VISION:
            merged.append(hit)
            continue
        run = held.get(hit.stream_id, [])
        if run and run[-1].event_id != hit.event_id:
            close(hit.stream_id)
        held.setdefault(hit.stream_id, []).append(hit)
    for stream_id in list(held):
        close(stream_id)
    return merged


def _nearness(hit: Hit, end_ns: int, duration_ns: int) -> float:
    return min(1.0, max(0.0, 1 - (end_ns - hit.span.end_ns) / max(duration_ns, 1)))
