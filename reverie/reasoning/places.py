"""Places in questions: "in the kitchen" means the streams that were recorded there, where streams name their place."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reverie.reasoning.vocabulary import NUMBERS, STOPWORDS
from reverie.types import StreamRecord

_AT = r"(?:in|at|on|from|inside|inside of|outside|by|near)"
_TIMES = {
    "yesterday", "today", "tonight", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
    "tomorrow", "last", "next", "past", "after", "around", "before", "between", "currently", "during", "early", "every",
    "late", "now", "once", "right", "roughly", "since", "this", "until", "while", "half", "few", "several", *NUMBERS,
}  # fmt: skip


def find_place(text: str, streams: Sequence[StreamRecord]) -> tuple[tuple[str, ...], str]:
    """The streams whose place a question names, and the question without it; no streams when it names none.

    Of several places the longest name counts: "the back garden" before "the garden". A name that goes on is another
    one: "in the kitchen garden" is not in the kitchen.
    """
    for place in sorted({_plain(stream) for stream in streams} - {""}, key=lambda name: (-len(name), name)):
        named = re.search(rf"\b{_AT} (?:the |my |our |this )?{re.escape(place)}(?!\w)", text, re.IGNORECASE)
        if named is None or _goes_on(text[named.end() :]):
            continue
        rest = " ".join((text[: named.start()] + " " + text[named.end() :]).split())
        if re.search(r"\w", rest):
            return tuple(stream.stream_id for stream in streams if _plain(stream) == place), rest
    return (), text


def _plain(stream: StreamRecord) -> str:
    return " ".join(stream.place.lower().split())


def _goes_on(rest: str) -> bool:
    """Whether the words after a name may belong to it."""
    following = re.match(r"\s+([^\W\d_]+)", rest)
    return following is not None and following[1].lower() not in STOPWORDS | _TIMES
