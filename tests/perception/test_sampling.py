"""The time grid and the content gate."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from reverie.perception.sampling import ContentGate, SamplingConfig, TimeSampler, block_change, shrink
from reverie.perception.sources import FileSource, SourceConfig
from reverie.types import NS_PER_S, Frame, ns
from tests.media import every, of, pull_all, write_media

FPS = st.sampled_from([0.1, 0.5, 1.0, 2.0, 3.0, 12.5, 29.97])
STEPS = st.lists(st.integers(0, 3 * NS_PER_S), min_size=1, max_size=200)


@given(fps=FPS, steps=STEPS)
def test_one_picture_for_each_cell_that_has_one(fps, steps):
    times = np.cumsum(steps).tolist()
    sampler = TimeSampler(fps)
    taken = [t for t in times if sampler.takes(t)]
    cells = [sampler.cell(t) for t in taken]
    assert cells == sorted(set(cells))  # at most one each, in order
    assert set(cells) == {sampler.cell(t) for t in times}  # none left out
    for t in taken:  # and it is the first of its cell
        assert t == min(u for u in times if sampler.cell(u) == sampler.cell(t))


@given(fps=FPS, index=st.integers(0, 100_000))
def test_cells_are_those_of_the_grid(fps, index):
    """A picture at k/fps, rounded to whole milliseconds as Matroska does, opens cell k."""
    exact = Fraction(index) / Fraction(fps).limit_denominator(1000)
    sampler = TimeSampler(fps)
    assert sampler.cell(round(exact * NS_PER_S)) == index
    assert sampler.cell(round(exact * 1000) * 1_000_000) == index


@given(frame_rate=st.sampled_from([24.0, 25.0, 29.97, 30.0, 60.0]))
@settings(max_examples=5)
def test_steady_video_gives_a_steady_rate(frame_rate):
    sampler = TimeSampler(2.0)
    taken = [i for i in range(round(frame_rate * 60)) if sampler.takes(round(i / frame_rate * NS_PER_S))]
    assert len(taken) == 120


def scene(size: tuple[int, int] = (1280, 720), seed: int = 0) -> np.ndarray:
    """A textured background."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(40, 200, (18, 32, 3), np.uint8))
    return np.asarray(coarse.resize(size, Image.Resampling.BICUBIC))


def noisy(image: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.clip(image + rng.normal(0, sigma, image.shape), 0, 255).astype(np.uint8)


def with_caption(image: np.ndarray, text: str, height_px: int) -> np.ndarray:
    picture = Image.fromarray(image.copy())
    draw = ImageDraw.Draw(picture)
    draw.text((image.shape[1] // 2, image.shape[0] - 60), text, fill=(255, 255, 255), font_size=height_px)
    return np.asarray(picture)


def with_spot(image: np.ndarray, side_px: int, colour: tuple[int, int, int], left: int = 300) -> np.ndarray:
    changed = image.copy()
    changed[200 : 200 + side_px, left : left + side_px] = colour
    return changed


def passes(before: np.ndarray, after: np.ndarray) -> bool:
    gate = ContentGate(SamplingConfig())
    assert gate.passes(0, before)
    return gate.passes(ns(0.5), after)


@pytest.mark.parametrize("sigma", [0.0, 2.0, 6.0, 10.0])
def test_still_scene_is_skipped_for_all_the_noise_of_a_camera(sigma):
    gate, still = ContentGate(SamplingConfig()), scene()
    passed = [gate.passes(ns(i / 2), noisy(still, sigma, i)) for i in range(6)]
    assert passed == [True] + [False] * 5


@pytest.mark.parametrize("height_px", [14, 18, 28])
def test_caption_that_appears_passes(height_px):
    before = noisy(scene(), 4, 0)
    assert passes(before, noisy(with_caption(scene(), "Gate 4", height_px), 4, 1))


@pytest.mark.parametrize("side_px", [16, 24, 60])
def test_small_thing_that_comes_goes_or_moves_passes(side_px):
    plain, there = scene(), with_spot(scene(), side_px, (250, 250, 250))
    assert passes(plain, there)
    assert passes(there, plain)
    assert passes(there, with_spot(scene(), side_px, (250, 250, 250), left=340))


def test_change_of_colour_at_equal_brightness_passes():
    assert passes(with_spot(scene(), 24, (200, 0, 0)), with_spot(scene(), 24, (0, 102, 0)))


def test_slow_change_adds_up():
    gate, image = ContentGate(SamplingConfig(max_still_s=1e6)), scene().astype(np.float32)
    passed = sum(gate.passes(ns(i), np.clip(image + 0.25 * i, 0, 255).astype(np.uint8)) for i in range(80))
    assert 4 <= passed <= 12  # 20 levels in all, passing about every 2.5


def test_something_is_sent_every_max_still_s():
    gate, image = ContentGate(SamplingConfig(max_still_s=10)), scene((320, 180))
    assert [i / 2 for i in range(60) if gate.passes(ns(i / 2), image)] == [0.0, 10.0, 20.0]


def test_change_of_size_passes_and_gate_can_be_off():
    assert passes(scene((320, 180)), scene((320, 240)))
    gate = ContentGate(SamplingConfig(gate=False))
    assert all(gate.passes(ns(i), scene((320, 180))) for i in range(5))


def test_gate_keeps_no_view_of_what_it_saw():
    image = scene((200, 100)).copy()
    gate = ContentGate(SamplingConfig())
    gate.passes(0, image)
    image[:] = 0
    assert gate.passes(1, image)


@given(width=st.integers(1, 300), height=st.integers(1, 300), left=st.integers(0, 299), top=st.integers(0, 299))
@settings(max_examples=50, deadline=None)
def test_every_place_of_a_picture_is_watched(width, height, left, top):
    """A white square of 8 px anywhere, also at the edges, shows in some block."""
    before = np.zeros((height, width, 3), np.uint8)
    after = before.copy()
    after[top % height :, left % width :][:8, :8] = 255
    assert block_change(before, after).max() > 0


@given(width=st.integers(1, 3000), height=st.integers(1, 200), side=st.integers(16, 400))
@settings(max_examples=50, deadline=None)
def test_shrink_keeps_to_the_side_and_the_aspect(width, height, side):
    small = shrink(np.zeros((height, width, 3), np.uint8), side)
    assert max(small.shape[:2]) <= max(side, 1)
    assert small.shape[1] / width == pytest.approx(small.shape[0] / height, abs=1 / min(width, height) + 0.01)


@pytest.mark.parametrize("crf", ["23", "35"])
def test_encoded_still_with_a_caption_sends_what_changed(tmp_path: Path, crf: str):
    """Through a real codec: key frames pump, the caption stands from 5 s to 8 s."""
    still, titled = scene((640, 360)), with_caption(scene((640, 360)), "Exit", 20)
    times = every(4, 9.5)
    pictures = [noisy(titled if 5 <= t < 8 else still, 3, i) for i, t in enumerate(times)]
    path = write_media(tmp_path / "s.mp4", times_s=times, pictures=pictures, size=(640, 360), gop=8, crf=crf)
    source = FileSource(path, SourceConfig())
    source.open()
    sent = [f.pts_ns / 1e9 for f in of(Frame, pull_all(source))]
    assert {0.0, 5.0, 8.0} <= set(sent)
    assert len(sent) <= 6
    assert source.counters.value("frames_unchanged") == 19 - len(sent)


def test_configuration_is_checked():
    with pytest.raises(ValueError, match="greater than 0"):
        SamplingConfig(fps=0)
    with pytest.raises(ValueError, match="Extra inputs"):
        SamplingConfig(fpz=2)
