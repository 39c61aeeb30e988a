"""Learned mixing of spatial and temporal layers (VideoLDM, Blattmann et al. 2023, section 3.1), by hooks.

A video UNet has temporal layers after its spatial ones. What goes on from each is

    alpha z + (1 - alpha) z',    alpha = sigmoid(a learned number of the layer)

with z what came from the spatial layers and z' what the temporal layer makes of it. With every alpha at 0 it is the
UNet as it was, at 1 every frame is made by itself, as an image. diffusers' `AlphaBlender` does the mixing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from reverie.generation.networks import UNet, alpha_blender

TEMPORAL_LAYERS = ("TemporalConvLayer", "TransformerTemporalModel")
BEGIN = -6.0  # an alpha of 0.0025


class AlphaMixing(nn.Module):
    """A learned alpha for each temporal layer of a UNet.

    Args:
        unet: whose layers they are for.
        begin: the learned numbers at first.
    """

    def __init__(self, unet: UNet, begin: float = BEGIN) -> None:
        super().__init__()
        self.names = [name for name, layer in unet.named_modules() if type(layer).__name__ in TEMPORAL_LAYERS]
        self.blenders = nn.ModuleList(alpha_blender(begin) for _ in self.names)

    def alphas(self) -> dict[str, float]:
        """Of each layer, by its name."""
        values = [torch.sigmoid(next(blender.parameters()).detach()) for blender in self.blenders]
        return dict(zip(self.names, map(float, values), strict=True))

    @contextmanager
    def mixing(self, unet: UNet) -> Iterator[None]:
        """In forward passes inside, temporal layers are mixed with what they were given."""
        layers = dict(unet.named_modules())
        hooks = [
            layers[name].register_forward_hook(_mixed_by(blender))
            for name, blender in zip(self.names, self.blenders, strict=True)
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def _mixed_by(blender: nn.Module) -> Any:
    def hook(layer: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        if isinstance(output, Tensor):
            return blender(args[0], output)
        return (blender(args[0], output[0]), *output[1:])

    return hook
