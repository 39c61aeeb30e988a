"""What a chunk is made of, and a UNet's prediction under it: text, a past through CAM, an anchor through APM.

Shapes: B batch, C latent channels, F frames, G given frames.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor

from reverie.generation.apm import AppearanceModule
from reverie.generation.cam import ConditionalAttentionModule
from reverie.generation.networks import UNet


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a chunk is made of.

    Attributes:
        text: (B, N, D) encoded prompts.
        actions: (B, F) index of the action that led to each frame; `NO_ACTION` where nobody says.
        given: (B, C, G, h, w) clean latents of the first frames, which are not predicted; None: all are.
        past: (B, 3, G, H, W) frames that the chunk's first ones repeat, in [-1, 1], for CAM; None: without it.
        anchor: (B, E) `look` of a frame whose appearance is kept, for APM; None: without it.
    """

    text: Tensor
    actions: Tensor
    given: Tensor | None = None
    past: Tensor | None = None
    anchor: Tensor | None = None


def conditioned(
    unet: UNet,
    cam: ConditionalAttentionModule,
    apm: AppearanceModule,
    entering: Tensor,
    timestep: Tensor,
    condition: Condition,
) -> Tensor:
    """What a UNet predicts of what enters it, (B, K, F, h, w)."""
    text = condition.text
    with ExitStack() as attached:
        if condition.past is not None:
            features = cam(entering[:, :, : condition.past.shape[2]], timestep, text, condition.past)
            attached.enter_context(cam.injecting(unet, features))
        if condition.anchor is not None:
            text = apm(text, condition.anchor)
            attached.enter_context(apm.mixing(unet))
        return torch.as_tensor(unet(entering, timestep, text).sample)
