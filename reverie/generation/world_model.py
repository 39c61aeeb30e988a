"""The small latent video model of the measurable world: 32 x 32 pixels, 8 x 8 x 8 latents, chunks of 16 frames.

One UNet3D predicts velocities (`diffusion`). Its input has, beside the noisy latents, one channel that marks frames as
given (masked conditional denoising, SlowFast-VGen section 3.2: past latents are put in clean, and only the others are
predicted), one for each action, by which the camera came to the frame, and those of a state that is moved by actions
(`transition`). The prompt goes through cross-attention. On top of it: `cam` and `apm` of StreamingT2V, which the frozen
UNet was not trained with.

Shapes: B batch, C latent channels, F frames, G given frames, h = w = VIEW_PX / 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt
from torch import Tensor, nn

from reverie.generation.apm import AppearanceModule
from reverie.generation.cam import ConditionalAttentionModule
from reverie.generation.conditioning import Condition, conditioned
from reverie.generation.diffusion import Diffusion
from reverie.generation.networks import build_unet, build_vae
from reverie.generation.prompts import NUM_TOKENS, PromptEncoder
from reverie.generation.transition import Transition
from reverie.generation.world import ACTIONS, VIEW_PX

NO_ACTION = len(ACTIONS)  # nobody says how the camera moved
Latents = Float[Tensor, "b c f h w"]


class WorldModelConfig(BaseModel):
    """Sizes of the networks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    chunk_frames: PositiveInt = 16
    context_frames: PositiveInt = 8
    latent_channels: PositiveInt = 8
    latent_scale: PositiveFloat = 1.0  # brings latents to a deviation of 1; measured when the autoencoder was trained
    vae_channels: tuple[PositiveInt, ...] = (16, 32, 64)
    state_channels: PositiveInt = 32
    unet_channels: tuple[PositiveInt, ...] = (32, 64, 96)
    text_width: PositiveInt = 64
    head_channels: PositiveInt = 16
    cam_channels: tuple[PositiveInt, ...] = (16, 32, 64)
    cam_head_channels: PositiveInt = 16
    cam_adds: bool = False  # what ours is compared with
    look_width: PositiveInt = 64
    image_tokens: PositiveInt = 4


class Look(nn.Module):
    """A frame to one vector: what APM knows of its anchor. Trained with it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 32, 5, stride=2, padding=2), nn.SiLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(64, width, 3, stride=2, padding=1), nn.SiLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, width),
        )  # fmt: skip

    def forward(self, frames: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        return torch.as_tensor(self.layers(frames))


class WorldModel(nn.Module):
    """All networks of the small model."""

    def __init__(self, config: WorldModelConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or WorldModelConfig()
        levels = len(config.unet_channels)
        self.vae = build_vae(
            in_channels=3,
            out_channels=3,
            down_block_types=("DownEncoderBlock2D",) * len(config.vae_channels),
            up_block_types=("UpDecoderBlock2D",) * len(config.vae_channels),
            block_out_channels=config.vae_channels,
            layers_per_block=1,
            latent_channels=config.latent_channels,
            norm_num_groups=8,
            mid_block_add_attention=False,
            sample_size=VIEW_PX,
        )
        self.text = PromptEncoder(config.text_width)
        told_channels = config.latent_channels + 1 + len(ACTIONS)
        self.transition = Transition(told_channels + 1, config.latent_channels, len(ACTIONS) + 1, config.state_channels)
        self.unet = build_unet(
            sample_size=self.latent_shape[-1],
            in_channels=told_channels + config.state_channels + config.latent_channels,
            out_channels=config.latent_channels,
            down_block_types=("CrossAttnDownBlock3D",) * (levels - 1) + ("DownBlock3D",),
            up_block_types=("UpBlock3D",) + ("CrossAttnUpBlock3D",) * (levels - 1),
            block_out_channels=config.unet_channels,
            layers_per_block=1,
            cross_attention_dim=config.text_width,
            attention_head_dim=config.head_channels,
            norm_num_groups=16,
        )
        self.begin_cam(config.cam_adds)
        self.look = Look(config.look_width)
        self.apm = AppearanceModule(
            self.unet, NUM_TOKENS, config.look_width, 2 * config.look_width, config.image_tokens
        )

    def begin_cam(self, adds: bool) -> None:
        """CAM as it is before training: a copy of the UNet's downward half, which changes nothing yet."""
        self.config = self.config.model_copy(update={"cam_adds": adds})
        self.cam = ConditionalAttentionModule(
            self.unet, self.config.cam_channels, self.config.cam_head_channels, self.config.cam_adds
        )

    diffusion = Diffusion("velocity")

    @property
    def chunk_frames(self) -> int:
        return self.config.chunk_frames

    @property
    def context_frames(self) -> int:
        return self.config.context_frames

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        side = VIEW_PX // 2 ** (len(self.config.vae_channels) - 1)
        return self.config.latent_channels, side, side

    def encode(self, frames: Float[Tensor, "b 3 f i j"]) -> Latents:
        """Frames in [-1, 1] to latents of deviation 1: the mean of the autoencoder's distribution."""
        flat = self.vae.encode(frames.transpose(1, 2).flatten(0, 1)).latent_dist.mean
        return torch.as_tensor(flat.unflatten(0, (len(frames), -1)).transpose(1, 2) * self.config.latent_scale)

    def decode(self, latents: Latents) -> Float[Tensor, "b 3 f i j"]:
        """Latents to frames in [-1, 1]."""
        flat = self.vae.decode(latents.transpose(1, 2).flatten(0, 1) / self.config.latent_scale).sample
        return torch.as_tensor(flat.unflatten(0, (len(latents), -1)).transpose(1, 2).clamp(-1, 1))

    def predict(self, noisy: Latents, timestep: Int64[Tensor, "b"], condition: Condition) -> Latents:
        """The velocity of the latents; of given frames, what is predicted means nothing."""
        return self.predict_and_guess(noisy, timestep, condition)[0]

    def predict_and_guess(
        self, noisy: Latents, timestep: Int64[Tensor, "b"], condition: Condition
    ) -> tuple[Latents, Latents]:
        """The velocity, and the state's guess of the clean latents."""
        given, actions = condition.given, condition.actions
        known = 0 if given is None else given.shape[2]
        if given is not None:
            noisy = torch.cat([given, noisy[:, :, known:]], dim=2)
        batch, _, num_frames, height, width = noisy.shape
        marked = torch.zeros(batch, num_frames, 1).to(noisy)
        marked[:, :known] = 1
        told = nn.functional.one_hot(actions, len(ACTIONS) + 1)[..., : len(ACTIONS)].to(noisy)
        clean = torch.maximum(marked, self.diffusion.signal(timestep).to(noisy)[:, None, None])
        channels = torch.cat([marked, told, clean], dim=2).transpose(1, 2)[..., None, None]
        entering = torch.cat([noisy, channels.expand(-1, -1, -1, height, width)], dim=1)
        state, guess = self.transition(entering, actions)
        entering = torch.cat([entering[:, :-1], state, guess], dim=1)  # how noisy they are, its timestep says
        return conditioned(self.unet, self.cam, self.apm, entering, timestep, condition), guess


def reconstruction_errors(
    rebuilt: Float[Tensor, "b 3 f i j"], frames: Float[Tensor, "b 3 f i j"]
) -> Float[Tensor, "n"]:
    """Root mean squared error of each of the B F frames, as a share of the range of brightness."""
    return torch.as_tensor((rebuilt - frames).square().mean(dim=(1, 3, 4)).sqrt().flatten() / 2)


def to_tensor(frames: UInt8[ndarray, "*b f h w 3"]) -> Float[Tensor, "*b 3 f h w"]:
    """RGB frames to [-1, 1], channels before time."""
    return torch.from_numpy(np.moveaxis(frames, -1, -4).astype(np.float32) / 127.5 - 1)


def to_frames(video: Float[Tensor, "*b 3 f h w"]) -> UInt8[ndarray, "*b f h w 3"]:
    """[-1, 1], channels before time, to RGB frames."""
    scaled = ((video.detach().float().cpu().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return np.moveaxis(scaled.numpy(), -4, -1)


def action_indices(actions: Sequence[str]) -> list[int]:
    """Numbers of actions, as the model counts them."""
    return [ACTIONS.index(action) for action in actions]
