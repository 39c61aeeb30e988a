"""Media-time expressions in questions: "at 0:35", "in the first minute", "between 1:10 and 2:00".

`parse_time` takes them out of a question and gives one `TimeExpression`, which is resolved later
against what was watched: "the last ten seconds" means the end of the stream, or now. Several
expressions in one question are intersected. Calendar time ("yesterday", "3 pm") is read by `calendar_time`; so are
hours that count back ("two hours ago"), which are media time only where no wall clock is known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from reverie.types import NS_PER_S, TimeSpan

POINT_MARGIN_NS = NS_PER_S  # "at 0:35" means 0:34 to 0:36
EDGE_NS = 10 * NS_PER_S  # "at the beginning", "at the end"
NOW_NS = 5 * NS_PER_S  # "now"

Edge = Literal["zero", "start", "end", "now"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A point of time: an edge of what was watched, plus a share of its length, plus an offset."""

    edge: Edge
    offset_ns: int = 0
    share: float = 0.0

    def resolve(self, watched: TimeSpan, now_ns: int) -> int:
        base = {"zero": 0, "start": watched.start_ns, "end": watched.end_ns, "now": now_ns}[self.edge]
        return base + self.offset_ns + round(self.share * watched.duration_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeExpression:
    """From one bound to another. `is_point` marks "at 0:35", `is_now` the present."""

    begin: Bound
    until: Bound
    is_point: bool = False
    is_now: bool = False
    also: TimeExpression | None = None

    def resolve(self, watched: TimeSpan, now_ns: int) -> TimeSpan:
        """The span in media time. It may lie outside of what was watched, and is never negative."""
        start = max(0, self.begin.resolve(watched, now_ns))
        end = max(0, self.until.resolve(watched, now_ns))
        span = TimeSpan(start_ns=min(start, end), end_ns=max(start, end))
        if self.also is None:
            return span
        other = self.also.resolve(watched, now_ns)
        low, high = max(span.start_ns, other.start_ns), min(span.end_ns, other.end_ns)
        return TimeSpan(start_ns=low, end_ns=high) if low <= high else span


NOW = TimeExpression(begin=Bound(edge="now", offset_ns=-NOW_NS), until=Bound(edge="now"), is_now=True)

_SMALL = (
    "a an one two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty fifty sixty ninety"
)
_VALUES: dict[str, float] = dict(
    zip(_SMALL.split(), (1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15, 20, 30, 40, 50, 60, 90), strict=True)
)
_VALUES |= {"half": 0.5, "half a": 0.5, "half an": 0.5, "couple of": 2, "a couple of": 2, "a few": 3, "few": 3}
_NUMBER = r"(?:\d{1,5}(?:\.\d{1,3})?|" + "|".join(sorted(_VALUES, key=len, reverse=True)) + ")"
_UNIT = r"(?:seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h)\b"
_MORE = rf"(?:(?: and| ,|,)? ?{_NUMBER}[ -]?{_UNIT})*"
_AMOUNT = rf"{_NUMBER}[ -]?{_UNIT}{_MORE}"
HOURS = rf"(?:{_NUMBER}[ -]?(?:hours?|hrs?|h)\b{_MORE})"  # an amount that is told in hours
_CLOCK = r"\d{1,3}:\d{2}(?::\d{2})?(?:\.\d{1,3})?(?! ?[ap]\.?m\b)"
_POINT = rf"(?:(?:minute|second) \d{{1,5}}\b|{_CLOCK}|{_AMOUNT})"
_THE = r"(?:the )?"
_IN = r"(?:(?:during|in|within|over|for|from|at) )?"


def seconds(amount: str) -> float:
    """How long an amount of hours, minutes and seconds is; 0 for one without numbers."""
    total = 0.0
    for number, unit in re.findall(rf"({_NUMBER})[ -]?({_UNIT})", amount):
        value = _VALUES[number] if number in _VALUES else float(number)
        total += value * {"s": 1, "m": 60, "h": 3600}[unit[0]]
    return total


def _point_ns(text: str) -> int:
    if ":" in text:
        parts = [float(part) for part in text.split(":")]
        at_s = sum(part * (1, 60, 3600)[power] for power, part in enumerate(reversed(parts)))
    elif named := re.fullmatch(r"(minute|second) (\d+)", text):
        at_s = float(named[2]) * (60 if named[1] == "minute" else 1)
    else:
        at_s = seconds(text)
    return round(at_s * NS_PER_S)


def _zero(time_ns: int) -> Bound:
    return Bound(edge="zero", offset_ns=time_ns)


def _around(time_ns: int) -> TimeExpression:
    return TimeExpression(begin=_zero(time_ns - POINT_MARGIN_NS), until=_zero(time_ns + POINT_MARGIN_NS), is_point=True)


def _between(m: re.Match[str]) -> TimeExpression:
    first, second = _point_ns(m["a"]), _point_ns(m["b"])
    return TimeExpression(begin=_zero(min(first, second)), until=_zero(max(first, second)))


def _first(m: re.Match[str]) -> TimeExpression:
    if m["amount"] == "half":
        return TimeExpression(begin=Bound(edge="start"), until=Bound(edge="start", share=0.5))
    return TimeExpression(begin=Bound(edge="start"), until=Bound(edge="start", offset_ns=_amount_ns(m)))


def _last(m: re.Match[str]) -> TimeExpression:
    if m["amount"] == "half":
        return TimeExpression(begin=Bound(edge="start", share=0.5), until=Bound(edge="end"))
    return TimeExpression(begin=Bound(edge="now", offset_ns=-_amount_ns(m)), until=Bound(edge="now"))


def _amount_ns(m: re.Match[str]) -> int:
    amount = m["amount"]
    return round((seconds(amount) or seconds("1 " + amount)) * NS_PER_S)


def _ordinal(m: re.Match[str]) -> TimeExpression:
    if m["which"] == "second" and m["unit"] == "half":
        return TimeExpression(begin=Bound(edge="start", share=0.5), until=Bound(edge="end"))
    index = ("second", "third", "fourth", "fifth").index(m["which"]) + 1
    return TimeExpression(
        begin=Bound(edge="start", offset_ns=index * 60 * NS_PER_S),
        until=Bound(edge="start", offset_ns=(index + 1) * 60 * NS_PER_S),
    )


def _ago(m: re.Match[str]) -> TimeExpression:
    back = round(seconds(m["amount"]) * NS_PER_S)
    margin = max(2 * NS_PER_S, back // 10)
    return TimeExpression(
        begin=Bound(edge="now", offset_ns=-back - margin), until=Bound(edge="now", offset_ns=-back + margin)
    )


# Tried in order; each takes its words out of the question.
_RULES = (
    (rf"\b(?:between|from) (?P<a>{_POINT}) (?:and|to|until|till|-) ?(?P<b>{_POINT})(?: in\b)?", _between),
    (rf"(?<![\w:])(?P<a>{_CLOCK}) ?(?:-|to) ?(?P<b>{_CLOCK})", _between),
    (rf"\b{_IN}{_THE}(?:first|opening|initial) (?P<amount>{_AMOUNT}|half\b|{_UNIT})", _first),
    (rf"\b{_IN}{_THE}(?:very )?(?:last|past|final|latest) (?P<amount>{_AMOUNT}|half\b|{_UNIT})", _last),
    (r"\b(?:during|in) the (?P<which>second|third|fourth|fifth) (?P<unit>minute|half)\b", _ordinal),
    (rf"\b(?:about |around |roughly )?(?P<amount>{_AMOUNT}) ago\b", _ago),
    (
        rf"\b(?:before|until|till|up to|by|earlier than) (?P<a>{_POINT})(?: in\b)?",
        lambda m: TimeExpression(begin=Bound(edge="start"), until=_zero(_point_ns(m["a"]))),
    ),
    (
        rf"\b(?:after|since|from|later than|past) (?P<a>{_POINT})(?: on(?:wards?)?\b| in\b)?",
        lambda m: TimeExpression(begin=_zero(_point_ns(m["a"])), until=Bound(edge="end")),
    ),
    (
        rf"\b(?:exactly |right |around |about )?(?:at|around|about|near) (?:the |time |timestamp )*(?P<a>{_POINT})"
        r"(?: mark| in\b| point)?",
        lambda m: _around(_point_ns(m["a"])),
    ),
    (rf"(?<![\w:])(?P<a>{_CLOCK})(?: mark| in\b)?", lambda m: _around(_point_ns(m["a"]))),
    (r"\b(?:in )?(?P<a>(?:minute|second) \d{1,5})\b", lambda m: _around(_point_ns(m["a"]))),
    (
        rf"\b(?P<a>{_AMOUNT}) in(?=$|[ ,?.!]*$)",
        lambda m: _around(_point_ns(m["a"])),
    ),
    (
        r"\b(?:right |just )?(?:at|in|near|during) the (?:very )?(?:beginning|start|opening)\b(?: of (?:it|all))?",
        lambda m: TimeExpression(begin=Bound(edge="start"), until=Bound(edge="start", offset_ns=EDGE_NS)),
    ),
    (
        r"\b(?:right |just )?(?:at|in|near|towards) the (?:very )?(?:end|ending|close)\b(?: of it)?",
        lambda m: TimeExpression(begin=Bound(edge="end", offset_ns=-EDGE_NS), until=Bound(edge="end")),
    ),
    (
        r"\b(?:in|near|around|at) the middle(?= of the (?:video|stream|clip|film|recording)|$|[?.!]*$)",
        lambda m: TimeExpression(begin=Bound(edge="start", share=0.4), until=Bound(edge="start", share=0.6)),
    ),
    (
        r"\b(?:right now|just now|currently|at the moment|at present|presently|at this (?:very )?(?:moment|point|time)"
        r"|this (?:very )?moment|(?<!until )(?<!up to )(?<!by )now)\b",
        lambda m: NOW,
    ),
)  # fmt: skip
_COMPILED = tuple((re.compile(pattern), build) for pattern, build in _RULES)


def parse_time(text: str) -> tuple[TimeExpression | None, str]:
    """Take the media-time expressions out of a plain, lower-case question.

    Returns the expression (the intersection, if there are several) and the rest of the question.
    """
    found: TimeExpression | None = None
    for _ in range(3):
        for pattern, build in _COMPILED:
            if match := pattern.search(text):
                part = build(match)
                text = " ".join((text[: match.start()] + " " + text[match.end() :]).split())
                found = part if found is None else _both(found, part)
                break
        else:
            break
    return found, text


def _both(first: TimeExpression, second: TimeExpression) -> TimeExpression:
    return TimeExpression(
        begin=first.begin,
        until=first.until,
        is_point=first.is_point,
        is_now=first.is_now,
        also=second if first.also is None else _both(first.also, second),
    )
