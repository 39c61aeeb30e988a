"""A noise schedule, and what a network predicts under it.

    z_t = sqrt(a_t) z + sqrt(1 - a_t) e,    t from 0 (clean) to T - 1

`noise`: the network predicts e, under Stable Diffusion's schedule, as the published video models of its family do. At
its end a_t is 0.005: enough of z is left for a network to read a small video's colours from it, and noise alone, from
which sampling begins, then says colours that nobody asked for.

`velocity`: it predicts v = sqrt(a_t) e - sqrt(1 - a_t) z (Salimans and Ho 2022) under the same schedule, shifted so
that nothing of z is left at its end (Lin et al. 2023).

Shapes: latents (B, C, F, H, W), timesteps (B,).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from reverie.generation.networks import build_scheduler

NUM_TIMESTEPS = 1000
Prediction = Literal["noise", "velocity"]
Solver = Literal["ddim", "lcm"]
Latents = Float[Tensor, "b c f h w"]
Timesteps = Int64[Tensor, "b"]
_SCHEDULE = {
    "num_train_timesteps": NUM_TIMESTEPS, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
    "clip_sample": False,  # latents of deviation 1 go well beyond it
}  # fmt: skip
_PREDICTIONS: dict[Prediction, dict[str, Any]] = {
    "noise": {"prediction_type": "epsilon"},
    "velocity": {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True},
}
_SOLVERS: dict[Solver, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {"timestep_spacing": "trailing"}),  # a chunk begins from noise alone
    "lcm": ("LCMScheduler", {"original_inference_steps": 50}),
}


class Diffusion:
    """What a model was trained under."""

    def __init__(self, prediction: Prediction) -> None:
        self.prediction = prediction

    def scheduler(self, solver: Solver = "ddim") -> Any:
        """A way through the schedule, of diffusers."""
        name, options = _SOLVERS[solver]
        return build_scheduler(name, **_SCHEDULE, **_PREDICTIONS[self.prediction], **options)

    @cached_property
    def alphas(self) -> Float[Tensor, "t"]:
        """a_t of every timestep."""
        return torch.as_tensor(self.scheduler().alphas_cumprod)

    def noised(self, latents: Latents, noise: Latents, at: Timesteps) -> Latents:
        """z_t."""
        alpha = self._alpha(at, latents)
        return alpha.sqrt() * latents + (1 - alpha).sqrt() * noise

    def target(self, latents: Latents, noise: Latents, at: Timesteps) -> Latents:
        """What is to be predicted."""
        if self.prediction == "noise":
            return noise
        alpha = self._alpha(at, latents)
        return alpha.sqrt() * noise - (1 - alpha).sqrt() * latents

    def clean(self, noisy: Latents, predicted: Latents, at: Timesteps) -> Latents:
        """z, as a prediction has it."""
        alpha = self._alpha(at, noisy)
        if self.prediction == "noise":
            return (noisy - (1 - alpha).sqrt() * predicted) / alpha.sqrt()
        return alpha.sqrt() * noisy - (1 - alpha).sqrt() * predicted

    def noise(self, noisy: Latents, predicted: Latents, at: Timesteps) -> Latents:
        """e, as a prediction has it."""
        if self.prediction == "noise":
            return predicted
        alpha = self._alpha(at, noisy)
        return (1 - alpha).sqrt() * noisy + alpha.sqrt() * predicted

    def signal(self, at: Timesteps) -> Float[Tensor, "b"]:
        """sqrt(a_t): how much of z is left."""
        return self.alphas.to(at.device)[at].sqrt()

    def _alpha(self, at: Timesteps, like: Latents) -> Float[Tensor, "b 1 1 1 1"]:
        return self.alphas.to(like)[at].reshape(-1, 1, 1, 1, 1)
