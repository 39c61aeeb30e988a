"""The fast half of SlowFast-VGen (Hong et al. 2024, section 3.3): a session, written into a low-rank adapter.

A context of a chunk or two forgets what left it. So after every chunk the temporal attentions learn it: the latents
of the context and of the chunk, z' = past + new, are noised as a whole at one timestep, and an adapter of low rank
takes a step down |e - e(z'_t, t)|^2 (for a model that predicts velocities, of those). No text and no action is told: it
is the session's trajectory that is learnt, not the answer to a prompt. The latents are those that were sampled; nothing
is decoded and encoded again.

`TemporalLora` holds one adapter for a UNet; a session has a `LoraState` (weights and the optimiser's moments) that is
loaded for its turn. Two sessions on one UNet therefore share nothing, and a state can be kept beside a video.

The paper leaves open which layers, what alpha and how many steps; here they are options. It gives rank 32 and Adam at
1e-4.

Shapes: latents (B, C, F, H, W).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from reverie.generation.diffusion import NUM_TIMESTEPS, Diffusion
from reverie.generation.networks import UNet

TEMPORAL_ATTENTION = r".*(temp_attentions|transformer_in).*\.(to_q|to_k|to_v|to_out\.0)"
_NAME = "session"
Latents = Float[Tensor, "b c f h w"]


class TemporalLoraConfig(BaseModel):
    """Options of the adapter and of its learning."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: PositiveInt = 32
    alpha: PositiveInt = 32
    targets: str = TEMPORAL_ATTENTION
    learning_rate: PositiveFloat = 1e-4
    steps: PositiveInt = 1
    keep_moments: bool = True  # Adam's, from chunk to chunk
    form: Literal["trajectory", "input-output"] = Field(
        "trajectory", description="All is noised, as the paper has it; or the context is clean and the rest noised."
    )
    learns_chunks: NonNegativeInt | None = Field(None, description="How many of the first chunks it learns; null: all.")


@dataclass(frozen=True, slots=True)
class LoraState:
    """What a session has learnt: named tensors, and the optimiser's state."""

    weights: dict[str, Tensor]
    optimizer: dict[str, Any]


class TemporalLora:
    """One adapter in the temporal attentions of a UNet.

    Args:
        unet: changed in place: its targeted layers get an adapter, which changes nothing until it has learnt.
        config: options.
        seed: of the adapter's random half.
    """

    def __init__(self, unet: UNet, config: TemporalLoraConfig | None = None, seed: int = 0) -> None:
        from peft import LoraConfig, inject_adapter_in_model

        self._unet, self.config = unet, config or TemporalLoraConfig()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            told = LoraConfig(r=self.config.rank, lora_alpha=self.config.alpha, target_modules=self.config.targets)
            inject_adapter_in_model(told, unet, adapter_name=_NAME)
        self._parameters = {name: p for name, p in unet.named_parameters() if f".{_NAME}." in name}
        if not self._parameters:
            raise ValueError(f"no layer of the UNet is called {self.config.targets!r}")
        self._optimizer = torch.optim.Adam(self._parameters.values(), lr=self.config.learning_rate)
        self.fresh = self.snapshot()

    def snapshot(self) -> LoraState:
        """A copy of what was learnt so far."""
        weights = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}
        return LoraState(weights, deepcopy(self._optimizer.state_dict()))

    def load(self, state: LoraState) -> None:
        """Go on from a snapshot.

        Raises:
            ValueError: it is of an adapter with other layers or of another rank.
        """
        shapes = {name: tensor.shape for name, tensor in state.weights.items()}
        if shapes != {name: parameter.shape for name, parameter in self._parameters.items()}:
            raise ValueError("the snapshot is of an adapter with other layers or of another rank")
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(state.weights[name])
        self._optimizer.load_state_dict(deepcopy(state.optimizer))

    def reset(self) -> None:
        """Forget all: the UNet predicts as without an adapter."""
        self.load(self.fresh)

    def learn(self, loss: Callable[[], Tensor]) -> list[float]:
        """Take the configured number of steps down a loss, which is drawn anew for each; gives its values.

        Only the adapter changes, whatever else of the UNet could be trained.
        """
        if not self.config.keep_moments:
            self._optimizer.load_state_dict(deepcopy(self.fresh.optimizer))
        values = []
        for _ in range(self.config.steps):
            with torch.enable_grad():
                value = loss()
                gradients = torch.autograd.grad(value, list(self._parameters.values()))
            for parameter, gradient in zip(self._parameters.values(), gradients, strict=True):
                parameter.grad = gradient
            self._optimizer.step()
            self._optimizer.zero_grad()
            values.append(float(value.detach()))
        return values

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """The UNet predicts as if there were no adapter, to the last bit."""
        layers = [module for module in self._unet.modules() if hasattr(module, "enable_adapters")]
        try:
            for layer in layers:
                layer.enable_adapters(False)
            yield
        finally:
            for layer in layers:
                layer.enable_adapters(True)
            for parameter in self._parameters.values():
                parameter.requires_grad_(True)


def trajectory_loss(
    predict: Callable[[Latents, Tensor], Latents],
    diffusion: Diffusion,
    trajectory: Latents,
    generator: torch.Generator,
    known: int = 0,
) -> Tensor:
    """The local objective: all of the trajectory is noised, and its noise predicted, without text or action.

    Args:
        predict: noisy latents and a timestep to what is predicted.
        diffusion: what the network was trained under.
        trajectory: the context and the chunk that was made of it.
        generator: on the CPU.
        known: first frames that are not counted (the other form: `predict` is given them).
    """
    timestep = torch.randint(NUM_TIMESTEPS, (len(trajectory),), generator=generator).to(trajectory.device)
    noise = torch.randn(trajectory.shape, generator=generator).to(trajectory)
    predicted = predict(diffusion.noised(trajectory, noise, timestep), timestep)
    target = diffusion.target(trajectory, noise, timestep)
    return nn.functional.mse_loss(predicted[:, :, known:], target[:, :, known:])
