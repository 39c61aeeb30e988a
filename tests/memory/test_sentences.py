"""Memory with the sentence encoder that the embedded profile uses."""

from __future__ import annotations

import pytest

from reverie.memory import Memory
from reverie.perception.minilm import MiniLM
from reverie.types import EndOfStream, Modality, Query, ns
from tests.memory.worlds import said, seen, written

TALK = (
    "Good morning everybody and welcome to the show",
    "The train to the coast is delayed by twenty minutes because of snow",
    "My grandmother keeps her savings in a biscuit tin",
    "We need two eggs, flour and a little sugar for the dough",
    "The committee will vote on the budget next Thursday",
    "He plays the cello in a small orchestra",
)


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    with Memory.open(tmp_path_factory.mktemp("talk"), text_encoder=MiniLM(), mode="w") as memory:
        memory.write([said(text, 10 * i, 10 * i + 5) for i, text in enumerate(TALK)])
        memory.write([written("PLATFORM 9 CLOSED", 60, 65)])
        memory.write(
            [seen("tabby cat", 70, encoder="elsewhere"), seen("sports car", 90, encoder="elsewhere", cut=True)]
        )
        memory.write([EndOfStream(stream_id="tv", pts_ns=ns(100))])
        yield memory


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("When does the railway journey to the sea start?", TALK[1]),
        ("Where does granny hide her money?", TALK[2]),
        ("What goes into the cake recipe?", TALK[3]),
        ("When is the decision about finances?", TALK[4]),
        ("Which string instrument does he play?", TALK[5]),
        ("platform closed", "PLATFORM 9 CLOSED"),
    ],
)
def test_other_words_for_the_same_thing_find_it(memory, question, expected):
    hits = memory.search(Query(text=question, k=3))
    assert max(hits, key=lambda hit: hit.score).text == expected


@pytest.mark.parametrize(("question", "expected"), [("a kitten", "tabby cat"), ("an automobile", "sports car")])
def test_a_picture_is_found_by_a_name_like_its_own(memory, question, expected):
    (hit, *_) = sorted(memory.search(Query(text=question, k=3, modalities=(Modality.VISION,))), key=lambda h: -h.score)
    assert hit.labels[0].name == expected
