"""What is older than it may become: events past the time to live are erased for good.

An event's age is counted by the process's clock from the later of two times: its end by the wall clock of its stream,
and the time that its stream was first written plus what was watched since. So no stream's clock makes anything
expire early: one that leaps into the future, or began in 1970, only makes its own events younger than they are.
"""

from __future__ import annotations

import sqlite3

from reverie.memory.pins import is_pinned
from reverie.types import TimeSpan


def expired(db: sqlite3.Connection, wall_ns: int, ttl_ns: int) -> list[tuple[str, TimeSpan]]:
    """(stream, span) of closed events that ended more than `ttl_ns` before `wall_ns`; pinned ones stay."""
    found: list[tuple[str, TimeSpan]] = []
    rows = db.execute(
        "SELECT s.name, e.stream, e.start_ns, e.end_ns FROM event e JOIN stream s ON s.id = e.stream WHERE NOT e.open "
        "AND e.end_ns + max(coalesce(s.wall_anchor_ns, s.started_ns), s.started_ns - s.watched_start_ns) < ? "
        "ORDER BY e.stream, e.start_ns",
        (wall_ns - ttl_ns,),
    ).fetchall()
    for name, stream, start_ns, end_ns in rows:
        if is_pinned(db, stream, start_ns, end_ns):
            continue
        if found and found[-1][0] == name and found[-1][1].end_ns == start_ns:
            found[-1] = (name, TimeSpan(start_ns=found[-1][1].start_ns, end_ns=end_ns))
        else:
            found.append((name, TimeSpan(start_ns=start_ns, end_ns=end_ns)))
    return found
