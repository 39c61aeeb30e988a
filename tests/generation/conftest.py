"""Small networks with random weights: what is tested of them holds without any training."""

import pytest
import torch

from reverie.generation.networks import build_unet
from reverie.generation.world_model import WorldModel, WorldModelConfig


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def unet():
    torch.manual_seed(0)
    return build_unet(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
        block_out_channels=(32, 64),
        layers_per_block=1,
        cross_attention_dim=32,
        attention_head_dim=4,
        norm_num_groups=16,
    ).eval()


@pytest.fixture
def small_model():
    torch.manual_seed(0)
    config = WorldModelConfig(
        vae_channels=(16, 16, 16), unet_channels=(32, 32), text_width=32, cam_channels=(8, 8, 8), look_width=32
    )
    return WorldModel(config).eval().requires_grad_(False)
