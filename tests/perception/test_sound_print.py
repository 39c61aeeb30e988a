"""The print of a sound: the same sound again lies near it, however loud, and others do not.

Seeds from 2000 on: those under it fitted the print and its thresholds.
"""

import numpy as np
import pytest

from benchmarks.sound_kinds import NAMED, doorbell, over_noise, rendition
from reverie.perception.sound_print import NUM_FEATURES, sound_print
from tests.perception.hearing import noise, tune

RECOGNISED = 0.82  # where search gives a taught name a probability of 0.4, its least


def test_it_is_a_unit_vector_that_level_and_silence_do_not_change():
    bell = doorbell(np.random.default_rng(2000))
    own = sound_print(bell)
    assert (own.shape, own.dtype) == ((NUM_FEATURES,), np.float32)
    assert np.linalg.norm(own) == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(sound_print(bell), own)
    assert float(sound_print(0.05 * bell) @ own) > 0.9999
    assert float(sound_print(np.pad(bell, (16_000, 16_000))) @ own) > 0.99


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(399), np.zeros(16_000), np.ones(399)])
def test_silence_and_less_than_a_frame_have_none(samples):
    assert sound_print(samples.astype(np.float32)) is None


@pytest.mark.parametrize(("snr_db", "least"), [(10, 0.6), (15, 0.8), (20, 0.9)])
def test_one_showing_is_enough(snr_db, least):
    """Of 30 sounds of 5 kinds, in noise, shifted, at another level and pitch: most are near what was shown."""
    sounds = [kind(np.random.default_rng(2000 + n)) for n in range(6) for kind in NAMED]
    shown = np.stack([sound_print(sound) for sound in sounds])
    rng = np.random.default_rng(2000 + snr_db)
    again = np.stack([sound_print(over_noise(rng, rendition(rng, sound), snr_db, 0.2, 0.4)) for sound in sounds])
    cosines = again @ shown.T
    kinds = np.arange(len(sounds)) % len(NAMED)
    assert np.mean(np.diag(cosines) > RECOGNISED) >= least
    assert np.mean(cosines[kinds[:, None] != kinds] > RECOGNISED) < 0.01


def test_music_and_noise_are_no_doorbell():
    own = sound_print(doorbell(np.random.default_rng(2001)))
    others = [tune(4, seed=seed) for seed in range(5)] + [noise(2, level=0.1)]
    assert max(float(sound_print(other) @ own) for other in others) < RECOGNISED
