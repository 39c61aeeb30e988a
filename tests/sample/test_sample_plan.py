"""The plan of a sample stream and the truth that follows from it."""

import dataclasses
import json
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from demos.sample import catalogue
from demos.sample.catalogue import CATALOGUE, MissingMedia, locate
from demos.sample.compose import truth_of
from demos.sample.picture import actor_x_px, cutout_width_px
from demos.sample.plan import FPS, VISITORS, WIDTH_PX, plan_stream
from demos.sample.truth import Truth
from demos.sample.words import (
    load_absent_captions,
    load_absent_sentences,
    load_captions,
    load_sentences,
    recording,
)

streams = st.builds(
    plan_stream,
    st.integers(0, 10_000),
    st.floats(10, 260),
    st.sampled_from(["moving", "still"]),
)


def test_a_seed_makes_one_plan_and_another_seed_another():
    assert plan_stream(3, 120) == plan_stream(3, 120)
    assert plan_stream(3, 120) != plan_stream(4, 120)
    assert truth_of(plan_stream(3, 120)) == truth_of(plan_stream(3, 120))


@given(streams)
@settings(max_examples=40, deadline=None)
def test_scenes_fill_the_stream_without_holes(plan):
    assert plan.scenes[0].start_s == 0
    assert plan.scenes[-1].end_s == plan.duration_s
    for before, after in pairwise(plan.scenes):
        assert before.end_s == after.start_s
        assert (before.asset_id, before.layout) != (after.asset_id, after.layout) or before.layout == "stage"
    assert all(scene.end_s - scene.start_s >= 4 for scene in plan.scenes)


@given(streams)
@settings(max_examples=40, deadline=None)
def test_truth_lies_within_the_stream_and_on_frames(plan):
    truth = truth_of(plan)
    for fact in truth.facts:
        assert 0 <= fact.start_s < fact.end_s <= truth.duration_s
        assert fact.start_s * FPS == pytest.approx(round(fact.start_s * FPS), abs=1e-3)
    assert [fact.start_s for fact in truth.facts] == sorted(fact.start_s for fact in truth.facts)


@given(streams)
@settings(max_examples=40, deadline=None)
def test_sentences_overlap_neither_each_other_nor_music(plan):
    sounds = sorted(fact.span_s for fact in truth_of(plan).of("said", "heard"))
    for (_, end_s), (start_s, _) in pairwise(sounds):
        assert start_s >= end_s + 0.5


@given(streams)
@settings(max_examples=40, deadline=None)
def test_captions_last_three_to_eight_seconds_inside_one_scene(plan):
    for before, after in pairwise(plan.captions):
        assert before.end_s <= after.start_s
    for cue in plan.captions:
        assert 2.95 <= cue.end_s - cue.start_s <= 8.05
        assert any(scene.start_s <= cue.start_s and cue.end_s <= scene.end_s for scene in plan.scenes)


@given(st.integers(0, 10_000))
@example(2262)  # short scenes: two decks of them, with four visits each
@settings(max_examples=40, deadline=None)
def test_a_visitor_is_seen_nowhere_else(seed):
    plan = plan_stream(seed, 120)
    truth = truth_of(plan)
    visits = truth.of("visit")
    stages = [scene for scene in plan.scenes if any(actor.crosses for actor in scene.actors)]
    assert 1 <= len(stages) <= len(visits) <= 2 * len(stages)
    assert len({fact.source_id for fact in visits}) == 1
    assert visits[0].source_id in VISITORS
    assert truth.showing(visits[0].names[0]) == visits
    for before, after in pairwise(visits):
        assert after.start_s - before.end_s >= 1.0


def test_a_visit_spans_the_frames_in_which_two_fifths_of_it_are_in_sight():
    plan = plan_stream(7, 120)
    actors = [actor for scene in plan.scenes for actor in scene.actors if actor.crosses]
    for actor, fact in zip(actors, truth_of(plan).of("visit"), strict=True):
        width_px = cutout_width_px(CATALOGUE[actor.asset_id], actor.height_px)

        def share(at_s, actor=actor, width_px=width_px):
            x_px = actor_x_px(actor, at_s)
            return (min(WIDTH_PX, x_px + width_px / 2) - max(0, x_px - width_px / 2)) / width_px

        assert share(fact.start_s) >= 0.4 > share(fact.start_s - 1 / FPS)
        assert share(fact.end_s - 1 / FPS) >= 0.4 > share(fact.end_s)
        assert fact.position == ("left to right" if actor.from_x_px < actor.to_x_px else "right to left")


def test_truth_survives_its_file(tmp_path):
    truth = truth_of(plan_stream(11, 120))
    truth.write(tmp_path / "x.truth.json")
    assert Truth.read(tmp_path / "x.truth.json") == truth
    assert {"kind", "start_s", "end_s", "text"} <= json.loads((tmp_path / "x.truth.json").read_text())["facts"][
        0
    ].keys()


def test_too_short_a_stream_is_refused():
    with pytest.raises(ValueError, match="at least 10 s"):
        plan_stream(1, 9.9)


def test_every_picture_is_there():
    for asset in CATALOGUE.values():
        assert locate(asset).stat().st_size > 1000


def test_a_missing_package_says_what_to_install():
    lost = dataclasses.replace(CATALOGUE["cat"], package="no_such_package_anywhere")
    with pytest.raises(MissingMedia, match=r"pip install 'reverie\[demo\]'"):
        catalogue.locate(dataclasses.replace(lost, package="skimage", path="data/none.png"))
    with pytest.raises(MissingMedia, match=r"pip install 'reverie\[demo\]'"):
        catalogue.locate(lost)


def test_pools_are_distinct_and_every_topic_is_spoken():
    pools = load_sentences(), load_captions(), load_absent_sentences(), load_absent_captions()
    topics = [entry.topic for pool in pools for entry in pool]
    assert len(topics) == len(set(topics))
    assert len(load_sentences()) >= 60
    for sentence in load_sentences():
        noun = sentence.topic.split()[-1].lower().rstrip("s")
        assert noun in sentence.text.lower()
        assert 1.0 < len(recording(sentence, 16_000)) / 16_000 < 6.0


def test_recordings_are_small():
    assert sum(sentence.path.stat().st_size for sentence in load_sentences()) < 2_500_000
