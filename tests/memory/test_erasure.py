"""Forgotten means gone: no byte of it in any file, and it does not come back."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest

from reverie.errors import UsageError
from reverie.memory import Memory, MemoryConfig, StoreConfig
from reverie.memory.demotion import Demoted, demote
from reverie.types import EndOfStream, Gap, Label, Modality, Query, Watermark, Word, ns
from tests.memory.reading import assert_whole, bytes_in, rows_of
from tests.memory.worlds import BagOfWords, heard, jpeg, make_stream, said, seen, span, things, unit, written

SECRET = "xylophonewidow"


@pytest.fixture
def memory(tmp_path):
    with Memory.open(tmp_path / "m", text_encoder=BagOfWords(), mode="w") as memory:
        yield memory


def fill(memory):
    """An hour of common talk, with one secret minute in it."""
    for minute in range(60):
        memory.write([said(f"common talk {minute} and {k}", 60 * minute + k, 60 * minute + k + 1) for k in range(8)])
        memory.write([seen(f"scene {minute}", 60 * minute + 20, picture=minute)])
        if minute == 30:
            memory.write([
                said(f"my {SECRET} is 4711", 1830, 1832), written(f"{SECRET.upper()} SIGN", 1831, 1836),
                seen("quetzalpainting", 1835, picture=900), heard("theremintune", 1836, 1839),
                dataclasses.replace(things(1840, {7: "aardvarkbox"}), thumbnail=jpeg(901)),
            ])  # fmt: skip
    memory.write([EndOfStream(stream_id="tv", pts_ns=ns(3600))])


TRACES = [
    SECRET.encode(), SECRET.upper().encode(), SECRET[3:].encode(), b"4711", b"quetzalpainting", b"theremintune",
    b"aardvarkbox", jpeg(900)[-300:-100], jpeg(901)[-300:-100],
]  # fmt: skip


def test_no_byte_of_a_forgotten_span_is_left(memory, tmp_path):
    fill(memory)
    memory._store.reclaim()
    for trace in (*TRACES[:2], *TRACES[3:]):
        assert bytes_in(tmp_path / "m", trace), trace  # it can be found before
    receipt = memory.forget(span=span(1825, 1850))
    assert receipt.complete
    assert (receipt.observations, receipt.tracks, receipt.pictures) == (6, 1, 3)  # and the picture that stood before
    for trace in TRACES:
        assert bytes_in(tmp_path / "m", trace) == [], trace
    assert all(hit.lexical == 0 for hit in memory.search(Query(text=SECRET, k=50)))
    assert memory.stats().observations["speech"] == 480
    assert_whole(tmp_path / "m")
    memory.close()
    for trace in TRACES:
        assert bytes_in(tmp_path / "m", trace) == [], trace


def test_what_was_forgotten_does_not_come_back_when_sent_again(memory):
    items = make_stream(2, duration_s=100)
    memory.write(items)
    memory.forget(span=span(20, 60))
    kept = {(row.modality, row.seq) for row in memory.rows()}
    memory.write(items)
    again = {(row.modality, row.seq) for row in memory.rows()}
    inside = [row for row in memory.rows() if row.span.overlaps(span(20, 60))]
    assert inside == []
    assert again == kept
    assert [gap.span for gap in memory.gaps() if gap.reason == "forgotten"] == [span(20, 60)]
    before = [hit.span for hit in memory.observations((Modality.VISION,), span=span(0, 20))]
    assert max(before).end_ns <= ns(20)
    assert memory.observations((Modality.VISION, Modality.OBJECTS), span=span(20, 60)) == []


def test_events_keep_the_time_that_is_left(memory, tmp_path):
    memory.write([seen("cat", at / 2, picture=1) for at in range(100)])
    memory.write([Watermark(stream_id="tv", pts_ns=ns(50))])
    memory.forget(span=span(20, 30))
    assert [(e.span.start_s, e.span.end_s, e.open) for e in memory.timeline()] == [(0, 20, False), (30, 50, True)]
    memory.write([seen("cat", 50), seen("cat", 51), EndOfStream(stream_id="tv", pts_ns=ns(52))])
    assert [(e.span.start_s, e.span.end_s, e.open) for e in memory.timeline()] == [(0, 20, False), (30, 52, False)]
    assert_whole(tmp_path / "m")


def test_labels_of_events_that_a_forgotten_picture_reached_into_go_too(memory, tmp_path):
    secret = dataclasses.replace(
        seen("quetzalpainting", 5, picture=3), labels=(Label(name="quetzalpainting", score=0.9),)
    )
    memory.write([seen("cat", 0, picture=1), secret, EndOfStream(stream_id="tv", pts_ns=ns(300))])
    assert any(label.name == "quetzalpainting" for label in memory.timeline()[-1].labels)
    memory.forget(span=span(200, 210))  # the painting still stood there
    assert all(label.name != "quetzalpainting" for event in memory.timeline() for label in event.labels)
    assert bytes_in(tmp_path / "m", b"quetzalpainting") == []
    assert_whole(tmp_path / "m")


def test_a_stream_or_everything_goes(memory, tmp_path):
    memory.write(make_stream(1, stream_id="kept", duration_s=60))
    kept = rows_of(tmp_path / "m")
    memory.write(make_stream(2, stream_id="secretcamera", duration_s=60))
    memory.write([said(SECRET, 70, 71, "secretcamera")])
    memory.forget(stream_ids=["secretcamera"])
    assert [stream.stream_id for stream in memory.streams()] == ["kept"]
    assert rows_of(tmp_path / "m")["observation"] == kept["observation"]
    assert rows_of(tmp_path / "m")["event"] == kept["event"]
    for trace in (b"secretcamera", SECRET.encode()):
        assert bytes_in(tmp_path / "m", trace) == []
    receipt = memory.forget(everything=True)
    assert receipt.bytes_freed > 0
    assert {table: rows for table, rows in rows_of(tmp_path / "m").items() if rows} == {}
    assert list((tmp_path / "m" / "pictures").glob("*/*")) == []
    assert memory.write(make_stream(1, stream_id="kept", duration_s=60)).committed > 0  # it can begin again


def test_space_returns_to_the_disk(memory, tmp_path):
    fill(memory)
    memory._store.reclaim()
    Memory.open(tmp_path / "empty", text_encoder=BagOfWords(), mode="w").close()
    empty, before = ((tmp_path / name / "memory.sqlite").stat().st_size for name in ("empty", "m"))
    memory.forget(span=span(0, 3000))
    assert (tmp_path / "m" / "memory.sqlite").stat().st_size - empty < (before - empty) / 2


@pytest.fixture
def impatient(tmp_path):
    """A memory with a secret whose log a reader holds, and the reader."""
    config = MemoryConfig(store=StoreConfig(busy_timeout_s=0.05))
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w", config=config) as memory:
        memory.write([said(SECRET, 1, 2), said("lantern", 3, 4)])
        with Memory.open(tmp_path, text_encoder=BagOfWords()) as reader:
            reader._store.reader.execute("BEGIN")
            assert reader._store.reader.execute("SELECT count(*) FROM observation").fetchone() == (2,)
            yield memory, reader._store.reader


def test_forgetting_that_a_reader_holds_up_is_finished_when_it_lets_go(impatient, tmp_path):
    memory, reader = impatient
    assert not memory.forget(text=SECRET).complete
    assert not memory.settled
    assert not memory._finisher.wait(0)
    assert bytes_in(tmp_path, SECRET.encode())  # the reader's snapshot still needs it
    memory.write([said("bridge", 5, 6)])  # writing goes on meanwhile
    reader.execute("COMMIT")
    assert memory._finisher.wait(30)  # nobody calls again
    assert memory.settled
    assert bytes_in(tmp_path, SECRET.encode()) == []
    assert [row.text for row in memory.rows()] == ["lantern", "bridge"]
    assert memory.forget(text="lantern").complete


def test_forgetting_that_a_closed_writer_left_is_finished_by_the_next(impatient, tmp_path):
    memory, reader = impatient
    assert not memory.forget(text=SECRET).complete
    memory.close()
    assert bytes_in(tmp_path, SECRET.encode())
    config = MemoryConfig(store=StoreConfig(busy_timeout_s=0.05))
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w", config=config) as again:
        assert not again.settled  # the reader is still there
        reader.execute("COMMIT")
        assert again._finisher.wait(30)
        assert bytes_in(tmp_path, SECRET.encode()) == []


def test_the_receipt_names_the_copies_that_it_cannot_reach(memory, tmp_path):
    memory.write([said(SECRET, 1, 2)])
    with Memory.open(tmp_path / "m", text_encoder=BagOfWords()) as reader:  # readers make copies, too
        assert reader.backup(tmp_path / "monday").noted
        reader.export("json", path=tmp_path / "out.json")
        (tmp_path / "out.json").touch()
    memory.backup(tmp_path / "tuesday")
    for _ in range(2):
        memory.export("srt")
    shutil.rmtree(tmp_path / "tuesday")
    receipt = memory.forget(everything=True)
    told = [(copy.kind, copy.path, copy.there) for copy in receipt.copies]
    assert told == [
        ("backup", str(tmp_path / "monday"), True),
        ("json", str(tmp_path / "out.json"), True),
        ("backup", str(tmp_path / "tuesday"), False),
        ("srt", "", None),
    ]
    with Memory.open(tmp_path / "monday", text_encoder=BagOfWords(), mode="w") as copy:
        assert [known.kind for known in copy.forget(everything=True).copies] == ["original"]
    assert len(memory.forget(everything=True, copies_too=True).copies) == 4  # the list outlived everything, till now
    assert memory.forget(everything=True).copies == ()
    with pytest.raises(UsageError, match="together with everything"):
        memory.forget(text="x", copies_too=True)


def test_a_list_of_copies_with_a_torn_line_is_read_and_gone_on_with(memory, tmp_path):
    memory.write([said("lantern", 1, 2)])
    memory.export("srt")
    with open(tmp_path / "m" / "copies.jsonl", "ab") as file:
        file.write(b'{"kind": "backup", "pa')
    memory.export("json")
    assert [copy.kind for copy in memory.forget(text="lantern").copies] == ["srt", "json"]


def test_words_go_from_every_sense_and_nothing_else_does(memory, tmp_path):
    fill(memory)
    memory.write([said(f"no {SECRET}s here", 100, 102, "radio"), said("only the radio", 103, 104, "radio")])
    before = {(row.stream_id, row.modality, row.seq): row for row in memory.rows()}
    receipt = memory.forget(text=SECRET)
    assert receipt.complete
    assert receipt.senses == {"writing": 1, "speech": 2}  # in any case, and with an ending
    assert receipt.pictures == 2  # what was in sight: the last picture before the words, and the one that came during
    for trace in (SECRET.encode(), SECRET.upper().encode(), b"4711"):
        assert bytes_in(tmp_path / "m", trace) == [], trace
    left = {(row.stream_id, row.modality, row.seq): row for row in memory.rows()}
    assert left.keys() < before.keys()
    assert len(before) - len(left) == 3
    assert all(hit.lexical == 0 for hit in memory.search(Query(text=SECRET, k=50)))
    assert [gap for gap in memory.gaps() if gap.reason == "forgotten"] == []
    assert_whole(tmp_path / "m")
    assert memory.verify().sound
    assert memory.write([said(f"my {SECRET} is 4711", 1830, 1832)]).repeated == 1  # it does not come back
    assert memory.write([said(f"my {SECRET} is 4711", 3700, 3702)]).committed == 1  # said anew it is news


@pytest.mark.parametrize("name", ["quetzalpainting", "theremintune", "aardvarkbox"])
def test_names_go_with_their_moments_sounds_and_visits(memory, tmp_path, name):
    fill(memory)
    memory.write([things(3601, {8: "person", 9: "aardvarkbox"}), things(3602, {8: "aardvarkbox"})])
    memory.write([things(at_s, {8: "person"}) for at_s in (3603, 3604)])
    receipt = memory.forget(text=name.upper())
    assert receipt.labels >= 1
    assert bytes_in(tmp_path / "m", name.encode()) == []
    assert name not in {label.name for label in memory.labels()}
    assert all(name not in hit.text for hit in memory.search(Query(text=name, k=50)))
    assert all(label.name != name for event in memory.timeline() for label in event.labels)
    assert_whole(tmp_path / "m")
    assert memory.verify().sound
    assert [visit.name for visit in memory.tracks(span=span(3600, 3700))].count("person") == 1  # the other thing stays
    if name == "aardvarkbox":
        assert (receipt.tracks, receipt.observations) == (2, 0)
        boxes = [box.name for row in memory.rows(modalities=(Modality.OBJECTS,)) for box in row.boxes]
        assert set(boxes) == {"person"}
    if name == "quetzalpainting":  # no earlier picture seems to stand where it was
        assert memory.observations((Modality.VISION,), span=span(1836, 1850)) == []


def test_all_words_have_to_match_in_the_span_and_stream_that_are_named(memory):
    memory.write([said("the red lantern", 1, 2), said("the lantern", 3, 4), said("a red bridge", 5, 6)])
    memory.write([said("red lantern", 7, 8, "radio")])

    def spoken():
        return [row.text for row in memory.rows(modalities=(Modality.SPEECH,))]

    assert memory.forget(text="lanterns red", span=span(2, 9)).observations == 1
    assert spoken() == ["the red lantern", "the lantern", "a red bridge"]
    assert memory.forget(text="red", stream_ids=["radio"]).observations == 0
    assert memory.forget(text="red", stream_ids=["tv"], span=span(0, 3)).observations == 1
    assert spoken() == ["the lantern", "a red bridge"]
    with pytest.raises(UsageError, match="has no word"):
        memory.forget(text=" -- ")


def test_a_dry_run_counts_what_would_go_and_changes_nothing(memory, tmp_path):
    fill(memory)
    before = rows_of(tmp_path / "m")
    for what in ({"text": SECRET}, {"span": span(1825, 1850)}, {"stream_ids": ["tv"]}, {"everything": True}):
        told = memory.forget(**what, dry_run=True)
        assert told.dry_run
        assert rows_of(tmp_path / "m") == before
        assert len(told.found) == min(told.observations, 100)
        if "text" in what:
            assert {found.text for found in told.found} == {f"my {SECRET} is 4711", f"{SECRET.upper()} SIGN"}
    assert_whole(tmp_path / "m")
    done = memory.forget(text=SECRET)
    assert done.found == ()  # a receipt does not quote what is gone
    assert done.observations == memory.forget(text=SECRET, dry_run=True).observations + 2


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("what", [{"span": span(1825, 1850)}, {"text": SECRET}])
def test_what_became_coarser_is_forgotten_too(memory, tmp_path, steps, what):
    fill(memory)
    memory.write([seen("mountain", 3599, picture=902)])
    with memory._store.transaction() as db:
        for _ in range(steps):
            for (event,) in db.execute("SELECT id FROM event WHERE NOT open ORDER BY start_ns").fetchall():
                demote(db, event, Demoted(), 0.0)
    memory._remove_orphans()
    memory._store.reclaim()
    assert {event.level for event in memory.timeline() if not event.open} == {steps}
    if steps == 1:
        assert bytes_in(tmp_path / "m", SECRET.encode())
    memory.forget(**what)
    traces = TRACES if "span" in what else [*TRACES[:4], jpeg(900)[-300:-100]]
    for trace in traces:
        assert bytes_in(tmp_path / "m", trace) == [], trace
    assert all(hit.lexical == 0 for hit in memory.search(Query(text=SECRET, k=50)))
    inside = [hit for hit in memory.observations(span=span(1830, 1832)) if SECRET in hit.text.lower()]
    assert inside == []
    if "span" in what:
        assert memory.observations(span=span(1825, 1850)) == []
    assert_whole(tmp_path / "m")
    assert memory.verify().sound


def test_what_was_said_can_be_forgotten_where_sounds_with_prints_keep_an_older_encoder(tmp_path):
    """The only vectors of the text encoder may be those of the sounds' texts."""
    music = dataclasses.replace(heard("music", 18000, 18002), embedding=unit(np.ones(32)), encoder="print")
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        memory.write([said("my secret is xylophone", 10, 12), EndOfStream(stream_id="tv", pts_ns=ns(20))])
        memory.write([music, EndOfStream(stream_id="tv", pts_ns=ns(18030))])
    with Memory.open(tmp_path, text_encoder=BagOfWords(48, "new"), mode="w") as memory:
        with memory._store.transaction() as db:  # as a change of encoder left them before
            db.execute("DELETE FROM label_vector")
        assert memory.forget(span=span(0, 60)).senses == {"speech": 1}
        assert [row.text for row in memory.rows()] == ["music"]
        assert memory.reencode().texts == 1
        assert memory.forget(text="music").senses == {"sound": 1}
        assert memory.verify().sound
    assert_whole(tmp_path)


def test_say_what_to_forget(memory):
    with pytest.raises(UsageError, match="say what"):
        memory.forget()
    with pytest.raises(UsageError, match="no stream is called 'x'"):
        memory.forget(stream_ids=["x"])


def test_a_summary_says_no_more_than_what_is_left_and_is_forgotten_with_it(tmp_path):
    with Memory.open(tmp_path / "m", text_encoder=BagOfWords(), mode="w") as memory:
        memory.write([said(f"common talk of the day and secret{k}word", 10 * k, 10 * k + 4) for k in range(60)])
        memory.write([EndOfStream(stream_id="tv", pts_ns=ns(600))])
        memory.consolidate()
        for _ in range(12):
            with memory._store.transaction() as db:
                for event in memory.timeline():
                    demote(db, event.event_id, Demoted(), frame_strength=0.0, need="all")
            left = " ".join(row.text for row in memory.rows())
            if max((event.level for event in memory.timeline()), default=9) >= 6:
                break
        (episode,) = memory.episodes()
        assert 0 < len(episode.text) < 400
        assert set(episode.text.split()) <= set(left.split())
        word = episode.text.split()[-1]
        with memory._store.transaction() as db:  # one from before summaries were made anew
            db.execute("UPDATE episode SET text = text || ' plainleftover'")
        for gone in ("plainleftover", word):
            memory.forget(text=gone)
            assert bytes_in(tmp_path / "m", gone.encode()) == []
        assert memory.verify().sound


def test_words_that_no_index_holds_are_forgotten(memory, tmp_path):
    fill(memory)
    timed = dataclasses.replace(
        said("he told us", 0, 2, stream_id="hall"), words=(Word(text=SECRET, span=span(0, 1), score=1.0),)
    )
    captioned = dataclasses.replace(seen("hall", 5, stream_id="hall"), text=f"a note that reads {SECRET}")
    lost = Gap(stream_id="hall", span=span(10, 12), reason=f"{SECRET} pulled the plug", num_dropped=3)
    memory.write([timed, captioned, said("he left", 7, 8, stream_id="hall"), lost])
    assert len(memory.rows(stream_ids=("hall",))) == 3
    memory.forget(text=SECRET)
    assert [row.text for row in memory.rows(stream_ids=("hall",))] == ["he left"]
    (gap,) = (gap for gap in memory.gaps(("hall",)) if gap.span == lost.span)
    assert (gap.reason, gap.num_dropped) == ("unnamed", 3)
    assert bytes_in(tmp_path, SECRET.encode()) == []
    assert_whole(tmp_path / "m")
