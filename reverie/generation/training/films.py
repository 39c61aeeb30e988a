"""Batches of films: drawn from a seed and a step, so training that was cut off goes on with what it would have seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from reverie.generation.prompts import tokens_of
from reverie.generation.world import Place, wander
from reverie.generation.world_model import NO_ACTION, action_indices, to_tensor

_LEFT_OUT = {"colour": 0.2, "shape": 0.1, "terrain": 0.1, "prompt": 0.1, "actions": 0.1}  # how often
_FIRST_DRIFT = 4096  # the hero may have drifted so many frames before


@dataclass(frozen=True, slots=True)
class Batch:
    """Films with what is told of them.

    Attributes:
        frames: (B, 3, F, H, W) in [-1, 1].
        actions: (B, F) index of the action that led to each frame; `NO_ACTION` for the first, and where it is left out.
        prompts: (B, N) token ids.
    """

    frames: Float[Tensor, "b 3 f h w"]
    actions: Int64[Tensor, "b f"]
    prompts: Int64[Tensor, "b n"]

    def to(self, device: torch.device) -> Batch:
        return Batch(self.frames.to(device), self.actions.to(device), self.prompts.to(device))


def batch_of(seed: int, step: int, size: int, num_frames: int) -> Batch:
    """The films of one step of training: other places for every seed and step."""
    random = np.random.default_rng((seed, step))
    films = [_film(random, num_frames) for _ in range(size)]
    frames, actions, prompts = zip(*films, strict=True)
    return Batch(to_tensor(np.stack(frames)), torch.tensor(actions), torch.tensor(prompts))


def _film(random: np.random.Generator, num_frames: int) -> tuple[np.ndarray, list[int], list[int]]:
    place = Place(int(random.integers(1 << 62)))
    actions = wander(random, num_frames - 1)
    film = place.film(actions, first_frame=int(random.integers(_FIRST_DRIFT)))
    told = action_indices(actions)
    if random.random() < _LEFT_OUT["actions"]:
        told = [NO_ACTION] * len(told)
    return film.frames, [NO_ACTION, *told], tokens_of(_prompt(place, random))


def _prompt(place: Place, random: np.random.Generator) -> str:
    said = {name: random.random() >= rate for name, rate in _LEFT_OUT.items()}
    if not said["prompt"]:
        return ""
    colour = f"{place.hero.colour} " if said["colour"] else ""
    shape = place.hero.shape if said["shape"] else "shape"
    return f"a {colour}{shape}" + (f" over {place.terrain}" if said["terrain"] else "")
