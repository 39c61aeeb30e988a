"""Denoising loops: from noise to latents with a scheduler of diffusers.

A chunk is sampled by DDIM (Song et al. 2021) with a few to fifty steps, or by LCM (Luo et al. 2023) with one to eight
from a distilled model. `watch` sees the latents after each step: VidRD keeps them, and replaces some of them.

Shapes: latents (B, C, F, H, W).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from reverie.generation.networks import build_scheduler

Solver = Literal["ddim", "lcm"]
NUM_TIMESTEPS = 1000
_SCHEDULE = {
    "num_train_timesteps": NUM_TIMESTEPS, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
    "clip_sample": False,  # latents of deviation 1 go well beyond it
}  # fmt: skip
_SOLVERS: dict[Solver, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {"timestep_spacing": "trailing"}),  # a chunk begins from noise alone
    "lcm": ("LCMScheduler", {"original_inference_steps": 50}),
}
Latents = Float[Tensor, "b c f h w"]
Predict = Callable[[Latents, Tensor], Latents]  # noisy latents and a timestep to the noise in them
Watch = Callable[[int, Latents], Latents]  # step (from 0) and the latents after it, to those to go on with


def world_scheduler(solver: Solver = "ddim") -> Any:
    """The noise schedule that the small model is trained with, and a way through it."""
    name, options = _SOLVERS[solver]
    return build_scheduler(name, **_SCHEDULE, **options)


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
        predict: the noise in latents.
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
