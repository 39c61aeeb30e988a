"""Questions that a fact answers: what holds now, what held before or at a time, and when it changed.

    "What is the code of the garage?"            the newest valid fact, and what it superseded
    "Where was my car before?"                   the fact before the newest
    "What was the first code of the garage?"     the fact that all others followed
    "What was the garage code at 1:00?"          the fact that was valid then
    "When did the code of the garage change?"    when the newest fact began to hold
    "Is the code of the garage 4711?"            whether the fact that holds says so; if not, until when it did

The form of the question gives who it is about and which predicates would answer it; if memory has no such fact, the
question goes on to be answered from passages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from reverie.reasoning.evidence import Candidate
from reverie.reasoning.grammar import ORIGINALLY, PREVIOUSLY
from reverie.reasoning.inquiry import Draft, Inquiry
from reverie.reasoning.phrasing import clock, quote, upper_first
from reverie.reasoning.question import proper_names
from reverie.reasoning.timewords import parse_time
from reverie.reasoning.vocabulary import words
from reverie.types import Citation, Fact, TimeSpan

Tense = Literal["now", "before", "first", "change"]

CONFIDENCE = 0.9  # of a fact: its quote says it, and the patterns that read it rarely err
_BE = "(?:is|are|was|were|am)"
_AGE = re.compile(
    rf"^(?P<head>(?:(?:what|which|who) )?{_BE} (?:the |my |our )?)(?:(?P<before>previous|former|old|last)"
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
_CLAIM = re.compile(rf"(?P<verb>{_BE}|does|do|did) (?:not )?(?!there\b)(?P<rest>.+)")
_MAX_CLAIM_WORDS = 16  # of a question with its claim; each word is tried as the one at which the claim begins
_CHANGED = re.compile(
    r"(?:when|since when) (?:did|was|were|has|is) (?P<phrase>.+?) (?:last )?(?:change|changed|updated|moved|move)"
)
_NOW = re.compile(r"[ ,]*\b(?:now|currently|right now|at the moment|these days|today)\b")
_STILL = re.compile(r"\b(?:still|really|actually|already|indeed) ")
_OWN = frozenset(("the", "a", "an", "my", "our", "your"))
_ME = re.compile(r"(?:i|me|my|we|our)")
_VERBS = {
    "live": "home", "work": "workplace", "cost": "price", "begin": "start", "finish": "end", "leave": "depart",
}  # fmt: skip
_SYNONYMS = {"cost": "price", "colour": "color", "start time": "time", "due date": "deadline", "email address": "email"}
_VERBAL = frozenset({"open", "close", "start", "end", "depart", "arrive", "land"})
_UNNAMED = frozenset(("is", "location", "time"))  # predicates that a question need not name
_SPEAKER = "speaker"


class Reading(NamedTuple):
    """Who a question is about, the predicate that answers it, and the object that it takes to be so, if it does."""

    subject: str
    predicate: str
    claim: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactQuestion:
    """Its readings, the likeliest first. `tense` is what is asked of the chain, `past` whether a claim is of then."""

    readings: tuple[Reading, ...]
    tense: Tense
    past: bool = False


def parse_fact_question(plain: str) -> FactQuestion | None:
    """Read a plain, lower-case question without its time expressions; None if it has no form that facts answer."""
    text = _NOW.sub("", plain.strip(" ?.!"))
    tense: Tense = "now"
    asked: tuple[tuple[re.Pattern[str], Tense], ...] = ((PREVIOUSLY, "before"), (ORIGINALLY, "first"))
    for said, when in asked:
        if said.search(text):
            text, tense = said.sub("", text), when
    if age := _AGE.match(text):
        text = age["head"] + text[age.end() :]
        tense = "before" if age["before"] else "first" if age["first"] else tense
    if match := _CHANGED.fullmatch(text):
        changed = tuple(Reading(*pair) for pair in _readings(f"what is {match['phrase']}"))
        return FactQuestion(readings=changed, tense="change")
    if match := _CLAIM.fullmatch(_STILL.sub("", text)):
        found = tuple(dict.fromkeys(_claims(match["verb"], match["rest"].split())))
        return FactQuestion(readings=found, tense=tense, past=match["verb"] in ("was", "were", "did"))
    found = tuple(Reading(*pair) for pair in _readings(text))
    return FactQuestion(readings=found, tense=tense) if found else None


def _claims(verb: str, found: Sequence[str]) -> Iterator[Reading]:
    """What a yes-or-no question may claim: "is the garage code 4711" asks "what is the garage code" of 4711.

    Where the claim begins is not known, so each place is tried: only where facts know the rest is it a claim.
    """
    if len(found) > _MAX_CLAIM_WORDS:
        return
    asking = "what" if re.fullmatch(_BE, verb) else "where"
    for cut in range(len(found) - 1, 0, -1):
        parts = [(found[:cut], found[cut:])]
        if found[cut] in _OWN:  # "is 4711 the code of the garage"
            parts.append((found[cut:], found[:cut]))
        for topic, claim in parts:
            for subject, predicate in _readings(f"{asking} {verb} {' '.join(topic)}"):
                yield Reading(subject, predicate, " ".join(claim))


def _readings(text: str) -> Iterator[tuple[str, str]]:
    """(subject, predicate) pairs that a question may mean."""
    if match := _CALLED.fullmatch(text):
        yield _who(match["subject"]), "name"
    if match := _OF.fullmatch(text):
        yield _who(match["subject"]), _SYNONYMS.get(match["predicate"], match["predicate"])
    if match := _IS.fullmatch(text):
        phrase = match["phrase"]
        parts = phrase.split()
        for size in range(1, min(3, len(parts))):
            last = " ".join(parts[-size:])
            yield _who(" ".join(parts[:-size])), _SYNONYMS.get(last, last)
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
    for subject, predicate, claim in asked.readings:
        chain = [fact for fact in inquiry.retriever.facts(subject, predicate, history=True) if _in_scope(inquiry, fact)]
        if not chain:
            continue
        chosen = _chosen(chain, asked.tense, [_had_begun(fact, then, ends_ns) for fact in chain])
        if chosen < 0:
            continue
        if not claim:
            return _told(inquiry, chain, chosen, changed=asked.tense == "change")
        whenever = asked.past and asked.tense == "now" and then is None and not ends_ns
        if judged := _judged(inquiry, chain, chosen, claim, whenever=whenever):
            return judged
    return None


def _chosen(chain: Sequence[Fact], tense: Tense, begun: Sequence[bool]) -> int:
    """Which fact of the chain is asked for, of those that had begun by then; -1 if there is none."""
    last = max((number for number, started in enumerate(begun) if started), default=-1)
    if tense == "before":
        return last - 1
    if tense == "first":
        return min(last, 0)
    return -1 if tense == "change" and len(chain) < 2 else last


def _had_begun(fact: Fact, then: TimeSpan | None, ends_ns: Mapping[str, int] | None) -> bool:
    """Whether it held by the end of the time asked for: by wall time for calendar time, else by media time."""
    first = fact.evidence[0]
    if ends_ns:
        return fact.valid_from_ns < ends_ns.get(first.stream_id, max(ends_ns.values()))
    return then is None or first.span.start_ns < then.end_ns


def _in_scope(inquiry: Inquiry, fact: Fact) -> bool:
    streams = inquiry.scope.stream_ids
    return not streams or any(cited.stream_id in streams for cited in fact.evidence)


def _judged(inquiry: Inquiry, chain: Sequence[Fact], chosen: int, claim: str, whenever: bool) -> Draft | None:
    """Yes or no to a claim, by the fact asked for; `whenever`: "was" without a time is true of each that held.

    None if the claim is no value that the predicate could have, for then the question is about something else.
    """
    same = [number for number, fact in enumerate(chain) if _plain(fact.object) == _plain(claim)]
    is_so = chosen in same
    if same and not is_so:  # that both still hold is so of the names of two speakers
        is_so = whenever or all(chain[number].valid_to_ns is None for number in (chosen, same[-1]))
        chosen = same[-1] if is_so else chosen
    if is_so:
        told = _told(inquiry, chain, chosen)
        return replace(told, text=f"Yes. {told.text}")
    if same or _is_alike(claim, chain[chosen], proper_names(inquiry.question.text)):
        told = _told(inquiry, chain, chosen, beside=same[-1] if same else None)
        return replace(told, text=f"No. {told.text}")
    return None


def _plain(value: str) -> list[str]:
    return [word for word in words(value) if word not in _OWN]


def _is_alike(claim: str, fact: Fact, names: frozenset[str]) -> bool:
    """Whether a value that was never told could be one of this fact's: a number for a number, a name for a name."""
    claimed, told = _plain(claim), _plain(fact.object)
    if fact.predicate in _UNNAMED or len(claimed) != len(told):
        return False
    has_digit = re.compile(r"\d").search
    return bool(has_digit(fact.object) and has_digit(claim)) or (not has_digit(fact.object) and names >= set(claimed))


def _told(
    inquiry: Inquiry, chain: Sequence[Fact], chosen: int, changed: bool = False, beside: int | None = None
) -> Draft:
    """The fact in words with its evidence, and beside it another: else what came after it or, if it holds, before."""
    fact, is_newest = chain[chosen], chosen == len(chain) - 1
    said = inquiry.tell(_candidate(fact.evidence[0]))
    text = f"{_about(fact)} {'is' if is_newest else 'was'} {quote(fact.object)}. {said}"
    if changed:
        text = f"{_about(fact)} changed to {quote(fact.object)}. {said}"
    evidence = [_candidate(fact.evidence[0])]
    if beside is None:
        beside = chosen - 1 if is_newest else chosen + 1
    if beside >= 0:
        other = _candidate(chain[beside].evidence[0])
        when = "Later it became" if beside > chosen else "Before that it was"
        evidence.append(other)
        until = ""
        if beside < chosen - 1:
            end = _candidate(chain[beside + 1].evidence[0])
            until = f", until {clock(end.span.start_ns)}{inquiry.beside_clock(end)}"
            evidence.append(end)
        text += f" {when} {quote(chain[beside].object)}{until}. {inquiry.tell(other)}"
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
