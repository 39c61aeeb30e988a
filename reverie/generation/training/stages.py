"""What each stage of training learns, and its loss.

    vae     the autoencoder: reconstruction, and a little divergence from the normal distribution
    base    transition, UNet and prompts: the noise in the frames that are not given (none, one, or a context is given)
    cam     StreamingT2V's CAM on the frozen base: the chunk's first frames repeat the past
    add     what the paper compares CAM with: its features are added to the skips
    apm     its APM on the frozen base and CAM: an anchor from before the past
    lcm     a student of the base that needs few steps (`distillation`); rglcd: with a reward
    slow    the base again, on episodes that an adapter has stored (`slow_fast`)

All losses over noise are those of the model's prediction (`diffusion`), squared, with t drawn evenly. That of `base`
has the transition's beside it: its guess of the clean latents, squared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from reverie.generation.conditioning import Condition
from reverie.generation.diffusion import NUM_TIMESTEPS, Diffusion
from reverie.generation.training.films import Batch
from reverie.generation.world_model import WorldModel

_DIVERGENCE = 1e-6  # weight of the autoencoder's divergence
_SHARP = 0.05  # weight of the L1 loss of the picture's gradients
_GIVEN = {0: 0.3, 1: 0.1, 8: 0.6}  # frames given, and how often
_SHOWN = 16  # films in the picture of an autoencoder
_ANCHOR_LEFT_OUT = 0.05
_ANCHOR_FRAMES = 8  # the film's first frames, one of which is the anchor (APM is trained on films this much longer)


@dataclass(frozen=True, slots=True)
class Training:
    """What a stage's loss needs beside the batch."""

    model: WorldModel
    diffusion: Diffusion
    generator: torch.Generator
    helper: Any = None  # what a stage has beside the model: a student, episodes


class Example(NamedTuple):
    """What a loss over noise is of.

    Attributes:
        latents: (B, C, F, h, w) of films.
        condition: what is told of them.
        known: how many of the first frames are given.
    """

    latents: Tensor
    condition: Condition
    known: int


def vae_loss(training: Training, batch: Batch) -> Tensor:
    """Of single frames."""
    frames = batch.frames.transpose(1, 2).flatten(0, 1)
    posterior = training.model.vae.encode(frames).latent_dist
    noise = torch.randn(posterior.mean.shape, generator=training.generator).to(frames)
    rebuilt = training.model.vae.decode(posterior.mean + posterior.std * noise).sample
    edges = sum(nn.functional.l1_loss(rebuilt.diff(dim=axis), frames.diff(dim=axis)) for axis in (-1, -2))
    divergence = posterior.kl().mean()
    return torch.as_tensor(nn.functional.mse_loss(rebuilt, frames) + _SHARP * edges + _DIVERGENCE * divergence)


def noise_loss(training: Training, example: Example) -> Tensor:
    """Over the frames that are not given."""
    return _losses(training, example)[0]


def base_loss(training: Training, example: Example) -> Tensor:
    """That, and the guess of the same frames."""
    of_prediction, of_guess = _losses(training, example)
    return of_prediction + of_guess


def _losses(training: Training, example: Example) -> tuple[Tensor, Tensor]:
    latents, condition, known = example
    generator = training.generator
    timestep = torch.randint(NUM_TIMESTEPS, (len(latents),), generator=generator).to(latents.device)
    noise = torch.randn(latents.shape, generator=generator).to(latents)
    diffusion = training.diffusion
    noisy, target = diffusion.noised(latents, noise, timestep), diffusion.target(latents, noise, timestep)
    predicted, guess = training.model.predict_and_guess(noisy, timestep, condition)
    told = ((predicted, target), (guess, latents))
    of_prediction, of_guess = (nn.functional.mse_loss(made[:, :, known:], true[:, :, known:]) for made, true in told)
    return of_prediction, of_guess


def base_example(training: Training, batch: Batch) -> Example:
    """None, one or a context of the first frames is given."""
    drawn = torch.multinomial(torch.tensor(list(_GIVEN.values())), 1, generator=training.generator)
    known = list(_GIVEN)[int(drawn)]
    latents = encode_films(training.model, batch)
    given = latents[:, :, :known] if known else None
    condition = Condition(text=training.model.text(batch.prompts), actions=batch.actions, given=given)
    return Example(latents, condition, known)


def cam_example(training: Training, batch: Batch) -> Example:
    """The chunk's first frames repeat the past, which is told through CAM alone."""
    model = training.model
    past = batch.frames[:, :, : model.config.context_frames]
    condition = Condition(text=model.text(batch.prompts), actions=batch.actions, past=past)
    return Example(encode_films(model, batch), condition, 0)


def apm_example(training: Training, batch: Batch) -> Example:
    """The film is longer than a chunk by the frames of which one is the anchor."""
    model, size = training.model, len(batch.frames)
    chosen = torch.randint(_ANCHOR_FRAMES, (size,), generator=training.generator)
    anchor = batch.frames[torch.arange(size), :, chosen].clone()
    anchor[torch.rand(size, generator=training.generator) < _ANCHOR_LEFT_OUT] = 0
    chunk = Batch(batch.frames[:, :, _ANCHOR_FRAMES:], batch.actions[:, _ANCHOR_FRAMES:], batch.prompts)
    past = chunk.frames[:, :, : model.config.context_frames]
    told = model.text(batch.prompts)
    condition = Condition(text=told, actions=chunk.actions, past=past, anchor=model.look(anchor))
    return Example(encode_films(model, chunk), condition, 0)


def encode_films(model: WorldModel, batch: Batch) -> Tensor:
    """(B, C, F, h, w) latents."""
    with torch.no_grad():
        return model.encode(batch.frames)


@torch.no_grad()
def picture_of(training: Training, batch: Batch, example: Example | None) -> Tensor:
    """What is learnt, to look at: (3, H, W) in [0, 1], films above what the model makes of them.

    Of the autoencoder (no example): frames rebuilt. Else the first film, as it is told from noise at three fifths.
    """
    model = training.model
    if example is None:
        frames = batch.frames[:_SHOWN].transpose(0, 2)
        made = model.decode(model.encode(frames))
    else:
        latents, condition, known = example
        at = torch.full((len(latents),), 3 * NUM_TIMESTEPS // 5, device=latents.device)
        noise = torch.randn(latents.shape, generator=training.generator).to(latents)
        noisy = training.diffusion.noised(latents, noise, at)
        ending = training.diffusion.clean(noisy, model.predict(noisy, at, condition), at)
        frames = model.decode(latents[:1])
        made = model.decode(torch.cat([latents[:1, :, :known], ending[:1, :, known:]], dim=2))
    rows = [video[0].permute(0, 2, 1, 3).flatten(2) for video in (frames, made)]
    return ((torch.cat(rows, dim=1) + 1) / 2).clamp(0, 1).cpu()
