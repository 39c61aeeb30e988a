"""What a session needs of a model: chunks, one after another, from a state that can be kept.

A state is named tensors and nothing else, so that it can be written to a safetensors file in the middle of a video and
gone on with in another process. It says all: the last frames, what is remembered of the earlier ones, and where the
random numbers are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from jaxtyping import UInt8
from numpy import ndarray
from torch import Tensor

State = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Steering:
    """What the next chunk is told.

    Attributes:
        prompt: what is to be seen.
        actions: how the camera moves in each frame of the chunk; empty: nobody says.
    """

    prompt: str = ""
    actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What a video begins with.

    Attributes:
        first: (T, H, W, 3) frames that it goes on from; None: from nothing.
        anchor: (H, W, 3) a frame whose appearance is kept; None: one of the first that are made.
        adapter: what an earlier session has learnt.
        related: (H, W, 3) a frame whose noised latent the first chunk begins from (coherent illustrations,
            Bordalo et al. 2024): it looks like it, and does not go on from it; None: from noise alone.
        strength: how far it is noised, in (0, 1]; 1: to noise.
    """

    first: UInt8[ndarray, "t h w 3"] | None = None
    anchor: UInt8[ndarray, "h w 3"] | None = None
    adapter: Mapping[str, Tensor] | None = None
    related: UInt8[ndarray, "h w 3"] | None = None
    strength: float = 0.7


class ChunkModel(Protocol):
    """Makes video chunk by chunk. One model serves many sessions: all that differs between them is in their states."""

    @property
    def name(self) -> str: ...

    @property
    def rate_hz(self) -> float:
        """Frames a second."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        ...

    @property
    def actions(self) -> tuple[str, ...]:
        """What the camera can be told to do; empty: nothing."""
        ...

    def num_new(self, state: State) -> int:
        """How many frames the next `extend` gives."""
        ...

    def check(self, steering: Steering) -> None:
        """Raises UsageError for a prompt or action that this model does not know."""
        ...

    def understood(self, text: str) -> str:
        """What of a text this model can be told as a prompt."""
        ...

    def check_frames(self, frames: UInt8[ndarray, "t h w 3"]) -> None:
        """Raises NotPerceivable for frames of what this model cannot imagine."""
        ...

    def adapter_of(self, frames: UInt8[ndarray, "t h w 3"]) -> State | None:
        """What a session's adapter learns from frames before it begins; None for a model without one."""
        ...

    def begin(self, seed: int, beginning: Beginning) -> State:
        """The state before the first chunk."""
        ...

    def extend(self, state: State, steering: Steering) -> tuple[UInt8[ndarray, "t h w 3"], State]:
        """The next chunk, and the state after it. The state given is left as it is."""
        ...


def told(actions: Sequence[str], first: int, count: int) -> tuple[str, ...]:
    """The actions of `count` frames from `first` on; the last one of them goes on for ever."""
    if not actions:
        return ()
    return tuple(actions[min(index, len(actions) - 1)] for index in range(first, first + count))
