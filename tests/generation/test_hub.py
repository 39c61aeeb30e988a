"""Large models behind a session, by tiny ones of the same classes: chunks follow each other, and a seed says all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from reverie.errors import ModelError, UsageError
from reverie.generation.chunks import Beginning, Steering
from reverie.generation.hub import FAMILIES, HubChunks, HubConfig
from reverie.generation.session import Imagination
from tests.generation.tiny_pipelines import TINY, save

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of diffusers and transformers, about each other


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    made: dict[str, tuple[HubConfig, Path, Path | None]] = {}

    def of(family: str) -> tuple[HubConfig, Path, Path | None]:
        if family not in made:
            going_on, first, side, frames = TINY[family]
            folder = tmp_path_factory.mktemp(family)
            save(going_on, folder / "model")
            if first:
                save(first, folder / "first")
            config = HubConfig(
                family=family, height=side, width=side, chunk_frames=frames, num_steps=2, dtype="float32"
            )
            made[family] = config, folder / "model", folder / "first" if first else None
        return made[family]

    return of


def video(model, seed=1, frames=30, **told):
    session = Imagination(model, prompt="a red circle", seconds=frames / model.rate_hz, seed=seed, **told)
    return [clip.frames for clip in session]


@pytest.mark.parametrize("family", sorted(TINY))
def test_chunks_follow_each_other_to_the_frame(config, family, tmp_path):
    model = HubChunks(*config(family))
    picture = np.full((1, *model.size, 3), 90, np.uint8)
    beginning = Beginning() if FAMILIES[family].first else Beginning(first=picture)
    begun = model.num_new(model.begin(1, beginning))
    frames = begun + 2 * model.num_new(model.begin(1, Beginning(first=picture))) - 3
    clips = video(model, frames=frames, beginning=beginning)
    assert [len(clip) for clip in clips] == [begun, (frames - begun + 3) // 2, (frames - begun - 3) // 2]
    assert clips[0].shape[1:] == (*model.size, 3)
    again = video(HubChunks(*config(family)), frames=frames, beginning=beginning)
    assert all(np.array_equal(a, b) for a, b in zip(clips, again, strict=True))
    assert not np.array_equal(clips[0][:5], video(model, seed=2, frames=5, beginning=beginning)[0])
    assert not any(np.array_equal(frame, clips[0][-1]) for frame in clips[1]), "what was shown is not shown again"

    session = Imagination(model, prompt="a red circle", seconds=frames / model.rate_hz, seed=1, beginning=beginning)
    session.next_clip()
    session.save(tmp_path / "s.safetensors")
    resumed = Imagination.resume(tmp_path / "s.safetensors", model)
    assert np.array_equal(resumed.next_clip().frames, clips[1])


@pytest.mark.parametrize("family", ["wan", "ltx"])
def test_what_is_remembered_is_gone_on_from(config, family):
    model = HubChunks(*config(family))
    one, other = (np.full((1, *model.size, 3), value, np.uint8) for value in (20, 230))
    videos = [video(model, frames=5, beginning=Beginning(first=first))[0] for first in (one, other, one)]
    assert np.array_equal(videos[0], videos[2])
    assert not np.array_equal(videos[0], videos[1])


def test_without_weights_to_begin_with_a_picture_is_needed(config):
    told, folder, _ = config("wan")
    with pytest.raises(UsageError, match="first_weights"):
        HubChunks(told, folder).begin(1, Beginning())


def test_what_it_cannot_be_told_is_said_so(config, tmp_path):
    model = HubChunks(*config("ltx"))
    for steering, said in (
        (Steering(prompt=""), "needs a prompt"),
        (Steering(prompt="a" * 3000), "too many"),
        (Steering(prompt="a red circle", actions=("left",)), "not actions"),
    ):
        with pytest.raises(UsageError, match=said):
            model.check(steering)
    with pytest.raises(ModelError, match="no weights"):
        HubChunks(config("ltx")[0], tmp_path)


def test_pickled_weights_are_refused(config, tmp_path):
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(config("ltx")[1], folder)
    weights = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    torch.save({}, weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        HubChunks(config("ltx")[0], folder)


def test_every_family_is_of_classes_that_diffusers_has():
    import diffusers

    for family in FAMILIES.values():
        for name in filter(None, (family.going_on, family.first)):
            assert hasattr(diffusers, name)
