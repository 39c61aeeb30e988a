"""Consistency distillation: a student makes in one to eight steps what the base makes in many.

LCM (Luo et al. 2023): the student f(z_t, t) says where a trajectory of the guided base ends. Of neighbouring points of
a trajectory it has to say the same, and of its end the end itself:

    f(z, t) = c_skip(t) z + c_out(t) x0(z, t),    c_skip = s^2 / (r^2 + s^2),    c_out = r / sqrt(r^2 + s^2)

with s = 1/2 and r = 10 t, as LCMScheduler has it (10 is its `timestep_scaling`). Neighbours are a DDIM step of 20 of
1000 timesteps apart. The target is the average of past students, the loss pseudo-Huber with c = 1e-3.

RG-LCD (Li et al. 2024) adds a reward of the decoded prediction. Ours is known exactly: how well each frame, shifted as
the action says, explains the next (`told_motion`). A picture that shows nothing would please it, too, so what is
trained with it has to be audited by scores that it never saw.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from reverie.generation.conditioning import Condition
from reverie.generation.diffusion import NUM_TIMESTEPS, Diffusion
from reverie.generation.guidance import guide
from reverie.generation.student import Student
from reverie.generation.training.stages import Example, Training
from reverie.generation.world import ACTIONS, MOVES
from reverie.generation.world_model import WorldModel

SOLVER_STEPS = 50
TEXT_SCALE = 2.0  # the student is distilled from the base as it is guided by default
REWARD = 0.1
_HUBER = 1e-3
_DATA_DEVIATION, _TIMESTEP_SCALING = 0.5, 10.0
Latents = Float[Tensor, "b c f h w"]


def lcm_loss(training: Training, example: Example, reward: float = 0.0) -> Tensor:
    """Of frames that are not given, from one random point of each film's trajectory."""
    model, student, diffusion = training.model, training.helper, training.diffusion
    assert isinstance(student, Student)
    latents, condition, known = example
    stride = NUM_TIMESTEPS // SOLVER_STEPS
    step = torch.randint(1, SOLVER_STEPS, (len(latents),), generator=training.generator)
    later, earlier = ((step + 1) * stride - 1).to(latents.device), (step * stride - 1).to(latents.device)
    noise = torch.randn(latents.shape, generator=training.generator).to(latents)
    noisy = diffusion.noised(latents, noise, later)
    student.follow()
    with torch.no_grad(), student.teaching():
        predicted = _guided(model, noisy, later, condition)
        ended, left = diffusion.clean(noisy, predicted, later), diffusion.noise(noisy, predicted, later)
        before = diffusion.noised(ended, left, earlier)  # a step of DDIM
    with torch.no_grad(), student.averaged():
        target = consistent(before, model.predict(before, earlier, condition), diffusion, earlier)
    ending = consistent(noisy, model.predict(noisy, later, condition), diffusion, later)
    apart = (ending - target)[:, :, known:]
    loss = ((apart.square() + _HUBER**2).sqrt() - _HUBER).mean()
    if reward:
        shown = ending if condition.given is None else torch.cat([condition.given, ending[:, :, known:]], dim=2)
        loss = loss - reward * told_motion(model.decode(shown), condition.actions)
    return loss


def rglcd_loss(training: Training, example: Example) -> Tensor:
    """The same with the reward."""
    return lcm_loss(training, example, REWARD)


def consistent(noisy: Latents, predicted: Latents, diffusion: Diffusion, at: Int64[Tensor, "b"]) -> Latents:
    """f(z, t) from what is predicted of z."""
    ratio = _TIMESTEP_SCALING * at
    skip = _DATA_DEVIATION**2 / (ratio**2 + _DATA_DEVIATION**2)
    out = ratio / (ratio**2 + _DATA_DEVIATION**2) ** 0.5
    return _wide(skip) * noisy + _wide(out) * diffusion.clean(noisy, predicted, at)


def told_motion(video: Float[Tensor, "b 3 f i j"], actions: Int64[Tensor, "b f"]) -> Tensor:
    """The reward: 1 less the mean absolute difference of neighbours, the second shifted back as it was told.

    Over all films and frames whose action is told, and over what both show.
    """
    differences = []
    for index, action in enumerate(ACTIONS):
        film, frame = (actions[:, 1:] == index).nonzero(as_tuple=True)
        if len(film):
            now, then = video[film, :, frame], video[film, :, frame + 1]
            y, x = MOVES[action]
            height, width = video.shape[-2:]
            before = now[..., max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)]
            after = then[..., max(-y, 0) : height + min(-y, 0), max(-x, 0) : width + min(-x, 0)]
            differences.append((before - after).abs().mean(dim=(1, 2, 3)))
    return 1 - torch.cat(differences).mean() if differences else video.new_zeros(())


def _guided(model: WorldModel, noisy: Latents, timestep: Int64[Tensor, "b"], condition: Condition) -> Latents:
    nothing = replace(condition, text=model.text([""] * len(noisy)))
    return guide(
        model.predict(noisy, timestep, nothing), model.predict(noisy, timestep, condition), text_scale=TEXT_SCALE
    )


def _wide(values: Float[Tensor, "b"]) -> Float[Tensor, "b 1 1 1 1"]:
    return values.reshape(-1, 1, 1, 1, 1)
