"""The published checkpoint's keys; that their modules compute what ours do is `benchmarks/parity.py`."""

import pytest
import torch

from reverie.generation.networks import build_unet
from reverie.generation.streaming_t2v import attach, load_published
from tests.generation.published import published

CONDITION = (8, 8, 8, 8)


def networks(seed):
    torch.manual_seed(seed)
    unet = build_unet(
        sample_size=8, block_out_channels=(32, 32), layers_per_block=1, cross_attention_dim=32, attention_head_dim=16,
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"), up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
    )  # fmt: skip
    return (unet, *attach(unet, CONDITION))


def test_every_tensor_of_the_published_names_finds_its_place():
    theirs, ours = networks(1), networks(2)
    left = load_published({**published(*theirs), "image_encoder.model.visual.proj": torch.ones(1)}, *ours)
    assert list(left) == ["image_encoder.model.visual.proj"]
    for network, other in zip(theirs, ours, strict=True):
        for name, tensor in network.state_dict().items():
            assert torch.equal(tensor, other.state_dict()[name]), name


def test_a_tensor_that_is_missing_or_unknown_is_named():
    theirs, ours = networks(1), networks(2)
    state = published(*theirs)
    del state["base_model.cross_attention_merger_mid_block.temporal_transformer.proj_out.bias"]
    with pytest.raises(RuntimeError, match=r"middle\.proj_out\.bias"):
        load_published(state, *ours)
    with pytest.raises(RuntimeError, match="strange"):
        load_published({**published(*theirs), "base_model.strange": torch.ones(1)}, *ours)
