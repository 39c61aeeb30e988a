"""Speech to words with Whisper (Radford et al. 2022), run by faster-whisper and CTranslate2 in int8.

Whisper was trained on windows of 30 s, padded with silence, and its encoder costs as much for one second of
speech as for thirty. Encoding the speech and a tail of 7 s, 15 s at least, is three times cheaper and gives nearly
the same words; with a shorter tail the decoder does not know where to stop and says the sentence again. So a
segment is decoded with the short context first, and where that looks wrong (it repeats itself, leaves sound out,
is unlikely, or did not end) once more with all 30 s. There is no sampling: the same samples give the same words.

Word times come from the cross-attention of the alignment heads (dynamic time warping). On music and noise
Whisper invents text ("Thank you."); such text is dropped by its likelihood.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from reverie.errors import ModelError
from reverie.perception.models import resolve
from reverie.perception.recogniser import Transcript
from reverie.perception.samples import SAMPLE_RATE_HZ, Samples
from reverie.types import TimeSpan, Word, ns

_FULL_FRAMES = 3000  # of 10 ms
_FRAME_SAMPLES = 160
_SHORT_FRAMES = 1500
_TAIL_FRAMES = 700
_SILENCE_S = 0.5  # of true silence after the speech; the rest of the context is empty
_MAX_TOKENS = 448
_UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
_PREPENDED, _APPENDED = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"
_MAX_WORDS_PER_S = 6.0  # nobody speaks faster for long: a repetition above it was invented
_MIN_WORDS_PER_S = 1.6  # a slower text may have left a sentence out

# What Whisper says most often where nobody speaks (Koenecke et al. 2024, and our own noise and music).
_INVENTED = frozenset(
    {"", "you", "thank you", "thanks for watching", "thank you for watching", "bye", "oh", "okay", "so", "i'm sorry"}
)


class WhisperConfig(BaseModel):
    """Which Whisper, and when its text is believed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field("whisper-tiny.en", description="A CTranslate2 folder, see `reverie.perception.models.resolve`.")
    language: str = Field("en", description="Language code; ignored by the .en models; empty: detect for each segment.")
    device: str = Field("cpu", description="cpu or cuda.")
    compute_type: str = Field("int8", description="CTranslate2's arithmetic: int8, float16, float32.")
    threads: int = Field(1, ge=1, description="Processor threads of one recogniser.")
    beam_size: int = Field(1, ge=1, description="Beam of the decoder; for tiny.en 5 was no better than 1.")
    short_context: bool = Field(True, description="Try the cheap short context before the full 30 s.")
    retry_below_logprob: float = Field(-0.6, description="Mean token log-probability that asks for the full context.")
    drop_below_logprob: float = Field(-1.0, description="Text less likely than this is dropped.")
    min_confidence: float = Field(
        0.25, ge=0, le=1, description="Text whose words' mean probability is lower is dropped."
    )
    max_no_speech: float = Field(0.6, description="With a higher no-speech probability, text must be likely to stay.")
    max_compression: float = Field(2.4, description="Text that zlib compresses better is a loop and dropped.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decoded:
    tokens: list[int]  # text only
    text: str
    logprob: float  # mean, of tokens and the end
    no_speech: float
    ended: bool
    encoded: Any


class Whisper:
    """A `Recogniser`. A pickled one carries only its configuration."""

    def __init__(self, config: WhisperConfig | None = None) -> None:
        self._config = config or WhisperConfig()
        self._model: Any = None

    def __reduce__(self) -> tuple[type[Whisper], tuple[WhisperConfig]]:
        return type(self), (self._config,)

    def setup(self) -> None:
        """Load the weights, from disk only.

        Raises:
            ModelError: they are missing, or CTranslate2 cannot read them.
        """
        from faster_whisper import WhisperModel

        folder = resolve(self._config.model)
        try:
            self._model = WhisperModel(
                str(folder),
                device=self._config.device,
                compute_type=self._config.compute_type,
                cpu_threads=self._config.threads,
                num_workers=1,
                local_files_only=True,
            )
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"cannot load Whisper from {folder} ({error}); check the model and the device") from error

    def close(self) -> None:
        self._model = None

    def recognise(self, samples: Samples) -> Transcript:
        """(T,) float32 at 16 kHz, at most 30 s, to words.

        Raises:
            ValueError: the samples are longer than Whisper's window.
        """
        if len(samples) > _FULL_FRAMES * _FRAME_SAMPLES:
            raise ValueError(f"{len(samples) / SAMPLE_RATE_HZ:.1f} s of speech; Whisper's window has 30 s")
        if len(samples) < 2 * _FRAME_SAMPLES:
            return Transcript()
        features = self._model.feature_extractor(np.pad(samples, (0, int(_SILENCE_S * SAMPLE_RATE_HZ))))
        tokenizer = self._tokenizer(features)
        num_frames = len(samples) // _FRAME_SAMPLES
        decoded = None
        if self._config.short_context:
            context = max(_SHORT_FRAMES, num_frames + _TAIL_FRAMES)
            decoded = self._decode(tokenizer, features, context, num_frames)
        if decoded is None or self._suspicious(decoded, num_frames):
            decoded = self._decode(tokenizer, features, _FULL_FRAMES, num_frames)
        if self._invented(decoded):
            return Transcript()
        words = self._align(tokenizer, decoded, num_frames)
        return Transcript(words=tuple(words), separator="" if tokenizer.language_code in _UNSPACED else " ")

    def _tokenizer(self, features: Any) -> Any:
        from faster_whisper.tokenizer import Tokenizer

        multilingual = bool(self._model.model.is_multilingual)
        language = self._config.language or "en"
        if multilingual and not self._config.language:
            language = self._model.detect_language(features=features)[0]
        return Tokenizer(self._model.hf_tokenizer, multilingual, task="transcribe", language=language)

    def _decode(self, tokenizer: Any, features: Any, context_frames: int, num_frames: int) -> _Decoded:
        """One pass over `context_frames` frames, of which the first `num_frames` are speech."""
        from faster_whisper.transcribe import get_suppressed_tokens

        size = min(_FULL_FRAMES, context_frames + context_frames % 2)
        canvas = np.zeros((features.shape[0], size), np.float32)
        filled = min(size, features.shape[1])
        canvas[:, :filled] = features[:, :filled]
        encoded = self._model.encode(canvas)
        prompt = tokenizer.sot_sequence
        max_length = min(_MAX_TOKENS, len(prompt) + 16 + num_frames * 9 // 100)  # nine tokens a second are plenty
        result = self._model.model.generate(
            encoded,
            [prompt],
            beam_size=self._config.beam_size,
            max_length=max_length,
            max_initial_timestamp_index=50,
            suppress_tokens=list(get_suppressed_tokens(tokenizer, [-1])),
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        tokens = result.sequences_ids[0]
        return _Decoded(
            tokens=[token for token in tokens if token < tokenizer.eot],
            text=tokenizer.decode(tokens).strip(),
            logprob=result.scores[0] * len(tokens) / (len(tokens) + 1),
            no_speech=result.no_speech_prob,
            ended=len(tokens) < max_length - len(prompt),
            encoded=encoded,
        )

    def _suspicious(self, decoded: _Decoded, num_frames: int) -> bool:
        words = spelling(decoded.text)
        return (
            decoded.logprob < self._config.retry_below_logprob
            or not decoded.ended
            or len(words) < num_frames / 100 * _MIN_WORDS_PER_S - 2
            or repeated_tail(words) > 0
        )

    def _invented(self, decoded: _Decoded) -> bool:
        config, plain = self._config, " ".join(spelling(decoded.text))
        unsure = decoded.logprob < config.retry_below_logprob
        return (
            not plain
            or decoded.logprob < config.drop_below_logprob
            or (unsure and (plain in _INVENTED or decoded.no_speech > config.max_no_speech))
            or compression_ratio(decoded.text) > config.max_compression
        )

    def _align(self, tokenizer: Any, decoded: _Decoded, num_frames: int) -> list[Word]:
        from faster_whisper.transcribe import merge_punctuations

        found = self._model.find_alignment(tokenizer, [decoded.tokens], decoded.encoded, num_frames)[0]
        merge_punctuations(found, _PREPENDED, _APPENDED)
        spaced = tokenizer.language_code not in _UNSPACED
        words: list[Word] = []
        for entry in found:
            text, score = entry["word"], min(1.0, float(entry["probability"]))
            last = words[-1] if words else None
            start_ns = max(ns(float(entry["start"])), last.span.end_ns if last else 0)
            span = TimeSpan(start_ns=start_ns, end_ns=max(start_ns, ns(float(entry["end"]))))
            if last is not None and spaced and text and not text.startswith(" "):  # the 'clock of o'clock
                text, score = last.text + text, min(last.score, score)
                words[-1] = Word(text=text.strip(), span=last.span.union(span), score=score)
            elif spelling(text):
                words.append(Word(text=text.strip(), span=span, score=score))
        copied = repeated_tail(["".join(spelling(word.text)) for word in words])
        if copied and len(words) > num_frames / 100 * _MAX_WORDS_PER_S:
            del words[-copied:]
        confidence = sum(word.score for word in words) / max(1, len(words))
        return words if confidence >= self._config.min_confidence else []


def spelling(text: str) -> list[str]:
    """Words in lower case without punctuation, for comparing."""
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.lower())


def repeated_tail(words: Sequence[str]) -> int:
    """How many of the last words copy those a period before them; 0 if fewer than four (three in a short period)."""
    best = 0
    for period in range(1, len(words)):
        matched = 0
        while matched + period < len(words) and words[-1 - matched] == words[-1 - matched - period]:
            matched += 1
        if matched >= 4 or (matched == 3 and period <= 3):
            best = max(best, matched)
    return best


def compression_ratio(text: str) -> float:
    """Bytes over zlib's bytes, as Whisper measures loops."""
    encoded = text.encode()
    return len(encoded) / len(zlib.compress(encoded))
