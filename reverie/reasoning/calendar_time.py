"""Calendar time in questions: "yesterday", "on Tuesday at 3 pm", "between 9 and 10 am", "since Monday".

`find_calendar` takes such words out of a question; `resolve` turns them into a stretch of wall time, given the
moment of asking in the zone that days are counted in. A day runs from midnight to midnight there, so it has 23 or
25 hours when clocks change; an hour that comes twice then is covered twice. Words without a day ("at 3 pm") mean
the newest day on which that time was watched. Where words are vague ("two weeks ago", "at 3 pm") the stretch is padded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from reverie.reasoning.calendar_days import (
    CLOCK,
    DAY,
    DAY_PART,
    EXACT,
    HOURS_AGO,
    MERIDIEM,
    NUMBER,
    PERIOD,
    Stretch,
    before,
    clock_time,
    count,
    day_part,
    midnight,
    period,
    same_half,
)
from reverie.reasoning.timewords import HOURS, seconds

DAYS_BACK = 400  # how far a time of day is looked for among the days that were watched
POINT_MARGIN = timedelta(minutes=1)  # "at 14:03"
HOUR_MARGIN = timedelta(minutes=10)  # "at 3 pm"
ABOUT_MARGIN = timedelta(minutes=30)  # "around 3 pm"

_AT = r"(?:(?:at|around|about|by) )"
_ON = r"(?:on |during |in |over |from |of )?"
_POINT = rf"(?:{DAY_PART}(?:,? {_AT}{CLOCK})?|{CLOCK}(?: (?:on )?{DAY_PART})?)"
_WHEN = rf"(?:{_ON}{PERIOD}|{_ON}(?:the )?{_POINT}|{_AT}{_POINT})"
_RANGE_CLOCK = (
    rf"(?:between|from) (?P<a>\d{{1,2}}(?::\d\d)?(?: ?{MERIDIEM})?|noon|midnight) "
    rf"(?:and|to|until|till) (?P<b>{CLOCK})"
)
_LAST_HOURS = rf"(?:(?:in|during|over|within|for) )?the (?:last|past) (?P<hours>{HOURS}|hours?\b)(?! of\b)"
_FORMS = tuple(
    re.compile(rf"(?<![\w:]){pattern}")
    for pattern in (
        rf"(?:{_ON}(?P<day>{DAY_PART}),? )?{_RANGE_CLOCK}(?: (?:on )?(?P<late>{DAY_PART}))?",
        rf"(?:between|from) (?P<from>{_ON}{_POINT}) (?:and|to|until|till) (?P<until>{_POINT})",
        _LAST_HOURS,
        rf"(?:in|during|over|within|for) the (?:last|past) (?P<n>{NUMBER} )?(?P<unit>days?|weeks?|months?|years?)\b",
        rf"(?P<relation>since|after|before|until|till|up to) (?P<edge>{_WHEN})",
        rf"(?P<whole>{_WHEN})",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarTime:
    """The words of a question that name a calendar time.

    `bare`: only such as "14:03", which may be media time too. `firm`: nothing but the calendar gives them a sense,
    unlike "noon", which is often part of what was said. `elapsed`: hours that count back from now, which are media
    time where no wall clock is known.
    """

    words: str
    bare: bool
    firm: bool
    elapsed: bool


def find_calendar(text: str) -> tuple[CalendarTime | None, str]:
    """The first calendar time in a plain, lower-case question, and the question without it."""
    for form in _FORMS:
        if match := form.search(text):
            words = match[0]
            bare = not re.search(rf"{DAY}|{PERIOD}|{EXACT}|(?:last|past) ", words)
            firm = bool(re.search(rf"{DAY}|{PERIOD}|{MERIDIEM}|o'clock|(?:last|past) ", words))
            rest = " ".join((text[: match.start()] + " " + text[match.end() :]).split())
            elapsed = bool(re.search(rf"{HOURS_AGO}|{_LAST_HOURS}", words))
            return CalendarTime(words=words, bare=bare, firm=firm, elapsed=elapsed), rest
    return None, text


def resolve(words: str, now: datetime, watched: Iterable[Stretch] = ()) -> Stretch:
    """The wall time that the words of a `CalendarTime` mean, when asked at `now`; it may lie in the future.

    `watched` says on which days a time of day without a day is looked for. Raises NoSuchDay for 31 February.
    """
    for form in _FORMS:
        if match := form.fullmatch(words):
            return _read(match, now, list(watched))
    raise ValueError(f"{words!r} names no calendar time")


def _read(match: re.Match[str], now: datetime, watched: list[Stretch]) -> Stretch:
    parts = match.groupdict()
    if "b" in parts:
        first, second = parts["a"], parts["b"]
        if meridiem := re.search(MERIDIEM, second):
            own = re.search(rf"{MERIDIEM}|noon|midnight", first)
            first = first if own else same_half(first, second, meridiem[0])
        day = parts["day"] or parts["late"]
        return _on_day(clock_time(first), clock_time(second), timedelta(0), day, now, watched)
    if "until" in parts:
        return _when(parts["from"], now, watched)[0], _when(parts["until"], now, watched)[1]
    if "hours" in parts:
        return before(now, seconds(parts["hours"]) or 3600), now
    if "unit" in parts:
        back = count(parts["n"] or "1") * {"d": 1, "w": 7, "m": 30, "y": 365}[parts["unit"][0]]
        return midnight(now.date() - timedelta(days=back), now), now
    if "relation" in parts:
        edge = parts["edge"]
        if not re.search(rf"{DAY}|{PERIOD}", edge):  # of a day, and of no other
            at, from_it = clock_time(edge), parts["relation"] in ("since", "after")
            return _on_day(at if from_it else time(0), time.max if from_it else at, timedelta(0), None, now, watched)
        start, end = _when(edge, now, watched, exact=True)
        if parts["relation"] in ("since", "after"):
            return (end if parts["relation"] == "after" and end - start > timedelta(hours=1) else start), now
        return datetime(1970, 1, 1, tzinfo=now.tzinfo), start
    return _when(parts["whole"], now, watched)


def _when(text: str, now: datetime, watched: list[Stretch], exact: bool = False) -> Stretch:
    """A period, a day, a part of one, or a time of day; `exact` leaves out the margin around a time."""
    if re.search(PERIOD, text):
        return period(text, now)
    day = re.search(DAY_PART, text)
    clock = re.search(CLOCK, text if day is None else text.replace(day[0], " "))
    if clock is None:
        assert day is not None
        return day_part(day[0], now)
    margin = POINT_MARGIN if ":" in clock[0] else HOUR_MARGIN
    margin = ABOUT_MARGIN if re.search(r"\b(?:around|about)\b", text) else margin
    at = clock_time(clock[0])
    return _on_day(at, at, timedelta(0) if exact else margin, day[0] if day else None, now, watched)


def _on_day(
    first: time, second: time, margin: timedelta, day: str | None, now: datetime, watched: list[Stretch]
) -> Stretch:
    """Two times of one day, which is the newest day with them watched if none is named."""

    def on(when: date) -> Stretch:
        later = when + timedelta(days=1) if second < first else when
        start = datetime.combine(when, first, now.tzinfo) - margin
        end = datetime.combine(later, second, now.tzinfo) + margin
        return start, end.replace(fold=1)

    if day is not None:
        named, _ = day_part(day, now)
        return on(named.date() + timedelta(days=1) if _is_after_midnight(day, first) else named.date())
    for back in range(DAYS_BACK):
        found = on(now.date() - timedelta(days=back))
        if any(found[0] < end and start < found[1] for start, end in watched):
            return found
    return on(now.date())


def _is_after_midnight(day: str, at: time) -> bool:
    return day.endswith("night") and at.hour < 6
