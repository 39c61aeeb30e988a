"""What each stage of training learns, and its loss.

    vae     the autoencoder: reconstruction, and a little divergence from the normal distribution
    base    UNet and prompts: the noise in the frames that are not given (none, one, or a context is given)
    cam     StreamingT2V's CAM on the frozen base: the chunk's first frames repeat the past
    apm     its APM on the frozen base and CAM: an anchor from before the past

All losses over noise are |e - e(z_t, t)|^2 with t drawn evenly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reverie.generation.training.films import Batch
from reverie.generation.world_model import Condition, WorldModel

_DIVERGENCE = 1e-6  # weight of the autoencoder's divergence
_SHARP = 0.5  # weight of the L1 loss of the picture's gradients
_GIVEN = {0: 0.5, 1: 0.1, 8: 0.4}  # frames given, and how often
_ANCHOR_LEFT_OUT = 0.05
_ANCHOR_FRAMES = 8  # the film's first frames, one of which is the anchor (APM is trained on films this much longer)


@dataclass(frozen=True, slots=True)
class Training:
    """What a stage's loss needs beside the batch."""

    model: WorldModel
    add_noise: Callable[[Tensor, Tensor, Tensor], Tensor]
    num_timesteps: int
    generator: torch.Generator


def vae_loss(training: Training, batch: Batch) -> Tensor:
    """Of single frames."""
    frames = batch.frames.transpose(1, 2).flatten(0, 1)
    posterior = training.model.vae.encode(frames).latent_dist
    noise = torch.randn(posterior.mean.shape, generator=training.generator).to(frames)
    rebuilt = training.model.vae.decode(posterior.mean + posterior.std * noise).sample
    edges = sum(nn.functional.l1_loss(rebuilt.diff(dim=axis), frames.diff(dim=axis)) for axis in (-1, -2))
    divergence = posterior.kl().mean()
    return torch.as_tensor(nn.functional.l1_loss(rebuilt, frames) + _SHARP * edges + _DIVERGENCE * divergence)


def base_loss(training: Training, batch: Batch) -> Tensor:
    """Over the frames that are not given."""
    drawn = torch.multinomial(torch.tensor(list(_GIVEN.values())), 1, generator=training.generator)
    known = list(_GIVEN)[int(drawn)]
    latents = _encode(training.model, batch)
    condition = Condition(
        text=training.model.text(batch.prompts), actions=batch.actions, given=latents[:, :, :known] if known else None
    )
    return _noise_loss(training, latents, condition, known)


def cam_loss(training: Training, batch: Batch) -> Tensor:
    """The chunk's first frames repeat the past, which is told through CAM alone."""
    model = training.model
    past = batch.frames[:, :, : model.config.context_frames]
    condition = Condition(text=model.text(batch.prompts), actions=batch.actions, past=past)
    return _noise_loss(training, _encode(model, batch), condition)


def apm_loss(training: Training, batch: Batch) -> Tensor:
    """The film is longer than a chunk by the frames of which one is the anchor."""
    model, size = training.model, len(batch.frames)
    chosen = torch.randint(_ANCHOR_FRAMES, (size,), generator=training.generator)
    anchor = batch.frames[torch.arange(size), :, chosen].clone()
    anchor[torch.rand(size, generator=training.generator) < _ANCHOR_LEFT_OUT] = 0
    chunk = Batch(batch.frames[:, :, _ANCHOR_FRAMES:], batch.actions[:, _ANCHOR_FRAMES:], batch.prompts)
    past = chunk.frames[:, :, : model.config.context_frames]
    condition = Condition(text=model.text(batch.prompts), actions=chunk.actions, past=past, anchor=anchor)
    return _noise_loss(training, _encode(model, chunk), condition)


def _encode(model: WorldModel, batch: Batch) -> Tensor:
    with torch.no_grad():
        return model.encode(batch.frames)


def _noise_loss(training: Training, latents: Tensor, condition: Condition, known: int = 0) -> Tensor:
    generator = training.generator
    timestep = torch.randint(training.num_timesteps, (len(latents),), generator=generator).to(latents.device)
    noise = torch.randn(latents.shape, generator=generator).to(latents)
    predicted = training.model.predict(training.add_noise(latents, noise, timestep), timestep, condition)
    return nn.functional.mse_loss(predicted[:, :, known:], noise[:, :, known:])
