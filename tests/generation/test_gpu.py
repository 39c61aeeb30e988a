"""What runs on a GPU as it does on a CPU: sessions with everything on, and a step of each stage of training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reverie.generation import checkpoint
from reverie.generation.latent_chunks import LatentChunksConfig
from reverie.generation.session import Imagination
from reverie.generation.temporal_lora import TemporalLoraConfig
from reverie.generation.training.loop import STAGES, train
from reverie.generation.world_chunks import WorldChunks

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")]
TOLD = {"prompt": "a red circle over grass", "actions": ("left",), "seed": 3}


def clips(session):
    return np.concatenate([clip.frames for clip in session])


@pytest.mark.parametrize("way", ["none", "concat", "cam", "vidrd"])
def test_a_session_gives_what_it_gives_on_a_cpu(small_model, way, tmp_path):
    config = LatentChunksConfig(way=way, num_steps=4, anchor=way == "cam")
    here = clips(Imagination(WorldChunks(small_model, config), **TOLD, seconds=4))
    model = WorldChunks(small_model, config, device="cuda")
    session = Imagination(model, **TOLD, seconds=4)
    there = [session.next_clip().frames]
    session.save(tmp_path / "s.safetensors")
    there.append(clips(Imagination.resume(tmp_path / "s.safetensors", model)))
    assert np.abs(np.concatenate(there).astype(int) - here).mean() < 2
    assert torch.cuda.max_memory_allocated() > 0


def test_an_adapter_learns_there(small_model):
    config = LatentChunksConfig(num_steps=2, lora=TemporalLoraConfig(rank=4))
    session = Imagination(WorldChunks(small_model, config, device="cuda"), **TOLD)
    before = session.snapshot().state
    for _ in range(2):
        session.next_clip()
    after = session.snapshot().state
    assert any(not torch.equal(before[name].cpu(), after[name].cpu()) for name in before if name.startswith("lora."))


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "vae"])
def test_a_stage_learns_there(small_model, stage, tmp_path):
    checkpoint.save(small_model, tmp_path / "world.safetensors")
    config = STAGES[stage].config.model_copy(update={"steps": 2, "batch": 1})
    assert train(stage, tmp_path / "run", start=tmp_path / "world.safetensors", config=config) == 2
