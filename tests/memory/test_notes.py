"""Conclusions are kept apart from what was perceived, linked to what is like them, and go with what they are about."""

from __future__ import annotations

import numpy as np
import pytest

from reverie.errors import ReverieError, UsageError
from reverie.memory import Memory
from reverie.types import EndOfStream, Query, StreamStart, ns
from tests.memory.reading import assert_whole, bytes_in
from tests.memory.worlds import BagOfWords, said, seen, span


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


class Reader:
    """A reader that concludes the same notes from whatever it is given, and keeps what that was."""

    def __init__(self, *told):
        self.told, self.given = told, []

    def read_notes(self, passages):
        self.given.append([passage.text for passage in passages])
        return list(self.told)


def end(memory, end_s, stream_id="tv"):
    memory.write([EndOfStream(stream_id=stream_id, pts_ns=ns(end_s))])


def test_a_reader_is_believed_only_about_what_it_names(memory):
    end(memory, 60)
    reader = Reader(
        ("a lantern hangs at the bridge", (0, 1)), ("about nothing", ()), ("about another", (0, 99)),
        ("about one before", (-1,)), (" ", (0,)),
    )  # fmt: skip
    receipt = memory.read_notes(reader)
    assert (receipt.passages, receipt.stored, receipt.refused) == (12, 1, 4)
    (note,) = memory.notes()
    assert (note.text, note.stream_id, note.about) == ("a lantern hangs at the bridge", "tv", span(0, 6))
    assert memory.stats().observations["speech"] == 12, "what was perceived stays"
    assert memory.verify().sound


def test_what_was_read_is_not_read_again_and_what_comes_later_is(memory):
    reader = Reader()
    memory.read_notes(reader)
    end(memory, 60)
    memory.read_notes(reader)
    assert sum(map(len, reader.given)) == 12, "an open event is read when it has closed"
    assert memory.read_notes(reader).passages == 0, "though nothing was concluded"
    memory.write([said("orange ticket", 5, 6, "radio")])
    end(memory, 20, "radio")
    assert memory.read_notes(reader, stream_ids=("tv",)).passages == 0
    assert memory.read_notes(reader).passages == 1
    assert reader.given[-1] == ["orange ticket"]


def test_a_reader_that_fails_leaves_what_was_stored_and_is_gone_on_with(tmp_path):
    class Tired(Reader):
        def read_notes(self, passages):
            if len(self.given) == 2:
                raise ReverieError("no answer")
            return super().read_notes(passages)

    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        for at_s in range(0, 600, 10):
            memory.write([seen("cat" if at_s % 20 else "car", at_s, cut=True), said(f"number {at_s}", at_s, at_s + 12)])
        end(memory, 600)
        first, second = Tired(("it counts", (0,))), Reader(("it counts on", (0, 1)))
        with pytest.raises(ReverieError, match="no answer"):
            memory.read_notes(first)
        assert len(memory.notes()) == 2
        memory.read_notes(second)
        told = [text for given in first.given + second.given for text in given if text.startswith("number")]
        assert sorted(told) == sorted(f"number {at_s}" for at_s in range(0, 600, 10))
        assert all(any("ca" in text for text in given) for given in second.given), "names of what was seen"
        assert len(memory.notes()) == 2 + len(second.given)
        assert memory.notes()[-1].links != ()


def test_what_was_imagined_and_what_a_note_is_about_already_is_not_read(tmp_path):
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        for name, imagined in (("dream", True), ("noted", False), ("day", False)):
            start = StreamStart(stream_id=name, uri="x", live=False, has_video=True, has_audio=True, imagined=imagined)
            memory.write([start, said(f"the engine of {name}", 1, 3, name)])
            end(memory, 10, name)
        memory.note("by hand", stream_id="noted", about=span(0, 10))
        reader = Reader(("an engine", (0,)))
        memory.read_notes(reader, stream_ids=("dream", "noted", "day"))
        assert reader.given == [["the engine of day"]]


def test_what_is_forgotten_while_it_is_read_brings_no_note(memory):
    end(memory, 60)

    class Forgetful(Reader):
        def read_notes(self, passages):
            if not self.given:
                memory.forget(span=span(0, 30))
            return super().read_notes(passages)

    reader = Forgetful(("the first of them", (0,)))
    assert memory.read_notes(reader).stored == 1
    assert [len(given) for given in reader.given] == [12, 6]
    assert memory.notes()[0].about == span(30, 31)


@pytest.mark.parametrize("forgotten", [{"span": span(11, 12)}, {"text": "quetzal"}, {"stream_ids": ["tv"]}])
def test_forgetting_any_of_what_a_reader_concluded_from_takes_the_note(memory, forgotten):
    memory.write([said("the quetzal sang", 60, 62), said("copper window", 70, 72)])
    end(memory, 80)
    memory.read_notes(Reader(("a bird was heard", (2, 12)), ("the window is of copper", (13,))))
    assert len(memory.notes()) == 2
    memory.forget(**forgotten)
    assert [note.text for note in memory.notes()] == ["the window is of copper"] * ("stream_ids" not in forgotten)
    assert memory.verify().sound
