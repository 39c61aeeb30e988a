"""How excited a voice is: its loudness and pitch against what the stream is used to.

Loudness and pitch are the two acoustic features that follow arousal most closely in studies of speech (Scherer 2003,
Speech Communication 40). Both are measured on 64 ms windows, every 32 ms:

- loudness: mean power of the windows within 20 dB of the loudest, in dB of full scale (a relative gate like that of
  ITU-R BS.1770, without its weighting);
- pitch: the median over the voiced ones of them of the fundamental by autocorrelation, divided by that of the window
  itself (Boersma 1993, equation 9), from 60 to 400 Hz, in semitones.

Arousal is 1 / (1 + exp(-(dB / 6 + semitones / 8))) of the differences to the running mean of the stream, so 0.5 is as
usual, and a voice that is 6 dB louder and 4 semitones higher than usual has 0.82. The mean forgets with a time
constant of a minute of speech; the first utterance has 0.5. Where several people speak, pitch also tells them apart,
and where they move, loudness tells how near they are: neither is trusted alone (benchmarks/mood.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log2

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from reverie.perception.samples import SAMPLE_RATE_HZ, Samples

_WINDOW_SAMPLES = 1024
_HOP_SAMPLES = 512
_GATE_DB = 20.0
_SILENCE_DB = -80.0
_LAGS = (SAMPLE_RATE_HZ // 400, SAMPLE_RATE_HZ // 60)
_VOICED_AT = 0.5  # of the autocorrelation at lag 0
_OCTAVE_SHARE = 0.9  # the first peak this high is the period; higher ones are its multiples
_LOUDER_DB = 6.0
_HIGHER_SEMITONES = 8.0
_FORGETTING_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prosody:
    """Loudness in dB of full scale, and pitch in semitones above 1 Hz, None where nothing is voiced."""

    loudness_db: float
    pitch_semitones: float | None


@dataclass(slots=True)
class UsualVoice:
    """The running mean of a stream's loudness and pitch."""

    loudness_db: float = 0.0
    pitch_semitones: float = 0.0
    loudness_s: float = 0.0
    pitch_s: float = 0.0

    def arousal(self, prosody: Prosody, duration_s: float) -> float:
        """How excited an utterance is, in [0, 1]; afterwards it is part of what is usual."""
        louder = prosody.loudness_db - self.loudness_db if self.loudness_s else 0.0
        higher = 0.0
        if prosody.pitch_semitones is not None:
            higher = prosody.pitch_semitones - self.pitch_semitones if self.pitch_s else 0.0
            self.pitch_semitones, self.pitch_s = _mean(
                self.pitch_semitones, self.pitch_s, prosody.pitch_semitones, duration_s
            )
        self.loudness_db, self.loudness_s = _mean(self.loudness_db, self.loudness_s, prosody.loudness_db, duration_s)
        return 1 / (1 + exp(-(louder / _LOUDER_DB + higher / _HIGHER_SEMITONES)))


def _mean(held: float, held_s: float, value: float, duration_s: float) -> tuple[float, float]:
    """The mean with one more value in it, and the seconds that it counts for, `_FORGETTING_S` at most."""
    total_s = held_s + max(duration_s, 0.1)
    return held + (value - held) * max(duration_s, 0.1) / total_s, min(total_s, _FORGETTING_S)


def prosody_of(samples: Samples) -> Prosody:
    """Loudness and pitch of (T,) samples at 16 kHz."""
    padded = np.pad(samples.astype(np.float64), (0, max(0, _WINDOW_SAMPLES - len(samples))))
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW_SAMPLES)[::_HOP_SAMPLES]
    power_db = 10 * np.log10(np.maximum((windows**2).mean(axis=1), 10 ** (_SILENCE_DB / 10)))
    loud = power_db >= power_db.max() - _GATE_DB
    loudness_db = 10 * np.log10((10 ** (power_db[loud] / 10)).mean())
    pitch_hz = _pitches_hz(windows[loud])
    pitch = 12 * log2(float(np.median(pitch_hz))) if len(pitch_hz) and loudness_db > _SILENCE_DB else None
    return Prosody(loudness_db=float(loudness_db), pitch_semitones=pitch)


def _pitches_hz(windows: Float64[ndarray, "n t"]) -> Float64[ndarray, "v"]:
    """The fundamental of each voiced window."""
    shape = np.hanning(_WINDOW_SAMPLES)
    own = _autocorrelation(shape[None])
    found = _autocorrelation((windows - windows.mean(axis=1, keepdims=True)) * shape) / own
    first, last = _LAGS
    inside = found[:, first : last + 1]
    peak = (inside >= found[:, first - 1 : last]) & (inside >= found[:, first + 1 : last + 2])
    height = np.where(peak, inside, 0.0)
    best = height.max(axis=1)
    voiced = best >= _VOICED_AT
    lag = first + np.argmax(height >= _OCTAVE_SHARE * best[:, None], axis=1)
    return np.asarray(SAMPLE_RATE_HZ / lag[voiced])


def _autocorrelation(windows: Float64[ndarray, "n t"]) -> Float64[ndarray, "n l"]:
    """At lags up to the longest period, divided by that at lag 0."""
    spectrum = np.fft.rfft(windows, 2 * _WINDOW_SAMPLES, axis=1)
    found = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, : _LAGS[1] + 2]
    return np.asarray(found / np.maximum(found[:, :1], 1e-12))
