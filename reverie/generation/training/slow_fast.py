"""The slow-fast loop of SlowFast-VGen (Hong et al. 2024, section 3.4): to go on with the help of what was stored.

    fast    an episode is gone through chunk by chunk with a fresh adapter; before each chunk is learnt, the adapter as
            it is (its snapshot), the context and the true chunk are stored
    slow    the UNet is trained on what was stored, each time with the snapshot of that chunk in place, frozen

Here an episode is a film of the measurable world, and as many rounds are made as the steps take. Snapshots lie in the
run's folder as safetensors, so that they can be looked at and used again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from safetensors.torch import load_file, save_file
from torch import Tensor

from reverie.generation.conditioning import Condition
from reverie.generation.temporal_lora import LoraState, TemporalLora, trajectory_loss
from reverie.generation.training.films import Batch, batch_of
from reverie.generation.training.stages import Example, Training, encode_films
from reverie.generation.world_model import NO_ACTION, WorldModel

EPISODES, CHUNKS = 4, 5  # of a round; chunks that an episode goes on by
STEPS_A_ROUND = 4 * EPISODES * CHUNKS  # each is used about four times


@dataclass(frozen=True, slots=True)
class Stored:
    """One chunk of an episode. `latents` (1, C, F, h, w): the context and the true chunk."""

    latents: Float[Tensor, "1 c f h w"]
    actions: Int64[Tensor, "1 f"]
    prompts: Int64[Tensor, "1 n"]
    snapshot: Path


class Episodes:
    """What a round has stored, and the adapter that its snapshots are loaded into.

    Args:
        model: its UNet gets the adapter, in place.
        folder: the run's; snapshots go into `snapshots/`.
    """

    def __init__(self, model: WorldModel, folder: Path) -> None:
        self._model, self._folder = model, folder / "snapshots"
        self._lora = TemporalLora(model.unet)
        self._stored: list[Stored] = []
        self._used = 0

    def next(self, training: Training) -> Stored:
        """One of what is stored, its snapshot in place; a round begins where the last one was used up."""
        if not self._stored or self._used == STEPS_A_ROUND:
            self._gather(training)
        self._used += 1
        chosen = self._stored[int(torch.randint(len(self._stored), (), generator=training.generator))]
        fresh = self._lora.fresh
        self._lora.load(LoraState(load_file(chosen.snapshot), fresh.optimizer))
        return chosen

    def _gather(self, training: Training) -> None:
        """The fast half."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._stored, self._used = [], 0
        size, new = self._model.config.chunk_frames, self._model.config.chunk_frames - self._model.config.context_frames
        round_seed = int(torch.randint(1 << 31, (), generator=training.generator))
        device = next(self._model.parameters()).device
        for episode in range(EPISODES):
            films = batch_of(round_seed, episode, 1, size + new * CHUNKS).to(device)
            latents = encode_films(self._model, films)
            self._lora.reset()
            for chunk in range(CHUNKS + 1):
                seen = slice(chunk * new, chunk * new + size)
                path = self._folder / f"{episode}-{chunk}.safetensors"
                save_file(self._lora.snapshot().weights, path)
                self._stored.append(Stored(latents[:, :, seen], films.actions[:, seen], films.prompts, path))
                self._learn(training, latents[:, :, seen])

    def _learn(self, training: Training, trajectory: Float[Tensor, "1 c f h w"]) -> None:
        model = self._model
        nothing = torch.full_like(trajectory[:, 0, :, 0, 0], NO_ACTION).long()
        condition = Condition(text=model.text([""]).detach(), actions=nothing)
        self._lora.learn(
            lambda: trajectory_loss(
                lambda noisy, timestep: model.predict(noisy, timestep, condition),
                training.diffusion, trajectory, training.generator,
            )
        )  # fmt: skip


def slow_example(training: Training, batch: Batch) -> Example:
    """The slow half: a chunk after its context, with the adapter that had been learnt before it."""
    episodes, model = training.helper, training.model
    assert isinstance(episodes, Episodes)
    stored = episodes.next(training)
    known = model.config.context_frames
    given = stored.latents[:, :, :known]
    condition = Condition(text=model.text(stored.prompts), actions=stored.actions, given=given)
    return Example(stored.latents, condition, known)
