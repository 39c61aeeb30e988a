"""Questions made from a truth, and how answers to them are scored."""

import json
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.phrasing import bare
from benchmarks.questions import make_questions
from benchmarks.scoring import (
    Question,
    citation_right,
    first_number,
    judge,
    summarise,
    text_right,
    time_stamps,
)
from benchmarks.unanswerable import NEVER_SHOWN
from demos.sample.catalogue import CATALOGUE
from demos.sample.compose import truth_of
from demos.sample.plan import plan_stream

truths = st.integers(0, 10_000).map(lambda seed: truth_of(plan_stream(seed, 120)))


@given(truths)
@settings(max_examples=30, deadline=None)
def test_two_minutes_give_enough_questions_of_both_sorts(truth):
    questions = make_questions(truth)
    answerable = [question for question in questions if question.answerable]
    assert len(answerable) >= 25
    assert len(questions) - len(answerable) >= 25
    assert len({question.question_id for question in questions}) == len(questions)
    assert {"when", "is_there", "what", "said", "written", "while", "order", "how_many", "where"} <= {
        question.kind for question in answerable
    }
    assert questions == make_questions(truth)


@given(truths)
@settings(max_examples=30, deadline=None)
def test_answerable_questions_say_what_is_right(truth):
    for question in make_questions(truth):
        assert question.text.endswith("?") or question.text.endswith('"?')
        assert "{}" not in question.text
        if question.answerable:
            assert question.spans_s
            assert question.keywords or question.tells_time or question.number is not None
            assert all(0 <= start_s < end_s <= truth.duration_s for start_s, end_s in question.spans_s)
            assert question.why == ""
        else:
            assert not question.spans_s
            assert not question.keywords
            assert question.why


@given(truths)
@settings(max_examples=30, deadline=None)
def test_what_is_asked_in_vain_is_nowhere_in_the_truth(truth):
    words = " ".join(" ".join((fact.text, *fact.names, *fact.also)) for fact in truth.facts).lower()
    for question in make_questions(truth):
        if question.why == "absent thing":
            thing = next(
                thing
                for thing in sorted(sum(NEVER_SHOWN.values(), ()), key=len, reverse=True)
                if bare_in(thing, question.text)
            )
            assert not re.search(rf"\b{re.sub('^an? ', '', thing)}", words)


def bare_in(thing, text):
    return re.sub(r"^an? ", "", thing) in text


def test_never_shown_things_are_in_no_picture():
    names = {name for asset in CATALOGUE.values() for name in (*asset.names, *asset.also)}
    names |= {name for asset in CATALOGUE.values() for part in asset.parts for name in (*part.names, *part.also)}
    assert not {re.sub(r"^an? ", "", thing) for thing in NEVER_SHOWN} & names


@given(truths)
@settings(max_examples=20, deadline=None)
def test_a_perfect_witness_scores_full_marks_and_a_mute_one_none(truth):
    questions = make_questions(truth)
    perfect = summarise(judge(q, perfect_text(q), not q.answerable, q.spans_s[:1]) for q in questions)
    assert (perfect.citations, perfect.texts, perfect.abstention_recall, perfect.wrong_abstentions) == (1, 1, 1, 0)
    mute = summarise(judge(q, "I do not know.", True, ()) for q in questions)
    assert (mute.citations, mute.texts, mute.abstention_recall, mute.wrong_abstentions) == (0, 0, 1, 1)
    bold = summarise(judge(q, "Yes, a dragon.", False, [(0.0, truth.duration_s)]) for q in questions)
    assert bold.abstention_recall == 0
    assert bold.citations < 0.2


def perfect_text(question):
    """What somebody who knows the truth would say."""
    parts = ["yes" if question.kind == "is_there" else ""]
    if question.number is not None:
        parts.append(str(question.number))
    if question.tells_time:
        start_s = round(sum(question.spans_s[0]) / 2)
        parts.append(f"at {start_s // 60}:{start_s % 60:02d}")
    parts += [group[0] for group in question.keywords]
    return " ".join(part for part in parts if part)


def ask(**fields):
    return Question(**{"question_id": "q", "kind": "when", "text": "?", "answerable": True, **fields})


@pytest.mark.parametrize(
    ("cited_s", "right"),
    [
        ((10.0, 20.0), True),  # the span itself
        ((10.0, 15.0), True),  # half of it
        ((2.0, 16.0), False),  # overlap 6 of 18, middle outside
        ((14.0, 16.0), True),  # a moment in its middle
        ((6.0, 26.0), True),  # twice as long, middle inside, IoU exactly one half
        ((0.0, 30.0), False),  # middle inside, but longer than 20 s
        ((20.0, 24.0), False),  # right after it
        ((50.0, 52.0), True),  # the other span
    ],
)
def test_the_first_citation(cited_s, right):
    question = ask(spans_s=((10.0, 20.0), (50.0, 53.0)))
    assert citation_right(question, cited_s) is right
    assert judge(question, "", False, [cited_s, (10.0, 20.0)]).citation is right


def test_a_short_truth_may_be_cited_within_ten_seconds():
    question = ask(spans_s=((30.0, 32.0),))
    assert citation_right(question, (26.5, 36.0))
    assert not citation_right(question, (25.0, 36.5))


@pytest.mark.parametrize(
    ("text", "stamps"),
    [
        ("at 1:05", [65]),
        ("from 0:12.5 to 0:14", [12.5, 14]),
        ("1:00:01 in", [3601]),
        ("after 65.5 s, not 70 seconds", [65.5, 70]),
        ("platform 7 at gate 14", []),
    ],
)
def test_time_stamps_are_read_from_text(text, stamps):
    assert time_stamps(text) == pytest.approx(stamps)


@pytest.mark.parametrize(
    ("text", "number"), [("Three times, at 0:12", 3), ("0:12 and 0:40: 2 visits", 2), ("twice", 2), ("none seen", None)]
)
def test_counts_are_read_from_text(text, number):
    assert first_number(text) == number


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("The cat came first (0:10), the rocket at 0:40.", True),
        ("The rocket came first, then the cat.", False),
        ("Cats.", True),
        ("A catalogue.", False),
        ("A concatenation.", False),
        ("", False),
    ],
)
def test_the_right_one_must_be_named_first(text, right):
    assert text_right(ask(kind="order", keywords=(("cat", "kitten"),), rivals=("rocket",)), text) is right


def test_numbers_as_keywords_are_not_found_in_time_stamps():
    question = ask(kind="said", keywords=(("thirty", "30"),))
    assert text_right(question, 'At 1:12 somebody said: "the tickets cost $30."')
    assert not text_right(question, "Somebody spoke of tickets at 0:30.")
    assert not text_right(question, "It was 1308.")


def test_lost_spaces_of_read_text_are_forgiven():
    question = ask(kind="written", keywords=(("winter storm",),))
    assert not text_right(question, 'It said "PARTTWOWINTERSTORM".')  # it begins within another word
    assert text_right(question, 'It said "Part Two:WinterStorm".')
    assert text_right(ask(kind="written", keywords=(("305",),)), "ROOM305IS OCCUPIED")


def test_a_time_must_be_told_where_one_is_asked_for():
    question = ask(spans_s=((30.0, 40.0),), tells_time=True)
    assert text_right(question, "It appeared at 0:31.")
    assert text_right(question, "It appeared at 28.5 s.")
    assert not text_right(question, "It appeared at 0:27.")
    assert not text_right(question, "It appeared early.")


def test_a_plain_no_denies_what_was_not_there():
    absent = ask(kind="is_there", answerable=False)
    assert judge(absent, "No, I saw no giraffe.", False, []).declined
    assert not judge(absent, "Not sure; at 0:12.", False, [(12.0, 13.0)]).declined
    present = ask(kind="is_there", keywords=(("yes", "cat"),), spans_s=((1.0, 2.0),))
    verdict = judge(present, "No cat was there.", False, [])
    assert (verdict.text, verdict.declined) == (False, False)


def test_scores_of_nothing_are_zero():
    assert summarise([]).num_answerable == 0
    assert summarise([]).citations == 0


def test_the_command_prints_one_question_a_line(tmp_path):
    truth_of(plan_stream(1, 60)).write(tmp_path / "x.truth.json")
    command = [sys.executable, "benchmarks/questions.py", str(tmp_path / "x.truth.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[0])["question_id"] == "s1-00"


def test_a_thing_is_listed_only_where_a_class_list_names_it():
    from reverie.perception.conse import class_meanings
    from reverie.perception.detector import COCO_NAMES

    def lemmas(name, meaning):
        return {name.lower(), *(part.strip().lower() for part in meaning.partition(":")[0].split(","))}

    known = {"coco": set(COCO_NAMES), "imagenet": set().union(*(lemmas(*entry) for entry in class_meanings().items()))}
    wider = {"man": "person", "cars": "car", "cup of coffee": "cup"}  # what everybody would call each of them
    for asset in CATALOGUE.values():
        for fact in (*asset.parts, asset):
            head = bare(fact.phrase).split(" in ")[0].split(" with ")[0]
            named = {head, wider.get(head, head)} & known.get(fact.vocabulary, set())
            assert (fact.vocabulary == "open") == (not named), fact.phrase


@pytest.mark.parametrize("seed", range(20, 32))
def test_open_things_crowd_nothing_out(seed):
    questions = [q for q in make_questions(truth_of(plan_stream(seed, 120))) if q.vocabulary != "open"]
    assert sum(q.answerable for q in questions) >= 15
    assert sum(not q.answerable for q in questions) >= 15
