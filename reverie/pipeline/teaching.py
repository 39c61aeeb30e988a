"""Teaching a memory what something looks like: from pictures of the user's, or from a time at which it was seen.

Pictures go through the profile's encoder of whole pictures, so they lie in the space of what is watched.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from reverie.errors import MemoryStoreError, SourceError, UsageError
from reverie.memory import Entity
from reverie.memory.store import DATABASE
from reverie.perception.decoding import Fault, Picture
from reverie.perception.pictures import PictureReader
from reverie.pipeline.build import open_memory, picture_encoder
from reverie.pipeline.config import Profile, load_profile
from reverie.types import TimeSpan, ns


def teach(
    directory: str | Path,
    name: str,
    *,
    images: Sequence[str | Path] = (),
    at_s: float | None = None,
    stream_id: str | None = None,
    aliases: Sequence[str] = (),
    profile: str | Path | Profile = "embedded",
) -> Entity:
    """Bind a name to pictures, or to what a stream showed at a time (seconds of media time).

    Raises:
        UsageError: neither or both were given, or a time without its stream.
        SourceError: a picture cannot be read.
        MemoryStoreError: there is no memory.
    """
    if bool(images) == (at_s is not None):
        raise UsageError("show it once: with --image FILE (may be repeated), or with --at SECONDS --stream NAME")
    if at_s is not None and stream_id is None:
        raise UsageError("name the stream in which it was seen at that time, with --stream")
    directory = Path(directory).resolve()
    if not (directory / DATABASE).exists():  # opened for writing it would be made
        raise MemoryStoreError(f"there is no memory at {directory}: watch something into it first")
    loaded = profile if isinstance(profile, Profile) else load_profile(profile)
    if at_s is not None:
        with open_memory(directory, loaded, "w") as memory:
            instant = TimeSpan(start_ns=ns(at_s), end_ns=ns(at_s))
            return memory.teach(name, stream_id=stream_id, span=instant, aliases=aliases)
    pictures = [_read(Path(image), loaded) for image in images]
    encoder = picture_encoder(loaded)
    encoder.load()
    looks = list(encoder.encode(pictures).embedding)
    with open_memory(directory, loaded, "w") as memory:
        return memory.teach(name, looks=looks, encoder=encoder.encoder_id, aliases=aliases)


def _read(path: Path, profile: Profile) -> UInt8[ndarray, "h w 3"]:
    """One picture, upright, in RGB."""
    (shown,) = PictureReader([path], profile.source.pictures_fps, profile.source.max_pixels).read() or [None]
    if isinstance(shown, Picture):
        return np.asarray(shown.rgb(profile.source.sampling.max_side_px))
    raise SourceError(str(path), shown.reason if isinstance(shown, Fault) else "not a picture that can be read")
