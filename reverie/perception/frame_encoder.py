"""What any encoder of whole pictures offers: ConSE, open_clip, or one of yours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from jaxtyping import Float32
from numpy import ndarray

from reverie.perception.rgb import Rgb
from reverie.types import Label


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedFrames:
    """N pictures: (N, D) float32 rows of unit L2 norm, and what the encoder can name in each."""

    embedding: Float32[ndarray, "n d"]
    labels: tuple[tuple[Label, ...], ...]


class FrameEncoder(Protocol):
    """Pictures to vectors. Picklable before `load`, which the stage calls once from its thread."""

    @property
    def encoder_id(self) -> str:
        """Name and version of the space, stored beside every vector."""
        ...

    @property
    def text_encoder_id(self) -> str:
        """The `TextEncoder.encoder_id` whose vectors are comparable with these."""
        ...

    def load(self) -> None:
        """Load weights. Raises ModelError."""
        ...

    def encode(self, images: Sequence[Rgb]) -> EncodedFrames:
        """Encode N >= 1 pictures of any sizes."""
        ...
