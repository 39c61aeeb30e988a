import pytest
import torch

from reverie.generation.diffusion import Diffusion
from reverie.generation.temporal_lora import TemporalLora, TemporalLoraConfig, trajectory_loss

NOISY, TEXT, TIME = torch.randn(1, 4, 8, 8, 8), torch.randn(1, 5, 32), torch.tensor([300])
CONFIG = TemporalLoraConfig(rank=4, alpha=4, steps=5, learning_rate=1e-2)


@torch.no_grad()
def predicted(unet):
    return unet(NOISY, TIME, TEXT).sample


def learnt(lora, unet, trajectory, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return lora.learn(
        lambda: trajectory_loss(
            lambda noisy, time: unet(noisy, time, torch.zeros_like(TEXT)).sample,
            Diffusion("noise"),
            trajectory,
            generator,
        )
    )


def test_a_new_adapter_changes_nothing_and_a_disabled_one_neither(unet):
    plain = predicted(unet)
    lora = TemporalLora(unet, CONFIG)
    assert torch.equal(predicted(unet), plain)
    learnt(lora, unet, NOISY)
    assert not torch.equal(predicted(unet), plain)
    with lora.disabled():
        assert torch.equal(predicted(unet), plain)
    assert not torch.equal(predicted(unet), plain)
    lora.reset()
    assert torch.equal(predicted(unet), plain)


def test_only_the_adapter_learns_and_the_loss_falls(unet):
    lora = TemporalLora(unet, TemporalLoraConfig(rank=8, alpha=8, steps=30, learning_rate=2e-2))
    base = {name: tensor.clone() for name, tensor in unet.state_dict().items() if "session" not in name}
    losses = learnt(lora, unet, NOISY)
    assert sum(losses[-10:]) < sum(losses[:10])
    assert all(torch.equal(tensor, unet.state_dict()[name]) for name, tensor in base.items())
    assert all("temp_attentions" in name or "transformer_in" in name for name in lora.snapshot().weights)


def test_a_snapshot_goes_on_as_if_it_had_never_stopped(unet):
    lora = TemporalLora(unet, CONFIG)
    learnt(lora, unet, NOISY, seed=1)
    kept = lora.snapshot()
    learnt(lora, unet, NOISY, seed=2)
    straight = predicted(unet)
    lora.reset()
    learnt(lora, unet, -NOISY, seed=9)  # another session's turn
    lora.load(kept)
    learnt(lora, unet, NOISY, seed=2)
    assert torch.equal(predicted(unet), straight)


def test_a_snapshot_of_another_rank_is_refused_and_nothing_is_loaded(unet):
    lora = TemporalLora(unet, CONFIG)
    kept = lora.snapshot()
    other = {name: tensor[..., :1] for name, tensor in kept.weights.items()}
    with pytest.raises(ValueError, match="another rank"):
        lora.load(type(kept)(other, kept.optimizer))


def test_targets_that_are_not_there_are_named(unet):
    with pytest.raises(ValueError, match="nowhere"):
        TemporalLora(unet, TemporalLoraConfig(targets=".*nowhere.*"))
