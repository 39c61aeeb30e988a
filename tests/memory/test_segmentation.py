import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from reverie.memory.segmentation import SegmentationConfig, Segmenter
from reverie.types import NS_PER_S, TimeSpan, ns
from tests.memory.worlds import direction, unit

CONFIG = SegmentationConfig()


def spans_of(boundaries):
    """Closed spans in order, and the start of the open one."""
    spans, start = [], None
    for boundary in boundaries:
        if start is not None:
            spans.append((start, boundary.pts_ns))
        start = boundary.pts_ns if boundary.opens else None
    return spans, start


def watch(scenes, *, step_s=0.5, noise=0.1, cuts=(), seed=0):
    """Boundaries of a stream that shows each (name, seconds) in turn."""
    rng = np.random.default_rng(seed)
    segmenter, boundaries, at_s = Segmenter(CONFIG), [], 0.0
    for name, seconds in scenes:
        for _ in range(int(seconds / step_s)):
            vector = unit(direction(name) + noise * rng.standard_normal(64) / 8)
            boundaries += segmenter.moment(ns(at_s), vector, at_s in cuts, True).boundaries
            at_s += step_s
    boundaries += segmenter.end(ns(at_s))
    return boundaries


def test_a_change_of_scene_is_a_boundary_where_it_happens():
    boundaries = watch([("cat", 20), ("car", 20), ("sea", 20)])
    assert [b.pts_ns / NS_PER_S for b in boundaries if b.cause == "change"] == [20, 40]
    assert spans_of(boundaries)[0] == [(0, ns(20)), (ns(20), ns(40)), (ns(40), ns(60))]


def test_a_still_scene_is_only_cut_at_the_longest_duration():
    causes = [b.cause for b in watch([("cat", 150)])]
    assert causes == ["start", "longest", "longest", "end"]


def test_a_hard_cut_ends_an_event_sooner_than_a_change_may():
    # A change of vector alone may not end an event of 2 s; a hard cut may.
    assert [b.cause for b in watch([("cat", 2), ("car", 1.5)])] == ["start", "end"]
    assert [b.cause for b in watch([("cat", 2), ("car", 1.5)], cuts={2.0})] == ["start", "cut", "end"]
    assert [b.cause for b in watch([("cat", 0.5), ("car", 2)], cuts={0.5})] == ["start", "end"]


def test_what_is_heard_before_the_first_picture_belongs_to_it():
    segmenter = Segmenter(CONFIG)
    found = [*segmenter.utterance(TimeSpan(start_ns=0, end_ns=ns(3)))]
    for at_s, starts_shot in ((5, True), (6, False), (8, True)):
        found += segmenter.moment(ns(at_s), unit(direction("cat")), starts_shot, True).boundaries
    assert [(boundary.cause, boundary.pts_ns) for boundary in found] == [("start", 0), ("cut", ns(8))]


def test_a_pause_ends_an_event_only_without_pictures():
    for audio_only, causes in ((True, ["start", "pause"]), (False, ["start"])):
        segmenter = Segmenter(CONFIG, audio_only=audio_only)
        found = [
            *segmenter.utterance(TimeSpan(start_ns=0, end_ns=ns(3))),
            *segmenter.utterance(TimeSpan(start_ns=ns(3.5), end_ns=ns(6))),
            *segmenter.utterance(TimeSpan(start_ns=ns(9), end_ns=ns(10))),
        ]
        assert [b.cause for b in found] == causes


def test_a_long_loss_belongs_to_no_event():
    segmenter = Segmenter(CONFIG)
    found = [*segmenter.other(0), *segmenter.gap(TimeSpan(start_ns=ns(5), end_ns=ns(6)))]
    found += [*segmenter.gap(TimeSpan(start_ns=ns(8), end_ns=ns(30))), *segmenter.other(ns(31)), *segmenter.end(ns(40))]
    assert spans_of(found)[0] == [(0, ns(8)), (ns(31), ns(40))]


def test_a_leap_of_time_does_not_make_a_million_events():
    segmenter = Segmenter(CONFIG)
    found = [*segmenter.other(0), *segmenter.other(1 << 61)]
    assert len(found) < 5
    assert segmenter.start_ns == 1 << 61


def test_what_comes_late_is_known():
    segmenter = Segmenter(CONFIG)
    segmenter.other(ns(10))
    assert segmenter.is_late(ns(9))
    assert not segmenter.is_late(ns(10))


def test_few_and_different_pictures_represent_an_event():
    segmenter = Segmenter(CONFIG)
    kept = [segmenter.moment(ns(i / 10), unit(direction("cat")), False, True).representative for i in range(10)]
    assert kept == [True] + [False] * 9
    segmenter = Segmenter(CONFIG)
    kept = [segmenter.moment(ns(i / 10), unit(direction(f"scene {i}")), False, True).representative for i in range(10)]
    assert sum(kept) == CONFIG.max_pictures
    assert not segmenter.moment(ns(1), unit(direction("new")), False, False).representative


steps = st.lists(
    st.tuples(
        st.sampled_from(["moment", "bare", "said", "other", "advance", "gap"]),
        st.floats(0, 30),
        st.integers(0, 3),
        st.booleans(),
    ),
    max_size=60,
)


@settings(max_examples=200)
@given(steps, st.booleans())
def test_events_tile_the_time_and_keep_their_bounds(program, audio_only):
    segmenter, boundaries, at_ns, lost = Segmenter(CONFIG, audio_only), [], 0, []
    for kind, later_s, which, flag in program:
        at_ns += ns(later_s)
        if kind == "moment":
            boundaries += segmenter.moment(at_ns, unit(direction(str(which))), flag, True).boundaries
        elif kind == "bare":
            boundaries += segmenter.moment(at_ns, None, flag, False).boundaries
        elif kind == "said":
            boundaries += segmenter.utterance(TimeSpan(start_ns=at_ns, end_ns=at_ns + ns(which)))
        elif kind == "other":
            boundaries += segmenter.other(at_ns)
        elif kind == "advance":
            boundaries += segmenter.advance(at_ns)
        else:
            span = TimeSpan(start_ns=at_ns, end_ns=at_ns + ns(later_s))
            boundaries += segmenter.gap(span)
            lost.append(span)
    boundaries += segmenter.end(at_ns)
    spans, still_open = spans_of(boundaries)
    assert still_open is None
    causes = {boundary.pts_ns: boundary.cause for boundary in boundaries}
    for (_, end), (start, _) in itertools.pairwise(spans):
        if end != start:  # only a long loss leaves a hole
            assert any(gap.start_ns == end and gap.duration_ns >= ns(CONFIG.gap_s) for gap in lost)
    for start, end in spans:
        assert start <= end <= start + ns(CONFIG.max_s)
        if causes[end] in ("change", "pause"):
            assert end - start >= ns(CONFIG.min_s)
        if causes[end] == "cut":
            assert end - start >= ns(CONFIG.cut_min_s)
