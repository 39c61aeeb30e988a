"""Profiles of imagination: which model makes the video, and how.

YAML files in `configs/generation/`; as with other profiles, what is not given has its default, and an unknown key is an
error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from reverie.errors import ModelError
from reverie.generation.checkpoint import SHIPPED
from reverie.generation.chunks import ChunkModel
from reverie.generation.hub import HubConfig
from reverie.generation.latent_chunks import LatentChunksConfig
from reverie.generation.modelscope import ModelScopeConfig
from reverie.perception.models import resolve
from reverie.pipeline.config import profile_folder, read_profile


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WorldModelChoice(_Part):
    """The small model of the measurable world."""

    kind: Literal["world"]
    weights: Path | None = Field(None, description="A .safetensors file of `reverie train`; null: what ships.")
    student: Path | None = Field(None, description="A student's .safetensors file, for `chunks.solver: lcm`.")
    chunks: LatentChunksConfig = LatentChunksConfig()


class HubModelChoice(_Part):
    """A large model of diffusers, out of a local folder or the Hugging Face Hub."""

    kind: Literal["hub"]
    weights: str = Field(description="Of the pipeline that goes on from the past: file:/folder or hub:org/name.")
    first_weights: str = Field("", description="Of the one that begins, where they are others.")
    options: HubConfig


class StreamingT2VChoice(_Part):
    """ModelScope's text-to-video model, with the weights of StreamingT2V."""

    kind: Literal["streaming_t2v"]
    weights: str = Field(description="Of the base: file:/folder or hub:org/name.")
    streaming: str = Field("", description="Of StreamingT2V: file:/PATH; empty: the base alone.")
    sha256: str | None = Field(None, description="The digest that a .ckpt has to have; of safetensors none is needed.")
    options: ModelScopeConfig = ModelScopeConfig()


class ImaginationProfile(_Part):
    """Everything that `reverie imagine` needs to know."""

    name: str
    summary: str
    model: Annotated[WorldModelChoice | HubModelChoice | StreamingT2VChoice, Field(discriminator="kind")]
    device: str = Field("auto", description='"cpu", "cuda", "cuda:1"; "auto": the first GPU if there is one.')
    pixel_scale: PositiveInt = Field(1, description="In files every pixel becomes a square of so many.")


def imagination_names() -> list[str]:
    """Names of the profiles that ship with reverie."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def load_imagination(name_or_path: str | Path | ImaginationProfile) -> ImaginationProfile:
    """A profile by its name, or from a YAML file.

    Raises:
        ConfigError: there is no such profile, or it has unknown keys or values out of range.
    """
    if isinstance(name_or_path, ImaginationProfile):
        return name_or_path
    return read_profile(name_or_path, _folder(), ImaginationProfile)


def build_chunk_model(profile: ImaginationProfile) -> ChunkModel:
    """Load the model of a profile.

    Raises:
        ModelError: weights are missing, of another shape, or of a refused format.
    """
    device, (weights, first) = device_of(profile.device), weights_of(profile)
    if isinstance(profile.model, HubModelChoice):
        from reverie.generation.hub import HubChunks

        return HubChunks(profile.model.options, weights, first, device)
    if isinstance(profile.model, StreamingT2VChoice):
        from reverie.generation.modelscope import ModelScope, ModelScopeChunks

        options = profile.model.options
        return ModelScopeChunks(ModelScope(weights, first, options), options, device)
    from reverie.generation import checkpoint
    from reverie.generation.world_chunks import WorldChunks

    return WorldChunks(checkpoint.load(weights, first), profile.model.chunks, device=device)


def weights_of(profile: ImaginationProfile, here_only: bool = False) -> tuple[Path, Path | None]:
    """Where the weights of a profile are: its model's, and those of what begins, of a student, or of StreamingT2V.

    `here_only`: nothing is fetched from the Hub.

    Raises:
        ModelError: they are not there.
    """
    told = profile.model
    if isinstance(told, HubModelChoice):
        first = resolve(told.first_weights, here_only=here_only) if told.first_weights else None
        return resolve(told.weights, here_only=here_only), first
    if isinstance(told, StreamingT2VChoice):
        streaming = resolve(told.streaming, sha256=told.sha256, here_only=here_only) if told.streaming else None
        return resolve(told.weights, here_only=here_only), streaming
    weights = told.weights or SHIPPED
    for path in filter(None, (weights, told.student)):
        if not path.is_file():
            raise ModelError(f"there is no model at {path}: check the path, or train one with `reverie train`")
    return weights, told.student


def device_of(name: str) -> str:
    """A device that is there. Raises ModelError for a GPU that is not."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(f"there is no GPU for the device {name!r}: use cpu")
    return name


def _folder() -> Path:
    return profile_folder() / "generation"
