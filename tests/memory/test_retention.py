"""What goes first: the least retained, or as the other policies say; pins and the short term are spared."""

from __future__ import annotations

import pytest

from reverie.clock import ManualClock
from reverie.memory import Memory, MemoryConfig
from reverie.memory.retention import Ranking, score, strength_of
from reverie.types import EndOfStream, Query, StreamStart, ns
from tests.memory.worlds import BagOfWords, said, seen, span

HOUR_NS = ns(3600)


def test_retention_falls_with_age_and_rises_with_strength_and_cheapness():
    assert score(1.0, 1.2, 0, 30) < score(0.0, 1.2, 0, 30) == score(0.0, 1.9, 0, 30)
    assert score(1.0, 1.2, 0, 30) < score(1.0, 1.2, 1, 30) < score(1.0, 1.2, 3, 600) < score(1.0, 1.2, 3, 3600)
    assert score(7.0, 1.0, 1, 30) < score(0.0, 1.0, 0, 30)  # a cheap form of a week ago goes first
    assert score(5000.0, 1.0, 0, 30) < score(4999.0, 1.0, 0, 30)  # years do not underflow
    assert score(5.0, 2.0, 0, 30) == score(2.5, 1.0, 0, 30)  # e^(-t/5S): recalled once, half as fast
    assert 1.0 == strength_of(-0.1, 0, 1) < strength_of(0.2, 0, 1) < strength_of(0.2, 1, 1) < strength_of(0.2, 1, 3)


def days(path, forgetting="retention"):
    """A memory of four days of one hour, each a stream from a place; "Kyoto" was visited twice."""
    config = MemoryConfig(forgetting=forgetting, short_term_s=0)
    memory = Memory.open(path, text_encoder=BagOfWords(), mode="w", config=config)
    for day, (place, word) in enumerate([("Kyoto", "river"), ("Kyoto", "lantern"), ("Oslo", "copper"), ("", "garden")]):
        name = f"day {day}"
        memory.write(
            [
                StreamStart(
                    stream_id=name, uri="x", live=False, has_video=True, has_audio=True, place=place,
                    wall_anchor_ns=24 * HOUR_NS * day,
                ),
                seen("cat", 0, stream_id=name), said(word, 1, 3, stream_id=name),
                EndOfStream(stream_id=name, pts_ns=ns(10)),
            ]
        )  # fmt: skip
    return memory


def order(memory, forgetting):
    """Days in the order in which they would become coarser."""
    victims = sorted(Ranking(memory._store.writer, forgetting).victims(0))
    names = {event.event_id: int(event.stream_id[-1]) for event in memory.timeline()}
    return [names[event] for _, _, event in victims]


@pytest.mark.parametrize(
    ("forgetting", "expected"),
    [
        ("retention", [0, 1, 2, 3]),
        ("fifo", [0, 1, 2, 3]),
        ("lifo", [3, 2, 1, 0]),
        ("least_visited", [3, 2, 0, 1]),  # no recall; one stream from Oslo; two from Kyoto
        ("most_visited", [0, 1, 2, 3]),
    ],
)
def test_each_policy_names_its_victims(tmp_path, forgetting, expected):
    with days(tmp_path) as memory:
        assert order(memory, forgetting) == expected


def test_what_is_recalled_or_pinned_goes_later_or_not_at_all(tmp_path):
    with days(tmp_path) as memory:
        assert [hit.stream_id for hit in memory.search(Query(text="river", k=1))] == ["day 0"]
        assert order(memory, "retention") == [0, 1, 2, 3]
        assert memory.consolidate().recalls == 1
        assert order(memory, "retention") == [1, 2, 0, 3]  # its age restarted
        assert order(memory, "least_visited") == [3, 2, 0, 1]  # Kyoto: 2 streams and a recall
        for _ in range(4):
            memory.search(Query(text="garden", k=1))
        memory.consolidate()
        assert order(memory, "most_visited")[0] == 3
        memory.pin(span(2, 3), stream_ids=["day 3"])
        assert 3 not in order(memory, "most_visited")


def test_a_ranking_that_is_made_a_few_events_at_a_time_equals_one_made_at_once(tmp_path):
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        memory.write([seen(name, at, cut=True) for at, name in enumerate(["cat", "car", "dog"] * 20)])
        memory.pin(span(20, 30))
        at_once, bit_by_bit = (Ranking(memory._store.writer, "retention") for _ in range(2))
        num_reads = 1
        while bit_by_bit.read(4):
            num_reads += 1
        assert num_reads > 2
        assert bit_by_bit.victims(ns(10), 1000) == at_once.victims(ns(10), 1000)
        assert bit_by_bit.outstanding(0.9) == at_once.outstanding(0.9) > 0


def test_the_short_term_of_a_stream_that_goes_on_is_spared(tmp_path):
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        memory.write([seen(name, at, cut=True) for at, name in enumerate(["cat", "car", "dog"] * 20)])
        ranking = Ranking(memory._store.writer, "retention")
        assert ranking.victims(ns(600), 1000) == []
        assert 0 < len(ranking.victims(ns(10), 1000)) < len(ranking.victims(None))
        fewer = {event for _, _, event in ranking.victims(ns(600), 20)}
        everything = {event for _, _, event in ranking.victims(None)}
        assert len(everything) - 22 <= len(fewer) < len(everything)
        assert max(fewer) < min(everything - fewer), "the newest are spared"


def test_a_clock_that_leapt_into_the_future_makes_no_other_stream_old(tmp_path):
    def ages(anchor_ns):
        path = tmp_path / str(anchor_ns)
        clock = ManualClock(wall_ns=24 * HOUR_NS * 1000)
        with Memory.open(path, text_encoder=BagOfWords(), mode="w", clock=clock) as memory:
            for name, anchor in (("right", clock.wall_ns()), ("wrong", anchor_ns)):
                memory.write(
                    [
                        StreamStart(
                            stream_id=name, uri="x", live=False, has_video=True, has_audio=True, wall_anchor_ns=anchor
                        ),
                        seen("cat", 0, stream_id=name),
                        EndOfStream(stream_id=name, pts_ns=ns(10)),
                    ]
                )
            return [value for value, _, _ in sorted(Ranking(memory._store.writer, "retention").victims(0))]

    assert ages(24 * HOUR_NS * 2000) == ages(24 * HOUR_NS * 1000)


def equals(path, *told):
    """A memory of four equal events of one day, a stream each, in which these words were said, and one of the next."""
    memory = Memory.open(path, text_encoder=BagOfWords(), mode="w", config=MemoryConfig(short_term_s=0))
    for number in range(5):
        name = f"day {number}"
        at_ns = number if number < 4 else 24 * HOUR_NS
        start = StreamStart(stream_id=name, uri="x", live=False, has_video=True, has_audio=True, wall_anchor_ns=at_ns)
        words = told[number] if number < len(told) else "river lantern"
        items = [seen("cat", 0, stream_id=name), said(words, 1, 3, stream_id=name)]
        memory.write([start, *items, EndOfStream(stream_id=name, pts_ns=ns(10))])
    return memory


def test_an_event_with_links_outlives_its_equal_without(tmp_path):
    with equals(tmp_path) as memory:
        assert order(memory, "retention") == [0, 1, 2, 3, 4], "a nanosecond apart: the oldest of equals"
        memory.note("it glitters", stream_id="day 0", about=span(2, 4))
        assert order(memory, "retention") == [1, 2, 3, 0, 4]
        memory.teach("Tom", stream_id="day 1", span=span(0, 1))
        memory.note("it glitters again", stream_id="day 1", about=span(3, 3))
        assert order(memory, "retention") == [2, 3, 0, 1, 4], "two are more than one"
        ranking = Ranking(memory._store.writer, "retention")
        assert all(ranking.again(victim[2]) == victim for victim in ranking.victims(0))
        memory.forget(span=span(2, 4), stream_ids=["day 0"])
        assert order(memory, "retention")[-2:] == [1, 4]


def test_only_facts_that_are_valid_are_links(tmp_path):
    told = ("The code of the garage is 11.", "The code of the garage is 12.", "The code of the garage is 11.")
    with equals(tmp_path, *told) as memory:
        assert len(memory.facts(history=True)) == 3
        assert order(memory, "retention") == [0, 1, 3, 2, 4]
        memory.forget(stream_ids=["day 1"])
        assert order(memory, "retention") == [3, 0, 2, 4], "both say what holds now"
