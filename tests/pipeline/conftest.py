"""A profile of imagination that needs no trained weights."""

from __future__ import annotations

import pytest
import torch
import yaml

from reverie.generation import checkpoint
from reverie.generation.world_model import WorldModel, WorldModelConfig


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A profile of a model that knows nothing yet."""
    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    config = WorldModelConfig(
        vae_channels=(16, 16, 16), unet_channels=(32, 32), text_width=32, cam_channels=(8, 8, 8), look_width=32
    )
    checkpoint.save(WorldModel(config), folder / "world.safetensors")
    told = {
        "name": "tiny", "summary": "untrained", "pixel_scale": 2,
        "model": {"kind": "world", "weights": str(folder / "world.safetensors"), "chunks": {"num_steps": 2}},
    }  # fmt: skip
    (folder / "tiny.yaml").write_text(yaml.safe_dump(told))
    return folder / "tiny.yaml"
