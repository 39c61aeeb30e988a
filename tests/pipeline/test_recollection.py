"""A video goes on from what a memory holds: its key frames, what was said there, and the side that is named."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

import reverie
from reverie.errors import NotPerceivable, UsageError
from reverie.generation.world import Action, Hero, Place
from reverie.memory import Memory
from reverie.perception.minilm import MiniLM
from reverie.pipeline.config import load_profile
from reverie.pipeline.imagination_config import build_chunk_model, load_imagination
from reverie.pipeline.recollection import recollect
from reverie.types import EndOfStream, Modality, Observation, StreamStart, TimeSpan, ns
from tests.memory.worlds import said

PLACE = Place(3, hero=Hero(colour="red", shape="circle"), terrain="grass")
FRAMES = PLACE.film([Action.LEFT] * 29).frames


def kept(frame: np.ndarray) -> bytes:
    """The key frame that a film of the world, eight times as large, leaves in a memory."""
    data = io.BytesIO()
    Image.fromarray(frame.repeat(8, axis=0).repeat(8, axis=1)).save(data, "JPEG", quality=90)
    return data.getvalue()


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("remembered")
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((3, 8)).astype(np.float32)
    items = [
        StreamStart(stream_id="world", uri="made", live=False, has_video=True, has_audio=True, wall_anchor_ns=0),
        said("look, a red circle is drifting over the grass", 11, 14, "world"),
    ]
    for at_s in range(30):
        vector = vectors[at_s // 10] / np.linalg.norm(vectors[at_s // 10])
        items.append(
            Observation(
                stream_id="world", seq=at_s, span=TimeSpan(start_ns=ns(at_s), end_ns=ns(at_s + 1)),
                modality=Modality.VISION, encoder="made", embedding=vector, starts_shot=at_s % 10 == 0,
                thumbnail=kept(FRAMES[at_s]),
            )
        )  # fmt: skip
    items.append(EndOfStream(stream_id="world", pts_ns=ns(30)))
    with Memory.open(folder, text_encoder=MiniLM(), mode="w") as memory:
        memory.write(items)
    return folder


def found(memory, about, profile):
    model = build_chunk_model(load_imagination(profile))
    return recollect(memory, about, model, load_profile("embedded"))


def test_what_was_said_finds_the_pictures_and_becomes_the_prompt(memory, tiny):
    recollection = found(memory, "show what was said about a circle, from the left", tiny)
    assert recollection.prompt == "a red circle over grass"
    assert recollection.actions == ("left",)
    assert recollection.citations[0].span.overlaps(TimeSpan(start_ns=ns(11), end_ns=ns(14)))
    errors = [np.abs(frame.astype(int) - recollection.anchor).mean() for frame in FRAMES]
    assert 10 <= int(np.argmin(errors)) < 20
    assert min(errors) < 3
    assert recollection.frames.shape[1:] == (32, 32, 3)


def test_a_time_is_enough(memory, tiny):
    recollection = found(memory, "continue what happened at 0:25", tiny)
    errors = [np.abs(frame.astype(int) - recollection.frames[-1]).mean() for frame in FRAMES]
    assert 20 <= int(np.argmin(errors)) < 30


def test_the_video_begins_there_and_says_so(memory, tiny, tmp_path, cli):
    about = ["--from-memory", str(memory), "--about", "show what was said about a circle"]
    outcome = cli(
        "imagine", *about, "--seconds", "1", "--profile", str(tiny), "--out", str(tmp_path / "a.mp4"), "--json",
        "--keep", str(tmp_path / "a.safetensors"),
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    told = json.loads(outcome.out)
    assert told["prompt"] == "a red circle over grass"
    assert "drifting" in told["from"][0]["citations"][0]["text"]
    with Memory.open(memory, text_encoder=MiniLM(), mode="w") as remembered:
        copies = {copy.kind: copy.path for copy in remembered.forget(everything=True, dry_run=True).copies}
    assert copies == {
        "imagined video": str(tmp_path / "a.mp4"), "kept session": str(tmp_path / "a.safetensors"),
    }  # fmt: skip
    with reverie.open(tmp_path / "m", runner="local", profile="embedded") as session:
        session.watch(tmp_path / "a.mp4")
        assert [stream.imagined for stream in session.memory.streams()] == [True]
        answer = session.ask("what happened?")
        assert answer.abstained
        assert not answer.citations


def test_what_is_not_there_is_said_so(memory, tiny):
    with pytest.raises(UsageError, match="nothing to go on from"):
        found(memory, "show the violin concert", tiny)


def test_pictures_that_the_model_was_not_trained_on_are_refused(tiny, tmp_path):
    skimage = pytest.importorskip("skimage.data")
    coffee = Image.fromarray(skimage.coffee()).resize((256, 256))
    data = io.BytesIO()
    coffee.save(data, "JPEG")
    shown = Observation(
        stream_id="kitchen", seq=0, span=TimeSpan(start_ns=0, end_ns=ns(1)), modality=Modality.VISION, encoder="made",
        embedding=np.eye(8, dtype=np.float32)[0], starts_shot=True, thumbnail=data.getvalue(),
    )  # fmt: skip
    start = StreamStart(stream_id="kitchen", uri="made", live=False, has_video=True, has_audio=True)
    with Memory.open(tmp_path / "m", text_encoder=MiniLM(), mode="w") as memory:
        words = said("here is a cup of coffee", 0, 3, "kitchen")
        memory.write([start, shown, words, EndOfStream(stream_id="kitchen", pts_ns=ns(5))])
    with pytest.raises(NotPerceivable, match="profile"):
        found(tmp_path / "m", "show the cup of coffee", tiny)
