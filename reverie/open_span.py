"""Spans as the command line tells them: in seconds, and open on either side."""

from __future__ import annotations

import math

from reverie.errors import UsageError
from reverie.types import NS_PER_S, TimeSpan, ns

FOREVER_NS = 1 << 62


def open_span(from_s: float | None, to_s: float | None) -> TimeSpan | None:
    """From zero on without `from_s`, for ever without `to_s`; None for neither.

    Raises:
        UsageError: no number, a time beyond 146 years, or an end that is not after the start.
    """
    if from_s is None and to_s is None:
        return None
    for option, time_s in (("--from", from_s), ("--to", to_s)):
        if time_s is not None and not (math.isfinite(time_s) and abs(time_s) < FOREVER_NS / NS_PER_S):
            raise UsageError(f"{option} ({time_s} s) is no time: give seconds of media time, within 146 years")
    if from_s is not None and to_s is not None and to_s <= from_s:
        raise UsageError(f"--to ({to_s} s) has to be after --from ({from_s} s)")
    return TimeSpan(start_ns=ns(from_s or 0), end_ns=FOREVER_NS if to_s is None else ns(to_s))
