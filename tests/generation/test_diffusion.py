"""Noise, velocity and what is clean follow from each other, as the schedules of diffusers have it."""

import pytest
import torch

from reverie.generation.diffusion import NUM_TIMESTEPS, Diffusion

CLEAN, NOISE = torch.randn(3, 2, 4, 3, 3), torch.randn(3, 2, 4, 3, 3)
AT = torch.tensor([0, 400, 998])


@pytest.mark.parametrize("prediction", ["noise", "velocity"])
def test_what_is_predicted_says_noise_and_what_is_clean(prediction):
    diffusion = Diffusion(prediction)
    noisy, target = diffusion.noised(CLEAN, NOISE, AT), diffusion.target(CLEAN, NOISE, AT)
    assert torch.allclose(diffusion.clean(noisy, target, AT), CLEAN, atol=1e-2)
    assert torch.allclose(diffusion.noise(noisy, target, AT), NOISE, atol=1e-3)
    scheduler = diffusion.scheduler()
    assert torch.allclose(noisy, scheduler.add_noise(CLEAN, NOISE, AT), atol=1e-5)
    if prediction == "velocity":
        assert torch.allclose(target, scheduler.get_velocity(CLEAN, NOISE, AT), atol=1e-5)


def test_only_under_velocities_nothing_is_left_at_the_end():
    assert float(Diffusion("velocity").alphas[NUM_TIMESTEPS - 1]) == 0
    assert 0.004 < float(Diffusion("noise").alphas[NUM_TIMESTEPS - 1]) < 0.005
