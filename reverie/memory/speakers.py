"""Whose words a question means: "when does my sprint end?" is about what its asker said.

Transcripts of chats name a role in front of each message ("user: ...", "assistant: ..."). The first person in a
question means the user, the second the assistant; a question with both, or neither, means no one. Names of people are
left alone: a question about Caroline is often answered by what Melanie said of her.
"""

from __future__ import annotations

import re
from typing import Literal

Role = Literal["", "user", "assistant"]
_IN_FRONT = re.compile(r"\s*(user|assistant):\s", re.IGNORECASE)
_FIRST = re.compile(r"\b(?:i|me|my|mine|myself|we|us|our|ours)\b", re.IGNORECASE)
_SECOND = re.compile(r"\b(?:you|your|yours)\b", re.IGNORECASE)
ROLES: tuple[Role, ...] = ("", "user", "assistant")


def role_of(text: str) -> int:
    """The role that an utterance begins with, as its place in `ROLES`."""
    found = _IN_FRONT.match(text)
    return 0 if found is None else 1 if found[1].lower() == "user" else 2


def meant_role(query: str) -> int:
    """The role whose words a question means, as its place in `ROLES`; 0 for no one in particular."""
    first, second = bool(_FIRST.search(query)), bool(_SECOND.search(query))
    return 0 if first == second else 1 if first else 2
