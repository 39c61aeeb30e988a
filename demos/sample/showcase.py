"""Questions for the demo, picked from a stream's truth: one of each kind, and one whose answer is not there."""

from __future__ import annotations

from demos.sample.catalogue import CATALOGUE
from demos.sample.truth import Fact, Truth
from demos.sample.words import load_captions, load_sentences

ABSENT = ("an elephant", "a pizza", "an umbrella")


def showcase_questions(truth: Truth) -> list[str]:
    """Seven questions: what was seen, said, when, written, which first, how many, and something absent."""
    said = truth.of("said")
    written = [fact for fact in truth.of("written") if fact.source_id in {c.caption_id for c in load_captions()}]
    things = _things(truth)
    visits = truth.of("visit")
    questions = ["What was seen in the first minute?"]
    if said:
        sentence = next(s for s in load_sentences() if s.sentence_id == said[len(said) // 2].source_id)
        questions.append(sentence.question)
    if things:
        questions.append(f"When did {things[0].text} appear?")
    if written:
        middle_s = round((written[0].start_s + written[0].end_s) / 2)
        questions.append(f"What text was on the screen at {middle_s // 60}:{middle_s % 60:02d}?")
    if len(things) > 1:
        questions.append(f"Which came first, {things[-1].text} or {things[0].text}?")
    if visits:
        questions.append(f"How many times did {visits[0].text} cross the screen?")
    questions.append(f"Was there {_absent(truth)}?")
    return questions


def _things(truth: Truth) -> list[Fact]:
    """Things of the detector's list, each at its first appearance, in the order of time."""
    first: dict[str, Fact] = {}
    for fact in truth.of("seen"):
        asset = CATALOGUE.get(fact.source_id)
        if asset and asset.vocabulary == "coco" and not asset.parts and fact.end_s - fact.start_s >= 3:
            first.setdefault(fact.text, fact)
    return list(first.values())


def _absent(truth: Truth) -> str:
    return next(thing for thing in ABSENT if not any(fact.shows(thing.split()[-1]) for fact in truth.facts))
