"""Conclusions are kept apart from what was perceived, linked to what is like them, and go with what they are about."""

from __future__ import annotations

import numpy as np
import pytest

from reverie.errors import UsageError
from reverie.memory import Memory
from reverie.types import Query
from tests.memory.reading import assert_whole, bytes_in
from tests.memory.worlds import BagOfWords, said, span


@pytest.fixture
def memory(tmp_path):
    with Memory.open(tmp_path / "m", text_encoder=BagOfWords(), mode="w") as memory:
        memory.write([said("river bridge lantern", at_s, at_s + 1) for at_s in range(0, 60, 5)])
        yield memory


def test_notes_link_both_ways_by_id(memory):
    first = memory.note("the garden pilot waters the winter garden", stream_id="tv", about=span(0, 5))
    memory.note("copper engine ticket window", stream_id="tv", about=span(5, 10))
    third = memory.note("the garden pilot waters the orange garden", stream_id="tv", about=span(10, 15))
    assert third.links == (first.note_id,)
    assert [note.links for note in memory.notes()] == [(third.note_id,), (), (first.note_id,)]
    assert set(third.keywords) >= {"orange"}
    assert (third.stream_id, third.about) == ("tv", span(10, 15))


def test_at_most_five_links_are_made(memory):
    made = [memory.note("the garden pilot waters the garden", stream_id="tv", about=span(0, 5)) for _ in range(8)]
    assert len(made[-1].links) == 5
    assert set(made[-1].links) < {note.note_id for note in made[:7]}


def test_notes_are_found_and_never_as_something_perceived(memory):
    memory.note("the pilot likes the garden", stream_id="tv", about=span(0, 5))
    memory.note("the engine is of copper", stream_id="tv", about=span(5, 10))
    assert [note.text for note in memory.notes("what is the engine made of", k=1)] == ["the engine is of copper"]
    assert all("engine" not in hit.text for hit in memory.search(Query(text="engine copper", k=50)))


def test_notes_go_with_what_they_are_about(memory, tmp_path):
    kept = memory.note("the garden pilot waters the garden", stream_id="tv", about=span(20, 30))
    memory.note("the garden pilot quetzals the garden", stream_id="tv", about=span(0, 20))
    memory.forget(span=span(5, 6))
    assert [(note.note_id, note.links) for note in memory.notes()] == [(kept.note_id, ())]
    assert bytes_in(tmp_path / "m", b"quetzal") == []
    assert memory.verify().sound
    memory.forget(stream_ids=["tv"])
    assert memory.notes() == []
    assert_whole(tmp_path / "m")


def test_a_note_needs_a_text_and_a_stream(memory):
    with pytest.raises(UsageError, match="needs a text"):
        memory.note(" ", stream_id="tv", about=span(0, 1))
    with pytest.raises(UsageError, match="no stream is called 'x'"):
        memory.note("a", stream_id="x", about=span(0, 1))
    assert memory.notes("garden") == []


def test_what_is_derived_is_counted(memory):
    memory.write([said("My name is Ada. I live in Paris.", 70, 72)])
    memory.teach("Ada", looks=[np.eye(4, dtype=np.float32)[0]], encoder="looks")
    memory.note("the garden pilot waters the garden", stream_id="tv", about=span(0, 5))
    stats = memory.stats()
    assert stats.entities == len(memory.entities()) == 1
    assert stats.notes == len(memory.notes()) == 1
    assert stats.statements == sum(len(fact.evidence) for fact in memory.facts(history=True)) > 0
    assert stats.episodes == len(memory.episodes())
