import hashlib
import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reverie.errors import ModelError, StageError
from reverie.perception.recogniser import Transcript
from reverie.perception.samples import NS_PER_SAMPLE, SAMPLE_RATE_HZ
from reverie.perception.speech import SpeechConfig, SpeechStage, utterances
from reverie.perception.vad import VadConfig
from reverie.perception.whisper import Whisper, WhisperConfig, repeated_tail, spelling
from reverie.types import AudioChunk, Modality, TimeSpan, Word, ns
from tests.perception.hearing import chunks, flite, noise, recordings, run, run_cut, shared_audio, tune


class Digest:
    """A recogniser that tells exactly which samples it was given: two words, named by their SHA-256."""

    def setup(self):
        pass

    def close(self):
        pass

    def recognise(self, samples):
        name = hashlib.sha256(samples.tobytes()).hexdigest()[:12]
        middle, end = len(samples) // 2 * NS_PER_SAMPLE, len(samples) * NS_PER_SAMPLE
        spans = (0, middle), (middle, end)
        return Transcript(
            words=tuple(
                Word(text=name, span=TimeSpan(start_ns=start_ns, end_ns=end_ns), score=0.5)
                for start_ns, end_ns in spans
            )
        )


def digest_stage(config=None):
    stage = SpeechStage(Digest(), config)
    stage.setup()
    return stage


@pytest.fixture(scope="module")
def whisper():
    recogniser = Whisper()
    recogniser.setup()
    return recogniser


@pytest.fixture
def stage(whisper):
    made = SpeechStage(whisper)
    made._network = digest_stage()._network
    return made


def compose(sentences, *, gap_s=1.5):
    """Sentences with faint noise between them, and where each truly is."""
    parts, truth, at = [], [], 0
    for index, sentence in enumerate(sentences):
        before = noise(gap_s + 0.3 * index, seed=index)
        start = at + len(before)
        truth.append((start / SAMPLE_RATE_HZ + sentence.start_s, start / SAMPLE_RATE_HZ + sentence.end_s))
        parts += [before, sentence.samples]
        at = start + len(sentence.samples)
    return np.concatenate([*parts, noise(0.4)]), truth


def shares_words(heard, said):
    """The share of the said words that were heard."""
    said, heard = spelling(said), spelling(heard)
    return sum(word in heard for word in said) / len(said)


# --- the stage, with real voice detection ---------------------------------------------------------


@settings(max_examples=4, deadline=None)
@given(sizes=st.lists(st.integers(1, 40_000), min_size=1, max_size=5), batch=st.integers(1, 8))
def test_the_result_does_not_depend_on_the_chunks(sizes, batch):
    sizes = [max(size, 900) for size in sizes]
    sound, _ = compose(recordings(3))
    expected = run(digest_stage(), chunks(sound))
    assert len(expected) == 3
    assert run(digest_stage(), chunks(sound, sizes), batch=batch) == expected


@settings(max_examples=4, deadline=None)
@given(at=st.integers(0, 21))
def test_a_restored_stage_goes_on_as_if_nothing_had_happened(at):
    sound, _ = compose(recordings(3))
    items = chunks(sound)
    assert run_cut(digest_stage, items, min(at, len(items) - 1)) == run(digest_stage(), items)


def test_streams_do_not_disturb_each_other():
    one, two = compose(recordings(2))[0], compose(recordings(3)[1:])[0]
    stage = digest_stage()
    mixed = [
        item for pair in zip(chunks(one, stream_id="one"), chunks(two, stream_id="two"), strict=False) for item in pair
    ]
    found = [item for at in range(0, len(mixed), 6) for item in stage.process(mixed[at : at + 6])]
    found += [*stage.flush("one"), *stage.flush("two")]
    num = len(mixed) // 2
    for stream_id, sound in (("one", one), ("two", two)):
        alone = run(digest_stage(), chunks(sound, stream_id=stream_id)[:num])
        assert [item for item in found if item.stream_id == stream_id] == alone


def test_a_hole_in_the_sound_ends_the_speech():
    (sentence,) = recordings(1)
    middle = round((sentence.start_s + sentence.end_s) / 2 * SAMPLE_RATE_HZ)
    before, after = sentence.samples[:middle], sentence.samples[middle:]
    hole_ns = ns(5)
    items = chunks(before) + chunks(after, start_ns=len(before) * NS_PER_SAMPLE + hole_ns)
    first, second = run(digest_stage(), items)
    assert first.span.end_ns <= len(before) * NS_PER_SAMPLE
    assert second.span.start_ns >= len(before) * NS_PER_SAMPLE + hole_ns
    assert first.seq < second.seq


def test_rounded_time_stamps_and_repeated_sound_are_no_holes():
    sound, _ = compose(recordings(2))
    items = chunks(sound)
    rounded = [
        AudioChunk(
            stream_id=item.stream_id,
            seq=item.seq,
            pts_ns=item.pts_ns // 1_000_000 * 1_000_000,
            samples=item.samples,
            sample_rate_hz=item.sample_rate_hz,
        )
        for item in items
    ]
    expected = run(digest_stage(), items)
    assert run(digest_stage(), rounded) == expected
    assert run(digest_stage(), [*items[:4], *items[2:]]) == expected


def test_speech_without_a_pause_is_cut_and_memory_waits_no_longer_than_that():
    config = SpeechConfig(vad=VadConfig(max_speech_s=4))
    voices = np.concatenate(
        [spoken.samples[round(spoken.start_s * 16_000) : round(spoken.end_s * 16_000)] for spoken in recordings(5)]
    )
    stage, found = digest_stage(config), []
    for item in chunks(voices):
        found += stage.process([item])
        assert item.span.end_ns - stage.horizon("a") <= ns(4.6)
    found += stage.flush("a")
    assert len(found) >= 3
    heard_ns = sum(observation.span.duration_ns for observation in found)
    assert heard_ns > 0.9 * len(voices) * NS_PER_SAMPLE
    assert all(one.span.end_ns <= two.span.start_ns for one, two in itertools.pairwise(found))


def test_a_live_stream_that_falls_silent_closes_its_speech():
    (sentence,) = recordings(1)
    stage = digest_stage()
    for item in chunks(sentence.samples[: round(sentence.end_s * SAMPLE_RATE_HZ) - 4000]):
        assert list(stage.process([item])) == []
    assert list(stage.tick(ns(10))) == []
    assert list(stage.tick(ns(11))) == []
    (heard,) = stage.tick(ns(12.5))
    assert heard.span.start_ns == pytest.approx(ns(sentence.start_s), abs=ns(0.2))
    assert list(stage.tick(ns(20))) == []
    assert list(stage.flush("a")) == []


def test_nobody_speaks_in_noise_silence_and_tunes():
    sound = np.concatenate([noise(3, level=0.1), np.zeros(SAMPLE_RATE_HZ, np.float32), tune(4)])
    stage = digest_stage()
    assert run(stage, chunks(sound)) == []
    assert stage.counters.value("speech_seconds") == 0


def test_bad_samples_do_not_poison_what_follows():
    sound, _ = compose(recordings(1), gap_s=3)
    broken = sound.copy()
    broken[:8000] = np.nan
    (heard,) = run(digest_stage(), chunks(broken))
    (expected,) = run(digest_stage(), chunks(sound))
    assert heard.span.start_ns == pytest.approx(expected.span.start_ns, abs=ns(0.1))


def test_channels_are_averaged_and_other_rates_refused():
    sound, _ = compose(recordings(1))
    stereo = chunks(np.stack([sound, sound], axis=1))
    assert run(digest_stage(), stereo) == run(digest_stage(), chunks(sound))
    wrong = AudioChunk(stream_id="a", seq=0, pts_ns=0, samples=np.zeros(480, np.float32), sample_rate_hz=48_000)
    with pytest.raises(StageError, match="48000 Hz"):
        list(digest_stage().process([wrong]))


def test_the_stage_and_its_recogniser_travel_as_configuration():
    stage = pickle.loads(pickle.dumps(SpeechStage(Whisper(WhisperConfig(beam_size=2)))))
    assert stage._recogniser._config.beam_size == 2
    with pytest.raises(StageError, match="setup"):
        list(stage.process(chunks(noise(1))))


# --- words ------------------------------------------------------------------------------------------


def words(*entries):
    return [Word(text=text, span=TimeSpan(start_ns=ns(start), end_ns=ns(end)), score=1) for text, start, end in entries]


def test_utterances_end_at_full_stops_and_pauses_but_not_in_abbreviations():
    said = words(
        ("Dr.", 0, 0.3), ("Who", 0.3, 0.6), ("left.", 0.6, 1), ("Did", 1, 1.2), ("he", 2, 2.2), ("3.5", 2.2, 3)
    )
    groups = utterances(said, ns(0.6))
    assert [" ".join(word.text for word in group) for group in groups] == ["Dr. Who left.", "Did", "he 3.5"]
    assert utterances([], ns(1)) == []


@pytest.mark.parametrize(
    ("text", "copied"),
    [
        ("the door is open the door is open", 4),
        ("oh oh oh oh oh", 4),
        ("one two three four five one two", 0),
        ("no no no", 0),
        ("", 0),
    ],
)
def test_repeated_tail(text, copied):
    assert repeated_tail(text.split()) == copied


# --- Whisper ----------------------------------------------------------------------------------------


def test_a_missing_or_broken_model_is_named(tmp_path):
    with pytest.raises(ModelError, match="nowhere"):
        Whisper(WhisperConfig(model=f"file:{tmp_path}/nowhere")).setup()
    (tmp_path / "model.bin").write_bytes(b"not a model")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=str(tmp_path)):
        Whisper(WhisperConfig(model=f"file:{tmp_path}")).setup()


def test_more_than_the_window_is_refused_and_almost_nothing_gives_nothing(whisper):
    with pytest.raises(ValueError, match="30 s"):
        whisper.recognise(np.zeros(31 * SAMPLE_RATE_HZ, np.float32))
    assert whisper.recognise(np.zeros(100, np.float32)) == Transcript()


def test_recorded_sentences_are_heard_where_they_are(stage):
    sentences = recordings(3)
    sound, truth = compose(sentences)
    found = run(stage, chunks(sound))
    assert len(found) == 3
    for observation, sentence, (start_s, end_s) in zip(found, sentences, truth, strict=True):
        assert observation.modality is Modality.SPEECH
        assert shares_words(observation.text, sentence.text) >= 0.7
        assert observation.span.start_s == pytest.approx(start_s, abs=0.3)
        assert observation.span.end_s == pytest.approx(end_s, abs=0.45)
        assert observation.span.iou(TimeSpan(start_ns=ns(start_s), end_ns=ns(end_s))) > 0.8
        assert observation.text == " ".join(word.text for word in observation.words)
        assert 0.5 < observation.confidence <= 1
        edges = [edge for word in observation.words for edge in (word.span.start_ns, word.span.end_ns)]
        assert edges == sorted(edges)
        assert observation.span.start_ns <= edges[0]
        assert edges[-1] <= observation.span.end_ns
    assert len({observation.seq for observation in found}) == 3
    assert stage.counters.value("words_heard") == sum(len(observation.words) for observation in found)
    assert stage.counters.value("speech_seconds") > 5


def test_spoken_words_have_their_own_times(stage, tmp_path):
    pause_s = 1.2
    first = flite(tmp_path, "The password is lantern")
    second = flite(tmp_path, "The train leaves at noon", "rms")
    sound = np.concatenate([noise(2), first.samples, noise(pause_s), second.samples, noise(1)])
    found = run(stage, chunks(sound, start_ns=ns(100)))
    assert "password" in found[0].text.lower()
    assert "train" in found[-1].text.lower()
    assert found[0].span.start_s == pytest.approx(102 + first.start_s, abs=0.3)
    second_s = 102 + len(first.samples) / SAMPLE_RATE_HZ + pause_s
    assert found[-1].span.start_s == pytest.approx(second_s + second.start_s, abs=0.3)
    assert found[-1].span.end_s == pytest.approx(second_s + second.end_s, abs=0.3)
    lantern = next(word for word in found[0].words if "lantern" in word.text.lower())
    assert lantern.span.start_s > found[0].span.start_s + 0.5


def test_whisper_invents_nothing_in_tunes_and_noise(whisper):
    for sound in (tune(3), noise(3, level=0.1)):
        assert whisper.recognise(sound).words == ()


def test_a_real_recording(stage):
    sound = shared_audio("english.mp3")
    (heard,) = run(stage, chunks(np.concatenate([noise(1), sound, noise(1)])))
    assert shares_words(heard.text, "do you like") == 1
    assert 1.0 <= heard.span.start_s <= 1.5
    assert heard.span.end_s <= 1.1 + len(sound) / SAMPLE_RATE_HZ


@pytest.mark.slow
def test_the_short_context_hears_what_the_full_one_hears(whisper):
    full = Whisper(WhisperConfig(short_context=False))
    full.setup()
    said = short_heard = full_heard = 0.0
    for sentence in recordings(12):
        said += 1
        short_heard += shares_words(
            " ".join(word.text for word in whisper.recognise(sentence.samples).words), sentence.text
        )
        full_heard += shares_words(
            " ".join(word.text for word in full.recognise(sentence.samples).words), sentence.text
        )
    assert full_heard / said > 0.85
    assert short_heard > full_heard - 0.05 * said


@pytest.mark.slow
def test_whisper_gives_the_same_words_after_a_restore(whisper):
    def make():
        made = SpeechStage(whisper)
        made._network = digest_stage()._network
        return made

    sound, _ = compose(recordings(3))
    items = chunks(sound)
    expected = run(make(), items)
    for at in (3, 7, 12, 17):
        assert run_cut(make, items, at) == expected
