"""Facts from sentences by rules: few patterns, each of which rarely errs, and no model.

    "The code of the garage is 4711."              garage      code       4711
    "I put my keys in the blue bowl."              keys        location   in the blue bowl
    "The meeting has been moved to Friday at 3."   meeting     time       Friday at 3
    "Anna: I work at the museum now."              Anna        workplace  the museum

A sentence counts if it is a plain statement about now: what is denied, asked, only possible, wished, reported from
others or over is refused whole. A pattern has to fit a clause from its beginning to its end, and its parts have to be
phrases of the kind they stand for (`fact_phrases`). "I" is whoever speaks: the name before a colon, if there is one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from reverie.memory import fact_phrases as phrases
from reverie.memory.fact_phrases import is_ground, is_name, is_noun_phrase, is_subject, place_of

SPEAKER = "speaker"  # who said "I", when nothing tells who that is
LOCATION, NAME, PRICE, TIME, HOME, WORKPLACE, IS = "location", "name", "price", "time", "home", "workplace", "is"
_MAX_CHARS = 2000  # of one text that are read
_MAX_VALUE_WORDS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one sentence says: (subject, predicate, object), and the sentence, word for word."""

    subject: str
    predicate: str
    object: str
    quote: str


Triple = tuple[str, str, str]
_Read = Callable[[re.Match[str]], Triple | None]
Kind = Literal["code", "word", "amount", "moment", "colour", "name", "place", "contact"]

_NAMES_OF: dict[Kind, str] = {
    "code": "code|pin|pin code|passcode|combination|number|phone number|room number|flight number|gate|platform|seat|"
    "room|table|locker|version",
    "word": "password|passphrase|username|keyword",
    "amount": "price|cost|rent|fee|salary|budget|limit|score|temperature|target|age|size|speed|fare",
    "moment": "deadline|due date|date|start time|birthday|departure|arrival|departure time|arrival time|time",
    "colour": "color|colour",
    "name": "name|nickname|owner|boss|manager|teacher|director|author|host|winner|captain|president|doctor|coach|chef|"
    "leader|mayor|capital",
    "place": "address|meeting point|destination|venue|location|headquarters",
    "contact": "email|email address|mail address",
}
_ATTRIBUTES = {name: kind for kind, names in _NAMES_OF.items() for name in names.split("|")}
_SYNONYMS = {"cost": PRICE, "fare": PRICE, "colour": "color", "due date": "deadline", "email address": "email",
             "mail address": "email", "pin code": "pin", "start time": TIME}  # fmt: skip
_ATTRIBUTE = "|".join(sorted(_ATTRIBUTES, key=len, reverse=True))

_LEAD = re.compile(
    r"^(?:(?:well|so|ok|okay|yes|yeah|yep|and|but|also|oh|now|hey|hi|hello|actually|anyway|by the way|fyi|note that"
    r"|just so you know|remember|remember that|please remember|as of today|from now on|good news|update|btw|listen"
    r"|attention please|attention)[,:!]? +)+",
    re.IGNORECASE,
)
_TRAIL = re.compile(
    r"[ ,]+(?:now|right now|at the moment|again|as well|too|today|instead|currently|already|for now|from now on"
    r"|by the way|these days|please|actually|since \w+)$",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^.!?;\n]*(?:[.!?;](?!\s|$)[^.!?;\n]*)*[.!?;]*")
_CLAUSE = re.compile(
    r"\s*(?:,(?!\d)|;| - | – |\bbut\b|\bbecause\b|\bso that\b|\bwhich\b"
    r"|\band\b(?= (?:the|my|our|i|we|it|he|she|they)\b))\s*",
    re.IGNORECASE,
)
_SPEAKER = re.compile(r"\s*([A-Z][\w'’-]*(?: [A-Z][\w'’-]*)?):\s+")
_IS = r"(?:is|are|'s|is now|are now|is going to be)"
_CHANGED = (
    r"(?:(?:has|have|was|were|is|'s|got) (?:now |just |been |recently )*(?:changed|updated|switched|set|reset|raised"
    r"|lowered|reduced|increased|moved|postponed|pushed|pushed back|brought forward|rescheduled)"
    r"|(?:changed|switched|went up|went down|rose|dropped|fell)|has now changed)(?: from .+?)? to"
)
_ME = r"(?:i|we|i've|we've|i have|we have)"
_PUT = "put|left|placed|parked|hid|stored|moved|kept|keep|keeping|storing|set|dropped|hung|locked|stuck"
_MOVED = "moved|moved back|relocated|postponed|rescheduled|delayed|pushed|pushed back|brought forward|shifted"
_AT = "in|on|at|under|underneath|behind|inside|beside|next to|near|above|below|by|between"


def statements(text: str) -> list[Statement]:
    """What a text states, in the order of its sentences; each quote stands in it word for word."""
    told = text[:_MAX_CHARS].replace("’", "'")
    speaker, start = SPEAKER, 0
    if match := _SPEAKER.match(told):
        speaker, start = match[1], match.end()
    found: dict[Triple, Statement] = {}
    for match in _SENTENCE.finditer(told, start):
        sentence = match[0].strip()
        if not sentence or phrases.QUESTION.match(sentence) or phrases.NOT_A_STATEMENT.search(sentence):
            continue
        begin = match.start() + match[0].index(sentence)
        quote = text[begin : begin + len(sentence)]
        for clause in _CLAUSE.split(sentence):
            for triple in _triples(clause, speaker):
                if '"' in sentence and triple[0] == speaker:
                    continue  # somebody else's "I"
                made = Statement(subject=triple[0], predicate=triple[1], object=triple[2], quote=quote)
                found.setdefault(triple, made)
    return list(found.values())


def _triples(clause: str, speaker: str) -> Iterator[Triple]:
    """At most one: the first pattern whose parts hold."""
    plain = _LEAD.sub("", clause.strip(" .!?:\"'-"), count=1)
    plain = _TRAIL.sub("", _TRAIL.sub("", plain)).strip()
    if not 2 < len(plain.split()) <= 20:
        return
    for pattern, read in _PATTERNS:
        match = pattern.fullmatch(plain)
        if match is not None and (triple := read(match)) is not None:
            subject, predicate, value = triple
            yield _owned(subject, speaker), predicate, value.strip(" .,\"'")
            return


def _owned(subject: str, speaker: str) -> str:
    """Determiners off; "my car" is the named speaker's car."""
    first, _, rest = subject.partition(" ")
    if subject == SPEAKER:
        return speaker
    if first.lower() in ("my", "our"):
        return rest if speaker == SPEAKER else f"{speaker}'s {rest}"
    return rest if rest and first.lower() in ("the", "your", "this", "that", "a", "an") else subject


# --- what the patterns read ------------------------------------------------------------------------


def _attribute(match: re.Match[str]) -> Triple | None:
    """The attribute of something: "the code of the garage", "the garage's code", "the garage code", "the deadline"."""
    value = re.sub(r"^now ", "", match["value"])
    attribute, subject = match["attribute"].lower(), match.groupdict().get("subject") or ""
    if not _fits(value, _ATTRIBUTES[attribute]):
        return None
    predicate = _SYNONYMS.get(attribute, attribute)
    if not subject or subject.lower() in ("the", "this", "that", "your"):
        return attribute, IS, value
    if subject.lower() in ("my", "our"):
        return SPEAKER, predicate, value
    return (subject, predicate, value) if is_subject(subject) or _is_modifier(subject) else None


def _is_modifier(subject: str) -> bool:
    return subject.lower().split()[0] in ("the", "my", "our", "your") and is_noun_phrase(subject)


def _fits(value: str, kind: Kind) -> bool:
    """Whether a value is of the kind that its attribute has: a price is an amount, and not "right"."""
    if len(value.split()) > _MAX_VALUE_WORDS:
        return False
    if kind == "code":
        return phrases.CODE.fullmatch(value) is not None
    if kind == "word":
        return len(value.split()) == 1 and (not value.isalpha() or not value.islower() or len(value) > 7)
    if kind == "amount":
        return phrases.AMOUNT.fullmatch(value) is not None
    if kind == "moment":
        return phrases.MOMENT.fullmatch(value) is not None
    if kind == "colour":
        return bool(set(value.lower().split()) & phrases.COLOURS) and is_noun_phrase(value)
    if kind == "name":
        return is_name(value)
    if kind == "contact":
        return "@" in value
    return is_ground(value) or place_of(value) is not None or bool(re.fullmatch(r"\d+ [A-Z]\w+.*", value))


def _located(match: re.Match[str]) -> Triple | None:
    """Something is at a place, or at a time."""
    subject, value = match["subject"], match["value"]
    if not is_subject(subject):
        here = subject.lower() == "i" and value.lower().startswith(("at ", "in ", "home"))  # "I'm on a diet"
        return (SPEAKER, LOCATION, place) if here and (place := place_of(value)) else None
    if phrases.MOMENT.fullmatch(value):
        return (subject, TIME, re.sub(r"^(?:at|on) ", "", value)) if value.startswith(("at ", "on ")) else None
    place = place_of(value)
    return (subject, LOCATION, place) if place is not None else None


def _put(match: re.Match[str]) -> Triple | None:
    """Somebody put something somewhere, or moved it to a place or a time."""
    subject, value = match["subject"], match["value"]
    if not is_subject(subject) or not (match["actor"].lower().startswith(("i", "we")) or is_name(match["actor"])):
        return None
    if match["verb"].lower() == "moved":
        return _moved(match)
    place = place_of(value)
    return (subject, LOCATION, place) if place is not None and not subject.lower().startswith(("a ", "an ")) else None


def _moved(match: re.Match[str]) -> Triple | None:
    """Something, or somebody, moved to another place or another time."""
    subject, value = match["subject"], re.sub(r"^to ", "", match["value"])
    if phrases.MOMENT.fullmatch(value):
        return (subject, TIME, value) if is_subject(subject) else None
    if not is_ground(value):
        return None
    if subject.lower() == "i" or is_name(subject):
        return (SPEAKER if subject.lower() == "i" else subject), HOME, value
    return (subject, LOCATION, value) if is_subject(subject) else None


def _person(predicate: str) -> _Read:
    def read(match: re.Match[str]) -> Triple | None:
        subject, value = match["subject"], match["value"]
        if not is_ground(value):
            return None
        if subject.lower() in ("i", "we"):
            return SPEAKER, predicate, value
        return (subject, predicate, value) if is_subject(subject) else None

    return read


def _price(match: re.Match[str]) -> Triple | None:
    subject, value = match["subject"], match["value"]
    holds = is_subject(subject, vague=True) and phrases.AMOUNT.fullmatch(value) is not None
    return (subject, PRICE, value) if holds else None


def _at_time(match: re.Match[str]) -> Triple | None:
    subject, value = match["subject"], match["value"]
    verb = match["verb"].lower()
    predicate = {"begin": "start", "leave": "depart", "finish": "end", "due": "deadline"}.get(verb, verb)
    holds = is_subject(subject) and phrases.MOMENT.fullmatch(value) is not None
    return (subject, predicate, re.sub(r"^(?:at|on) ", "", value)) if holds else None


def _named(match: re.Match[str]) -> Triple | None:
    subject, value = match.groupdict().get("subject") or SPEAKER, match["value"]
    if not is_name(value) or (subject != SPEAKER and not is_subject(subject)):
        return None
    return subject, NAME, value


def _state(match: re.Match[str]) -> Triple | None:
    """Something is now something else."""
    subject, value = match["subject"], match["value"]
    if not is_subject(subject) or not is_noun_phrase(value) or len(value.split()) > 4:
        return None
    if re.match(r"\w+ing\b", value) or re.match(r"(?:my|our|your|so|more|less|in|on|at|under|behind|of)\b", value):
        return None
    return subject, IS, value


def _compiled(*rows: tuple[_Read, str]) -> Iterator[tuple[re.Pattern[str], _Read]]:
    for read, pattern in rows:
        yield re.compile(pattern, re.IGNORECASE), read


_PATTERNS = tuple(
    _compiled(
        (_named, r"(?:my name (?:is|'s)|call me|i am called|i'm called) (?P<value>.+)"),
        (_named, rf"(?P<subject>.+?) (?:{_IS} (?:called|named)|(?:is|'s) known as) (?P<value>.+)"),
        (_named, rf"{_ME} (?:named|called) (?P<subject>(?:my|our|the) .+?) (?P<value>\S+)"),
        (
            _attribute,
            rf"(?:the )?(?:new )?(?P<attribute>{_ATTRIBUTE}) (?:of|for|to) (?P<subject>.+?)"
            rf"(?: {_IS}|'s| {_CHANGED}) (?P<value>.+)",
        ),
        (_attribute, rf"(?P<subject>.+?)'s (?:new )?(?P<attribute>{_ATTRIBUTE})(?: {_IS}| {_CHANGED}) (?P<value>.+)"),
        (
            _attribute,
            rf"(?P<subject>(?:the|my|our|your)(?: \S+){{0,3}}?) (?:new )?(?P<attribute>{_ATTRIBUTE})"
            rf"(?: {_IS}|'s| {_CHANGED}) (?P<value>.+)",
        ),
        (
            _located,
            rf"(?P<subject>i|.+?)(?: {_IS}|'m| am)(?: now)? "
            rf"(?P<value>(?:now |right |back |still )?(?:{_AT}|outside|home|upstairs|downstairs)\b.*)",
        ),
        (
            _put,
            rf"(?P<actor>{_ME}|\w+)(?: just| always| now| actually| recently| been)* (?P<verb>{_PUT}) "
            rf"(?P<subject>.+?) (?P<value>(?:back |right )?(?:to|{_AT}) .+)",
        ),
        (
            _moved,
            r"(?P<subject>i|.+?)(?: has| have|'ve|'s| was| were| is)?(?: now| just| been| recently| actually)* "
            rf"(?:{_MOVED}) (?:to|until) (?P<value>.+)",
        ),
        (
            _person(HOME),
            r"(?P<subject>i|we|.+?)(?: now)? (?:live|lives|'m living|am living|is living)(?: now)? "
            r"(?:in|at) (?P<value>.+)",
        ),
        (
            _person(WORKPLACE),
            r"(?P<subject>i|we|.+?)(?: now)? (?:work|works|'m working|am working|is working|started working)(?: now)? "
            r"(?:at|for) (?P<value>.+)",
        ),
        (_price, r"(?P<subject>.+?)(?: now)? (?:costs?|sells? for) (?P<value>.+)"),
        (
            _at_time,
            r"(?P<subject>.+?)(?: now)? (?P<verb>open|start|close|end|leave|depart|arrive|begin|finish|land)s? "
            r"(?P<value>(?:at|on) .+)",
        ),
        (_at_time, r"(?P<subject>.+?) (?:is|are)(?: now)? (?P<verb>due) (?P<value>.+)"),
        (_state, rf"(?P<subject>.+?) (?:(?:is|are) now|{_CHANGED}) (?P<value>.+)"),
    )
)
