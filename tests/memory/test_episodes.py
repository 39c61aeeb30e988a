"""Episodes are built bottom-up from what is alike, stay right when something is forgotten, and outlive their events."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from reverie.memory import Memory, MemoryConfig
from reverie.memory.coarse_codes import decode, encode
from reverie.memory.demotion import demote
from reverie.memory.repeats import ALIKE
from reverie.memory.stretches import Demoted
from reverie.memory.verify import verify
from reverie.types import EndOfStream, Modality, Query, Watermark, ns
from tests.memory.reading import assert_whole, rows_of
from tests.memory.worlds import BagOfWords, in_order, said, seen, span, unit

PLACES = ("kitchen", "garden", "garage", "attic")


def open_memory(path, **options):
    return Memory.open(path, text_encoder=BagOfWords(), mode="w", config=MemoryConfig(**options))


def long_stream(minutes, *, stream_id="tv", ended=True):
    """Every 8 minutes another place, in scenes of half a minute, each with a sentence."""
    items = []
    for at in range(0, minutes * 60, 5):
        place = PLACES[at // 480 % len(PLACES)]
        name = f"{place} {place} {place} {at // 30 % 3}"
        items.append(seen(name, at, noise=0.2, cut=at % 30 == 0, stream_id=stream_id))
        if at % 30 == 10:
            items.append(said(f"number{at} in the {place}", at, at + 4, stream_id))
    last = EndOfStream if ended else Watermark
    return [*in_order(items), last(stream_id=stream_id, pts_ns=ns(minutes * 60))]


def test_episodes_end_where_the_place_changes_and_tile_what_was_watched(tmp_path):
    with open_memory(tmp_path) as memory:
        memory.write(long_stream(48))
        assert memory.consolidate().episodes + len(memory.episodes()) >= 6
        episodes = memory.episodes()
        assert [episode.span.start_s for episode in episodes] == [480 * number for number in range(6)]
        assert all(a.span.end_ns == b.span.start_ns for a, b in itertools.pairwise(episodes))
        for number, episode in enumerate(episodes):
            assert PLACES[number % 4] in episode.text
            assert len(episode.text.encode()) <= 400
            assert episode.num_events >= 10
            assert episode.labels[0].name.startswith(PLACES[number % 4])
        assert memory.episodes(span(500, 600)) == episodes[1:2]
        assert memory.episodes(stream_ids=("radio",)) == []
        assert memory.consolidate().episodes == 0
    assert_whole(tmp_path)
    assert verify(tmp_path).sound


def test_of_a_stream_that_goes_on_the_last_stretch_waits(tmp_path):
    with open_memory(tmp_path) as memory:
        memory.write(long_stream(20, ended=False))
        memory.consolidate()
        assert memory.episodes() == []
        memory.write(long_stream(40, ended=False))
        memory.consolidate()
        assert [episode.span.start_s for episode in memory.episodes()] == [0, 480, 960]
        memory.write([EndOfStream(stream_id="tv", pts_ns=ns(2400))])
        memory.consolidate()
        assert memory.episodes()[-1].span.end_s == 2400


def test_a_run_of_many_hours_is_parted_all_the_way(tmp_path):
    with open_memory(tmp_path, consolidate_every_s=10**9) as memory:
        items = [seen(f"{PLACES[at // 480 % 4]} {at // 60 % 3}", at, cut=at % 60 == 0) for at in range(0, 18_000, 30)]
        memory.write([*items, EndOfStream(stream_id="tv", pts_ns=ns(18_000))])
        memory.consolidate()
        episodes = memory.episodes()
        assert (episodes[0].span.start_s, episodes[-1].span.end_s) == (0, 18_000)
        assert all(a.span.end_ns == b.span.start_ns for a, b in itertools.pairwise(episodes))
        assert all(300 <= episode.span.duration_ns / 1e9 <= 900 for episode in episodes)


@pytest.mark.slow
@pytest.mark.parametrize("minutes", [45, 75])
def test_episodes_do_not_depend_on_when_consolidation_runs(tmp_path, minutes):
    items = [item for item in long_stream(minutes) if not isinstance(item, EndOfStream)]
    items += [seen("empty room", minutes * 60 + at, noise=0.1) for at in range(0, 2400, 5)]
    items.append(EndOfStream(stream_id="tv", pts_ns=ns(minutes * 60 + 2400)))
    made = []
    for name, size in (("often", 37), ("seldom", 500), ("once", 10**6)):
        with open_memory(tmp_path / name, consolidate_every_s=60) as memory:
            for start in range(0, len(items), size):
                memory.write(items[start : start + size])
            memory.consolidate()
            made.append([(episode.span, episode.text, episode.num_events) for episode in memory.episodes()])
    assert made[0] == made[1] == made[2]
    assert made[0][-1][0].end_s == minutes * 60 + 2400


def test_writing_consolidates_by_itself_and_time_that_runs_out_is_told(tmp_path):
    with open_memory(tmp_path, consolidate_every_s=600) as memory:
        for start in range(0, len(items := long_stream(48)), 100):
            memory.write(items[start : start + 100])
        assert len(memory.episodes()) >= 3
    with open_memory(tmp_path / "other", consolidate_every_s=10**9) as memory:
        memory.write(long_stream(48))
        first = memory.consolidate(max_s=0.0)
        assert not first.complete
        assert len(memory.episodes()) < 6
        assert memory.consolidate().complete
        assert len(memory.episodes()) == 6


def test_forgetting_drops_the_summary_and_consolidation_builds_it_anew(tmp_path):
    with open_memory(tmp_path) as memory:
        memory.write(long_stream(24))
        memory.consolidate()
        memory.write([said("the xylophonewidow", 100, 101, seq=7)])  # late: no summary knows it
        first = memory.episodes()[0]
        word = first.text.split()[0]
        at_s = int(word.removeprefix("number"))
        memory.forget(span=span(at_s - 10, at_s + 20))
        assert all(first.span.start_ns != episode.span.start_ns for episode in memory.episodes())
        assert verify(tmp_path).sound
        memory.consolidate()
        covered = [episode.span for episode in memory.episodes()]
        assert any(part.overlaps(span(300, 301)) for part in covered)
        assert not any(part.overlaps(span(at_s, at_s + 1)) for part in covered)
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or word.encode() + b" " not in path.read_bytes()


def test_an_episode_is_what_is_left_when_its_events_have_faded(tmp_path):
    with open_memory(tmp_path) as memory:
        memory.write(long_stream(24))
        memory.consolidate()
        before = memory.episodes()
        with memory._store.transaction() as db:
            for _ in range(3):
                for (event,) in db.execute("SELECT id FROM event ORDER BY start_ns").fetchall():
                    demote(db, event, Demoted(), frame_strength=0.0)
        assert [event.span for event in memory.timeline()] == [episode.span for episode in before]
        for episode, event in zip(memory.episodes(), memory.timeline(), strict=True):
            assert event.level == 3
            assert event.text.split() == episode.text.split()
            assert memory.search(Query(text=episode.text.splitlines()[0], k=1))[0].event_id == event.event_id
        assert verify(tmp_path).sound
        with memory._store.transaction() as db:
            (event,) = db.execute("SELECT id FROM event ORDER BY start_ns LIMIT 1").fetchone()
            demote(db, event, Demoted(), frame_strength=0.0)
        assert len(memory.episodes()) == len(before) - 1
        assert verify(tmp_path).sound
    assert_whole(tmp_path)


def test_a_short_episode_waits_for_its_other_neighbour_rather_than_join_a_long_one(tmp_path):
    with open_memory(tmp_path) as memory:
        memory.write(long_stream(56))
        memory.consolidate()

        def sink(level, span=None):
            with memory._store.transaction() as db:
                for event in memory.timeline(span):
                    if event.level < level:
                        demote(db, event.event_id, Demoted(), frame_strength=0.0)

        def join(event, need="some"):
            with memory._store.transaction() as db:
                return demote(db, event.event_id, Demoted(), frame_strength=0.0, need=need)

        for level in (1, 2):
            sink(level)
        sink(3, span(0, 48 * 60))
        while memory.timeline()[0].span.end_s < 40 * 60:
            join(memory.timeline()[0])
        first, second, *others = memory.timeline()
        assert [event.span.end_s for event in (first, second)] == [40 * 60, 48 * 60]
        assert {event.level for event in others} == {2}
        assert join(second) is None
        sink(3)
        assert join(second) is not None
        assert [event.span.end_s for event in memory.timeline()] == [40 * 60, 56 * 60]
        assert join(memory.timeline()[1], need="more") is not None
        assert len(memory.timeline()) == 1
    assert_whole(tmp_path)


def test_an_event_that_repeats_the_one_before_it_is_merged_and_counted(tmp_path):
    with open_memory(tmp_path, consolidate_every_s=10**9) as memory:
        memory.write([seen("empty room", at, noise=0.1) for at in range(0, 600, 4)])
        memory.write([said("a word", 130, 131, seq=3), EndOfStream(stream_id="tv", pts_ns=ns(600))])
        count = len(memory.timeline())
        merged = memory.consolidate().repeats
        assert merged >= 5
        assert len(memory.timeline()) == count - merged
        assert all(a.span.end_ns == b.span.start_ns for a, b in itertools.pairwise(memory.timeline()))
        assert max(event.span.duration_ns for event in memory.timeline()) <= ns(300)
        assert any(event.span.start_s == 120 for event in memory.timeline())  # something new was said in it
        assert sum(row["repeats"] for row in rows_of(tmp_path)["event"]) == merged
        assert memory.consolidate().repeats == 0
    assert verify(tmp_path).sound
    assert 0.9 < ALIKE < 1


@pytest.mark.parametrize("width", [64, 101])
def test_a_coarse_code_is_near_its_vector_and_nearer_around_the_centre(width):
    rng = np.random.default_rng(3)
    shared = rng.standard_normal(width)
    vectors = np.stack([unit(1.5 * shared + rng.standard_normal(width)) for _ in range(200)])
    centre = vectors.mean(axis=0)
    near = {}
    for around in (centre, np.zeros(width, np.float32)):
        found = [decode(*encode(vector, around), around) for vector in vectors]
        near[around is centre] = np.mean([float(a @ b) for a, b in zip(vectors, found, strict=True)])
        assert all(abs(np.linalg.norm(vector) - 1) < 1e-5 for vector in found)
    assert near[True] > 0.998
    assert near[True] > near[False] > 0.99
    assert len(encode(vectors[0], centre)[0]) == (width + 1) // 2
    signs = np.packbits(vectors[0] >= centre).tobytes()
    before = decode(signs, float(np.abs(vectors[0] - centre).mean()), centre)
    assert float(vectors[0] @ before) > 0.9, "what faded before there were four bits"
    same = encode(centre, centre)
    assert np.isfinite(decode(*same, centre)).all()


def test_a_picture_is_found_where_it_was_also_in_an_episode(tmp_path):
    """An hour of things that share most of what they look like, as pictures do, merged into few events."""
    with open_memory(tmp_path, consolidate_every_s=600.0) as memory:
        shown = [seen(f"room wall lamp thing{at // 20}", at, cut=at % 20 == 0) for at in range(0, 3600, 5)]
        memory.write([*shown, EndOfStream(stream_id="tv", pts_ns=ns(3600))])
        memory.consolidate()
        for _ in range(3):
            with memory._store.transaction() as db:
                for (event,) in db.execute("SELECT id FROM event WHERE level < 3 ORDER BY id").fetchall():
                    demote(db, event, Demoted(), 1e9)
        assert {event.level for event in memory.timeline()} == {3}
        found = 0
        for number in range(0, 180, 10):
            hits = memory.search(Query(text=f"room wall lamp thing{number}", k=5, modalities=(Modality.VISION,)))
            near = [hit for hit in hits if hit.span.duration_ns < ns(120)]
            found += any(hit.span.overlaps(span(20 * number, 20 * number + 20)) for hit in near)
        assert found > 6  # of 18, by chance one
