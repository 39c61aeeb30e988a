"""A latent model behind a session: how one chunk follows from the last, in the ways that can be compared.

    none      every chunk from noise, on its own: the floor
    concat    the last latents are given, clean, and the UNet goes on with them (masked conditional denoising)
    cam       StreamingT2V: the last frames through the conditional attention module; they are made again and dropped
    vidrd     reuse and diffuse: the last chunk's noise and trajectory

With `anchor` an early frame is told to every chunk (APM), with `lora` the temporal attentions learn each chunk. The
first chunk comes from noise, from a related frame's noised latent, or goes on from frames that are given.

What is kept of a session: the last chunk's latents and frames, the anchor, VidRD's noise and trajectory, the adapter
with its optimiser, and the state of the random numbers. Memory does not grow with the video.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Literal, Protocol, Self

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveInt
from torch import Tensor

from reverie.errors import UsageError
from reverie.generation import vidrd
from reverie.generation.chunks import Beginning, State, Steering
from reverie.generation.conditioning import Condition
from reverie.generation.diffusion import Diffusion, Solver
from reverie.generation.guidance import guide
from reverie.generation.networks import UNet
from reverie.generation.sampling import Latents, Predict, sample
from reverie.generation.temporal_lora import LoraState, TemporalLora, TemporalLoraConfig, trajectory_loss
from reverie.generation.world_model import NO_ACTION, action_indices, to_frames, to_tensor

Way = Literal["none", "concat", "cam", "vidrd"]
_LORA, _ADAM = "lora.", "adam."


class LatentChunksConfig(BaseModel):
    """How chunks are made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    way: Way = "concat"
    anchor: bool = False
    lora: TemporalLoraConfig | None = None
    num_steps: PositiveInt = 10
    text_scale: NonNegativeFloat = 2.0
    anchor_scale: NonNegativeFloat = 1.5
    solver: Solver = "ddim"
    eta: float = Field(0.0, ge=0, le=1, description="Of DDIM: 0 adds no noise on the way, 1 as much as DDPM.")


class LatentModel(Protocol):
    """What chunks are sampled with: an autoencoder, a text encoder, and a UNet with its CAM and APM."""

    unet: UNet

    @property
    def diffusion(self) -> Diffusion: ...
    @property
    def chunk_frames(self) -> int: ...
    @property
    def context_frames(self) -> int: ...
    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        ...

    @property
    def text(self) -> Callable[..., Tensor]:
        """Prompts to (B, N, D)."""
        ...

    @property
    def look(self) -> Callable[..., Tensor]:
        """(B, 3, H, W) frames in [-1, 1] to what APM is told of an anchor, (B, E)."""
        ...

    def encode(self, frames: Tensor) -> Latents: ...
    def decode(self, latents: Latents) -> Tensor: ...
    def predict(self, noisy: Latents, timestep: Tensor, condition: Condition) -> Latents: ...
    def to(self, device: torch.device) -> Self: ...


class LatentChunks(ABC):
    """Chunks of a latent model. What it can be told, and how fast and large its frames are, its own class says.

    Args:
        model: on the CPU; moved to the device.
        config: how chunks are made.
        device: "cpu", "cuda", "cuda:1".
    """

    name: str
    rate_hz: float
    size: tuple[int, int]
    actions: tuple[str, ...] = ()

    def __init__(self, model: LatentModel, config: LatentChunksConfig | None = None, device: str = "cpu") -> None:
        self._device = torch.device(device)
        self._model, self._config = model.to(self._device), config or LatentChunksConfig()
        self._lora = TemporalLora(model.unet, self._config.lora) if self._config.lora else None

    @cached_property
    def _null(self) -> Tensor:
        return self._model.text([""])

    @cached_property
    def _nobody(self) -> Tensor:
        """What an anchor that is left out looks like: grey."""
        return self._model.look(torch.zeros(1, 3, *self.size, device=self._device))

    def num_new(self, state: State) -> int:
        return self._model.chunk_frames - (self._overlap if "latents" in state else 0)

    @property
    def _overlap(self) -> int:
        """Frames of a chunk that repeat the last one."""
        return {"none": 0, "vidrd": vidrd.OVERLAP_FRAMES}.get(self._config.way, self._model.context_frames)

    @abstractmethod
    def check(self, steering: Steering) -> None: ...

    @abstractmethod
    def understood(self, text: str) -> str: ...

    @abstractmethod
    def check_frames(self, frames: UInt8[ndarray, "t h w 3"]) -> None: ...

    @torch.no_grad()
    def adapter_of(self, frames: UInt8[ndarray, "t h w 3"]) -> State | None:
        if self._lora is None:
            return None
        self._lora.reset()
        chosen = np.linspace(0, len(frames) - 1, self._model.chunk_frames).round().astype(int)
        latents = self._model.encode(to_tensor(frames[chosen])[None].to(self._device))
        self._learn(self._lora, latents, self._model.context_frames, torch.Generator().manual_seed(0))
        return packed(self._lora.snapshot())

    @torch.no_grad()
    def begin(self, seed: int, beginning: Beginning) -> State:
        state = {"random": torch.Generator().manual_seed(seed).get_state(), "chunks": torch.tensor(0)}
        if beginning.anchor is not None:
            state["anchor"] = to_tensor(beginning.anchor[None])[None, :, 0].to(self._device)
        if beginning.first is not None:
            frames = beginning.first[-self._model.chunk_frames :]
            before = np.repeat(frames[:1], self._model.chunk_frames - len(frames), axis=0)  # it stood still
            state["frames"] = to_tensor(np.concatenate([before, frames]))[None].to(self._device)
            state["latents"] = self._model.encode(state["frames"])
            state["actions"] = torch.full((1, self._model.chunk_frames), NO_ACTION, device=self._device)
        if beginning.related is not None:
            if not 0 < beginning.strength <= 1:
                raise UsageError(f"a strength of {beginning.strength} is none: give one above 0, up to 1")
            shown = to_tensor(beginning.related[None])[None].to(self._device)
            state["related"] = self._model.encode(shown)
            state["strength"] = torch.tensor(beginning.strength)
        if self._lora is not None:
            self._lora.reset()
            state |= packed(self._lora.snapshot())
        if beginning.adapter is not None:
            state |= beginning.adapter
        return state

    @torch.no_grad()
    def extend(self, state: State, steering: Steering) -> tuple[UInt8[ndarray, "t h w 3"], State]:
        generator = torch.Generator()
        generator.set_state(state["random"].cpu())
        state = {name: tensor.to(self._device) for name, tensor in state.items()}
        after = dict(state)
        if self._lora is not None:
            self._lora.load(unpacked(state, self._lora.snapshot()))
        condition, overlap = self._condition(state, steering)
        latents = self._sampled(condition, state, after, generator)
        if condition.given is not None:
            latents = torch.cat([condition.given, latents[:, :, overlap:]], dim=2)
        frames = self._model.decode(latents)
        if "latents" in state:  # what is repeated was decoded before
            frames = torch.cat([state["frames"][:, :, state["frames"].shape[2] - overlap :], frames[:, :, overlap:]], 2)
        chunks = int(state["chunks"])
        if self._lora is not None and self._learns(chunks):
            self._learn(self._lora, latents, overlap, generator)
            after |= packed(self._lora.snapshot())
        after["chunks"] = torch.tensor(chunks + 1)
        if self._config.anchor and "anchor" not in state:
            after["anchor"] = frames[:, :, 0]
        after |= {"latents": latents, "frames": frames, "actions": condition.actions, "random": generator.get_state()}
        return to_frames(frames[0])[overlap:], after

    def _condition(self, state: State, steering: Steering) -> tuple[Condition, int]:
        """What the next chunk is told, and how many of its frames repeat the last one's."""
        overlap = self._overlap if "latents" in state else 0
        new = action_indices(steering.actions) or [NO_ACTION] * self.num_new(state)
        actions = torch.tensor([new], device=self._device)
        if "actions" in state and overlap:
            actions = torch.cat([state["actions"][:, -overlap:], actions], dim=1)
        way = self._config.way if overlap else "none"
        return Condition(
            text=self._model.text([steering.prompt]),
            actions=actions,
            given=state["latents"][:, :, -overlap:] if way == "concat" else None,
            past=state["frames"][:, :, -overlap:] if way == "cam" else None,
            anchor=self._model.look(state["anchor"]) if self._config.anchor and "anchor" in state else None,
        ), overlap

    def _sampled(
        self, condition: Condition, state: State, after: dict[str, Tensor], generator: torch.Generator
    ) -> Latents:
        """A chunk's latents. VidRD leaves its noise and trajectory in the state after."""
        channels, height, width = self._model.latent_shape
        noise = torch.randn(1, channels, self._model.chunk_frames, height, width, generator=generator).to(self._device)
        watch = None
        if self._config.way == "vidrd":
            trajectory: list[Tensor] = []
            past = state.get("trajectory")
            if past is not None:
                noise = vidrd.next_noise(state["noise"], generator)

            def watch(step: int, latents: Latents) -> Latents:
                held = latents if past is None else vidrd.hold_to_past(latents, list(past), step)
                trajectory.append(held)
                return held

        scheduler, first_step = self._model.diffusion.scheduler(self._config.solver), 0
        if "related" in state and "latents" not in state:
            scheduler.set_timesteps(self._config.num_steps)
            skipped = round((1 - float(state["strength"])) * self._config.num_steps)
            first_step = min(skipped, self._config.num_steps - 1)
            at = scheduler.timesteps[first_step : first_step + 1]
            noise = self._model.diffusion.noised(state["related"].expand_as(noise), noise, at)
        latents = sample(
            self._guided(condition), scheduler, noise, self._config.num_steps, generator=generator, watch=watch,
            first_step=first_step, eta=self._config.eta,
        )  # fmt: skip
        if watch is not None:
            after |= {"noise": noise, "trajectory": torch.stack(trajectory)}
        return latents

    def _guided(self, condition: Condition) -> Predict:
        """The guided prediction: without a condition, with the text, and, where there is an anchor, with both.

        A student was distilled from a guided base: at a text scale of 1 it is asked once.
        """
        if self._config.text_scale == 1 and condition.anchor is None:
            return lambda latents, timestep: self._model.predict(latents, timestep.expand(len(latents)), condition)
        rows = 2 if condition.anchor is None else 3
        every = replace(
            condition,
            text=torch.cat([self._null, *[condition.text] * (rows - 1)]),
            actions=condition.actions.expand(rows, -1),
            given=None if condition.given is None else condition.given.expand(rows, -1, -1, -1, -1),
            past=None if condition.past is None else condition.past.expand(rows, -1, -1, -1, -1),
            anchor=None if condition.anchor is None else torch.cat([self._nobody, self._nobody, condition.anchor]),
        )

        def predict(latents: Latents, timestep: Tensor) -> Latents:
            predicted = self._model.predict(latents.expand(rows, -1, -1, -1, -1), timestep.expand(rows), every)
            told = self._config
            return guide(*predicted.chunk(rows), text_scale=told.text_scale, anchor_scale=told.anchor_scale)

        return predict

    def _learns(self, chunks: int) -> bool:
        most = self._config.lora.learns_chunks if self._config.lora else 0
        return most is None or chunks < most

    def _learn(self, lora: TemporalLora, latents: Latents, known: int, generator: torch.Generator) -> None:
        """The adapter learns a chunk with its context (the first `known` frames), without text or action."""
        nothing = torch.full_like(latents[:, 0, :, 0, 0], NO_ACTION).long()
        known = known if lora.config.form == "input-output" else 0
        condition = Condition(text=self._null, actions=nothing, given=latents[:, :, :known] if known else None)
        lora.learn(
            lambda: trajectory_loss(
                lambda noisy, timestep: self._model.predict(noisy, timestep, condition),
                self._model.diffusion, latents, generator, known,
            )
        )  # fmt: skip


def packed(learnt: LoraState) -> dict[str, Tensor]:
    """An adapter's state as named tensors."""
    tensors = {f"{_LORA}{name}": tensor for name, tensor in learnt.weights.items()}
    for index, moments in learnt.optimizer["state"].items():
        tensors |= {f"{_ADAM}{index}.{name}": tensor for name, tensor in moments.items()}
    return tensors


def unpacked(state: State, like: LoraState) -> LoraState:
    """An adapter's state from named tensors; what is no tensor (rates) is taken from another one."""
    weights = {name: state[f"{_LORA}{name}"] for name in like.weights}
    moments: dict[int, dict[str, Tensor]] = {}
    for key, tensor in state.items():
        if key.startswith(_ADAM):
            index, name = key.removeprefix(_ADAM).split(".")
            moments.setdefault(int(index), {})[name] = tensor
    return LoraState(weights, {**like.optimizer, "state": moments})
