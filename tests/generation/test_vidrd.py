import pytest
import torch

from reverie.generation.vidrd import BETA, guided_steps, hold_to_past, next_noise


def test_the_overlap_is_the_last_noise_backwards_and_the_rest_is_correlated_with_it():
    noise = torch.randn(1, 4, 16, 64, 64)
    after = next_noise(noise, torch.Generator().manual_seed(0), overlap=4)
    assert torch.equal(after[:, :, :4], noise.flip(2)[:, :, :4])
    rest, reverted = after[:, :, 4:].flatten(), noise.flip(2)[:, :, 4:].flatten()
    assert rest.std().item() == pytest.approx(1, abs=0.01)
    correlation = torch.corrcoef(torch.stack([rest, reverted]))[0, 1].item()
    assert correlation == pytest.approx(BETA / (1 + BETA**2) ** 0.5, abs=0.01)


def test_guidance_is_staged_as_in_the_paper():
    # T = 50, M = 4, gamma = 0.4: frame m is held while i < (4 - m) * 12.5 * 0.4
    assert [guided_steps(frame, 50) for frame in range(4)] == [20, 15, 10, 5]
    assert [guided_steps(frame, 8) for frame in range(4)] == [4, 3, 2, 1]  # i < 3.2, 2.4, 1.6, 0.8


def test_held_frames_are_the_past_backwards_and_all_others_stay():
    past = [torch.randn(1, 2, 6, 1, 1) for _ in range(10)]
    latents = torch.randn(1, 2, 6, 1, 1)
    for step in range(10):
        held = hold_to_past(latents, past, step, overlap=2, gamma=0.4)
        count = sum(step < guided_steps(frame, 10, 2, 0.4) for frame in range(2))
        assert torch.equal(held[:, :, :count], past[step].flip(2)[:, :, :count])
        assert torch.equal(held[:, :, count:], latents[:, :, count:])
