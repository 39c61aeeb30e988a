"""A boundary that surprise made moves to where the moments of both events divide best."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reverie.memory import Memory, MemoryConfig
from reverie.memory.refinement import best_split, candidates
from reverie.memory.segmentation import SegmentationConfig
from reverie.types import NS_PER_S, EndOfStream, Gap, Observation, ns
from tests.memory.reading import assert_whole, rows_of
from tests.memory.worlds import BagOfWords, direction, make_stream, seen, span, things, unit

CONFIG = SegmentationConfig()


def modularity(weights: np.ndarray, split: int) -> float:
    """By its definition: the share of weight inside the communities above what degrees alone give."""
    side = np.arange(len(weights)) < split
    degrees, total = weights.sum(1), weights.sum()
    together = side[:, None] == side[None, :]
    return float(((weights - np.outer(degrees, degrees) / total) * together).sum() / total)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 25))
def test_it_is_the_division_of_highest_modularity(seed, num):
    rng = np.random.default_rng(seed)
    vectors = np.stack([unit(direction(str(k))[:8] + rng.standard_normal(8) / 3) for k in rng.integers(0, 3, num)])
    weights = np.maximum(vectors.astype(np.float64) @ vectors.T, 0)
    np.fill_diagonal(weights, 0)
    split = best_split(vectors, np.arange(1, num))
    if split is None:
        assert weights.sum() == 0
    else:
        values = [modularity(weights, at) for at in range(1, num)]
        assert values[split - 1] == pytest.approx(max(values), abs=1e-9)


def test_without_a_choice_or_likeness_there_is_none():
    apart = np.eye(4, dtype=np.float32)
    assert best_split(apart, np.arange(1, 4)) is None
    assert best_split(np.ones((4, 2), np.float32), np.arange(0)) is None


def test_both_events_keep_their_shortest_and_longest_duration():
    times_ns = np.array([ns(second) for second in (0, 2, 4, 4, 6, 50, 62, 66, 68)])
    assert candidates(times_ns, 0, ns(50), ns(70), CONFIG).tolist() == [5]  # from 10 s on, up to 60 s
    assert candidates(times_ns, 0, ns(68), ns(70), CONFIG).tolist() == []  # a cut ended the second early
    assert candidates(times_ns[:5], 0, ns(4), ns(8), CONFIG).tolist() == [2]  # the first of two at one time


# A slow change: it surprises when the new scene has won, after the pictures have already become more like it.
def turning(at_s: float) -> Observation:
    share = np.clip((at_s - 14) / 6, 0, 1)
    observation = seen("cat", at_s, picture=int(2 * at_s))
    vector = unit((1 - share) * direction("cat") + share * direction("sea"))
    return replace(observation, embedding=vector)


def watched(path, items, config=CONFIG, size=1000):
    with Memory.open(path, text_encoder=BagOfWords(), mode="w", config=MemoryConfig(segmentation=config)) as memory:
        for start in range(0, len(items), size):
            memory.write(items[start : start + size])
        return memory.timeline()


def test_a_boundary_moves_when_the_next_event_closes(tmp_path):
    items = [turning(half / 2) for half in range(80)]
    before = watched(tmp_path / "open", items)
    assert [event.open for event in before] == [False, True]
    ended = watched(tmp_path / "ended", [*items, EndOfStream(stream_id="tv", pts_ns=ns(40))])
    moved = [event.span.start_s for event in ended]
    assert len(moved) == 2
    assert moved[1] != before[1].span.start_s
    assert 16 <= moved[1] <= 18  # the middle of the turn
    assert ended[0].span.end_ns == ended[1].span.start_ns
    kept = {int(event.span.start_s): event.thumbnail for event in ended}
    assert all(kept.values())
    assert_whole(tmp_path / "ended")


@pytest.mark.parametrize("size", [1, 7])
def test_it_does_not_matter_when_the_process_starts_anew(tmp_path, size):
    items = [*(turning(half / 2) for half in range(80)), EndOfStream(stream_id="tv", pts_ns=ns(40))]
    watched(tmp_path / "whole", items)
    for start in range(0, len(items), size):
        watched(tmp_path / "parts", items[start : start + size])
    assert rows_of(tmp_path / "parts") == rows_of(tmp_path / "whole")


def test_what_forced_a_boundary_keeps_it(tmp_path):
    cut = [seen("cat" if at < 9 else "sea", at, cut=at == 10) for at in range(20)]
    events = watched(tmp_path / "cut", [*cut, EndOfStream(stream_id="tv", pts_ns=ns(20))])
    # The sea is seen a second before the cut is told: surprise makes that boundary, the cut comes too soon after it.
    assert [event.span.start_s for event in events] == [0, 9, 10]
    came = [item for at in range(30) for item in (seen("cat", at), things(at, {1: "car"} if at >= 15 else {}))]
    events = watched(tmp_path / "track", [*came, EndOfStream(stream_id="tv", pts_ns=ns(30))])
    assert [event.span.start_s for event in events] == [0, 15]


def test_a_loss_right_after_a_boundary_moves_nothing(tmp_path):
    items = [seen("cat" if at < 20 else "sea", at / 2) for at in range(21)]
    items += [Gap(stream_id="tv", span=span(10, 30), reason="link lost"), seen("sea", 31)]
    events = watched(tmp_path, [*items, EndOfStream(stream_id="tv", pts_ns=ns(40))])
    assert [(event.span.start_s, event.span.end_s) for event in events] == [(0, 10), (31, 40)]


def test_events_still_tile_the_time(tmp_path):
    moved = 0
    for seed in range(4):
        items = make_stream(seed, duration_s=240)
        for name, size in (("whole", 10_000), ("parts", 13)):
            watched(tmp_path / f"{name}{seed}", items, size=size)
        rows = rows_of(tmp_path / f"whole{seed}")
        assert rows == rows_of(tmp_path / f"parts{seed}")
        events = sorted(rows["event"], key=lambda row: row["start_ns"])
        for event, later in itertools.pairwise(events):
            assert event["end_ns"] == later["start_ns"]
            assert event["end_ns"] - event["start_ns"] <= CONFIG.max_s * NS_PER_S
        causes = {row["start_ns"]: row["cause"] for row in events}
        surprising = {row["start_ns"] for row in rows["observation"] if (row["surprise"] or 0) > CONFIG.surprise_floor}
        moved += sum(cause == "change" and at not in surprising for at, cause in causes.items())
        assert_whole(tmp_path / f"whole{seed}")
    assert moved > 0
