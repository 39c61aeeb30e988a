"""Rows to hits, events and tracks: everything that is read back, with names for numbers."""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence

from reverie.memory.events import shown_before
from reverie.memory.pictures import FOLDER
from reverie.memory.rows import LabelKey, as_label, label_rows
from reverie.memory.schema import MODALITIES, MODALITY_CODES
from reverie.types import Box, Hit, Label, Modality, TimeSpan, Track

EventRow = tuple[int, int, int, int]  # id, start_ns, end_ns (an open event's: no end yet), level
_TRACK = "SELECT stream, track, name, start_ns, end_ns, score, box, picture FROM track "
_FAR_NS = 1 << 62
_MAX_LABELS = 10
_MAX_WORDED = 5


def relative_path(picture: str | None) -> str | None:
    """Where a kept picture lies, from the memory's directory."""
    return None if picture is None else f"{FOLDER}/{picture[:2]}/{picture}.jpg"


class Passages:
    """Reads rows through one connection. Not thread-safe."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._names: dict[int, LabelKey] = {}
        self.begin()

    def begin(self) -> None:
        """A new call: drop what was remembered of streams, events and key frames during the last one."""
        self._streams: dict[int, str] = {}
        self._events: dict[int, EventRow | None] = {}
        self._kept: dict[int, list[tuple[int, str]]] = {}

    def stream_rows(self, stream_ids: Sequence[str], places: Sequence[str] = ()) -> tuple[int, ...] | None:
        """Numbers of the named streams of the named places, None for all. A name that is not known is no stream.

        What was imagined is none of them unless it is named.
        """
        filters = [(column, names) for column, names in (("name", stream_ids), ("place", places)) if names]
        if not filters and self._db.execute("SELECT 1 FROM stream WHERE imagined LIMIT 1").fetchone() is None:
            return None
        conditions = [f"{column} IN ({','.join('?' * len(names))})" for column, names in filters]
        where = " AND ".join(conditions if stream_ids else [*conditions, "NOT imagined"])
        rows = self._db.execute(f"SELECT id FROM stream WHERE {where}", [n for _, names in filters for n in names])
        return tuple(row for (row,) in rows.fetchall())

    def stream_name(self, row: int) -> str:
        if row not in self._streams:
            self._streams = dict(self._db.execute("SELECT id, name FROM stream").fetchall())
        return self._streams.get(row, "")

    def modality(self, code: int) -> Modality:
        return MODALITIES[code]

    def label_key(self, row: int) -> LabelKey | None:
        """Name and kind; None for a label that has just been forgotten."""
        if row not in self._names:
            self._names = {
                number: (name, kind) for number, name, kind in self._db.execute("SELECT id, name, kind FROM label")
            }
        return self._names.get(row)

    def forget_names(self) -> None:
        self._names = {}

    def event_at(self, stream: int, pts_ns: int) -> EventRow | None:
        """The event that covers a time; an open one covers all that comes after its start."""
        seen = self._events.get(stream)
        if seen is not None and seen[1] <= pts_ns < seen[2]:
            return seen
        found: EventRow | None = self._db.execute(
            "SELECT id, start_ns, CASE WHEN open THEN ? ELSE end_ns END, level FROM event "
            "WHERE stream = ? AND start_ns <= ? ORDER BY start_ns DESC LIMIT 1",
            (_FAR_NS, stream, pts_ns),
        ).fetchone()
        self._events[stream] = found if found and pts_ns < found[2] else None
        return self._events[stream]

    def picture_at(self, stream: int, pts_ns: int) -> str | None:
        """The key frame that shows best what was seen at a time: the last one kept before it in its event."""
        event = self.event_at(stream, pts_ns)
        if event is None:
            return None
        if event[0] not in self._kept:
            self._kept[event[0]] = self._pictures_of(stream, event)
        kept = self._kept[event[0]]
        place = bisect_right(kept, (pts_ns, "~")) - 1  # "~" sorts after every name
        return relative_path(kept[max(place, 0)][1]) if kept else None

    def _pictures_of(self, stream: int, event: EventRow) -> list[tuple[int, str]]:
        """(start_ns, name) of an event's key frames in order; with none of its own, of what stood before."""
        own: list[tuple[int, str]] = self._db.execute(
            "SELECT start_ns, picture FROM observation WHERE stream = ? AND picture IS NOT NULL AND start_ns >= ? "
            "AND start_ns < ? ORDER BY start_ns, picture",
            (stream, event[1], event[2]),
        ).fetchall()
        before = None if own else shown_before(self._db, stream, event[1])
        return own or ([(event[1], before)] if before else [])

    # --- hits ---------------------------------------------------------------------------------

    def of_texts(self, ids: Sequence[int]) -> Hit | None:
        """One hit for the rows of a passage: an utterance, a sound, or a block of writing."""
        marks = ",".join("?" * len(ids))
        rows = self._db.execute(
            "SELECT stream, modality, start_ns, end_ns, text, labels, picture, arousal FROM observation "
            f"WHERE id IN ({marks}) ORDER BY start_ns, id",
            tuple(ids),
        ).fetchall()
        if not rows:
            return None
        stream, modality, start_ns, _, text, labels, picture, arousal = rows[0]
        event = self.event_at(stream, start_ns)
        return Hit(
            stream_id=self.stream_name(stream),
            span=TimeSpan(start_ns=start_ns, end_ns=max(row[3] for row in rows)),
            modality=MODALITIES[modality],
            text=text,
            score=0.0,
            dense=0.0,
            lexical=0.0,
            labels=self.labels_of([labels]),
            thumbnail=relative_path(picture) or self.picture_at(stream, start_ns),
            event_id=event[0] if event else None,
            arousal=arousal,
        )

    def of_pictures(self, ids: Sequence[int], peak: int, stream: int, span: TimeSpan) -> Hit | None:
        """One hit for a run of pictures; its labels are the run's, its key frame the one nearest to the peak."""
        rows = []
        for start in range(0, len(ids), 500):
            part = tuple(ids[start : start + 500])
            marks = ",".join("?" * len(part))
            rows += self._db.execute(
                f"SELECT id, start_ns, labels, picture FROM observation WHERE id IN ({marks})", part
            ).fetchall()
        at_ns = next((row[1] for row in rows if row[0] == peak), None)
        if at_ns is None:
            return None
        labels = self.labels_of([row[2] for row in rows])
        kept = [row for row in rows if row[3] is not None]
        nearest = min(kept, key=lambda row: (abs(row[1] - at_ns), row[0]), default=None)
        event = self.event_at(stream, at_ns)
        return Hit(
            stream_id=self.stream_name(stream),
            span=span,
            modality=Modality.VISION,
            text=", ".join([label.name for label in labels if label.kind == "class"][:_MAX_WORDED]),
            score=0.0,
            dense=0.0,
            lexical=0.0,
            labels=labels,
            thumbnail=relative_path(nearest[3]) if nearest else self.picture_at(stream, at_ns),
            event_id=event[0] if event else None,
        )

    def of_track(self, stream: int, track: int) -> Hit | None:
        row = self._db.execute(_TRACK + "WHERE stream = ? AND track = ?", (stream, track)).fetchone()
        return self.of_visit(stream, self.visit(row)) if row else None

    def of_visit(self, stream: int, visit: Track) -> Hit:
        event = self.event_at(stream, visit.span.start_ns)
        return Hit(
            stream_id=visit.stream_id,
            span=visit.span,
            modality=Modality.OBJECTS,
            text=visit.name,
            score=0.0,
            dense=0.0,
            lexical=0.0,
            labels=(Label(name=visit.name, score=visit.score),),
            thumbnail=visit.thumbnail,
            event_id=event[0] if event else None,
        )

    def tracks(self, name: str | None, streams: tuple[int, ...] | None, span: TimeSpan | None) -> list[Track]:
        """Visits in time order; one in which a thing was seen in a single frame counts as an instant."""
        sql, values = _TRACK + "WHERE 1", list[int | str]()
        if name is not None:
            sql, values = sql + " AND name = ?", [*values, name]
        if streams is not None:
            sql, values = sql + f" AND stream IN ({','.join('?' * len(streams))})", [*values, *streams]
        if span is not None:
            sql += " AND start_ns < ? AND max(end_ns, start_ns + 1) > ?"
            values += [span.end_ns, span.start_ns]
        return [
            self.visit(row) for row in self._db.execute(sql + " ORDER BY start_ns, stream, track", values).fetchall()
        ]

    def visit(self, row: tuple[int, int, str, int, int, float, str, str | None]) -> Track:
        stream, track, name, start_ns, end_ns, score, corners, picture = row
        x0, y0, x1, y1 = json.loads(corners)
        return Track(
            stream_id=self.stream_name(stream),
            track_id=track,
            name=name,
            span=TimeSpan(start_ns=start_ns, end_ns=end_ns),
            score=score,
            thumbnail=relative_path(picture) or self.picture_at(stream, start_ns),
            box=Box(track_id=track, name=name, score=score, x0=x0, y0=y0, x1=x1, y1=y1, since_ns=start_ns),
        )

    def labels_of(self, packed: Iterable[bytes | None]) -> tuple[Label, ...]:
        """The mean score of each name over some rows, best first."""
        sums: defaultdict[int, float] = defaultdict(float)
        count = 0
        for part in packed:
            count += 1
            for label, score in label_rows(part).tolist():
                sums[label] += score
        ranked = sorted(sums, key=lambda label: (-sums[label], label))[:_MAX_LABELS]
        return self.named((label, sums[label] / count) for label in ranked)

    def named(self, scores: Iterable[tuple[int, float]]) -> tuple[Label, ...]:
        """Labels for (label id, score), in order."""
        keys = [(self.label_key(label), score) for label, score in scores]
        return tuple(as_label(key, score) for key, score in keys if key is not None)

    def in_time_order(self, hits: Iterable[Hit]) -> list[Hit]:
        """By wall clock where it is known, else by media time; then by stream and sense."""
        anchors = {
            name: anchor or 0 for name, anchor in self._db.execute("SELECT name, wall_anchor_ns FROM stream").fetchall()
        }
        return sorted(
            hits,
            key=lambda hit: (
                anchors.get(hit.stream_id, 0) + hit.span.start_ns, hit.stream_id, MODALITY_CODES[hit.modality],
                hit.span.end_ns, hit.text,
            ),
        )  # fmt: skip
