"""Damaged and cut-off files: what decodes is sent, what does not is a gap, nothing raises."""

import numpy as np
import pytest

from reverie.types import NS_PER_S, Frame, Gap
from tests.media import EVERY_FRAME, check_order, damaged, every, number_of, of, watch, write_media


def test_damage_in_the_middle_is_a_gap_and_the_rest_is_read(tmp_path):
    _, items = watch(damaged(tmp_path), EVERY_FRAME)
    check_order(items)
    gaps, frames = of(Gap, items), of(Frame, items)
    assert gaps
    assert all(3.0 < gap.span.start_s <= gap.span.end_s < 7.5 for gap in gaps)
    assert frames[-1].pts_ns == pytest.approx(9.92 * NS_PER_S, abs=2e6)
    assert number_of(frames[-1].image) == 124
    assert len(frames) > 90
    assert items[-1].pts_ns == pytest.approx(10 * NS_PER_S, rel=0.01)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_truncated_file_gives_what_there_is_and_names_the_rest(tmp_path, suffix):
    options = {"movflags": "faststart"} if suffix == "mp4" else {}
    whole = write_media(tmp_path / f"w.{suffix}", times_s=every(12.5, 10), seconds=10, options=options)
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    start, items = watch(cut, EVERY_FRAME)
    check_order(items)
    frames, gap = of(Frame, items), of(Gap, items)[-1]
    assert 40 < len(frames) < 100
    assert [number_of(f.image) for f in frames] == list(range(len(frames)))
    assert gap.span.start_ns >= frames[-1].pts_ns
    assert gap.span.end_s == pytest.approx(10, abs=0.1)
    assert items[-1].pts_ns == gap.span.end_ns == start.duration_ns


@pytest.mark.parametrize("seed", range(12))
def test_random_damage_never_raises(tmp_path, seed):
    suffix = ["mp4", "mkv", "ts", "avi"][seed % 4]
    path = write_media(
        tmp_path / f"x.{suffix}",
        times_s=every(12.5, 6),
        seconds=6,
        vcodec="mpeg4" if suffix == "avi" else "libx264",
        acodec="libmp3lame" if suffix == "avi" else "aac",
        options={"movflags": "faststart"} if suffix == "mp4" else {},
    )
    rng, data = np.random.default_rng(seed), bytearray(path.read_bytes())
    for at in rng.integers(len(data) // 5, len(data), 60):
        data[at] = int(rng.integers(256))
    path.write_bytes(data)
    check_order(watch(path)[1])
