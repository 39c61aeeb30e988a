"""The sound track of a plan: sentences, a clip's own sound and a plucked tune, over the faint noise of a room.

(T,) float32 in [-1, 1], mono, 48 kHz. Same plan, same samples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from demos.sample.catalogue import CATALOGUE, locate
from demos.sample.plan import Plan
from demos.sample.words import decode_mono, load_sentences, recording

RATE_HZ = 48_000
ROOM_NOISE = 10 ** (-66 / 20)  # a microphone never delivers digital silence
CLIP_GAIN, TUNE_GAIN = 0.7, 0.5

Samples = NDArray[np.float32]


def mix(plan: Plan) -> Samples:
    """The whole track, `plan.duration_s` long."""
    rng = np.random.default_rng((plan.seed, 1))
    track = rng.normal(0, ROOM_NOISE, round(plan.duration_s * RATE_HZ)).astype(np.float32)
    sentences = {sentence.sentence_id: sentence for sentence in load_sentences()}
    for cue in plan.sentences:
        _add(track, recording(sentences[cue.sentence_id], RATE_HZ), cue.start_s)
    for scene in plan.scenes:
        if CATALOGUE[scene.asset_id].sound:
            own = decode_mono(locate(CATALOGUE[scene.asset_id]), RATE_HZ)
            _add(track, CLIP_GAIN * own[: round((scene.end_s - scene.start_s) * RATE_HZ)], scene.start_s)
    for tune in plan.tunes:
        _add(track, TUNE_GAIN * play(rng, tune.end_s - tune.start_s), tune.start_s)
    return np.clip(track, -1, 1)


def play(rng: np.random.Generator, length_s: float) -> Samples:
    """A tune of plucked strings: four chords in a row and a melody of their notes, 108 beats a minute."""
    beat_s = 60 / 108
    tune = np.zeros(round(length_s * RATE_HZ), np.float32)
    chords = [(57, 60, 64), (53, 57, 60), (48, 52, 55), (55, 59, 62)]  # Am F C G, as MIDI notes
    for beat in range(int(length_s / beat_s)):
        chord = chords[beat // 4 % 4]
        if beat % 2 == 0:
            for note in (chord[0] - 12, *chord):
                _add(tune, 0.35 * pluck(rng, note, 2 * beat_s), beat * beat_s)
        for half in (0.0, 0.5):
            if rng.random() < 0.8:
                note = int(rng.choice(chord)) + int(rng.choice((12, 24)))
                _add(tune, 0.5 * pluck(rng, note, 1.5 * beat_s), (beat + half) * beat_s)
    fade = round(0.3 * RATE_HZ)
    tune[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return (0.8 * tune / np.abs(tune).max()).astype(np.float32)


def pluck(rng: np.random.Generator, note: int, length_s: float) -> Samples:
    """One string (Karplus and Strong 1983): a burst of noise in a delay line as long as the period, averaged each turn.

    y[n] = x[n] + 0.996 (y[n-p] + y[n-p-1]) / 2
    """
    period = round(RATE_HZ / (440 * 2 ** ((note - 69) / 12)))
    burst = np.zeros(round(length_s * RATE_HZ))
    burst[:period] = rng.uniform(-1, 1, period)
    feedback = np.zeros(period + 2)
    feedback[0], feedback[period], feedback[period + 1] = 1, -0.498, -0.498
    return lfilter([1.0], feedback, burst).astype(np.float32)


def _add(track: Samples, samples: Samples, start_s: float) -> None:
    """Add samples to a track in place, cut off at its end."""
    at = round(start_s * RATE_HZ)
    room = max(0, min(len(samples), len(track) - at))
    track[at : at + room] += samples[:room]
