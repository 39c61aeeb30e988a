"""ModelScope's text-to-video UNet, with what StreamingT2V adds to it, as a model that chunks are sampled with.

The base is a folder as `save_pretrained` writes it (`ali-vilab/text-to-video-ms-1.7b`): a UNet3D over latents of an
autoencoder by eight, and CLIP's text encoder. The published checkpoint of StreamingT2V holds that UNet once more, CAM,
APM, and the image encoder of the anchor (`streaming_t2v`). It is a pickle: it is read with `weights_only=True`, or as
safetensors when it was converted. Without it there is no `cam` and no anchor, and chunks follow each other by VidRD.

Defaults as published: 256 x 256 pixels at 8 frames a second, chunks of 16 frames of which 8 repeat the past.
"""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from reverie.errors import ModelError, UsageError
from reverie.generation.chunks import Steering
from reverie.generation.conditioning import Condition, conditioned
from reverie.generation.diffusion import Diffusion
from reverie.generation.latent_chunks import LatentChunks, LatentChunksConfig
from reverie.generation.networks import load_part
from reverie.generation.sampling import Latents
from reverie.generation.streaming_t2v import NUM_TEXT, ImageEncoder, attach, load_published

RATE_HZ = 8.0
_LATENT_PX = 8


class ModelScopeConfig(BaseModel):
    """How the model is loaded and asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: PositiveInt = Field(256, multiple_of=64)
    width: PositiveInt = Field(256, multiple_of=64)
    dtype: Literal["float32", "float16", "bfloat16"] = "float16"
    chunks: LatentChunksConfig = LatentChunksConfig(
        way="cam", anchor=True, num_steps=50, text_scale=7.5, anchor_scale=7.5, eta=1.0
    )


class ModelScope(nn.Module):
    """The networks, in inference.

    Args:
        folder: of the base.
        checkpoint: of StreamingT2V (.safetensors; .ckpt or .pth, whose digest was checked); None: the base alone.
        config: sizes and precision.

    Raises:
        ModelError: weights are missing, unreadable, or of another model.
    """

    chunk_frames, context_frames = 16, 8
    diffusion = Diffusion("noise")

    def __init__(self, folder: Path, checkpoint: Path | None, config: ModelScopeConfig) -> None:
        super().__init__()
        dtype = getattr(torch, config.dtype)
        self.unet = load_part(folder, "unet", "UNet3DConditionModel", dtype)
        self.vae = load_part(folder, "vae", "AutoencoderKL", dtype)
        self._text_encoder = load_part(folder, "text_encoder", "CLIPTextModel", dtype)
        self.tokenizer = load_part(folder, "tokenizer", "CLIPTokenizer")
        self.latent_shape = (
            self.vae.config.latent_channels, config.height // _LATENT_PX, config.width // _LATENT_PX,
        )  # fmt: skip
        self.cam, self.apm = attach(self.unet)
        self.image_encoder: ImageEncoder | None = None
        if checkpoint is not None:
            try:
                self.image_encoder = ImageEncoder(load_published(_tensors(checkpoint), self.unet, self.cam, self.apm))
            except (RuntimeError, KeyError) as error:
                raise ModelError(f"{checkpoint} does not fit the model of {folder}: {error}") from error
        self.to(dtype)
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def text(self, prompts: list[str]) -> Float[Tensor, "b n d"]:
        """Prompts to the text encoder's last layer."""
        ids = self.tokenizer(prompts, padding="max_length", max_length=NUM_TEXT, truncation=True, return_tensors="pt")
        return torch.as_tensor(self._text_encoder(ids.input_ids.to(self._at.device))[0])

    def look(self, frames: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b e"]:
        """What APM is told of an anchor."""
        assert self.image_encoder is not None
        return torch.as_tensor(self.image_encoder(frames.to(self._at)))

    def encode(self, frames: Float[Tensor, "b 3 f i j"]) -> Latents:
        """Frames in [-1, 1] to latents of about deviation 1: the mean of the autoencoder's distribution."""
        flat = self.vae.encode(frames.transpose(1, 2).flatten(0, 1).to(self._at)).latent_dist.mean.float()
        return torch.as_tensor(flat.unflatten(0, (len(frames), -1)).transpose(1, 2) * self.vae.config.scaling_factor)

    def decode(self, latents: Latents) -> Float[Tensor, "b 3 f i j"]:
        """Latents to frames in [-1, 1]."""
        scaled = (latents / self.vae.config.scaling_factor).transpose(1, 2).flatten(0, 1)
        flat = self.vae.decode(scaled.to(self._at)).sample.float()
        return torch.as_tensor(flat.unflatten(0, (len(latents), -1)).transpose(1, 2).clamp(-1, 1))

    def predict(self, noisy: Latents, timestep: Tensor, condition: Condition) -> Latents:
        """The noise in the latents. Given latents and actions mean nothing to it."""
        past = None if condition.past is None else condition.past.to(self._at)
        told = replace(condition, past=past)
        return conditioned(self.unet, self.cam, self.apm, noisy.to(self._at), timestep, told).float()

    @property
    def _at(self) -> Tensor:
        """A tensor of the model's device and precision."""
        return torch.as_tensor(next(self.unet.parameters()))


class ModelScopeChunks(LatentChunks):
    """Chunks of ModelScope's UNet; with StreamingT2V's weights they go on from each other."""

    name = "streaming_t2v"
    rate_hz = RATE_HZ

    def __init__(self, model: ModelScope, config: ModelScopeConfig, device: str = "cpu") -> None:
        if model.image_encoder is None and (config.chunks.way == "cam" or config.chunks.anchor):
            raise UsageError("cam and anchor need the weights of StreamingT2V: name them, or use way: vidrd")
        if config.chunks.way == "concat":
            raise UsageError("this UNet was not trained to be given clean frames: use way: cam or vidrd")
        self.size, self._tokenizer = (config.height, config.width), model.tokenizer
        super().__init__(model, config.chunks, device)

    def check(self, steering: Steering) -> None:
        if steering.actions:
            raise UsageError(f"{self.name} is told what is to be seen, not actions: put the movement into the prompt")
        if not steering.prompt.strip():
            raise UsageError(f"{self.name} needs a prompt: say what is to be seen")
        count = len(self._tokenizer(steering.prompt).input_ids)
        if count > NUM_TEXT:
            raise UsageError(f"the prompt has {count} tokens, and more than {NUM_TEXT} are not read: shorten it")

    def understood(self, text: str) -> str:
        """As many whole words as fit."""
        words = text.split()
        while words and len(self._tokenizer(" ".join(words)).input_ids) > NUM_TEXT:
            words.pop()
        return " ".join(words)

    def check_frames(self, frames: UInt8[ndarray, "t h w 3"]) -> None:
        """It was trained on whatever is filmed."""


def _tensors(path: Path) -> dict[str, Tensor]:
    """The state dict of a checkpoint."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        kept: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return dict(kept.get("state_dict", kept))
    except (OSError, RuntimeError, SafetensorError, pickle.UnpicklingError) as error:
        raise ModelError(f"{path} cannot be read: convert its state_dict to safetensors ({error})") from error
