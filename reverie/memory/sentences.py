"""Long texts have a vector for each sentence beside the one of the whole: a mean over many hides the one asked for."""

from __future__ import annotations

import re
from itertools import pairwise

MAX_SENTENCES = 16
_MIN_CHARACTERS = 24  # what is shorter ("Yes.") means something only with what follows
_ENDS = re.compile(r"(?<=[.!?])\s+|\s*\n\s*")


def split(text: str) -> list[str]:
    """The sentences of a text, at most `MAX_SENTENCES` pieces of it in order; none if it is a single one."""
    pieces: list[str] = []
    held = ""
    for sentence in filter(None, _ENDS.split(text.strip())):
        held = f"{held} {sentence}" if held else sentence
        if len(held) >= _MIN_CHARACTERS:
            pieces.append(held)
            held = ""
    if held and pieces:
        pieces[-1] += f" {held}"
    elif held:
        pieces.append(held)
    if len(pieces) > MAX_SENTENCES:
        edges = [len(pieces) * part // MAX_SENTENCES for part in range(MAX_SENTENCES + 1)]
        pieces = [" ".join(pieces[a:b]) for a, b in pairwise(edges)]
    return pieces if len(pieces) > 1 else []
