"""Teaching a memory: how something looks or sounds, by a file or a time of it; facts and notes, by a model.

Pictures go through the profile's encoder of whole pictures, sounds through the print of the sound sense, so they lie in
the spaces of what is watched.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

from reverie.errors import ConfigError, MemoryStoreError, SourceError, UsageError
from reverie.memory import Entity, FactReceipt, NoteReceipt
from reverie.memory.entities import Sense
from reverie.memory.store import DATABASE
from reverie.perception.decoding import Fault, Picture
from reverie.perception.files import FileSource
from reverie.perception.pictures import PictureReader
from reverie.perception.samples import SAMPLE_RATE_HZ, Samples, mono_16k
from reverie.perception.sound_print import ENCODER_ID, sound_print
from reverie.pipeline.build import open_memory, picture_encoder
from reverie.pipeline.config import Profile, load_profile
from reverie.pipeline.stream_names import named_streams
from reverie.reasoning import OpenAIFactReader, OpenAINoteReader, OpenAIReader
from reverie.types import AudioChunk, EndOfStream, TimeSpan, ns

_MAX_SOUND_S = 60


def teach(
    directory: str | Path,
    name: str,
    *,
    images: Sequence[str | Path] = (),
    sounds: Sequence[str | Path] = (),
    at_s: float | None = None,
    stream_id: str | None = None,
    sense: Sense = "look",
    aliases: Sequence[str] = (),
    profile: str | Path | Profile = "embedded",
) -> Entity:
    """Bind a name to pictures and sounds, or to what a stream showed or let hear at a time (seconds of media time).

    `stream_id` may be the name of the stream's file.

    Raises:
        UsageError: neither or both were given, or a time without its stream.
        SourceError: a file cannot be read, or nothing is heard in it.
        MemoryStoreError: there is no memory.
    """
    if bool(images or sounds) == (at_s is not None):
        raise UsageError(
            "show it once: with --image FILE or --sound FILE (may be repeated), or with --at SECONDS --stream NAME"
        )
    if at_s is not None and stream_id is None:
        raise UsageError("name the stream in which it was perceived at that time, with --stream")
    directory = _existing(directory)
    loaded = profile if isinstance(profile, Profile) else load_profile(profile)
    if at_s is not None and stream_id is not None:
        with open_memory(directory, loaded, "w") as memory:
            (shown,) = named_streams(memory, [stream_id])
            instant = TimeSpan(start_ns=ns(at_s), end_ns=ns(at_s))
            return memory.teach(name, stream_id=shown, span=instant, sense=sense, aliases=aliases)
    prints = [_print(Path(sound), loaded) for sound in sounds]
    looks, encoder = list[Float32[ndarray, "d"]](), picture_encoder(loaded)
    if images:
        pictures = [_read(Path(image), loaded) for image in images]
        encoder.load()
        looks = list(encoder.encode(pictures).embedding)
    with open_memory(directory, loaded, "w") as memory:
        if looks:
            taught = memory.teach(name, looks=looks, encoder=encoder.encoder_id, aliases=aliases)
        if prints:
            taught = memory.teach(name, sounds=prints, encoder=ENCODER_ID, aliases=aliases)
        return taught


def read_facts(
    directory: str | Path, *, profile: str | Path | Profile, stream_ids: tuple[str, ...] = ()
) -> FactReceipt:
    """Let the profile's language model state facts of what was said and written; see `Memory.read_facts`.

    Raises:
        ConfigError: the profile has no `reader`.
        ReaderError: its server cannot be reached; what was stored before stays.
        MemoryStoreError: there is no memory.
    """
    loaded = profile if isinstance(profile, Profile) else load_profile(profile)
    reader = OpenAIFactReader(_server(loaded))
    with open_memory(_existing(directory), loaded, "w") as memory:
        memory.require_streams(stream_ids)
        return memory.read_facts(reader, stream_ids=stream_ids)


def read_notes(
    directory: str | Path, *, profile: str | Path | Profile, stream_ids: tuple[str, ...] = ()
) -> NoteReceipt:
    """Let the profile's language model conclude notes from what was perceived; see `Memory.read_notes`.

    Raises:
        ConfigError: the profile has no `reader`.
        ReaderError: its server cannot be reached; what was stored before stays, and the next call goes on there.
        MemoryStoreError: there is no memory.
    """
    loaded = profile if isinstance(profile, Profile) else load_profile(profile)
    reader = OpenAINoteReader(_server(loaded))
    with open_memory(_existing(directory), loaded, "w") as memory:
        memory.require_streams(stream_ids)
        return memory.read_notes(reader, stream_ids=stream_ids)


def _server(profile: Profile) -> OpenAIReader:
    """The profile's language model."""
    if (server := profile.reader) is None:
        raise ConfigError(
            f"the profile {profile.name!r} has no reader: name one with --profile whose YAML has `reader:` with the "
            "base_url and model of a server; see docs/profiles.md"
        )
    return OpenAIReader(server.base_url, server.model, server.api_key_env, server.options)


def _existing(directory: str | Path) -> Path:
    """The directory of a memory that is there: opened for writing, another would be made."""
    path = Path(directory).resolve()
    if not (path / DATABASE).exists():
        raise MemoryStoreError(f"there is no memory at {path}: watch something into it first")
    return path


def _read(path: Path, profile: Profile) -> UInt8[ndarray, "h w 3"]:
    """One picture, upright, in RGB."""
    for shown in PictureReader([path], profile.source.pictures_fps, profile.source.max_pixels).read() or ():
        if isinstance(shown, Picture):
            return np.asarray(shown.rgb(profile.source.sampling.max_side_px))
        if isinstance(shown, Fault):
            raise SourceError(str(path), shown.reason)
    raise SourceError(str(path), "not a picture that can be read")


def _print(path: Path, profile: Profile) -> Float32[ndarray, "d"]:
    """The print of a short sound file as a whole."""
    source, heard, num_samples = FileSource(path, profile.source), list[Samples](), 0
    try:
        source.open()
        ended = False
        while not ended and num_samples <= _MAX_SOUND_S * SAMPLE_RATE_HZ:
            items = source.pull()
            heard += [mono_16k(item, "teach") for item in items if isinstance(item, AudioChunk)]
            num_samples = sum(map(len, heard))
            ended = any(isinstance(item, EndOfStream) for item in items)
    finally:
        source.close()
    if not ended:
        raise SourceError(str(path), f"longer than {_MAX_SOUND_S} s: cut out the sound that is meant")
    vector = sound_print(np.concatenate(heard)) if heard else None
    if vector is None:
        raise SourceError(str(path), "nothing is heard in it")
    return vector
