"""Denoising loops: from noise to latents with a scheduler of diffusers.

A chunk is sampled by DDIM (Song et al. 2021) with a few to fifty steps, or by LCM (Luo et al. 2023) with one to eight
from a distilled model. `watch` sees the latents after each step: VidRD keeps them, and replaces some of them.

Shapes: latents (B, C, F, H, W).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

Latents = Float[Tensor, "b c f h w"]
Predict = Callable[[Latents, Tensor], Latents]  # noisy latents and a timestep to the prediction
Watch = Callable[[int, Latents], Latents]  # step (from 0) and the latents after it, to those to go on with


def sample(
    predict: Predict,
    scheduler: Any,
    noise: Latents,
    num_steps: int,
    *,
    generator: torch.Generator | None = None,
    eta: float = 0.0,
    first_step: int = 0,
    watch: Watch | None = None,
) -> Latents:
    """Latents from noise of deviation 1.

    Args:
        predict: what the scheduler takes.
        scheduler: of diffusers; its timesteps are set here.
        noise: to begin with.
        num_steps: how often `predict` is asked.
        generator: on the CPU, for solvers that add noise.
        eta: of DDIM: 0 adds none, 1 as much as DDPM.
        first_step: steps before it are left out; `noise` then has latents in it, noised to that step's level.
        watch: sees, and may change, the latents after each step.
    """
    scheduler.set_timesteps(num_steps)
    options: dict[str, Any] = {"eta": eta} if type(scheduler).__name__ == "DDIMScheduler" else {}
    latents: Tensor = noise * scheduler.init_noise_sigma
    for step, timestep in enumerate(scheduler.timesteps[first_step:], first_step):
        told = timestep.expand(len(latents)).to(latents.device)
        predicted = predict(scheduler.scale_model_input(latents, timestep), told)
        latents = scheduler.step(predicted, timestep, latents, generator=generator, **options).prev_sample
        if watch is not None:
            latents = watch(step, latents)
    return latents
