"""Does a voice's excitement help to find what it said? Arousal from loudness and pitch, as a key beside the words.

    python benchmarks/mood.py [--seeds 1 2 3] [--json]

espeak-ng (it has to be installed) speaks 40 sentences of the sample stream calmly, as usual and as if shouted
(volume, pitch and speed, each varied), all in random order in one stream. Each is asked for by half of its words and a
mood; right is the one utterance with that sentence and mood. Volume alone tells the moods of one near voice apart, so
the conditions take that away: four voices of different pitch, and distances that change the level by 6 dB (deviation).

Ways: words alone; only utterances in the asked range; S-C and C-A of Emotional RAG (Huang et al. 2024): the 20 or 5
best by words, ordered by mood; and the sum, which ships. All search one memory. The second table is the area under
the curve with which arousal tells shouted from other utterances, by what it is made of.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.report import arguments, progress, publish, table
from demos.sample.words import load_sentences
from reverie.memory import Memory, MemoryConfig
from reverie.memory.search_config import SearchConfig
from reverie.perception.minilm import MiniLM
from reverie.perception.prosody import Prosody, UsualVoice, prosody_of
from reverie.types import Hit, Modality, Observation, Query, TimeSpan, ns

NUM_SENTENCES = 40
MOODS = {"calm": (50, 35, 150), "usual": (100, 50, 175), "shouted": (200, 80, 200)}  # espeak-ng -a, -p, -s
RANGES = {"calm": (0.0, 0.35), "usual": (0.35, 0.65), "shouted": (0.65, 1.0)}
VOICES = ("en-us", "en-gb-scotland", "en-us+f3", "en-gb+m3")
CONDITIONS = {
    "one voice": (1, 0.0),
    "one voice, distances": (1, 6.0),
    "four voices": (4, 0.0),
    "four voices, distances": (4, 6.0),
}
FEATURES = ("loudness and pitch", "loudness", "pitch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """A sentence as it was spoken."""

    text: str
    mood: str
    prosody: Prosody
    duration_s: float


def speak(seed: int, num_voices: int, distance_db: float) -> list[Utterance]:
    rng = np.random.default_rng(seed)
    texts = [sentence.text for sentence in load_sentences()[:NUM_SENTENCES]]
    plan = [(text, mood) for text in texts for mood in MOODS]
    found = []
    for number in rng.permutation(len(plan)):
        text, mood = plan[number]
        volume, pitch, speed = MOODS[mood]
        samples = _espeak(
            text, VOICES[rng.integers(num_voices)], round(volume * rng.uniform(0.8, 1.25)),
            pitch + int(rng.integers(-8, 9)), speed + int(rng.integers(-15, 16)),
        )  # fmt: skip
        samples = samples * 10 ** (rng.normal(0, distance_db) / 20) + rng.normal(0, 0.0015, len(samples))
        prosody = prosody_of(samples.astype(np.float32))
        found.append(Utterance(text=text, mood=mood, prosody=prosody, duration_s=len(samples) / 16_000))
    return found


def _espeak(text: str, voice: str, volume: int, pitch: int, speed: int) -> NDArray[np.float32]:
    """(T,) samples at 16 kHz."""
    from scipy.signal import resample_poly
    from soundfile import read

    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        options = ["-v", voice, "-a", str(volume), "-p", str(pitch), "-s", str(speed), "-w", file.name]
        subprocess.run(["espeak-ng", *options, text], check=True)
        samples, rate_hz = read(file.name, dtype="float32")
    return np.asarray(resample_poly(samples, 16_000, rate_hz), np.float32)


def arousals(spoken: Sequence[Utterance], features: str) -> list[float]:
    """Of each utterance in order, by both features or one."""
    usual = UsualVoice()
    found = []
    for said in spoken:
        prosody = said.prosody
        if features == "loudness":
            prosody = replace(prosody, pitch_semitones=None)
        elif features == "pitch":
            prosody = replace(prosody, loudness_db=0.0)
        found.append(usual.arousal(prosody, said.duration_s))
    return found


def area(values: Sequence[float], positive: Sequence[bool]) -> float:
    """Probability that a positive has the larger value, ties counted half."""
    marked = np.asarray(positive)
    above, below = np.asarray(values)[marked, None], np.asarray(values)[None, ~marked]
    return float((above > below).mean() + 0.5 * (above == below).mean())


def rank(memory: Memory, plain: Memory, text: str, mood: str) -> Iterator[tuple[str, Hit | None]]:
    """The best hit of each way; what is ordered by words alone is read by `plain`, where copies count as much."""
    low, high = RANGES[mood]

    def far(hit: Hit) -> float:
        assert hit.arousal is not None
        return max(low - hit.arousal, hit.arousal - high, 0.0)

    query = Query(text=text, k=20, modalities=(Modality.SPEECH,))
    by_words = sorted(plain.search(query), key=lambda hit: -hit.score)
    yield "words alone", by_words[0]
    yield "only in the range", next((hit for hit in by_words if far(hit) == 0), None)
    for most in (20, 5):
        yield f"the {most} best by words, ordered by mood (S-C)", min(by_words[:most], key=far)
    summed = memory.search(replace(query, arousal=(low, high)))
    yield "shipped: words + 0.3 mood (C-A)", max(summed, key=lambda hit: hit.score)


def found_at_1(spoken: Sequence[Utterance], values: Sequence[float], seed: int) -> dict[str, float]:
    """Share of the questions whose best hit is right, by way."""
    rng = np.random.default_rng(seed)
    right: dict[str, list[bool]] = {}
    with tempfile.TemporaryDirectory() as folder, Memory.open(folder, text_encoder=MiniLM(), mode="w") as memory:
        memory.write([
            Observation(
                stream_id="talk", seq=number, span=TimeSpan(start_ns=ns(60 * number), end_ns=ns(60 * number + 3)),
                modality=Modality.SPEECH, text=said.text, arousal=value,
            )
            for number, (said, value) in enumerate(zip(spoken, values, strict=True))
        ])  # fmt: skip
        copies_count = MemoryConfig(search=SearchConfig(copy_share=1.0), remember_recalls=False)
        with Memory.open(folder, text_encoder=MiniLM(), config=copies_count) as plain:
            for number, said in enumerate(spoken):
                words = said.text.split()
                fragment = " ".join(word for word in words if rng.random() < 0.5) or words[0]
                for way, hit in rank(memory, plain, fragment, said.mood):
                    right.setdefault(way, []).append(hit is not None and hit.span.start_ns == ns(60 * number))
    return {way: float(np.mean(values)) for way, values in right.items()}


def main() -> None:
    args = arguments(__doc__, seeds={"type": int, "nargs": "+", "default": [1, 2, 3]})
    shares: dict[str, dict[str, list[float]]] = {}
    areas: dict[str, dict[str, list[float]]] = {}
    for condition, (num_voices, distance_db) in CONDITIONS.items():
        for seed in args.seeds:
            spoken = speak(seed, num_voices, distance_db)
            for features in FEATURES:
                values = arousals(spoken, features)
                shouted = [said.mood == "shouted" for said in spoken]
                areas.setdefault(features, {}).setdefault(condition, []).append(area(values, shouted))
            for way, share in found_at_1(spoken, arousals(spoken, FEATURES[0]), seed).items():
                shares.setdefault(way, {}).setdefault(condition, []).append(share)
        progress(f"{condition} done")
    figures = {
        name: {row: {key: float(np.mean(values)) for key, values in cells.items()} for row, cells in rows.items()}
        for name, rows in (("found_at_1", shares), ("area", areas))
    }
    body = "## Right at the first place, %\n\n" + table(
        ("", *CONDITIONS),
        [(way, *(f"{100 * cells[key]:.1f}" for key in CONDITIONS)) for way, cells in figures["found_at_1"].items()],
    )
    body += "\n\n## Shouted or not: area under the curve\n\n" + table(
        ("arousal from", *CONDITIONS),
        [(name, *(f"{cells[key]:.3f}" for key in CONDITIONS)) for name, cells in figures["area"].items()],
    )
    publish("mood", "Mood as a key", body, figures, args.json)


if __name__ == "__main__":
    main()
