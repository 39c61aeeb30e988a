"""Chunks are contiguous by count, holes are gaps, drift is corrected, and the resampler has no seams."""

import numpy as np
import pytest

from reverie.perception.chunking import Resampler, SoundChunker, SoundConfig
from reverie.types import NS_PER_S, AudioChunk, Gap
from tests.media import chirp, heard, of


def test_hole_in_the_sound_is_a_gap(tmp_path):
    chunker = SoundChunker("s", SoundConfig())
    sound = chirp(4.0, 16_000)
    items = chunker.feed(0, sound[:16_000], 16_000) + chunker.feed(2 * NS_PER_S, sound[32_000:], 16_000)
    items += chunker.flush()
    (gap,) = of(Gap, items)
    assert (gap.span.start_s, gap.span.end_s) == (1.0, 2.0)
    assert [c.pts_ns / 1e9 for c in of(AudioChunk, items)] == [0.0, 0.5, 2.0, 2.5, 3.0, 3.5]


@pytest.mark.parametrize("drift", [1.0005, 0.9995])
def test_drift_is_corrected(drift):
    chunker, items = SoundChunker("s", SoundConfig()), []
    for i in range(6_000):  # ten minutes in steps of 100 ms
        items += chunker.feed(round(i * 0.1 * drift * NS_PER_S), np.zeros(1_600, np.float32), 16_000)
    assert not of(Gap, items)
    assert abs(chunker.end_ns - 600 * drift * NS_PER_S) < 0.06 * NS_PER_S
    assert len(of(AudioChunk, items)) == pytest.approx(1_200 * drift, abs=2)


def test_jitter_of_time_stamps_leaves_sound_alone():
    rng = np.random.default_rng(0)
    chunker, sound, items = SoundChunker("s", SoundConfig()), chirp(60.0, 16_000), []
    for i in range(0, len(sound), 320):
        at_ns = i * NS_PER_S // 16_000 + int(rng.integers(-15, 16)) * 1_000_000
        items += chunker.feed(max(0, at_ns), sound[i : i + 320], 16_000)
    items += chunker.flush()
    assert (heard(of(AudioChunk, items)) == sound).all()


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 22_051, 44_100, 48_000, 96_000])
def test_resampler_equals_the_tone_itself_in_any_pieces(rate_hz):
    tone = np.sin(2 * np.pi * 1_000 * np.arange(2 * rate_hz) / rate_hz).astype(np.float32)
    whole, pieces = Resampler(rate_hz, 16_000), Resampler(rate_hz, 16_000)
    at_once = np.concatenate((whole.feed(tone), whole.flush()))
    rng, parts, first = np.random.default_rng(1), [], 0
    while first < len(tone):
        step = int(rng.integers(1, 2_000))
        parts.append(pieces.feed(tone[first : first + step]))
        first += step
    in_pieces = np.concatenate((*parts, pieces.flush()))
    assert len(at_once) == 32_000
    assert np.abs(at_once - in_pieces).max() < 1e-6
    expected = np.sin(2 * np.pi * 1_000 * np.arange(32_000) / 16_000)
    assert np.abs(at_once - expected)[100:-100].max() < 1e-3
