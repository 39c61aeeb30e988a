"""A session of imagination in an actor of its own: clips come over Ray, and the next one is made meanwhile.

Where the cluster has GPUs, each session asks for one: several sessions run beside each other, each on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError

from reverie.errors import GenerationError, ReverieError
from reverie.generation.session import Imagination, Pace
from reverie.pipeline.distributed.actors import ImaginationActor
from reverie.pipeline.distributed.backend import connect
from reverie.types import Clip


class RayImagination:
    """What `Imagination` is, elsewhere. `make` builds it, where the actor runs.

    The clip after the one that was taken is under way already, so `steer` changes the one after that.
    """

    def __init__(self, make: Callable[[], Imagination]) -> None:
        connect()
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        self._actor = ImaginationActor.options(num_gpus=1 if resources.get("GPU") else 0).remote(make)
        told: dict[str, Any] = self._get(self._actor.begin.remote())
        self.name: str = told["name"]
        self.seed: int = told["seed"]
        self.sources: tuple[Mapping[str, Any], ...] = told["sources"]
        self.rate_hz: float = told["rate_hz"]
        self.size: tuple[int, int] = told["size"]
        self.num_frames: int | None = told["num_frames"]
        self.made: int = told["made"]
        self.prompt: str = told["prompt"]
        self.pace = Pace()
        self._under_way: Any = None

    def __iter__(self) -> Iterator[Clip]:
        while self.num_frames is None or self.made < self.num_frames:
            yield self.next_clip()

    def next_clip(self) -> Clip:
        """The next clip.

        Raises:
            GenerationError: the actor's process died.
        """
        clip: Clip
        clip, self.pace = self._get(self._under_way or self._actor.next_clip.remote())
        self.made, self.prompt = clip.first_frame + len(clip.frames), clip.prompt
        goes_on = self.num_frames is None or self.made < self.num_frames
        self._under_way = self._actor.next_clip.remote() if goes_on else None
        return clip

    def steer(self, *, prompt: str | None = None, actions: Sequence[str] | None = None) -> None:
        """Tell the clips that are not under way yet another prompt, or other actions."""
        self._get(self._actor.steer.remote(prompt, actions))

    def save(self, path: Path) -> None:
        """Keep the session as it is after the last clip that was taken."""
        self._get(self._actor.save.remote(path.absolute(), self._under_way is not None))

    def close(self) -> None:
        ray.kill(self._actor)

    def _get(self, ticket: Any) -> Any:
        try:
            return ray.get(ticket)
        except RayActorError as error:
            raise GenerationError(f"the process that imagined died ({error}): go on from a kept session") from None
        except RayTaskError as error:
            if isinstance(error.cause, ReverieError):
                raise error.cause from None
            raise
