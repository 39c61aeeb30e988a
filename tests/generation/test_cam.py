import pytest
import torch

from reverie.generation.cam import ConditionalAddition, ConditionalAttention, ConditionalAttentionModule, skip_channels

NOISY, PAST = torch.randn(2, 4, 16, 8, 8), torch.rand(2, 3, 8, 32, 32) * 2 - 1
TEXT, TIME = torch.randn(2, 5, 32), torch.tensor([500, 20])


@pytest.fixture
def cam(unet):
    return ConditionalAttentionModule(unet, (8, 16, 16), head_channels=16).eval()


def trained(cam):
    for attention in (*cam.skips, cam.middle):
        torch.nn.init.normal_(attention.proj_out.weight, std=0.1)
    torch.nn.init.normal_(cam.extractor.encode_frames.conv_out.weight, std=0.1)
    return cam


@torch.no_grad()
def test_untrained_it_changes_nothing(unet, cam):
    plain = unet(NOISY, TIME, TEXT).sample
    with cam.injecting(unet, cam(NOISY[:, :, :8], TIME, TEXT, PAST)):
        assert torch.equal(unet(NOISY, TIME, TEXT).sample, plain)


@torch.no_grad()
def test_what_is_predicted_depends_on_the_past_while_it_is_injected_and_never_after(unet, cam):
    plain = unet(NOISY, TIME, TEXT).sample
    trained(cam)
    told = []
    for past in (PAST, -PAST):
        with cam.injecting(unet, cam(NOISY[:, :, :8], TIME, TEXT, past)):
            told.append(unet(NOISY, TIME, TEXT).sample)
    assert (told[0] - plain).abs().max() > 1e-3
    assert (told[0] - told[1]).abs().max() > 1e-4
    assert torch.equal(unet(NOISY, TIME, TEXT).sample, plain)


@torch.no_grad()
def test_an_error_inside_leaves_no_hook_behind(unet, cam):
    plain = unet(NOISY, TIME, TEXT).sample
    with pytest.raises(RuntimeError), trained(cam).injecting(unet, cam(NOISY[:, :, :8], TIME, TEXT, PAST)):
        unet(NOISY[:, :3], TIME, TEXT)
    assert torch.equal(unet(NOISY, TIME, TEXT).sample, plain)


@torch.no_grad()
def test_the_extractor_begins_as_the_downward_half_of_the_unet(unet, cam):
    seen = {}
    hooks = [
        block.register_forward_pre_hook(
            lambda _block, _args, told, index=index: seen.update({index: told["res_hidden_states_tuple"]}),
            with_kwargs=True,
        )
        for index, block in enumerate(unet.up_blocks)
    ]
    middle = []
    hooks.append(unet.mid_block.register_forward_hook(lambda _block, _args, out: middle.append(out)))
    unet(NOISY[:, :, :8], TIME, TEXT)
    for hook in hooks:
        hook.remove()
    features = cam(NOISY[:, :, :8], TIME, TEXT, PAST)
    assert torch.allclose(features[-1], middle[0], atol=1e-5)
    for feature, skip in zip(features, (*seen[1], *seen[0]), strict=False):
        assert torch.allclose(feature, skip, atol=1e-5)
    assert [feature.shape[1] for feature in features[:-1]] == skip_channels(unet)


@torch.no_grad()
def test_what_it_is_compared_with_adds_to_the_first_frames_alone(unet):
    added = ConditionalAddition(4)
    skip, condition = torch.randn(2, 16, 4, 3, 3), torch.randn(2, 8, 4, 3, 3)
    assert torch.equal(added(skip, condition), skip), "untrained it changes nothing"
    torch.nn.init.eye_(added.proj_out.weight)
    changed = added(skip, condition)
    assert torch.allclose(changed[:, :8], skip[:, :8] + condition, atol=1e-6)
    assert torch.equal(changed[:, 8:], skip[:, 8:])
    module, plain = ConditionalAttentionModule(unet, (8, 8, 8), adds=True).eval(), unet(NOISY, TIME, TEXT).sample
    for prepare, equal in ((lambda module: module, True), (trained, False)):
        told = prepare(module)
        with told.injecting(unet, told(NOISY[:, :, :8], TIME, TEXT, PAST)):
            assert torch.equal(unet(NOISY, TIME, TEXT).sample, plain) == equal


@torch.no_grad()
def test_a_pixel_attends_to_its_own_past_alone(unet):
    attention = ConditionalAttention(32, 16, num_groups=16)
    torch.nn.init.normal_(attention.proj_out.weight)
    skip, past = torch.randn(1, 16, 32, 4, 4), torch.randn(1, 8, 32, 4, 4)
    changed = past.clone()
    changed[..., 2, 1] += 1
    difference = (attention(skip, past) - attention(skip, changed)).abs().amax(dim=(0, 1, 2))
    assert difference[2, 1] > 1e-3
    difference[2, 1] = 0
    assert difference.max() == 0


def test_training_reaches_the_extractor_through_the_attention(unet, cam):
    with cam.injecting(unet, cam(NOISY[:, :, :8], TIME, TEXT, PAST)):
        unet(NOISY, TIME, TEXT).sample.square().mean().backward()
    assert cam.middle.proj_out.weight.grad.abs().max() > 0
