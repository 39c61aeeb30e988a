"""Questions that a fact answers: what holds now, what held before or at a time, and when it changed.

    "What is the code of the garage?"            the newest valid fact, and what it superseded
    "Where was my car before?"                   the fact before the newest
    "What was the first code of the garage?"     the fact that all others followed
    "What was the garage code at 1:00?"          the fact that was valid then
    "When did the code of the garage change?"    when the newest fact began to hold

The form of the question gives who it is about and which predicates would answer it; if memory has no such fact, the
question goes on to be answered from passages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from reverie.reasoning.evidence import Candidate
from reverie.reasoning.grammar import ORIGINALLY, PREVIOUSLY
from reverie.reasoning.inquiry import Draft, Inquiry
from reverie.reasoning.phrasing import quote, upper_first
from reverie.reasoning.timewords import parse_time
from reverie.types import Citation, Fact, TimeSpan

Tense = Literal["now", "before", "first", "change"]

CONFIDENCE = 0.9  # of a fact: its quote says it, and the patterns that read it rarely err
_BE = "(?:is|are|was|were|am)"
_AGE = re.compile(
    rf"^(?P<head>(?:what|which|who) {_BE} (?:the |my |our )?)(?:(?P<before>previous|former|old|last)"
    r"|(?P<first>original|first|initial|earliest)|current|present|new|newest|latest) (?!names?\b)"
)
_OF = re.compile(rf"(?:what|which|who) {_BE} (?:the |my |our )?(?P<predicate>[\w ]+?) (?:of|for) (?P<subject>.+)")
_IS = re.compile(rf"(?:what|which|who) {_BE} (?P<phrase>.+)")
_CALLED = re.compile(rf"what {_BE} (?P<subject>.+) (?:called|named)")
_WHERE = re.compile(
    rf"where (?:{_BE}|(?:did|have|had) (?:i|we) (?:put|left|leave|park|parked|keep|kept|store|hide)) (?P<subject>.+)"
)
_DOES = re.compile(
    r"(?:where|when|what time|at what time|how much|who) (?:does|do|did) (?P<subject>.+) "
    r"(?P<verb>live|work|cost|open|start|begin|close|end|finish|leave|depart|arrive|land)(?: for| at| in)?"
)
_WHEN = re.compile(rf"(?:when|what time|at what time|what day) {_BE} (?P<subject>.+)")
_HOW_MUCH = re.compile(rf"how (?:much|expensive) {_BE} (?P<subject>.+)")
_CHANGED = re.compile(
    r"(?:when|since when) (?:did|was|were|has|is) (?P<phrase>.+?) (?:last )?(?:change|changed|updated|moved|move)"
)
_NOW = re.compile(r"[ ,]*\b(?:now|currently|right now|at the moment|these days|today)\b")
_ME = re.compile(r"(?:i|me|my|we|our)")
_VERBS = {
    "live": "home", "work": "workplace", "cost": "price", "begin": "start", "finish": "end", "leave": "depart",
}  # fmt: skip
_SYNONYMS = {"cost": "price", "colour": "color", "start time": "time", "due date": "deadline", "email address": "email"}
_VERBAL = frozenset({"open", "close", "start", "end", "depart", "arrive", "land"})
_SPEAKER = "speaker"


@dataclass(frozen=True, slots=True, kw_only=True)
class FactQuestion:
    """Who it is about and what would answer it, the likeliest reading first; `tense` is what is asked of the chain."""

    readings: tuple[tuple[str, str], ...]
    tense: Tense


def parse_fact_question(plain: str) -> FactQuestion | None:
    """Read a plain, lower-case question without its time expressions; None if it has no form that facts answer."""
    text = _NOW.sub("", plain.strip(" ?.!"))
    tense: Tense = "now"
    asked: tuple[tuple[re.Pattern[str], Tense], ...] = ((PREVIOUSLY, "before"), (ORIGINALLY, "first"))
    for words, when in asked:
        if words.search(text):
            text, tense = words.sub("", text), when
    if age := _AGE.match(text):
        text = age["head"] + text[age.end() :]
        tense = "before" if age["before"] else "first" if age["first"] else tense
    if match := _CHANGED.fullmatch(text):
        return FactQuestion(readings=tuple(_readings(f"what is {match['phrase']}")), tense="change")
    found = tuple(_readings(text))
    return FactQuestion(readings=found, tense=tense) if found else None


def _readings(text: str) -> Iterator[tuple[str, str]]:
    """(subject, predicate) pairs that a question may mean."""
    if match := _CALLED.fullmatch(text):
        yield _who(match["subject"]), "name"
    if match := _OF.fullmatch(text):
        yield _who(match["subject"]), _SYNONYMS.get(match["predicate"], match["predicate"])
    if match := _IS.fullmatch(text):
        phrase = match["phrase"]
        words = phrase.split()
        for size in range(1, min(3, len(words))):
            last = " ".join(words[-size:])
            yield _who(" ".join(words[:-size])), _SYNONYMS.get(last, last)
        yield phrase, "is"
        yield phrase, "location"  # "what is X now" where it moved, for a change
        yield phrase, "time"
    if match := _WHERE.fullmatch(text):
        yield from ((_who(match["subject"]), predicate) for predicate in ("location", "home"))
    if match := _DOES.fullmatch(text):
        yield _who(match["subject"]), _VERBS.get(match["verb"], match["verb"])
    if match := _WHEN.fullmatch(text):
        yield from ((match["subject"], predicate) for predicate in ("time", "deadline", "start", "is"))
    if match := _HOW_MUCH.fullmatch(text):
        yield match["subject"], "price"


def _who(subject: str) -> str:
    return _SPEAKER if _ME.fullmatch(subject) else subject


def answer_from_facts(inquiry: Inquiry, ends_ns: Mapping[str, int] | None = None) -> Draft | None:
    """The answer that facts give; None when the question is none for them, or they do not know.

    `ends_ns` is given when the question names a calendar time: the Unix time at which that ends in each stream's zone.
    What held then may have been said in any stream, before or on that day, so the inquiry is not narrowed to the day.
    """
    time, rest = parse_time(inquiry.question.plain)
    then = inquiry.scope.span if time is None or not time.is_now else None
    asked = parse_fact_question(rest)
    if asked is None:
        return None
    for subject, predicate in asked.readings:
        chain = [fact for fact in inquiry.retriever.facts(subject, predicate, history=True) if _in_scope(inquiry, fact)]
        if not chain:
            continue
        held = [number for number, fact in enumerate(chain) if _had_begun(fact, then, ends_ns)]
        if not held:
            return None
        chosen = held[-1]
        if asked.tense in ("before", "change"):
            if len(chain) < 2:
                return None
            chosen -= asked.tense == "before"
        elif asked.tense == "first":
            chosen = 0
        if chosen >= 0:
            return _told(inquiry, chain, chosen, changed=asked.tense == "change")
    return None


def _had_begun(fact: Fact, then: TimeSpan | None, ends_ns: Mapping[str, int] | None) -> bool:
    """Whether it held by the end of the time asked for: by wall time for calendar time, else by media time."""
    first = fact.evidence[0]
    if ends_ns:
        return fact.valid_from_ns < ends_ns.get(first.stream_id, max(ends_ns.values()))
    return then is None or first.span.start_ns < then.end_ns


def _in_scope(inquiry: Inquiry, fact: Fact) -> bool:
    streams = inquiry.scope.stream_ids
    return not streams or any(cited.stream_id in streams for cited in fact.evidence)


def _told(inquiry: Inquiry, chain: Sequence[Fact], chosen: int, changed: bool) -> Draft:
    """The fact in words with its evidence, and beside it the value that came before it or, if it is over, after it."""
    fact, is_newest = chain[chosen], chosen == len(chain) - 1
    said = inquiry.tell(_candidate(fact.evidence[0]))
    text = f"{_about(fact)} {'is' if is_newest else 'was'} {quote(fact.object)}. {said}"
    if changed:
        text = f"{_about(fact)} changed to {quote(fact.object)}. {said}"
    evidence = [_candidate(fact.evidence[0])]
    beside = chain[chosen + 1] if not is_newest else chain[chosen - 1] if chosen else None
    if beside is not None:
        when = "Later it became" if not is_newest else "Before that it was"
        text += f" {when} {quote(beside.object)}. {inquiry.tell(_candidate(beside.evidence[0]))}"
        evidence.append(_candidate(beside.evidence[0]))
    evidence += [_candidate(cited) for cited in fact.evidence[1:]]
    return Draft(text=text, evidence=tuple(evidence), confidence=CONFIDENCE, computed=True)


def _about(fact: Fact) -> str:
    """Who and what: "The code of garage"; where the predicate is no noun, it stands in brackets."""
    own = "the speaker" if fact.subject == _SPEAKER else fact.subject
    if fact.predicate == "is":
        return upper_first(own)
    if fact.predicate in _VERBAL:
        return f"{upper_first(own)} ({fact.predicate}s)"
    return f"The {fact.predicate} of {quote(own)}"


def _candidate(cited: Citation) -> Candidate:
    return Candidate(
        stream_id=cited.stream_id, span=cited.span, modality=cited.modality, text=cited.text, probability=CONFIDENCE
    )
