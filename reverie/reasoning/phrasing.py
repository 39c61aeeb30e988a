"""How answers are worded: times, places, quotes and lists. What was seen or heard is only ever quoted here."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import datetime

from reverie.types import NS_PER_S, Box, Modality, TimeSpan

MAX_QUOTE_CHARS = 280
_DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def clock(time_ns: int) -> str:
    """Media time as m:ss, or h:mm:ss from an hour on."""
    seconds = max(0, time_ns) // NS_PER_S
    hours, minutes, rest = seconds // 3600, seconds // 60 % 60, seconds % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def day_of(moment: datetime) -> str:
    """A day: "Mon 23 Nov 2026"."""
    return f"{_DAYS[moment.weekday()]} {moment.day} {_MONTHS[moment.month - 1]} {moment:%Y}"


def wall_clock(moment: datetime) -> str:
    """Wall time: "Mon 23 Nov 2026, 14:03:20"."""
    return f"{day_of(moment)}, {moment:%H:%M:%S}"


def at(span: TimeSpan) -> str:
    """When, in words: "at 0:42" for a moment, "from 0:12 to 0:20" for longer."""
    if span.duration_ns < 2 * NS_PER_S or clock(span.start_ns) == clock(span.end_ns):
        return f"at {clock(span.start_ns)}"
    return f"from {clock(span.start_ns)} to {clock(span.end_ns)}"


def between(span: TimeSpan) -> str:
    """A span in brackets: "0:12–0:20"."""
    return f"{clock(span.start_ns)}–{clock(span.end_ns)}"


def through(span: TimeSpan) -> str:
    """A stretch that was looked at: "from 0:30 to 1:00"."""
    return f"from {clock(span.start_ns)} to {clock(span.end_ns)}"


def lasting(duration_ns: int) -> str:
    """A duration in words: "8.5 seconds", "2 minutes 5 seconds"."""
    seconds = duration_ns / NS_PER_S
    if seconds < 60:
        return f"{seconds:.1f}".removesuffix(".0") + (" second" if round(seconds, 1) == 1 else " seconds")
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{counted(minutes, 'minute')} {counted(rest, 'second')}" if rest else counted(minutes, "minute")


def one_line(text: str, limit: int = MAX_QUOTE_CHARS) -> str:
    """Text without control characters or line breaks, cut at a word when it is too long."""
    text = "".join(" " if unicodedata.category(ch)[0] in "CZ" else ch for ch in text)
    text = " ".join(text.split())
    return text if len(text) <= limit else text[:limit].rsplit(" ", 1)[0].rstrip(",;: ") + " …"


def quote(text: str) -> str:
    """What was said or written, between marks that it cannot close itself."""
    return "“" + one_line(text).replace("“", "'").replace("”", "'") + "”"


def sentence(start: str, text: str) -> str:
    """A sentence that ends in a quote: the quote's own full stop ends it, or one is added."""
    quoted = quote(text)
    return f"{start}: {quoted}" + ("" if quoted[-2:-1] in (".", "!", "?", "…") else ".")


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 cat", "3 people"."""
    return f"{number} {noun if number == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """The plural of an English noun, good enough for the names that perception gives."""
    if noun in ("person", "man", "woman", "child", "sheep"):
        return {"person": "people", "man": "men", "woman": "women", "child": "children", "sheep": "sheep"}[noun]
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    return noun[:-1] + "ies" if noun.endswith("y") and noun[-2:-1] not in "aeiou" else noun + "s"


def article(noun: str) -> str:
    """A noun with its article, "an umbrella"; names that are plural or start upper-case stand alone."""
    if not noun or noun[0].isupper() or (noun.endswith("s") and not noun.endswith("ss") and noun != "bus"):
        return noun
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"


def listing(parts: Sequence[str], word: str = "and") -> str:
    """A list in words: "a", "a and b", "a, b and c"."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {word} {parts[-1]}"


def upper_first(text: str) -> str:
    """The text as the start of a sentence."""
    return text[:1].upper() + text[1:]


SENSE_PLACES = {
    Modality.VISION: "pictures",
    Modality.OBJECTS: "tracked things",
    Modality.WRITING: "text on screen",
    Modality.SPEECH: "speech",
    Modality.SOUND: "music and other sounds",
}


def picture_place(box: Box) -> str:
    """Where in the picture the middle of a box lies, by thirds, and how large it is."""
    column = ("left", "middle", "right")[min(2, int(1.5 * (box.x0 + box.x1)))]
    row = ("upper", "", "lower")[min(2, int(1.5 * (box.y0 + box.y1)))]
    area = (box.x1 - box.x0) * (box.y1 - box.y0)
    if area >= 0.6:
        return "filling most of the picture"
    if column == "middle":
        return {"upper": "at the top of the picture", "lower": "at the bottom of the picture"}.get(
            row, "in the middle of the picture"
        )
    return f"at the {row} {column} of the picture" if row else f"on the {column} of the picture"
