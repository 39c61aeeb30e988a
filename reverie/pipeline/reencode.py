"""`reverie memory reencode`: a memory embedded anew with the encoders of a profile."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from numpy import ndarray
from PIL import Image

from reverie.errors import MemoryStoreError
from reverie.memory.reencode import PictureEncoder
from reverie.memory.store import DATABASE
from reverie.perception.frame_encoder import FrameEncoder
from reverie.pipeline.build import open_memory, picture_encoder
from reverie.pipeline.config import load_profile
from reverie.reasoning.phrasing import counted


def reencode(directory: str | Path, profile: str | Path = "embedded") -> dict[str, int]:
    """Give texts, names and kept key frames the vectors of the profile's encoders; goes on where it was cut short.

    Raises:
        MemoryStoreError: there is no memory, or another process writes it.
        ModelError: the profile's weights are missing.
    """
    directory, loaded = Path(directory).resolve(), load_profile(profile)
    if not (directory / DATABASE).exists():  # opened for writing it would be made
        raise MemoryStoreError(f"there is no memory at {directory}: watch something into it first")
    with open_memory(directory, loaded, "w") as memory:
        return asdict(memory.reencode(picture_encoder_of(picture_encoder(loaded))))


def reencoded_as_text(receipt: dict[str, int]) -> str:
    """One line. What is left may be of no encoder of the profile's, as prints of sounds are."""
    done = [counted(receipt[f"{kind}s"], kind) for kind in ("text", "name", "picture") if receipt[f"{kind}s"]]
    rest = f"; left as they were: {counted(receipt['left'], 'vector')}" if receipt["left"] else ""
    return (f"embedded anew: {', '.join(done)}" if done else "all vectors are up to date") + rest


def picture_encoder_of(encoder: FrameEncoder) -> PictureEncoder:
    """A frame encoder as memory needs it: JPEGs in, weights loaded when the first one comes."""
    loaded = False

    def encode(pictures: Sequence[bytes]) -> Float32[ndarray, "n d"]:
        nonlocal loaded
        if not loaded:
            encoder.load()
            loaded = True
        return encoder.encode([_rgb(picture) for picture in pictures]).embedding

    return PictureEncoder(encoder_id=encoder.encoder_id, encode=encode)


def _rgb(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
