"""Places in questions: "in the kitchen" means the streams that were recorded there, where streams name their place."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reverie.types import StreamRecord

_AT = r"(?:in|at|on|from|inside|inside of|outside|by|near)"


def find_place(text: str, streams: Sequence[StreamRecord]) -> tuple[tuple[str, ...], str]:
    """The streams whose place a question names, and the question without it; no streams when it names none.

    Of several places the longest name counts: "the back garden" before "the garden".
    """
    for place in sorted({stream.place for stream in streams if stream.place}, key=lambda name: (-len(name), name)):
        named = re.search(rf"\b{_AT} (?:the |my |our |this )?{re.escape(place)}\b", text, re.IGNORECASE)
        rest = " ".join((text[: named.start()] + " " + text[named.end() :]).split()) if named else ""
        if re.search(r"\w", rest):
            return tuple(stream.stream_id for stream in streams if stream.place == place), rest
    return (), text
