"""Episodes: 5 to 15 minutes of consecutive events, summed up while the events are still there.

Built bottom-up, as HCAM sums up chunks (Lampinen et al. 2021) and IXC2.5-OL compresses short to long memory
(Zhang et al. 2024): of neighbouring stretches of which one is shorter than 5 minutes, the two most alike are joined, as
long as both together stay within 15. Gaps and the ends of streams close an episode; of a stream that goes
on, the last stretch waits for what comes.

An episode is derived from rows: a summary of at most 400 bytes word for word, names, and a vector for each sense.
When its rows change for another reason than fading it is dropped, and consolidation builds it again from what is left.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from reverie.memory.centroids import Sums, added, likeness, sums_of
from reverie.memory.coarse_codes import Decoder
from reverie.memory.events import summarise
from reverie.memory.schema import MODALITY_CODES, TEXT_MODALITIES
from reverie.memory.summary import central_sentences
from reverie.memory.vectors import quantise
from reverie.types import ns

SHORTEST_NS, LONGEST_NS = ns(300.0), ns(900.0)
_SETTLED_NS = ns(1800.0)  # a run that goes on is parted once it is this long
_MAX_SUMMARY_BYTES = 400
_TEXT_CODES = tuple(MODALITY_CODES[modality] for modality in TEXT_MODALITIES)

Event = tuple[int, int, int]  # id, start_ns, end_ns


@dataclass(frozen=True, slots=True)
class _Part:
    """Consecutive events."""

    events: tuple[int, ...]
    start_ns: int
    end_ns: int
    sums: Sums


def ready_runs(db: sqlite3.Connection) -> Iterator[tuple[int, list[Event], bool]]:
    """(stream, run, goes on) of unbroken closed events that are in no episode."""
    streams = db.execute("SELECT DISTINCT stream FROM event WHERE episode IS NULL ORDER BY stream").fetchall()
    for (stream,) in streams:
        rows = db.execute(
            "SELECT id, start_ns, end_ns, open FROM event WHERE stream = ? AND episode IS NULL ORDER BY start_ns",
            (stream,),
        ).fetchall()
        (last_ns, ended) = db.execute(
            "SELECT (SELECT max(start_ns) FROM event WHERE stream = s.id), ended FROM stream s WHERE id = ?", (stream,)
        ).fetchone()
        run: list[Event] = []
        for event, start_ns, end_ns, is_open in rows:
            if run and (start_ns != run[-1][2] or is_open):
                yield stream, run, start_ns == run[-1][2]
                run = []
            if not is_open:
                run.append((event, start_ns, end_ns))
        if run:
            yield stream, run, not ended and run[-1][1] == last_ns


def settled(run: Sequence[Event], goes_on: bool) -> Sequence[Event]:
    """The first events of a run that can be parted now: half an hour of it, or all when it is over and shorter.

    It depends on the events alone, not on when it is asked: of a run that goes on, the last event may still take in
    the next one.
    """
    whole = run[:-1] if goes_on else run
    for number, (_, _, end_ns) in enumerate(whole):
        if end_ns - whole[0][1] >= _SETTLED_NS:
            return whole[: number + 1]
    return [] if goes_on else whole


def partition(run: Sequence[Event], sums: Mapping[Event, Sums]) -> list[tuple[int, ...]]:
    """The events of each episode that an unbroken run makes, in order. `sums`: of the vectors of each event."""
    parts = [_Part((event[0],), *event[1:], sums[event]) for event in run]
    alike = [likeness(a.sums, b.sums) for a, b in pairwise(parts)]
    while True:
        places = [place for place in range(len(alike)) if _may_join(parts[place], parts[place + 1])]
        if not places:
            break
        place = max(places, key=lambda place: (alike[place], -place))
        first, second = parts[place : place + 2]
        whole = _Part(first.events + second.events, first.start_ns, second.end_ns, added(first.sums, second.sums))
        parts[place : place + 2] = [whole]
        del alike[place]
        if place > 0:
            alike[place - 1] = likeness(parts[place - 1].sums, whole.sums)
        if place < len(alike):
            alike[place] = likeness(whole.sums, parts[place + 1].sums)
    return [part.events for part in parts]


def _may_join(a: _Part, b: _Part) -> bool:
    shortest = min(a.end_ns - a.start_ns, b.end_ns - b.start_ns)
    return shortest < SHORTEST_NS and b.end_ns - a.start_ns <= LONGEST_NS


def build(db: sqlite3.Connection, events: Sequence[int]) -> int:
    """One episode of consecutive events, in the transaction that is open; return its row."""
    marks = ",".join("?" * len(events))
    stream, start_ns, end_ns, surprise = db.execute(
        f"SELECT stream, min(start_ns), max(end_ns), max(surprise) FROM event WHERE id IN ({marks})", tuple(events)
    ).fetchone()
    decoder = Decoder(db)
    labels, _ = summarise(db, stream, start_ns, end_ns, None)
    text = _summary(db, decoder, stream, start_ns, end_ns)
    cursor = db.execute(
        "INSERT INTO episode (stream, start_ns, end_ns, num_events, surprise, text, labels) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (stream, start_ns, end_ns, len(events), surprise, text, labels),
    )
    assert cursor.lastrowid is not None
    for (modality, encoder), total in sorted(sums_of(db, decoder, stream, start_ns, end_ns).items()):
        norm = float(np.linalg.norm(total))
        if norm > 0:
            code, scale = quantise((total / norm).astype(np.float32))
            values = (cursor.lastrowid, modality, encoder, scale, code.tobytes())
            db.execute("INSERT INTO episode_vector VALUES (?, ?, ?, ?, ?)", values)
    db.execute(f"UPDATE event SET episode = ? WHERE id IN ({marks})", (cursor.lastrowid, *events))
    return cursor.lastrowid


def _summary(db: sqlite3.Connection, decoder: Decoder, stream: int, start_ns: int, end_ns: int) -> str:
    marks = ",".join("?" * len(_TEXT_CODES))
    rows = db.execute(
        "SELECT o.text, v.scale, v.code, v.centre FROM observation o LEFT JOIN vector v ON v.observation = o.id "
        f"WHERE o.stream = ? AND o.start_ns >= ? AND o.start_ns < ? AND o.modality IN ({marks}) AND o.text != '' "
        "ORDER BY o.start_ns, o.id",
        (stream, start_ns, end_ns, *_TEXT_CODES),
    ).fetchall()
    vectors = [None if code is None else decoder.vector(scale, code, centre) for _, scale, code, centre in rows]
    texts = [row[0] for row in rows]
    return "\n".join(texts[number] for number in central_sentences(texts, vectors, _MAX_SUMMARY_BYTES))


def kept_sentences(db: sqlite3.Connection, episode: int, texts: Sequence[str]) -> list[int]:
    """Numbers of the texts that the summary of an episode holds, each once; the empty text of sounds counts as held."""
    (summary,) = db.execute("SELECT text FROM episode WHERE id = ?", (episode,)).fetchone()
    first = {text: number for number, text in reversed(list(enumerate(texts)))}
    return sorted(number for text, number in first.items() if not text or f"\n{text}\n" in f"\n{summary}\n")


def drop(db: sqlite3.Connection, episodes: Sequence[int]) -> None:
    """Take episodes away; their events are in none then."""
    for episode in episodes:
        db.execute("UPDATE event SET episode = NULL WHERE episode = ?", (episode,))
        db.execute("DELETE FROM episode_vector WHERE episode = ?", (episode,))
        db.execute("DELETE FROM episode WHERE id = ?", (episode,))


def drop_touched(db: sqlite3.Connection, stream: int, start_ns: int, end_ns: int) -> None:
    """Take away the episodes of a stream that overlap [start_ns, end_ns]."""
    rows = db.execute(
        "SELECT id FROM episode WHERE stream = ? AND start_ns <= ? AND end_ns >= ?", (stream, end_ns, start_ns)
    ).fetchall()
    drop(db, [row for (row,) in rows])


def join(db: sqlite3.Connection, episodes: Sequence[int]) -> int:
    """Several episodes that share an event become one, summed up anew from the rows that are left; return its row."""
    marks = ",".join("?" * len(episodes))
    rows = db.execute(f"SELECT id FROM event WHERE episode IN ({marks}) ORDER BY start_ns", tuple(episodes)).fetchall()
    drop(db, episodes)
    return build(db, [row for (row,) in rows])
