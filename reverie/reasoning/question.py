"""A question in plain English, read by rules into a `Question`: its kind, what it is about, when, and by which sense.

    "When did the cat appear?"                       WHEN     cues=("cat",)
    "What did she say about the train after 1:00?"   SAID     cues=("train",)  time=after 1:00
    "What text was on screen while he said hello?"   WRITTEN  cues=()  anchor=while "hello" (speech)
    "Which came first, the cat or the rocket?"       ORDER    cues=("cat", "rocket")

Quoted words are protected: they are content, whatever they say. Reading never fails; what no rule
knows becomes WHAT with the content words as its cue.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from reverie.reasoning import grammar
from reverie.reasoning.calendar_time import CalendarTime, find_calendar
from reverie.reasoning.grammar import QuestionKind
from reverie.reasoning.timewords import NOW, TimeExpression, parse_time
from reverie.reasoning.vocabulary import STOPWORDS, content_words, plain, words
from reverie.types import Modality

TEXT = (Modality.SPEECH, Modality.WRITING)
SEEN = (Modality.OBJECTS, Modality.VISION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """Something to find: its words, the senses that the question names for it, and words it cannot do without.

    `names` are the proper names and numbers in it, `optional` the words that name the kind of answer
    ("which platform", "how heavy"), `verbatim` whether it stood in quotation marks.
    """

    text: str
    modalities: tuple[Modality, ...] = ()
    names: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    verbatim: bool = False

    @property
    def is_empty(self) -> bool:
        return not any(word not in STOPWORDS for word in words(self.text)) and not self.verbatim


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """Another moment that bounds the question: while, before or after something that has to be found first.

    `edge` says which end of it is meant where the words do: "after the rain started", "until the music stopped".
    """

    relation: Literal["while", "before", "after"]
    cue: Cue
    close: bool = False  # "right after"
    edge: Literal["", "start", "end"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question, understood.

    `relation` is what an ORDER question asks ("first", "last", "before", "after", "which"), or which of
    several a list is asked for ("first", "last"). `whole` is the content before a "while", "before" or
    "after" clause was split off, because "what should be watered before noon" may be one thing that was
    said. `calendar` is a calendar time in it, and `timed` the question without that, to be asked of the time it means.
    """

    text: str
    kind: QuestionKind
    cues: tuple[Cue, ...] = ()
    time: TimeExpression | None = None
    anchor: Anchor | None = None
    modalities: tuple[Modality, ...] = ()
    relation: str = ""
    whole: Cue | None = None
    calendar: CalendarTime | None = None
    timed: Question | None = None
    plain: str = ""

    @property
    def is_verbal(self) -> bool:
        """Whether it asks only for words that were said or written, whatever they are about."""
        asked = {m for cue in self.cues for m in cue.modalities} | set(self.modalities)
        return self.kind is not QuestionKind.WHO and bool(asked) and asked <= set(TEXT)

    @property
    def cue(self) -> Cue:
        """What it is about; empty if it names nothing."""
        return self.cues[0] if self.cues else Cue(text="", modalities=self.modalities)


_QUOTED = re.compile(r'"([^"]{1,300})"')
_SLOT = "\ue000"
_K = QuestionKind


def parse(text: str) -> Question:
    """Read a question of any text."""
    quotes: list[str] = []

    def keep(match: re.Match[str]) -> str:
        quotes.append(match[1])
        return f"{_SLOT}{len(quotes) - 1} "

    clean = plain(text.replace(_SLOT, " "))
    body = _QUOTED.sub(keep, clean)
    for pattern, full in grammar.CONTRACTIONS:
        body = pattern.sub(full, body)
    whole = grammar.BEFORE_ASKING.sub("", _tidy(grammar.POLITE.sub("", _tidy(body), count=1)))
    body = _tidy(grammar.TAIL.sub("", whole))
    names = proper_names(text)
    question = _timed(text, body, quotes, names)
    calendar, rest = find_calendar(whole)  # with its end: the last hour "of the film" is media time
    if calendar is None:
        return question
    timed = _timed(text, _tidy(grammar.TAIL.sub("", rest)), quotes, names)
    return replace(question, calendar=calendar, timed=timed)


def _timed(text: str, body: str, quotes: list[str], names: frozenset[str]) -> Question:
    """A plain question, its media time taken out."""
    present = bool(grammar.PRESENT.search(body))
    time, rest = parse_time(body)
    rest = _tidy(grammar.TAIL.sub("", _tidy(rest)))
    if present and time is None:
        time = NOW
    question = _read(rest, quotes, names)
    return replace(question, text=text, plain=body, time=time, kind=_now_kind(question, time))


def _tidy(text: str) -> str:
    return " ".join(text.split()).strip(" ?!.,;:-¿¡")


def _now_kind(question: Question, time: TimeExpression | None) -> QuestionKind:
    describing = question.kind in (_K.WHAT, _K.SUMMARY, _K.SAID, _K.WRITTEN) and question.cue.is_empty
    return _K.NOW if time is not None and time.is_now and describing and question.anchor is None else question.kind


def proper_names(text: str) -> frozenset[str]:
    """Words that carry a capital inside the question (not at its start), and numbers; all lower-case."""
    tokens = re.findall(r"\w+(?:['’]\w+)?", text)
    capital = [
        t for i, t in enumerate(tokens) if i and t[0].isupper() and t not in ("I", "A", "I'm", "I've", "TV", "OK")
    ]
    if len(capital) > max(2, len(tokens) // 2):  # a title, or shouting: capitals say nothing
        capital = []
    numbers = [t for t in tokens if t.isdigit()]
    found = {w for token in (*capital, *numbers) for w in words(token)}
    return frozenset(found - STOPWORDS)


def _read(rest: str, quotes: list[str], names: frozenset[str]) -> Question:
    order = _read_order(rest, quotes, names)
    if order is not None:
        return order
    whole = rest
    anchor, rest = _split_anchor(rest, quotes, names)
    kind, body = _head(rest)
    cue = _typed(cue_of(body, quotes, names), rest)
    modalities = _hints(rest)
    if kind is _K.WHAT and Modality.SPEECH in modalities and not grammar.SCREEN_SAYS.search(rest):
        kind = _K.SAID
    elif kind is _K.WHAT and Modality.WRITING in modalities:
        kind = _K.WRITTEN
    if not modalities and grammar.EXISTS.match(rest) and not cue.names and len(words(cue.text)) <= 3:
        modalities = SEEN
    cue = _settle(cue, kind, rest, modalities)
    return Question(
        text=rest,
        kind=kind,
        cues=() if cue.is_empty else (cue,),
        anchor=anchor,
        modalities=modalities,
        relation=_which_of(rest, cue),
        whole=_typed(cue_of(_head(whole)[1], quotes, names), whole) if anchor is not None else None,
    )


def _settle(cue: Cue, kind: QuestionKind, rest: str, modalities: tuple[Modality, ...]) -> Cue:
    """What the whole question says about its cue: the senses, "anyone" as a person, a "sign" that only carries text."""
    if cue.verbatim:
        return replace(
            cue, modalities=(Modality.WRITING,) if modalities in (SEEN, (Modality.WRITING,)) else modalities or TEXT
        )
    if modalities == (Modality.WRITING,) and grammar.CARRIER.fullmatch(cue.text):
        cue = replace(cue, text="")
    anyone = kind in (_K.IS_THERE, _K.WHEN, _K.HOW_MANY, _K.WHERE, _K.DURATION) and grammar.ANYONE.search(rest)
    if cue.is_empty and anyone and Modality.SPEECH not in modalities and Modality.WRITING not in modalities:
        return Cue(text="person", modalities=SEEN)
    return replace(cue, modalities=modalities or cue.modalities)


def _typed(cue: Cue, rest: str) -> Cue:
    """Mark the words that name the kind of answer, if other words are left."""
    match = grammar.ANSWER_TYPE.match(rest)
    types = words(match["type"]) if match else []
    left = [word for word in words(cue.text) if word not in types and word not in STOPWORDS]
    return replace(cue, optional=tuple(types)) if left and not cue.verbatim else cue


def _which_of(rest: str, cue: Cue) -> str:
    """Whether the first or the last of several is asked for, in words that are not content themselves."""
    match = re.search(r"\b(first|last)\b", rest)
    return match[1] if match and match[1] not in words(cue.text) and not cue.verbatim else ""


def _head(rest: str) -> tuple[QuestionKind, str]:
    for kind, pattern in grammar.HEADS:
        if match := pattern.match(rest):
            if match[0] in ("show", "find", "") and len(rest.split()) < 2:
                continue
            return kind, rest[match.end() :]
    if grammar.OPEN_HEAD.match(rest):
        return _K.WHAT, grammar.OPEN_HEAD_WORDS.sub("", rest)
    return (_K.WHEN if len(rest.split()) <= 8 and content_words(rest) else _K.WHAT), rest


def _hints(text: str) -> tuple[Modality, ...]:
    """The senses that the words of a question name; empty when it names none."""
    if grammar.MUSIC.search(text) and not grammar.NOT_MUSIC.search(text):
        return (Modality.SOUND,)
    if grammar.SCREEN_SAYS.search(text) or (grammar.WRITING.search(text) and not grammar.UTTERED.search(text)):
        return (Modality.WRITING,)
    if grammar.SUBJECT_SAYS.search(text):
        return TEXT
    if grammar.SPEECH.search(text):
        return (Modality.SPEECH,)
    if grammar.WRITING.search(text):
        return (Modality.WRITING,)
    if grammar.SEE.search(text):
        return SEEN
    return ()


def cue_of(phrase: str, quotes: list[str], names: frozenset[str]) -> Cue:
    """The content of a phrase, stripped of the words that only carry the question."""
    hints = _hints(phrase)
    slots = [quotes[int(number)] for number in re.findall(_SLOT + r"(\d+)", phrase) if int(number) < len(quotes)]
    if slots:
        return Cue(
            text=" ".join(slots),
            modalities=hints if hints and hints != SEEN else TEXT,
            names=tuple(sorted(w for w in words(" ".join(slots)) if w.isdigit())),
            verbatim=True,
        )
    core = _tidy(grammar.PREVIOUSLY.sub("", grammar.ORIGINALLY.sub("", _tidy(phrase))))
    previous = None
    while core and core != previous:
        previous = core
        core = _tidy(grammar.FRONT.sub("", core))
        core = _tidy(grammar.BACK.sub("", core))
    core = grammar.LAST_PLACE.sub("", core).strip()
    return Cue(text=core, modalities=hints, names=tuple(dict.fromkeys(w for w in words(core) if w in names)))


def _split_anchor(rest: str, quotes: list[str], names: frozenset[str]) -> tuple[Anchor | None, str]:
    """Take a "while ...", "before ..." or "after ..." clause off a question."""
    if match := grammar.LEADING_RELATION.match(rest):
        clause, main = match["rest"], match["main"]
    elif match := grammar.RELATION.search(rest):
        clause, main = match["rest"], rest[: match.start()]
    else:
        return None, rest
    if not main.split() or grammar.NO_MAIN.fullmatch(main):
        return None, rest
    edge: Literal["", "start", "end"] = ""
    if match_edge := grammar.BEGINS.search(clause) or grammar.ENDS.search(clause):
        edge = "start" if grammar.BEGINS.search(clause) else "end"
        clause = clause[: match_edge.start()]
    cue = cue_of(clause, quotes, names)
    if cue.is_empty:
        return None, rest
    word = match["rel"]
    relation: Literal["while", "before", "after"] = "while"
    if word in ("before", "prior to", "until", "till"):
        relation = "before"
    elif word in ("after", "once", "as soon as", "following", "since"):
        relation = "after"
    if word == "since" and not edge:
        edge = "start"
    return Anchor(relation=relation, cue=cue, close=bool(match["close"]), edge=edge), main


def _read_order(rest: str, quotes: list[str], names: frozenset[str]) -> Question | None:
    """Two things compared: "which came first, A or B", "did A happen before B", "was A before or after B"."""

    def made(first: str, second: str, relation: str) -> Question | None:
        shared = _hints(rest.replace(first, " ").replace(second, " "))
        cues = tuple(cue_of(part, quotes, names) for part in (first, second))
        if any(cue.is_empty for cue in cues):
            return None
        cues = tuple(replace(c, modalities=c.modalities or shared) for c in cues)
        whole = cue_of(_head(rest)[1], quotes, names)
        return Question(text=rest, kind=_K.ORDER, cues=cues, relation=relation, whole=whole)

    if match := grammar.BEFORE_AFTER.search(rest):
        return made(match["a"], match["b"], "which")
    if (match := grammar.FIRST_OF.match(rest)) and " or " in rest:
        side = match["post"] if " or " in match["post"] else match["pre"]
        side = re.sub(r"^(?:which|what|who)\b", "", side)
        first, _, second = side.partition(" or ")
        relation = "last" if match["rel"].startswith("la") else "first"
        return made(first, second, relation)
    if match := grammar.YES_NO_ORDER.match(rest):
        relation = "after" if match["rel"] in ("after", "later than") else "before"
        return made(match["a"], match["b"], relation)
    return None
