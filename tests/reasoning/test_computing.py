"""Order, counts and durations against the naive computation on the spans that were put in."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reverie.reasoning import Reasoner
from reverie.reasoning.computing import order_verdict
from reverie.reasoning.vocabulary import occurrences, stems
from reverie.types import ns
from tests.reasoning.fakes import SENSES, FakeRetriever

_STARTS = st.integers(0, 1000).map(lambda tenths: tenths / 10)


def _two(cat_s: float, dog_s: float) -> Reasoner:
    return Reasoner(FakeRetriever().watched(200).track("cat", cat_s, cat_s + 5).track("dog", dog_s, dog_s + 5), SENSES)


@given(_STARTS, _STARTS)
@settings(deadline=None)
def test_order_is_antisymmetric(cat_s, dog_s):
    reasoner = _two(cat_s, dog_s)
    forth = reasoner.ask("Did the cat appear before the dog?").text
    back = reasoner.ask("Did the dog appear before the cat?").text
    after = reasoner.ask("Did the dog appear after the cat?").text
    if ns(abs(cat_s - dog_s)) <= ns(1.0):
        assert forth.startswith("Unclear")
        assert back.startswith("Unclear")
    else:
        assert forth.startswith("Yes") == (cat_s < dog_s)
        assert back.startswith("Yes") == (dog_s < cat_s)
        assert after.startswith("Yes") == forth.startswith("Yes")


@given(_STARTS, _STARTS)
@settings(deadline=None)
def test_which_came_first_does_not_depend_on_how_it_is_asked(cat_s, dog_s):
    reasoner = _two(cat_s, dog_s)
    asked = [
        reasoner.ask(question)
        for question in (
            "Which came first, the cat or the dog?",
            "Which came first, the dog or the cat?",
            "Was the cat shown before or after the dog?",
        )
    ]
    assert len({answer.text.split(" came")[0].split(":")[0] for answer in asked}) == 1
    if ns(abs(cat_s - dog_s)) > ns(1.0):
        assert {answer.citations[0].text for answer in asked} == {"cat" if cat_s < dog_s else "dog"}


@given(st.integers(-(10**12), 10**12), st.sampled_from(["first", "last", "before", "after", "which"]))
def test_the_verdict_mirrors(gap_ns, relation):
    forth, back = order_verdict(relation, gap_ns, ns(1)), order_verdict(relation, -gap_ns, ns(1))
    if relation in ("before", "after") and not forth.startswith("Unclear"):
        assert {forth[:2], back[:2]} == {"Ye", "No"}
    elif not forth.startswith("Unclear"):
        assert back == forth.replace("{a}", "{x}").replace("{b}", "{a}").replace("{x}", "{b}")


def test_first_occurrences_are_compared():
    memory = FakeRetriever().watched(200).track("cat", 10, 15).track("cat", 100, 105).track("dog", 50, 55)
    answer = Reasoner(memory, SENSES).ask("Did the dog appear before the cat?")
    assert answer.text.startswith("No")


def test_an_overlap_is_said():
    answer = _two(10, 13).ask("Which came first, the cat or the dog?")
    assert "“cat” came first" in answer.text
    assert "overlap" in answer.text


_VISITS = st.lists(st.tuples(_STARTS, st.floats(0.5, 20), st.sampled_from(["person", "car", "dog"])), max_size=12)


@given(_VISITS)
@settings(deadline=None)
def test_things_are_counted_by_visit(visits):
    memory = FakeRetriever().watched(200)
    for start_s, length_s, name in visits:
        memory.track(name, start_s, start_s + length_s, score=0.95)
    answer = Reasoner(memory, SENSES).ask("How many people passed by?")
    naive = sum(name == "person" for _, _, name in visits)
    if naive:
        assert answer.text.startswith(f"{naive} pe")
        assert len(answer.citations) == min(8, naive)
    else:
        assert answer.abstained


@given(_VISITS)
@settings(deadline=None)
def test_times_are_separate_stretches(visits):
    memory = FakeRetriever().watched(200)
    for start_s, length_s, name in visits:
        memory.track(name, start_s, start_s + length_s, score=0.95)
    answer = Reasoner(memory, SENSES).ask("How many times did a dog appear?")
    spans = sorted((ns(start), ns(start + length)) for start, length, name in visits if name == "dog")
    naive, reached = 0, None
    for start, end in spans:
        if reached is None or start - reached > ns(2.0):
            naive += 1
        reached = end if reached is None else max(reached, end)
    assert answer.abstained if not naive else answer.text.startswith("Once" if naive == 1 else f"{naive} times")


_SENTENCES = st.lists(
    st.lists(st.sampled_from(["red", "apple", "green", "pear", "boat"]), min_size=1, max_size=8), max_size=8
)


@given(_SENTENCES)
@settings(deadline=None)
def test_words_are_counted_where_they_stand(sentences):
    memory = FakeRetriever().watched(200)
    for number, sentence in enumerate(sentences):
        memory.say(" ".join(sentence), number * 5, number * 5 + 3)
    answer = Reasoner(memory, SENSES).ask('How many times did anyone say "green apple"?')
    naive = sum(occurrences(stems("green apple"), stems(" ".join(sentence))) for sentence in sentences)
    assert answer.abstained if not naive else answer.text.startswith("Once" if naive == 1 else f"{naive} times")


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("How many sentences were spoken?", "2 sentences"),
        ("How many words were spoken?", "7 words"),
        ("How many captions were shown?", "1 caption"),
        ("How many streams are there?", "1 stream"),
        ("How long is the video?", "3 minutes 20 seconds"),
        ("How long did anyone speak?", "5 seconds"),
    ],
)
def test_structure_is_counted(question, says):
    memory = (
        FakeRetriever().watched(200).say("one two three four", 0, 3).say("five six seven", 10, 12).write("HI", 5, 8)
    )
    assert says in Reasoner(memory, SENSES).ask(question).text


def test_overlapping_seconds_count_once():
    memory = FakeRetriever().watched(200).track("car", 10, 20).track("car", 15, 25).track("car", 40, 45)
    answer = Reasoner(memory, SENSES).ask("How long was a car visible?")
    assert "20 seconds" in answer.text
    assert re.search(r"from 0:10 to 0:25 .*from 0:40 to 0:45", answer.text)


def test_numbers_that_were_said_answer_what_cannot_be_counted():
    memory = FakeRetriever().watched(200).say("There are five coins in the box.", 10, 13)
    answer = Reasoner(memory, SENSES).ask("How many coins are in the box?")
    assert "five coins" in answer.text
    assert not answer.abstained
