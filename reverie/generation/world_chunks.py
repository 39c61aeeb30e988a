"""Chunks of the measurable world, by the small model."""

from __future__ import annotations

from functools import cached_property

from jaxtyping import UInt8
from numpy import ndarray

from reverie.errors import NotPerceivable, UsageError
from reverie.generation.belonging import LIMIT, Belonging
from reverie.generation.chunks import Steering
from reverie.generation.latent_chunks import LatentChunks, LatentChunksConfig
from reverie.generation.prompts import known_words, tokens_of
from reverie.generation.world import ACTIONS, VIEW_PX
from reverie.generation.world_model import WorldModel

RATE_HZ = 8.0


class WorldChunks(LatentChunks):
    """A small vocabulary, five actions, and pictures of nothing but the world."""

    name = "world"
    rate_hz = RATE_HZ
    size = (VIEW_PX, VIEW_PX)
    actions = tuple(str(action) for action in ACTIONS)

    def __init__(self, model: WorldModel, config: LatentChunksConfig | None = None, device: str = "cpu") -> None:
        super().__init__(model, config, device)
        self._world = model

    def check(self, steering: Steering) -> None:
        tokens_of(steering.prompt)
        unknown = [action for action in steering.actions if action not in ACTIONS]
        if unknown:
            raise UsageError(f"there is no action {unknown[0]!r}: use {', '.join(ACTIONS)}")

    def understood(self, text: str) -> str:
        return known_words(text)

    def check_frames(self, frames: UInt8[ndarray, "t h w 3"]) -> None:
        apart = self._belonging.distance(frames)
        if apart > LIMIT:
            raise NotPerceivable(
                "the small model was trained on a world of shapes over textures, and these pictures are not of it: "
                f"they lie {apart:.1f} from it, its own up to {LIMIT:.0f}. Real scenes take the profile of a large "
                "model, such as wan"
            )

    @cached_property
    def _belonging(self) -> Belonging:
        return Belonging(self._world)
