"""ModelScope's model with StreamingT2V's weights behind a session, by tiny networks of the same classes."""

from __future__ import annotations

import hashlib

import diffusers
import numpy as np
import pytest
import torch
import yaml
from open_clip.transformer import VisionTransformer
from safetensors.torch import save_file
from transformers import CLIPTokenizer

import reverie
from reverie.errors import ModelError, UsageError
from reverie.generation.chunks import Beginning, Steering
from reverie.generation.latent_chunks import LatentChunksConfig
from reverie.generation.modelscope import ModelScope, ModelScopeChunks, ModelScopeConfig
from reverie.generation.networks import build_unet
from reverie.generation.session import Imagination
from reverie.generation.streaming_t2v import IMAGE_WIDTH, attach
from tests.generation.published import published
from tests.generation.tiny_pipelines import WIDTH, clip_text_encoder

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of diffusers and transformers, about each other
CHUNKS = LatentChunksConfig(way="cam", anchor=True, num_steps=2, text_scale=7.5, anchor_scale=7.5, eta=1.0)
CONFIG = ModelScopeConfig(height=64, width=64, dtype="float32", chunks=CHUNKS)
RED = "a red circle"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The base, and beside it StreamingT2V's checkpoint, with CAM's and APM's last layers drawn at random."""
    folder = tmp_path_factory.mktemp("modelscope")
    torch.manual_seed(0)
    unet = build_unet(
        sample_size=8, block_out_channels=(32, 32), layers_per_block=1, cross_attention_dim=WIDTH,
        attention_head_dim=16, down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
    )  # fmt: skip
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8,) * 4, down_block_types=("DownEncoderBlock2D",) * 4, norm_num_groups=2,
        up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=4, layers_per_block=1,
    )  # fmt: skip
    unet.save_pretrained(folder / "unet")
    vae.save_pretrained(folder / "vae")
    clip_text_encoder().save_pretrained(folder / "text_encoder")
    (folder / "tokenizer").mkdir()
    words = ["<|startoftext|>", "<|endoftext|>", "a</w>", "r", "e", "d</w>", "c", "i"]
    (folder / "vocab.json").write_text("{" + ", ".join(f'"{word}": {n}' for n, word in enumerate(words)) + "}")
    (folder / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), unk_token="<|endoftext|>").save_pretrained(
        folder / "tokenizer"
    )
    cam, apm = attach(unet)
    for parameter in [*cam.parameters(), *apm.parameters()]:
        if not parameter.abs().sum():
            torch.nn.init.normal_(parameter, std=0.1)
    visual = VisionTransformer(28, 14, 80, 1, 1, 4.0, output_dim=IMAGE_WIDTH)
    state = published(unet, cam, apm)
    state |= {f"image_encoder.model.visual.{name}": tensor for name, tensor in visual.state_dict().items()}
    state = {name: tensor.clone().contiguous() for name, tensor in state.items()}
    save_file(state, folder / "streaming.safetensors")
    torch.save({"state_dict": state, "epoch": 1}, folder / "streaming.ckpt")
    return folder


def chunks(folder, **changed):
    config = CONFIG.model_copy(update={"chunks": CHUNKS.model_copy(update=changed)})
    streaming = folder / "streaming.safetensors" if config.chunks.way == "cam" else None
    return ModelScopeChunks(ModelScope(folder, streaming, config), config)


def video(model, seed=1, **told):
    session = Imagination(model, prompt=RED, seconds=27 / model.rate_hz, seed=seed, **told)
    return np.concatenate([clip.frames for clip in session])


def test_chunks_go_on_from_each_other_and_a_seed_says_all(folder):
    model = chunks(folder)
    made = video(model)
    assert made.shape == (27, 64, 64, 3)
    assert np.array_equal(video(model), made)
    assert not np.array_equal(video(model, seed=2), made)
    assert model.num_new(model.begin(0, Beginning(first=made))) == 8
    unanchored = video(chunks(folder, anchor=False))
    assert np.abs(unanchored[16:].astype(int) - made[16:]).max() > 0, "the anchor is told to later chunks"


def test_the_past_and_the_anchor_reach_the_picture(folder):
    model = chunks(folder)
    grey, white = (np.full((16, 64, 64, 3), value, np.uint8) for value in (90, 250))
    going_on = [video(model, beginning=Beginning(first=first, anchor=grey[0]))[:8] for first in (grey, white)]
    assert not np.array_equal(*going_on)
    anchored = [video(model, beginning=Beginning(first=grey, anchor=first[0]))[:8] for first in (grey, white)]
    assert not np.array_equal(*anchored)


def test_without_streaming_weights_chunks_follow_by_vidrd(folder):
    assert video(chunks(folder, way="vidrd", anchor=False, eta=0.0)).shape == (27, 64, 64, 3)
    with pytest.raises(UsageError, match="StreamingT2V"):
        ModelScopeChunks(ModelScope(folder, None, CONFIG), CONFIG)
    with pytest.raises(UsageError, match="clean frames"):
        chunks(folder, way="concat", anchor=False)


def test_what_it_cannot_be_told_is_said_so(folder):
    model = chunks(folder)
    for steering, said in (
        (Steering(prompt=""), "needs a prompt"),
        (Steering(prompt="red " * 80), "tokens"),
        (Steering(prompt=RED, actions=("left",)), "not actions"),
    ):
        with pytest.raises(UsageError, match=said):
            model.check(steering)
    fitting = model.understood("red " * 80)
    assert fitting
    model.check(Steering(prompt=fitting))


def test_a_checkpoint_of_another_model_is_refused(folder, tmp_path):
    save_file({"base_model.strange": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match="does not fit"):
        ModelScope(folder, tmp_path / "other.safetensors", CONFIG)
    with pytest.raises(ModelError, match="cannot be read as a UNet3D"):
        ModelScope(tmp_path, None, CONFIG)


def test_a_profile_names_the_published_file_with_its_digest(folder, tmp_path):
    path = folder / "streaming.ckpt"
    told = {
        "name": "mine", "summary": "tiny", "device": "cpu",
        "model": {
            "kind": "streaming_t2v", "weights": f"file:{folder}", "streaming": f"file:{path}",
            "options": CONFIG.model_dump(),
        },
    }  # fmt: skip
    profile = tmp_path / "mine.yaml"
    profile.write_text(yaml.safe_dump(told))
    with pytest.raises(ModelError, match="sha256"):
        reverie.imagine(RED, seconds=1, profile=profile)
    told["model"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    profile.write_text(yaml.safe_dump(told))
    (clip,) = reverie.imagine(RED, seconds=1, seed=1, profile=profile)
    assert np.array_equal(clip.frames, video(chunks(folder))[:8])
