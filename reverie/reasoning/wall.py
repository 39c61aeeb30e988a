"""Questions about calendar time: which streams were watched then, and which of their media time that was.

Only a stream with a wall-clock anchor knows. Days are counted in its zone, or the profile's. What cannot be
asked of the time that is meant may still have been said ("the train on Tuesday"), so a quote that holds the words
answers too. A fact holds until another supersedes it, so it answers for days on which nothing was watched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo

from reverie.reasoning.calendar_days import NoSuchDay, Stretch
from reverie.reasoning.calendar_time import CalendarTime, resolve
from reverie.reasoning.evidence import Scope
from reverie.reasoning.fact_answers import answer_from_facts
from reverie.reasoning.inquiry import Draft, Inquiry, abstention
from reverie.reasoning.locating import quoted_calendar
from reverie.reasoning.phrasing import quote, wall_clock
from reverie.reasoning.windows import Windows
from reverie.types import StreamRecord, TimeSpan


def answer_at_calendar(inquiry: Inquiry, wall_now_ns: int, answer: Callable[[Inquiry], Draft]) -> Draft | None:
    """The answer for the calendar time of a question, asked at a wall time; None to read the question without one.

    Facts are asked of all streams, `answer` of what was perceived within that time.
    Words that need not mean a time ("noon", "14:03") are read so only where that time was watched and says something,
    hours that count back ("two hours ago") only where a wall clock is known.
    """
    calendar, timed = inquiry.question.calendar, inquiry.question.timed
    assert calendar is not None
    assert timed is not None
    anchored = [stream for stream in inquiry.streams if stream.wall_anchor_ns is not None]
    if not anchored:
        if calendar.elapsed:
            return None
        name = f"stream {inquiry.streams[0].stream_id!r}" if len(inquiry.streams) == 1 else "any of these streams"
        return _declined(inquiry, calendar, f"No wall-clock time is known for {name}; ask with media times")
    if calendar.elapsed:  # then these hours are no media time
        span = timed.time.resolve(inquiry.watched, inquiry.now_ns) if timed.time is not None else None
        inquiry = replace(inquiry, scope=replace(inquiry.scope, span=span))
    if calendar.bare and _is_media_time(inquiry):
        plain = answer_from_facts(inquiry) or answer(inquiry)
        if not plain.abstained:
            return plain
    try:
        meant = _meant(inquiry, calendar.words, wall_now_ns, anchored)
    except NoSuchDay:
        return _declined(inquiry, calendar, "There is no such day; ask about one that the calendar has")
    first = anchored[0].stream_id
    if all(stretch[0] > _wall(wall_now_ns, inquiry.zone_of(name)) for name, stretch in meant.items()):
        return _declined(inquiry, calendar, f"{_from_to(meant[first])} is still to come; ask about what was watched")
    found = {stream.stream_id: _window(stream, meant[stream.stream_id]) for stream in anchored}
    windows = {name: window for name, window in found.items() if window is not None}
    known = replace(inquiry, question=timed)
    ends_ns = {name: _unix_ns(stretch[1]) for name, stretch in meant.items()}
    if not windows:
        reason = f"Nothing was watched {_from_to(meant[first])}, only {_all_watched(anchored, inquiry.zone_of(first))}"
        if calendar.elapsed:
            reason += "; minutes, as in the last 60 minutes, count back from the end of what was watched"
        held = answer_from_facts(known, ends_ns) if calendar.firm else None
        return held or _declined(inquiry, calendar, reason)
    narrowed = _narrowed(known, windows)
    if timed.time is not None and not timed.time.is_now:
        ends_ns |= {stream.stream_id: _anchor_ns(stream) + narrowed.span.end_ns for stream in narrowed.streams}
    if held := answer_from_facts(known, ends_ns):
        return held
    draft = answer(narrowed)
    draft = replace(draft, searched=draft.searched or narrowed.searched())
    if not draft.abstained:
        return draft
    return quoted_calendar(inquiry) or (draft if calendar.firm else None)


def _meant(inquiry: Inquiry, words: str, wall_now_ns: int, anchored: Sequence[StreamRecord]) -> dict[str, Stretch]:
    """What the words mean in the zone of each stream, by its id."""
    meant: dict[str, Stretch] = {}
    for zone in {inquiry.zone_of(stream.stream_id) for stream in anchored}:
        there = [stream for stream in anchored if inquiry.zone_of(stream.stream_id) == zone]
        stretch = resolve(words, _wall(wall_now_ns, zone), [_watched(stream, zone) for stream in there])
        meant.update(dict.fromkeys([stream.stream_id for stream in there], stretch))
    return meant


def _declined(inquiry: Inquiry, calendar: CalendarTime, reason: str) -> Draft | None:
    if not calendar.firm:
        return None
    said = quoted_calendar(inquiry)
    draft = said or abstention(inquiry, "", reason=f"{quote(calendar.words)}: {reason}.")
    return replace(draft, searched=inquiry.searched())


def _is_media_time(inquiry: Inquiry) -> bool:
    """Whether the question's media time was watched: answers name times so, and "14:03" takes up an answer."""
    return inquiry.scope.span is not None and inquiry.scope.span.start_ns < inquiry.watched.end_ns


def _narrowed(inquiry: Inquiry, windows: dict[str, TimeSpan]) -> Inquiry:
    """The inquiry into these windows of these streams; media time in the question counts within."""
    streams = tuple(stream for stream in inquiry.streams if stream.stream_id in windows)
    low, high = min(w.start_ns for w in windows.values()), max(w.end_ns for w in windows.values())
    span = TimeSpan(start_ns=low, end_ns=high)
    if inquiry.question.time is not None and not inquiry.question.time.is_now:
        asked = inquiry.question.time.resolve(span, high)
        start_ns = max(low, asked.start_ns)
        span = TimeSpan(start_ns=start_ns, end_ns=max(start_ns, min(high, asked.end_ns)))
    retriever = inquiry.retriever if len(windows) == 1 else Windows(inquiry.retriever, windows)
    return replace(
        inquiry,
        scope=Scope(stream_ids=tuple(windows), span=span),
        streams=streams,
        watched=span,
        now_ns=high,
        several=len(streams) > 1,
        retriever=retriever,
        locator=inquiry.locator.over(retriever),
    )


def _wall(wall_ns: int, zone: tzinfo | None) -> datetime:
    """Exact to the second, which is all that words name. Without a zone: naive, in the machine's."""
    return datetime.fromtimestamp(wall_ns // 10**9, zone)


def _unix_ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9


def _anchor_ns(stream: StreamRecord) -> int:
    assert stream.wall_anchor_ns is not None
    return stream.wall_anchor_ns


def _watched(stream: StreamRecord, zone: tzinfo | None) -> Stretch:
    start_ns, end_ns = stream.watched.start_ns, stream.watched.end_ns
    return _wall(_anchor_ns(stream) + start_ns, zone), _wall(_anchor_ns(stream) + end_ns, zone)


def _window(stream: StreamRecord, stretch: Stretch) -> TimeSpan | None:
    """The media time of a stream that lies in a stretch of wall time."""
    start_ns, end_ns = (_unix_ns(edge) - _anchor_ns(stream) for edge in stretch)
    low, high = max(start_ns, stream.watched.start_ns), min(end_ns, stream.watched.end_ns)
    return TimeSpan(start_ns=low, end_ns=high) if low < high else None


def _from_to(stretch: Stretch) -> str:
    start, end = stretch
    if start.year <= 1970:
        return f"until {wall_clock(end)}"
    return f"from {wall_clock(start)} to {wall_clock(end)}"


def _all_watched(streams: Sequence[StreamRecord], zone: tzinfo | None) -> str:
    spans = [_watched(stream, zone) for stream in streams]
    return _from_to((min(start for start, _ in spans), max(end for _, end in spans)))
