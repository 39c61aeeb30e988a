"""A vector of a short sound, without a trained model: the same sound again lies near it, other sounds do not.

For (T,) samples at 16 kHz, with Hann windows of 25 ms every 10 ms:

1. log-mel energies in dB (Davis and Mermelstein 1980; 40 triangular bands from 50 to 8,000 Hz), those more than 30 dB
   under the loudest cell raised to there, counted from there and divided by 30: level is removed, faint noise is flat;
2. only frames within 20 dB of the loudest: silence around a sound says nothing of it;
3. of each band the mean and the deviation over time and the mean absolute step from frame to frame: x, 120 numbers;
4. y = W (x - m), within-class covariance normalisation (Hatch et al. 2006): W W' is the inverse covariance of
   renditions of one sound (level, pitch by 1-2 %, noise at 10-25 dB), m the mean, both from synthesised sounds
   (benchmarks/fit_sound_print.py); y / |y| is the print.

It says that two sounds sound the same, not what made them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64
from numpy import ndarray
from safetensors.numpy import load_file

from reverie.perception.samples import SAMPLE_RATE_HZ, Samples

ENCODER_ID = "reverie/sound-print-1"
WHITENING = Path(__file__).with_name("sound_print.safetensors")
NUM_FEATURES = 120
_NUM_BANDS = 40
_BAND_EDGES_HZ = (50.0, 8000.0)
_WINDOW_SAMPLES, _HOP_SAMPLES, _FFT_SAMPLES = 400, 160, 512
_RANGE_DB = 30.0
_ACTIVE_DB = 20.0
_SILENCE_DB = -80.0  # of a window's power, where full scale is 0


def sound_print(samples: Samples) -> Float32[ndarray, "d"] | None:
    """The unit vector (120,) of (T,) samples at 16 kHz; None for silence, or less than 25 ms."""
    features = sound_features(samples)
    if features is None:
        return None
    mean, whitening = _whitening()
    print_ = whitening @ (features - mean)
    length = float(np.linalg.norm(print_))
    return (print_ / length).astype(np.float32) if length > 0 else None


def sound_features(samples: Samples) -> Float64[ndarray, "d"] | None:
    """The 120 statistics before they are whitened; None where there is no sound."""
    if len(samples) < _WINDOW_SAMPLES:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), _WINDOW_SAMPLES)[::_HOP_SAMPLES]
    power = np.abs(np.fft.rfft(windows * np.hanning(_WINDOW_SAMPLES), _FFT_SAMPLES, axis=1)) ** 2 / _WINDOW_SAMPLES**2
    bands = power @ _mel_filters().T
    frame_db = 10 * np.log10(np.maximum(bands.sum(axis=1), 1e-12))
    if frame_db.max() < _SILENCE_DB:
        return None
    level_db = 10 * np.log10(np.maximum(bands, 1e-12))
    heard = np.maximum(level_db - level_db.max() + _RANGE_DB, 0) / _RANGE_DB
    steps = np.abs(np.diff(heard, axis=0, prepend=heard[:1]))
    active = frame_db >= frame_db.max() - _ACTIVE_DB
    heard, steps = heard[active], steps[active]
    return np.concatenate([heard.mean(axis=0), heard.std(axis=0), steps.mean(axis=0)])


@cache
def _mel_filters() -> Float64[ndarray, "b f"]:
    """Triangles between centres that are equally far apart in mel = 2595 log10(1 + Hz / 700)."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in _BAND_EDGES_HZ)
    edges_hz = 700 * (10 ** (np.linspace(low, high, _NUM_BANDS + 2) / 2595) - 1)
    bins_hz = np.fft.rfftfreq(_FFT_SAMPLES, 1 / SAMPLE_RATE_HZ)
    rising = (bins_hz - edges_hz[:-2, None]) / (edges_hz[1:-1] - edges_hz[:-2])[:, None]
    falling = (edges_hz[2:, None] - bins_hz) / (edges_hz[2:] - edges_hz[1:-1])[:, None]
    return np.maximum(np.minimum(rising, falling), 0)


@cache
def _whitening() -> tuple[Float64[ndarray, "d"], Float64[ndarray, "d d"]]:
    held = load_file(WHITENING)
    return held["mean"].astype(np.float64), held["whitening"].astype(np.float64)
