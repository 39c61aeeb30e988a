"""Answers that find one thing: when, is there, what, who, said, written, where."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from reverie.reasoning import grammar
from reverie.reasoning.evidence import Candidate, joined
from reverie.reasoning.grammar import QuestionKind
from reverie.reasoning.inquiry import Draft, Inquiry, abstention
from reverie.reasoning.names import category_of
from reverie.reasoning.phrasing import article, picture_place, upper_first
from reverie.reasoning.question import SEEN, TEXT, Cue, Question
from reverie.reasoning.recounting import answer_listing
from reverie.reasoning.vocabulary import COLOURS, content_words, coverage, listed, stem, stems
from reverie.types import Modality


def answer_found(inquiry: Inquiry) -> Draft:
    """WHEN, IS_THERE, WHAT, WHO, SAID, WRITTEN and WHERE, by the best evidence for the question's cue.

    A plain "what" ("what does the soup need") is answered by words alone: that a soup was seen is no answer.
    """
    question = inquiry.question
    if question.cue.is_empty:
        return answer_listing(inquiry)
    words_only = question.kind is QuestionKind.WHAT and not question.modalities and not _is_category(question.cue)
    found = inquiry.locator.locate(question.cue, inquiry.scope, TEXT if words_only else ())
    chosen = inquiry.credible(found)
    if not chosen and question.kind in (QuestionKind.WHAT, QuestionKind.WHERE) and question.modalities == SEEN:
        # "what can be seen with the telescope": seeing is what the question is about, not how it is answered
        told = inquiry.credible(inquiry.locator.locate(question.cue, inquiry.scope, TEXT))
        if told:
            return quoted(inquiry, told)
    if not chosen:
        return not_found(inquiry, question.cue, found)
    if question.kind in (QuestionKind.WHEN, QuestionKind.IS_THERE) or not chosen[0].is_text:
        return _located(inquiry, found)
    return quoted(inquiry, chosen)


def _is_category(cue: Cue) -> bool:
    """Whether a cue asks for one of a kind ("which animal"), which a name answers."""
    found = content_words(cue.text)
    return len(found) == 1 and bool(category_of(found[0]))


def _located(inquiry: Inquiry, found: Sequence[Candidate]) -> Draft:
    question = inquiry.question
    occurrences = inquiry.occurrences(found)
    best = _chosen(inquiry, occurrences, found[0])
    others = [occurrence for occurrence in occurrences if occurrence is not best]
    text = inquiry.tell(best, question.cue)
    if question.kind is QuestionKind.IS_THERE:
        text = "Yes. " + text
    if question.kind is QuestionKind.WHERE:
        text = where(inquiry, best)
    text = text.rstrip() + narrower_note(best) + inquiry.also(others)
    support = [c for c in inquiry.credible(found) if c.modality is not best.modality and c.span.overlaps(best.span)]
    return Draft(text=text, evidence=(best, *others, *support), confidence=best.probability)


def _chosen(inquiry: Inquiry, occurrences: Sequence[Candidate], best: Candidate) -> Candidate:
    """The first or the last if that was asked, else the most probable one, told with its whole stretch of time."""
    if inquiry.question.relation == "first":
        return occurrences[0]
    if inquiry.question.relation == "last":
        return inquiry.in_order(occurrences, by_end=True)[-1]
    holding = [o for o in occurrences if o.stream_id == best.stream_id and o.span.union(best.span) == o.span]
    return holding[0] if holding else max(occurrences, key=lambda c: c.probability)


def quoted(inquiry: Inquiry, chosen: Sequence[Candidate]) -> Draft:
    """Quote what was said or written, most probable first."""
    texts = [candidate for candidate in chosen if candidate.is_text]
    several = inquiry.question.kind in (QuestionKind.SAID, QuestionKind.WRITTEN)
    shown = texts[: inquiry.config.max_quotes if several else 1]
    text = " ".join(inquiry.tell(candidate) for candidate in shown)
    if len(texts) > len(shown):
        text += inquiry.also(joined(texts[len(shown) :], 0))
    return Draft(text=text, evidence=(*texts,), confidence=texts[0].probability)


def where(inquiry: Inquiry, best: Candidate) -> str:
    """Where a thing was: by its box, else only that it filled the scene."""
    name = upper_first(article(best.name or "it"))
    if best.box is not None:
        return f"{name} was seen {picture_place(best.box)}, {inquiry.when(best)}."
    if best.modality is Modality.VISION:
        return f"{inquiry.tell(best, inquiry.question.cue)} Only tracked things have a place in the picture."
    return inquiry.tell(best)


def narrower_note(best: Candidate) -> str:
    """Say so when the question was narrower ("puppy") than what the detector can name ("dog")."""
    if best.modality is Modality.OBJECTS and best.features and best.features[0] < 1:
        return f" (It is known only as {article(best.name)}.)"
    return ""


def not_found(inquiry: Inquiry, cue: Cue, found: Sequence[Candidate]) -> Draft:
    """Abstain; look at the other senses once, to say what came nearest."""
    asked = cue.modalities or tuple(Modality)
    others = tuple(m for m in inquiry.senses.modalities if m not in asked)
    elsewhere = inquiry.locator.locate(replace(cue, modalities=others), inquiry.scope) if others else []
    return abstention(inquiry, cue.text, [*found[:1], *elsewhere[:1]])


def answer_from_quotes(inquiry: Inquiry, sense: str) -> Draft | None:
    """For a question that needs a missing sense: what was said or written may answer it all the same.

    The quote must be credible evidence for the cue and hold what `_answers` asks for. Who said
    something is never in the words themselves.
    """
    question = inquiry.question
    cue = question.whole if question.whole is not None else question.cue
    if cue.is_empty or (question.kind is QuestionKind.WHO and Modality.SPEECH in question.modalities):
        return None
    core = tuple(w for w in content_words(cue.text) if not _is_asking(w, cue, sense))
    if not core or question.modalities == SEEN:
        return None
    narrowed = Cue(text=" ".join(core), modalities=TEXT, names=cue.names)
    found = inquiry.credible(inquiry.locator.locate(narrowed, inquiry.scope))
    holding = [c for c in found if _answers(c, core, cue, sense, question)]
    return quoted(inquiry, holding) if holding else None


def quoted_calendar(inquiry: Inquiry) -> Draft | None:
    """A calendar time may be part of what was said: "on Fridays"; "this morning" only word for word."""
    question = inquiry.question
    assert question.calendar is not None
    cue = question.whole or question.cue
    asked = set(stems(question.calendar.words)) - _WHEN_WORDS
    if not cue.is_empty:
        found = inquiry.credible(inquiry.locator.locate(cue, inquiry.scope, TEXT))
        words = question.calendar.words.lower()
        whole = words if re.match(r"(?:this|last|next) ", words) else ""
        if holding := [c for c in found if asked <= set(stems(c.text)) and whole in c.text.lower()]:
            return quoted(inquiry, holding)
    return None


def _is_asking(word: str, cue: Cue, sense: str) -> bool:
    """Whether a word names the kind of answer and not its subject."""
    return stem(word) in _ASKING or word in cue.optional or (sense == "colour" and word in COLOURS)


def _answers(candidate: Candidate, core: Sequence[str], cue: Cue, sense: str, question: Question) -> bool:
    """Whether a quote can stand for what eyes would have to see.

    A colour question needs a colour in it, and all else; "how heavy" needs a number; otherwise two
    content words and most of them, a proper name, or, for "who", a role ("the director").
    """
    have = stems(candidate.text)
    share = coverage([stem(word) for word in core], have)
    if sense == "colour":
        asked = {stem(word) for word in content_words(cue.text) if word in COLOURS}
        return share == 1 and bool((asked or {stem(colour) for colour in COLOURS}) & set(have))
    if grammar.HOW_MUCH.match(question.plain) and share == 1 and any(word.isdigit() for word in have):
        return True
    if question.kind is QuestionKind.WHO and share == 1 and not set(core) & _ANYONE:
        return True
    return (share * len(core) >= 2 and share >= 0.6) or (bool(cue.names) and share == 1)


_ASKING = frozenset(stems("colour color colours colors kind type name direction way doing action activity"))
_ANYONE = frozenset(listed("person people man woman boy girl child kid guy lady voice speaker picture screen"))
_WHEN_WORDS = frozenset(stems("on in at of the last this from between and to since after before until around about by"))
