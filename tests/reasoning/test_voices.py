"""Questions about how something was said."""

from dataclasses import replace

import pytest

from reverie.memory import Memory
from reverie.reasoning import Reasoner
from reverie.reasoning.voices import CALM, EXCITED, find_voice
from reverie.types import EndOfStream, ns
from tests.memory.worlds import BagOfWords, said
from tests.reasoning.fakes import SENSES, FakeRetriever


@pytest.fixture
def reasoner():
    memory = FakeRetriever().watched(120)
    memory.say("the train to Boston leaves now", 10, 12, arousal=0.9)
    memory.say("the train to Boston was late again", 30, 32, arousal=0.5)
    memory.say("do not tell anyone about the ticket", 50, 52, arousal=0.1)
    memory.say("good morning everyone", 70, 72)  # too short to measure
    memory.write("the train is full", 80, 84)
    return Reasoner(memory, SENSES)


@pytest.mark.parametrize(
    ("asked", "arousal", "rest"),
    [
        ("What did she shout about the train?", EXCITED, "What did she say about the train?"),
        ("When was somebody screaming at me?", EXCITED, "When was somebody saying?"),
        ("What was whispered?", CALM, "What was said?"),
        ("What did he say angrily about the train?", EXCITED, "What did he say about the train?"),
        ("Who spoke in a calm voice?", CALM, "Who spoke ?"),
        ("What did she say about the train?", None, None),
        ('Who said "do not shout"?', None, None),
        ("Who said that people scream there?", None, None),
        ("What was on the screen while he shouted?", None, None),
        ("Before she whispered, what was said?", None, None),
        ("When she shouted, what did the dog do?", None, None),
        ("When was there a scream?", None, None),
        ("Did you hear screaming?", None, None),
        ("When did the scream come?", None, None),
        ("Who was in the hall of the whispers?", None, None),
        ("What is written on the Scream poster?", None, None),
        ("What did he say about the loudly barking dog?", None, None),
    ],
)
def test_the_words_of_a_voice_become_a_range_and_a_plain_question(asked, arousal, rest):
    assert find_voice(asked) == (arousal, rest or asked)


@pytest.mark.parametrize(
    ("asked", "starts"),
    [
        ("What did she shout about the train?", [10]),
        ("What was shouted?", [10]),
        ("When did somebody whisper?", [50]),
        ("What was whispered about the ticket?", [50]),
        ("Did anyone yell about the train?", [10]),
        ("What did they say loudly?", [10]),
    ],
)
def test_only_what_was_said_so_answers(reasoner, asked, starts):
    answer = reasoner.ask(asked)
    assert [citation.span.start_ns // 10**9 for citation in answer.citations] == starts


@pytest.mark.parametrize("asked", ["What did she shout about the ticket?", "What did he whisper about the train?"])
def test_what_was_said_otherwise_is_no_answer(reasoner, asked):
    answer = reasoner.ask(asked)
    assert answer.abstained
    assert answer.searched.endswith((", excited voices only", ", calm voices only"))


def test_a_plain_question_takes_every_voice(reasoner):
    starts = {c.span.start_ns // 10**9 for c in reasoner.ask("What was said about the train?").citations}
    assert {10, 30} <= starts


def test_a_real_memory_is_asked_the_same_way(tmp_path):
    with Memory.open(tmp_path / "m", text_encoder=BagOfWords(), mode="w") as memory:
        for at, arousal in ((5, 0.5), (25, 0.9), (45, 0.1)):
            memory.write([replace(said("the river floods the bridge", at, at + 2), arousal=arousal)])
        memory.write([EndOfStream(stream_id="tv", pts_ns=ns(60))])
        reasoner = Reasoner(memory, SENSES)
        answers = [reasoner.ask(asked) for asked in ("What was shouted about the river?", "When did he whisper?")]
    assert [[c.span.start_ns for c in answer.citations] for answer in answers] == [[ns(25)], [ns(45)]]
