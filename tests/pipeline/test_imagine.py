"""`reverie imagine` and `reverie.imagine`: on small networks with random weights, what holds without any training."""

from __future__ import annotations

import json
import shutil

import av
import numpy as np
import pytest
import torch
import yaml

import reverie
from reverie.errors import ModelError, UsageError
from reverie.pipeline.imagine import actions_of, resume
from reverie.pipeline.recollection import read
from reverie.types import IMAGINED, was_imagined
from tests.pipeline.imagining import made

RED = "a red circle over grass"


def test_equal_calls_give_equal_videos_of_the_length_that_was_asked_for(tiny):
    videos = [
        made(reverie.imagine(RED, actions="left*8, up", seconds=3.1, seed=seed, profile=tiny)) for seed in (1, 1, 2)
    ]
    assert videos[0].shape == (25, 32, 32, 3)
    assert np.array_equal(videos[0], videos[1])
    assert not np.array_equal(videos[0], videos[2])


def test_the_verb_writes_a_video_that_says_how_it_came_to_be(tiny, tmp_path, cli):
    call = ["imagine", RED, "--seconds", "3", "--actions", "left*4,stay", "--then", "1: a blue ring", "--seed", "7"]
    outcome = cli(*call, "--profile", str(tiny), "--out", str(tmp_path / "a.mp4"), "--json")
    assert outcome.code == 0, outcome.err
    told = json.loads(outcome.out)
    assert told["frames"] == 24
    assert told["size"] == [64, 64]
    assert told["prompts"] == [[0, RED], [16, "a blue ring"]]
    assert told[IMAGINED]
    assert told["first_clip_s"] > 0 < told["frames_per_s"]
    assert "24 of 24 frames" in outcome.err
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert was_imagined(container.metadata["comment"])
        assert json.loads(container.metadata["comment"])["seed"] == 7
        assert sum(1 for _ in container.decode(video=0)) == 24


def test_a_session_that_was_kept_goes_on_as_if_it_had_never_stopped(tiny, tmp_path, cli):
    whole = made(reverie.imagine(RED, seconds=4, seed=3, profile=tiny))
    common = ["--profile", str(tiny), "--keep", str(tmp_path / "s.safetensors")]
    assert cli("imagine", RED, "--seed", "3", "--seconds", "2", "--out", str(tmp_path / "a"), *common).code == 0
    resumed = ["--resume", str(tmp_path / "s.safetensors"), "--seconds", "4", "--out", str(tmp_path / "b"), *common]
    outcome = cli("imagine", *resumed, "--json")
    assert json.loads(outcome.out)["frames"] == 16
    pngs = sorted((tmp_path / "b").glob("*.png"))
    from PIL import Image

    last = np.asarray(Image.open(pngs[-1]))[::2, ::2]
    assert np.array_equal(last, whole[-1])


@pytest.mark.parametrize("small_disk", ["128k"], indirect=True)
def test_a_full_disk_keeps_the_session(tiny, tmp_path, cli, small_disk):
    call = ["imagine", RED, "--endless", "--profile", str(tiny), "--out", str(small_disk / "frames")]
    free = shutil.disk_usage(small_disk).free
    outcome = cli(*call, "--keep", str(tmp_path / "s.safetensors"))
    assert outcome.code == 1
    assert "make room" in outcome.err
    assert shutil.disk_usage(small_disk).free < free / 2
    assert "the session's state" in outcome.err
    session = resume(tmp_path / "s.safetensors", seconds=None, profile=tiny)
    assert session.made >= 16


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (["a red dog"], "'dog'"),
        ([RED, "--seconds", "0"], "positive"),
        ([RED, "--seconds", "-1"], "positive"),
        ([RED, "--actions", "jump"], "'jump'"),
        ([RED, "--actions", "left*x"], "left*8"),
        (["a red circle over grass " * 5], "words"),
        ([RED, "--then", "soon a ring"], "colon"),
        ([RED, "--profile", "dreamlike"], "there are"),
        ([RED, "--resume", "no.safetensors"], "no.safetensors"),
        ([RED, "--from-memory", "m"], "both"),
        ([RED, "--out", "film.avi"], ".mp4"),
    ],
)
def test_what_cannot_be_made_is_said_so(tiny, tmp_path, cli, monkeypatch, call, said):
    monkeypatch.chdir(tmp_path)
    profile = [] if "--profile" in call else ["--profile", str(tiny)]
    outcome = cli("imagine", *call, *profile)
    assert outcome.code in (1, 2)
    assert said in outcome.err
    assert not (tmp_path / "imagined.mp4").exists()


def test_a_pickle_is_no_model(tmp_path):
    torch.save({}, tmp_path / "model.pt")
    told = {"name": "x", "summary": "x", "model": {"kind": "world", "weights": str(tmp_path / "model.pt")}}
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(told))
    with pytest.raises(ModelError, match="refused"):
        reverie.imagine(RED, profile=tmp_path / "x.yaml")


def test_actions_are_read():
    assert actions_of("left*3, up") == ("left", "left", "left", "up")
    assert actions_of("") == ()
    with pytest.raises(UsageError, match="left"):
        actions_of("left*0")


@pytest.mark.parametrize(
    ("about", "asked", "side"),
    [
        ("continue what happened at 14:03", "what happened at 14:03", ""),
        ("show the kitchen as it was this morning, from the left", "the kitchen this morning", "left"),
        ("Show me the dog from above", "the dog", "up"),
        ("what was on the left?", "what was on the left?", ""),
    ],
)
def test_a_phrase_is_read_as_a_question(about, asked, side):
    assert read(about) == (asked, side)


def test_a_phrase_of_nothing_is_none():
    with pytest.raises(UsageError, match="go on from"):
        read("continue ")
