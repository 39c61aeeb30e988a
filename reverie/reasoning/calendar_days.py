"""Days, periods and times of day in words, and what they are at a given moment; see `calendar_time`."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta

from reverie.reasoning.timewords import HOURS, seconds

LEAP_YEARS = 8  # the longest time from one 29 February to the next
Stretch = tuple[datetime, datetime]  # half-open; both in the zone of the question, or naive in the machine's

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
           "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "a couple of": 2, "a few": 3, "several": 4}  # fmt: skip
# From and to which hour of its day; a night goes on into the next one.
_PARTS = {"morning": (5, 12), "afternoon": (12, 18), "evening": (17, 24), "night": (18, 30)}

NUMBER = r"(?:\d{1,3}|" + "|".join(sorted(_NUMBERS, key=len, reverse=True)) + ")"
_WEEKDAY = "(?:" + "|".join(_WEEKDAYS) + ")"
_MONTH = "(?:" + "|".join(f"{name[:3]}(?:{name[3:]})?" if name != "may" else "may" for name in _MONTHS) + r")\b\.?"
_NTH = r"\d{1,2}(?:st|nd|rd|th)?"
_PART = "(?:morning|afternoon|evening|night)"
_DATE = (
    rf"(?:\d{{4}}-\d\d-\d\d|(?:the )?{_NTH} (?:of )?{_MONTH}(?:,? \d{{4}})?|{_MONTH} (?:the )?{_NTH}\b(?:,? \d{{4}})?)"
)
PERIOD = rf"(?:(?:last|this|next) (?:week|weekend|month|year)\b|in {_MONTH}(?: \d{{4}})?|in (?:19|20)\d\d\b)"
HOURS_AGO = rf"(?:(?:about |around |roughly )?{HOURS} ago)"
DAY = (
    r"(?:the day before yesterday|yesterday|today|tonight|tomorrow|last night|later today|"
    rf"this {_PART}|(?:last |this |next )?{_WEEKDAY}|{_DATE}|"
    rf"{NUMBER} (?:days?|weeks?|months?|years?) ago|{HOURS_AGO})\b"
)
MERIDIEM = r"(?:[ap]\.?m\b\.?)"
EXACT = rf"(?:\d{{1,2}}(?::\d\d)? ?{MERIDIEM}|\d{{1,2}} ?o'clock(?: in the {_PART}| at night)?|noon|midday|midnight)"
BARE = r"(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?![\d.:])"
CLOCK = rf"(?:{EXACT}|{BARE})"
DAY_PART = rf"(?:{DAY}(?: {_PART}| in the {_PART}| at night)?)"


class NoSuchDay(ValueError):
    """A date that no calendar has: 31 February."""


def day_part(text: str, now: datetime) -> Stretch:
    """What `DAY_PART` names: one day or several, a part of a day, or some hours ago. Raises NoSuchDay."""
    if re.search(HOURS_AGO, text):
        back_s = seconds(text)
        return before(now, 1.1 * back_s), before(now, 0.9 * back_s)
    part = re.search(rf"(?:\b|in the |at ){_PART}$", text)
    name = part[0].split()[-1] if part else "night" if "tonight" in text else ""
    first, num_days = _day(text.removesuffix(part[0]).strip() if part and " ago" in text else text, now)
    if name == "night" and now.hour < 6 and re.match(r"tonight|this night", text):
        first -= timedelta(days=1)
    if name:
        begin, end = _PARTS[name]
        last = first + timedelta(days=end // 24)
        return _at_hour(first, begin, now), _at_hour(last, end % 24, now)
    return midnight(first, now), midnight(first + timedelta(days=num_days), now)


def _day(text: str, now: datetime) -> tuple[date, int]:
    """The first day that is meant, and how many."""
    today = now.date()
    if "day before yesterday" in text:
        return today - timedelta(days=2), 1
    if "yesterday" in text or "last night" in text:
        return today - timedelta(days=1), 1
    if re.search(rf"today|tonight|this {_PART}", text):
        return today, 1
    if "tomorrow" in text:
        return today + timedelta(days=1), 1
    if ago := re.search(rf"({NUMBER}) (day|week|month|year)s? ago", text):
        back, margin = count(ago[1]) * {"day": 1, "week": 7, "month": 30, "year": 365}[ago[2]], 0
        margin = {"day": 0, "week": 1, "month": 5, "year": 45}[ago[2]]
        return today - timedelta(days=back + margin), 1 + 2 * margin
    if named := re.search(_WEEKDAY, text):
        weekday = _WEEKDAYS.index(named[0])
        if "this" in text or "next" in text:
            monday = today - timedelta(days=today.weekday())
            return monday + timedelta(days=weekday + (7 if "next" in text else 0)), 1
        return today - timedelta(days=(today.weekday() - weekday - 1) % 7 + 1), 1
    return _date(text, today), 1


def _date(text: str, today: date) -> date:
    """A date in words; without a year, the newest that has begun. Raises NoSuchDay."""
    if iso := re.search(r"(\d{4})-(\d\d)-(\d\d)", text):
        years, month, day = [int(iso[1])], int(iso[2]), int(iso[3])
    else:
        numbers = re.findall(r"\d+", text)
        years, month = [int(number) for number in numbers if len(number) == 4], _month(text)
        day = next(int(number) for number in numbers if len(number) < 4)
    for year in years[:1] or range(today.year, today.year - LEAP_YEARS - 1, -1):
        try:
            found = date(year, month, day)
        except ValueError:
            continue
        if years or found <= today:
            return found
    raise NoSuchDay(f"there is no day {text!r}")


def _month(text: str) -> int:
    found = re.search(_MONTH, text)
    assert found is not None
    return next(n for n, name in enumerate(_MONTHS, 1) if name.startswith(found[0].strip(".")[:3]))


def period(text: str, now: datetime) -> Stretch:
    """A week from Monday, a weekend, a month or a year."""
    today = now.date()
    if named := re.search(rf"in ({_MONTH})?(?: ?(\d{{4}}))?", text if " in " in f" {text}" else ""):
        if named[1] is None:
            return midnight(date(int(named[2]), 1, 1), now), midnight(date(int(named[2]) + 1, 1, 1), now)
        month = _month(named[1])
        year = int(named[2]) if named[2] else today.year - (month > today.month)
        return _months(year, month, 1, now)
    step = {"last": -1, "this": 0, "next": 1}[re.findall(r"\b(last|this|next)\b", text)[0]]
    if "week" in text:
        monday = today - timedelta(days=today.weekday()) + timedelta(weeks=step)
        if "weekend" in text:
            return midnight(monday + timedelta(days=5), now), midnight(monday + timedelta(days=7), now)
        return midnight(monday, now), midnight(monday + timedelta(days=7), now)
    if "month" in text:
        year, month = divmod(today.year * 12 + today.month - 1 + step, 12)
        return _months(year, month + 1, 1, now)
    return _months(today.year + step, 1, 12, now)


def _months(year: int, month: int, count: int, now: datetime) -> Stretch:
    after_year, after_month = divmod(year * 12 + month - 1 + count, 12)
    return midnight(date(year, month, 1), now), midnight(date(after_year, after_month + 1, 1), now)


def clock_time(text: str) -> time:
    """A time of day; an hour beyond the clock is read as its last one."""
    if "noon" in text or "midday" in text:
        return time(12)
    if "midnight" in text:
        return time(0)
    hour, minute, second = ([int(number) for number in re.findall(r"\d+", text)] + [0, 0])[:3]
    if re.search(r"p\.?m|afternoon|evening|night", text) and hour < 12:
        hour += 12
    elif re.search(r"a\.?m|morning", text) and hour == 12:
        hour = 0
    return time(min(hour, 23), min(minute, 59), min(second, 59))


def same_half(first: str, second: str, meridiem: str) -> str:
    """The first of two times, in the second's half of the day if it comes before it there: "9 and 10 pm"."""
    own = f"{first} {meridiem}"
    return own if clock_time(own) <= clock_time(second) else first


def count(text: str) -> int:
    """A `NUMBER`."""
    text = text.strip()
    return _NUMBERS[text] if text in _NUMBERS else int(text)


def midnight(day: date, now: datetime) -> datetime:
    """When a day begins, in the zone of `now`."""
    return datetime.combine(day, time(0), now.tzinfo)


def before(now: datetime, back_s: float) -> datetime:
    """So many seconds before, in the zone of `now`, also across a change of clocks; 1970 at the earliest."""
    return datetime.fromtimestamp(max(0.0, now.timestamp() - back_s), now.tzinfo)


def _at_hour(day: date, hour: int, now: datetime) -> datetime:
    return datetime.combine(day, time(hour), now.tzinfo)
