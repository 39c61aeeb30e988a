"""The training loop: accelerate for devices and precision, an average of weights, and steps that can be resumed.

A run is a folder: `state.pt` (all that is needed to go on), `world.safetensors` (the averaged weights, ready for use;
of a student `student.safetensors`, its adapter alone), `log.jsonl` (a line every few steps) and TensorBoard's events
with pictures. Cut off at any time, it goes on from its last saved state; what a step sees depends on the seed and its
number alone. (But a student's target, and what the slow-fast loop has stored, then begin anew.)
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt
from safetensors.torch import save_file
from torch import Tensor

from reverie.generation import checkpoint
from reverie.generation.networks import build_ema
from reverie.generation.student import Student
from reverie.generation.training.distillation import lcm_loss, rglcd_loss
from reverie.generation.training.films import Batch, batch_of
from reverie.generation.training.slow_fast import Episodes, slow_example
from reverie.generation.training.stages import (
    Example,
    Training,
    apm_example,
    base_example,
    base_loss,
    cam_example,
    noise_loss,
    picture_of,
    vae_loss,
)
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
    cooldown: float = Field(0.2, ge=0, lt=1, description="The last share of all steps, in which the rate falls to 0.")

    def rate_at(self, step: int) -> float:
        """The share of the learning rate that a step (counted from 0) is trained with."""
        falling = max(self.cooldown * self.steps, 1.0)
        return min((step + 1) / (self.warmup + 1), (self.steps - step) / falling, 1.0)


class Stage(NamedTuple):
    """What is learnt, and how.

    Attributes:
        parts: of the model, that are trained.
        config: of its training if nobody says otherwise.
        example: what its loss is of; None: single frames, for the autoencoder.
        loss: over noise.
        helper: what it has beside the model.
    """

    parts: tuple[str, ...]
    config: StageConfig
    example: Callable[[Training, Batch], Example] | None
    loss: Callable[[Training, Example], Tensor] = noise_loss
    helper: Literal["none", "student", "episodes"] = "none"


STAGES = {
    "vae": Stage(("vae",), StageConfig(steps=4000, batch=64, frames=1, learning_rate=1e-3), None),
    "base": Stage(
        ("transition", "unet", "text"),
        StageConfig(steps=40000, batch=16, frames=16, learning_rate=1e-3),
        base_example,
        base_loss,
    ),
    "cam": Stage(("cam",), StageConfig(steps=10000, batch=16, frames=16, learning_rate=2e-4), cam_example),
    "add": Stage(("cam",), StageConfig(steps=10000, batch=16, frames=16, learning_rate=2e-4), cam_example),
    "apm": Stage(("apm", "look"), StageConfig(steps=4000, batch=16, frames=24, learning_rate=2e-4), apm_example),
    "lcm": Stage(
        (), StageConfig(steps=4000, batch=8, frames=16, learning_rate=2e-4), base_example, lcm_loss, "student"
    ),
    "rglcd": Stage(
        (), StageConfig(steps=4000, batch=8, frames=16, learning_rate=2e-4), base_example, rglcd_loss, "student"
    ),
    "slow": Stage(
        ("unet",), StageConfig(steps=4000, batch=1, frames=1, learning_rate=2e-5), slow_example, helper="episodes"
    ),
}
_STATE, STUDENT = "state.pt", "student.safetensors"
_CLIP = 1.0
_DECAY = 0.999
_LOG_EVERY = 50
_SCALE_SEED, _SCALE_FILMS = 1_000_000_007, 256
_STAGE_SEEDS = 16  # of each seed: one for every stage


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

    names, default, example_of, loss_of, helping = STAGES[stage]
    config, own_seed = config or default, seed * _STAGE_SEEDS + list(STAGES).index(stage)
    torch.manual_seed(seed)
    model = checkpoint.load(start) if start else WorldModel()
    if names == ("cam",):
        model.begin_cam(adds=stage == "add")  # a run that goes on then gets its own weights back
    accelerator = Accelerator()
    student = Student(model.unet, seed=seed) if helping == "student" else None
    episodes = Episodes(model, folder) if helping == "episodes" else None
    trained = student.parameters if student else []
    for name in names:
        own = [p for key, p in getattr(model, name).named_parameters() if ".lora_" not in key]
        trained += [parameter.requires_grad_(True) for parameter in own]
    optimizer = torch.optim.AdamW(trained, lr=config.learning_rate, weight_decay=1e-4)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, config.rate_at)
    model.to(accelerator.device)
    optimizer = accelerator.prepare(optimizer)
    average = build_ema(trained, decay=_DECAY)
    average.to(accelerator.device)
    folder.mkdir(parents=True, exist_ok=True)
    step = _resume(folder / _STATE, trained, optimizer, rate, average)
    if student:
        student.begin()
    started = saved = time.monotonic()
    with SummaryWriter(str(folder)) as board, (folder / "log.jsonl").open("a") as log:
        while step < config.steps and time.monotonic() - started < max_s:
            generator = torch.Generator().manual_seed(own_seed * 1_000_003 + step)
            batch = batch_of(own_seed, step, config.batch, config.frames)
            training = Training(model, model.diffusion, generator, student or episodes)
            with accelerator.autocast():
                batch = batch.to(accelerator.device)
                example = example_of(training, batch) if example_of else None
                loss = loss_of(training, example) if example else vae_loss(training, batch)
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
            if time.monotonic() - saved > save_every_s or step == config.steps:
                _keep(folder / _STATE, step, trained, optimizer, rate, average)
                with accelerator.autocast():
                    board.add_image(stage, picture_of(training, batch, example), step)
                saved = time.monotonic()
    _keep(folder / _STATE, step, trained, optimizer, rate, average)
    average.copy_to(trained)
    if student:
        save_file(student.tensors(), folder / STUDENT, {"seed": str(seed), f"{stage}_steps": str(step)})
        return step
    if stage == "vae":
        model.config = model.config.model_copy(update={"latent_scale": _latent_scale(model)})
    checkpoint.save(model, folder / "world.safetensors", {"seed": str(seed), f"{stage}_steps": str(step)})
    return step


def _keep(path: Path, step: int, trained: Sequence[Tensor], *parts: Any) -> None:
    """All that is needed to go on; the last one stays until the new one is whole."""
    state = {"step": step, "weights": [tensor.detach().cpu() for tensor in trained]}
    torch.save({**state, "parts": [part.state_dict() for part in parts]}, path.with_suffix(".partial"))
    path.with_suffix(".partial").replace(path)


def _resume(path: Path, trained: Sequence[Tensor], *parts: Any) -> int:
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
