"""A fragment finds what went with it in another sense."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reverie.errors import UsageError
from reverie.memory import Memory
from reverie.types import EndOfStream, Modality, Query, ns
from tests.memory.worlds import BagOfWords, direction, heard, said, seen, span, unit

PAIRS = (("tabby cat", "the kitten wants milk"), ("sports car", "listen to that engine"), ("pizza", "dinner is ready"))


@pytest.fixture
def memory(tmp_path):
    with Memory.open(tmp_path / "m", text_encoder=BagOfWords(), mode="w") as memory:
        for stream in ("tv", "radio"):
            for at, (scene, words) in enumerate(PAIRS):
                shown = [
                    seen(scene, 30 * at + k, stream_id=stream, cut=k == 0, picture=at * 100 + k) for k in range(20)
                ]
                memory.write([*shown[:5], said(words, 30 * at + 4.5, 30 * at + 6, stream), *shown[5:]])
            memory.write([EndOfStream(stream_id=stream, pts_ns=ns(90))])
        yield memory


def test_what_was_said_finds_what_was_seen(memory):
    first, *_ = memory.complete("that engine", stream_ids=("tv",))
    assert (first.modality, first.labels[0].name, first.stream_id) == (Modality.VISION, "sports car", "tv")
    assert span(30, 50).overlaps(first.span)
    assert first.thumbnail is not None
    assert first.event_id is not None
    assert [hit.dense for hit in memory.complete("that engine")] == sorted(
        (hit.dense for hit in memory.complete("that engine")), reverse=True
    )


def test_what_was_seen_finds_what_was_said(memory):
    vector = BagOfWords().encode(["pizza"])[0]
    hits = memory.complete(vector, "bag-of-words", find=Modality.SPEECH, k=2)
    assert [hit.text for hit in hits] == ["dinner is ready"] * 2
    assert {hit.stream_id for hit in hits} == {"tv", "radio"}
    assert len({hit.event_id for hit in hits}) == 2


def test_a_span_is_completed_by_other_events(memory):
    first, *_ = memory.complete(span(4, 7), stream_ids=("tv", "radio"), find=Modality.VISION)
    assert first.labels[0].name != "tabby cat"  # both events that were showing then are the cue itself
    memory.write([seen("umbrella", 100, cut=True), said("the kitten wants milk", 101, 103)])
    memory.write([EndOfStream(stream_id="tv", pts_ns=ns(110))])
    first, *_ = memory.complete(span(4, 7), find=Modality.VISION)
    assert first.labels[0].name == "umbrella"


def test_a_cue_of_a_space_that_is_not_here_finds_nothing(memory):
    assert memory.complete(BagOfWords().encode(["pizza"])[0], "another-space") == []
    assert memory.complete("dinner", span=span(200, 300)) == []
    assert memory.complete("dinner", k=0) == []


def test_what_cannot_be_completed_is_told(memory):
    with pytest.raises(UsageError, match="things have no vectors"):
        memory.complete("dinner", find=Modality.OBJECTS)
    with pytest.raises(UsageError, match="take another span"):
        memory.complete(span(500, 600))


def test_a_sound_finds_its_sight_and_its_words(memory):
    """A sound with a vector of its own is completed by that vector, and searched by its words as one without."""
    bell, engine = (unit(direction(word)) for word in ("ding", "brumm"))
    with_print = [replace(heard("music", at, at + 1, "yard"), embedding=vector, encoder="prints") for at, vector in
                  ((5, bell), (35, engine))]  # fmt: skip
    for at, scene in enumerate(("front door", "garage")):
        shown = [seen(scene, 30 * at + k, stream_id="yard", cut=k == 0) for k in range(20)]
        memory.write([*shown[:5], with_print[at], *shown[5:]])
    memory.write([heard("music", 61, 62, "yard"), EndOfStream(stream_id="yard", pts_ns=ns(70))])
    (first, *_) = memory.complete(engine, "prints", find=Modality.VISION)
    assert first.labels[0].name == "garage"
    (back, *_) = memory.complete(BagOfWords().encode(["front door"])[0], "bag-of-words", find=Modality.SOUND)
    assert span(5, 6).overlaps(back.span)
    found = memory.search(Query(text="was there music", modalities=(Modality.SOUND,), k=3))
    assert len(found) == 3
    assert len({round(hit.dense, 3) for hit in found}) == 1
    assert found[0].dense > 0.5
    assert memory.verify().sound
