"""A picture, a sound or a time teaches a name; a question with that name finds what looks or sounds like it."""

from __future__ import annotations

import shutil
import wave

import numpy as np
import pytest
from PIL import Image

import reverie
from benchmarks.sound_kinds import RATE_HZ, background, bark, crash, doorbell, knock, rendition, whistle
from demos.sample.catalogue import PHOTOS, locate
from reverie.errors import MemoryStoreError, SourceError, UsageError
from reverie.perception.conse import Conse
from reverie.pipeline.build import open_memory
from reverie.pipeline.config import load_profile
from reverie.pipeline.teaching import teach
from reverie.types import EndOfStream, Modality, Observation, Query, TimeSpan, ns

STREAM = "desk"


@pytest.fixture(scope="module")
def pictures():
    wanted = {"chelsea.png", "coffee.png", "rocket.jpg"}
    return sorted(locate(asset) for asset in PHOTOS if asset.path.rsplit("/", 1)[-1] in wanted)


@pytest.fixture
def directory(tmp_path, pictures):
    encoder = Conse()
    encoder.load()
    encoded = encoder.encode([np.asarray(Image.open(path).convert("RGB")) for path in pictures])
    with open_memory(tmp_path / "m", load_profile("embedded"), "w") as memory:
        memory.write(
            [
                Observation(
                    stream_id=STREAM, seq=number, span=TimeSpan(start_ns=ns(10 * number), end_ns=ns(10 * number + 1)),
                    modality=Modality.VISION, embedding=vector, encoder=encoder.encoder_id, labels=labels,
                    starts_shot=True,
                )
                for number, (vector, labels) in enumerate(zip(encoded.embedding, encoded.labels, strict=True))
            ]
        )  # fmt: skip
        memory.write([EndOfStream(stream_id=STREAM, pts_ns=ns(30))])
    return tmp_path / "m"


def found(directory, question):
    with open_memory(directory, load_profile("embedded"), "r") as memory:
        hits = memory.search(Query(text=question, k=3))
    return [hit.span.start_s for hit in hits if hit.labels and hit.labels[0].name == "Bertolt"]


def test_a_cropped_picture_teaches_what_it_shows(directory, pictures, tmp_path):
    original = Image.open(pictures[0]).convert("RGB")
    cropped = original.crop((20, 20, original.width - 20, original.height - 20))
    cropped.save(tmp_path / "shown.png")
    taught = teach(directory, "Bertolt", images=[tmp_path / "shown.png"])
    assert (taught.name, taught.num_looks) == ("Bertolt", 1)
    assert 0 in found(directory, "When was Bertolt there?")


def test_a_time_teaches_what_was_seen_then(directory):
    teach(directory, "Bertolt", at_s=24, stream_id=STREAM)
    assert 20 in found(directory, "When was Bertolt there?")


def test_what_is_missing_is_named(directory, tmp_path):
    with pytest.raises(UsageError, match="show it once"):
        teach(directory, "Bertolt")
    with pytest.raises(UsageError, match="--stream"):
        teach(directory, "Bertolt", at_s=3)
    with pytest.raises(SourceError):
        teach(directory, "Bertolt", images=[tmp_path / "none.png"])
    with pytest.raises(MemoryStoreError, match="no memory"):
        teach(tmp_path / "nowhere", "Bertolt", at_s=3, stream_id=STREAM)


# --- sounds ---


YARD = "yard"


@pytest.fixture(scope="module")
def bell():
    return doorbell(np.random.default_rng(2003))


@pytest.fixture(scope="module")
def yard(tmp_path_factory, bell):
    """The memory of 40 s of noise with a bell at 8 and 30 s and a crash at 18 s, seen by the sound sense alone."""
    folder, rng = tmp_path_factory.mktemp("yard"), np.random.default_rng(2004)
    track = background(rng, 40, 0.003)
    for at_s, sound in ((8, bell), (18, crash(np.random.default_rng(2005))), (30, bell)):
        again = rendition(rng, sound)
        again *= 0.3 / np.abs(again).max()
        track[at_s * RATE_HZ : at_s * RATE_HZ + len(again)] += again
    profile = folder / "ears.yaml"
    profile.write_text("name: ears\nsummary: hears\nobjects: null\nwriting: null\nspeech: null\n")
    wav(folder / "yard.wav", track)
    with reverie.open(folder / "m", profile=profile, runner="local") as session:
        session.watch(reverie.Stream(folder / "yard.wav", stream_id=YARD))
    return folder


def wav(path, samples):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture
def heard(yard, tmp_path):
    """A copy that may be taught, and a way to ask it."""
    shutil.copytree(yard / "m", tmp_path / "m")

    def ask(question):
        with reverie.open(tmp_path / "m", profile=yard / "ears.yaml", runner="local") as session:
            return session.ask(question)

    return tmp_path / "m", ask


def starts_s(answer):
    return sorted(citation.span.start_s for citation in answer.citations)


def test_a_sound_file_teaches_what_is_heard_again(heard, bell, tmp_path):
    directory, ask = heard
    taught = teach(directory, "Gong", sounds=[wav(tmp_path / "bell.wav", np.pad(0.2 * bell, 8_000))], aliases=["Ding"])
    assert (taught.name, taught.num_looks, taught.num_sounds) == ("Gong", 0, 1)
    for question in ("When was Gong heard?", "When was the Ding heard?", "Did you hear Gong?"):
        answer = ask(question)
        assert not answer.abstained, question
        assert answer.text.removeprefix("Yes. ").startswith("Gong was heard at 0:08"), question
        assert starts_s(answer) == pytest.approx([8, 30], abs=0.3), question


def test_a_question_for_a_kind_of_sound_is_answered_once_it_was_taught(heard, bell, tmp_path):
    directory, ask = heard
    assert "cannot tell sounds" in ask("When did the doorbell ring?").text
    teach(directory, "doorbell", sounds=[wav(tmp_path / "bell.wav", bell)])
    assert starts_s(ask("When did the doorbell ring?")) == pytest.approx([8, 30], abs=0.3)


def test_a_time_teaches_what_was_heard_then(heard):
    directory, ask = heard
    teach(directory, "Smash", at_s=18.2, stream_id=YARD, sense="sound")
    assert starts_s(ask("When was Smash heard?")) == pytest.approx([18], abs=0.3)
    with pytest.raises(UsageError, match="no sound of that time"):
        teach(directory, "Quiet", at_s=13, stream_id=YARD, sense="sound")


@pytest.mark.parametrize("kind", [bark, knock, whistle])
def test_what_was_not_heard_is_not_found(heard, tmp_path, kind):
    directory, ask = heard
    teach(directory, "Bello", sounds=[wav(tmp_path / "other.wav", kind(np.random.default_rng(2006)))])
    assert ask("When was Bello heard?").abstained


def test_sounds_that_cannot_be_learned_are_named(heard, tmp_path):
    directory, _ = heard
    with pytest.raises(SourceError, match="nothing is heard"):
        teach(directory, "Gong", sounds=[wav(tmp_path / "still.wav", np.zeros(8_000))])
    with pytest.raises(SourceError, match="longer than"):
        teach(directory, "Gong", sounds=[wav(tmp_path / "long.wav", np.zeros(70 * RATE_HZ))])
    with pytest.raises(SourceError):
        teach(directory, "Gong", sounds=[tmp_path / "none.wav"])
