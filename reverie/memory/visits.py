"""Visits of things: boxes of one track become one row that grows with every picture it is seen in."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable

from reverie.memory.rows import box_rows
from reverie.memory.schema import A_LOSS, MODALITY_CODES
from reverie.types import Box, Modality, Observation, TimeSpan


def follow(
    db: sqlite3.Connection, stream: int, item: Observation, picture: str | None, forgotten: Iterable[TimeSpan]
) -> bool:
    """Grow the tracks that the boxes belong to; return whether one of them is new and so deserves its picture.

    A visit goes from the frame in which the thing was first detected to the end of the last one that shows it, but
    never reaches back into what was forgotten. Its name is decided by vote, its box is that of the best score.
    """
    gone_ns = [gone.end_ns for gone in forgotten if gone.end_ns <= item.span.start_ns]
    new = False
    for box in item.boxes:
        since_ns = max([min(box.since_ns, item.span.start_ns), *gone_ns])
        known = db.execute(
            "SELECT votes, start_ns, end_ns, score, box FROM track WHERE stream = ? AND track = ?",
            (stream, box.track_id),
        ).fetchone()
        if known is None:
            new = True
            db.execute(
                "INSERT INTO track (stream, track, name, votes, start_ns, end_ns, score, box, picture) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    stream, box.track_id, box.name, json.dumps({box.name: 1}), since_ns, item.span.end_ns, box.score,
                    _corners(box), picture,
                ),
            )  # fmt: skip
            continue
        votes = Counter(json.loads(known[0]))
        votes[box.name] += 1
        db.execute(
            "UPDATE track SET name = ?, votes = ?, start_ns = ?, end_ns = ?, score = ?, box = ? "
            "WHERE stream = ? AND track = ?",
            (
                min(votes, key=lambda name: (-votes[name], name)), json.dumps(votes), min(known[1], since_ns),
                max(known[2], item.span.end_ns), max(known[3], box.score),
                _corners(box) if box.score > known[3] else known[4], stream, box.track_id,
            ),
        )  # fmt: skip
    return new


def extend(db: sqlite3.Connection, stream: int, until_ns: int, gap_ns: int) -> None:
    """Things shown by the last boxes stayed until now: a scene that does not change sends no pictures.

    Not past a loss (one of at least `gap_ns`, or forgotten), though.
    """
    row = db.execute(
        "SELECT start_ns, boxes FROM observation WHERE stream = ? AND modality = ? AND late = 0 AND start_ns <= ? "
        "ORDER BY start_ns DESC, id DESC LIMIT 1",
        (stream, MODALITY_CODES[Modality.OBJECTS], until_ns),
    ).fetchone()
    if row is None or not row[1]:
        return
    (lost_ns,) = db.execute(
        f"SELECT min(start_ns) FROM gap WHERE stream = ? AND start_ns >= ? AND {A_LOSS}",
        (stream, row[0], gap_ns),
    ).fetchone()
    end_ns = until_ns if lost_ns is None else min(until_ns, lost_ns)
    faded = "SELECT 1 FROM faded WHERE stream = ? AND start_ns < ? AND end_ns > ?"
    if db.execute(faded, (stream, end_ns, row[0])).fetchone():
        return  # later boxes were there and have been demoted: these did not stay
    db.executemany(
        "UPDATE track SET end_ns = ?1 WHERE stream = ?2 AND track = ?3 AND end_ns < ?1",
        [(end_ns, stream, int(track)) for track in box_rows(row[1])["track"]],
    )


def _corners(box: Box) -> str:
    return json.dumps([round(corner, 4) for corner in (box.x0, box.y0, box.x1, box.y1)])
