import pytest
import torch

from reverie.generation.apm import AppearanceModule, cross_attention_names

NOISY, TEXT, TIME = torch.randn(2, 4, 6, 8, 8), torch.randn(2, 5, 32), torch.tensor([500, 20])
LOOK = torch.randn(2, 24)


@pytest.fixture
def apm(unet):
    return AppearanceModule(unet, num_text=5, image_width=24, hidden_width=48, num_image=3).eval()


@torch.no_grad()
def test_untrained_it_changes_nothing(unet, apm):
    plain = unet(NOISY, TIME, TEXT).sample
    with apm.mixing(unet):
        assert torch.equal(unet(NOISY, TIME, apm(TEXT, LOOK)).sample, plain)


@torch.no_grad()
def test_with_alpha_the_anchor_counts_and_text_alone_is_as_before(unet, apm):
    plain = unet(NOISY, TIME, TEXT).sample
    for mixer in apm.mixers:
        mixer.alpha.fill_(1.0)
    with apm.mixing(unet):
        one, other = (unet(NOISY, TIME, apm(TEXT, look)).sample for look in (LOOK, -LOOK))
        assert torch.equal(unet(NOISY, TIME, TEXT).sample, plain)
    assert (one - other).abs().max() > 1e-4
    assert torch.equal(unet(NOISY, TIME, TEXT).sample, plain), "it is taken out again"


def test_an_alpha_of_zero_learns(unet, apm):
    with apm.mixing(unet):
        unet(NOISY, TIME, apm(TEXT, LOOK)).sample.square().mean().backward()
    assert all(mixer.alpha.grad.abs() > 0 for mixer in apm.mixers)


def test_the_attentions_to_the_text_are_the_spatial_ones(unet):
    names = cross_attention_names(unet)
    assert len(names) == len(set(names)) == 4  # down, up twice, middle
    assert not any("temp_attentions" in name or name.startswith("transformer_in") for name in names)
