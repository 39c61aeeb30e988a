"""The streams that are written: decoded again, looked at and listened to."""

import json
import wave
from dataclasses import replace

import av
import numpy as np
import pytest

from demos.sample.__main__ import main
from demos.sample.camera import write_fake_camera
from demos.sample.catalogue import CATALOGUE
from demos.sample.compose import compose, encode, truth_of
from demos.sample.picture import Painter, load_cutout
from demos.sample.plan import FPS, HEIGHT_PX, WIDTH_PX, plan_stream
from demos.sample.sound import RATE_HZ, mix
from demos.sample.truth import Truth

SECONDS = 10


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    path = tmp_path_factory.mktemp("sample") / "s.mp4"
    return path, compose(5, SECONDS, path)


def pictures(path):
    with av.open(str(path)) as container:
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def test_the_file_has_every_frame_and_all_sound(stream):
    path, truth = stream
    decoded = pictures(path)
    assert [time for time, _ in decoded] == pytest.approx([n / FPS for n in range(SECONDS * FPS)])
    assert decoded[0][1].shape == (HEIGHT_PX, WIDTH_PX, 3)
    with av.open(str(path)) as container:
        num_samples = sum(frame.samples for frame in container.decode(audio=0))
    assert num_samples / RATE_HZ == pytest.approx(SECONDS, abs=0.1)
    assert Truth.read(path.with_name("s.truth.json")) == truth


def test_encoding_twice_gives_the_same_bytes(tmp_path):
    plan = replace(plan_stream(8, 60), duration_s=2.0)
    encode(plan, tmp_path / "a.mp4")
    encode(plan, tmp_path / "b.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_frames_may_be_painted_in_any_order():
    plan = plan_stream(2, 60)
    forwards, backwards = Painter(plan), Painter(plan)
    indices = [0, 250, 251, 700, 1100, 1499]
    there = [forwards.frame(index) for index in indices]
    back = [backwards.frame(index) for index in reversed(indices)]
    for one, other in zip(there, reversed(back), strict=True):
        assert np.array_equal(one, other)


def test_the_picture_is_what_the_plan_says(stream):
    """Every encoded frame resembles the painted one, and differs from those of other scenes."""
    path, _ = stream
    painter = Painter(plan_stream(5, SECONDS))
    for index, (_, seen) in list(enumerate(pictures(path)))[::40]:
        assert np.abs(seen.astype(int) - painter.frame(index)).mean() < 12


def test_a_moving_stream_moves_and_a_still_one_does_not():
    moving, still = Painter(plan_stream(5, 20)), Painter(plan_stream(5, 20, "still"))
    assert all(np.abs(moving.frame(i).astype(int) - moving.frame(i + 12)).mean() > 0.5 for i in (30, 130, 230, 430))
    quiet = plan_stream(5, 20, "still").captions[0].start_s
    before = int(quiet * FPS) - 1
    assert np.array_equal(still.frame(0), still.frame(before // 2))


def test_a_caption_stands_on_the_screen_just_when_the_truth_says():
    plan = plan_stream(7, 120)
    painter = Painter(plan)
    bare = Painter(replace(plan, captions=()))
    for cue in plan.captions:
        first, last = round(cue.start_s * FPS), round(cue.end_s * FPS) - 1
        differs = [not np.array_equal(painter.frame(i), bare.frame(i)) for i in (first - 1, first, last, last + 1)]
        assert differs == [False, True, True, False]


def test_a_cutout_is_cut_out():
    horse = load_cutout(CATALOGUE["horse"], 300)
    assert horse.shape[0] == 300
    assert 0.15 < (horse[:, :, 3] > 127).mean() < 0.6
    cat = load_cutout(CATALOGUE["cat"], 300)
    assert (cat[:, :, 3] == 255).all()


def test_sound_is_where_the_truth_says():
    plan = plan_stream(7, 60)
    track = mix(plan)
    assert len(track) == 60 * RATE_HZ
    assert np.array_equal(track, mix(plan))
    busy = [*((cue.start_s, cue.end_s) for cue in plan.sentences), *((tune.start_s, tune.end_s) for tune in plan.tunes)]
    busy += [(s.start_s, s.end_s) for s in plan.scenes if CATALOGUE[s.asset_id].sound]
    loud = np.zeros(len(track), bool)
    for start_s, end_s in busy:
        part = slice(round((start_s - 0.05) * RATE_HZ), round((end_s + 0.05) * RATE_HZ))
        assert np.sqrt(np.mean(track[part] ** 2)) > 0.01
        loud[part] = True
    assert np.abs(track[~loud]).max() < 0.01


def test_the_command_writes_stream_truth_camera_and_microphone(tmp_path, capsys):
    out, folder = tmp_path / "x.mp4", tmp_path / "cam"
    assert main(["--seed", "3", "--seconds", "10", "--out", str(out), "--fake-camera", str(folder)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert json.loads((tmp_path / "x.truth.json").read_text())["duration_s"] == 10
    with av.open(str(folder / "camera.mjpeg")) as container:
        shapes = [(frame.width, frame.height) for frame in container.decode(video=0)]
    assert shapes == [(640, 360)] * 10 * FPS
    with wave.open(str(folder / "microphone.wav")) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getnframes()) == (48_000, 1, 480_000)


@pytest.mark.parametrize("wrong", [["--seconds", "3"], ["--out", "x.avi"], ["--profile", "fast"]])
def test_a_wrong_call_ends_with_2(wrong, capsys):
    with pytest.raises(SystemExit) as ended:
        main(wrong)
    assert ended.value.code == 2
    assert "error" in capsys.readouterr().err


def test_an_unwritable_place_is_an_error_not_a_crash(tmp_path, capsys):
    assert main(["--seconds", "10", "--out", str(tmp_path / "none" / "x.mp4")]) == 1
    assert "none" in capsys.readouterr().err


def test_the_fake_camera_shows_the_same_frames(tmp_path):
    plan = replace(plan_stream(4, 60), duration_s=2.0)
    camera, _ = write_fake_camera(plan, tmp_path)
    painter = Painter(plan)
    for index, (_, seen) in list(enumerate(pictures(camera)))[::20]:
        small = painter.frame(index)[::3, ::3][:180, :320]
        assert np.abs(seen[::2, ::2].astype(int) - small).mean() < 25


@pytest.mark.slow
def test_whisper_understands_every_recording():
    from demos.sample.make_speech import understood
    from demos.sample.words import load_sentences

    assert [sentence.sentence_id for sentence in load_sentences() if not understood(sentence)] == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_captions_can_be_read():
    """RapidOCR reads every caption of a stream in the middle of its time."""
    import logging

    from rapidocr import RapidOCR

    logging.getLogger("RapidOCR").setLevel(logging.ERROR)
    reader = RapidOCR()
    plan = plan_stream(7, 120)
    painter = Painter(plan)
    texts = {fact.start_s: fact.text for fact in truth_of(plan).of("written")}
    for cue in plan.captions:
        found = reader(painter.frame(round((cue.start_s + cue.end_s) / 2 * FPS))[:, :, ::-1]).txts or ()
        read = "".join(found).replace(" ", "").lower()
        assert texts[cue.start_s].replace(" ", "").lower() in read
