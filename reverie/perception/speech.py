"""Speech: sound to what was said, when.

    chunks -> windows of 32 ms -> probability of speech -> segments -> words -> one observation per utterance

A segment is speech between pauses of half a second, 20 s at most. The recogniser gets it with a little of the
sound around it. An utterance is a sentence of it, by punctuation and by pauses between words. Word times of a
recogniser are loose at pauses, the voice detector's are not: an utterance's span is its words', trimmed to where
there was a voice. While a segment is open, `horizon` stays at its start, so that memory waits for its words.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from reverie.errors import StageError
from reverie.perception.activity import Activity, ActivitySegmenter
from reverie.perception.prosody import UsualVoice, prosody_of
from reverie.perception.recogniser import Recogniser
from reverie.perception.samples import NS_PER_SAMPLE, SAMPLE_RATE_HZ, Run, Samples, mono_16k
from reverie.perception.vad import WINDOW_SAMPLES, SileroVad, VadConfig, VadState
from reverie.stage import Stage
from reverie.types import NS_PER_S, AudioChunk, Modality, Observation, TimeSpan, Word, ns

_WINDOW_NS = WINDOW_SAMPLES * NS_PER_SAMPLE
_SEQ_STEP_NS = 10_000_000
_SNAP_NS = 400_000_000  # shorter than most words
_ABBREVIATIONS = frozenset({"mr.", "mrs.", "ms.", "dr.", "prof.", "st.", "no.", "vs.", "a.m.", "p.m.", "e.g.", "i.e."})


class SpeechConfig(BaseModel):
    """How speech is found and cut into utterances."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vad: VadConfig = VadConfig()
    pad_s: float = Field(0.2, ge=0, le=1, description="Sound around a segment that the recogniser hears as well.")
    max_word_gap_s: float = Field(0.6, gt=0, description="A longer pause between words starts another utterance.")
    idle_close_s: float = Field(
        2.0, gt=0, description="A live stream without sound for this long has stopped speaking."
    )


@dataclass(slots=True)
class _Hearing:
    """One stream: what was heard of the current run, and what is not decided yet."""

    run: Run
    segmenter: ActivitySegmenter
    vad: VadState = field(default_factory=VadState)
    last_end: int = 0  # sample at which the last segment ended
    last_seq: int | None = None
    usual: UsualVoice = field(default_factory=UsualVoice)


class SpeechStage(Stage[AudioChunk, Observation]):
    """Observations with `words` and `arousal`, one for each utterance; `seq` counts 10 ms of media time.

    Several streams share the networks; each has its own state. Sound that does not go on where the last
    chunk ended closes the open segment.
    """

    max_batch = 8

    def __init__(self, recogniser: Recogniser, config: SpeechConfig | None = None) -> None:
        super().__init__()
        self._config = config or SpeechConfig()
        self._recogniser = recogniser
        self._network: SileroVad | None = None
        self._streams: dict[str, _Hearing] = {}
        self._idle_since: dict[str, tuple[int, int]] = {}  # number of samples, monotonic time

    def setup(self) -> None:
        self._network = SileroVad(self._config.vad.model)
        self._recogniser.setup()

    def close(self) -> None:
        self._network = None
        self._recogniser.close()

    def process(self, items: Sequence[AudioChunk]) -> Iterator[Observation]:
        for chunk in items:
            samples = mono_16k(chunk, "speech")
            heard = self._streams.get(chunk.stream_id)
            if heard is not None and not heard.run.joins(chunk.pts_ns):
                yield from self._finish(chunk.stream_id, heard)
                heard = self._hear(chunk, heard.last_seq, heard.usual)
            elif heard is None:
                heard = self._hear(chunk, None, UsualVoice())
            heard.run.append(chunk.pts_ns, samples)
            yield from self._advance(chunk.stream_id, heard)

    def flush(self, stream_id: str, end_ns: int | None = None) -> Iterator[Observation]:
        heard = self._streams.pop(stream_id, None)
        self._idle_since.pop(stream_id, None)
        if heard is not None:
            yield from self._finish(stream_id, heard)

    def tick(self, now_ns: int) -> Iterator[Observation]:
        """Close speech whose stream has gone quiet: no chunk came for a while, not even of silence."""
        for stream_id, heard in self._streams.items():
            num_samples, since_ns = self._idle_since.get(stream_id, (-1, now_ns))
            if num_samples != heard.run.end:
                self._idle_since[stream_id] = heard.run.end, now_ns
            elif now_ns - since_ns >= ns(self._config.idle_close_s) and heard.segmenter.start is not None:
                yield from self._recognise(stream_id, heard, heard.segmenter.flush())

    def horizon(self, stream_id: str) -> int | None:
        heard = self._streams.get(stream_id)
        if heard is None:
            return None
        segmenter = heard.segmenter
        window = segmenter.next_window if segmenter.start is None else segmenter.start
        return heard.run.time_ns(window * WINDOW_SAMPLES)

    def snapshot(self, stream_id: str) -> _Hearing | None:
        return copy.deepcopy(self._streams.get(stream_id))

    def restore(self, stream_id: str, state: _Hearing | None) -> None:
        self._idle_since.pop(stream_id, None)
        if state is None:
            self._streams.pop(stream_id, None)
        else:
            self._streams[stream_id] = copy.deepcopy(state)

    # --- one stream -----------------------------------------------------------------------------

    def _hear(self, chunk: AudioChunk, last_seq: int | None, usual: UsualVoice) -> _Hearing:
        heard = _Hearing(Run(chunk.pts_ns), self._config.vad.segmenter(), last_seq=last_seq, usual=usual)
        self._streams[chunk.stream_id] = heard
        return heard

    def _advance(self, stream_id: str, heard: _Hearing) -> Iterator[Observation]:
        """Decide the windows that are whole, and forget the sound that nothing can need any more."""
        start = heard.segmenter.next_window * WINDOW_SAMPLES
        end = heard.run.end - (heard.run.end - start) % WINDOW_SAMPLES
        yield from self._decide(stream_id, heard, heard.run.between(start, end))
        window = heard.segmenter.next_window if heard.segmenter.start is None else heard.segmenter.start
        heard.run.forget_before(window * WINDOW_SAMPLES - self._pad_samples)

    def _finish(self, stream_id: str, heard: _Hearing) -> Iterator[Observation]:
        """What is open ends here; the last part of a window counts as if silence followed."""
        last = heard.run.between(heard.segmenter.next_window * WINDOW_SAMPLES, heard.run.end)
        if len(last):
            yield from self._decide(stream_id, heard, np.pad(last, (0, WINDOW_SAMPLES - len(last))))
        yield from self._recognise(stream_id, heard, heard.segmenter.flush())

    def _decide(self, stream_id: str, heard: _Hearing, windows: Samples) -> Iterator[Observation]:
        if self._network is None:
            raise StageError("speech", "setup was not called", stream_id)
        for activity in heard.segmenter.feed(self._network.probabilities(heard.vad, windows)):
            yield from self._recognise(stream_id, heard, activity)

    @property
    def _pad_samples(self) -> int:
        return round(self._config.pad_s * SAMPLE_RATE_HZ)

    def _recognise(self, stream_id: str, heard: _Hearing, activity: Activity | None) -> Iterator[Observation]:
        if activity is None:
            return
        start, end = activity.start * WINDOW_SAMPLES, min(activity.end * WINDOW_SAMPLES, heard.run.end)
        from_sample = start if activity.cut_before else max(start - self._pad_samples, heard.last_end, heard.run.first)
        # What follows the pause may be there or not, depending on the chunks: only the pause itself is heard.
        pad_after = min(self._pad_samples, heard.segmenter.thresholds.min_pause * WINDOW_SAMPLES)
        to_sample = end if activity.cut_after else min(end + pad_after, heard.run.end)
        heard.last_end = end
        transcript = self._recogniser.recognise(heard.run.between(from_sample, to_sample))
        self.counters.add("speech_seconds", (end - start) / SAMPLE_RATE_HZ)
        self.counters.add("words_heard", len(transcript.words))
        voice = _Voice(activity, heard.run.time_ns(start), heard.run.time_ns(end), self._config.vad.close_at)
        offset_ns = heard.run.time_ns(from_sample)
        words = [_moved(word, offset_ns) for word in transcript.words]
        for index, utterance in enumerate(utterances(words, ns(self._config.max_word_gap_s))):
            span = TimeSpan(start_ns=utterance[0].span.start_ns, end_ns=utterance[-1].span.end_ns)
            span = voice.trim(span, first=index == 0)
            yield self._observe(stream_id, heard, span, utterance, transcript.separator)

    def _observe(
        self, stream_id: str, heard: _Hearing, span: TimeSpan, words: Sequence[Word], separator: str
    ) -> Observation:
        seq = span.start_ns // _SEQ_STEP_NS
        if heard.last_seq is not None:
            seq = max(seq, heard.last_seq + 1)
        heard.last_seq = seq
        return Observation(
            stream_id=stream_id,
            seq=seq,
            span=span,
            modality=Modality.SPEECH,
            text=separator.join(word.text for word in words),
            words=tuple(_within(word, span) for word in words),
            confidence=sum(word.score for word in words) / len(words),
            arousal=self._arousal(heard, span),
        )

    @staticmethod
    def _arousal(heard: _Hearing, span: TimeSpan) -> float:
        """How excited the voice was, against what it was before in this stream."""
        run = heard.run
        start, end = ((at_ns - run.anchor_ns) // NS_PER_SAMPLE for at_ns in (span.start_ns, span.end_ns))
        samples = run.between(max(start, run.first), min(end, run.end))
        return heard.usual.arousal(prosody_of(samples), span.duration_ns / NS_PER_S)


def utterances(words: Sequence[Word], max_gap_ns: int) -> list[list[Word]]:
    """Split words into sentences: after a full stop, question or exclamation mark, and at long pauses."""
    found: list[list[Word]] = []
    for word in words:
        previous = found[-1][-1] if found else None
        if (
            previous is None
            or word.span.start_ns - previous.span.end_ns > max_gap_ns
            or (previous.text.rstrip("\"'”)]")[-1:] in ".?!。？！" and previous.text.lower() not in _ABBREVIATIONS)
        ):
            found.append([])
        found[-1].append(word)
    return found


class _Voice:
    """Where in a segment there was a voice."""

    def __init__(self, activity: Activity, start_ns: int, end_ns: int, close_at: float) -> None:
        self._start_ns, self._end_ns = start_ns, end_ns
        self._windows = [index for index, value in enumerate(activity.probabilities) if value >= close_at]

    def trim(self, span: TimeSpan, *, first: bool) -> TimeSpan:
        """Cut a span to the segment, and its ends to the first and last window with a voice in it.

        The `first` one starts with the segment, which is more exact than a word; not so the segment's
        end, because the network lets go of a voice about 0.15 s late.
        """
        start_ns = max(self._start_ns, min(span.start_ns, self._end_ns - _WINDOW_NS))
        end_ns = min(self._end_ns, max(span.end_ns, start_ns + _WINDOW_NS))
        if first and start_ns - self._start_ns < _SNAP_NS:
            start_ns = self._start_ns
        inside = [
            index
            for index in self._windows
            if self._start_ns + (index + 1) * _WINDOW_NS > start_ns and self._start_ns + index * _WINDOW_NS < end_ns
        ]
        if inside:
            start_ns = max(start_ns, self._start_ns + inside[0] * _WINDOW_NS)
            end_ns = min(end_ns, self._start_ns + (inside[-1] + 1) * _WINDOW_NS)
        return TimeSpan(start_ns=start_ns, end_ns=end_ns)


def _moved(word: Word, offset_ns: int) -> Word:
    span = TimeSpan(start_ns=word.span.start_ns + offset_ns, end_ns=word.span.end_ns + offset_ns)
    return replace(word, span=span)


def _within(word: Word, span: TimeSpan) -> Word:
    start_ns = min(max(word.span.start_ns, span.start_ns), span.end_ns)
    return replace(word, span=TimeSpan(start_ns=start_ns, end_ns=max(start_ns, min(word.span.end_ns, span.end_ns))))
