import dataclasses
import itertools

import numpy as np
import pytest

from reverie.clock import ManualClock
from reverie.errors import MemoryStoreError, UsageError
from reverie.memory import Memory
from reverie.memory.demotion import demote
from reverie.memory.stretches import Demoted
from reverie.types import (
    AudioChunk,
    Cut,
    EndOfStream,
    Gap,
    Label,
    Modality,
    Query,
    StreamStart,
    TimeSpan,
    Watermark,
    Word,
    ns,
)
from tests.memory.reading import assert_whole, rows_of
from tests.memory.worlds import (
    BagOfWords,
    batches,
    direction,
    heard,
    jpeg,
    make_stream,
    said,
    seen,
    span,
    things,
    unit,
    written,
)

END = EndOfStream(stream_id="tv", pts_ns=ns(30))


@pytest.fixture
def memory(tmp_path):
    with Memory.open(tmp_path / "m", text_encoder=BagOfWords(), mode="w", clock=ManualClock(5)) as memory:
        yield memory


def test_what_was_written_comes_back(memory):
    items = [
        seen("tabby cat", 0.0, picture=1, cut=True),
        things(0.0, {1: "person"}),
        written("EXIT", 0.5, 3.0),
        said("hello there", 1.0, 2.0),
        heard("music", 1.5, 4.0),
    ]
    receipt = memory.write(items)
    assert (receipt.committed, receipt.moments, receipt.pictures, receipt.rejected) == (5, 1, 1, 0)
    assert receipt.bytes_kept >= len(jpeg(1))
    kept = {row.modality: row for row in memory.rows(vectors=True)}
    assert kept[Modality.SPEECH].words[1].text == "there"
    assert kept[Modality.SPEECH].words[1].span == items[3].words[1].span
    assert kept[Modality.SOUND].text == "music"  # searched by the names of what was heard
    assert kept[Modality.VISION].starts_shot
    assert kept[Modality.VISION].labels[0].name == "tabby cat"
    assert float(kept[Modality.VISION].embedding @ items[0].embedding) > 0.999
    box, sent = kept[Modality.OBJECTS].boxes[0], items[1].boxes[0]
    assert (box.track_id, box.name, box.since_ns) == (1, "person", 0)
    assert abs(box.x1 - sent.x1) < 1e-4
    assert (memory.root / memory.timeline()[0].thumbnail).read_bytes() == jpeg(1)


def test_writing_the_same_again_changes_nothing(memory, tmp_path):
    items = make_stream(3, duration_s=60)
    memory.write(items)
    before, encoded = rows_of(tmp_path / "m"), memory._search._text_encoder.num_encoded
    receipt = memory.write(items)
    assert receipt.committed == receipt.gaps == receipt.events_closed == 0
    assert receipt.repeated == sum(hasattr(item, "modality") for item in items)
    assert rows_of(tmp_path / "m") == before
    assert memory._search._text_encoder.num_encoded == encoded  # nothing was embedded twice


def test_a_repeat_within_one_batch_counts_once(memory):
    receipt = memory.write([said("hello", 1, 2), said("hello", 1, 2)])
    assert (receipt.committed, receipt.repeated) == (1, 1)


@pytest.mark.parametrize("seed", range(6))
def test_rows_do_not_depend_on_batches_or_restarts(tmp_path, seed):
    items = make_stream(seed, duration_s=150, gap=seed % 2 == 1)
    with Memory.open(tmp_path / "once", text_encoder=BagOfWords(), mode="w") as memory:
        memory.write(items)
    with Memory.open(tmp_path / "parts", text_encoder=BagOfWords(), mode="w") as memory:
        for batch in batches(items, np.random.default_rng(seed)):
            memory.write(batch)
    for batch in batches(items, np.random.default_rng(seed + 100)):
        with Memory.open(tmp_path / "restarts", text_encoder=BagOfWords(), mode="w") as memory:
            memory.write(batch)
    once = rows_of(tmp_path / "once")
    assert rows_of(tmp_path / "parts") == once
    assert rows_of(tmp_path / "restarts") == once
    assert len(once["event"]) > 3
    assert_whole(tmp_path / "restarts")


@pytest.mark.parametrize("seed", range(4))
def test_events_do_not_depend_on_when_watermarks_come(tmp_path, seed):
    items = make_stream(seed, duration_s=150)
    without = [item for item in items if not isinstance(item, Watermark)]
    dense = []
    for item in without:
        at_ns = item.span.start_ns if hasattr(item, "span") else None
        dense += [item] if at_ns is None else [Watermark(stream_id="tv", pts_ns=at_ns), item]
    for name, sent in (("a", without), ("b", dense)):
        with Memory.open(tmp_path / name, text_encoder=BagOfWords(), mode="w") as memory:
            memory.write(sent)
    a, b = rows_of(tmp_path / "a"), rows_of(tmp_path / "b")
    assert a["event"] == b["event"]
    assert a["track"] == b["track"]


@pytest.mark.parametrize("seed", range(4))
def test_events_tile_what_was_watched(tmp_path, seed):
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        for batch in batches(make_stream(seed, duration_s=300), np.random.default_rng(seed)):
            memory.write(batch)
            events, watched = memory.timeline(), memory.streams()
            if events:
                assert events[0].span.start_ns == watched[0].watched.start_ns
                assert events[-1].span.end_ns == watched[0].watched.end_ns
                assert all(a.span.end_ns == b.span.start_ns for a, b in itertools.pairwise(events))
                assert [event.open for event in events[:-1]] == [False] * (len(events) - 1)
        assert not memory.timeline()[-1].open


def test_vectors_that_cannot_be_are_refused_and_counted(memory):
    good = seen("cat", 0)
    bad = [
        dataclasses.replace(good, seq=1, embedding=np.full(64, np.nan, np.float32)),
        dataclasses.replace(good, seq=2, embedding=good.embedding * 2),
        dataclasses.replace(good, seq=3, embedding=unit(np.ones(7))),  # another width, same encoder
        dataclasses.replace(good, seq=4, encoder=""),
        dataclasses.replace(good, seq=5, confidence=float("inf")),
        dataclasses.replace(good, seq=6, span=span(0, 1).union(span(0, 1e10))),
        dataclasses.replace(good, seq=7, embedding=np.array([np.inf] * 64, np.float32)),
    ]
    other = dataclasses.replace(good, seq=8, embedding=unit(np.ones(7)), encoder="another")
    receipt = memory.write([good, *bad, other])
    assert (receipt.committed, receipt.rejected) == (2, 7)
    assert receipt.counters["observations_rejected"] == 7
    assert [row.encoder for row in memory.rows()] == ["bag-of-words", "another"]
    assert memory.write([bad[2], other]).rejected == 1


def test_what_comes_out_of_order_is_kept_and_counted(memory):
    memory.write([seen("cat", 10), seen("cat", 11)])
    receipt = memory.write([said("early words", 2, 3)])
    assert (receipt.committed, receipt.late) == (1, 1)
    assert memory.streams()[0].watched.start_ns == ns(2)
    assert memory.timeline()[0].span.start_ns == ns(2)
    assert memory.timeline()[0].text == "early words"


def test_frames_and_sound_are_not_for_memory(memory):
    chunk = AudioChunk(stream_id="a", seq=0, pts_ns=0, samples=np.zeros(10, np.float32), sample_rate_hz=16000)
    with pytest.raises(TypeError, match="AudioChunk"):
        memory.write([chunk])
    assert memory.write([Cut(stream_id="a", index=0, pts_ns=0)]).committed == 0


def test_the_position_of_a_stream_is_its_highest_watermark(memory):
    assert memory.committed("tv") is None
    memory.write([seen("cat", 1)])
    assert memory.committed("tv") is None
    memory.write([Watermark(stream_id="tv", pts_ns=ns(5)), Watermark(stream_id="tv", pts_ns=ns(3))])
    assert memory.committed("tv") == ns(5)
    memory.write([END])
    assert memory.committed("tv") == ns(30)


def test_a_still_scene_lasts_until_what_was_watched(memory):
    memory.write([seen("cat", 0, picture=1), Watermark(stream_id="tv", pts_ns=ns(25))])
    assert [(e.span.end_s, e.open) for e in memory.timeline()] == [(25, True)]
    assert memory.observations((Modality.VISION,))[0].span == span(0, 25)
    memory.write([Watermark(stream_id="tv", pts_ns=ns(130))])
    events = memory.timeline()
    assert [(e.span.start_s, e.span.end_s, e.open) for e in events] == [
        (0, 60, False),
        (60, 120, False),
        (120, 130, True),
    ]
    assert len({event.thumbnail for event in events}) == 1  # the picture that still stands
    assert [event.labels[0].name for event in events] == ["cat"] * 3


def test_a_picture_does_not_stand_through_a_long_loss(memory):
    lost = Gap(stream_id="tv", span=span(5, 25), reason="link lost", num_dropped=40)
    memory.write([seen("cat", 0, picture=1), lost, said("back again", 26, 27), END])
    assert memory.observations((Modality.VISION,))[0].span == span(0, 5)
    assert [(e.span.start_s, e.span.end_s) for e in memory.timeline()] == [(0, 5), (26, 30)]
    assert memory.timeline()[1].thumbnail is None
    assert memory.gaps()[0].reason == "link lost"
    assert memory.write([lost]).gaps == 0


def test_visits_are_spans_with_a_name_by_vote(memory):
    memory.write([
        things(2.0, {1: "dog"}, since_s=1.0), things(2.5, {1: "cat", 2: "person"}), things(3.0, {1: "cat"}),
        things(3.5, {}), things(9.0, {3: "person"}), END,
    ])  # fmt: skip
    visits = memory.tracks()
    assert [(v.name, v.span.start_s, v.span.end_s) for v in visits] == [
        ("cat", 1.0, 3.5), ("person", 2.5, 3.0), ("person", 9.0, 30.0),
    ]  # fmt: skip
    assert [v.track_id for v in memory.tracks("person")] == [2, 3]
    assert [v.track_id for v in memory.tracks("person", span=span(4, 20))] == [3]
    assert memory.tracks(stream_ids=("other",)) == []


def test_a_visit_has_the_picture_of_its_start(memory):
    confirmed = dataclasses.replace(things(2.0, {1: "dog"}), thumbnail=jpeg(7))
    memory.write([seen("park", 0.0, picture=1), confirmed])
    assert (memory.root / memory.tracks()[0].thumbnail).read_bytes() == jpeg(7)


def test_equal_writing_side_by_side_is_one(memory):
    memory.write([written("SALE", 0, 10), written("SALE", 10, 20), written("EXIT", 20, 25), written("SALE", 40, 42)])
    blocks = memory.observations((Modality.WRITING,))
    assert [(b.text, b.span) for b in blocks] == [("SALE", span(0, 20)), ("EXIT", span(20, 25)), ("SALE", span(40, 42))]


def test_names_are_counted_by_kind(memory):
    memory.write([seen("cat", 0), seen("cat", 1), things(1, {1: "person"}), heard("music", 2, 4)])
    assert {(label.name, label.kind): label.count for label in memory.labels()} == {
        ("cat", "class"): 2, ("red", "colour"): 2, ("person", "object"): 1, ("music", "sound"): 1,
    }  # fmt: skip


def test_the_last_seconds_of_the_newest_stream(memory):
    memory.write([said("old words", 1, 2, "a"), EndOfStream(stream_id="a", pts_ns=ns(50))])
    memory.write([seen("cat", 0, stream_id="b"), seen("cat", 18, stream_id="b"), said("new words", 17, 18, "b")])
    memory.write([said("too old", 2, 3, "b"), Watermark(stream_id="b", pts_ns=ns(20))])
    latest = memory.latest(ns(5))
    assert {hit.stream_id for hit in latest} == {"b"}
    assert {hit.text for hit in latest} == {"cat", "new words"}
    assert next(hit.span.end_s for hit in latest if hit.modality is Modality.VISION) == 20
    assert memory.latest(ns(5), ("a",)) == []
    assert memory.latest(ns(49.5), ("a",))[0].text == "old words"


def test_observations_are_bounded_from_either_end(memory):
    memory.write([said(f"word {i}", i, i + 1) for i in range(20)])
    assert [hit.text for hit in memory.observations(limit=3)] == ["word 0", "word 1", "word 2"]
    assert [hit.text for hit in memory.observations(limit=2, newest=True)] == ["word 18", "word 19"]
    assert memory.observations(limit=0) == []


def test_pictures_too_large_or_no_jpeg_are_not_kept(memory):
    odd = dataclasses.replace(seen("cat", 0), thumbnail=b"not a jpeg")
    receipt = memory.write([odd])
    assert (receipt.committed, receipt.pictures, receipt.pictures_refused) == (1, 0, 1)


def test_streams_tell_what_they_are(memory):
    memory.write(
        [StreamStart(stream_id="tv", uri="rtsp://x", live=True, has_video=True, has_audio=False, wall_anchor_ns=9)]
    )
    memory.write([seen("cat", 1), END])
    (stream,) = memory.streams()
    assert (stream.uri, stream.live, stream.wall_anchor_ns, stream.ended) == ("rtsp://x", True, 9, True)
    assert stream.watched == span(1, 30)
    memory.write([seen("cat", 31)])  # it goes on after all
    assert not memory.streams()[0].ended
    assert [(e.span.start_s, e.open) for e in memory.timeline()] == [(1, False), (31, True)]


def test_stats_add_up(memory):
    memory.write(make_stream(2, duration_s=60))
    stats = memory.stats()
    assert stats.total_bytes == sum(path.stat().st_size for path in memory.root.rglob("*") if path.is_file())
    assert stats.observations["vision"] == len(memory.rows(modalities=(Modality.VISION,)))
    assert stats.pictures == len(list((memory.root / "pictures").glob("*/*.jpg"))) > 0
    assert stats.hours_watched == pytest.approx(60 / 3600)


def test_a_closed_or_read_only_memory_says_so(tmp_path):
    memory = Memory.open(tmp_path / "m", text_encoder=BagOfWords(), mode="w")
    memory.close()
    memory.close()
    with pytest.raises(MemoryStoreError, match="closed"):
        memory.streams()
    with (
        Memory.open(tmp_path / "m", text_encoder=BagOfWords()) as reader,
        pytest.raises(MemoryStoreError, match="mode='w'"),
    ):
        reader.write([])


def test_vectors_of_another_space_are_asked_through_their_own_encoder(tmp_path):
    text, sight = BagOfWords(), BagOfWords(width=32, encoder_id="sight-text")
    picture = dataclasses.replace(seen("x", 0), embedding=unit(direction("zebra", 32)), encoder="sight", labels=())
    with Memory.open(tmp_path, text_encoder=text, mode="w", query_encoders={"sight": sight}) as memory:
        memory.write([picture])
        from reverie.types import Query

        assert memory.search(Query(text="zebra"))[0].dense > 0.95
    with Memory.open(tmp_path, text_encoder=text) as memory:  # carried over by the anchors
        assert memory.search(Query(text="zebra"))[0].dense > 0.3
    with Memory.open(tmp_path / "new", text_encoder=text, mode="w") as memory:  # a space that nothing is known of
        memory.write([picture])
        assert memory.search(Query(text="zebra")) == []


def test_an_observation_far_ahead_is_kept_and_what_follows_is_counted_late(memory):
    """A source whose clock leaps: a leap forth is a loss, and all that is fed after it, before its time, stays too."""
    memory.write([said("river bridge", at_s, at_s + 1) for at_s in range(0, 20, 5)])
    ahead_s = 400 * 86_400.0
    receipt = memory.write([said("copper engine", ahead_s, ahead_s + 1)])
    assert (receipt.late, receipt.gaps) == (0, 1)
    assert [gap.span.end_s for gap in memory.gaps()] == [ahead_s]
    assert memory.stats().hours_watched < 0.05
    receipt = memory.write([said("lantern window", at_s, at_s + 1) for at_s in range(20, 40, 5)])
    assert (receipt.committed, receipt.late, receipt.rejected) == (4, 4, 0)
    for words, at_s in (("river bridge", 0), ("lantern window", 20), ("copper engine", ahead_s)):
        assert at_s in {hit.span.start_s for hit in memory.search(Query(text=words, k=4))}
    assert len(memory.timeline()) < 6
    assert memory.write([said("beyond all time", 200 * 365 * 86_400.0, 200 * 365 * 86_400.0 + 1)]).rejected == 1


@pytest.mark.parametrize(
    "item",
    [
        dataclasses.replace(seen("x", 1), labels=(Label(name="a", score=70_000.0),)),
        dataclasses.replace(said("x", 1, 2), modality="smell"),
        dataclasses.replace(said("x", 1, 2), confidence=10**400),
        Gap(stream_id="tv", span=span(1, 2), reason="lost", num_dropped=10**30),
    ],
    ids=["score", "modality", "confidence", "dropped"],
)
def test_what_does_not_fit_its_column_is_rejected_alone(memory, item):
    receipt = memory.write([item, said("fine", 3, 4)])
    assert (receipt.committed, receipt.rejected) == (1, 1)
    assert memory.verify().sound


def test_a_moment_at_the_very_end_is_forgotten_too_and_what_follows_is_kept(memory):
    memory.write([said("all is well", 1, 5), written("zzsecret", 10, 10)])
    assert memory.forget(span=span(5, 20)).observations == 1
    assert [row.text for row in memory.rows()] == ["all is well"]
    assert memory.write([said("more", 10.5, 12)]).committed == 1


def test_odd_queries_are_answered_or_refused(memory):
    memory.write([said(f"the river {k}", 10 * k, 10 * k + 2) for k in range(5)])
    hits = memory.search(Query(text="river 2", k=1, neighbours=10**9))
    assert len(hits) <= 5
    with pytest.raises(UsageError, match="whole number"):
        memory.search(Query(text="river", k=2.5))
    with pytest.raises(UsageError, match="no sense 'xx'"):
        memory.search(Query(text="river", modalities=("xx",)))


def test_a_watermark_may_come_before_anything_else(memory):
    memory.write([Watermark(stream_id="tv", pts_ns=ns(5)), Watermark(stream_id="radio", pts_ns=ns(5))])
    memory.write([said("all is well", 6, 8)])
    assert memory.consolidate().complete


def test_clocks_that_were_set_after_years_stop_nothing(memory):
    years_s = 56.9 * 365 * 86_400
    for number in range(6):
        name = f"camera {number}"
        memory.write([said("before", 0, 1, name), said("after the clock was set", years_s, years_s + 1, name)])
    for at_s in range(0, 1300, 60):
        memory.write([said("all is well", at_s, at_s + 2, "fine")])
    assert memory.consolidate().complete
    assert memory.verify().sound


def test_numbers_of_numpy_are_numbers(memory):
    once = dataclasses.replace(said("fine", 3, 4), seq=np.int64(7))
    assert memory.write([once]).committed == 1
    assert memory.write([dataclasses.replace(once, seq=7)]).repeated == 1
    assert memory.verify().sound


def test_half_of_a_character_cannot_be_asked_for_and_is_shown(memory):
    memory.write([said("fine", 3, 4)])
    half = "half \udc00"
    for ask in (
        lambda: memory.search(Query(text=half)),
        lambda: memory.search(Query(text="fine", stream_ids=(half,))),
        lambda: memory.search(Query(text="fine", places=(half,))),
        lambda: memory.familiarity(half),
        lambda: memory.when_said(half),
        lambda: memory.complete(half),
        lambda: memory.tracks(half),
        lambda: memory.timeline(stream_ids=(half,)),
        lambda: memory.forget(text=half),
    ):
        with pytest.raises(UsageError, match=r"udc00' holds half of a character"):
            ask()


def test_more_hits_than_there_can_be_are_all(memory):
    memory.write([said("fine", 3, 4), said("fine weather", 40, 41)])
    assert memory.search(Query(text="fine", k=10**30)) == memory.search(Query(text="fine", k=10))


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_what_comes_before_the_first_event_is_kept_whatever_became_of_that(memory, steps):
    memory.write([seen(f"scene {at // 60}", 1000 + at, noise=0.1) for at in range(0, 1200, 2)])
    memory.write([EndOfStream(stream_id="tv", pts_ns=ns(2200))])
    memory.consolidate()
    for _ in range(steps):
        with memory._store.transaction() as db:
            for event in memory.timeline():
                demote(db, event.event_id, Demoted(), frame_strength=0.0)
    receipt = memory.write([seen("cat", at) for at in (990, 500, 502, 10)])
    assert (receipt.committed, receipt.late) == (4, 4)
    assert memory.verify().sound
    assert [event.span.start_ns for event in memory.timeline()][:3] == [ns(10), ns(500), ns(990)]
    assert all(event.span.duration_ns <= ns(60) or event.level for event in memory.timeline())
    memory.consolidate()
    assert memory.verify().sound


def test_a_time_that_cannot_be_asked_for_is_an_error_that_says_so(memory):
    memory.write([said("fine", 3, 4)])
    beyond = TimeSpan(start_ns=0, end_ns=1 << 70)
    for ask in (memory.timeline, memory.episodes, lambda span: memory.forget(span=span)):
        with pytest.raises(UsageError, match="292 years"):
            ask(beyond)
    assert len(memory.search(Query(text="fine", k=1))) == 1


def test_times_and_texts_that_cannot_be_stored_are_refused_and_counted(memory):
    far = 1 << 62
    refused = [
        Watermark(stream_id="tv", pts_ns=far),
        Gap(stream_id="tv", span=TimeSpan(start_ns=0, end_ns=far), reason="lost"),
        StreamStart(stream_id="tv", uri="\ud800", live=False, has_video=True, has_audio=True),
        EndOfStream(stream_id="tv", pts_ns=-far),
        said("half a \udc00 pair", 1, 2),
        dataclasses.replace(said("fine", 3, 4), seq=1 << 70),
        dataclasses.replace(said("fine", 3, 4), seq=3.5),
        dataclasses.replace(seen("cat", 5), labels=(Label(name="cat", score=1e300),)),
        dataclasses.replace(seen("cat", 5), labels=(Label(name="cat", score=0.5, kind="\ud800"),)),
        dataclasses.replace(
            said("word", 6, 7), words=(Word(text="word", span=TimeSpan(start_ns=0, end_ns=1 << 70), score=1.0),)
        ),
    ]
    for _ in range(2):  # of a stream that is not known, and of one that is
        assert memory.write(refused).rejected == len(refused)
        memory.write([said("known now", 10, 11)])
    assert memory.verify().sound
