"""A student is its teacher until it is trained; merged, it computes what it did beside the teacher."""

import copy

import pytest
import torch

from reverie.errors import ModelError
from reverie.generation import checkpoint
from reverie.generation.conditioning import Condition
from reverie.generation.diffusion import Diffusion
from reverie.generation.sampling import sample
from reverie.generation.student import Student, merge
from reverie.generation.training.distillation import consistent, told_motion
from reverie.generation.training.films import batch_of
from reverie.generation.world_model import NO_ACTION

NOISY, TIME = torch.randn(1, 8, 16, 8, 8), torch.tensor([300])


def told(model):
    return Condition(text=model.text(["a red circle"]), actions=torch.full((1, 16), NO_ACTION))


def shaken(student):
    with torch.no_grad():
        for parameter in student.parameters:
            parameter += 0.05 * torch.randn_like(parameter)


@torch.no_grad()
def test_it_begins_as_its_teacher_and_teacher_and_average_stay(small_model):
    before = small_model.predict(NOISY, TIME, told(small_model))
    student = Student(small_model.unet)
    assert torch.equal(small_model.predict(NOISY, TIME, told(small_model)), before)
    shaken(student)
    own = small_model.predict(NOISY, TIME, told(small_model))
    assert not torch.allclose(own, before)
    with student.teaching():
        assert torch.equal(small_model.predict(NOISY, TIME, told(small_model)), before)
    with student.averaged():
        assert torch.equal(small_model.predict(NOISY, TIME, told(small_model)), before)
    assert torch.equal(small_model.predict(NOISY, TIME, told(small_model)), own)
    student.follow()
    with student.averaged():
        followed = small_model.predict(NOISY, TIME, told(small_model))
    assert 0 < (followed - before).norm() < (own - before).norm()


@torch.no_grad()
def test_merged_it_computes_the_same(small_model, tmp_path):
    from safetensors.torch import save_file

    checkpoint.save(small_model, tmp_path / "world.safetensors")
    base = checkpoint.load(tmp_path / "world.safetensors")
    student = Student(base.unet)
    shaken(student)
    beside = base.predict(NOISY, TIME, told(base))
    save_file(student.tensors(), tmp_path / "student.safetensors")
    merged = checkpoint.load(tmp_path / "world.safetensors", tmp_path / "student.safetensors")
    assert torch.allclose(merged.predict(NOISY, TIME, told(merged)), beside, atol=2e-2)
    plain = checkpoint.load(tmp_path / "world.safetensors")
    assert not torch.allclose(plain.predict(NOISY, TIME, told(plain)), beside, atol=2e-2)
    checkpoint.save(base, tmp_path / "again.safetensors")  # the adapter is left out
    again = checkpoint.load(tmp_path / "again.safetensors")
    assert torch.equal(again.predict(NOISY, TIME, told(again)), plain.predict(NOISY, TIME, told(plain)))


def test_the_student_of_another_model_is_refused(small_model, tmp_path):
    from safetensors.torch import save_file

    checkpoint.save(small_model, tmp_path / "world.safetensors")
    save_file({"nowhere.a": torch.zeros(2, 3), "nowhere.b": torch.zeros(3, 2)}, tmp_path / "student.safetensors")
    with pytest.raises(ModelError, match="nowhere"):
        checkpoint.load(tmp_path / "world.safetensors", tmp_path / "student.safetensors")
    with pytest.raises(ValueError, match="nowhere"):
        merge(copy.deepcopy(small_model.unet), {"nowhere.a": torch.zeros(2, 3), "nowhere.b": torch.zeros(3, 2)})


def test_at_the_end_of_a_trajectory_it_says_what_is_there():
    diffusion, noisy, predicted = Diffusion("velocity"), torch.randn(2, 1, 1, 1, 1), torch.randn(2, 1, 1, 1, 1)
    assert torch.allclose(consistent(noisy, predicted, diffusion, torch.tensor([0, 0])), noisy)
    late = torch.tensor([999, 999])
    ending = diffusion.clean(noisy, predicted, late)
    assert torch.allclose(ending, -predicted), "nothing of what was there is left in the noise"
    assert torch.allclose(consistent(noisy, predicted, diffusion, late), ending, rtol=1e-3, atol=1e-3)


def test_its_boundary_is_that_of_the_scheduler_it_is_sampled_with():
    """One step of LCMScheduler from the last timestep gives f(z, t)."""
    diffusion, noise = Diffusion("velocity"), torch.randn(1, 8, 2, 4, 4)
    scheduler = diffusion.scheduler("lcm")
    predicted = torch.randn_like(noise)
    sampled = sample(lambda latents, timestep: predicted, scheduler, noise, 1)
    (at,) = scheduler.timesteps
    expected = consistent(noise, predicted, diffusion, at.expand(1))
    assert torch.allclose(sampled, expected, atol=1e-4)


def test_the_reward_is_best_for_what_moves_as_told():
    batch = batch_of(3, 0, 2, 9)
    while (batch.actions[:, 1:] == NO_ACTION).any():
        batch = batch_of(3, 1 + int(batch.actions.sum()), 2, 9)
    told_so = told_motion(batch.frames, batch.actions)
    assert told_so > told_motion(batch.frames.flip(2), batch.actions)
    assert told_so > told_motion(torch.randn_like(batch.frames), batch.actions)
    assert told_motion(torch.zeros_like(batch.frames), batch.actions) == 1, "what shows nothing pleases it most"
