"""With every alpha at 0 a UNet is as it was, at 1 each frame is made by itself."""

import pytest
import torch

from reverie.generation.alpha_mixing import AlphaMixing

NOISY, TEXT, TIME = torch.randn(1, 4, 6, 8, 8), torch.randn(1, 5, 32), torch.tensor([300])


@torch.no_grad()
def predicted(unet, noisy=NOISY):
    return unet(noisy, TIME, TEXT).sample


def waken(unet):
    """A fresh temporal convolution ends in zeros, and changes nothing anyway."""
    for layer in unet.modules():
        if type(layer).__name__ == "TemporalConvLayer":
            torch.nn.init.normal_(layer.conv4[-1].weight, std=0.1)


@torch.no_grad()
def test_at_zero_it_is_the_unet_and_after_it_to_the_last_bit(unet):
    before = predicted(unet)
    with AlphaMixing(unet, begin=-1e9).mixing(unet):
        assert torch.allclose(predicted(unet), before, atol=1e-5)
    with AlphaMixing(unet).mixing(unet):
        near = predicted(unet)
    assert not torch.equal(near, before)
    assert torch.allclose(near, before, atol=0.1)
    assert torch.equal(predicted(unet), before)


@pytest.mark.parametrize(("begin", "alone"), [(1e9, True), (0.0, False)])
@torch.no_grad()
def test_at_one_every_frame_is_made_by_itself(unet, begin, alone):
    waken(unet)
    other = NOISY.clone()
    other[:, :, 3] += 1
    with AlphaMixing(unet, begin).mixing(unet):
        changed = (predicted(unet, other) - predicted(unet)).abs().amax(dim=(0, 1, 3, 4))
    assert changed[3] > 0
    assert (changed[[0, 1, 2, 4, 5]].max() < 1e-6) == alone


def test_alphas_are_learnt(unet):
    waken(unet)
    unet.requires_grad_(False)
    mixing = AlphaMixing(unet, begin=0.0)
    with mixing.mixing(unet):
        unet(NOISY, TIME, TEXT).sample.square().mean().backward()
    assert set(mixing.alphas().values()) == {0.5}
    assert sum(float(p.grad.abs()) > 0 for p in mixing.parameters()) == len(mixing.names)
