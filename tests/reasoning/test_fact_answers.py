"""What was said to be so is answered with what holds, what held before, and the words that say so."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reverie.clock import ManualClock
from reverie.memory import Memory
from reverie.reasoning import Reasoner, ReasonerConfig
from reverie.types import EndOfStream, Modality, Observation, StreamStart, Watermark, ns
from tests.reasoning.fakes import SENSES, BagOfWords, span

SAID = (
    (10, "The code of the garage is 4711."),
    (40, "Lovely weather this morning."),
    (60, "I put my keys in the blue bowl."),
    (100, "The garage code is now 9981."),
    (130, "The museum opens at 9 am."),
    (150, "Tickets cost 5 dollars."),
    (170, "Anna lives in Rome."),
    (200, "The dog is called Rex."),
    (220, "I left my keys on the kitchen table."),
    (260, "The deadline is Friday."),
    (270, "The umbrella hangs behind the door."),
    (280, "The garage code is now 5566."),
)


@pytest.fixture(scope="module")
def reasoner(tmp_path_factory):
    root = tmp_path_factory.mktemp("facts")
    with Memory.open(root, text_encoder=BagOfWords(), mode="w") as memory:
        memory.write(
            [
                Observation(stream_id="walk", seq=at_s, span=span(at_s, at_s + 3), modality=Modality.SPEECH, text=text)
                for at_s, text in SAID
            ]
        )
        memory.write([EndOfStream(stream_id="walk", pts_ns=ns(300))])
        yield Reasoner(memory, SENSES)


@pytest.mark.parametrize(
    ("question", "value", "cited_s"),
    [
        ("What is the code of the garage?", "5566", [280, 100]),
        ("What's the garage code now?", "5566", [280, 100]),
        ("What was the code of the garage before?", "9981", [100, 280]),
        ("What was the previous code of the garage?", "9981", [100, 280]),
        ("What was the old garage code?", "9981", [100, 280]),
        ("What was the garage code previously?", "9981", [100, 280]),
        ("What was the first code of the garage?", "4711", [10, 100]),
        ("What was the original garage code?", "4711", [10, 100]),
        ("What was the garage code originally?", "4711", [10, 100]),
        ("What was the code of the garage at first?", "4711", [10, 100]),
        ("Where did I put my keys first?", "blue bowl", [60, 220]),
        ("Where did Anna originally live?", "Rome", [170]),
        ("What was the garage code at 0:50?", "4711", [10, 100]),
        ("When did the garage code change?", "5566", [280, 100]),
        ("Where are my keys?", "kitchen table", [220, 60]),
        ("Where did I put my keys?", "kitchen table", [220, 60]),
        ("Where were my keys before?", "blue bowl", [60, 220]),
        ("When does the museum open?", "9 am", [130]),
        ("How much do tickets cost?", "5 dollars", [150]),
        ("Where does Anna live?", "Rome", [170]),
        ("What is the dog called?", "Rex", [200]),
        ("What is the name of the dog?", "Rex", [200]),
        ("What is the deadline?", "Friday", [260]),
    ],
)
def test_a_fact_answers(reasoner, question, value, cited_s):
    answer = reasoner.ask(question)
    assert not answer.abstained
    assert value in answer.text.split(". ")[0]
    assert [citation.span.start_s for citation in answer.citations] == cited_s


@pytest.mark.parametrize(
    ("question", "told", "cited_s"),
    [
        (
            "Is the code of the garage 4711?",
            ("No. The code of “garage” is “5566”", "it was “4711”, until 1:40"),
            [280, 10, 100],
        ),
        ("Is the garage code 9981?", ("No. The code of “garage” is “5566”", "it was “9981”"), [280, 100]),
        ("Is the garage's code still 9981?", ("No. The code of “garage” is “5566”", "it was “9981”"), [280, 100]),
        ("Is the garage code 1234?", ("No. The code of “garage” is “5566”", "it was “9981”"), [280, 100]),
        ("Is the code of the garage now 5566?", ("Yes. The code of “garage” is “5566”",), [280, 100]),
        ("Is 5566 the code of the garage?", ("Yes. The code of “garage” is “5566”",), [280, 100]),
        ("Was the code of the garage 4711?", ("Yes. The code of “garage” was “4711”", "became “9981”"), [10, 100]),
        ("Was the garage code 4711 at 0:50?", ("Yes. The code of “garage” was “4711”", "became “9981”"), [10, 100]),
        ("Was the garage code 5566 at 0:50?", ("No. The code of “garage” was “4711”", "became “5566”"), [10, 280]),
        ("Was the first code of the garage 9981?", ("No. The code of “garage” was “4711”",), [10, 100]),
        ("Are my keys in the blue bowl?", ("No. The location of “keys” is “on the kitchen table”",), [220, 60]),
        ("Does Anna live in Rome?", ("Yes. The home of “Anna” is “Rome”",), [170]),
        ("Does Anna live in Paris?", ("No. The home of “Anna” is “Rome”",), [170]),
        ("Is the dog called Rex?", ("Yes. The name of",), [200]),
    ],
)
def test_a_claim_is_judged_by_what_holds(reasoner, question, told, cited_s):
    answer = reasoner.ask(question)
    assert all(words in answer.text for words in told), answer.text
    assert [citation.span.start_s for citation in answer.citations] == cited_s


@pytest.mark.parametrize(
    "question",
    ["Is there a garage?", "Is the garage code a secret?", "Are my keys visible?", "Is Anna in Paris?",
     "Was the code of the garage mentioned?", "Is the garage code 4711 before the weather was lovely?"],
)  # fmt: skip
def test_what_is_no_value_is_no_claim(reasoner, question):
    answer = reasoner.ask(question)
    assert not answer.text.startswith("No."), answer.text
    assert "is “" not in answer.text


@pytest.mark.parametrize("question", ["What was said about the weather?", "Was there a cat?", "Where is the whale?"])
def test_other_questions_are_answered_as_before(reasoner, question):
    answer = reasoner.ask(question)
    assert "“9981”" not in answer.text
    assert answer.abstained == ("weather" not in question)


def test_what_was_not_yet_said_is_no_answer(reasoner):
    assert "9981" not in reasoner.ask("What was the garage code at 0:05?").text.split(". ")[0]


@pytest.mark.parametrize(
    "question",
    [
        "Where was the umbrella before?",
        "Where did the umbrella previously hang?",
        "What was behind the door before that?",
    ],
)
def test_before_is_no_word_to_search_for(reasoner, question):
    answer = reasoner.ask(question)
    assert "before" not in answer.text
    assert "previously" not in answer.text
    assert [citation.span.start_s for citation in answer.citations] == [270], answer.text


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    """A minute at nine of Saturday 21 to Monday 23 November 2026, each a stream of its own, asked on Tuesday at noon.

    Nobody says on Sunday where Ben lives, and nothing is watched on Friday or on Tuesday.
    """
    root = tmp_path_factory.mktemp("days")
    with Memory.open(root, text_encoder=BagOfWords(), mode="w") as memory:
        for name, day, place, *said in DAYS:
            anchor_ns = int(datetime(2026, 11, day, 9, tzinfo=UTC).timestamp()) * 10**9
            start = StreamStart(
                stream_id=name,
                uri="",
                live=True,
                has_video=False,
                has_audio=True,
                wall_anchor_ns=anchor_ns,
                place=place,
            )
            spoken = [
                Observation(stream_id=name, seq=at_s, span=span(at_s, at_s + 3), modality=Modality.SPEECH, text=text)
                for at_s, text in said
            ]
            memory.write([start, *spoken, Watermark(stream_id=name, pts_ns=ns(60))])
        noon_ns = int(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()) * 10**9
        yield Reasoner(memory, SENSES, ReasonerConfig(timezone="UTC"), clock=ManualClock(wall_ns=noon_ns))


DAYS = (
    (
        "sat",
        21,
        "yard",
        (0, "Lovely weather this morning."),
        (40, "The code of the garage is 4711."),
        (50, "Ben lives in Rome."),
    ),
    ("sun", 22, "hall", (10, "The code of the garage is 2233.")),
    ("mon", 23, "yard", (20, "The code of the garage is 5566."), (30, "Ben lives in Oslo.")),
)


@pytest.mark.parametrize(
    ("question", "told", "cited"),
    [
        ("What was the garage code two days ago?", ("was “2233”", "Later it became “5566”"), ["sun", "mon"]),
        ("What was the garage code on Saturday?", ("was “4711”", "Later it became “2233”"), ["sat", "sun"]),
        ("What was the garage code yesterday?", ("is “5566”", "Before that it was “2233”"), ["mon", "sun"]),
        ("What is the garage code?", ("is “5566”", "Before that it was “2233”"), ["mon", "sun"]),
        ("Where did Ben live on Sunday?", ("was “Rome”", "Later it became “Oslo”"), ["sat", "mon"]),
        ("Where did Ben live before Monday?", ("was “Rome”", "Later it became “Oslo”"), ["sat", "mon"]),
        ("Where does Ben live today?", ("is “Oslo”", "Before that it was “Rome”"), ["mon", "sat"]),
        ("What was the garage code in the first 30 seconds on Saturday?", (), []),
        ("Where did Ben live on Friday?", (), []),
        ("In the yard, what was the garage code on Sunday?", ("was “4711”", "Later it became “5566”"), ["sat", "mon"]),
        ("In the hall, where did Ben live on Sunday?", (), []),
        ("Was the garage code 2233 two days ago?", ("Yes. ", "was “2233”"), ["sun", "mon"]),
        ("Was the garage code 5566 two days ago?", ("No. ", "was “2233”", "Later it became “5566”"), ["sun", "mon"]),
    ],
)
def test_what_held_on_a_day_may_have_been_said_on_another(days, question, told, cited):
    answer = days.ask(question)
    assert [citation.stream_id for citation in answer.citations] == cited, answer.text
    assert all(words in answer.text for words in told), answer.text


def test_a_named_stream_alone_says_what_held(days):
    answer = days.ask("What was the garage code on Sunday?", stream_ids=("sat",))
    assert [citation.stream_id for citation in answer.citations] == ["sat"], answer.text
