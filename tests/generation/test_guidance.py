import torch

from reverie.generation.guidance import guide

NOTHING, TEXT, BOTH = torch.randn(3, 2, 4).unbind()


def test_scales_of_one_give_the_conditioned_prediction():
    assert torch.allclose(guide(NOTHING, TEXT, BOTH, text_scale=1, anchor_scale=1), BOTH, atol=1e-6)
    assert torch.allclose(guide(NOTHING, TEXT, text_scale=1), TEXT, atol=1e-6)


def test_scales_of_zero_give_the_unconditioned_one():
    assert torch.equal(guide(NOTHING, TEXT, BOTH, text_scale=0, anchor_scale=0), NOTHING)


def test_equal_scales_are_the_released_joint_guidance():
    joint = NOTHING + 9 * (BOTH - NOTHING)
    assert torch.allclose(guide(NOTHING, TEXT, BOTH, text_scale=9, anchor_scale=9), joint, atol=1e-4)


def test_each_scale_weighs_its_own_difference():
    guided = guide(NOTHING, TEXT, BOTH, text_scale=3, anchor_scale=5)
    assert torch.allclose(guided, NOTHING + 3 * (TEXT - NOTHING) + 5 * (BOTH - TEXT), atol=1e-5)
