"""Sessions of the small model with random weights: what frames come, not how good they are."""

import copy
import json
from itertools import pairwise

import numpy as np
import pytest
import torch

from reverie.errors import ModelError, NotPerceivable, UsageError
from reverie.generation import checkpoint
from reverie.generation.chunks import Beginning, Steering, told
from reverie.generation.diffusion import Diffusion
from reverie.generation.latent_chunks import LatentChunksConfig
from reverie.generation.sampling import sample
from reverie.generation.session import Imagination
from reverie.generation.temporal_lora import TemporalLoraConfig
from reverie.generation.world import Place
from reverie.generation.world_chunks import WorldChunks

LORA = TemporalLoraConfig(rank=4, alpha=4, learning_rate=1e-2)
WAYS = {
    "none": LatentChunksConfig(way="none", num_steps=2),
    "concat": LatentChunksConfig(way="concat", num_steps=2),
    "cam and anchor": LatentChunksConfig(way="cam", anchor=True, num_steps=2),
    "vidrd": LatentChunksConfig(way="vidrd", num_steps=3),
    "concat and adapter": LatentChunksConfig(way="concat", num_steps=2, lora=LORA),
}
TOLD = {"prompt": "a red circle over grass", "actions": ["left", "up"]}


@pytest.fixture(params=["concat", *(pytest.param(way, marks=pytest.mark.slow) for way in WAYS if way != "concat")])
def model(request, small_model):
    return WorldChunks(small_model, WAYS[request.param])


@pytest.fixture
def plain(small_model):
    return WorldChunks(small_model, WAYS["concat"])


def frames_of(session):
    return np.concatenate([clip.frames for clip in session])


def test_the_length_is_kept_to_the_frame_and_clips_follow_each_other(model):
    session = Imagination(model, **TOLD, seconds=4.4)
    clips = list(session)
    assert sum(len(clip.frames) for clip in clips) == 35
    assert [clip.first_frame for clip in clips] == list(np.cumsum([0, *(len(clip.frames) for clip in clips[:-1])]))
    assert all(clip.frames.shape[1:] == (32, 32, 3) for clip in clips)
    assert session.pace.num_frames == 35
    assert 0 < session.pace.first_s <= session.pace.made_s


def test_a_seed_says_all_also_beside_another_session(model):
    alone = frames_of(Imagination(model, **TOLD, seconds=3, seed=7))
    one, other = Imagination(model, **TOLD, seconds=3, seed=7), Imagination(model, seconds=3, seed=8)
    taken = []
    while one.made < one.num_frames:
        taken.append(one.next_clip().frames)
        other.next_clip()
    assert np.array_equal(np.concatenate(taken), alone)
    assert not np.array_equal(frames_of(Imagination(model, **TOLD, seconds=3, seed=8)), alone)


def test_a_saved_session_goes_on_as_if_it_had_never_stopped(model, tmp_path):
    straight = frames_of(Imagination(model, **TOLD, seconds=4, seed=3))
    session = Imagination(model, **TOLD, seconds=4, seed=3)
    before = [session.next_clip().frames]
    session.save(tmp_path / "kept.safetensors")
    del session
    resumed = Imagination.resume(tmp_path / "kept.safetensors", model)
    assert np.array_equal(np.concatenate([*before, frames_of(resumed)]), straight)
    longer = Imagination.resume(tmp_path / "kept.safetensors", model, seconds=7)
    assert len(frames_of(longer)) == 56 - sum(map(len, before))


def test_the_state_does_not_grow(model):
    session, sizes = Imagination(model, **TOLD), []
    for _ in range(5):
        session.next_clip()
        sizes.append(sum(tensor.nbytes for tensor in session._state.values()))
    assert len(set(sizes[1:])) == 1


def test_steering_counts_from_the_next_clip_on(plain):
    one, other = Imagination(plain, **TOLD, seed=1), Imagination(plain, **TOLD, seed=1)
    assert np.array_equal(one.next_clip().frames, other.next_clip().frames)
    other.steer(prompt="a blue ring over sand")
    clip = other.next_clip()
    assert clip.prompt == "a blue ring over sand"
    assert not np.array_equal(one.next_clip().frames, clip.frames)


def test_what_is_given_clean_stays_as_it_was_to_the_last_bit(plain):
    session = Imagination(plain, **TOLD)
    session.next_clip()
    before = session._state["latents"].clone()
    session.next_clip()
    assert torch.equal(session._state["latents"][:, :, :8], before[:, :, 8:])


def test_it_goes_on_from_frames_and_from_a_single_image(plain):
    film = Place(1).film(["left"] * 11).frames
    for first in (film, film[:1], film[:3]):
        session = Imagination(plain, beginning=Beginning(first=first), seconds=2)
        clips = list(session)
        assert [len(clip.frames) for clip in clips] == [8, 8], "what it begins with is not given again"
    different = Imagination(plain, beginning=Beginning(first=255 - film), seconds=1).next_clip()
    assert not np.array_equal(different.frames, clips[0].frames)


def test_a_given_anchor_is_kept_for_all_of_the_video(small_model):
    model, anchor = WorldChunks(small_model, WAYS["cam and anchor"]), Place(2).film([]).frames[0]
    session = Imagination(model, **TOLD, beginning=Beginning(anchor=anchor))
    session.next_clip()
    kept = session._state["anchor"]
    session.next_clip()
    assert torch.equal(session._state["anchor"], kept)


def test_the_adapter_learns_and_another_session_starts_without_it(small_model):
    model = WorldChunks(small_model, WAYS["concat and adapter"])
    fresh = model.begin(0, Beginning())
    session = Imagination(model, **TOLD)
    session.next_clip()
    learnt = {name: tensor for name, tensor in session._state.items() if "lora_B" in name}
    assert learnt
    assert all(fresh[name].abs().max() == 0 for name in learnt)
    assert max(tensor.abs().max() for tensor in learnt.values()) > 0
    assert all(torch.equal(tensor, fresh[name]) for name, tensor in model.begin(0, Beginning()).items())


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_length_that_is_none_is_refused(plain, seconds):
    with pytest.raises(UsageError, match="positive number of seconds"):
        Imagination(plain, seconds=seconds)


def test_the_shortest_video_has_a_frame(plain):
    assert len(frames_of(Imagination(plain, seconds=0.01))) == 1


def test_unknown_words_and_actions_are_refused_also_on_the_way(plain):
    session = Imagination(plain, **TOLD)
    with pytest.raises(NotPerceivable, match="street"):
        session.steer(prompt="a street")
    with pytest.raises(UsageError, match="no action 'jump': use left, right, up, down, stay"):
        session.steer(actions=["jump"])
    assert session.next_clip().prompt == TOLD["prompt"], "the session is as it was"


def test_a_file_that_is_no_session_is_refused(plain, tmp_path, small_model):
    with pytest.raises(ModelError, match="cannot be read as a saved session"):
        Imagination.resume(tmp_path / "none.safetensors", plain)
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(ModelError, match="cannot be read as a saved session"):
        Imagination.resume(tmp_path / "text.safetensors", plain)
    checkpoint.save(small_model, tmp_path / "weights.safetensors", {"session": json.dumps({})})
    with pytest.raises(ModelError, match="is no session of the model 'world'"):
        Imagination.resume(tmp_path / "weights.safetensors", plain)


def test_the_last_action_goes_on():
    assert told(["left", "up"], 0, 4) == ("left", "up", "up", "up")
    assert told(["left", "up"], 1, 2) == ("up", "up")
    assert told([], 0, 3) == ()


def test_a_chunk_is_told_its_steering(plain):
    state = plain.begin(0, Beginning())
    frames, after = plain.extend(state, Steering(actions=("left",) * 16))
    assert len(frames) == 16
    assert after["actions"].tolist() == [[0] * 16]


def test_a_related_latent_is_where_the_first_chunk_begins(plain):
    red, blue = (Place(seed).film([]).frames[0] for seed in (1, 2))
    videos = [
        frames_of(Imagination(plain, **TOLD, seconds=4, seed=3, beginning=Beginning(related=related, strength=0.5)))
        for related in (red, blue, red)
    ]
    assert np.array_equal(videos[0], videos[2])
    assert not np.array_equal(videos[0], videos[1])
    with pytest.raises(UsageError, match="strength"):
        plain.begin(0, Beginning(related=red, strength=0.0))


@pytest.mark.parametrize("prediction", ["noise", "velocity"])
@pytest.mark.parametrize("first_step", [0, 1, 3])
def test_denoising_may_begin_in_the_middle(first_step, prediction):
    diffusion, latents, noise = Diffusion(prediction), torch.randn(1, 4, 2, 3, 3), torch.randn(1, 4, 2, 3, 3)
    scheduler = diffusion.scheduler()
    scheduler.set_timesteps(4)
    noisy = diffusion.noised(latents, noise, scheduler.timesteps[first_step : first_step + 1])
    asked = []

    def oracle(seen, timestep):
        asked.append(int(timestep))
        return diffusion.target(latents, noise, timestep)

    assert torch.allclose(sample(oracle, scheduler, noisy, 4, first_step=first_step), latents, atol=1e-3)
    assert len(asked) == 4 - first_step


@pytest.mark.parametrize(("changed", "chunks_learnt"), [({}, 3), ({"learns_chunks": 1}, 1), ({"learns_chunks": 0}, 0)])
def test_an_adapter_learns_as_many_chunks_as_it_is_told(small_model, changed, chunks_learnt):
    lora = LORA.model_copy(update=changed)
    session = Imagination(WorldChunks(small_model, LatentChunksConfig(num_steps=1, lora=lora)), **TOLD, seconds=4)
    states = [session.snapshot().state]
    while session.made < session.num_frames:
        session.next_clip()
        states.append(session.snapshot().state)
    names = [name for name in states[0] if name.startswith("lora.")]
    changes = [any(not torch.equal(a[name], b[name]) for name in names) for a, b in pairwise(states)]
    assert changes == [number < chunks_learnt for number in range(3)]


def test_the_two_forms_of_learning_differ(small_model):
    videos = []
    for form in ("trajectory", "input-output"):
        config = LatentChunksConfig(num_steps=1, lora=LORA.model_copy(update={"form": form}))
        first = Place(1).film([]).frames
        model = WorldChunks(copy.deepcopy(small_model), config)
        session = Imagination(model, **TOLD, seconds=3, beginning=Beginning(first=first))
        videos.append(frames_of(session))
    assert np.array_equal(videos[0][:8], videos[1][:8])
    assert not np.array_equal(videos[0], videos[1])


def test_at_a_text_scale_of_one_the_model_is_asked_once_and_says_the_same(small_model):
    asked = []
    predict = small_model.predict

    def counted(noisy, timestep, condition):
        asked.append(len(noisy))
        return predict(noisy, timestep, condition)

    small_model.predict = counted
    videos = []
    for scale in (1.0, 1.0 + 1e-7):
        config = LatentChunksConfig(way="concat", num_steps=2, text_scale=scale)
        videos.append(frames_of(Imagination(WorldChunks(small_model, config), **TOLD, seconds=1)))
    assert asked == [1, 1, 2, 2]
    assert np.abs(videos[0].astype(int) - videos[1]).max() <= 1
