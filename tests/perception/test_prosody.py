"""Loudness and pitch of tones that are known, and arousal against what was usual."""

from __future__ import annotations

import numpy as np
import pytest

from reverie.perception.prosody import Prosody, UsualVoice, prosody_of


def voice(pitch_hz, level=0.1, seconds=1.0):
    """A buzz with falling harmonics, as a throat makes."""
    t = np.arange(int(16_000 * seconds)) / 16_000
    wave = sum(np.sin(2 * np.pi * pitch_hz * k * t) / k for k in range(1, 8))
    return (level * wave / np.sqrt(np.mean(wave**2))).astype(np.float32)


@pytest.mark.parametrize("pitch_hz", [75, 110, 220, 350])
def test_pitch_is_that_of_the_voice(pitch_hz):
    semitones = prosody_of(voice(pitch_hz)).pitch_semitones
    assert semitones == pytest.approx(12 * np.log2(pitch_hz), abs=0.5)


def test_loudness_is_that_of_the_voice_and_pauses_do_not_count():
    assert prosody_of(voice(120, level=0.1)).loudness_db == pytest.approx(-20, abs=0.3)
    with_pause = np.concatenate([voice(120), np.zeros(32_000, np.float32), voice(120)])
    assert prosody_of(with_pause).loudness_db == pytest.approx(-20, abs=0.5)


def test_noise_and_silence_have_no_pitch():
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    assert prosody_of(noise).pitch_semitones is None
    for num in (0, 10, 16_000):
        silence = prosody_of(np.zeros(num, np.float32))
        assert silence == Prosody(loudness_db=-80.0, pitch_semitones=None)


def test_arousal_is_relative_to_what_was_heard_before():
    usual = UsualVoice()
    for _ in range(5):
        assert usual.arousal(prosody_of(voice(120)), 3.0) == pytest.approx(0.5, abs=0.01)
    assert usual.arousal(prosody_of(voice(180, level=0.3)), 1.0) > 0.85
    assert usual.arousal(prosody_of(voice(100, level=0.05)), 1.0) < 0.3
    quiet = UsualVoice()
    quiet.arousal(prosody_of(voice(180, level=0.3)), 3.0)
    assert quiet.arousal(prosody_of(voice(180, level=0.3)), 3.0) == pytest.approx(0.5, abs=0.01)


def test_what_is_usual_follows_the_last_minute_of_speech():
    usual = UsualVoice()
    for _ in range(30):
        usual.arousal(Prosody(loudness_db=-30.0, pitch_semitones=80.0), 10.0)
    for _ in range(30):
        usual.arousal(Prosody(loudness_db=-20.0, pitch_semitones=80.0), 10.0)
    assert usual.arousal(Prosody(loudness_db=-20.0, pitch_semitones=80.0), 1.0) == pytest.approx(0.5, abs=0.01)
