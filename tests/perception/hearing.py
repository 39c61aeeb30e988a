"""Sounds for the tests of the stages that hear: recorded or spoken sentences, tunes, noise."""

import functools
import json
import os
import pickle
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest

from reverie.perception.samples import NS_PER_SAMPLE, SAMPLE_RATE_HZ
from reverie.types import AudioChunk

RECORDINGS = Path(__file__).parents[2] / "demos" / "sample" / "speech"


@dataclass(frozen=True)
class Spoken:
    """A sentence with where it begins and ends, in seconds, by its loudness."""

    text: str
    samples: np.ndarray
    start_s: float
    end_s: float


def decode(path):
    """A sound file as (T,) float32 at 16 kHz."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
    with av.open(str(path)) as container:
        frames = [new for frame in container.decode(audio=0) for new in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def spoken(text, samples):
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    return Spoken(text, samples, loud[0] / SAMPLE_RATE_HZ, (loud[-1] + 1) / SAMPLE_RATE_HZ)


@functools.cache
def recordings(num):
    """The first sentences that the demo's sample stream is made of."""
    listing = RECORDINGS / "sentences.json"
    if not listing.is_file():
        pytest.skip("demos/sample/speech is not there")
    entries = json.loads(listing.read_text())["sentences"][:num]
    return [spoken(entry["text"], decode(RECORDINGS / f"{entry['id']}.ogg")) for entry in entries]


def flite(folder, text, voice="slt"):
    if shutil.which("flite") is None:
        pytest.skip("flite is not installed")
    path = folder / "spoken.wav"
    subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True, timeout=30)
    return spoken(text, decode(path))


def shared_audio(name):
    folder = os.environ.get("REVERIE_DATA")
    path = Path(folder or "") / "audio" / name
    if not folder or not path.is_file():
        pytest.skip(f"REVERIE_DATA does not name a folder with audio/{name}")
    return decode(path)


def noise(duration_s, level=0.001, seed=0):
    return np.random.default_rng(seed).normal(0, level, round(duration_s * SAMPLE_RATE_HZ)).astype(np.float32)


def tune(duration_s, seed=0):
    """Plucked notes of a pentatonic scale, 0.4 s each."""
    rng = np.random.default_rng(seed)
    at = np.arange(round(0.4 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    notes = [
        sum(0.15 / k * np.sin(2 * np.pi * hz * k * at) for k in range(1, 5)) * np.exp(-3.2 * at)
        for hz in rng.choice([262, 294, 330, 392, 440, 523], round(duration_s / 0.4))
    ]
    return np.concatenate(notes).astype(np.float32)


def chunks(samples, sizes=8000, *, start_ns=0, stream_id="a"):
    """Cut samples into chunks of one size, or of the sizes given in turn."""
    sizes = [sizes] if isinstance(sizes, int) else list(sizes)
    found, at = [], 0
    while at < len(samples):
        part = samples[at : at + sizes[len(found) % len(sizes)]]
        found.append(
            AudioChunk(
                stream_id=stream_id,
                seq=len(found),
                pts_ns=start_ns + at * NS_PER_SAMPLE,
                samples=part,
                sample_rate_hz=SAMPLE_RATE_HZ,
            )
        )
        at += len(part)
    return found


def run(stage, items, *, batch=1):
    """All that the stage says of one stream, while its horizon is checked to be true."""
    stream_id, found, horizon = items[0].stream_id, [], None
    for at in range(0, len(items), batch):
        new = list(stage.process(items[at : at + batch]))
        assert horizon is None or all(observation.span.start_ns >= horizon for observation in new)
        found += new
        horizon = stage.horizon(stream_id)
        assert horizon is not None
    last = list(stage.flush(stream_id))
    assert all(observation.span.start_ns >= horizon for observation in last)
    assert stage.horizon(stream_id) is None
    assert stage.snapshot(stream_id) is None
    return found + last


def run_cut(make_stage, items, at):
    """The same, moved to a new stage by a pickled snapshot before item `at`."""
    first = make_stage()
    found = [observation for item in items[:at] for observation in first.process([item])]
    state = pickle.loads(pickle.dumps(first.snapshot(items[0].stream_id)))
    list(first.process(items[at : at + 2]))  # what happens to the first one now must not matter
    second = make_stage()
    second.restore(items[0].stream_id, state)
    return found + run(second, items[at:])
