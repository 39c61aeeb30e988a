"""When two memories are equal: the same rows, vectors with a cosine above 0.999, the same events and tracks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

import reverie
from reverie.types import Event, Observation, Track

TOLERANCE = 1e-3  # confidences and corners of boxes: another count of threads, another order of sums


def key(row: Observation) -> tuple[str, str, int]:
    return row.stream_id, str(row.modality), row.seq


def content(directory: Path) -> tuple[list[Observation], list[Event], list[Track]]:
    """All rows with their vectors, the timeline, and the tracks."""
    with reverie.open(directory, runner="local") as session:
        memory = session.memory
        return memory.rows(vectors=True), memory.timeline(), list(memory.tracks())


def assert_whole(directory: Path) -> None:
    """Nothing is there twice, every vector points somewhere, every stream has ended."""
    with reverie.open(directory, runner="local") as session:
        rows = session.memory.rows(vectors=True)
        keys = [key(row) for row in rows]
        assert len(keys) == len(set(keys))
        assert all(stream.ended for stream in session.memory.streams())
        events = session.memory.timeline()
        assert not any(event.open for event in events)


def assert_equal(left: Path, right: Path) -> None:
    """Equal memories, as the design defines it."""
    (rows, events, tracks), (other_rows, other_events, other_tracks) = content(left), content(right)
    assert [key(row) for row in rows] == [key(row) for row in other_rows]
    for row, other in zip(rows, other_rows, strict=True):
        _assert_row(row, other)
    assert [_timed(event) for event in events] == [_timed(event) for event in other_events]
    assert [_visit(track) for track in tracks] == [_visit(track) for track in other_tracks]


def _assert_row(row: Observation, other: Observation) -> None:
    assert _bare(row) == _bare(other)
    assert abs(row.confidence - other.confidence) < TOLERANCE
    for mine, theirs in zip(row.labels, other.labels, strict=True):
        assert (mine.name, mine.kind) == (theirs.name, theirs.kind)
        assert abs(mine.score - theirs.score) < TOLERANCE
    for box, its_box in zip(row.boxes, other.boxes, strict=True):
        assert (box.track_id, box.name, box.since_ns) == (its_box.track_id, its_box.name, its_box.since_ns)
        corners = np.array([[box.x0, box.y0, box.x1, box.y1], [its_box.x0, its_box.y0, its_box.x1, its_box.y1]])
        assert np.abs(corners[0] - corners[1]).max() < TOLERANCE
    assert [(word.text, word.span) for word in row.words] == [(word.text, word.span) for word in other.words]
    assert (row.embedding is None) == (other.embedding is None)
    if row.embedding is not None and other.embedding is not None:
        norms = np.linalg.norm(row.embedding) * np.linalg.norm(
            other.embedding
        )  # int8 codes are not quite of unit length
        assert float(row.embedding @ other.embedding) > 0.999 * norms


def _bare(row: Observation) -> Observation:
    return replace(row, confidence=1.0, labels=(), boxes=(), words=(), embedding=None)


def _timed(event: Event) -> tuple[object, ...]:
    names = tuple(label.name for label in event.labels)
    return event.stream_id, event.span, event.text, names, event.thumbnail is not None, event.open


def _visit(track: Track) -> tuple[object, ...]:
    return track.stream_id, track.track_id, track.name, track.span, track.thumbnail is not None
