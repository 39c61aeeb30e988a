"""Recalls: what searches found, noted by readers and folded in by the writer at consolidation.

A reader may not write the database, so it appends records of 16 bytes (stream, time; no text) to a small file with
O_APPEND, which the writer empties. The file is bounded: when it is full, further recalls go unnoted until then.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import struct
from collections import Counter
from collections.abc import Iterable
from fcntl import LOCK_EX, flock
from pathlib import Path

from reverie.memory.retention import now_ns

SPOOL = "recalls"
_RECORD = struct.Struct("<qq")  # row of the stream, a time inside of the event
MOST_BYTES = 16 << 10


def note(root: Path, found: Iterable[tuple[int, int]]) -> None:
    """Append (stream, time) of what was recalled. A folder that cannot be written remembers no recalls."""
    records = b"".join(_RECORD.pack(stream, at_ns) for stream, at_ns in dict.fromkeys(found))
    if not records:
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(root / SPOOL, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            flock(descriptor, LOCK_EX)
            if os.fstat(descriptor).st_size + len(records) <= MOST_BYTES:
                os.write(descriptor, records)
        finally:
            os.close(descriptor)


def fold(db: sqlite3.Connection, root: Path) -> int:
    """Strengthen the events that were recalled, in the transaction that is open; return how many recalls there were.

    S grows by 1 with each and the age restarts (MemoryBank). Call `empty` once it is committed: a kill in between
    counts these twice, which costs nothing.
    """
    counts = Counter(_read(root))
    recalled_ns = now_ns(db)
    for (stream, at_ns), times in sorted(counts.items()):
        db.execute(
            "UPDATE event SET strength = strength + ?, recalled_ns = ? WHERE id = (SELECT id FROM event "
            "WHERE stream = ? AND start_ns <= ? ORDER BY start_ns DESC LIMIT 1) AND (end_ns > ? OR open)",
            (times, recalled_ns, stream, at_ns, at_ns),
        )
    return counts.total()


def empty(root: Path) -> None:
    """Drop what is noted, after it was folded in or something was forgotten."""
    with contextlib.suppress(FileNotFoundError):
        (root / SPOOL).unlink()


def _read(root: Path) -> list[tuple[int, int]]:
    try:
        data = (root / SPOOL).read_bytes()
    except FileNotFoundError:
        return []
    whole = len(data) - len(data) % _RECORD.size  # a reader that was killed may leave half a record
    return [(int(stream), int(at_ns)) for stream, at_ns in _RECORD.iter_unpack(data[:whole])]
