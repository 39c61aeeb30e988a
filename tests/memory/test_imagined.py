"""What was imagined is remembered, and is never taken for what was seen or said."""

from __future__ import annotations

import dataclasses

import pytest

from reverie.memory import Memory
from reverie.types import EndOfStream, Modality, Query, StreamStart, ns
from tests.memory.worlds import BagOfWords, said, seen


def stream(name: str, imagined: bool, things: list) -> list:
    start = StreamStart(
        stream_id=name, uri="made", live=False, has_video=True, has_audio=True, wall_anchor_ns=0, imagined=imagined
    )
    return [start, *things, EndOfStream(stream_id=name, pts_ns=ns(60))]


@pytest.fixture
def memory(tmp_path):
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        memory.write(stream("day", False, [said("the cat is in the kitchen", 5, 8, "day")]))
        dreamt = [said("the dog is in the garden", 5, 8, "dream"), seen("a dog", 10, stream_id="dream")]
        memory.write(stream("dream", True, dreamt))
        yield memory


def test_it_is_found_only_where_its_stream_is_named(memory):
    assert {record.stream_id: record.imagined for record in memory.streams()} == {"day": False, "dream": True}
    for modalities in ((), (Modality.SPEECH,), (Modality.VISION,)):
        hits = memory.search(Query(text="where is the dog", k=10, modalities=modalities))
        assert all(hit.stream_id == "day" for hit in hits)
    named = memory.search(Query(text="the dog", k=1, stream_ids=("dream",), modalities=(Modality.SPEECH,)))
    assert [hit.text for hit in named] == ["the dog is in the garden"]
    assert {event.stream_id for event in memory.timeline()} == {"day"}
    assert {event.stream_id for event in memory.timeline(stream_ids=("dream",))} == {"dream"}


def test_it_states_no_facts_and_nothing_of_it_is_familiar(memory):
    assert {fact.subject for fact in memory.facts()} == {"cat"}
    assert memory.familiarity("the cat is in the kitchen", stream_ids=("day",))
    assert not memory.familiarity("the dog is in the garden", stream_ids=("dream",))


def test_what_was_imagined_once_stays_so(memory):
    again = stream("dream", False, [])[0]
    memory.write([dataclasses.replace(again, imagined=False)])
    assert {record.stream_id for record in memory.streams() if record.imagined} == {"dream"}
