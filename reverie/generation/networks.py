"""What is built of diffusers: UNets, autoencoders, schedulers, attention. The one file that imports it, and lazily."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

UNet = Any  # a UNet3DConditionModel: diffusers has no types to check against


def build_unet(**config: Any) -> UNet:
    """A UNet over (B, C, F, H, W) latents: spatial and temporal convolutions and attentions in turn."""
    import diffusers

    model: Any = diffusers.UNet3DConditionModel
    return model(**config)


def build_vae(**config: Any) -> Any:
    """A variational autoencoder over single frames."""
    import diffusers

    model: Any = diffusers.AutoencoderKL
    return model(**config)


def build_scheduler(name: str, **config: Any) -> Any:
    """A scheduler of diffusers by the name of its class."""
    import diffusers

    return getattr(diffusers, name)(**config)


def build_ema(parameters: Iterable[nn.Parameter], decay: float) -> Any:
    """An exponential moving average of parameters, which begins quickly."""
    from diffusers.training_utils import EMAModel

    return EMAModel(parameters, decay=decay, use_ema_warmup=True, power=0.75)


def cross_attention(query_channels: int, condition_channels: int, head_channels: int) -> nn.Module:
    """Multi-head attention of (N, T, C) queries to (N, S, D) conditions, without a bias on what is projected in."""
    from diffusers.models.attention_processor import Attention

    return Attention(
        query_dim=query_channels, cross_attention_dim=condition_channels,
        heads=query_channels // head_channels, dim_head=head_channels,
    )  # fmt: skip
