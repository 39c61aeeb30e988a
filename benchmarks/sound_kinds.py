"""Short sounds made by numpy, each by seed, and other renditions of the same sound.

(T,) float32 in [-1, 1] at 16 kHz. A seed fixes what makes a sound itself (pitches, partials, envelopes); a rendition of
it differs in level, in pitch by 1 to 2 % (resampled, so in tempo too) and in the noise that lies under it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.signal import butter, sosfilt

RATE_HZ = 16_000
Generator = np.random.Generator


def _at(duration_s: float) -> np.ndarray:
    return np.arange(round(duration_s * RATE_HZ)) / RATE_HZ


def _arch(at: np.ndarray, power: float) -> np.ndarray:
    """Up and down again: half a sine, to a power."""
    return np.maximum(np.sin(np.pi * at / at[-1]), 0) ** power


def _band(rng: Generator, num: int, low_hz: float, high_hz: float) -> np.ndarray:
    """Noise of one band."""
    return np.asarray(sosfilt(butter(2, (low_hz, high_hz), "bandpass", fs=RATE_HZ, output="sos"), rng.normal(size=num)))


def _mixed(parts: list[tuple[float, np.ndarray]]) -> np.ndarray:
    """Parts that begin at the given seconds, together; the loudest sample is 0.5."""
    track = np.zeros(max(round(at_s * RATE_HZ) + len(part) for at_s, part in parts))
    for at_s, part in parts:
        start = round(at_s * RATE_HZ)
        track[start : start + len(part)] += part
    return (0.5 * track / np.abs(track).max()).astype(np.float32)


def doorbell(rng: Generator) -> np.ndarray:
    """Two struck bars, the second lower."""
    high_hz, fall, partial = rng.uniform(450, 1100), rng.uniform(0.66, 0.89), rng.uniform(2.6, 2.9)
    at, decay = _at(0.9), rng.uniform(4, 7)
    bars = [
        np.exp(-decay * at) * (np.sin(2 * np.pi * hz * at) + 0.4 * np.sin(2 * np.pi * partial * hz * at))
        for hz in (high_hz, high_hz * fall)
    ]
    return _mixed([(0.0, bars[0]), (rng.uniform(0.35, 0.55), bars[1])])


def bark(rng: Generator) -> np.ndarray:
    """Two bursts of a falling, rough voice."""
    at, pitch_hz = _at(rng.uniform(0.16, 0.26)), rng.uniform(250, 700)
    phase = 2 * np.pi * np.cumsum(pitch_hz * np.exp(-rng.uniform(1, 4) * at)) / RATE_HZ
    voice = sum(np.sin(k * phase) / k ** rng.uniform(0.5, 1.2) for k in range(1, 10))
    rough = (voice + rng.uniform(0.5, 1.5) * rng.normal(size=len(at))) * _arch(at, 0.7)
    return _mixed([(0.0, rough), (at[-1] + rng.uniform(0.08, 0.25), rough)])


def crash(rng: Generator) -> np.ndarray:
    """Glass: a burst of noise and many high modes that ring."""
    at = _at(rng.uniform(0.7, 1.1))
    low_hz, high_hz = rng.uniform(1500, 3000), rng.uniform(5500, 7500)
    modes = [
        rng.uniform(0.2, 1) * np.sin(2 * np.pi * rng.uniform(low_hz, high_hz) * at) * np.exp(-rng.uniform(4, 16) * at)
        for _ in range(40)
    ]
    return _mixed([(0.0, rng.normal(size=len(at)) * np.exp(-rng.uniform(8, 20) * at) * 2 + sum(modes))])


def knock(rng: Generator) -> np.ndarray:
    """Three or four dull strokes on wood."""
    at, hz = _at(0.15), rng.uniform(110, 380)
    stroke = np.exp(-rng.uniform(30, 60) * at) * (np.sin(2 * np.pi * hz * at) + 0.3 * rng.normal(size=len(at)))
    gap_s = rng.uniform(0.16, 0.26)
    return _mixed([(n * gap_s, stroke) for n in range(int(rng.integers(3, 5)))])


def whistle(rng: Generator) -> np.ndarray:
    """A breathy tone that glides."""
    at = _at(rng.uniform(0.5, 0.9))
    hz = np.linspace(rng.uniform(1200, 2600), rng.uniform(1200, 2600), len(at))
    tone = np.sin(2 * np.pi * np.cumsum(hz) / RATE_HZ) + 0.08 * rng.normal(size=len(at))
    return _mixed([(0.0, tone * _arch(at, 0.5))])


def partials(rng: Generator) -> np.ndarray:
    """One to six decaying partials, harmonic or not."""
    at, base_hz, stretch = _at(rng.uniform(0.3, 1.5)), rng.uniform(100, 2500), rng.uniform(0.8, 1.3)
    tones = [
        rng.uniform(0.2, 1) * np.sin(2 * np.pi * min(base_hz * k**stretch, 7500) * at)
        for k in range(1, rng.integers(2, 8))
    ]
    return _mixed([(0.0, sum(tones) * np.exp(-rng.uniform(1, 12) * at))])


def sweep(rng: Generator) -> np.ndarray:
    """A tone or a rough buzz whose pitch moves."""
    at = _at(rng.uniform(0.3, 1.5))
    hz = np.geomspace(rng.uniform(150, 4000), rng.uniform(150, 4000), len(at))
    hz = hz * (1 + rng.uniform(0, 0.1) * np.sin(2 * np.pi * rng.uniform(3, 12) * at))
    phase = 2 * np.pi * np.cumsum(hz) / RATE_HZ
    return _mixed([(0.0, np.tanh(rng.uniform(0.5, 6) * np.sin(phase)) * _arch(at, rng.uniform(0.2, 2)))])


def bursts(rng: Generator) -> np.ndarray:
    """One to six bursts of noise of one band."""
    low_hz = float(np.exp(rng.uniform(np.log(80), np.log(4000))))
    at = _at(rng.uniform(0.05, 0.5))
    noise = _band(rng, len(at), low_hz, min(7800, low_hz * rng.uniform(1.5, 6))) * np.exp(-rng.uniform(2, 25) * at)
    gap_s = rng.uniform(0.1, 0.4)
    return _mixed([(n * gap_s, noise) for n in range(int(rng.integers(1, 7)))])


NAMED: tuple[Callable[[Generator], np.ndarray], ...] = (doorbell, bark, crash, knock, whistle)
GENERIC: tuple[Callable[[Generator], np.ndarray], ...] = (partials, sweep, bursts)


def background(rng: Generator, duration_s: float, level: float) -> np.ndarray:
    """Noise of a room, from white to brownish by seed, with the given RMS."""
    white = rng.normal(size=round(duration_s * RATE_HZ))
    low = np.asarray(sosfilt(butter(1, rng.uniform(300, 3000), fs=RATE_HZ, output="sos"), white))
    share = rng.uniform(0, 1)
    noise = share * white / white.std() + (1 - share) * low / low.std()
    return (level * noise / noise.std()).astype(np.float32)


def rendition(rng: Generator, sound: np.ndarray) -> np.ndarray:
    """The sound at another level (0 to 14 dB less), 1 to 2 % higher or lower."""
    rate = 1 + rng.choice((-1, 1)) * rng.uniform(0.01, 0.02)
    shown = np.interp(np.arange(0, len(sound) - 1, rate), np.arange(len(sound)), sound)
    return (10 ** (-rng.uniform(0, 14) / 20) * shown).astype(np.float32)


def over_noise(
    rng: Generator, sound: np.ndarray, snr_db: float, before_s: float = 3.0, after_s: float = 3.0
) -> np.ndarray:
    """The sound in a longer stretch of noise; `snr_db` is of its mean power to that of the noise."""
    level = float(np.sqrt(np.mean(sound**2))) * 10 ** (-snr_db / 20)
    track = background(rng, before_s + len(sound) / RATE_HZ + after_s, level)
    start = round(before_s * RATE_HZ)
    track[start : start + len(sound)] += sound
    return track
