"""The conditional attention module of StreamingT2V (Henschel et al. 2024, section 4.1), attached to a UNet by hooks.

A new chunk has to go on where the last one ended. `Extractor` is a copy of the downward half of a
`UNet3DConditionModel` (conv_in, transformer_in, down and mid blocks), as in ControlNet. It sees the first noisy
frames of the chunk, to which an encoding of the last frames of the chunk before is added, and gives a feature map for
every long skip connection and for the middle. At each of these, `ConditionalAttention` lets every pixel of the skip
attend over time to the same pixel of the feature map. Its last projection begins at zero: an untrained module changes
nothing.

The UNet itself is never changed: `ConditionalAttentionModule.injecting` registers hooks for one forward pass and takes
them away again. What `down_block_additional_residuals` of diffusers can do is to add; attention needs the skip itself.

    features = cam(noisy[:, :, :8], t, text, past)      # past: (B, 3, 8, H, W), in [-1, 1]
    with cam.injecting(unet, features):
        noise = unet(noisy, t, text).sample

Shapes: B batch, F frames of a chunk (16), G frames of the condition (8), C channels, H, W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reverie.generation.networks import UNet, cross_attention

_COPIED = ("conv_in", "time_embedding", "transformer_in", "down_blocks", "mid_block")
CONDITION_CHANNELS = (32, 96, 256, 512)  # of the published encoder of frames; the last three halve the picture each


class ConditionalAttention(nn.Module):
    """Attention of a skip connection's pixels, over time, to the features of the condition (eq. 2).

    x + P_out(MHA(P_in(GroupNorm(x)), c, c)): the norm takes all frames of a group of channels together.
    """

    def __init__(self, channels: int, head_channels: int = 64, num_groups: int = 32) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(num_groups, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.attention = cross_attention(channels, channels, head_channels=min(head_channels, channels))
        self.proj_out = nn.Linear(channels, channels)
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)

    def forward(
        self, skip: Float[Tensor, "b f c h w"], condition: Float[Tensor, "b g c h w"]
    ) -> Float[Tensor, "b f c h w"]:
        batch, num_frames, channels, height, width = skip.shape
        query = self.norm(skip.transpose(1, 2))
        query = query.permute(0, 3, 4, 2, 1).reshape(batch * height * width, num_frames, channels)
        keys = condition.permute(0, 3, 4, 1, 2).reshape(batch * height * width, condition.shape[1], channels)
        changed = self.proj_out(self.attention(self.proj_in(query), encoder_hidden_states=keys))
        return torch.as_tensor(
            skip + changed.reshape(batch, height, width, num_frames, channels).permute(0, 3, 4, 1, 2)
        )


class ConditionalAddition(nn.Module):
    """The other way, which the paper compares (section 5.2): features are added to the first frames of a skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj_out = nn.Linear(channels, channels)
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)

    def forward(
        self, skip: Float[Tensor, "b f c h w"], condition: Float[Tensor, "b g c h w"]
    ) -> Float[Tensor, "b f c h w"]:
        first = condition.shape[1]
        added = skip[:, :first] + self.proj_out(condition.movedim(2, -1)).movedim(-1, 2)
        return torch.cat([added, skip[:, first:]], dim=1)


class FrameEncoder(nn.Module):
    """Frames to the size and channels of the UNet's first features: E_cond. Its last convolution begins at zero."""

    def __init__(self, out_channels: int, channels: Sequence[int] = CONDITION_CHANNELS) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, channels[0], 3, padding=1)
        self.blocks = nn.ModuleList()
        for narrow, wide in pairwise(channels):
            self.blocks += [nn.Conv2d(narrow, narrow, 3, padding=1), nn.Conv2d(narrow, wide, 3, padding=1, stride=2)]
        self.conv_out = nn.Conv2d(channels[-1], out_channels, 3, padding=1)
        for parameter in self.conv_out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, frames: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c i j"]:
        encoded = nn.functional.silu(self.conv_in(frames))
        for block in self.blocks:
            encoded = nn.functional.silu(block(encoded))
        return torch.as_tensor(self.conv_out(encoded))


class Extractor(nn.Module):
    """The downward half of a UNet, with the past added to what enters it. Begins as a copy of the UNet given."""

    conv_in: Any
    time_embedding: Any
    transformer_in: Any
    down_blocks: Any
    mid_block: Any

    def __init__(self, unet: UNet, channels: Sequence[int] = CONDITION_CHANNELS) -> None:
        super().__init__()
        for name in _COPIED:
            setattr(self, name, deepcopy(getattr(unet, name)))
        self.time_proj = unet.time_proj
        self.encode_frames = FrameEncoder(self.conv_in.out_channels, channels)

    def forward(
        self,
        noisy: Float[Tensor, "b c g h w"],
        timestep: Tensor,
        text: Float[Tensor, "b n d"],
        past: Float[Tensor, "b 3 g i j"],
    ) -> list[Tensor]:
        """A feature map (B x G, C, H, W) for each skip, in the order in which a UNet makes them, and for the middle."""
        num_frames = noisy.shape[2]
        time = self.time_embedding(self.time_proj(timestep.expand(len(noisy))).to(noisy.dtype))
        time, text = time.repeat_interleave(num_frames, 0), text.repeat_interleave(num_frames, 0)
        hidden = self.conv_in(noisy.transpose(1, 2).flatten(0, 1))
        hidden = self.transformer_in(hidden, num_frames=num_frames, return_dict=False)[0]
        hidden = hidden + self.encode_frames(past.transpose(1, 2).flatten(0, 1))
        features = [hidden]
        for block in self.down_blocks:
            told = {"encoder_hidden_states": text} if getattr(block, "has_cross_attention", False) else {}
            hidden, skips = block(hidden_states=hidden, temb=time, num_frames=num_frames, **told)
            features += skips
        return [*features, self.mid_block(hidden, time, encoder_hidden_states=text, num_frames=num_frames)]


class ConditionalAttentionModule(nn.Module):
    """CAM: an extractor, and one attention for each skip of the UNet and for its middle.

    Args:
        unet: a `UNet3DConditionModel`; it is copied from, never held or changed.
        channels: of the encoder of frames; each step after the first halves the picture, down to the size of latents.
        head_channels: channels of one attention head.
        adds: features are added instead of attended to.
    """

    def __init__(
        self,
        unet: UNet,
        channels: Sequence[int] = CONDITION_CHANNELS,
        head_channels: int = 64,
        adds: bool = False,
    ) -> None:
        super().__init__()
        self.extractor = Extractor(unet, channels)
        groups = unet.config.norm_num_groups

        def merging(width: int) -> nn.Module:
            return ConditionalAddition(width) if adds else ConditionalAttention(width, head_channels, groups)

        widths = skip_channels(unet)
        self.skips = nn.ModuleList(merging(width) for width in widths)
        self.middle = merging(widths[-1])

    def forward(self, *told: Tensor) -> list[Tensor]:
        """Features of the condition, from what `Extractor` takes."""
        return list(self.extractor(*told))

    @contextmanager
    def injecting(self, unet: UNet, features: Sequence[Tensor]) -> Iterator[None]:
        """Forward passes of this UNet inside attend to these features; afterwards it is as it was."""
        with ExitStack() as hooks:
            start = len(self.skips)
            for block in unet.up_blocks:  # each takes the last of the skips that are left
                taken = slice(start - len(block.resnets), start)
                hook = partial(_attend_in_skips, self.skips[taken], features[taken])
                hooks.callback(block.register_forward_pre_hook(hook, with_kwargs=True).remove)
                start = taken.start
            in_middle = partial(_attend_in_middle, self.middle, features[-1])
            hooks.callback(unet.mid_block.register_forward_hook(in_middle, with_kwargs=True).remove)
            yield


def _attend_in_skips(
    attentions: nn.ModuleList,
    features: Sequence[Tensor],
    _block: nn.Module,
    args: tuple[Any, ...],
    told: dict[str, Any],
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    skips = tuple(
        _attend(attention, skip, feature, told["num_frames"])
        for attention, skip, feature in zip(attentions, told["res_hidden_states_tuple"], features, strict=True)
    )
    return args, {**told, "res_hidden_states_tuple": skips}


def _attend_in_middle(
    attention: nn.Module, features: Tensor, _block: nn.Module, _args: tuple[Any, ...], told: dict[str, Any], out: Tensor
) -> Tensor:
    return _attend(attention, out, features, told["num_frames"])


def _attend(attention: nn.Module, hidden: Tensor, features: Tensor, num_frames: int) -> Tensor:
    """Both come with frames in the batch, as a UNet of diffusers passes them on."""
    batch = len(hidden) // num_frames
    changed = attention(*(tensor.view(batch, -1, *tensor.shape[1:]) for tensor in (hidden, features)))
    return torch.as_tensor(changed.flatten(0, 1))


def skip_channels(unet: UNet) -> list[int]:
    """Channels of every skip connection of a UNet, in the order in which it makes them."""
    channels = [unet.conv_in.out_channels]
    for block in unet.down_blocks:
        width = block.resnets[-1].out_channels
        channels += [width] * (len(block.resnets) + len(block.downsamplers or ()))
    return channels
