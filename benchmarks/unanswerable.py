"""Questions about a sample stream that have no answer in it, in the style of those that have one.

Of four sorts: things that were not there, sentences and texts that belong to other streams or to none, orders with one
missing member, and what no camera can tell (names, moods, smells). A thing counts as absent only when no picture of the
stream shows it even by the way and no word of it is spoken or written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from benchmarks.phrasing import Draft, Phrasing, bare, the
from demos.sample.catalogue import CATALOGUE
from demos.sample.truth import Fact, Truth
from demos.sample.words import (
    Absent,
    Caption,
    Sentence,
    load_absent_captions,
    load_absent_sentences,
    load_captions,
    load_sentences,
)

NEVER_SHOWN = {  # by whose class list has them, by the same rule as in the catalogue
    "coco": (
        "a giraffe", "a zebra", "an elephant", "a cow", "a sheep", "a kite", "a surfboard", "a snowboard",
        "a pizza", "a banana", "a broccoli", "a hot dog", "a cake", "a donut", "a toilet", "a microwave",
        "a toaster", "a laptop", "a keyboard", "an umbrella", "a suitcase", "a tennis racket", "a skateboard", "a sink",
        "a pair of scissors", "a toothbrush", "a hair dryer", "a wine glass", "a baseball bat",
    ),
    "imagenet": (
        "a penguin", "a shark", "a lighthouse", "a volcano", "a guitar", "a piano", "a submarine", "a violin",
        "a candle", "a tent", "a tractor",
    ),
    "open": (
        "a windmill", "a parrot", "a swimming pool", "a snowman", "a chess board", "a dolphin", "a hammock",
        "a waterfall", "a robot", "a dragon", "a clown", "a hot air balloon",
    ),
}  # fmt: skip
BEYOND = (
    ("man_in_car", "What is the name of the man in the car?", "identity"),
    ("man_in_car", "Where is the man in the car going?", "intention"),
    ("man_in_car", "Does the man in the car feel nervous?", "mood"),
    ("astronaut", "What is the name of the astronaut?", "identity"),
    ("astronaut", "How old is the astronaut?", "identity"),
    ("cameraman", "Who is the man with the camera?", "identity"),
    ("cameraman", "What is the man with the camera thinking about?", "intention"),
    ("street", "What is the name of the cyclist?", "identity"),
    ("coffee", "How hot was the coffee?", "touch"),
    ("coffee", "How much did the cup of coffee cost?", "knowledge"),
    ("rabbit", "Why is the cartoon rabbit tired?", "intention"),
    ("flower", "What did the flower smell like?", "smell"),
    ("cat", "What is the name of the cat?", "identity"),
    ("", "What is the name of the person who was speaking first?", "identity"),
    ("", "Was the speaker in a good mood?", "mood"),
    ("", "What did it smell like at the start?", "smell"),
    ("", "Who filmed this video?", "knowledge"),
)  # fmt: skip
_SMALL = ("the", "hot", "air", "pair", "wine", "bat", "board", "pool", "glass", "dog")  # too common to tell a thing


class Unanswerable:
    """Every method yields drafts of one kind, in random order. `things` are facts of what the stream does show."""

    def __init__(self, truth: Truth, things: Sequence[Fact], words: Phrasing) -> None:
        self._truth, self._things, self._words = truth, things, words

    def quotas(self) -> tuple[tuple[Callable[[], Iterator[Draft]], int, int], ...]:
        """How many questions to take of each kind, and how many more about open things."""
        return (
            (self.when, 3, 1), (self.is_there, 4, 2), (self.how_many, 2, 1), (self.while_, 2, 1), (self.order, 2, 1),
            (self.speech, 7, 0), (self.text, 5, 0), (self.beyond, 5, 0),
        )  # fmt: skip

    def when(self) -> Iterator[Draft]:
        for thing, vocabulary in self._absent_things():
            text = self._words.phrase(
                "When did you see {}?", "When did {} appear?", "When could one see {}?", thing=thing
            )
            yield _draft("when", text, "absent thing", vocabulary)

    def is_there(self) -> Iterator[Draft]:
        for thing, vocabulary in self._absent_things():
            text = self._words.phrase("Did you see {}?", "Did {} appear at any time?", "Have you seen {}?", thing=thing)
            yield _draft("is_there", text, "absent thing", vocabulary)

    def how_many(self) -> Iterator[Draft]:
        for thing, vocabulary in self._absent_things():
            text = self._words.phrase(
                "How many times did {} cross the screen?", "How often did {} come by?", thing=thing
            )
            yield _draft("how_many", text, "absent thing", vocabulary)

    def while_(self) -> Iterator[Draft]:
        for thing, vocabulary in self._absent_things():
            text = self._words.phrase(
                "What was said while you could see {}?", "Where in the picture was {}?", thing=the(thing)
            )
            yield _draft("while" if "said" in text else "where", text, "absent thing", vocabulary)

    def order(self) -> Iterator[Draft]:
        """An absent thing and one that is shown, of a class list if any such is."""
        shown = [fact for fact in self._things if vocabulary_of(fact) != "open"] or self._things
        for (thing, vocabulary), fact in zip(self._absent_things(), self._words.shuffled(shown), strict=False):
            text = self._words.either(
                "Which came first, {} or {}?", "What did you see first, {} or {}?", thing, fact.text
            )
            yield _draft("order", text, "absent thing", vocabulary)

    def speech(self) -> Iterator[Draft]:
        """By turns about a topic of no sentence and about one that another stream has."""
        spoken = {fact.source_id for fact in self._truth.of("said")}
        others = [sentence for sentence in load_sentences() if sentence.sentence_id not in spoken]
        for pair in zip(self._words.shuffled(load_absent_sentences()), self._words.shuffled(others), strict=False):
            for entry in pair:
                if self._unheard_of(entry):
                    text = self._words.phrase(
                        entry.question, "What was said about {}?", "When did somebody mention {}?", thing=entry.topic
                    )
                    yield _draft("said", text, "absent sentence")

    def text(self) -> Iterator[Draft]:
        written = {fact.source_id for fact in self._truth.of("written")}
        others = [caption for caption in load_captions() if caption.caption_id not in written]
        for pair in zip(self._words.shuffled(load_absent_captions()), self._words.shuffled(others), strict=False):
            for entry in pair:
                text = self._words.phrase(entry.question, "What did the text about {} say?", thing=entry.topic)
                if isinstance(entry, Caption) and self._words.chance(0.3):
                    text = f'When did the text "{entry.text}" appear?'
                yield _draft("written", text, "absent text")

    def beyond(self) -> Iterator[Draft]:
        shown = {fact.source_id for fact in self._truth.facts}
        for needs, text, why in self._words.shuffled(BEYOND):
            if not needs or needs in shown:
                yield _draft("beyond", text, why)

    def _absent_things(self) -> Iterator[tuple[str, str]]:
        """Things with whose class list has them."""
        words = " ".join(" ".join((fact.text, *fact.names, *fact.also)) for fact in self._truth.facts).lower()
        pool = [(thing, vocabulary) for vocabulary, things in NEVER_SHOWN.items() for thing in things]
        for thing, vocabulary in self._words.shuffled(pool):
            if not any(
                re.search(rf"\b{word}", words) for word in thing.split() if len(word) > 2 and word not in _SMALL
            ):
                yield thing, vocabulary

    def _unheard_of(self, entry: Absent | Sentence) -> bool:
        """Whether no sentence or text of the stream has a telling word of the topic."""
        words = " ".join(fact.text for fact in self._truth.of("said", "written")).lower()
        return not any(re.search(rf"\b{word}", words) for word in bare(entry.topic).lower().split() if len(word) > 3)


def vocabulary_of(fact: Fact) -> str:
    """Whose class list has the thing of a fact; "" for what is said or written."""
    asset = CATALOGUE.get(fact.source_id)
    if asset is None:
        return ""
    return next((part.vocabulary for part in asset.parts if part.phrase == fact.text), asset.vocabulary)


def _draft(kind: str, text: str, why: str, vocabulary: str = "") -> Draft:
    return {"kind": kind, "answerable": False, "text": text, "why": why, "vocabulary": vocabulary}
