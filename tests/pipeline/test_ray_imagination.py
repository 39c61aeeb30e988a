"""A session in an actor makes the same clips; two beside each other share nothing; a kept one goes on."""

from __future__ import annotations

import numpy as np
import pytest

import reverie
from reverie.errors import GenerationError, NotPerceivable
from reverie.pipeline.imagine import resume
from tests.pipeline.imagining import made

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_session")]
RED, BLUE = "a red circle over grass", "a blue ring over snow"


def test_two_actors_make_what_two_sessions_here_make(tiny, tmp_path):
    here = [made(reverie.imagine(prompt, seconds=3, seed=4, profile=tiny)) for prompt in (RED, BLUE)]
    there = [reverie.imagine(prompt, seconds=3, seed=4, profile=tiny, runner="ray") for prompt in (RED, BLUE)]
    clips = [[], []]
    for _ in range(2):
        for session, own in zip(there, clips, strict=True):
            own.append(session.next_clip())
    for expected, own in zip(here, clips, strict=True):
        assert np.array_equal(made(own), expected)
    assert [session.made for session in there] == [24, 24]
    assert there[0].pace.num_frames == 24
    for session in there:
        session.close()


def test_it_is_steered_kept_and_gone_on_with_where_its_reader_stands(tiny, tmp_path):
    whole = made(reverie.imagine(RED, seconds=5, seed=4, profile=tiny))
    session = reverie.imagine(RED, seconds=5, seed=4, profile=tiny, runner="ray")
    first = [session.next_clip(), session.next_clip()]
    session.save(tmp_path / "s.safetensors")  # a third one is under way
    session.close()
    rest = made(resume(tmp_path / "s.safetensors", profile=tiny, runner="ray"))
    assert np.array_equal(np.concatenate([made(first), rest]), whole)


def test_errors_come_over(tiny):
    with pytest.raises(NotPerceivable, match="dog"):
        reverie.imagine("a dog", seconds=1, profile=tiny, runner="ray")
    session = reverie.imagine(RED, seconds=9, profile=tiny, runner="ray")
    with pytest.raises(NotPerceivable, match="dog"):
        session.steer(prompt="a dog")
    session.close()
    with pytest.raises(GenerationError, match="died"):
        session.next_clip()
