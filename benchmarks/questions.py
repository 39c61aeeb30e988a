"""Questions about a sample stream with what counts as their answers, made from its truth.

    python benchmarks/questions.py sample.truth.json      # one JSON object a line

Deterministic for a stream: the generator's seed is the stream's. The answerable ones ask for what the truth holds, in
several phrasings of every kind; those without an answer come from `unanswerable.py`. Scoring is in `scoring.py`.

Quotas hold apart for questions about things that no class list of the embedded profile has ("open", see
demos/sample/catalogue.py), so that these never crowd out the others, and are reported apart.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.phrasing import Draft, Phrasing, bare, the
from benchmarks.scoring import Question, SpanS
from benchmarks.unanswerable import Unanswerable, vocabulary_of
from demos.sample.plan import VISITORS
from demos.sample.truth import Fact, Truth
from demos.sample.words import load_captions, load_sentences


def make_questions(truth: Truth) -> tuple[Question, ...]:
    """All questions about one stream: for two minutes, about 30 answerable and 30 unanswerable ones."""
    words = Phrasing(np.random.default_rng((truth.seed, 2)))
    things = main_things(truth)
    quotas = (*Answerable(truth, things, words).quotas(), *Unanswerable(truth, things, words).quotas())
    drafts = [draft for quota in quotas for draft in _taken(*quota)]
    return tuple(Question(question_id=f"s{truth.seed}-{n:02d}", **draft) for n, draft in enumerate(drafts))  # type: ignore[arg-type]


def main_things(truth: Truth) -> tuple[Fact, ...]:
    """The first fact of every main thing that is seen for at least 1.5 s."""
    found: dict[str, Fact] = {}
    for fact in truth.of("seen", "visit"):
        if fact.names and fact.end_s - fact.start_s >= 1.5:
            found.setdefault(fact.text, fact)
    return tuple(found.values())


def _taken(make: Callable[[], Iterator[Draft]], most: int, most_open: int) -> Iterator[Draft]:
    """So many drafts about listed things, words and music, and so many about open things."""
    left = {False: most, True: most_open}
    for draft in make():
        is_open = draft.get("vocabulary") == "open"
        if left[is_open] > 0:
            left[is_open] -= 1
            yield draft
        if not any(left.values()):
            return


class Answerable:
    """Every method yields drafts of one kind, in random order. `things` are the first facts of all main things."""

    def __init__(self, truth: Truth, things: Sequence[Fact], words: Phrasing) -> None:
        self._truth, self._things, self._words = truth, things, words
        self._sentences = {sentence.sentence_id: sentence for sentence in load_sentences()}
        self._captions = {caption.caption_id: caption for caption in load_captions()}

    def quotas(self) -> tuple[tuple[Callable[[], Iterator[Draft]], int, int], ...]:
        """How many questions to take of each kind, and how many more about open things."""
        return (
            (self.when_seen, 4, 2), (self.is_there, 3, 2), (self.what_at, 3, 1), (self.asked_of_speech, 4, 0),
            (self.when_said, 3, 0), (self.said_while, 2, 1), (self.seen_while, 2, 1), (self.asked_of_text, 3, 0),
            (self.when_written, 2, 0), (self.order_of_things, 2, 1), (self.order_of_speech, 1, 0),
            (self.how_many, 2, 0), (self.where, 3, 1), (self.music, 1, 0),
        )  # fmt: skip

    # --- seen -----------------------------------------------------------------------------------

    def when_seen(self) -> Iterator[Draft]:
        for fact in self._words.shuffled(self._things):
            yield self._seen(
                fact,
                kind="when",
                tells_time=True,
                text=self._words.phrase(
                    "When did you see {}?", "When did {} appear?", "At what time did {} come into view?",
                    "When could one see {}?", thing=fact.text,
                ),
            )  # fmt: skip

    def is_there(self) -> Iterator[Draft]:
        for fact in self._words.shuffled(self._things):
            yield self._seen(
                fact,
                kind="is_there",
                keywords=(("yes", *fact.names),),
                text=self._words.phrase(
                    "Did you see {}?", "Did {} appear at any time?", "Have you seen {}?", thing=fact.text
                ),
            )

    def what_at(self) -> Iterator[Draft]:
        """What stands on the screen at a moment: every main thing of that moment is right."""
        for fact in self._words.shuffled(self._truth.of("seen", "visit")):
            at_s = round((fact.start_s + fact.end_s) / 2)
            there = [other for other in self._truth.of("seen", "visit") if other.start_s + 1 <= at_s < other.end_s - 1]
            if fact.names and fact in there:
                yield {
                    "kind": "what", "answerable": True, "spans_s": tuple(other.span_s for other in there),
                    "keywords": (tuple(name for other in there for name in other.names),),
                    "vocabulary": _any_lists(there),
                    "text": self._words.phrase(
                        "What did you see at {}?", "What was on the screen at {}?", "What could one see around {}?",
                        thing=f"{at_s // 60}:{at_s % 60:02d}",
                    ),
                }  # fmt: skip

    def how_many(self) -> Iterator[Draft]:
        """Counts of visits, and of the showings of things that nothing else in the stream resembles."""
        for fact in self._words.shuffled(self._things):
            shown = [other for other in self._truth.of("seen", "visit") if fact.names[0] in other.names]
            if fact.source_id not in VISITORS or shown != list(self._truth.showing(fact.names[0])):
                continue
            if fact.kind == "visit":
                texts = ("How many times did {} cross the screen?", "How often did {} come by?")
            else:
                texts = ("How many times did {} appear?", "How often was there {} on the screen?")
            yield self._seen(fact, kind="how_many", number=len(shown), text=self._words.phrase(*texts, thing=fact.text))

    def where(self) -> Iterator[Draft]:
        for fact in self._words.shuffled(self._truth.of("seen")):
            if fact.position and {other.position for other in self._truth.showing(fact.names[0])} == {fact.position}:
                other = "right" if fact.position == "left" else "left"
                yield self._seen(
                    fact, kind="where", keywords=((fact.position,),), rivals=(other,),
                    text=self._words.phrase(
                        "On which side of the picture was {}, left or right?", "Where in the picture was {}?",
                        thing=the(fact.text),
                    ),
                )  # fmt: skip
        visits = self._truth.of("visit")
        if visits and len({fact.position for fact in visits}) == 1:
            fact = visits[0]
            goal = fact.position.split(" to ")[1]
            yield self._seen(
                fact, kind="where", keywords=((f"to {goal}", f"to the {goal}", f"{goal}ward"),),
                text=f"In which direction did {the(fact.text)} move across the screen?",
            )  # fmt: skip

    def order_of_things(self) -> Iterator[Draft]:
        lone = [fact for fact in self._things if self._apart(fact)]
        for first, second in self._pairs(lone):
            yield {
                "kind": "order", "answerable": True, "spans_s": (self._first(first), self._first(second)),
                "keywords": (first.names,), "rivals": tuple(set(second.names) - set(first.names)),
                "vocabulary": "open" if vocabulary_of(second) == "open" else vocabulary_of(first),
                "text": self._words.either(
                    "Which came first, {} or {}?", "What did you see first, {} or {}?", first.text, second.text
                ),
            }  # fmt: skip

    # --- said, written, heard -------------------------------------------------------------------

    def asked_of_speech(self) -> Iterator[Draft]:
        for fact in self._words.shuffled(self._truth.of("said")):
            sentence = self._sentences[fact.source_id]
            text = self._words.phrase(sentence.question, "What was said about {}?", thing=sentence.topic)
            yield _quoting("said", fact, text, sentence.answer)

    def when_said(self) -> Iterator[Draft]:
        for fact in self._words.shuffled(self._truth.of("said")):
            text = self._words.phrase(
                "When did somebody mention {}?", "When did they talk about {}?", "At what time was there talk of {}?",
                thing=self._sentences[fact.source_id].topic,
            )  # fmt: skip
            yield {"kind": "said", "answerable": True, "spans_s": (fact.span_s,), "tells_time": True, "text": text}

    def said_while(self) -> Iterator[Draft]:
        """What was said during something that is seen once, where a single sentence falls into it."""
        for fact in self._words.shuffled(self._things):
            heard = [said for said in self._truth.of("said") if said.start_s < fact.end_s and fact.start_s < said.end_s]
            if self._apart(fact) and len(self._truth.showing(fact.names[0])) == 1 and len(heard) == 1:
                answer = self._sentences[heard[0].source_id].answer
                text = self._words.phrase(
                    "What was said while you could see {}?", "What did you hear while you saw {}?",
                    thing=the(fact.text),
                )  # fmt: skip
                yield {**_quoting("while", heard[0], text, answer), "vocabulary": vocabulary_of(fact)}

    def seen_while(self) -> Iterator[Draft]:
        for said in self._words.shuffled(self._truth.of("said")):
            seen = [
                fact
                for fact in self._truth.of("seen", "visit")
                if fact.names and fact.start_s <= said.start_s and said.end_s <= fact.end_s
            ]
            if seen:
                yield {
                    "kind": "while", "answerable": True, "spans_s": (*(fact.span_s for fact in seen), said.span_s),
                    "keywords": (tuple(name for fact in seen for name in fact.names),), "vocabulary": _any_lists(seen),
                    "text": self._words.phrase(
                        "What was on the screen when somebody mentioned {}?",
                        "What did you see while they talked about {}?",
                        thing=self._sentences[said.source_id].topic,
                    ),
                }  # fmt: skip

    def asked_of_text(self) -> Iterator[Draft]:
        for fact in self._words.shuffled(self._truth.of("written")):
            if fact.source_id in self._captions:
                caption = self._captions[fact.source_id]
                text = self._words.phrase(
                    caption.question,
                    "What did the text about {} say?",
                    "What was written about {}?",
                    thing=caption.topic,
                )
                yield _quoting("written", fact, text, caption.answer)

    def when_written(self) -> Iterator[Draft]:
        for fact in self._words.shuffled(self._truth.of("written")):
            if fact.source_id in self._captions:
                text = self._words.phrase(
                    'When did the text "{}" appear?', 'When could one read "{}" on the screen?', thing=fact.text
                )
                yield {
                    "kind": "written",
                    "answerable": True,
                    "spans_s": (fact.span_s,),
                    "tells_time": True,
                    "text": text,
                }

    def order_of_speech(self) -> Iterator[Draft]:
        for first, second in self._pairs(self._truth.of("said")):
            one, two = self._sentences[first.source_id].topic, self._sentences[second.source_id].topic
            yield {
                "kind": "order", "answerable": True, "spans_s": (first.span_s, second.span_s),
                "keywords": ((bare(one),),), "rivals": (bare(two),),
                "text": self._words.either(
                    "What was mentioned first, {} or {}?", "What was talked of first, {} or {}?", one, two
                ),
            }  # fmt: skip

    def music(self) -> Iterator[Draft]:
        spans_s = tuple(fact.span_s for fact in self._truth.of("heard"))
        if spans_s:
            text = self._words.phrase("When was there music?", "At what time did you hear music?", thing="")
            yield {"kind": "heard", "answerable": True, "spans_s": spans_s, "tells_time": True, "text": text}

    # --- parts ----------------------------------------------------------------------------------

    def _seen(self, fact: Fact, **fields: object) -> Draft:
        spans_s = tuple(other.span_s for other in self._truth.showing(fact.names[0]))
        return {"answerable": True, "spans_s": spans_s, "vocabulary": vocabulary_of(fact), **fields}

    def _apart(self, fact: Fact) -> bool:
        """Whether no other thing of the stream could be taken for this one."""
        shown = self._truth.showing(fact.names[0])
        return {other.text for other in shown} == {fact.text}

    def _first(self, fact: Fact) -> SpanS:
        return self._truth.showing(fact.names[0])[0].span_s

    def _pairs(self, facts: Sequence[Fact]) -> Iterator[tuple[Fact, Fact]]:
        """Pairs in the order of time, at least 5 s apart, no fact twice; listed things with listed ones first."""
        mixed = sorted(self._words.shuffled(facts), key=lambda fact: vocabulary_of(fact) == "open")
        for one, two in zip(mixed[::2], mixed[1::2], strict=False):
            first, second = sorted((one, two), key=lambda fact: fact.start_s)
            if second.start_s - first.start_s >= 5:
                yield first, second


def _any_lists(facts: Sequence[Fact]) -> str:
    """The same where naming any one of several things is right."""
    return next((vocabulary_of(fact) for fact in facts if vocabulary_of(fact) != "open"), "open")


def _quoting(kind: str, fact: Fact, text: str, answer: tuple[str, ...]) -> Draft:
    return {"kind": kind, "answerable": True, "spans_s": (fact.span_s,), "keywords": (answer,), "text": text}


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python benchmarks/questions.py STREAM.truth.json", file=sys.stderr)
        return 2
    for question in make_questions(Truth.read(Path(sys.argv[1]))):
        print(json.dumps(asdict(question), ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
