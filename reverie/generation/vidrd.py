"""Reuse and diffuse (Gu et al. 2023, VidRD): going on with a clip, untrained, from the latents of its denoising.

Three parts, each of which needs a deterministic solver, or trajectories mean nothing:

- frame-wise noise reversion: the next clip begins from the noise of the last one in reversed time, so its first frames
  begin as the last one's last frames did;
- past-dependent noise sampling: the overlap takes that noise as it is, the other frames
  beta / sqrt(1 + beta^2) of it and 1 / sqrt(1 + beta^2) of new noise, which keeps the variance at 1;
- denoising with staged guidance: while i < (M - m) * (T / M) * gamma, frame m (0 first) of the M that overlap is
  replaced after step i of T by the latent that the last clip had there, so the frames nearest to the past are held
  longest.

The overlap therefore plays the last M frames backwards; what a session shows of a clip is what comes after it.

Shapes: latents (B, C, F, H, W).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor

OVERLAP_FRAMES, BETA, GAMMA = 4, 4.0, 0.4  # of the paper
Latents = Float[Tensor, "b c f h w"]


def next_noise(
    noise: Latents, generator: torch.Generator, overlap: int = OVERLAP_FRAMES, beta: float = BETA
) -> Latents:
    """The noise from which the clip after one that began from `noise` begins."""
    reverted = noise.flip(2)
    fresh = torch.randn(noise.shape, generator=generator).to(noise)
    mixed = (beta * reverted + fresh) / sqrt(1 + beta**2)
    return torch.cat([reverted[:, :, :overlap], mixed[:, :, overlap:]], dim=2)


def guided_steps(frame: int, num_steps: int, overlap: int = OVERLAP_FRAMES, gamma: float = GAMMA) -> int:
    """After how many of the first steps an overlapping frame (0: the one nearest to the past) is replaced."""
    limit = (overlap - frame) * num_steps / overlap * gamma
    return min(num_steps, -int(-limit // 1))  # the number of whole i with i < limit


def hold_to_past(
    latents: Latents,
    past: Sequence[Latents],
    step: int,
    overlap: int = OVERLAP_FRAMES,
    gamma: float = GAMMA,
) -> Latents:
    """The latents after a step, their first frames replaced by the last clip's last ones where the schedule says so.

    Args:
        latents: after step `step`.
        past: the last clip's latents after each step.
        step: counted from 0.
        overlap: frames that overlap.
        gamma: the share of the steps through which the first one is held.
    """
    held = [frame for frame in range(overlap) if step < guided_steps(frame, len(past), overlap, gamma)]
    if not held:
        return latents
    reverted = past[step].flip(2)
    return torch.cat([reverted[:, :, : len(held)], latents[:, :, len(held) :]], dim=2)
