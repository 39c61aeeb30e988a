"""Facts are valid from when they are said to when they are contradicted, whatever the order in which they come."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reverie.clock import ManualClock
from reverie.memory import Memory, MemoryConfig
from reverie.memory import facts as fact_rows
from reverie.memory.demotion import Demoted, demote
from reverie.types import EndOfStream, Modality, Query, StreamStart, ns
from tests.memory.reading import assert_whole, bytes_in, rows_of
from tests.memory.worlds import BagOfWords, said, span, written

ANCHOR_NS = ns(1_000_000)


@pytest.fixture
def clock():
    return ManualClock(wall_ns=ns(2_000_000))


@pytest.fixture
def memory(tmp_path, clock):
    with Memory.open(tmp_path / "m", text_encoder=BagOfWords(), mode="w", clock=clock) as memory:
        memory.write([start("tv")])
        yield memory


def start(stream_id: str, anchor_ns: int = ANCHOR_NS) -> StreamStart:
    return StreamStart(
        stream_id=stream_id, uri="made", live=True, has_video=True, has_audio=True, wall_anchor_ns=anchor_ns
    )


def told(facts):
    return [(fact.object, fact.valid_from_ns, fact.valid_to_ns) for fact in facts]


def at(seconds: float) -> int:
    return ANCHOR_NS + ns(seconds)


def test_the_newest_value_is_valid_and_the_old_one_is_kept(memory):
    memory.write([said("The code of the garage is 4711.", 10, 12), said("lovely weather", 20, 22)])
    memory.write([said("The garage code is now 9981.", 100, 102)])
    (now,) = memory.facts("the garage", "code")
    assert (now.object, now.superseded_by) == ("9981", None)
    old, new = memory.facts("garage", "code", history=True)
    assert told([old, new]) == [("4711", at(10), at(100)), ("9981", at(100), None)]
    assert old.superseded_by == new.fact_id
    (cited,) = old.evidence
    assert (cited.stream_id, cited.span, cited.modality) == ("tv", span(10, 12), Modality.SPEECH)
    assert cited.text == "The code of the garage is 4711."


def test_what_is_said_again_is_one_fact_with_more_evidence(memory):
    memory.write([said("The code of the garage is 4711.", at_s, at_s + 1) for at_s in (10, 60)])
    (fact,) = memory.facts()
    assert [cited.span.start_s for cited in fact.evidence] == [10, 60]
    assert told([fact]) == [("4711", at(10), None)]


def test_a_value_comes_back(memory):
    for at_s, value in ((1, "12"), (2, "13"), (3, "12")):
        memory.write([said(f"The code of the garage is {value}.", at_s, at_s + 0.5)])
    assert [fact.object for fact in memory.facts(history=True)] == ["12", "13", "12"]
    assert [fact.object for fact in memory.facts()] == ["12"]


def test_what_arrives_late_takes_its_place_in_the_past(memory, clock):
    memory.write([said("The gate is now C3.", 300, 301)])
    before_ns = clock.wall_ns()
    clock.advance(60)
    memory.write([start("other", ANCHOR_NS + ns(100)), said("The gate is now A1.", 5, 6, "other")])
    assert [fact.object for fact in memory.facts("gate")] == ["C3"]
    assert told(memory.facts("gate", history=True)) == [("A1", at(105), at(300)), ("C3", at(300), None)]
    assert [fact.object for fact in memory.facts("gate", at_ns=at(200))] == ["A1"]
    assert memory.facts("gate", at_ns=at(200), known_at_ns=before_ns) == []
    assert memory.facts("gate", at_ns=at(50)) == []


def test_forgetting_the_newer_one_makes_the_older_one_valid_again(memory, tmp_path):
    memory.write([said("The code of the garage is 4711.", 10, 12), said("The code of the garage is 99812.", 100, 102)])
    memory.forget(span=span(99, 103))
    (fact,) = memory.facts()
    assert (fact.object, fact.valid_to_ns, fact.superseded_by) == ("4711", None, None)
    assert bytes_in(tmp_path / "m", b"99812") == []
    memory.forget(stream_ids=["tv"])
    assert memory.facts(history=True) == []
    assert bytes_in(tmp_path / "m", b"4711") == []
    assert_whole(tmp_path / "m")


def test_the_quote_stays_when_its_passage_is_made_coarser(tmp_path):
    filling = "Nobody who heard it will keep such a long speech word for word in so short a summary of it all. " * 200
    talk = [said(f"common talk about the weather and the garden {k} " * 2, 12 + 2 * k, 13 + 2 * k) for k in range(20)]
    with Memory.open(tmp_path / "m", text_encoder=BagOfWords(), mode="w") as memory:
        memory.write([said(f"The code of the garage is 47110815. {filling}", 10, 12), *talk])
        memory.write([EndOfStream(stream_id="tv", pts_ns=ns(55))])
        with memory._store.transaction() as db:
            for event in memory.timeline() * 4:
                demote(db, event.event_id, Demoted(), frame_strength=-1.0)
        assert not any("4711" in row.text for row in memory.rows(modalities=(Modality.SPEECH,)))
        (fact,) = memory.facts("garage", "code")
        assert fact.evidence[0].text == "The code of the garage is 47110815."
        assert memory.verify().sound
        memory.forget(span=span(11, 12))
        assert memory.facts("garage", "code") == []
    assert bytes_in(tmp_path / "m", b"47110815") == []


def test_writing_that_stands_is_one_statement_and_goes_whole(memory, tmp_path):
    for second in range(6):
        memory.write([written("The code of the garage is 55443.", second, second + 1)])
    assert len(rows_of(tmp_path / "m")["fact"]) == 1
    memory.forget(span=span(2.2, 2.4))
    assert memory.facts() == []


def test_sending_again_adds_nothing(memory, tmp_path):
    items = [said("The code of the garage is 4711.", 10, 12), EndOfStream(stream_id="tv", pts_ns=ns(20))]
    memory.write(items)
    before = rows_of(tmp_path / "m")
    memory.write(items)
    assert rows_of(tmp_path / "m") == before


def test_extraction_can_be_switched_off(tmp_path):
    config = MemoryConfig(extract_facts=False)
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w", config=config) as memory:
        memory.write([said("The code of the garage is 4711.", 10, 12)])
        assert memory.facts() == []


def test_voices_without_a_name_do_not_rename_each_other(memory):
    memory.write([said("My name is Tom.", 1, 2), said("My name is Anna.", 3, 4)])
    assert [fact.object for fact in memory.facts("speaker", "name")] == ["Tom", "Anna"]


def test_verify_finds_a_fact_that_its_quote_does_not_hold(memory):
    memory.write([said("The code of the garage is 4711.", 10, 12)])
    memory._store.writer.execute("UPDATE fact SET object = '4712'")
    report = memory.verify()
    assert report.found == {"facts": 1}


def test_forgetting_words_takes_facts_notes_and_names_that_hold_them(memory, tmp_path):
    memory.write([said("The code of the quetzalroom is 4711.", 10, 12), said("The gate is now C3.", 20, 21)])
    memory.write([EndOfStream(stream_id="tv", pts_ns=ns(30))])
    memory.note("quetzalrooms are locked", stream_id="tv", about=span(20, 21))
    memory.teach("Quetzalroom", looks=[BagOfWords().encode(["door"])[0]], encoder="bag-of-words")
    with memory._store.transaction() as db:  # as demotion leaves it: the quote without its passage
        db.execute(
            "UPDATE fact SET start_ns = start_ns + 1000000000, end_ns = end_ns + 9000000000 WHERE object = '4711'"
        )
    memory.forget(text="quetzalroom")
    assert [fact.object for fact in memory.facts()] == ["C3"]
    assert memory.notes() == []
    assert memory.entities() == []
    for trace in (b"quetzalroom", b"Quetzalroom", b"4711"):
        assert bytes_in(tmp_path / "m", trace) == []


@settings(max_examples=25, deadline=None)
@given(st.permutations([(10, "111"), (20, "222"), (30, "222"), (40, "333"), (50, "111")]))
def test_the_order_of_arrival_does_not_matter(tmp_path_factory, order):
    with Memory.open(
        tmp_path_factory.mktemp("m"), text_encoder=BagOfWords(), mode="w", clock=ManualClock(wall_ns=ns(5))
    ) as memory:
        memory.write([start("tv")])
        for at_s, value in order:
            memory.write([said(f"The code of the safe is {value}.", at_s, at_s + 1)])
        expected = [("111", at(10), at(20)), ("222", at(20), at(40)), ("333", at(40), at(50)), ("111", at(50), None)]
        assert told(memory.facts(history=True)) == expected


def test_search_still_finds_the_passage(memory):
    passage = said("The code of the garage is 4711.", 10, 12)
    memory.write([passage, dataclasses.replace(said("talk", 20, 21))])
    assert any(hit.text == passage.text for hit in memory.search(Query(text="garage code", k=2)))


class Reader:
    """A reader that states what it is told to, whatever it is given."""

    def __init__(self, *told):
        self.told = told

    def read_facts(self, passages):
        return [list(self.told) for _ in passages]


def test_a_reader_is_believed_word_for_word_only(memory):
    passage = "She keeps the spare fuse taped behind the meter."
    memory.write([said(passage, 10, 12), said("lovely weather", 20, 22)])
    assert memory.facts() == []
    reader = Reader(
        ("spare fuse", "location", "behind the meter", passage),
        ("spare fuse", "location", "under the stairs", passage),
        ("spare fuse", "location", "behind the meter", "She keeps it behind the meter."),
        ("", "location", "behind the meter", passage),
    )
    receipt = memory.read_facts(reader)
    assert (receipt.passages, receipt.stored, receipt.refused) == (2, 1, 7)
    (fact,) = memory.facts("the spare fuse")
    assert (fact.object, fact.evidence[0].text) == ("behind the meter", passage)
    assert memory.read_facts(reader).stored == 0
    assert memory.verify().sound


def test_what_is_forgotten_while_it_is_read_is_not_stored(memory):
    memory.write([said("The fuse is behind the meter.", 10, 12)])

    class Forgetful(Reader):
        def read_facts(self, passages):
            memory.forget(span=span(10, 12))
            return super().read_facts(passages)

    receipt = memory.read_facts(Forgetful(("fuse", "place", "meter", "The fuse is behind the meter.")))
    assert receipt.stored == 0
    assert memory.facts(history=True) == []


def test_facts_take_no_more_than_they_may_and_the_superseded_go_first(memory):
    for at_s in range(20):
        memory.write([said(f"The code of the garage is {100 + at_s}.", 10 * at_s, 10 * at_s + 1)])
    memory.write([said("The gate is now C3.", 900, 901)])
    with memory._store.transaction() as db:
        assert fact_rows.trim(db, 2000, 8)
        while fact_rows.trim(db, 2000, 8):
            pass
        assert not fact_rows.trim(db, 1 << 20, 8)
    kept = memory.facts(history=True)
    assert 5 <= len(kept) <= 13
    assert [fact.object for fact in memory.facts()] == ["119", "C3"]
    assert [fact.object for fact in kept[:-1]] == [str(120 - n) for n in range(len(kept) - 1, 0, -1)]
    with memory._store.transaction() as db:
        while fact_rows.trim(db, 0, 8):
            pass
    assert memory.facts(history=True) == []
