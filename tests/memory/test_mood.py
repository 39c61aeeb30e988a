"""How excited a voice was, as a key to find what it said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reverie.errors import UsageError
from reverie.memory import Memory
from reverie.types import EndOfStream, Modality, Query, ns
from tests.memory.worlds import BagOfWords, said, seen

SHOUTED, CALM = (0.7, 1.0), (0.0, 0.3)


@pytest.fixture
def memory(tmp_path):
    with Memory.open(tmp_path / "m", text_encoder=BagOfWords(), mode="w") as memory:
        spoken = [("the river floods the bridge", 0.1), ("the river floods the bridge", 0.9), ("orange ticket", 0.95)]
        for at, (text, arousal) in enumerate(spoken):
            memory.write([
                seen("river", 20 * at, picture=at), replace(said(text, 20 * at + 5, 20 * at + 7), arousal=arousal)
            ])  # fmt: skip
        memory.write([said("the river floods the bridge", 100, 102), EndOfStream(stream_id="tv", pts_ns=ns(110))])
        yield memory


def best(memory, arousal):
    hits = memory.search(Query(text="the river floods the bridge", k=2, arousal=arousal))
    return max(hits, key=lambda hit: hit.score)


def test_the_voice_decides_between_equal_words(memory):
    assert best(memory, SHOUTED).span.start_ns == ns(25)
    assert best(memory, CALM).span.start_ns == ns(5)
    assert best(memory, SHOUTED).arousal == pytest.approx(0.9)


def test_words_still_count_more_than_the_voice(memory):
    (hit,) = memory.search(Query(text="orange ticket", k=1, arousal=CALM))
    assert hit.text == "orange ticket"


def test_nothing_that_is_seen_and_no_voice_that_was_not_measured_is_given(memory):
    hits = memory.search(Query(text="river", k=10, arousal=SHOUTED))
    assert {hit.modality for hit in hits} == {Modality.SPEECH}
    assert all(hit.arousal is not None for hit in hits)
    assert len(memory.search(Query(text="river", k=10))) > len(hits)


def test_without_words_the_latest_in_the_range_are_given(memory):
    hits = memory.search(Query(k=5, arousal=SHOUTED))
    assert [hit.text for hit in hits] == ["the river floods the bridge", "orange ticket"]
    assert memory.search(Query(k=5, arousal=(0.4, 0.6))) == []


@pytest.mark.parametrize("wrong", [(0.8, 0.2), (-0.1, 0.5), (0.5, float("nan"))])
def test_a_range_that_is_none_is_told(memory, wrong):
    with pytest.raises(UsageError, match="no range of arousal"):
        memory.search(Query(text="river", arousal=wrong))


def test_it_is_kept_with_the_row_and_refused_out_of_range(memory):
    assert [row.arousal for row in memory.rows(modalities=(Modality.SPEECH,))] == [0.1, 0.9, 0.95, None]
    wrong = [
        replace(said("copper lantern", 200 + k, 201 + k), arousal=value) for k, value in enumerate((1.5, float("nan")))
    ]
    assert memory.write(wrong).rejected == 2
