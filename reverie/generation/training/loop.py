"""The training loop: accelerate for devices and precision, an average of weights, and steps that can be resumed.

A run is a folder: `state/` (all that is needed to go on), `world.safetensors` (the averaged weights, ready for use),
`log.jsonl` (a line every few steps) and TensorBoard's events with pictures. Cut off at any time, it goes on from its
last saved state; what a step sees depends on the seed and its number alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor

from reverie.generation import checkpoint
from reverie.generation.networks import build_ema, build_scheduler
from reverie.generation.training.films import Batch, batch_of
from reverie.generation.training.stages import Training, apm_loss, base_loss, cam_loss, vae_loss
from reverie.generation.world_model import WorldModel

Progress = Callable[[str], None]


class StageConfig(BaseModel):
    """How one stage is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: PositiveInt
    batch: PositiveInt
    frames: PositiveInt
    learning_rate: PositiveFloat
    warmup: NonNegativeInt = 100


STAGES: dict[str, tuple[Callable[[Training, Batch], Tensor], tuple[str, ...], StageConfig]] = {
    "vae": (vae_loss, ("vae",), StageConfig(steps=4000, batch=64, frames=1, learning_rate=1e-3)),
    "base": (base_loss, ("unet", "text"), StageConfig(steps=40000, batch=16, frames=16, learning_rate=3e-4)),
    "cam": (cam_loss, ("cam",), StageConfig(steps=10000, batch=16, frames=16, learning_rate=2e-4)),
    "apm": (apm_loss, ("apm", "look"), StageConfig(steps=4000, batch=16, frames=24, learning_rate=2e-4)),
}
NUM_TIMESTEPS = 1000
_STATE = "state.pt"
_CLIP = 1.0
_DECAY = 0.999
_LOG_EVERY = 50
_SCALE_SEED, _SCALE_FILMS = 1_000_000_007, 256
_SEED_OF = {name: index for index, name in enumerate(STAGES)}


def train(
    stage: str,
    folder: Path,
    *,
    start: Path | None = None,
    config: StageConfig | None = None,
    seed: int = 0,
    max_s: float = float("inf"),
    save_every_s: float = 300.0,
    progress: Progress = lambda line: None,
) -> int:
    """Train one stage, or go on with it.

    Args:
        stage: one of `STAGES`.
        folder: of the run; begun anew if it holds no state.
        start: weights to begin with; those of the stages before.
        config: steps, batch, rate; the stage's own without it.
        seed: of films, noise and first weights.
        max_s: stop (and save) after so many seconds.
        save_every_s: between saved states.
        progress: told a line now and then.

    Returns:
        How many steps have been trained in all; the stage is done when these are the configured ones.
    """
    from accelerate import Accelerator
    from torch.utils.tensorboard import SummaryWriter

    loss_of, names, default = STAGES[stage]
    config = config or default
    torch.manual_seed(seed)
    model = checkpoint.load(start) if start else WorldModel()
    if stage == "cam":
        model.cam.extractor.copy_from(model.unet)  # a run that goes on then gets its own weights back
    accelerator = Accelerator()
    parts = [getattr(model, name) for name in names]
    trained = [parameter for part in parts for parameter in part.requires_grad_(True).parameters()]
    optimizer = torch.optim.AdamW(trained, lr=config.learning_rate, weight_decay=1e-4)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / (config.warmup + 1), 1.0))
    model.to(accelerator.device)
    optimizer = accelerator.prepare(optimizer)
    average = build_ema(trained, decay=_DECAY)
    average.to(accelerator.device)
    add_noise = build_scheduler("DDIMScheduler", num_train_timesteps=NUM_TIMESTEPS).add_noise
    folder.mkdir(parents=True, exist_ok=True)
    step = _resume(folder / _STATE, trained, optimizer, rate, average)
    started = saved = time.monotonic()
    with SummaryWriter(str(folder)) as board, (folder / "log.jsonl").open("a") as log:
        while step < config.steps and time.monotonic() - started < max_s:
            generator = torch.Generator().manual_seed(seed * 1_000_003 + step * len(STAGES) + _SEED_OF[stage])
            batch = batch_of(seed * len(STAGES) + _SEED_OF[stage], step, config.batch, config.frames)
            training = Training(model, add_noise, NUM_TIMESTEPS, generator)
            with accelerator.autocast():
                loss = loss_of(training, batch.to(accelerator.device))
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(trained, _CLIP)
            optimizer.step()
            rate.step()
            optimizer.zero_grad()
            average.step(trained)
            step += 1
            if step % _LOG_EVERY == 0 or step == config.steps:
                line: dict[str, Any] = {"stage": stage, "step": step, "loss": round(float(loss.detach()), 5)}
                log.write(json.dumps(line) + "\n")
                log.flush()
                board.add_scalar(f"{stage}/loss", line["loss"], step)
                progress(f"{stage} {step} of {config.steps}: loss {line['loss']}")
            if time.monotonic() - saved > save_every_s:
                _keep(folder / _STATE, step, trained, optimizer, rate, average)
                saved = time.monotonic()
    _keep(folder / _STATE, step, trained, optimizer, rate, average)
    average.copy_to(trained)
    if stage == "vae":
        model.config = model.config.model_copy(update={"latent_scale": _latent_scale(model)})
    checkpoint.save(model, folder / "world.safetensors", {"seed": str(seed), f"{stage}_steps": str(step)})
    return step


def _keep(path: Path, step: int, trained: list[Tensor], *parts: Any) -> None:
    """All that is needed to go on; the last one stays until the new one is whole."""
    state = {"step": step, "weights": [tensor.detach().cpu() for tensor in trained]}
    torch.save({**state, "parts": [part.state_dict() for part in parts]}, path.with_suffix(".partial"))
    path.with_suffix(".partial").replace(path)


def _resume(path: Path, trained: list[Tensor], *parts: Any) -> int:
    """The step that a run is at, its state loaded; 0 for a new one."""
    if not path.is_file():
        return 0
    state = torch.load(path, map_location=trained[0].device, weights_only=True)
    with torch.no_grad():
        for tensor, kept in zip(trained, state["weights"], strict=True):
            tensor.copy_(kept)
    for part, kept in zip(parts, state["parts"], strict=True):
        part.load_state_dict(kept)
    return int(state["step"])


def _latent_scale(model: WorldModel) -> float:
    """What brings the autoencoder's latents to a deviation of 1."""
    with torch.no_grad():
        latents = model.encode(batch_of(_SCALE_SEED, 0, _SCALE_FILMS, 1).frames.to(next(model.parameters()).device))
    return float(model.config.latent_scale / latents.std())
